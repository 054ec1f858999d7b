import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tools", "lib"), os.path.dirname(os.path.abspath(__file__))]

from pepeunit import repos  # noqa: E402
from pepeunit.api import Problem  # noqa: E402
from pepeunit.instance import Instance, free_ports  # noqa: E402
from device import Device  # noqa: E402

BIN = os.environ.get("PEPEUNIT_BIN", os.path.join(ROOT, "build", "release", "bin"))
# Sanitizers slow everything down.
PATIENCE = 4 if any(name in BIN for name in ("address", "thread")) else 1

SCHEMA = """{
  "world_state": ["utc"],
  "unit_state": {"commit": {"type": "string"}},
  "input_variables": {
    "target": {"type": "number", "minimum": 0, "maximum": 100, "default": 20},
    "mode": {"type": "string", "choices": ["auto", "off"], "default": "auto"},
    "guarded": {"type": "number", "writable_by": []}
  },
  "output_variables": {
    "temperature": {"type": "number", "unit": "°C"},
    "count": {"type": "integer"},
    "note": {"type": "string"},
    "silent": {"type": "number", "logging": "off"}
  }
}
"""
ENV = '{"WIFI_SSID": "", "PEPEUNIT_URL": "overwritten", "PERIOD_S": 1}\n'


def eventually(check, timeout=20):
    """The first true result of `check`, which may raise meanwhile."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        try:
            result = check()
            if result:
                return result
        except (AssertionError, Problem, OSError):
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def write_tree(folder, files):
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(content)
        if content.startswith("#!"):
            os.chmod(path, 0o755)


class Remote:
    """Git remotes over smart HTTP."""

    def __init__(self, folder, *more):
        self.root = os.path.join(folder, "git")
        os.makedirs(self.root)
        self.port = free_ports(1)[0]
        self.daemon = repos.server(self.root, self.port, folder, folder, *more)
        self.daemon.start()

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}.git"

    def publish(self, name, files, tag=None):
        with tempfile.TemporaryDirectory() as temp:
            work = os.path.join(temp, name)
            os.makedirs(work)
            write_tree(work, files)
            repos.publish(work, os.path.join(self.root, name + ".git"))
        if tag:
            repos.git("tag", tag, "main", cwd=os.path.join(self.root, name + ".git"))
        return self.url(name)


def make_instance(settings=None, fast=True):
    # Short, for the names of sockets; passable, for PostgreSQL's own user.
    folder = tempfile.mkdtemp(prefix="pu-", dir="/tmp")
    os.chmod(folder, 0o755)
    return Instance(folder, BIN, fast=fast, settings={"PEPEUNIT_PRIVATE_REMOTES": "*", "PEPEUNIT_FAILURES_PER_ADDRESS": "1000000",
                                                         "PEPEUNIT_HTTP_CHANGES_BURST": "1000000", **(settings or {})})


def dispose(instance):
    stuck = instance.stop()
    if os.environ.get("PEPEUNIT_KEEP_DATA"):
        print("kept", instance.data)
    else:
        shutil.rmtree(instance.data, ignore_errors=True)
        shutil.rmtree(instance.run_dir, ignore_errors=True)
    assert not stuck, f"these did not stop by themselves: {stuck}"


@pytest.fixture(scope="session")
def instance():
    made = make_instance({"PEPEUNIT_LOG_LEVEL": os.environ.get("PEPEUNIT_TEST_LOG_LEVEL", "info")})
    try:
        made.start()
        yield made
    finally:
        dispose(made)


@pytest.fixture(scope="session")
def remote(tmp_path_factory):
    made = Remote(str(tmp_path_factory.mktemp("remote")))
    eventually(lambda: subprocess.run(["git", "ls-remote", made.url("none")], capture_output=True).returncode is not None)
    yield made
    made.daemon.stop()


@pytest.fixture(scope="session")
def admin(instance):
    api = instance.api()
    api.sign_in("admin", instance.secret("admin-password"))
    return api


@pytest.fixture(scope="session")
def sensor_repo(admin, remote):
    """A configured repository with the variables of SCHEMA."""
    return admin.add_repository("sensor", remote.publish("sensor", {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": "print('on')\n"}))


@pytest.fixture
def sensor(admin, sensor_repo):
    """A fresh unit: (unit, its variables by name, its device)."""
    return make_sensor(admin, sensor_repo)


def make_sensor(api, repo, name="sensor", level="ACCESS_LEVEL_PRIVATE"):
    unit = api.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": name, "level": level})
    return unit, api.variables(unit["id"]), Device(api.get(f"/api/v1/units/{unit['id']}/archive", raw=True))


def readings(api, variable):
    return api.list(f"/api/v1/variables/{variable['id']}/readings", "readings")


def refused(status, reason, call, *arguments, field=None):
    """Asserts that a call is refused so, and returns the problem."""
    with pytest.raises(Problem) as caught:
        call(*arguments)
    problem = caught.value
    assert problem.status == status and problem.body["reason"] == reason, problem.body
    assert problem.body["detail"] and problem.body["trace_id"]
    if field is not None:
        assert field in [e["field"] for e in problem.body.get("errors", [])], problem.body
    return problem.body
