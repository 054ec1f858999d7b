"""The client against an instance that loses, refuses, forges and delays."""
import json
import socket
import time

import pepeunit
import pytest
from conftest import COMMIT


def due(unit):
    """Lets the client try at once, and says how long it would have waited."""
    waited = unit.wait_ms()
    unit._not_before = 0
    return waited


def test_first_exchange_asks_for_the_sequence_and_sends(unit, instance):
    instance.mark = 41
    unit.state(ip="10.0.0.7")
    unit.put("t", 21.5)
    assert unit.exchange()
    assert instance.hellos == 1
    assert instance.mark == 42
    assert instance.stored == [{"t": 21.5}]
    assert instance.states == [{"commit": COMMIT, "ip": "10.0.0.7"}]
    assert unit.inputs == {"target": 21}
    assert abs(unit.utc_ms - 1767323045000) < 2000
    assert instance.connections == 1


def test_nothing_to_say_is_a_hello_that_uses_no_sequence(unit, instance):
    assert unit.exchange()
    mark = instance.mark
    instance.inputs = {"target": 5}
    assert unit.exchange()
    assert instance.mark == mark
    assert unit.inputs["target"] == 5


def test_inputs_have_their_defaults_before_the_first_answer(unit):
    assert unit.inputs == {"target": 20}
    assert unit.utc_ms is None


def test_a_lost_answer_sends_the_same_bytes_and_stores_once(unit, instance):
    unit.put("t", 1.5)
    instance.faults = [None, "lose the answer", "lose the answer"]
    assert not unit.exchange()
    unit.put("t", 2.5)
    due(unit)
    assert unit.exchange()
    assert instance.bodies[1] == instance.bodies[2] == instance.bodies[-1]
    assert instance.stored == [{"t": 1.5}]
    assert unit.exchange()
    assert instance.stored == [{"t": 1.5}, {"t": 2.5}]
    assert unit.waiting() == 0


def test_a_lost_request_sends_the_same_bytes(unit, instance):
    unit.put("t", 1.5)
    instance.faults = [None, "lose the request", "lose the request"]
    assert not unit.exchange()
    due(unit)
    assert unit.exchange()
    assert len(set(instance.bodies[1:])) == 1
    assert instance.stored == [{"t": 1.5}]


def test_a_restart_goes_on_behind_the_mark(folder, instance):
    for value in (1.5, 2.5):
        unit = pepeunit.Unit(str(folder))
        unit.put("t", value)
        assert unit.exchange()
        unit.close()
    assert instance.mark == 2
    assert instance.stored == [{"t": 1.5}, {"t": 2.5}]


def test_a_used_sequence_is_replaced(unit, instance):
    assert unit.exchange()
    instance.mark = 900
    unit.put("t", 1.5)
    assert unit.exchange()
    assert instance.mark == 901
    assert instance.stored == [{"t": 1.5}]


def test_busy_waits_as_long_as_it_is_told_and_keeps_the_bytes(unit, instance):
    unit.put("t", 1.5)
    instance.faults = [None, {"error": "busy", "retry_after_ms": 30000}]
    assert not unit.exchange()
    assert 29000 <= due(unit) <= 46000
    assert unit.exchange()
    assert instance.bodies[1] == instance.bodies[2]
    assert instance.stored == [{"t": 1.5}]


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 429, 500, 503])
def test_what_is_not_sealed_is_a_hint_only(unit, instance, status):
    unit.put("t", 1.5)
    assert unit.exchange()
    unit.put("t", 2.5)
    instance.faults = [status]
    assert not unit.exchange()
    assert due(unit) >= (30000 if status == 401 else 7000)
    assert unit.waiting() == 1
    assert unit.exchange()
    assert instance.stored == [{"t": 1.5}, {"t": 2.5}]


def test_failures_wait_longer_and_longer(unit, instance):
    instance.faults = ["lose the request"] * 40
    waits = []
    for _ in range(9):
        assert not unit.exchange()
        waits.append(due(unit))
    assert waits[0] <= 1000
    assert 25000 <= waits[-1] <= 60000
    instance.faults = []
    assert unit.exchange()
    assert unit.wait_ms() == 0


def test_a_forged_answer_is_not_believed(unit, instance):
    unit.put("t", 1.5)
    assert unit.exchange()
    unit.put("t", 2.5)
    instance.faults = ["change the answer", b'{"input_variables":{"target":99}}', b"PU" + b"\0" * 90, b""]
    for _ in range(4):
        assert not unit.exchange()
        due(unit)
        assert unit.inputs == {"target": 21}
    assert unit.exchange()
    assert instance.stored == [{"t": 1.5}, {"t": 2.5}]


def test_an_old_answer_is_not_believed(unit, instance):
    from instance import seal_answer
    assert unit.exchange()
    old = seal_answer(instance.key, unit._uuid, 0, instance.bodies[0][-32:], {"next": 1, "input_variables": {"target": 99}})
    instance.faults = [old]
    assert not unit.exchange()
    assert unit.inputs == {"target": 21}


def test_one_bad_value_does_not_hold_up_the_others(unit, instance):
    instance.bad_names = {"h", "ip"}
    unit.state(ip="x", uptime_s=4)
    unit.report({"t": 1.5, "h": 70})
    unit.put("h", 71)
    unit.put("t", 2.5)
    assert unit.exchange()
    assert instance.stored == [{"t": 1.5}, {"t": 2.5}]
    assert instance.states == [{"commit": COMMIT, "uptime_s": 4}]
    assert unit.dropped == 2


def test_more_bad_values_than_one_answer_names(unit, instance):
    instance.bad_names = {"h"}
    for n in range(50):
        unit.report({"t": n, "h": n})
    while unit.waiting():
        assert unit.exchange()
    assert instance.stored == [{"t": n} for n in range(50)]
    assert unit.dropped == 50


def test_a_refusal_that_names_nothing_drops_the_batch(unit, instance):
    unit.put("t", 1.5)
    instance.faults = [None, {"error": "invalid", "detail": "no"}]
    assert unit.exchange()
    unit.put("t", 2.5)
    assert unit.exchange()
    assert instance.stored == [{"t": 2.5}]


def test_a_state_that_is_refused_as_a_whole_costs_no_reading(unit, instance):
    unit.state(uptime_s=4)
    unit.put("t", 1.5)
    instance.faults = [None, {"error": "invalid", "errors": [{"field": "unit_state", "detail": "is too large"}]}]
    assert unit.exchange()
    assert instance.stored == [{"t": 1.5}]
    assert instance.states == [{"commit": COMMIT}]
    assert unit.dropped == 0


def test_a_state_that_is_too_large_is_left_out(unit, instance):
    unit.state(log="x" * 3000)
    unit.put("t", 1.5)
    assert unit.exchange()
    assert instance.stored == [{"t": 1.5}]
    assert instance.states == [{"commit": COMMIT}]
    with pytest.raises(TypeError):
        unit.state(x={1})  # where the program gave it, not in the exchange
    unit.put("t", 2.5)
    assert unit.exchange()


def test_a_batch_goes_out_with_ages_in_bodies_within_the_bound(unit, instance):
    for n in range(200):
        unit.put("t", n)
    time.sleep(0.05)
    while unit.waiting():
        assert unit.exchange()
    assert [r["t"] for r in instance.stored] == list(range(200))
    assert max(map(len, instance.bodies)) <= unit.max_body + 92
    assert instance.mark == 4  # at most 64 readings each
    assert min(instance.ages) >= 50


def test_the_queue_is_bounded_and_loses_the_oldest(folder, instance):
    unit = pepeunit.Unit(str(folder), max_queue=10)
    for n in range(25):
        unit.put("t", n)
    assert unit.waiting() == 10
    assert unit.dropped == 15
    assert unit.exchange()
    assert [r["t"] for r in instance.stored] == list(range(15, 25))
    unit.close()


def test_readings_that_never_left_get_their_true_age(unit, instance, monkeypatch):
    assert unit.exchange()
    unit.close()
    port, unit.port = unit.port, 1
    unit.put("t", 1.5)
    assert not unit.exchange()
    time.sleep(0.2)
    unit.port = port
    due(unit)
    assert unit.exchange()
    assert instance.ages == [pytest.approx(200, abs=150)]
    assert instance.ages[0] >= 190


def test_what_the_schema_does_not_know_is_dropped_here(unit, instance):
    unit.put("nonsense", 1)
    unit.put("t", float("nan"))
    unit.put("h", float("inf"))
    unit.state(ip=float("nan"))
    unit.put("t", {"a": [1, float("nan")]})
    unit.report({"t": "x" * 5000})
    assert unit.waiting() == 0
    assert unit.dropped == 5
    assert unit.exchange()
    assert instance.stored == []


def test_a_kept_connection_that_was_closed_is_opened_again(unit, instance):
    unit.put("t", 1.5)
    instance.faults = [None, "close after"]
    assert unit.exchange()
    time.sleep(0.05)
    unit.put("t", 2.5)
    assert unit.exchange()
    assert instance.connections == 2
    assert len(instance.stored) == 2


def test_the_offered_version_is_passed_on(unit, instance):
    instance.update = "d" * 40
    assert unit.exchange()
    assert unit.update == "d" * 40
    instance.update = None
    assert unit.exchange()
    assert unit.update is None


@pytest.mark.parametrize("answer", [
    b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"a" * 9000,
    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", b"\r\n\r\n"])
def test_broken_http_is_a_failure_and_no_more(folder, answer):
    listener = socket.create_server(("127.0.0.1", 0))
    env = json.loads((folder / "env.json").read_text())
    env["PEPEUNIT_URL"] = "http://127.0.0.1:%d" % listener.getsockname()[1]
    (folder / "env.json").write_text(json.dumps(env))
    import threading

    def serve():
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(answer)
        connection.close()
    threading.Thread(target=serve, daemon=True).start()
    unit = pepeunit.Unit(str(folder), timeout_s=1)
    assert not unit.exchange()
    assert unit.wait_ms() > 0
    listener.close()


def test_an_answer_that_drips_is_given_up(folder):
    listener = socket.create_server(("127.0.0.1", 0))
    env = json.loads((folder / "env.json").read_text())
    env["PEPEUNIT_URL"] = "http://127.0.0.1:%d" % listener.getsockname()[1]
    (folder / "env.json").write_text(json.dumps(env))
    import threading

    def serve():
        connection, _ = listener.accept()
        try:
            while True:
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            pass
    threading.Thread(target=serve, daemon=True).start()
    unit = pepeunit.Unit(str(folder), timeout_s=1)
    began = time.monotonic()
    assert not unit.exchange()
    assert time.monotonic() - began < 3
    listener.close()


@pytest.mark.parametrize("url, host, port, path", [
    ("http://10.0.0.2", "10.0.0.2", 80, "/v1/exchange"),
    ("http://pepe.example:8081/", "pepe.example", 8081, "/v1/exchange"),
    ("http://[::1]:8081/a/b", "::1", 8081, "/a/b/v1/exchange"),
    ("http://[::1]", "::1", 80, "/v1/exchange")])
def test_addresses(unit, url, host, port, path):
    unit._target(url)
    assert (unit.host, unit.port, unit._path) == (host, port, path)


def test_the_loop_samples_exchanges_and_survives_a_bad_sensor(unit, instance):
    calls = []

    def sample(u):
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("no sensor")
        if len(calls) == 5:
            raise SystemExit
        return {"t": len(calls)}

    with pytest.raises(SystemExit):
        unit.run(sample, period_s=0.02, changed=lambda u: None)
    assert [r["t"] for r in instance.stored] == [1, 3, 4]
