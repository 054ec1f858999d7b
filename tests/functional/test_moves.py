"""A new commit reaches the units that follow, through git, the sync, the graph and the device's own answer."""
import json

from conftest import ENV, SCHEMA, eventually, make_sensor, readings
from marks import requirement


def changed_schema():
    """Of SCHEMA: `mode` is gone, `humidity` is new, `note` becomes a number."""
    schema = json.loads(SCHEMA)
    del schema["input_variables"]["mode"]
    schema["output_variables"]["humidity"] = {"type": "number"}
    schema["output_variables"]["note"] = {"type": "number"}
    return json.dumps(schema)


@requirement("U8", "U9", "G3", "R6")
def test_a_push_moves_who_follows(admin, remote):
    url = remote.publish("moving", {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": "1\n"})
    repo = admin.add_repository("moving", url)
    unit, before, device = make_sensor(admin, repo, "follows")
    pinned, _, _ = make_sensor(admin, repo, "pinned")
    move = admin.post(f"/api/v1/units/{pinned['id']}:move", {"pin": {"commit": unit["version"]["commit"]}})
    assert {change["change"] for change in move["variables"]} == {"VARIABLE_CHANGE_KIND_KEPT"}
    kept = admin.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": before["temperature"]["id"], "input_id": before["target"]["id"]})
    gone = admin.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": before["note"]["id"], "input_id": before["mode"]["id"]})
    old = unit["version"]["commit"]
    assert device.send({"temperature": 21.5, "count": 7, "note": "auto"}, {"commit": old}).status == 200
    assert "update" not in device.send({"count": 8}).json
    eventually(lambda: len(readings(admin, before["count"])) == 2 and readings(admin, before["note"]))

    remote.publish("moving", {"schema.json": changed_schema(), "env_example.json": ENV, "main.py": "2\n"})
    admin.post(f"/api/v1/repo-units/{repo['id']}:sync")
    now = eventually(lambda: (lambda u: u["version"]["commit"] != old and u)(admin.get("/api/v1/units/" + unit["id"])))
    assert now["version"]["follow"] and now["version"]["branch"] == "main"
    assert admin.get("/api/v1/units/" + pinned["id"])["version"]["commit"] == old

    after = admin.variables(unit["id"])
    assert set(after) == {"target", "guarded", "temperature", "count", "note", "silent", "humidity"}
    assert all(after[name]["id"] == before[name]["id"] for name in ("target", "temperature", "count"))
    assert after["note"]["id"] != before["note"]["id"]
    assert [link["id"] for link in admin.list("/api/v1/links?node_id=" + unit["id"], "links")] == [kept["id"]] != [gone["id"]]
    # What stays keeps its history; what goes leaves nothing.
    assert [r["value"] for r in readings(admin, after["count"])] == [7, 8]
    assert readings(admin, after["note"]) == []
    # The device is told, and what it sends is checked against the new version.
    eventually(lambda: device.send({"humidity": 40}).json["update"]["commit"] == now["version"]["commit"])
    eventually(lambda: readings(admin, after["humidity"]))
    assert device.send({"count": 9}, {"commit": now["version"]["commit"]}).json.get("update") is None


@requirement("U8", "U9")
def test_a_preview_says_what_a_move_does_and_does_nothing(admin, remote):
    url = remote.publish("previewed", {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": "1\n"})
    repo = admin.add_repository("previewed", url)
    unit, variables, _ = make_sensor(admin, repo, "stays")
    admin.post(f"/api/v1/units/{unit['id']}:move", {"pin": {"commit": unit["version"]["commit"]}})
    remote.publish("previewed", {"schema.json": changed_schema(), "env_example.json": ENV, "main.py": "2\n"})
    admin.post(f"/api/v1/repo-units/{repo['id']}:sync")
    move = eventually(lambda: (lambda m: m["to"]["commit"] != unit["version"]["commit"] and m)(
        admin.post(f"/api/v1/units/{unit['id']}:move", {"follow": True, "preview": True})))
    assert move["preview"] is True
    said = {change["name"]: change["change"].removeprefix("VARIABLE_CHANGE_KIND_") for change in move["variables"]}
    assert said == {"target": "KEPT", "guarded": "KEPT", "temperature": "KEPT", "count": "KEPT", "silent": "KEPT",
                    "note": "REPLACED", "mode": "REMOVED", "humidity": "ADDED"}
    assert {name: v["id"] for name, v in admin.variables(unit["id"]).items()} == {name: v["id"] for name, v in variables.items()}
    assert admin.get("/api/v1/units/" + unit["id"])["version"]["commit"] == unit["version"]["commit"]
    assert {r["action"] for r in admin.list("/api/v1/audit?node_id=" + unit["id"], "records")} == {"unit.create", "unit.move"}
