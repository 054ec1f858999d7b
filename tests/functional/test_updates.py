"""Over the air: a push reaches a running device, which comes back by itself when the new version does not hold."""
import io
import json
import pathlib
import subprocess
import sys
import zipfile

import pytest
from conftest import BIN, ENV, SCHEMA, eventually, readings
from marks import requirement
from pepeunit.process import Daemon

CLIENT = pathlib.Path(__file__).resolve().parents[2] / "libs" / "unit-client"
CLIENT_FILES = ("boot.py", "pepeunit.py", "pepeunit_guard.py", "pepeunit_socket.py", "pepeunit_update.py")
PROGRAM = """from pepeunit import Unit

def main():
    Unit().run(lambda unit: {"count": %d}, 0.3)
"""


def program(number, **more):
    files = {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": PROGRAM % number, "lib/kept.py": "# kept\n" * 500}
    files.update({name: (CLIENT / name).read_text() for name in CLIENT_FILES})
    files.update({name.replace("__", "/") + ".py": text for name, text in more.items()})
    return files


class Board:
    """A device in a folder: a unit's archive, unpacked and started by boot.py, or as a board with Linux does."""

    def __init__(self, api, unit, folder, linux=False):
        self.folder = folder
        archive = f"/api/v1/units/{unit['id']}/archive"
        if linux:
            folder.mkdir()
            packed = api.get(archive + "?format=ARCHIVE_FORMAT_TAR_GZ", raw=True)
            subprocess.run(["tar", "xz", "-C", str(folder)], input=packed, check=True)
            command = [BIN + "/pepeunit-unit", "--poll-s=0.3", str(folder)]
        else:
            with zipfile.ZipFile(io.BytesIO(api.get(archive, raw=True))) as z:
                z.extractall(folder)
            command = [sys.executable, "-u", "boot.py"]
        self.env = (folder / "env.json").read_bytes()
        self.daemon = Daemon("board", command, str(folder.parent), str(folder.parent), cwd=str(folder))
        self.daemon.start()

    def text(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else None


@pytest.fixture
def board(admin, tmp_path):
    started = []

    def start(unit, linux=False):
        started.append(Board(admin, unit, tmp_path / "board", linux))
        return started[-1]
    yield start
    for one in started:
        one.daemon.stop()


def push(admin, remote, repo, name, files):
    """Publishes and syncs; the unit's version once it has followed."""
    remote.publish(name, files)
    admin.post(f"/api/v1/repo-units/{repo['id']}:sync")


@requirement("U9", "U10", "U13")
def test_a_push_reaches_a_device_that_runs(admin, remote, board):
    repo = admin.add_repository("ota", remote.publish("ota", program(1, lib__changed="# old\n", lib__gone="# gone\n")))
    unit = admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "over the air"})
    path = "/api/v1/units/" + unit["id"]
    count = admin.variables(unit["id"])["count"]
    assert unit["update"]["state"] == "UPDATE_STATE_UNKNOWN"
    device = board(unit)

    def update():
        return admin.get(path)["update"]

    def settled(commit_of):
        now = admin.get(path)
        assert now["version"]["commit"] != commit_of
        assert now["update"]["state"] == "UPDATE_STATE_CONFIRMED", now["update"]
        return now

    first = eventually(lambda: settled(""))["version"]["commit"]
    assert update()["running_commit"] == first and "running_since" in update()
    eventually(lambda: readings(admin, count)[-1]["value"] == 1)

    second = program(2, lib__changed="# new\n", added__deep__er="# added\n")
    push(admin, remote, repo, "ota", second)
    version = eventually(lambda: settled(first), 40)["version"]["commit"]
    assert update()["running_commit"] == version
    eventually(lambda: readings(admin, count)[-1]["value"] == 2)
    assert device.text("lib/changed.py") == "# new\n" and device.text("added/deep/er.py") == "# added\n"
    assert device.text("lib/gone.py") is None and device.text("lib/kept.py") == second["lib/kept.py"]
    assert json.loads(device.text("schema.json"))["pepeunit"] == {"commit": version, "unit": unit["id"]}
    assert (device.folder / "env.json").read_bytes() == device.env
    assert device.text("env_example.json") is None

    # One that breaks at its start is taken back by the device itself, and the instance says why.
    push(admin, remote, repo, "ota", dict(second, **{"main.py": "raise ValueError('no such sensor')\n"}))
    eventually(lambda: update()["state"] == "UPDATE_STATE_ROLLED_BACK", 40)
    told = update()
    assert "no such sensor" in told["reason"] and told["running_commit"] == version
    assert told["attempts_failed"] == 1 and told.get("attempts_left", 0) == 0
    assert device.text("main.py") == PROGRAM % 2
    seen = len(readings(admin, count))
    eventually(lambda: len(readings(admin, count)) > seen + 2)
    assert update()["state"] == "UPDATE_STATE_ROLLED_BACK"  # it is not tried again

    # The maintainer may have it tried again, which ends alike; the next version is fetched at once.
    admin.post(path + ":retry-update")
    eventually(lambda: update()["state"] == "UPDATE_STATE_ROLLED_BACK" and "no such sensor" in update()["reason"], 40)
    push(admin, remote, repo, "ota", program(4))
    eventually(lambda: readings(admin, count)[-1]["value"] == 4, 40)
    eventually(lambda: update()["state"] == "UPDATE_STATE_CONFIRMED")
    assert device.text("added/deep/er.py") is None and not (device.folder / "added").exists()
    assert (device.folder / "env.json").read_bytes() == device.env


SHELL = """#!/bin/sh
while true; do echo '{"output_variables": {"count": %d}}'; sleep 0.3; done
"""


@requirement("U10", "U13")
def test_a_board_with_linux_runs_a_program_in_any_language(admin, remote, board):
    """A shell script and a compiled client that is not replaced over the air: pepeunit-unit."""
    def files(script):
        return {"schema.json": SCHEMA, "env_example.json": ENV, "main": script, "data.txt": "kept\n" * 500}

    repo = admin.add_repository("linux", remote.publish("linux", files(SHELL % 1)))
    unit = admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "with linux"})
    count = admin.variables(unit["id"])["count"]
    device = board(unit, linux=True)
    eventually(lambda: [one["value"] for one in readings(admin, count)][-1:] == [1])

    def update():
        return admin.get("/api/v1/units/" + unit["id"])["update"]

    push(admin, remote, repo, "linux", files(SHELL % 2))
    eventually(lambda: [one["value"] for one in readings(admin, count)][-1:] == [2], 40)
    eventually(lambda: update()["state"] == "UPDATE_STATE_CONFIRMED")
    assert device.text("main") == SHELL % 2 and device.text("data.txt") == "kept\n" * 500
    push(admin, remote, repo, "linux", files("#!/bin/sh\necho 'no such bus' >&2\nexit 4\n"))
    eventually(lambda: update()["state"] == "UPDATE_STATE_ROLLED_BACK", 40)
    assert update()["reason"] == "the program ended with exit code 4: no such bus"
    assert device.text("main") == SHELL % 2
    eventually(lambda: [one["value"] for one in readings(admin, count)][-1:] == [2])
    assert (device.folder / "env.json").read_bytes() == device.env
