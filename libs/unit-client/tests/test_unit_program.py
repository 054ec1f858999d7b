"""pepeunit-unit, which runs a program in any language as a unit: as an own process against the instance of these tests."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from conftest import UNIT
from marks import requirement
from updating import NEW, OLD, env_of, files_of, place

OUTPUTS, INPUTS = {"t": {"type": "integer"}}, {"target": {"type": "integer", "default": 20}}


def version(commit, program, outputs=OUTPUTS, **more):
    schema = {"unit_state": {}, "input_variables": INPUTS, "output_variables": outputs,
              "pepeunit": {"commit": commit, "unit": UNIT}}
    return {"schema.json": json.dumps(schema).encode(), "main": (b"#!/bin/sh\n" + program, True), **more}


SAYS_ONE = b"""echo '{"output_variables": {"t": 1}, "unit_state": {"shell": "sh"}}'; exec sleep 100\n"""
SAYS_TWO = b"""echo '{"output_variables": {"t": 2}}'; exec sleep 100\n"""


@pytest.fixture
def program(tmp_path, instance):
    programs = os.environ.get("PEPEUNIT_BIN")
    if not programs:
        pytest.skip("PEPEUNIT_BIN is not set: pepeunit-unit is not tested")
    folder, running = tmp_path / "unit", []
    folder.mkdir()

    class Program:
        def __init__(self):
            self.folder = folder
            self.log = tmp_path / "log"

        def start(self, first, *options, command=(), second=None):
            place(folder, first)
            (folder / "env.json").write_text(env_of(instance))
            instance.versions = {OLD: first, NEW: second}
            if second:
                instance.update, instance.attempt = NEW, 1
            return self.again(*options, command=command)

        def again(self, *options, command=()):
            with self.log.open("ab") as log:
                process = subprocess.Popen([pathlib.Path(programs) / "pepeunit-unit", "--poll-s=0.1", *options, folder, *command],
                                           cwd="/", stdout=log, stderr=log)
            running.append(process)
            return process

        def said(self):
            return self.log.read_text()
    yield Program()
    for process in running:
        process.kill()
        process.wait()


def wait_for(condition, program, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, program.said()
        time.sleep(0.02)


def states(instance):
    return [report["state"] for report in instance.reports]


@requirement("U1", "U2")
def test_lines_are_readings_and_inputs(program, instance):
    program.start(version(OLD, b"""
echo 'starting up'; echo '{"output_variables": {"t": 7, "unknown": 1}, "unit_state": {"shell": "sh"}}'; echo '{"what": 1}'
while read line; do echo "$line" >> heard; done\n"""))
    wait_for(lambda: instance.stored == [{"t": 7}], program)
    assert instance.states[-1] == {"commit": OLD, "shell": "sh"}
    wait_for(lambda: (program.folder / "heard").read_text().count("\n") >= 2, program)
    instance.inputs = {"target": 5}
    heard = [{"input_variables": {"target": value}} for value in (20, 21, 5)]
    wait_for(lambda: [json.loads(line) for line in (program.folder / "heard").read_text().splitlines()] == heard, program)
    assert "starting up\n" in program.said()
    assert "unknown is not an output variable of schema.json" in program.said()
    assert "the program's line has a member that is not known: what" in program.said()


@requirement("U1")
def test_readings_have_the_time_of_their_lines(program, instance):
    """While the instance cannot be reached, and an exchange holds, lines are stamped all the same."""
    instance.faults = [503]  # with Retry-After of 7 s
    program.start(version(OLD, b"""for t in 1 2; do echo "{\\"output_variables\\": {\\"t\\": $t}}"; sleep 1; done; exec sleep 100\n"""))
    wait_for(lambda: instance.stored == [{"t": 1}, {"t": 2}], program)
    assert 800 <= instance.ages[0] - instance.ages[1] <= 1500
    assert instance.ages[1] >= 5000


@requirement("U10", "U13")
def test_a_version_is_fetched_put_in_place_and_confirmed(program, instance):
    second = version(NEW, SAYS_TWO, data=os.urandom(100_000))
    program.start(version(OLD, SAYS_ONE), second=second)
    wait_for(lambda: {"t": 2} in instance.stored, program)
    assert files_of(program.folder) == second
    wait_for(lambda: os.listdir(program.folder / ".pepeunit") == ["state"], program)
    assert states(instance) == ["downloading", "verifying", "restarting"]
    assert instance.runs == NEW


@requirement("U10", "U13")
@pytest.mark.parametrize("broken, reason", [
    (b"echo 'no sensor here' >&2; exit 3\n", "the program ended with exit code 3: no sensor here"),
    (b"printf 'no end of line' >&2; exit 3\n", "the program ended with exit code 3: no end of line"),
    (b"setsid sleep 3 & echo 'one that stays holds the pipes' >&2; exit 4\n",
     "the program ended with exit code 4: one that stays holds the pipes"),
    (b"kill -SEGV $$\n", "the program was ended by signal 11"),
    (b"exec sleep 100\n", "no exchange was accepted in 3 starts"),
    (b"exit 0\n", "no exchange was accepted in 3 starts")])
def test_a_version_that_does_not_hold_is_taken_back(program, instance, broken, reason):
    first = version(OLD, SAYS_ONE)
    program.start(first, "--trial-s=0.3", second=version(NEW, broken))
    wait_for(lambda: "rolled_back" in states(instance), program)
    assert instance.reports[-1]["reason"] == reason
    assert files_of(program.folder) == first
    wait_for(lambda: instance.runs == OLD and instance.stored[-1:] == [{"t": 1}], program)
    assert NEW not in [state.get("commit") for state in instance.states]
    wait_for(lambda: os.listdir(program.folder / ".pepeunit") == ["state"], program)


@requirement("U10")
@pytest.mark.parametrize("name, content, reason", [
    ("main", (b"#!/nowhere/interpreter\n", True), "exit code 127: cannot run ./main: No such file or directory"),
    ("main", b"#!/bin/sh\n", "exit code 127: cannot run ./main: Permission denied"),
    ("schema.json", b"{", "is not a JSON object")])
def test_a_version_that_cannot_be_started_is_taken_back(program, instance, name, content, reason):
    first = version(OLD, SAYS_ONE)
    program.start(first, second={**version(NEW, SAYS_TWO), name: content})
    wait_for(lambda: "rolled_back" in states(instance), program)
    assert reason in instance.reports[-1]["reason"]
    assert files_of(program.folder) == first


@requirement("U10")
def test_a_program_without_outputs_holds_when_it_stays(program, instance):
    program.start(version(OLD, SAYS_ONE), "--trial-s=1", second=version(NEW, b"exec sleep 100\n", outputs={}))
    wait_for(lambda: instance.runs == NEW, program)
    assert "rolled_back" not in states(instance)


@requirement("U10")
def test_a_restart_in_the_middle_of_an_update(program, instance):
    second = version(NEW, SAYS_TWO, data=os.urandom(3_000_000))
    process = program.start(version(OLD, SAYS_ONE), second=second)
    for number in range(1, 4):
        wait_for(lambda: len(instance.asked) > 30 * number, program)
        process.kill()
        process.wait()
        assert instance.runs != NEW
        process = program.again()
    wait_for(lambda: {"t": 2} in instance.stored, program)
    assert files_of(program.folder) == second
    pieces = [question["offset"] for question in instance.asked if question.get("path") == "data"]
    assert len(pieces) <= len(set(pieces)) + 3  # the one that a kill hit, each time


@requirement("U10")
def test_an_empty_object_says_that_all_is_well(program, instance):
    program.start(version(OLD, SAYS_ONE), second=version(NEW, b"echo '{}'; exec sleep 100\n"))
    wait_for(lambda: instance.runs == NEW, program)


@requirement("U1")
def test_a_program_that_writes_whatever_it_likes(program, instance):
    """Bytes that are no text, lines without end, and more lines than anybody can take."""
    program.start(version(OLD, b"""head -c 300000 /dev/urandom; echo; head -c 300000 /dev/zero | tr '\\0' x; echo; echo '{"a'; echo '[1]'
echo '{"output_variables": 7, "unit_state": [1]}'; echo '{"output_variables": {"t": 1}}'
i=0; while [ $i -lt 3000 ]; do echo '{"output_variables": {"t": 2}}'; i=$((i+1)); done
printf '{"output_variables": {"t": 3}}'; exit 0\n"""), "--max-queue=5000")
    wait_for(lambda: instance.stored.count({"t": 3}) >= 1, program)
    assert instance.stored[0] == {"t": 1} and instance.stored.count({"t": 2}) >= 3000


@requirement("U1")
def test_a_program_that_ends_is_started_again(program, instance):
    program.start(version(OLD, b"""echo '{"output_variables": {"t": 1}}'; exit 1\n"""))
    wait_for(lambda: len(instance.stored) >= 2, program)
    assert "the program ended with exit code 1" in program.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_program_and_the_last_readings(program, instance, number):
    process = program.start(version(OLD, b"""
trap "echo '{\\"output_variables\\": {\\"t\\": 99}}'; exit 0" TERM
echo '{"output_variables": {"t": 1}}'; while true; do sleep 0.05; done\n"""))
    wait_for(lambda: instance.stored, program)
    process.send_signal(number)
    assert process.wait(timeout=10) == 0
    assert instance.stored[-1] == {"t": 99}


def test_its_program_ends_with_it_however_it_ends(program, instance):
    process = program.start(version(OLD, b"""echo $$ > pid; echo '{"output_variables": {"t": 1}}'; exec sleep 100\n"""))
    wait_for(lambda: instance.stored, program)
    pid = int((program.folder / "pid").read_text())
    process.kill()
    process.wait()

    def gone():
        try:
            return pathlib.Path("/proc/%d/stat" % pid).read_text().split()[2] == "Z"
        except FileNotFoundError:
            return True
    wait_for(gone, program)


def test_a_folder_is_for_one_at_a_time(program, instance):
    program.start(version(OLD, SAYS_ONE))
    wait_for(lambda: instance.stored, program)
    assert program.again().wait(timeout=10) == 1
    assert "is in use by another pepeunit-unit" in program.said()


@pytest.mark.parametrize("options, code, message", [
    (["--nonsense"], 2, "--nonsense is not an option"), (["--poll-s=x"], 2, "not a number greater than 0"),
    (["--trial-s=0"], 2, "not a number greater than 0"), (["--trial-s=nan"], 2, "not a number greater than 0")])
def test_options_that_are_wrong(program, options, code, message):
    assert program.start(version(OLD, SAYS_ONE), *options).wait(timeout=10) == code
    assert message in program.said()


def test_a_folder_that_is_none(program):
    place(program.folder, version(OLD, SAYS_ONE))
    assert program.again().wait(timeout=10) == 1
    assert "env.json" in program.said() and "No such file or directory" in program.said()


def test_another_command(program, instance):
    program.start(version(OLD, SAYS_ONE), command=["sh", "-c", SAYS_TWO.decode()])
    wait_for(lambda: instance.stored == [{"t": 2}], program)
