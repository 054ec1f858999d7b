"""`tools/bench sync`: how many remotes one instance follows, on this machine alone: what serves them runs beside it."""
import json
import os
import shutil
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from pepeunit import repos
from pepeunit.instance import Instance, free_ports

FILES = {"schema.json": '{"output_variables": {"value": {"type": "number"}}}', "env_example.json": "{}", "main.py": "print(1)\n"}


def make_remotes(root, folder, count):
    """Repositories of 20 commits and 5 tags each."""
    source, first = os.path.join(folder, "source"), os.path.join(root, "r0.git")
    os.makedirs(source)
    for number in range(20):
        for name, text in dict(FILES, counter=str(number)).items():
            with open(os.path.join(source, name), "w") as f:
                f.write(text)
        repos.publish(source, first)
        if number % 4 == 0:
            repos.git("tag", f"v{number}.0.0", "main", cwd=first)
    repos.git("repack", "-adq", cwd=first)
    for number in range(1, count):
        shutil.copytree(first, os.path.join(root, f"r{number}.git"))


def cpu_seconds(pid):
    """Of a process and of its children that have ended."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def wait(instance, count, condition):
    """Until so many repositories are as the condition says; the seconds that it took."""
    began = time.monotonic()
    while int(instance.postgres.psql(f"SELECT count(*) FROM repo.repository WHERE {condition}")[0][0]) < count:
        if time.monotonic() - began > 600:
            raise RuntimeError("the syncs did not end in time")
        time.sleep(0.05)
    return time.monotonic() - began


def bytes_of_a_round(url):
    """What one listing of refs takes on the wire, both ways, with about what a client sends beside its path."""
    with urllib.request.urlopen(f"{url}/info/refs?service=git-upload-pack") as answer:
        return len(answer.read()) + len(str(answer.headers)) + len(url) + 200


def run(options, bin_dir, say):
    folder = tempfile.mkdtemp(prefix="pub-", dir="/tmp")
    os.chmod(folder, 0o755)
    root, log = os.path.join(folder, "git"), os.path.join(folder, "requests")
    os.makedirs(root)
    port = free_ports(1)[0]
    server = repos.server(root, port, folder, folder, "--access-log", log)
    instance = Instance(os.path.join(folder, "i"), bin_dir, settings={
        "PEPEUNIT_PRIVATE_REMOTES": "*", "PEPEUNIT_LOG_LEVEL": "warning", "PEPEUNIT_SYNC_WORKERS": str(options.workers),
        "PEPEUNIT_HTTP_CHANGES_BURST": "1000000"})
    try:
        say(f"making {options.remotes} remotes")
        make_remotes(root, folder, options.remotes)
        server.start()
        say("starting a private instance")
        instance.start()
        api = instance.api()
        api.sign_in("admin", instance.secret("admin-password"))
        pid = instance.services["repo-sync"].pid()

        def add(number):
            body = {"name": f"r{number}", "url": f"http://127.0.0.1:{port}/r{number}.git", "no_automatic_sync": True}
            return api.post("/api/v1/repo-units", body)["id"]

        say("first clones")
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            ids = list(pool.map(add, range(options.remotes)))
        wait(instance, options.remotes, "state = 3 AND done_requests = 1")
        clones = time.monotonic() - began
        say("syncs of unchanged remotes")
        os.truncate(log, 0)
        before = cpu_seconds(pid)
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda repo: api.post(f"/api/v1/repo-units/{repo}:sync"), ids))
        wait(instance, options.remotes, "state = 3 AND done_requests = 2")
        took = time.monotonic() - began
        cpu = cpu_seconds(pid) - before
        with open(log) as f:
            requests = f.read().splitlines()
        records = [api.get(f"/api/v1/repo-units/{repo}/syncs?page_size=1")["syncs"][0] for repo in ids]
        slowest = max(float(record["duration"].rstrip("s")) for record in records)
        print(json.dumps({
            "unchanged_per_minute": round(60 * options.remotes / took), "first_clones_per_minute": round(60 * options.remotes / clones),
            "unchanged": sum(record["unchanged"] for record in records), "remotes": options.remotes, "workers": options.workers,
            "cpu_ms_each": round(1000 * cpu / options.remotes, 1), "requests_each": round(len(requests) / options.remotes, 2),
            "bytes_each": round(len(requests) / options.remotes * bytes_of_a_round(f"http://127.0.0.1:{port}/r0.git")),
            "slowest_ms": round(1000 * slowest)}), flush=True)
        return 0 if all(record["unchanged"] for record in records) else 1
    finally:
        server.stop()
        instance.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(instance.run_dir, ignore_errors=True)
