"""The client in the real MicroPython interpreter, as source, compiled, and in pieces as on an ESP8266. Needs node and npm, and the
network or npm's cache the first time; without them it is skipped, and says so."""
import pathlib
import re
import shutil
import subprocess

import pytest

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
    return HERE / "run.mjs"


@pytest.mark.parametrize("form, most", [("source", 16000), ("mpy", 15600), ("pieces", 14300)])
def test_in_micropython(interpreter, form, most):
    run = subprocess.run(["node", str(interpreter), form], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    assert "vectors: 4" in run.stdout
    assert "stored as expected" in run.stdout
    resident = int(re.search(r"heap: (\d+) bytes for the module", run.stdout).group(1))
    assert resident <= most, "the module takes more of a board's heap than before"
