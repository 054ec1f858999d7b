"""The benches run: small, so that they cannot rot. What they measure decides nothing here, but what is no matter of time."""
import json
import os
import subprocess
import sys

from conftest import BIN, ROOT


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


def test_the_bench_of_updates_runs():
    result = bench("ota", "--units", "20")
    assert result["updated"] == result["confirmed"] == 20
    assert result["bytes_changed"] <= result["bytes_each"] <= 1.2 * result["bytes_changed"]


def test_the_bench_of_a_long_history_runs():
    result = bench("history", "--rows", "1", "--variables", "100", "--rounds", "5")
    assert result["rows"] == 100 * 31 * 1440
    assert all(result[kind]["p50_ms"] > 0 for kind in ("month_to_1000_points", "day_raw", "day_of_100_by_hours"))


def test_the_bench_of_the_way_in_runs():
    result = bench("ingest", "--units", "20", "--seconds", "2", "--rounds", "2")
    assert result["rows_expected"] == result["rows_found"] > 0 and result["ratio"] > 0 and not result["errors"]


def test_the_bench_of_what_is_pushed_runs():
    result = bench("latency", "--pairs", "5", "--per-s", "40", "--seconds", "2")
    assert result["posted"] == result["arrived"] > 0 == result["refused"] and result["connections"] == 10


def test_the_bench_of_overload_runs():
    result = bench("overload", "--units", "40", "--seconds", "3", "--away", "3")
    assert result["overload"]["accepted_per_s"] > 0 and result["overload"]["least_of_a_unit"] > 0
    for part in result.values():
        assert part["rows_expected"] == part["rows_found"] > 0
