"""An update is cut at every single operation on the file system, and must come to an end all the same. Here in CPython
with functions that stand in for the real ones; test_micropython.py does it in the real MicroPython."""
import io
import os

import pytest
from marks import requirement
from updating import NEW, OLD, Device, files_of, version

FIRST = version(OLD, main=b"one", lib__same=b"same", lib__changed=b"old", old__gone=b"gone", twice=b"twice",
                **{"turned.py__in__a": b"a folder"})
SECOND = version(NEW, main=b"two", lib__same=b"same", lib__changed=b"new", added__deep__er=b"twice", second=b"twice",
                 big=b"0123456789" * 30, turned=b"a file now")

# A guard that says that a thing is done before it is.
MISTAKES = [("            swap()\n            save(dict(state, step='trial', starts=0))",
             "            save(dict(state, step='trial', starts=0))\n            swap()"),
            ("        undo()\n        save(ended(state['how'], state['why']))",
             "        save(ended(state['how'], state['why']))\n        undo()")]


class Cut(BaseException):
    """The power went."""


class Power:
    """Counts the operations on the file system and goes at the chosen one: before it, or in the middle of a write."""

    def __init__(self, until=None):
        self.until, self.count, self.what = until, 0, []
        self.os = Os(self)

    def operation(self, what):
        if self.until is not None and self.count >= self.until:
            raise Cut(what)  # and nothing that a `finally` does reaches the disk any more
        self.count += 1
        self.what.append(what)

    def open(self, path, mode="r"):
        if mode in ("r", "rb"):
            return open(path, mode)
        if "a" not in mode or not os.path.exists(path):
            self.operation("create " + str(path))
        power = self

        class File(io.FileIO):
            def write(self, data):
                data = data.encode() if isinstance(data, str) else data
                power.operation("write nothing of " + str(path))
                super().write(data[:len(data) // 2])
                power.operation("write the half of " + str(path))
                super().write(data[len(data) // 2:])
        return File(str(path), mode.replace("b", ""))


class Os:
    """Stands in for the module os."""

    def __init__(self, power):
        self.power = power

    def __getattr__(self, name):
        if name == "fsync":
            return lambda number: None  # the disk is this process's memory here
        real = getattr(os, name)
        if name not in ("rename", "remove", "mkdir", "rmdir", "chmod"):
            return real

        def changing(*arguments):
            self.power.operation(name + " " + " ".join(map(str, arguments)))
            return real(*arguments)
        return changing


def run_until_cut(device, power):
    """Starts and restarts until the update has ended or the power goes. True when it has ended."""
    try:
        for _ in range(12):
            device.start(patch={"os": power.os, "open": power.open})
            assert files_of(device.folder) in (FIRST, SECOND)
            if device.work() == "idle":
                return True
    except Cut:
        return False
    raise AssertionError("the device restarts for ever")


def made(tmp_path, instance, number):
    instance.versions = {OLD: FIRST, NEW: SECOND}
    instance.update, instance.attempt, instance.runs = NEW, 1, None
    instance.reports.clear()
    return Device(tmp_path / str(number), instance, FIRST)


@requirement("U10", "U13")
def test_an_update_is_cut_at_every_operation(tmp_path, instance):
    device = made(tmp_path, instance, "whole")
    whole = Power()
    assert run_until_cut(device, whole)
    assert files_of(device.folder) == SECOND
    device.stop()
    assert {"create", "write", "rename", "remove", "mkdir", "rmdir"} <= {what.split()[0] for what in whole.what}
    print("cut points:", whole.count)
    for until in range(whole.count):
        device = made(tmp_path, instance, until)
        env = (device.folder / "env.json").read_bytes()
        assert not run_until_cut(device, Power(until))
        assert run_until_cut(device, Power()), whole.what[until]
        assert files_of(device.folder) == SECOND, whole.what[until]
        assert instance.runs == NEW
        assert (device.folder / "env.json").read_bytes() == env
        assert os.listdir(device.folder / ".pepeunit") == ["state"], whole.what[until]
        device.stop()


def roll_back(device, power):
    """Starts the new version, which never exchanges, until the old one runs again. False when the power goes."""
    try:
        for _ in range(6):
            device.start(patch={"os": power.os, "open": power.open})
            assert files_of(device.folder) in (FIRST, SECOND)
            if device.guard.state.get("step") != "trial":
                return True
    except Cut:
        return False
    raise AssertionError("the new version is not taken back")


@requirement("U10", "U13")
def test_a_rollback_is_cut_at_every_operation(tmp_path, instance):
    def trial(number):
        device = made(tmp_path, instance, number)
        device.start(patch={"os": Power().os})
        assert device.work() == "restart"
        return device

    whole = Power()
    device = trial("whole")
    assert roll_back(device, whole)
    assert files_of(device.folder) == FIRST
    print("cut points:", whole.count)
    for until in range(whole.count):
        device = trial(until)
        assert not roll_back(device, Power(until))
        assert roll_back(device, Power()), whole.what[until]
        # A cut before the swap has ended makes the starts be counted later; in the end it is the old one, and told.
        assert files_of(device.folder) == FIRST, whole.what[until]
        assert device.unit.exchange()
        assert [r["state"] for r in instance.reports][-1] == "rolled_back", whole.what[until]
        assert device.work() == "idle"
        assert files_of(device.folder) == FIRST
        assert os.listdir(device.folder / ".pepeunit") == ["state"]
        device.stop()


@pytest.mark.parametrize("right, wrong", MISTAKES)
def test_a_mistake_in_the_guard_is_found(tmp_path, instance, right, wrong):
    """The cuts find what they are for."""
    def device_with_mistake(number):
        device = made(tmp_path, instance, number)
        path = device.folder / "pepeunit_guard.py"
        assert right in path.read_text()
        path.write_text(path.read_text().replace(right, wrong))
        return device

    def comes_through(until):
        device = device_with_mistake(until)
        try:
            device.start(patch={"os": Power().os})
            assert device.work() == "restart"
            assert not roll_back(device, Power(until))
            return roll_back(device, Power())
        except (AssertionError, OSError):
            return False
        finally:
            device.stop()

    assert not all(comes_through(until) for until in range(1, 60))
