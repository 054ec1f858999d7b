"""Bodies that were captured and sent again change nothing: at once, after restarts, and on another replica."""
from conftest import eventually, make_sensor, readings
from marks import requirement


@requirement("U1", "O5")
def test_replayed_bodies_are_refused_everywhere(instance, admin, sensor_repo):
    unit, variables, device = make_sensor(admin, sensor_repo, "replayed")
    target, inputs, _ = make_sensor(admin, sensor_repo, "driven")
    admin.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": variables["temperature"]["id"], "input_id": inputs["target"]["id"]})
    captured = []
    for number in (1, 2, 3):
        eventually(lambda: device.send({"count": number, "temperature": 10 + number}).status == 200)
        captured.append(device.last_body)
    eventually(lambda: len(readings(admin, variables["count"])) == 3)
    eventually(lambda: admin.get(f"/api/v1/variables/{inputs['target']['id']}/value")["value"] == 13)
    admin.put(f"/api/v1/variables/{inputs['target']['id']}/value", {"value": 50})
    eventually(lambda: admin.get(f"/api/v1/variables/{inputs['target']['id']}/value")["value"] == 50)

    def nothing_changes(url):
        for index, body in enumerate(captured):
            answer = eventually(lambda: (lambda a: a if a.status != 503 else None)(device.post(body, url=url)))
            assert answer.status == 409 and answer.json["error"] == "sequence" and answer.json["next"] == device.next
            # Only the very last one is told that it is stored: that is how a device that lost the answer learns it.
            assert answer.json["accepted"] == (index == len(captured) - 1)
        assert [r["value"] for r in readings(admin, variables["count"])] == [1, 2, 3]
        assert admin.get(f"/api/v1/variables/{inputs['target']['id']}/value")["value"] == 50

    nothing_changes(None)
    other = f"http://127.0.0.1:{instance.start_replica('unit-ingest')}"
    nothing_changes(other)
    # A warm replica that did not see what the other one took refuses it too.
    assert device.send({"count": 4, "temperature": 14}).status == 200
    captured.append(device.last_body)
    admin.put(f"/api/v1/variables/{inputs['target']['id']}/value", {"value": 50})
    eventually(lambda: len(readings(admin, variables["count"])) == 4)
    answer = device.post(captured[-1], url=other)
    assert answer.status == 409 and answer.json["accepted"]
    assert device.post(captured[0], url=other).status == 409
    assert [r["value"] for r in readings(admin, variables["count"])] == [1, 2, 3, 4]
    # And the device may go on over either.
    body = device.seal(device.next, {"output_variables": [{"values": {"count": 5}}]})
    assert device.post(body, url=other).status == 200
    device.next += 1
    assert device.send({"count": 6}).status == 200
    eventually(lambda: len(readings(admin, variables["count"])) == 6)
    captured[:] = [body]
    instance.replicas.pop("unit-ingest-2").stop()

    for name in ("unit-ingest", "state-logger", "nats", "postgres"):
        instance.kill(name)
    for name in ("postgres", "nats", "state-logger", "unit-ingest"):
        instance.restart(name)
    instance.wait_ready()
    eventually(lambda: device.post(captured[0]).status == 409)
    # The gateway may take a moment to find state-logger again.
    assert eventually(lambda: [r["value"] for r in readings(admin, variables["count"])]) == [1, 2, 3, 4, 5, 6]
