"""Many devices take a version: by the tests' own device, which shares no code with the services and counts what it is sent."""
import hashlib
import io
import os
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

from conftest import PATIENCE, SCHEMA, eventually
from device import Device
from marks import requirement

UNITS, PIECE = 200, 4096
CHANGED = ("file03.txt", "file17.txt")
ENV = "{}"


def content(size=12288):
    return os.urandom(size // 2).hex()


class Fleet:
    """Devices of one repository of 20 files that run its first version and are offered the second, in which 2 changed."""

    def __init__(self, admin, remote, name, count):
        self.admin = admin
        files = {f"file{number:02}.txt": content() for number in range(18)}
        files.update({"schema.json": SCHEMA, "main.py": "print('on')\n"})
        assert len(files) == 20
        self.repo = admin.add_repository(name, remote.publish(name, {**files, "env_example.json": ENV}))
        self.pool = ThreadPoolExecutor(4)
        self.made = list(self.pool.map(self.make, range(count)))
        self.old = self.units()[0]["version"]["commit"]
        self.changed = {path: content() for path in CHANGED}
        remote.publish(name, {**files, **self.changed, "env_example.json": ENV})
        admin.post(f"/api/v1/repo-units/{self.repo['id']}:sync")
        self.new = eventually(self.followed)
        for _, device in self.made:
            assert device.hello().status == 200

    def make(self, number):
        unit = self.admin.post("/api/v1/units", {"repo_unit_id": self.repo["id"], "name": f"device {number}"})
        return unit["id"], Device(self.archive(unit["id"]))

    def archive(self, unit_id):
        return self.admin.get(f"/api/v1/units/{unit_id}/archive", raw=True)

    def units(self):
        return self.admin.list(f"/api/v1/units?repo_unit_id={self.repo['id']}", "units")

    def followed(self):
        commits = {unit["version"]["commit"] for unit in self.units()}
        return commits.pop() if len(commits) == 1 and self.old not in commits else None

    def offer(self, device):
        """What the device is offered when it has said what it runs; the way in hears of a new version a moment later."""
        return eventually(lambda: device.send(state={"commit": self.old}).json.get("update"))


def files_of(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as z:
        return {name: z.read(name) for name in z.namelist() if name != "env.json"}


@requirement("U10", "U13")
def test_200_devices_are_sent_little_more_than_what_changed(admin, remote):
    fleet = Fleet(admin, remote, "fleet", UNITS)
    before = files_of(fleet.archive(fleet.made[0][0]))

    def update(made):
        """Takes the version as a device does: (what was fetched by path, bytes of all answers to update requests)."""
        _, device = made
        offered = fleet.offer(device)
        assert offered["commit"] == fleet.new
        sent, lines, at = 0, [], 0
        while at is not None:
            answer = device.ask_update({"ask": "manifest", "commit": fleet.new, "have": fleet.old, "from": at, "max_answer_bytes": 4000})
            assert answer.status == 200 and answer.json["commit"] == fleet.new and answer.json["from"] == at
            sent += answer.size
            lines += answer.json["files"]
            at = answer.json.get("next")
        assert answer.json["count"] == len(lines) and answer.json["bytes"] == sum(line["size"] for line in lines)
        fetched = {}
        for line in lines:
            whole = b""
            while len(whole) < line["size"]:
                answer = device.ask_update({"ask": "file", "commit": fleet.new, "path": line["path"], "offset": len(whole), "length": PIECE})
                assert answer.status == 200 and answer.piece
                sent += answer.size
                whole += answer.piece
            assert hashlib.sha256(whole).hexdigest() == line["sha256"]
            fetched[line["path"]] = whole
        total = sum(map(len, fetched.values()))
        for state in ("verifying", "restarting"):
            assert device.send(raw={"update": {**offered, "state": state, "done": total, "total": total}}).status == 200
        assert "update" not in device.send(state={"commit": fleet.new}).json
        return fetched, sent

    began = time.monotonic()
    updates = list(fleet.pool.map(update, fleet.made))
    took = time.monotonic() - began
    assert took < 60 * PATIENCE

    # Which is all that differs, so that a device with this in place has the new version.
    after = files_of(fleet.archive(fleet.made[0][0]))
    assert {**before, **updates[0][0]} == after and len(after) == 20
    assert all(set(fetched) == {*CHANGED, "schema.json"} for fetched, _ in updates)
    assert all(fetched[path].decode() == text for fetched, _ in updates for path, text in fleet.changed.items())
    changed = sum(map(len, fleet.changed.values()))
    most = max(sent for _, sent in updates)
    print(f"{most} bytes for {changed} that changed: {most / changed:.3f}; {UNITS} devices in {took:.1f} s")
    assert changed < most <= 1.2 * changed
    eventually(lambda: {unit["update"]["state"] for unit in fleet.units()} == {"UPDATE_STATE_CONFIRMED"})


@requirement("U4", "U10")
def test_only_the_version_that_is_offered_can_be_asked_for(admin, remote):
    fleet = Fleet(admin, remote, "offered", 2)
    (_, device), (_, other) = fleet.made
    offered = fleet.offer(device)

    def piece(**changes):
        return {"ask": "file", "commit": fleet.new, "path": CHANGED[0], "offset": 0, "length": 16, **changes}

    assert device.ask_update(piece()).piece == fleet.changed[CHANGED[0]][:16].encode()
    refused = device.ask_update(piece(commit=fleet.old))
    assert refused.status == 409 and refused.json == {"error": "version", **offered}
    for wrong in ({"path": "env.json"}, {"path": "../schema.json"}, {"path": "none.txt"}, {"length": 0}, {"length": 65537}, {"ask": "all"}):
        refused = device.ask_update(piece(**wrong))
        assert refused.status == 422 and refused.json["error"] == "invalid", wrong
    # With the token of another unit, as an exchange, or a captured one changed: nothing that is sealed comes back.
    request = device.seal(0, piece(), kind=3)
    changed = request[:-1] + bytes([request[-1] ^ 1])
    for status, body, how in ((401, request, {"token": other.token, "path": "/v1/update"}), (400, request, {"path": "/v1/exchange"}),
                              (400, device.seal(0, piece(), kind=1), {"path": "/v1/update"}), (400, changed, {"path": "/v1/update"})):
        answer = device.post(body, **how)
        assert answer.status == status and not answer.sealed
