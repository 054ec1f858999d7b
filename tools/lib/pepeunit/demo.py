"""The demo: a host-monitor unit and a display linked to it, made and started as a user would."""
import datetime
import io
import json
import os
import sys
import time
import zipfile

from .process import Daemon


def find(items, name):
    return next((item for item in items if item["name"] == name), None)


def ensure_standard(api, standard, say):
    """Adds the standard repositories that are not there yet (R11); all of them by name."""
    there = api.list("/api/v1/repo-units", "repo_units")
    repos = {}
    for entry in standard:
        repo = next((r for r in there if r["url"] == entry["url"]), None)
        if repo is None:
            say(f"adding the repository {entry['name']}")
            repo = api.post("/api/v1/repo-units", {"name": entry["name"], "url": entry["url"]})
        repo = api.wait_synced(repo["id"])
        if not repo["default_branch"]:
            repo = api.patch("/api/v1/repo-units/" + repo["id"], {"default_branch": repo["sync"]["remote_head"]})
        repos[entry["name"]] = repo
    return repos


def ensure_unit(api, name, repo):
    unit = find(api.list("/api/v1/units", "units"), name)
    return unit or api.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": name, "level": "ACCESS_LEVEL_INSTANCE"})


def device(instance, name):
    folder = os.path.join(instance.data, "demo", name)
    return Daemon("demo-" + name, [sys.executable, "-u", "boot.py"], instance.run_dir, instance.log_dir, cwd=folder, where=folder)


def devices(instance):
    root = os.path.join(instance.data, "demo")
    return [device(instance, name) for name in sorted(os.listdir(root))] if os.path.isdir(root) else []


def unpack(api, unit, folder, url):
    os.makedirs(folder, mode=0o700, exist_ok=True)
    archive = api.get(f"/api/v1/units/{unit['id']}/archive", raw=True)
    with zipfile.ZipFile(io.BytesIO(archive)) as z:
        z.extractall(folder)
    # A unit made while the instance answered elsewhere has that address: its owner puts the new one in.
    path = os.path.join(folder, "env.json")
    with open(path) as f:
        env = json.load(f)
    if env["PEPEUNIT_URL"] != url:
        env["PEPEUNIT_URL"] = url
        with open(path, "w") as f:
            json.dump(env, f)


def fresh(value, begin):
    # The second is for a device whose clock was set from an answer.
    return "time" in value and datetime.datetime.fromisoformat(value["time"]) > begin - datetime.timedelta(seconds=1)


def run(instance, api, repos, say):
    monitor = ensure_unit(api, "demo-host-monitor", repos["host-monitor"])
    display = ensure_unit(api, "demo-display", repos["display"])
    load = api.variables(monitor["id"])["cpu_load"]
    value = api.variables(display["id"])["value"]
    links = api.list("/api/v1/links?node_id=" + value["id"], "links")
    if not any(link["output_id"] == load["id"] for link in links):
        say("linking host-monitor.cpu_load to display.value")
        api.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": load["id"], "input_id": value["id"]})
    for unit, name in ((monitor, "host-monitor"), (display, "display")):
        daemon = device(instance, name)
        if daemon.pid() is None:
            say(f"downloading and starting {name}")
            unpack(api, unit, os.path.join(instance.data, "demo", name), instance.device_url)
            daemon.start()
    say("waiting for readings")
    begin = datetime.datetime.now(datetime.timezone.utc)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        reading = api.get(f"/api/v1/variables/{load['id']}/value")
        shown = api.get(f"/api/v1/variables/{value['id']}/value")
        if fresh(reading, begin) and fresh(shown, begin):
            return monitor, display, load, value, reading, shown
        time.sleep(0.3)
    logs = "\n".join(daemon.last_lines() for daemon in devices(instance))
    raise RuntimeError("the demo's readings did not arrive:\n" + logs)
