"""Power cuts of the C++ client, and folders that one client has begun and the other goes on with. What happens to a
device in an update is in test_update.py, for both clients."""
import json
import os

import pytest
from marks import requirement
from test_power_cuts import FIRST, SECOND
from updating import NEW, OLD, CppDevice, Device, files_of


@pytest.fixture
def made(tmp_path, instance):
    def make(number, kind=CppDevice):
        instance.versions = {OLD: FIRST, NEW: SECOND}
        instance.update, instance.attempt, instance.runs = NEW, 1, None
        instance.reports.clear()
        return kind(tmp_path / str(number), instance, FIRST)
    return make


def changes_until_settled(device):
    """Every change of the file system of a whole update, by start."""
    starts = []
    for _ in range(4):
        said = device.run("work")
        starts.append(said["changes"])
        if said["ended"] == "idle":
            return starts
    raise AssertionError(said)


@requirement("U10", "U13")
def test_an_update_is_cut_at_every_change(made, instance):
    starts = changes_until_settled(made("whole"))
    assert {"create", "write", "rename", "remove", "mkdir", "rmdir", "chmod"} <= {what.split()[0] for start in starts for what in start}
    assert len(starts) == 2
    print("cut points:", [len(changes) for changes in starts])
    for number, changes in enumerate(starts):
        for cut, what in enumerate(changes):
            device = made("%d.%d" % (number, cut))
            env = (device.folder / "env.json").read_bytes()
            for _ in range(number):
                assert device.run("work")["ended"] == "restart"
            assert device.run("work", cut=cut) is None, what
            # What the cut left may be a mixture; after the guard, and so before any of the program, it is none.
            assert device.run("start")["ended"] == "started"
            assert files_of(device.folder) in (FIRST, SECOND), what
            device.until_settled()
            assert files_of(device.folder) == SECOND, what
            assert instance.runs == NEW
            assert (device.folder / "env.json").read_bytes() == env
            assert os.listdir(device.folder / ".pepeunit") == ["state"], what


@requirement("U10", "U13")
def test_a_rollback_is_cut_at_every_change(made, instance):
    def on_trial(number):
        """A device whose new version has used up its starts."""
        device = made(number)
        assert device.run("work")["ended"] == "restart"
        for _ in range(3):
            assert device.run("start")["trial"]
        return device

    changes = on_trial("whole").run("start")["changes"]
    assert len(changes) > 20
    print("cut points:", len(changes))
    for cut, what in enumerate(changes):
        device = on_trial("back.%d" % cut)
        assert device.run("start", cut=cut) is None, what
        said = device.run("start")
        assert said["ended"] == "started" and not said["trial"], what
        assert files_of(device.folder) == FIRST, what
        device.until_settled()
        assert [r["state"] for r in instance.reports][-1] == "rolled_back", what
        assert files_of(device.folder) == FIRST
        assert os.listdir(device.folder / ".pepeunit") == ["state"]


@requirement("U10")
@pytest.mark.parametrize("first, second", [(Device, CppDevice), (CppDevice, Device)])
@pytest.mark.parametrize("steps", [3, 6, 9, 5000])
def test_one_client_goes_on_with_what_the_other_has_begun(made, instance, first, second, steps):
    device = made("shared", first)
    if first is CppDevice:
        begun = device.run("work", steps=steps, chunk=64)["ended"]
    else:
        device.start(update_chunk=64)
        device.unit.exchange()
        begun = "goes on"
        try:
            for _ in range(steps):
                if begun == "goes on" and not device.step():
                    begun = "idle"
        except device.guard.Restart:
            begun = "restart"
    assert begun == ("restart" if steps == 5000 else "goes on")
    device.stop()
    fetched = [question for question in instance.asked if question["ask"] == "file"]
    other = second(device.folder, instance, {})
    other.until_settled()
    assert files_of(device.folder) == SECOND
    assert instance.runs == NEW
    again = [question for question in instance.asked if question["ask"] == "file"][len(fetched):]
    assert not {(q["path"], q["offset"]) for q in fetched} & {(q["path"], q["offset"]) for q in again}
    assert json.loads((device.folder / ".pepeunit" / "state").read_text()) == {"failed": []}
    other.stop()
