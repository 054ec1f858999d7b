"""Devices over WebSockets: the same sealed frames, and inputs that come by themselves."""
import contextlib
import itertools

import pytest
import websocket

from conftest import eventually, make_sensor, readings
from device import Device, Socket
from marks import requirement
from test_links import Pair


@requirement("U12")
def test_an_exchange_goes_over_a_websocket_and_inputs_are_pushed(admin, sensor):
    unit, variables, device = sensor
    with Socket(device) as socket:
        assert socket.ask({})["input_variables"] == {"target": 20, "mode": "auto", "guarded": None}
        socket.ask({"output_variables": [{"values": {"temperature": 21.5}}]})
        admin.put(f"/api/v1/variables/{variables['target']['id']}/value", {"value": 23})
        assert socket.wait_for_push() == {"input_variables": {"target": 23}}
        admin.put(f"/api/v1/variables/{variables['mode']['id']}/value", {"value": "off"})
        assert socket.wait_for_push() == {"input_variables": {"mode": "off"}}
        assert socket.ask({"output_variables": [{"values": {"temperature": 22}}]})["input_variables"]["target"] == 23
    eventually(lambda: [r["value"] for r in readings(admin, variables["temperature"])] == [21.5, 22])


@requirement("U12", "G4")
def test_a_link_carries_to_an_open_socket_at_once(instance, remote):
    pair = Pair(instance, remote, "sock")
    pair.link(pair.anna, "LINK_TYPE_WRITE")
    berta = Device(pair.berta.get(f"/api/v1/units/{pair.target['id']}/archive", raw=True))
    pair.device.hello()
    with Socket(berta) as socket, Socket(pair.device) as source:
        socket.ask({})
        source.ask({})
        for n in range(1, 11):
            source.ask({"output_variables": [{"values": {"n": n}}]})
            socket.wait_for(lambda inputs: inputs["shown"] == n, 5)
        pair.forbid_write()
        for n in range(11, 15):
            source.ask({"output_variables": [{"values": {"n": n}}]})
        pair.let_write()
        later = itertools.count(100)

        def carries_again():  # the source's side learns of the right a moment after the answer
            source.ask({"output_variables": [{"values": {"n": next(later)}}]})
            with contextlib.suppress(websocket.WebSocketTimeoutException):
                socket.wait_for_push(0.5)
            return berta.inputs["shown"] >= 100

        eventually(carries_again)
        last = next(later) - 1
        socket.wait_for(lambda inputs: inputs["shown"] == last)
        eventually(lambda: pair.shown() == last)
        # Nothing of the time without the right was ever seen, not even for a moment.
        assert not {11, 12, 13, 14} & {push["input_variables"].get("shown") for push in socket.pushes}


@requirement("U12", "S6")
def test_a_socket_ends_with_its_token_and_its_unit(admin, sensor_repo):
    unit, variables, device = make_sensor(admin, sensor_repo, "revoked")
    with Socket(device) as socket:
        socket.ask({})
        admin.post(f"/api/v1/units/{unit['id']}:reset-env", {})
        assert socket.closed_with() == 1008
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        Socket(device)
    assert refusal.value.status_code == 401
    renewed = Device(admin.get(f"/api/v1/units/{unit['id']}/archive", raw=True))
    with Socket(renewed) as socket:
        socket.ask({})
        admin.delete(f"/api/v1/units/{unit['id']}")
        assert socket.closed_with() == 1008
        assert all(not push["input_variables"].get("target") for push in socket.pushes)


@requirement("U12", "S3")
def test_what_was_captured_opens_nothing(admin, sensor):
    unit, variables, device = sensor
    with Socket(device) as socket, Socket(device) as thief:
        hello = device.seal(0, {})
        socket.ask_sealed(hello)
        # A thief who sends it again gets pushes that he cannot read, under another answer's tag.
        thief.ask_sealed(hello)
        assert thief.begun_by != socket.begun_by
        admin.put(f"/api/v1/variables/{variables['target']['id']}/value", {"value": 31})
        socket.wait_for_push()
        stolen = thief.ws.recv()
        with pytest.raises(AssertionError, match="does not verify"):
            socket._pushed(stolen)
        socket.pushed -= 1
        report = device.seal(device.next, {"output_variables": [{"values": {"count": 1}}]})
        assert "error" not in socket.ask_sealed(report)
        assert thief.ask_sealed(report)["accepted"] is True
    eventually(lambda: len(readings(admin, variables["count"])) == 1)


@requirement("U12")
def test_a_lost_connection_is_taken_up_where_it_ended(admin, sensor):
    unit, variables, device = sensor
    with Socket(device) as socket:
        socket.ask({})
        report = device.seal(device.next, {"output_variables": [{"values": {"count": 7}}]})
        socket.ws.send_binary(report)
        socket.ws.sock.close()  # before the answer
    admin.put(f"/api/v1/variables/{variables['target']['id']}/value", {"value": 44})
    with Socket(device) as socket:
        # No hello: the same bytes settle what became of them, and the first good answer has what was missed.
        answer = socket.ask_sealed(report)
        assert answer.get("accepted") is True or "error" not in answer
        device.next += 0 if "error" not in answer else 1
        eventually(lambda: socket.ask({"output_variables": [{"values": {"count": 8}}]})["input_variables"]["target"] == 44)
    eventually(lambda: {r["value"] for r in readings(admin, variables["count"])} == {7, 8})


@requirement("U12", "U10")
def test_an_update_is_offered_and_fetched_over_a_socket(admin, remote):
    url = remote.publish("socket-update", {"schema.json": '{"input_variables": {"x": {"type": "number"}}}', "env_example.json": "{}", "main.py": "one"})
    repo = admin.add_repository("socket-update", url)
    unit, _, device = make_sensor(admin, repo, "updating")
    commit = admin.get(f"/api/v1/units/{unit['id']}")["version"]["commit"]
    with Socket(device) as socket:
        socket.ask({})
        socket.ask({"unit_state": {"commit": commit}})
        remote.publish("socket-update", {"schema.json": '{"input_variables": {"x": {"type": "number"}}}', "env_example.json": "{}", "main.py": "two, longer"})
        admin.post(f"/api/v1/repo-units/{repo['id']}:sync", {})
        while not any("update" in push for push in socket.pushes):
            socket.wait_for_push()
        offer = [push["update"] for push in socket.pushes if "update" in push][-1]
        manifest = socket.ask({"ask": "manifest", "commit": offer["commit"], "have": commit}, kind=3)
        assert "main.py" in [file["path"] for file in manifest["files"]]
        assert socket.ask({"ask": "file", "commit": offer["commit"], "path": "main.py", "offset": 0, "length": 100}, kind=3) == b"two, longer"


@requirement("U12", "S7")
def test_bad_messages_get_an_answer_that_says_why(admin, sensor_repo, sensor):
    unit, variables, device = sensor
    other = make_sensor(admin, sensor_repo, "other")[2]
    with Socket(device) as socket:
        socket.ask({})
        for bad, status, reason in [(b"", 400, "BAD_ENVELOPE"), (b"PU" + bytes(90), 400, "BAD_ENVELOPE"),
                                    (other.seal(0, {}), 401, "UNAUTHENTICATED"), (device.seal(0, {}, kind=2), 400, "BAD_ENVELOPE"),
                                    (device.seal(0, {}, kind=6), 400, "BAD_ENVELOPE"), (device.seal(0, {})[:-1] + b"x", 400, "BAD_ENVELOPE")]:
            problem = socket.ask_sealed(bad)
            assert (problem["status"], problem["reason"]) == (status, reason), problem
        assert socket.ask({"output_variables": [{"values": {"nobody": 1}}]})["errors"][0]["field"] == "output_variables[0].values.nobody"
        assert "error" not in socket.ask({})
        socket.ws.send_binary(bytes(20_000))
        assert socket.closed_with() == 1009
    with Socket(device) as socket:
        socket.ask({})
        socket.ws.send("text")
        assert socket.closed_with() == 1003
    with Socket(device) as socket:
        socket.ask({})
        socket.ws.sock.sendall(b"\x82\x05hello")  # not masked, which a client has to do
        assert socket.closed_with() in (1002, 1006)
    answer = device.post(b"", path="/v1/socket")
    assert answer.status == 405 and answer.headers["allow"] == "GET"


@requirement("U12", "S7")
def test_a_unit_has_few_connections_and_the_newest_stay(admin, sensor):
    unit, variables, device = sensor
    sockets = [Socket(device) for _ in range(5)]
    try:
        for socket in sockets:
            socket.ask({})
        assert sockets[0].closed_with() == 1008
        admin.put(f"/api/v1/variables/{variables['target']['id']}/value", {"value": 55})
        for socket in sockets[1:]:
            socket.wait_for(lambda inputs: inputs["target"] == 55)
    finally:
        for socket in sockets:
            socket.ws.close(timeout=1)


@requirement("U12", "S5")
def test_inputs_are_pushed_again_after_the_bus_was_away(admin, instance, sensor):
    unit, variables, device = sensor
    with Socket(device) as socket:
        socket.ask({})
        instance.kill("nats")
        instance.restart("nats")
        eventually(lambda: admin.put(f"/api/v1/variables/{variables['target']['id']}/value", {"value": 66}) or True, 40)
        socket.wait_for(lambda inputs: inputs["target"] == 66, 40)
