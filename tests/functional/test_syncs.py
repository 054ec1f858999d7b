"""What becomes of a repository's copy: its history is shown, and the secrets of private remotes are nowhere."""
import base64
import glob
import os
import threading

import pytest
from conftest import ENV, SCHEMA, Remote, eventually
from marks import requirement
from pepeunit import repos
from pepeunit.api import Problem

FILES = {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": "print(1)\n"}


def syncs(api, repo, **query):
    return api.get(f"/api/v1/repo-units/{repo['id']}/syncs" + "".join(f"?{k}={v}" for k, v in query.items()))


def sync(api, repo):
    """Asks for one and waits until it is on record."""
    before = len(syncs(api, repo, page_size=100)["syncs"])
    api.post(f"/api/v1/repo-units/{repo['id']}:sync")
    return eventually(lambda: len(found := syncs(api, repo, page_size=100)["syncs"]) > before and found[0])


@requirement("R1", "R2", "R6")
def test_each_sync_is_on_record(admin, remote):
    repo = admin.add_repository("records", remote.publish("records", FILES))
    path = "/api/v1/repo-units/" + repo["id"]
    first, = syncs(admin, repo)["syncs"]
    assert first["state"] == "SYNC_STATE_READY" and int(first["received_bytes"]) > 100 and first["change_count"] == 0
    same = sync(admin, repo)
    assert same["unchanged"] and same["received_bytes"] == "0"
    remote.publish("records", dict(FILES, **{"main.py": "print(2)\n"}), tag="v2")
    moved = sync(admin, repo)
    assert [(change["kind"], change["ref"]) for change in moved["changes"]] == [
        ("REF_CHANGE_KIND_MOVED", "refs/heads/main"), ("REF_CHANGE_KIND_ADDED", "refs/tags/v2")]
    bare = os.path.join(remote.root, "records.git")
    repos.git("branch", "-f", "main", "main~1", cwd=bare)
    assert sync(admin, repo)["changes"][0]["kind"] == "REF_CHANGE_KIND_REWRITTEN"
    day = admin.get(path)["sync"]
    assert day["failures"] == 0 and "next_sync_at" in day

    # A remote that fails is asked less and less often; its owner sees why and when.
    os.rename(bare, bare + ".gone")
    failed = sync(admin, repo)
    assert failed["state"] == "SYNC_STATE_FAILED" and "no git repository" in failed["error"]
    assert eventually(lambda: admin.get(path)["sync"]["failures"] == 1)
    assert admin.get(path)["sync"]["next_sync_at"] < day["next_sync_at"]
    sync(admin, repo)
    assert eventually(lambda: admin.get(path)["sync"]["failures"] == 2)
    os.rename(bare + ".gone", bare)
    assert sync(admin, repo)["unchanged"]
    assert eventually(lambda: admin.get(path)["sync"]["failures"] == 0)
    # In pages, newest first.
    seen, cursor = [], ""
    while True:
        page = admin.get(f"{path}/syncs?page_size=3&cursor={cursor}")
        seen += page["syncs"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == 7 and [entry["began_at"] for entry in seen] == sorted((entry["began_at"] for entry in seen), reverse=True)


@requirement("R3")
def test_branches_and_tags_show_what_is_wrong_at_them(admin, remote):
    repo = admin.add_repository("checked", remote.publish("checked", FILES))
    remote.publish("checked", dict(FILES, **{"schema.json": '{\n  "output_variables": 3\n}'}), tag="broken")
    remote.publish("checked", FILES, tag="good")
    sync(admin, repo)
    path = "/api/v1/repo-units/" + repo["id"]
    tags = {tag["name"]: tag for tag in admin.get(path + "/tags")["tags"]}
    assert tags["good"]["problems"] == []
    problem = tags["broken"]["problems"][0]
    assert (problem["file"], problem["line"], problem["field"]) == ("schema.json", 2, "output_variables")
    assert admin.get(path + "/branches")["branches"][0]["problems"] == []
    # Nothing can be put there.
    unit = admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "checked"})
    with pytest.raises(Problem) as refused:
        admin.post(f"/api/v1/units/{unit['id']}:move", {"pin": {"tag": "broken"}})
    assert refused.value.body["reason"] == "INVALID_REPOSITORY"
    assert refused.value.body["errors"][0]["field"].startswith("schema.json:2 output_variables")


@requirement("R4")
def test_the_password_of_a_private_remote_is_nowhere(instance, admin, tmp_path):
    name, secret = "ada", "known-secret-6f1c29d7"
    private = Remote(str(tmp_path), "--user", f"{name}:{secret}")
    needles = [secret.encode(), base64.b64encode(f"{name}:{secret}".encode()).rstrip(b"=")]
    seen, stop = [], threading.Event()

    def watch():
        """What any process shows of itself while the syncs run: its command line and its environment."""
        while not stop.wait(0.002):
            for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
                try:
                    with open(path, "rb") as f:
                        text = f.read()
                except OSError:
                    continue
                # The server of this test has the password on its own command line.
                if any(needle in text for needle in needles) and b"git-http" not in text:
                    seen.append((path, text))

    watcher = threading.Thread(target=watch)
    try:
        url = private.publish("private", dict(FILES, **{"README.md": "x" * 100_000}))
        watcher.start()
        wrong = {"username": name, "password": secret + "-wrong"}
        repo = admin.post("/api/v1/repo-units", {"name": "private", "url": url, "private": True, "credentials": wrong})
        eventually(lambda: admin.get("/api/v1/repo-units/" + repo["id"])["sync"]["state"] == "SYNC_STATE_FAILED")
        admin.patch("/api/v1/repo-units/" + repo["id"], {"credentials": {"username": name, "password": secret}})
        eventually(lambda: admin.get("/api/v1/repo-units/" + repo["id"])["sync"]["state"] == "SYNC_STATE_READY")
        sync(admin, repo)
        repo = admin.patch("/api/v1/repo-units/" + repo["id"], {"default_branch": "main"})
        unit = admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "of a private one"})
        archive = admin.get(f"/api/v1/units/{unit['id']}/archive", raw=True)
        told = [admin.get("/api/v1/repo-units/" + repo["id"]), syncs(admin, repo), admin.get("/api/v1/audit"), admin.get("/api/v1/users/me")]
    finally:
        stop.set()
        watcher.join()
        private.daemon.stop()
    assert not seen
    texts = {"archive": archive, "answers": repr(told).encode()}
    read = 0
    for folder in (instance.data, instance.run_dir):
        for base, _, files in os.walk(folder):
            for file in files:
                path = os.path.join(base, file)
                try:
                    with open(path, "rb") as f:
                        texts[path] = f.read()
                    read += 1
                except OSError:
                    continue
    assert read > 100 and any("/repositories/" in path for path in texts) and any(path.endswith(".log") for path in texts)
    assert [path for path, text in texts.items() if any(needle in text for needle in needles)] == []
