"""A device that is brought to another version over the air, against an instance that misbehaves."""
import hashlib
import json
import os

import pytest
from instance import Instance
from marks import requirement
from updating import NEW, NEWER, OLD, CppDevice, Device, files_of, schema, version

BIG = os.urandom(20000)
FIRST = version(OLD, main=b"1", lib__same=b"same", lib__changed=b"old", old__gone=b"gone", empty=b"")
SECOND = version(NEW, main=b"2", lib__same=b"same", lib__changed=b"new", added__deep__er=b"added", big=BIG, empty=b"")


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Waiting for the disk would be most of the time that these tests take."""
    calls = []
    monkeypatch.setattr(os, "fsync", calls.append)
    return calls


def made(kind, tmp_path, instance):
    instance.versions = {OLD: FIRST, NEW: SECOND}
    instance.update, instance.attempt = NEW, 1
    return kind(tmp_path / "unit", instance, FIRST)


@pytest.fixture
def device(tmp_path, instance):
    """The Python client, for tests that look into it."""
    device = made(Device, tmp_path, instance)
    yield device
    device.stop()


@pytest.fixture(params=[Device, CppDevice])
def either(request, tmp_path, instance):
    device = made(request.param, tmp_path, instance)
    yield device
    device.stop()


def states(instance):
    return [report["state"] for report in instance.reports]


def pieces(instance):
    return [(q["path"], q["offset"], q["length"]) for q in instance.asked if q["ask"] == "file"]


def left_over(device):
    home = device.folder / ".pepeunit"
    return sorted(p.name for p in home.iterdir()) if home.exists() else []


@requirement("U10", "U13")
def test_a_version_is_fetched_put_in_place_and_confirmed(device, instance):
    env = (device.folder / "env.json").read_bytes()
    device.start()
    assert device.work() == "restart"
    assert files_of(device.folder) == FIRST  # nothing is replaced while the old version runs
    unit = device.start()
    assert files_of(device.folder) == SECOND
    assert device.guard.state["step"] == "trial"
    assert any(name.startswith("old.") for name in left_over(device))
    assert unit.exchange()
    assert instance.runs == NEW
    assert left_over(device) == ["state"]
    assert files_of(device.folder) == SECOND
    assert not (device.folder / "old").exists()
    assert states(instance) == ["downloading", "verifying", "restarting"]
    changed = sum(len(SECOND[path]) for path in SECOND if SECOND[path] != FIRST.get(path))
    assert instance.reports[0]["done"] == 0 and instance.reports[0]["total"] == changed
    assert instance.reports[-1]["done"] == instance.reports[-1]["total"] == changed
    assert sum(length for _, _, length in pieces(instance)) == changed
    assert (device.folder / "env.json").read_bytes() == env


@requirement("U10")
def test_a_hello_does_not_confirm(device):
    device.start()
    device.work()
    unit = device.start()
    unit._next = 0
    unit._ask(0, unit._seal(0, b"{}"))
    assert device.guard.state["step"] == "trial"


@requirement("U10")
def test_only_what_differs_is_fetched(either, instance):
    instance.lines_of = lambda commit, have: Instance.lines_of(instance, commit, None)  # as for an unknown `have`: every file
    either.until_settled()
    assert "lib/same.py" not in {path for path, _, _ in pieces(instance)}
    assert {"lib/changed.py", "big.py"} <= {path for path, _, _ in pieces(instance)}


@requirement("U10")
def test_a_piece_is_fetched_once_in_spite_of_lost_connections_and_restarts(device, instance):
    instance.update_faults = [None] * 3 + ["lose the request", None, "change the answer", None, 503] + [None] * 3
    device.start(update_chunk=1024)
    for _ in range(30):
        device.step()
    for _ in range(40):  # a restart after every few steps
        device.start(update_chunk=1024)
        try:
            for _ in range(10):
                device.step()
        except device.guard.Restart:
            break
    device.until_settled()
    assert files_of(device.folder) == SECOND
    taken = pieces(instance)
    assert len(taken) > 20
    twice = {piece for piece in taken if taken.count(piece) > 1}
    assert len(twice) == 1  # the one whose answer was changed on the way


@requirement("U10")
def test_a_lost_answer_to_a_report_does_not_restart_early(device, instance):
    device.start()
    unit = device.unit
    with pytest.raises(device.guard.Restart):
        assert unit.exchange()
        while True:
            if unit._report and unit._report["state"] == "restarting" and not instance.faults:
                instance.faults = ["lose the answer"] * 3
                assert not unit.exchange()
                assert unit.update_step() is not None
                assert device.guard.state["step"] == "fetch"
                instance.faults = []
                unit._not_before = 0
            device.step()
    assert states(instance).count("restarting") == 1


@requirement("U10")
def test_readings_go_out_before_the_restart(device, instance):
    device.start()
    device.unit.max_queue = 1000
    for n in range(300):
        device.unit.put("t", n)
    with pytest.raises(device.guard.Restart):
        while True:
            device.unit.exchange()
            device.unit.update_step()
    assert len(instance.stored) == 300


@requirement("U10")
@pytest.mark.parametrize("wrong, ends", [(1, NEW), (3, NEW), (4, OLD)])
def test_a_wrong_hash_is_fetched_anew_three_times(either, instance, wrong, ends):
    right = instance.about_update
    times = [wrong]

    def answer(question):
        piece = right(question)
        if question.get("path") == "lib/changed.py" and times[0]:
            times[0] -= 1
            return b"x" * len(piece)
        return piece
    instance.about_update = answer
    either.until_settled()
    assert instance.runs == ends
    assert files_of(either.folder) == (SECOND if ends == NEW else FIRST)
    assert sum(path == "lib/changed.py" for path, _, _ in pieces(instance)) == min(wrong + 1, 4)
    assert sum(path == "big.py" for path, _, _ in pieces(instance)) == 2  # the others are kept
    if ends == OLD:
        assert states(instance)[-1] == "failed"
        assert "lib/changed.py" in instance.reports[-1]["reason"]
        assert left_over(either) == ["state"]


@requirement("U10")
def test_a_failed_attempt_is_not_tried_again_until_a_higher_one_is_offered(either, instance):
    instance.manifest = [{"path": "../evil", "size": 1, "sha256": "0" * 64}]
    either.until_settled()
    assert states(instance) == ["failed"]
    asked = len(instance.asked)
    instance.manifest = None
    instance.update, instance.attempt = NEW, 1  # as if the instance had lost the report
    either.until_settled()
    either.until_settled()
    assert len(instance.asked) == asked
    assert states(instance) == ["failed", "failed"]
    assert instance.runs == OLD
    instance.update, instance.attempt = NEW, 2
    either.until_settled()
    assert instance.runs == NEW


@requirement("U10")
def test_a_failure_is_told_after_a_restart(device, instance):
    instance.manifest = [{"path": "/evil", "size": 1, "sha256": "0" * 64}]
    device.start()
    assert device.unit.exchange()
    for _ in range(5):
        device.unit.update_step()
    assert states(instance) == []
    device.start()
    assert device.unit.exchange()
    assert states(instance) == ["failed"]
    assert "evil" in instance.reports[0]["reason"]
    device.start()
    assert device.unit.exchange()
    assert states(instance) == ["failed"]  # once


@requirement("U10", "U13")
@pytest.mark.parametrize("path", [
    "/etc/passwd", "../up", "a/../../up", "..", ".", "a/./b", "a//b", "a/", "", "a\\b", "c:evil", "a\nb", "a\0b", "a\x7fb",
    "env.json", "ENV.json", "Env.JSON", "env.json.", "env.json ", ".pepeunit/state", ".PepeUnit/plan", ".pepeunit",
    "a/.. /b", None, 7])
@pytest.mark.parametrize("delete", [False, True])
def test_hostile_paths_are_refused_and_the_whole_version_with_them(either, instance, path, delete):
    env = (either.folder / "env.json").read_bytes()
    line = {"path": path, "delete": True} if delete else {"path": path, "size": 4, "sha256": hashlib.sha256(b"evil").hexdigest()}
    instance.manifest = [line, {"path": "main.py", "size": 1, "sha256": hashlib.sha256(b"2").hexdigest()}]
    either.until_settled()
    assert states(instance) == ["failed"]
    assert pieces(instance) == []
    assert files_of(either.folder) == FIRST
    assert (either.folder / "env.json").read_bytes() == env
    assert not (either.folder.parent / "up").exists()
    assert left_over(either) == ["state"]


@requirement("U10")
@pytest.mark.parametrize("line", [
    {"path": "x"}, {"path": "x", "size": -1, "sha256": "0" * 64}, {"path": "x", "size": "1", "sha256": "0" * 64},
    {"path": "x", "size": True, "sha256": "0" * 64}, {"path": "x", "size": 1, "sha256": "0"}, {"path": "x", "size": 1},
    {"path": "a", "delete": True, "size": 1}, {"path": "x", "size": 1 << 53, "sha256": "0" * 64}])
def test_a_manifest_that_is_none_is_a_failure(either, instance, line):
    instance.manifest = [{"path": "a", "delete": True}, line]
    either.until_settled()
    assert states(instance) == ["failed"]
    assert files_of(either.folder) == FIRST


@requirement("U10")
@pytest.mark.parametrize("page", [
    {}, {"commit": NEW, "count": 2, "from": 0, "files": []}, {"commit": NEW, "count": 1, "from": 0, "files": [], "next": 0},
    {"commit": OLD, "count": 0, "from": 0, "files": []}, {"commit": NEW, "from": 0, "files": []}, b"bytes",
    {"commit": NEW, "count": 0, "from": 0, "files": []}, {"commit": NEW, "count": 1, "from": 0, "files": [7]}])
def test_a_page_that_is_none_is_a_failure(either, instance, page):
    instance.update_faults = [lambda question: page]
    either.until_settled()
    assert states(instance) == ["failed"]
    assert left_over(either) == ["state"]


@requirement("U10")
@pytest.mark.parametrize("piece", [b"", b"x" * 3000, {"surprise": 1}])
def test_a_piece_that_is_none_is_a_failure(either, instance, piece):
    instance.update_faults = [None, lambda question: piece]
    either.until_settled()
    assert states(instance)[-1] == "failed"
    assert files_of(either.folder) == FIRST


@requirement("U10")
def test_the_guard_itself_is_never_replaced(device, instance):
    instance.versions[NEW] = {**SECOND, "boot.py": b"evil", "pepeunit_guard.py": b"evil"}
    guard = (device.folder / "pepeunit_guard.py").read_bytes()
    device.until_settled()
    assert files_of(device.folder) == SECOND
    assert (device.folder / "pepeunit_guard.py").read_bytes() == guard
    assert b"evil" not in (device.folder / "boot.py").read_bytes()
    assert sum("never replaced" in str(words) for words in device.said) == 2


@requirement("U10")
def test_without_room_nothing_is_fetched(device, instance, monkeypatch):
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: real(path)[:1] + (4096, 100, 20, 10) + real(path)[5:])
    device.until_settled()
    assert states(instance) == ["failed"]
    assert "no room" in instance.reports[0]["reason"] and "40960" in instance.reports[0]["reason"]
    assert pieces(instance) == []


@requirement("U10")
def test_a_flash_that_is_full_all_the_same(device, instance):
    def full(path, mode="r"):
        if "part." in str(path) and "a" in mode:
            raise OSError(28, "No space left on device")
        return open(path, mode)
    device.until_settled(patch={"open": full})
    assert states(instance)[-1] == "failed"
    assert files_of(device.folder) == FIRST
    assert left_over(device) == ["state"]


@requirement("U10")
def test_another_version_is_offered_midway(device, instance):
    """What is here already and is the same in the newer version is not fetched again."""
    instance.versions[NEWER] = {**SECOND, "schema.json": schema(NEWER), "lib/changed.py": b"newer"}
    device.start(update_chunk=1024)
    device.unit.exchange()
    while pieces(instance)[-1:] != [("big.py", 10240, 1024)]:
        device.step()
    before = len(pieces(instance))
    instance.update, instance.attempt = NEWER, 1
    device.until_settled()
    assert instance.runs == NEWER
    assert files_of(device.folder) == instance.versions[NEWER]
    after = pieces(instance)[before:]
    assert min(offset for path, offset, _ in after if path == "big.py") == 11264
    assert "added/deep/er.py" not in {path for path, _, _ in after}
    assert "failed" not in states(instance)


@requirement("U10")
def test_an_offer_that_is_withdrawn_leaves_nothing(device, instance):
    device.start(update_chunk=1024)
    device.unit.exchange()
    while len(pieces(instance)) < 5:
        device.step()
    instance.update = instance.attempt = None
    device.until_settled()
    assert left_over(device) == ["state"]
    assert files_of(device.folder) == FIRST
    instance.update, instance.attempt = NEW, 1
    device.until_settled()
    assert instance.runs == NEW


@requirement("U10")
def test_an_offer_that_is_withdrawn_while_the_device_was_off(device, instance):
    device.start(update_chunk=1024)
    device.unit.exchange()
    while len(pieces(instance)) < 5:
        device.step()
    device.start()
    instance.update = instance.attempt = None
    assert device.work() == "idle"
    assert left_over(device) == ["state"]


@requirement("U10")
def test_busy_waits_as_long_as_it_is_told(device, instance):
    instance.update_faults = [{"error": "busy", "retry_after_ms": 30000}]
    device.start()
    device.unit.exchange()
    for _ in range(3):
        waits = device.unit.update_step()
    assert 29000 <= waits <= 46000
    assert device.work() == "restart"


@requirement("U10")
def test_a_version_that_cannot_be_sent(either, instance):
    instance.update_faults = [{"error": "invalid", "detail": "the repository is gone", "errors": []}]
    either.until_settled()
    assert states(instance) == ["failed"]
    assert instance.reports[0]["reason"] == "the repository is gone"


@requirement("U10")
def test_a_report_that_is_refused_costs_no_reading(device, instance):
    device.start()
    device.unit.exchange()
    device.unit._tell({"commit": NEW, "attempt": 1, "state": "nonsense"})
    device.unit.put("t", 1)
    instance.faults = [{"error": "invalid", "errors": [{"field": "update.state", "detail": "is none"}]}]
    assert device.unit.exchange()
    assert instance.stored == [{"t": 1}]


@requirement("U10")
def test_without_the_guard_it_is_said_and_nothing_is_fetched(folder, instance):
    import pepeunit
    instance.versions = {NEW: SECOND}
    instance.update, instance.attempt = NEW, 1
    unit = pepeunit.Unit(str(folder))
    assert unit.exchange()
    assert unit.update_step() is None
    assert unit.exchange()
    assert instance.reports[0]["state"] == "failed" and "boot.py" in instance.reports[0]["reason"]
    assert instance.asked == []
    unit.close()


@requirement("U10")
def test_progress_is_told_every_ten_seconds(device, instance):
    device.start(update_chunk=1024)
    unit = device.unit
    now = [0]
    unit.now = lambda: now[0]
    unit.exchange()
    with pytest.raises(device.guard.Restart):
        while True:
            now[0] += 1000
            device.step()
    told = [report for report in instance.reports if report["state"] == "downloading"]
    assert 2 <= len(told) <= 5
    assert [r["done"] for r in told] == sorted(r["done"] for r in told)


@requirement("U10")
def test_executable_files(either, instance):
    instance.versions[NEW] = {**SECOND, "run.sh": (b"#!/bin/sh\n", True), "lib/same.py": (b"same", True)}
    either.until_settled()
    assert files_of(either.folder) == instance.versions[NEW]


@requirement("U10")
@pytest.mark.parametrize("old, new", [
    ({"a": b"file"}, {"a/b": b"in a folder"}), ({"a/b": b"in a folder"}, {"a": b"file"}),
    ({"a/b/c": b"deep"}, {"a/b": b"file"}), ({"a": b"same"}, {"b": b"same", "c": b"same"}),
    ({"a/x": b"1", "a/y": b"2"}, {"a/x": b"2", "a/y": b"1"}), ({"ä/ö": b"old"}, {"ä/ö": b"new", "тепло": b"t"})])
@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("kind", [Device, CppDevice])
def test_files_and_folders_change_places(tmp_path, instance, old, new, holds, kind):
    first, second = {"schema.json": schema(OLD), **old}, {"schema.json": schema(NEW), **new}
    device = kind(tmp_path / "unit", instance, first)
    instance.versions = {OLD: first, NEW: second}
    instance.update, instance.attempt = NEW, 1
    device.start()
    assert device.work() == "restart"
    for _ in range(2 if holds else 3):
        device.start()
        assert files_of(device.folder) == second
    if not holds:
        device.start()
        assert files_of(device.folder) == first
    device.until_settled()
    assert files_of(device.folder) == (second if holds else first)
    if not holds:
        assert instance.reports[-1]["state"] == "rolled_back"
    empty = [p for p in device.folder.rglob("*") if p.is_dir() and not list(p.iterdir())]
    assert not empty
    device.stop()


@requirement("U10")
def test_what_cannot_be_put_in_place_is_undone(either, instance):
    """A folder with files of the program's own stands where the new version has a file."""
    instance.versions[NEW] = {**SECOND, "data": b"file"}
    (either.folder / "data").mkdir()
    (either.folder / "data" / "log.txt").write_text("mine")
    either.until_settled()
    assert states(instance)[-1] == "failed"
    assert (either.folder / "data" / "log.txt").read_text() == "mine"
    (either.folder / "data" / "log.txt").unlink()
    assert files_of(either.folder) == FIRST


@requirement("U10")
def test_state_in_a_file_system_whose_rename_does_not_replace(device, instance):
    def rename(source, target):
        if os.path.isfile(target):
            raise FileExistsError(17, "exists")
        os.rename(source, target)

    class Fat:
        def __getattr__(self, name):
            return getattr(os, name)
    fat = Fat()
    fat.rename = rename
    device.until_settled(patch={"os": fat})
    assert files_of(device.folder) == SECOND
    state = device.folder / ".pepeunit" / "state"
    content = json.loads(state.read_text())
    state.rename(state.with_name("state.new"))  # cut between the two
    device.start()
    assert device.guard.state == content
