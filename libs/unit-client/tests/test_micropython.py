"""The client in the real MicroPython interpreter, as source, compiled, and in pieces as on an ESP8266, and with its power cut
in an update. Needs node and npm, and the network or npm's cache the first time; without them it is skipped, and says so."""
import pathlib
import re
import shutil
import subprocess

import pytest
from marks import requirement
from test_power_cuts import MISTAKES
from updating import CLIENT

HERE = pathlib.Path(__file__).resolve().parent / "micropython"


@pytest.fixture(scope="module")
def interpreter():
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.skip("NOT TESTED in MicroPython: there is no %s" % program)
    installed = HERE / "node_modules" / ".package-lock.json"
    if not installed.exists():
        try:
            run = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=HERE, text=True,
                                 capture_output=True, timeout=180)
        except subprocess.TimeoutExpired:
            pytest.skip("NOT TESTED in MicroPython: npm could not fetch the interpreter in time")
        if run.returncode:
            pytest.skip("NOT TESTED in MicroPython: npm could not fetch the interpreter: " + run.stderr[-300:])
    return HERE


@pytest.mark.parametrize("form, most", [("source", 16000), ("mpy", 15600), ("pieces", 14300)])
def test_in_micropython(interpreter, form, most):
    run = subprocess.run(["node", str(interpreter / "run.mjs"), form], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    assert "vectors: 6" in run.stdout
    assert "stored as expected" in run.stdout
    resident = int(re.search(r"heap: (\d+) bytes for the module", run.stdout).group(1))
    assert resident <= most, "the module takes more of a board's heap than before"


def cut(interpreter, *arguments):
    return subprocess.run(["node", str(interpreter / "cuts.mjs"), *arguments], capture_output=True, text=True, timeout=240)


@requirement("U10", "U13")
@pytest.mark.parametrize("file_system", [[], ["--fat"]], ids=["replacing", "fat"])
@pytest.mark.parametrize("what, least", [("update", 110), ("rollback", 60)])
def test_power_cuts_in_micropython(interpreter, what, least, file_system):
    """At every change of the file system; on FAT a rename does not replace, which takes more of them."""
    run = cut(interpreter, what, *file_system)
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]
    points = int(re.search(r"cut points: (\d+)", run.stdout).group(1))
    assert points >= (least + 40 if file_system else least), "an update that changes so little is not cut everywhere"


@pytest.mark.parametrize("right, wrong", MISTAKES)
def test_a_mistake_in_the_guard_is_found_in_micropython(interpreter, tmp_path, right, wrong):
    text = (CLIENT / "pepeunit_guard.py").read_text()
    assert right in text
    (tmp_path / "guard.py").write_text(text.replace(right, wrong))
    run = cut(interpreter, "rollback", "--guard", str(tmp_path / "guard.py"))
    assert run.returncode != 0 and re.search(r'Error: cut before "', run.stderr), run.stdout + run.stderr[-3000:]
