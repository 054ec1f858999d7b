"""Devices in folders of their own: what the tests of updates share. Device is started again and again within this
process; CppDevice is the same by the C++ library, in processes of its own."""
import base64
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pepeunit
import pytest
from conftest import UNIT

CLIENT = pathlib.Path(__file__).resolve().parent.parent
OLD, NEW, NEWER = "a" * 40, "b" * 40, "e" * 40
GUARD_FILES = ("boot.py", "pepeunit_guard.py")


def schema(commit):
    return json.dumps({"unit_state": {}, "input_variables": {}, "output_variables": ["t"],
                       "pepeunit": {"commit": commit, "unit": UNIT}}).encode()


def version(commit, **files):
    """A version's files; `a__b` in a name stands for a/b, and every name gets .py."""
    return {"schema.json": schema(commit), **{name.replace("__", "/") + ".py": text for name, text in files.items()}}


def place(folder, files):
    for path, content in files.items():
        content, executable = content if isinstance(content, tuple) else (content, False)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        (folder / path).chmod(0o755 if executable else 0o644)


def env_of(instance):
    return json.dumps({"PEPEUNIT_URL": instance.url, "PEPEUNIT_TOKEN": instance.token, "SECRET_KEY": "keep me",
                       "SYNC_ENCRYPT_KEY": base64.b64encode(instance.key).decode()})


def files_of(folder):
    """What is on the device's flash, without the guard's own and env.json."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith(".pepeunit/") and name not in (*GUARD_FILES, "env.json"):
            executable = bool(path.stat().st_mode & 0o100)
            found[name] = (path.read_bytes(), True) if executable else path.read_bytes()
    return found


class Device:
    def __init__(self, folder, instance, files):
        self.folder, self.instance, self.said = folder, instance, []
        folder.mkdir(exist_ok=True)
        place(folder, files)
        (folder / "env.json").write_text(env_of(instance))
        for name in GUARD_FILES:
            shutil.copy(CLIENT / name, folder / name)
        self.unit = None

    def start(self, patch=None, **options):
        """A start up to where main.py would begin; `patch` gives names that stand in for those of the device's files."""
        self.stop()
        spec = importlib.util.spec_from_file_location("pepeunit_guard", self.folder / "pepeunit_guard.py")
        self.guard = importlib.util.module_from_spec(spec)
        sys.modules["pepeunit_guard"] = self.guard
        spec.loader.exec_module(self.guard)
        vars(self.guard).update(patch or {})
        self.guard.state.update(self.guard.load())
        self.guard.settle()
        sys.modules.pop("pepeunit_update", None)
        import pepeunit_update
        vars(pepeunit_update).update(patch or {})
        self.unit = pepeunit.Unit(str(self.folder), timeout_s=2, log=lambda *words: self.said.append(words), **options)
        return self.unit

    def stop(self):
        if self.unit:
            self.unit.close()
            self.unit._updater = self.unit = None
        sys.modules.pop("pepeunit_guard", None)
        sys.modules.pop("pepeunit_update", None)

    def step(self):
        """An exchange when there is news, and a step of the update; does not wait. True when it goes on."""
        unit = self.unit
        unit._not_before = 0
        if unit._updater:
            unit._updater.not_before = 0
        if unit._report or not unit.utc_ms:
            unit.exchange()
        return unit.update_step() is not None or bool(unit._report)

    def work(self, most=5000):
        """Until there is nothing to do ("idle"), or the program ends for a restart ("restart")."""
        assert self.unit.exchange()
        try:
            for _ in range(most):
                if not self.step():
                    return "idle"
        except self.guard.Restart:
            return "restart"
        raise AssertionError("the update does not come to an end")

    def until_settled(self, most=12, **options):
        """Starts again and again, as a board with its power on, until the update has ended."""
        for _ in range(most):
            self.start(**options)
            if self.work() == "idle":
                return
        raise AssertionError("the device restarts for ever")


class CppDevice:
    def __init__(self, folder, instance, files):
        programs = os.environ.get("PEPEUNIT_BIN")
        if not programs:
            pytest.skip("PEPEUNIT_BIN is not set: the C++ client is not tested")
        self.driver = pathlib.Path(programs) / "unit_client_driver"
        self.folder, self.said = folder, []
        folder.mkdir(exist_ok=True)
        place(folder, files)
        (folder / "env.json").write_text(env_of(instance))

    def run(self, command, **numbers):
        """One start; what came of it, or None when the power was cut."""
        done = subprocess.run([str(self.driver), str(self.folder), command, *("%s=%d" % one for one in numbers.items())],
                              stdout=subprocess.PIPE, timeout=30)
        if "cut" in numbers and done.returncode == 9:
            return None
        assert done.returncode == 0, done
        result = json.loads(done.stdout)
        self.said += result["said"]
        return result

    def start(self):
        assert self.run("start")["ended"] == "started"

    def work(self):
        return self.run("work")["ended"]

    def until_settled(self, most=12, **numbers):
        for _ in range(most):
            ended = self.run("work", **numbers)["ended"]
            if ended == "idle":
                return
            assert ended == "restart"
        raise AssertionError("the device restarts for ever")

    def stop(self):
        pass
