"""The standard units as they are published: run as own processes against the instance of these tests."""
import base64
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import COMMIT, UNIT

UNITS = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "standard-units"


@pytest.fixture
def start(tmp_path, instance):
    running = []

    def begin(name, **env):
        shutil.copytree(UNITS / name, tmp_path / name)  # follows the links, as publishing does
        home = tmp_path / name
        filled = json.loads((home / "env_example.json").read_text())
        filled.update(PEPEUNIT_URL=instance.url, PEPEUNIT_TOKEN=instance.token,
                      SYNC_ENCRYPT_KEY=base64.b64encode(instance.key).decode(), PERIOD_S=0.2, **env)
        (home / "env.json").write_text(json.dumps(filled))
        schema = json.loads((home / "schema.json").read_text())
        schema["pepeunit"] = {"commit": COMMIT, "unit": UNIT}
        (home / "schema.json").write_text(json.dumps(schema))
        process = subprocess.Popen([sys.executable, "-u", str(home / "boot.py")], cwd="/", text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        running.append(process)
        return process, home, schema
    yield begin
    for process in running:
        process.kill()
        process.wait()


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def stop(process):
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0, output
    return output


def fits(schema, instance):
    outputs, states = schema["output_variables"], schema["unit_state"]
    kinds = {"number": (int, float), "integer": int, "boolean": bool, "string": str}
    for definitions, sets in ((outputs, instance.stored), (states, instance.states)):
        for values in sets:
            for name, value in values.items():
                assert isinstance(value, kinds[definitions[name]["type"]]), name
                assert definitions[name].get("minimum", value) <= value <= definitions[name].get("maximum", value), name


def test_host_monitor(start, instance):
    process, _, schema = start("host-monitor")
    wait_for(lambda: len(instance.stored) >= 3)
    assert "host-monitor: stopped" in stop(process)
    fits(schema, instance)
    last = instance.stored[-1]
    assert {"cpu_load", "memory_used_percent", "memory_used_bytes", "uptime"} <= set(last)
    assert instance.states[-1]["ip"] == "127.0.0.1"
    assert instance.states[-1]["commit"] == COMMIT


def test_thermostat(start, instance):
    instance.inputs = {"target_temperature": 30}
    process, _, schema = start("thermostat")
    wait_for(lambda: any(r["heating"] for r in instance.stored))
    instance.inputs = {"target_temperature": 5}
    wait_for(lambda: not instance.stored[-1]["heating"])
    assert "the heater is off" in stop(process)
    fits(schema, instance)


def test_display(start, instance):
    instance.inputs = {"value": None, "text": ""}
    process, home, schema = start("display")
    wait_for(lambda: {"shown": "-"} in instance.stored)
    instance.inputs = {"value": 42.5, "text": "load"}
    wait_for(lambda: {"shown": "load 42.5"} in instance.stored)
    assert (home / "shown.txt").read_text() == "load 42.5\n"
    used = instance.mark
    hellos = instance.hellos
    wait_for(lambda: instance.hellos > hellos + 2)
    assert instance.mark == used  # looking uses no sequence
    assert "showing: load 42.5" in stop(process)
    fits(schema, instance)


@pytest.mark.parametrize("name", ["host-monitor", "thermostat", "display"])
def test_each_is_a_complete_repository(name):
    names = {p.name for p in (UNITS / name).iterdir() if p.name != "__pycache__"}
    client = {"boot.py", "pepeunit.py", "pepeunit_guard.py", "pepeunit_socket.py", "pepeunit_update.py"}
    assert names == client | {"README.md", "env_example.json", "main.py", "schema.json"}
    env = json.loads((UNITS / name / "env_example.json").read_text())
    assert all(isinstance(v, (str, int, float, bool, type(None))) for v in env.values())
    for file in client:
        assert (UNITS / name / file).resolve() == UNITS.parents[1] / "libs" / "unit-client" / file
