"""A repository with signing keys: what git signed with one of them is offered, and nothing else; the reason is shown."""
import os
import subprocess

import pytest
from conftest import ENV, SCHEMA, eventually, refused, write_tree
from marks import requirement
from pepeunit import repos
from ssh_remote import keygen, read

FILES = {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": "print('on')\n"}


class SignedRemote:
    """A repository that is committed to, tagged and signed by git itself."""

    def __init__(self, remote, folder, name):
        self.folder, self.bare, self.url = folder, os.path.join(remote.root, name + ".git"), remote.url(name)
        self.work = os.path.join(folder, "work")
        self.keys = {who: keygen(os.path.join(folder, who), "-t", "ed25519") for who in ("ada", "eve")}
        self.number = 0
        repos.git("init", "--quiet", "--bare", self.bare)
        repos.git("init", "--quiet", self.work)
        write_tree(self.work, FILES)

    def public(self, who):
        return read(self.keys[who] + ".pub").strip()

    def fingerprint(self, who):
        return subprocess.run(["ssh-keygen", "-l", "-f", self.keys[who]], capture_output=True, text=True, check=True).stdout.split()[1]

    def git(self, *arguments, key=None):
        signing = ["-c", "gpg.format=ssh", "-c", "user.signingkey=" + self.keys[key]] if key else []
        return repos.git(*signing, *arguments, cwd=self.work)

    def commit(self, key=None):
        """The id of a new commit on main, signed by a key or not."""
        self.number += 1
        write_tree(self.work, {"counter": str(self.number)})
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", f"number {self.number}", *(["-S"] if key else []), key=key)
        self.push()
        return self.git("rev-parse", "HEAD")

    def tag(self, name, key=None):
        self.git("tag", *(["-s", "-m", name] if key else []), name, key=key)
        self.push()

    def push(self):
        self.git("push", "--quiet", self.bare, "+HEAD:refs/heads/main", "--tags")


@pytest.fixture
def signed(remote, tmp_path, request):
    return SignedRemote(remote, str(tmp_path), request.node.name.replace("_", "-"))


def at(admin, unit):
    return admin.get("/api/v1/units/" + unit["id"])["version"]["commit"]


@requirement("U9", "U13")
def test_only_signed_versions_are_offered(admin, signed):
    first = signed.commit("ada")
    repo = admin.add_repository("signed", signed.url, signing_keys={"keys": [signed.public("ada")]})
    path = "/api/v1/repo-units/" + repo["id"]
    assert repo["signing_keys"] == {"keys": [signed.public("ada")]}
    unit = admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "careful"})
    assert at(admin, unit) == first

    def sync():
        admin.post(path + ":sync")

    def problem():
        return admin.get("/api/v1/units/" + unit["id"]).get("follow_problem")

    # One without a signature, and one by somebody else: the unit stays, and says why.
    for key, why in ((None, "is not signed"), ("eve", "is signed by a key that is not listed, " + signed.fingerprint("eve"))):
        commit = signed.commit(key)
        sync()
        told = eventually(lambda: problem() and problem()["commit"] == commit and problem())
        assert told["reason"] == "FOLLOW_PROBLEM_REASON_UNSIGNED" and f"commit {commit[:12]} {why}:" in told["detail"]
        assert at(admin, unit) == first
        branch, = admin.get(path + "/branches")["branches"]
        assert branch["signature"] == {"signed_by": "", "tag": "", "problem": why}
        assert admin.get(path + "/follow-preview")["problem"]["reason"] == "FOLLOW_PROBLEM_REASON_UNSIGNED"
        body = refused(409, "UNSIGNED_VERSION", admin.post, "/api/v1/units", {"repo_unit_id": repo["id"], "name": "x", "pin": {"commit": commit}})
        assert why in body["detail"]
        refused(409, "UNSIGNED_VERSION", admin.post, f"/api/v1/units/{unit['id']}:move", {"pin": {"commit": commit}})
        refused(409, "UNSIGNED_VERSION", admin.post, "/api/v1/rollouts",
                {"repo_unit_id": repo["id"], "pin": {"branch": "main"}, "plan": {"phases": [{"percent": 100, "success_percent": 100}]}})

    # A signed tag vouches for the commit that it names.
    signed.tag("approved", "ada")
    sync()
    eventually(lambda: at(admin, unit) == commit)
    assert not problem()
    tag, = admin.get(path + "/tags")["tags"]
    assert tag["signature"] == {"signed_by": signed.fingerprint("ada"), "tag": "approved", "problem": ""}
    commits = admin.get(path + "/commits")["commits"]
    assert [one["signature"]["signed_by"] for one in commits] == [signed.fingerprint("ada"), "", signed.fingerprint("ada")]

    # Keys that are taken out of the list count no more, new ones at once; units stay where they are until then.
    last = signed.commit("eve")
    sync()
    eventually(lambda: problem() and problem()["commit"] == last)
    admin.patch(path, {"signing_keys": {"keys": [signed.public("eve")]}})
    eventually(lambda: at(admin, unit) == last)
    unsigned = signed.commit()
    admin.patch(path, {"signing_keys": {}})
    eventually(lambda: at(admin, unit) == unsigned)
    assert "signature" not in admin.get(path + "/branches")["branches"][0]
    assert "signing_keys" not in admin.get(path)


@requirement("U9")
def test_the_newest_release_that_is_signed_wins(admin, signed):
    signed.commit()
    signed.tag("v1.0.0", "ada")
    first = signed.git("rev-parse", "HEAD")
    repo = admin.add_repository("signed releases", signed.url)
    path = "/api/v1/repo-units/" + repo["id"]
    admin.patch(path, {"follow_mode": "FOLLOW_MODE_RELEASES", "signing_keys": {"keys": [signed.public("ada")]}})
    unit = admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "on releases"})
    assert at(admin, unit) == first
    second = signed.commit()
    signed.tag("v1.1.0", "ada")
    signed.commit()
    signed.tag("v2.0.0")          # nobody's
    signed.commit()
    signed.tag("v3.0.0", "eve")
    admin.post(path + ":sync")
    eventually(lambda: at(admin, unit) == second)
    assert admin.get("/api/v1/units/" + unit["id"])["version"]["tag"] == "v1.1.0"


def test_keys_that_are_none_are_refused_by_their_place(admin, signed):
    signed.commit()
    repo = admin.add_repository("keys", signed.url)
    for keys, field in (([signed.public("ada"), "ssh-ed25519 no"], "signing_keys.keys[1]"), (["x"] * 21, "signing_keys.keys"),
                        ([read(signed.keys["ada"])], "signing_keys.keys[0]")):
        refused(400, "INVALID_FIELD", admin.patch, "/api/v1/repo-units/" + repo["id"], {"signing_keys": {"keys": keys}}, field=field)
