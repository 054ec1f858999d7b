"""A push goes to devices in phases, and stops by itself on one that breaks."""
import urllib.parse

import pytest
from conftest import eventually
from marks import requirement
from pepeunit.api import Problem
from test_updates import Board, program, push

PLAN = {"phases": [{"group": "canary", "success_percent": 100, "wait": "1s"}, {"percent": 100, "success_percent": 100}]}
BROKEN = {"main.py": "raise ValueError('no such sensor')\n"}


@pytest.fixture
def fleet(admin, remote, tmp_path, request):
    """Three devices of units that follow a repository in phases: the first one alone, then the others."""
    name = request.node.name.replace("_", "-")
    repo = admin.add_repository(name, remote.publish(name, program(1)))
    repo = admin.patch("/api/v1/repo-units/" + repo["id"], {"rollout_plan": PLAN})
    assert [phase["success_percent"] for phase in repo["rollout_plan"]["phases"]] == [100, 100]
    units = [admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": f"{name} {i}", "group": "" if i else "canary"}) for i in range(3)]
    boards = [Board(admin, unit, tmp_path / f"board{i}" / "unit") for i, unit in enumerate(units)]
    for unit in units:
        eventually(lambda: admin.get("/api/v1/units/" + unit["id"])["update"]["state"] == "UPDATE_STATE_CONFIRMED", 40)
    yield name, repo, units, boards
    for board in boards:
        board.daemon.stop()


def newest(admin, repo):
    listed = admin.get(f"/api/v1/repo-units/{repo['id']}/rollouts")["rollouts"]
    return listed[0] if listed else None


def commits(admin, units):
    return [admin.get("/api/v1/units/" + unit["id"])["version"]["commit"] for unit in units]


@requirement("U9", "U10", "U13")
def test_a_push_goes_out_in_phases(admin, remote, fleet):
    name, repo, units, boards = fleet
    before = commits(admin, units)[0]

    # What would happen is shown before it does.
    remote.publish(name, dict(program(2), **BROKEN))
    preview = admin.get(f"/api/v1/repo-units/{repo['id']}/follow-preview")
    assert preview.get("units", 0) == 0  # nothing was fetched so far

    admin.post(f"/api/v1/repo-units/{repo['id']}:sync")
    first = eventually(lambda: newest(admin, repo))
    stopped = eventually(lambda: newest(admin, repo)["state"] == "ROLLOUT_STATE_STOPPED" and newest(admin, repo), 40)
    assert stopped["reason"] == "1 of 1 units failed in phase 1, and none may."
    assert [{key: count for key, count in phase.items() if count} for phase in stopped["phases"]] == [{"units": 1, "failed": 1}, {"units": 2, "waiting": 2}]
    at = commits(admin, units)
    assert at[0] == first["version"]["commit"] and at[1:] == [before, before]
    failed, = admin.get(f"/api/v1/rollouts/{first['id']}/units?state=ROLLOUT_UNIT_STATE_FAILED")["units"]
    assert failed["unit_id"] == units[0]["id"] and "no such sensor" in failed["reason"]
    assert failed["update"]["state"] == "UPDATE_STATE_ROLLED_BACK"
    assert boards[0].text("main.py") == program(1)["main.py"]  # the device helped itself

    # Rolled back it is as before, and no unit follows to that version any more.
    admin.post(f"/api/v1/rollouts/{first['id']}:roll-back")
    eventually(lambda: newest(admin, repo)["state"] == "ROLLOUT_STATE_ROLLED_BACK")
    assert commits(admin, units) == [before] * 3
    admin.post(f"/api/v1/repo-units/{repo['id']}:sync")
    eventually(lambda: admin.get("/api/v1/units/" + units[0]["id"])["update"]["state"] == "UPDATE_STATE_CONFIRMED")
    assert admin.get(f"/api/v1/repo-units/{repo['id']}/follow-preview")["rollout_id"] == first["id"]
    with pytest.raises(Problem) as problem:
        admin.post(f"/api/v1/rollouts/{first['id']}:resume")
    assert problem.value.body["reason"] == "ROLLOUT_STATE"

    # The next version that is pushed goes through both phases, and every device runs it.
    push(admin, remote, repo, name, program(3))
    done = eventually(lambda: newest(admin, repo)["state"] == "ROLLOUT_STATE_COMPLETED" and newest(admin, repo), 60)
    assert [phase["succeeded"] for phase in done["phases"]] == [1, 2]
    assert set(commits(admin, units)) == {done["version"]["commit"]}
    for board in boards:
        assert board.text("main.py") == program(3)["main.py"]


@requirement("U9")
def test_units_follow_releases(admin, remote):
    repo = admin.add_repository("releases", remote.publish("releases", program(1)))
    path = "/api/v1/repo-units/" + repo["id"]
    unit = admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "by release"})

    def tag(name, number):
        remote.publish("releases", program(number), tag=name)

    def preview(**settings):
        return admin.get(path + "/follow-preview?" + urllib.parse.urlencode(settings))

    def version(tag):
        now = admin.get("/api/v1/units/" + unit["id"])["version"]
        return now["tag"] == tag and now

    for number, name in enumerate(("v1.9.0", "v1.10.0-rc.1", "not-a-version"), 2):
        tag(name, number)
    admin.post(path + ":sync")
    eventually(lambda: len(admin.get(path + "/tags")["tags"]) == 3)
    eventually(lambda: version("not-a-version"))  # the tip has this tag
    shown = preview(follow_mode="FOLLOW_MODE_RELEASES")
    assert shown["version"]["tag"] == "v1.9.0" and shown["units"] == 1
    assert [step["units"] for step in shown["steps"]] == [1]
    assert {change["change"] for change in shown["steps"][0]["variables"]} == {"VARIABLE_CHANGE_KIND_KEPT"}
    assert preview(follow_mode="FOLLOW_MODE_RELEASES", pre_releases="true")["version"]["tag"] == "v1.10.0-rc.1"

    assert admin.patch(path, {"follow_mode": "FOLLOW_MODE_RELEASES"})["follow_mode"] == "FOLLOW_MODE_RELEASES"
    assert eventually(lambda: version("v1.9.0"))["branch"] == ""
    tag("v1.10.0", 5)
    admin.post(path + ":sync")
    assert eventually(lambda: version("v1.10.0"))["follow"]
