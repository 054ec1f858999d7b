"""Repositories over SSH, from a real server, as their owner sees them."""
import io
import os
import signal
import subprocess
import zipfile

import leaks
from conftest import ENV, SCHEMA, eventually, refused
from marks import requirement
from ssh_remote import keygen, read, ssh_remote  # noqa: F401

PASSPHRASE = "c0rrect-h0rse-battery"


def add(api, url, **more):
    return api.post("/api/v1/repo-units", dict({"name": "over ssh", "url": url, "private": True}, **more))


def synced(api, repo, state, since=None):
    """The repository once a sync has ended so, after the one that is known."""
    def ended():
        now = api.get("/api/v1/repo-units/" + repo["id"])
        return now if now["sync"]["state"] == "SYNC_STATE_" + state and now["sync"]["since"] != since else None
    return eventually(ended, 60)


@requirement("R1", "R2", "R4")
def test_a_key_with_a_passphrase_opens_a_repository_and_is_left_nowhere(admin, instance, ssh_remote, tmp_path):
    key = keygen(str(tmp_path / "key"), "-t", "ed25519", passphrase=PASSPHRASE)
    private = read(key)
    ssh_remote.admit(key)
    url = ssh_remote.publish("firmware", {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": "print(1)\n"})
    repo = add(admin, url, credentials={"private_key": private, "passphrase": PASSPHRASE})
    assert repo.get("ssh_host_key", "") == ""
    repo = synced(admin, repo, "READY")
    assert repo["ssh_host_key"] == repo["sync"]["ssh_host_key"] == ssh_remote.host_keys["ed25519"]
    repo = admin.patch("/api/v1/repo-units/" + repo["id"], {"default_branch": "main"})
    unit = admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "u"})
    archive = admin.get(f"/api/v1/units/{unit['id']}/archive", raw=True)
    files = zipfile.ZipFile(io.BytesIO(archive))
    assert files.read("main.py") == b"print(1)\n"

    # A sync that hangs shows what a worker shows to whoever lists processes.
    service = instance.services["repo-sync"].pid()
    sshd = subprocess.run(["pgrep", "-P", str(ssh_remote.process.pid)], capture_output=True, text=True, check=True).stdout.split()
    for pid in sshd:
        os.kill(int(pid), signal.SIGSTOP)
    try:
        admin.post(f"/api/v1/repo-units/{repo['id']}:sync")
        shown = eventually(lambda: (lambda s: s if any("--worker" in text for text in s.values()) else None)(leaks.processes(service)))
    finally:
        for pid in sshd:
            os.kill(int(pid), signal.SIGCONT)
    synced(admin, repo, "READY", since=repo["sync"]["since"])

    texts = {f"process {pid}": text for pid, text in shown.items()}
    texts["archive"] = "".join(files.read(name).decode(errors="replace") for name in files.namelist())
    texts["answer"] = repr(admin.get("/api/v1/repo-units/" + repo["id"]))
    body = private.split("\n")[1]  # what is in no other key
    dump = leaks.database(instance)
    assert repo["id"] in dump
    leaks.assert_nowhere(instance, [PASSPHRASE, private, body], dump, texts)
    copy = os.path.join(instance.data, "repositories", repo["id"])
    for secret in (PASSPHRASE, body):
        assert subprocess.run(["grep", "-r", "--", secret, copy], capture_output=True).returncode == 1


@requirement("R1", "R2", "R9")
def test_a_changed_host_key_stops_syncs_until_the_owner_accepts_it(admin, ssh_remote, tmp_path):
    key = keygen(str(tmp_path / "key"), "-t", "ed25519")
    ssh_remote.admit(key)
    url = ssh_remote.publish("firmware", {"schema.json": SCHEMA, "env_example.json": ENV})
    repo = add(admin, url, credentials={"private_key": read(key)}, ssh_host_key=ssh_remote.host_keys["ecdsa"])
    repo = synced(admin, repo, "READY")
    before = ssh_remote.host_keys["ecdsa"]
    assert repo["ssh_host_key"] == before

    ssh_remote.renew_host_keys()
    admin.post(f"/api/v1/repo-units/{repo['id']}:sync")
    repo = synced(admin, repo, "FAILED")
    now = ssh_remote.host_keys["ed25519"]
    assert before in repo["sync"]["error"] and now in repo["sync"]["error"], repo["sync"]
    assert (repo["ssh_host_key"], repo["sync"]["ssh_host_key"]) == (before, now)
    refused(400, "INVALID_FIELD", admin.patch, "/api/v1/repo-units/" + repo["id"], {"ssh_host_key": "yes"}, field="ssh_host_key")
    accepted = admin.patch("/api/v1/repo-units/" + repo["id"], {"ssh_host_key": repo["sync"]["ssh_host_key"]})
    assert accepted["ssh_host_key"] == now
    repo = synced(admin, repo, "READY")  # at once, without being asked for
    assert repo["ssh_host_key"] == now


@requirement("R2", "R4")
def test_a_key_that_does_not_open_is_told_and_replaced(admin, ssh_remote, tmp_path):
    url = ssh_remote.publish("firmware", {"schema.json": SCHEMA, "env_example.json": ENV})
    stranger = keygen(str(tmp_path / "stranger"), "-t", "rsa", "-b", "2048")
    key = keygen(str(tmp_path / "key"), "-t", "rsa", "-b", "2048", "-m", "PEM", passphrase=PASSPHRASE)
    ssh_remote.admit(key)
    repo = synced(admin, add(admin, url, credentials={"private_key": read(stranger)}), "FAILED")
    assert repo["sync"]["error"] == f"The remote refused the key for the user {ssh_remote.user}."
    assert repo["ssh_host_key"] == ssh_remote.host_keys["ed25519"]  # pinned all the same
    path = "/api/v1/repo-units/" + repo["id"]
    admin.patch(path, {"credentials": {"private_key": read(key), "passphrase": "another"}})

    def told():  # a retry with the key of before may end between
        now = synced(admin, repo, "FAILED")
        return now if "passphrase is missing or wrong" in now["sync"]["error"] else None

    repo = eventually(told, 60)
    admin.patch(path, {"credentials": {"private_key": read(key), "passphrase": PASSPHRASE}})
    synced(admin, repo, "READY")


@requirement("R1", "R4")
def test_fields_of_a_repository_over_ssh(admin):
    for more, field in (({"private": False}, "private"), ({}, "credentials"), ({"credentials": {"username": "u", "password": "p"}}, "credentials.username"),
                        ({"credentials": {"private_key": "x"}}, "credentials.private_key"),
                        ({"credentials": {"password": "p"}, "ssh_host_key": "x"}, "ssh_host_key")):
        refused(400, "INVALID_FIELD", lambda: add(admin, "git@example.org:x.git", **more), field=field)
