"""The live feed of graph changes over HTTP."""
import uuid

import pytest

from conftest import eventually, make_sensor
from feed import Feed, Picture
from marks import requirement
from pepeunit.api import Problem

PASSWORD = "correct horse battery"


def person(instance, name):
    api = instance.api()
    api.id = api.sign_up(f"{name}{uuid.uuid4().hex[:8]}", PASSWORD)["user"]["id"]
    return api


def opened(api, last=None):
    feed = Feed(api, last)
    assert feed.event()[0] == "ready"
    return feed


@requirement("A3", "A4", "G1")
def test_one_watches_what_another_does(instance, admin, sensor_repo):
    anna, berta = person(instance, "anna"), person(instance, "berta")
    with opened(berta) as feed:
        seen = Picture()
        unit, variables, _ = make_sensor(anna, sensor_repo, level="ACCESS_LEVEL_PRIVATE")
        path = f"/api/v1/nodes/{unit['id']}"
        anna.put(f"{path}/grants/{berta.id}", {"role": "ROLE_READER"})
        ids = {unit["id"]} | {v["id"] for v in variables.values()}
        seen.follow(feed, lambda p: ids <= set(p.nodes))
        assert seen.nodes[unit["id"]] == berta.get(path)
        assert seen.nodes[unit["id"]]["role"] == "ROLE_READER"
        anna.patch("/api/v1/units/" + unit["id"], {"name": "renamed"})
        seen.follow(feed, lambda p: p.nodes[unit["id"]]["name"] == "renamed")
        link = anna.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": variables["temperature"]["id"], "input_id": variables["target"]["id"]})
        seen.follow(feed, lambda p: link["id"] in p.links)
        assert seen.links[link["id"]] == berta.get("/api/v1/links/" + link["id"])
        anna.patch("/api/v1/variables/" + variables["target"]["id"], {"accepts_links": False})
        seen.follow(feed, lambda p: p.links[link["id"]]["state"] == "LINK_STATE_SUSPENDED")
        anna.delete(f"{path}/grants/{berta.id}")
        seen.follow(feed, lambda p: not ids & set(p.nodes) and not p.links)
        anna.post(path + ":set-level", {"level": "ACCESS_LEVEL_INSTANCE", "with_variables": True})
        seen.follow(feed, lambda p: ids <= set(p.nodes) and link["id"] in p.links)
        anna.delete("/api/v1/units/" + unit["id"])
        seen.follow(feed, lambda p: not ids & set(p.nodes) and not p.links)


@requirement("G1")
def test_a_client_that_comes_back_misses_nothing(instance, sensor_repo):
    anna = person(instance, "anna")
    seen, last, units = Picture(), None, []
    for _ in range(4):
        with opened(anna, last) as feed:
            units.append(make_sensor(anna, sensor_repo)[0]["id"])
            seen.follow(feed, lambda p: units[-1] in p.nodes)  # and goes, perhaps in the middle
            last = feed.last
        units.append(make_sensor(anna, sensor_repo)[0]["id"])
        anna.delete("/api/v1/units/" + units.pop(0))
    with opened(anna, last) as feed:
        marker = make_sensor(anna, sensor_repo)[0]["id"]
        seen.follow(feed, lambda p: marker in p.nodes)
    mine = {u["id"] for u in anna.list("/api/v1/units", "units") if u["owner_id"] == anna.id}
    assert {n for n, node in seen.nodes.items() if node["type"] == "NODE_TYPE_UNIT" and node["owner_id"] == anna.id} == mine
    assert not any(name in ("reset", "error") for name in seen.events)


@requirement("A5")
def test_blocking_ends_the_stream(instance, admin, sensor_repo):
    anna = person(instance, "anna")
    with opened(anna) as feed:
        admin.post(f"/api/v1/users/{anna.id}:block", {})
        while (event := feed.event())[0] != "error":
            pass
        assert event[1]["status"] == 401
        assert feed.event() is None
    with pytest.raises(Problem) as caught:
        Feed(anna)
    assert caught.value.status == 401


@requirement("G1")
def test_ids_that_are_none(instance):
    anonymous = instance.api()
    with pytest.raises(Problem) as caught:
        Feed(anonymous, "x")
    assert caught.value.status == 400
    assert [e["field"] for e in caught.value.body["errors"]] == ["last_event_id"]
    with Feed(anonymous, "18446744073709551615-0") as feed:
        assert feed.event()[0] == "reset"


@requirement("G1", "O5")
def test_a_registry_that_was_killed_has_forgotten_nothing(instance, sensor_repo):
    anna = person(instance, "anna")
    seen = Picture()
    with opened(anna) as feed:
        first = make_sensor(anna, sensor_repo)[0]["id"]
        seen.follow(feed, lambda p: first in p.nodes)
        instance.kill("graph-registry")
        while (event := feed.event()) and event[0] != "error":
            seen.apply(*event)
        last = feed.last
    instance.restart("graph-registry")
    instance.wait_ready()
    second = eventually(lambda: make_sensor(anna, sensor_repo))[0]["id"]
    with eventually(lambda: opened(anna, last)) as feed:
        anna.delete("/api/v1/units/" + first)
        seen.follow(feed, lambda p: second in p.nodes and first not in p.nodes)
