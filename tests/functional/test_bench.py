"""The benches run: small, so that they cannot rot. What they measure decides nothing here, but what is no matter of time."""
import json
import os
import subprocess
import sys

from conftest import BIN, ROOT
from marks import requirement


def bench(*arguments):
    run = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "lib", "bench.py"), *arguments],
                         env=dict(os.environ, PEPEUNIT_BIN=BIN), capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_bench_of_a_large_graph_runs():
    result = bench("graph", "--scale", "0.003", "--rounds", "5")
    timings = {(t["operation"], t["user"]): t for t in result["timings"]}
    assert result["variables"] == 10 * result["units"]
    assert all(t["count"] == 5 for t in timings.values())
    # Every kind of user sees something of what is there.
    for user in ("ordinary user", "newcomer", "administrator"):
        assert timings["page of units", user]["rows"] > 0
        assert timings["neighbourhood of a popular repository, depth 2", user]["rows"] > 1
    assert timings["move: reconciliation, executed", "administrator"]["rows"] > 10


def test_the_bench_of_syncs_runs():
    result = bench("sync", "--remotes", "5")
    assert result["unchanged"] == 5 and result["requests_each"] == 1


@requirement("U10", "U13")
def test_a_fleet_of_200_gets_little_more_than_what_changed():
    """20 files of which 2 changed: all that a unit is sent is at most 1.2 times these two."""
    result = bench("ota", "--units", "200")
    assert result["updated"] == result["confirmed"] == 200
    assert result["bytes_changed"] <= result["bytes_each"] <= 1.2 * result["bytes_changed"]
