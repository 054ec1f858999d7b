"""What changes under a unit while its device lives: its keys, its env.json, the repository that it follows."""
import glob
import io
import json
import os
import zipfile

from conftest import SCHEMA, eventually, make_sensor, readings, refused
from device import Device
from marks import requirement
from pepeunit import repos

SECRETS = ("PEPEUNIT_TOKEN", "SYNC_ENCRYPT_KEY", "SECRET_KEY")


def env_of(api, unit):
    with zipfile.ZipFile(io.BytesIO(api.get(f"/api/v1/units/{unit['id']}/archive", raw=True))) as z:
        return json.loads(z.read("env.json"))


@requirement("U4", "U5", "U10", "U1")
def test_a_reset_env_shuts_out_who_has_the_old_one(admin, instance, sensor_repo):
    unit, variables, old = make_sensor(admin, sensor_repo, "stolen")
    assert old.send({"count": 1}).status == 200
    captured = old.seal(old.next, {"output_variables": [{"values": {"count": 66}}]})
    before = env_of(admin, unit)

    reset = admin.post(f"/api/v1/units/{unit['id']}:reset-env")
    assert reset["id"] == unit["id"] and reset["etag"] != unit["etag"]
    eventually(lambda: old.post(old.seal(0, {})).status == 401)
    for body in (captured, old.seal(0, {})):
        answer = old.post(body)
        assert answer.status == 401 and answer.problem()["reason"] == "UNAUTHENTICATED"

    after = env_of(admin, unit)
    assert {key for key in after if after[key] != before.get(key)} == set(SECRETS) and set(after) == set(before)
    device = Device(env=after, unit=unit["id"])
    # The old key is worth nothing with the new token either, nor the new key with the old token.
    answer = device.post(captured)
    assert answer.status == 400 and answer.problem()["reason"] == "BAD_ENVELOPE"
    assert device.post(device.seal(0, {}), token=old.token).status == 401
    # The sequence numbers go on where they were, so what was captured once stays refused.
    assert device.hello().status == 200 and device.next == old.next
    assert device.send({"count": 2}).status == 200
    eventually(lambda: [r["value"] for r in readings(admin, variables["count"])] == [1, 2])

    audit = admin.list("/api/v1/audit?node_id=" + unit["id"], "records")
    assert audit[0]["action"] == "unit.reset-env"
    written = json.dumps(audit) + json.dumps(reset)
    for path in glob.glob(os.path.join(instance.log_dir, "*.log")):
        with open(path, errors="replace") as f:
            written += f.read()
    for env in (before, after):
        assert not [key for key in SECRETS if env[key] in written]


@requirement("U4", "U8", "U9", "U10", "R6")
def test_env_json_follows_its_version_and_keeps_its_values(admin, remote):
    first = '{"WIFI_SSID": "", "PERIOD_S": 1, "OLD": "x"}'
    second = '{"PERIOD_S": 60, "ZONE": "hall", "WIFI_SSID": "changed", "SECRET_KEY": "sample"}'
    repo = admin.add_repository("env", remote.publish("env", {"schema.json": SCHEMA, "env_example.json": first, "main.py": "1\n"}))
    unit, variables, device = make_sensor(admin, repo, "follows")
    pinned, _, _ = make_sensor(admin, repo, "by hand")
    commit = unit["version"]["commit"]
    admin.post(f"/api/v1/units/{pinned['id']}:move", {"pin": {"commit": commit}})
    before, before_pinned = env_of(admin, unit), env_of(admin, pinned)
    assert device.send({"count": 1}).status == 200

    remote.publish("env", {"schema.json": SCHEMA, "env_example.json": second, "main.py": "2\n"})
    admin.post(f"/api/v1/repo-units/{repo['id']}:sync")
    now = eventually(lambda: (lambda u: u["version"]["commit"] != commit and u)(admin.get("/api/v1/units/" + unit["id"])))
    kept = {key: value for key, value in before.items() if key != "OLD"}
    assert env_of(admin, unit) == dict(kept, ZONE="hall")
    # The device that runs on its old file goes on.
    eventually(lambda: device.send({"count": 2}).status == 200)
    eventually(lambda: [r["value"] for r in readings(admin, variables["count"])] == [1, 2])

    path, there = f"/api/v1/units/{pinned['id']}:move", {"pin": {"commit": now["version"]["commit"]}}
    preview = admin.post(path, dict(there, preview=True))
    assert preview["env_added"] == ["ZONE"] and preview["env_removed"] == ["OLD"] and "hall" not in json.dumps(preview)
    assert env_of(admin, pinned) == before_pinned
    moved = admin.post(path, there)
    assert moved["env_added"] == ["ZONE"] and moved["env_removed"] == ["OLD"]
    expected = {key: value for key, value in before_pinned.items() if key != "OLD"}
    assert env_of(admin, pinned) == dict(expected, ZONE="hall")
    admin.post(path, {"pin": {"commit": commit}})
    assert env_of(admin, pinned) == before_pinned


@requirement("U9", "R3")
def test_a_unit_that_cannot_follow_says_why(admin, remote):
    good = {"schema.json": SCHEMA, "env_example.json": "{}", "main.py": "1\n"}
    repo = admin.add_repository("stuck", remote.publish("stuck", good))
    unit, _, _ = make_sensor(admin, repo, "stuck")
    path = "/api/v1/units/" + unit["id"]
    assert unit.get("follow_problem") is None

    def publish(files):
        remote.publish("stuck", files)
        admin.post(f"/api/v1/repo-units/{repo['id']}:sync")

    def problem(reason):
        def seen():
            found = admin.get(path).get("follow_problem") or {}
            return found.get("reason") == "FOLLOW_PROBLEM_REASON_" + reason and found
        return eventually(seen)

    publish(dict(good, **{"schema.json": '{\n"output_variables": {"t": {"type": "nunber"}}}'}))
    found = problem("INVALID_FILES")
    wrong = found["problems"][0]
    assert (wrong["file"], wrong["line"], wrong["field"]) == ("schema.json", 2, "output_variables.t.type") and wrong["message"]
    assert "schema.json:2" in found["detail"] and len(found["commit"]) == 40 and found["since"]
    assert admin.get(path)["version"] == unit["version"]
    assert [u for u in admin.list("/api/v1/units?repo_unit_id=" + repo["id"], "units") if u["follow_problem"]["reason"] == found["reason"]]

    publish(dict(good, **{"main.py": "2\n"}))
    eventually(lambda: admin.get(path)["version"]["commit"] != unit["version"]["commit"])
    assert admin.get(path).get("follow_problem") is None

    repos.git("branch", "-m", "main", "trunk", cwd=os.path.join(remote.root, "stuck.git"))
    admin.post(f"/api/v1/repo-units/{repo['id']}:sync")
    assert "main" in problem("BRANCH_GONE")["detail"]
    eventually(lambda: admin.patch("/api/v1/repo-units/" + repo["id"], {"default_branch": "trunk"}))
    eventually(lambda: admin.get(path)["version"]["branch"] == "trunk" and admin.get(path).get("follow_problem") is None)


@requirement("R10", "R7", "R6", "A4")
def test_a_repository_that_units_hang_on_stays(admin, instance, remote):
    maker, other = instance.api(), instance.api()
    maker.sign_up("rule.maker", "correct horse battery")
    other.sign_up("rule.other", "correct horse battery")
    url = remote.publish("hangs", {"schema.json": SCHEMA, "env_example.json": "{}", "main.py": ""})
    repo = maker.post("/api/v1/repo-units", {"name": "hangs", "url": url})
    refused(409, "NOT_CONFIGURED", other.post, "/api/v1/units", {"repo_unit_id": repo["id"], "name": "early"})
    maker.wait_synced(repo["id"])
    maker.patch("/api/v1/repo-units/" + repo["id"], {"default_branch": "main"})
    theirs = other.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "theirs"})
    own = maker.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "own"})
    told = refused(409, "IN_USE", maker.delete, "/api/v1/repo-units/" + repo["id"])
    assert told["detail"].startswith("2 units are made from this repository, 1 of them by others") and theirs["id"] not in json.dumps(told)
    refused(403, "FORBIDDEN", other.delete, "/api/v1/repo-units/" + repo["id"])
    refused(403, "FORBIDDEN", other.post, f"/api/v1/repo-units/{repo['id']}:sync")
    maker.post(f"/api/v1/repo-units/{repo['id']}:sync")
    maker.delete("/api/v1/units/" + own["id"])
    other.delete("/api/v1/units/" + theirs["id"])
    maker.delete("/api/v1/repo-units/" + repo["id"])
    refused(404, "NOT_FOUND", maker.get, "/api/v1/repo-units/" + repo["id"])


@requirement("R1", "R4", "R8", "R9")
def test_what_of_a_repository_never_changes_and_never_comes_out(admin, instance, remote):
    url = remote.url("secret-place")
    secret = "open-sesame-2026"
    repo = admin.post("/api/v1/repo-units", {"name": "locked", "url": url, "private": True, "credentials": {"username": "ali", "password": secret}})
    path = "/api/v1/repo-units/" + repo["id"]
    for body, field in (({"url": "https://h/other"}, "url"), ({"private": False}, "private"), ({"owner_id": repo["owner_id"]}, "owner_id"),
                        ({"credentials": {"username": "a:b", "password": "x"}}, "credentials.username"),
                        ({"credentials": {"username": "a", "password": ""}}, "credentials.password"),
                        ({"sync_period": "300.5s"}, "sync_period"), ({"sync_period": "600s", "no_automatic_sync": True}, "sync_period")):
        refused(400, "INVALID_FIELD", admin.patch, path, body, field=field)
    changed = admin.patch(path, {"credentials": {"username": "morgiana", "password": secret + "!"}, "no_automatic_sync": True})
    assert changed.get("sync_period") is None
    told = json.dumps([repo, changed, admin.get(path), admin.get("/api/v1/nodes/" + repo["id"]), admin.list("/api/v1/repo-units", "repo_units"),
                       admin.list("/api/v1/audit?node_id=" + repo["id"], "records")])
    for log in glob.glob(os.path.join(instance.log_dir, "*.log")):
        with open(log, errors="replace") as f:
            told += f.read()
    assert secret not in told and "morgiana" not in told
    rows = instance.postgres.psql("SELECT t::text FROM graph.repo_unit t") + instance.postgres.psql("SELECT t::text FROM repo.repository t")
    assert rows and secret.encode().hex() not in json.dumps(rows) and secret not in json.dumps(rows)
    admin.delete(path)
