"""Devices over WebSockets: the same sealed frames, and inputs that come by themselves."""
import contextlib
import io
import itertools
import json
import pathlib
import socket as sockets
import subprocess
import sys
import threading
import time
import zipfile

import pytest
import websocket

from conftest import BIN, eventually, make_sensor, readings
from device import Device, Socket
from marks import requirement
from test_links import Pair

CLIENT = pathlib.Path(__file__).resolve().parents[2] / "libs" / "unit-client"
# Says each time what its inputs are; asks for them every 30 s only, so that what comes sooner was pushed.
PYTHON = """import sys, json
sys.path[:0] = [%r]
import pepeunit
unit = pepeunit.Unit(sys.argv[1], log=lambda *words: print("LOG", *words, flush=True))
unit.run(lambda unit: {"count": 1}, 30, changed=lambda unit: print(json.dumps(unit.inputs), flush=True))
""" % str(CLIENT)
# The same as a program under pepeunit-unit.
SHELL = """#!/bin/sh
echo '{"output_variables": {"count": 1}}'
while read -r line; do echo "$line" >&2; done
"""


class Client:
    """One of the two clients in a process of its own."""

    def __init__(self, device, kind, folder, archive, url=None):
        folder.mkdir()
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            packed.extractall(folder)
        if url:
            env = json.loads((folder / "env.json").read_text())
            (folder / "env.json").write_text(json.dumps({**env, "PEPEUNIT_URL": url}))
        if kind == "python":
            (folder / "run.py").write_text(PYTHON)
            command = [sys.executable, str(folder / "run.py"), str(folder)]
        else:
            (folder / "main").write_text(SHELL)
            (folder / "main").chmod(0o755)
            command = [BIN + "/pepeunit-unit", "--poll-s=30", str(folder)]
        self.lines = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def inputs(self):
        for line in reversed(self.lines):
            if line.startswith("{"):
                told = json.loads(line)
                return told.get("input_variables", told)
        return {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(15)
        print("".join(self.lines))


class Between(threading.Thread):
    """Somebody on the way: he knows nothing of WebSockets, or repeats or leaves out what is pushed."""

    def __init__(self, port, does):
        super().__init__(daemon=True)
        self.target, self.does, self.asked, self.done = port, does, 0, 0
        self.listener = sockets.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, sockets.create_connection(("127.0.0.1", self.target)) as onward:
            data = connection.recv(65536)
            back = self._copy
            if data.startswith(b"GET /v1/socket"):
                self.asked += 1
                if self.does == "nothing":
                    return connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                back = self._meddle
            threading.Thread(target=back, args=(onward, connection), daemon=True).start()
            onward.sendall(data)
            self._copy(connection, onward)

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(sockets.SHUT_RDWR)

    def _meddle(self, source, target):
        with contextlib.suppress(OSError), source.makefile("rb") as frames:
            while (line := frames.readline()) != b"\r\n":
                target.sendall(line)
            target.sendall(line)
            while head := frames.read(2):
                if head[1] == 126:
                    head += frames.read(2)
                frame = head + frames.read(int.from_bytes(head[2:] or head[1:2], "big"))
                if frame[len(head):][3:4] == b"\x06" and not self.done:
                    self.done += 1
                    frame = frame * 2 if self.does == "repeat" else b""
                target.sendall(frame)


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


@pytest.fixture(params=["python", "linux"])
def client(request, admin, sensor, tmp_path):
    unit, variables, device = sensor
    archive = admin.get(f"/api/v1/units/{unit['id']}/archive", raw=True)
    return lambda url=None: Client(device, request.param, tmp_path / "device", archive, url)


@requirement("U12")
def test_a_client_is_told_of_its_inputs_at_once(admin, instance, sensor, client):
    unit, variables, device = sensor
    target = f"/api/v1/variables/{variables['target']['id']}/value"
    with client() as running:
        eventually(lambda: running.inputs().get("target") == 20)
        eventually(lambda: [r["value"] for r in readings(admin, variables["count"])] == [1])
        for value in (31, 32, 33):
            begin = time.monotonic()
            admin.put(target, {"value": value})
            eventually(lambda: running.inputs()["target"] == value, 5)
            assert time.monotonic() - begin < 4, "it waited for the next exchange"
        # It is told what it missed, and again of what comes, when the instance is back.
        instance.kill("unit-ingest")
        admin.put(target, {"value": 40})
        instance.restart("unit-ingest")
        eventually(lambda: running.inputs()["target"] == 40, 25)
        eventually(lambda: admin.put(target, {"value": 41}) or running.inputs()["target"] == 41)
    assert len([r for r in readings(admin, variables["count"]) if r["value"] == 1]) <= 3


@pytest.fixture
def between(sensor):
    def begin(does):
        one = Between(int(sensor[2].url.rsplit(":", 1)[1]), does)
        one.start()
        return one
    return begin


@requirement("U12")
def test_a_client_goes_on_over_http_where_there_are_no_websockets(admin, sensor, client, between):
    unit, variables, device = sensor
    somebody = between("nothing")
    with client(somebody.url) as running:
        eventually(lambda: [r["value"] for r in readings(admin, variables["count"])] == [1])
        eventually(lambda: running.inputs().get("target") == 20)
        assert somebody.asked == 1  # and not again and again


@requirement("U12", "S3")
@pytest.mark.parametrize("does", ["repeat", "leave out"])
def test_a_client_notices_who_meddles_with_what_is_pushed(admin, sensor, client, between, does):
    unit, variables, device = sensor
    target = f"/api/v1/variables/{variables['target']['id']}/value"
    somebody = between(does)
    with client(somebody.url) as running:
        eventually(lambda: running.inputs().get("target") == 20)
        eventually(lambda: somebody.asked == 1)
        admin.put(target, {"value": 31})
        eventually(lambda: somebody.done == 1)
        # What was left out shows with the next thing that comes.
        eventually(lambda: admin.put(target, {"value": 32}) or somebody.asked == 2)
        eventually(lambda: running.inputs()["target"] == 32)
        admin.put(target, {"value": 33})
        eventually(lambda: running.inputs()["target"] == 33)
        assert any("a push is not the next" in line for line in running.lines)
