"""The whole path through the public ports only: a person with the API, a device with the program out of its zip."""
import io
import json
import os
import sys
import time
import zipfile

import pytest

from conftest import ROOT, eventually, make_sensor, readings, refused
from marks import requirement
from pepeunit import repos
from pepeunit.process import Daemon

pytestmark = pytest.mark.quick


@requirement("A1", "R1", "R2", "R3", "R7", "R9", "R11", "U1", "U2", "U3", "U4", "U6", "G1", "G2", "G3", "G4", "S1", "S2", "S3", "S4", "D1", "O5")
def test_from_a_repository_to_a_reading_in_another_device(instance, remote, tmp_path):
    for name in ("thermostat", "display"):
        repos.publish(os.path.join(ROOT, "deploy", "standard-units", name), os.path.join(remote.root, name + ".git"))
    api = instance.api()
    api.sign_up("ada.maker", "correct horse battery")

    repo = api.post("/api/v1/repo-units", {"name": "thermostat", "url": remote.url("thermostat")})
    refused(409, "NOT_CONFIGURED", api.post, "/api/v1/units", {"repo_unit_id": repo["id"], "name": "too early"})
    repo = api.wait_synced(repo["id"])
    assert repo["sync"]["remote_head"] == "main" and not repo["sync"]["problems"]
    assert os.path.isdir(os.path.join(instance.data, "repositories", repo["id"]))
    branch = api.get(f"/api/v1/repo-units/{repo['id']}/branches")["branches"][0]
    assert branch["name"] == "main"
    commits = api.get(f"/api/v1/repo-units/{repo['id']}/commits?branch=main")["commits"]
    assert commits[0]["id"] == branch["commit"]
    assert api.get(f"/api/v1/repo-units/{repo['id']}/tags")["tags"] == []
    api.patch("/api/v1/repo-units/" + repo["id"], {"default_branch": "main"})
    display_repo = api.add_repository("display", remote.url("display"))

    thermostat = api.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "Living room"})
    display = api.post("/api/v1/units", {"repo_unit_id": display_repo["id"], "name": "Hall"})
    assert thermostat["version"] == {"repo_unit_id": repo["id"], "commit": branch["commit"], "tag": "", "branch": "main", "follow": True}
    outputs, shown = api.variables(thermostat["id"]), api.variables(display["id"])
    link = api.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": outputs["temperature"]["id"], "input_id": shown["value"]["id"]})
    refused(409, "ALREADY_EXISTS", api.post, "/api/v1/links",
            {"type": "LINK_TYPE_READ", "output_id": outputs["temperature"]["id"], "input_id": shown["value"]["id"]})
    assert [one["id"] for one in api.list("/api/v1/links?node_id=" + thermostat["id"], "links")] == [link["id"]]

    devices = []
    try:
        for unit in (thermostat, display):
            folder = tmp_path / unit["name"].replace(" ", "-")
            with zipfile.ZipFile(io.BytesIO(api.get(f"/api/v1/units/{unit['id']}/archive", raw=True))) as z:
                names = z.namelist()
                assert not [n for n in names if "example" in n or n.startswith(".git")]
                assert {"env.json", "schema.json", "boot.py", "main.py", "pepeunit.py"} <= set(names)
                z.extractall(folder)
            env = json.loads((folder / "env.json").read_text())
            assert env["PEPEUNIT_URL"] == instance.device_url and env["PEPEUNIT_TOKEN"].count(".") == 2
            env["PERIOD_S"] = 1
            (folder / "env.json").write_text(json.dumps(env))
            devices.append(Daemon(unit["name"].replace(" ", "-"), [sys.executable, "boot.py"], str(tmp_path), str(tmp_path), cwd=str(folder)))
            devices[-1].start()

        def value(variable):
            return api.get(f"/api/v1/variables/{variable['id']}/value")

        first = eventually(lambda: value(outputs["temperature"]) if value(outputs["temperature"]).get("time") else None, 40)
        assert isinstance(first["value"], (int, float))
        # The link carries it into the display, and the display's own program shows it and says so.
        eventually(lambda: value(shown["value"])["value"] is not None)
        eventually(lambda: value(shown["shown"])["value"] in [str(r["value"]) for r in readings(api, outputs["temperature"])], 40)
        # A person sets an input, and the room follows.
        api.put(f"/api/v1/variables/{outputs['target_temperature']['id']}/value", {"value": 27})
        eventually(lambda: value(outputs["target_temperature"])["value"] == 27)
        eventually(lambda: value(outputs["heating"])["value"] is True or value(outputs["temperature"])["value"] > 21, 40)
        state = eventually(lambda: api.get(f"/api/v1/units/{thermostat['id']}/state"))
        assert state["state"]["commit"] == branch["commit"] and state["last_seen"]
        # History, page by page, oldest first, each reading once.
        eventually(lambda: len(readings(api, outputs["temperature"])) >= 3)
        url = f"/api/v1/variables/{outputs['temperature']['id']}/readings?page_size=1"
        pages = [api.get(url)]
        while pages[-1].get("next_cursor") and len(pages) < 3:
            pages.append(api.get(url + "&cursor=" + pages[-1]["next_cursor"]))
        times = [page["readings"][0]["time"] for page in pages]
        assert times == sorted(set(times)) and len(times) == 3
    finally:
        for daemon in devices:
            assert daemon.stop(), daemon.last_lines()
            assert daemon.exit_code == 0, daemon.last_lines()


@requirement("G2", "G4", "S3")
def test_both_types_of_link_carry_values(admin, sensor_repo):
    source, outputs, device = make_sensor(admin, sensor_repo, "source")
    for kind in ("LINK_TYPE_WRITE", "LINK_TYPE_READ"):
        _, inputs, target = make_sensor(admin, sensor_repo, "target " + kind)
        assert target.hello().status == 200 and target.inputs["target"] == 20
        admin.post("/api/v1/links", {"type": kind, "output_id": outputs["temperature"]["id"], "input_id": inputs["target"]["id"]})

        def arrives(number):
            # A link that was just drawn takes a moment to reach unit-ingest.
            assert device.send({"temperature": number}).status == 200
            assert target.hello().status == 200
            return target.inputs["target"] == number

        eventually(lambda: arrives(33.5))
        # What does not fit the input's bounds is not carried, and hurts nobody.
        assert device.send({"temperature": 400}).status == 200
        eventually(lambda: arrives(34))


@requirement("D1", "S4", "S2")
def test_batches_with_ages_history_and_values_of_every_type(admin, sensor):
    unit, variables, device = sensor
    device.hello()
    before = int(time.time() * 1000)
    answer = device.send(raw={"output_variables": [{"age_ms": 60000 - 1000 * i, "values": {"count": i}} for i in range(60)] +
                              [{"age_ms": 0, "values": {"note": "a \"quoted\" \\ line\nand\ttext: температура", "silent": 1.25, "count": 60}}]})
    assert answer.status == 200, answer.json
    rows = eventually(lambda: (lambda found: found if len(found) == 61 else None)(readings(admin, variables["count"])))
    assert [row["value"] for row in rows] == list(range(61))
    assert rows[0]["time"] < rows[1]["time"]
    note = admin.get(f"/api/v1/variables/{variables['note']['id']}/value")
    assert note["value"] == "a \"quoted\" \\ line\nand\ttext: температура"
    # `logging: off` keeps the newest value only.
    assert admin.get(f"/api/v1/variables/{variables['silent']['id']}/value")["value"] == 1.25
    assert readings(admin, variables["silent"]) == []
    assert admin.get(f"/api/v1/variables/{variables['count']['id']}/value")["value"] == 60
    # An older reading that comes late is history, not the current value.
    assert device.send({"count": 7}, age_ms=3_000_000).status == 200
    eventually(lambda: len(readings(admin, variables["count"])) == 62)
    assert admin.get(f"/api/v1/variables/{variables['count']['id']}/value")["value"] == 60
    assert abs(device.world["unix_ms"] - before) < 60_000


@requirement("U11", "U5", "R10")
def test_deleting_a_unit_takes_everything(admin, instance, sensor_repo):
    unit, variables, device = make_sensor(admin, sensor_repo, "short-lived")
    assert device.send({"count": 1}).status == 200
    eventually(lambda: len(readings(admin, variables["count"])) == 1)
    refused(409, "IN_USE", admin.delete, "/api/v1/repo-units/" + sensor_repo["id"])
    admin.delete("/api/v1/units/" + unit["id"])
    refused(404, "NOT_FOUND", admin.get, "/api/v1/units/" + unit["id"])
    refused(404, "NOT_FOUND", admin.get, f"/api/v1/variables/{variables['count']['id']}/value")
    eventually(lambda: device.post(device.seal(device.next, {})).status == 401)
    eventually(lambda: instance.postgres.psql(f"SELECT count(*) FROM log.series WHERE variable_id = '{variables['count']['id']}'") == [["0"]])
