"""Values as they come (server-sent events), for the browser and others."""
import threading
import time

from conftest import eventually, make_sensor, refused
from feed import Feed
from marks import requirement


def watch(api, **parameters):
    query = "&".join(f"{name}={value}" for name, values in parameters.items() for value in ([values] if isinstance(values, str) else values))
    return Feed(api, path="/api/v1/values/changes?" + query)


def values(feed, count):
    """That many values, by variable, newest last."""
    got, end = [], time.monotonic() + 30
    while len(got) < count:
        assert time.monotonic() < end, got
        name, data = feed.event()
        if name == "value":
            got.append((data["value"]["variable_id"], data["value"]["value"]))
    return got


@requirement("D1", "S3", "S4")
def test_values_of_a_unit_as_they_come(admin, sensor):
    unit, variables, device = sensor
    device.send({"temperature": 20})
    eventually(lambda: admin.get(f"/api/v1/variables/{variables['temperature']['id']}/value")["value"] == 20)
    with watch(admin, unit_ids=unit["id"]) as feed:
        assert feed.event()[0] == "ready"
        assert values(feed, 1) == [(variables["temperature"]["id"], 20)]
        began = time.monotonic()
        device.send({"temperature": 21.5, "note": "ы"})
        assert dict(values(feed, 2)) == {variables["temperature"]["id"]: 21.5, variables["note"]["id"]: "ы"}
        assert time.monotonic() - began < 5
        admin.put(f"/api/v1/variables/{variables['target']['id']}/value", {"value": 33})
        assert values(feed, 1) == [(variables["target"]["id"], 33)]
        # What was measured before is not the newest, though it comes later.
        device.send({"temperature": 1}, age_ms=3_600_000)
        device.send({"temperature": 22})
        assert values(feed, 1) == [(variables["temperature"]["id"], 22)]


@requirement("A3", "A4")
def test_rights_hold_while_it_is_watched(instance, admin, sensor_repo):
    unit, variables, device = make_sensor(admin, sensor_repo, "watched", "ACCESS_LEVEL_PUBLIC")
    admin.post(f"/api/v1/nodes/{unit['id']}:set-level", {"level": "ACCESS_LEVEL_PUBLIC", "with_variables": True})
    guest = instance.api()
    with watch(guest, variable_ids=[variables["temperature"]["id"], variables["count"]["id"]]) as feed:
        assert feed.event()[0] == "ready"
        device.send({"temperature": 1})
        assert values(feed, 1) == [(variables["temperature"]["id"], 1)]
        admin.post(f"/api/v1/nodes/{variables['temperature']['id']}:set-level", {"level": "ACCESS_LEVEL_PRIVATE"})
        while True:
            name, data = feed.event()
            if name == "gone":
                break
        assert data["gone"]["variable_id"] == variables["temperature"]["id"]
        device.send({"temperature": 2, "count": 5})
        assert values(feed, 1) == [(variables["count"]["id"], 5)]
    refused(404, "NOT_FOUND", lambda: watch(guest, variable_ids=variables["temperature"]["id"]))
    refused(400, "INVALID_FIELD", lambda: watch(guest), field="variable_ids")


@requirement("D1")
def test_a_slow_reader_gets_the_newest(admin, sensor):
    _, variables, device = sensor
    with watch(admin, variable_ids=variables["count"]["id"]) as feed:
        assert feed.event()[0] == "ready"
        stop = threading.Event()

        def send():
            for i in range(60):
                while device.send({"count": i}).status == 429:
                    time.sleep(0.05)
            stop.set()
        sender = threading.Thread(target=send)
        sender.start()
        assert stop.wait(60)
        sender.join()
        seen, end = [], time.monotonic() + 30
        while not seen or seen[-1] != 59:
            assert time.monotonic() < end, seen
            name, data = feed.event()
            if name == "value":
                seen.append(data["value"]["value"])
        assert seen == sorted(seen)
