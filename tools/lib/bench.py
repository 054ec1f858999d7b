"""`tools/bench`: what an instance of its own takes: the way in against a bare echo of the same bodies (`ingest`), a large
graph (`graph`), what is pushed (`latency`), too much of everything (`overload`), a long history (`history`), the logger against raw COPY (`logger`), remotes that are followed (`sync`), updates
over the air (`ota`), and the kill test for longer (`faults`)."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import bench_history
import bench_latency
import bench_ota
import bench_overload
import bench_sync
from bench_units import Fleet
from pepeunit.instance import Instance
from pepeunit.postgres import Postgres
from pepeunit.process import cpu_seconds, pss_bytes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("PEPEUNIT_BIN", os.path.join(ROOT, "build", "release", "bin"))
# The bench measures the way in, not the protection against one eager device.
SETTINGS = {"PEPEUNIT_PRIVATE_REMOTES": "*", "PEPEUNIT_UNIT_RATE": "1000000", "PEPEUNIT_UNIT_BURST": "1000000", "PEPEUNIT_LOG_LEVEL": "warning"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def load(path, port, options, seconds, echo=False):
    command = [os.path.join(BIN, "pepeunit-bench"), "load", "--units", path, "--port", str(port), "--connections", str(options.connections),
               "--threads", str(options.threads), "--seconds", str(seconds)] + (["--echo"] if echo else [])
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    if run.returncode != 0:
        raise RuntimeError("the load generator failed: " + run.stderr)
    return json.loads(run.stdout)


def rows(instance):
    return int(instance.postgres.psql("SELECT count(*) FROM log.reading")[0][0])


def ingest(options):
    folder = tempfile.mkdtemp(prefix="pub-", dir="/tmp")
    os.chmod(folder, 0o755)
    instance = Instance(os.path.join(folder, "i"), BIN, settings=SETTINGS)
    echo = None
    try:
        say("starting a private instance")
        instance.start()
        say(f"making {options.units} units")
        with Fleet(instance, folder, {"schema.json": '{"output_variables": {"value": {"type": "number"}}}', "env_example.json": "{}", "main.py": "\n"}) as fleet:
            path = fleet.make_units(options.units)
        echo = subprocess.Popen([os.path.join(BIN, "pepeunit-bench"), "echo", "--threads", "2"], stdout=subprocess.PIPE, text=True)
        echo_port = json.loads(echo.stdout.readline())["port"]
        ingest_port = instance.ports["unit-ingest"]
        say("warming up")
        warm = load(path, ingest_port, options, 2)
        daemons = [("postgres", instance.postgres.daemon), ("nats", instance.nats)] + list(instance.services.items())
        spent = {name: cpu_seconds(daemon.pid()) or 0 for name, daemon in daemons}
        # In turns, for the machine is not always as fast; each stretch stands beside the mean of the echoes around it.
        each = options.seconds / options.rounds
        echoes, runs = [load(path, echo_port, options, each / 2, echo=True)], []
        for number in range(options.rounds):
            runs.append(load(path, ingest_port, options, each))
            echoes.append(load(path, echo_port, options, each / 2, echo=True))
            say(f"{number + 1} of {options.rounds}: {runs[-1]['per_s']:.0f} of {(echoes[-2]['per_s'] + echoes[-1]['per_s']) / 2:.0f} a second")
        ratios = sorted(run["per_s"] / ((before["per_s"] + after["per_s"]) / 2) for run, before, after in zip(runs, echoes, echoes[1:]))
        posts = sum(run["readings"] for run in runs)
        expected = warm["readings"] + posts
        cpu = {name: round(((cpu_seconds(daemon.pid()) or 0) - spent[name]) / max(1, posts) * 1e6, 1) for name, daemon in daemons}
        cpu["load generator"] = round(sum(run["cpu_s"] for run in runs) / max(1, posts) * 1e6, 1)
        memory = {name: round((pss_bytes(daemon.pid()) or 0) / 1e6, 1) for name, daemon in daemons}
        middle = lambda values: sorted(values)[len(values) // 2]  # noqa: E731
        say("the last posts, and how soon their rows are there")
        tail = load(path, ingest_port, options, 1)
        expected += tail["readings"]
        end = time.time() + 120
        while rows(instance) < expected and time.time() < end:
            time.sleep(0.01)
        # No reading is younger than its own 2xx, so this is how long after the last one all were there.
        late = max(0.0, time.time() - tail["last_accepted_ms"] / 1000)
        found = rows(instance)
        print(json.dumps({
            "ratio": round(middle(ratios), 4), "ratios": [round(ratio, 3) for ratio in ratios],
            "accepted_per_s": round(middle([run["per_s"] for run in runs]), 1), "echo_per_s": round(middle([run["per_s"] for run in echoes]), 1),
            "p50_ms": round(middle([run["p50_ms"] for run in runs]), 3), "p95_ms": round(middle([run["p95_ms"] for run in runs]), 3),
            "p99_ms": round(middle([run["p99_ms"] for run in runs]), 3),
            "errors": {status: count for run in runs for status, count in run["refused"].items()}, "rows_expected": expected, "rows_found": found,
            "last_row_after_s": round(late, 3), "units": options.units, "connections": options.connections, "seconds": options.seconds,
            "cpu_us_per_post": cpu, "memory_mb_pss": memory}), flush=True)
        return 0 if found == expected else 1
    finally:
        if echo is not None:
            echo.terminate()
            echo.wait()
        instance.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(instance.run_dir, ignore_errors=True)


def logger(options):
    """Rows a second that the logger moves from the stream into the tables, and that one COPY of the same rows takes."""
    run = subprocess.run([os.path.join(BIN, "state_logger_tests"), "[bench]"], capture_output=True, text=True, timeout=600)
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    print(lines[0] if lines else run.stdout + run.stderr, flush=True)
    return run.returncode


def faults(options):
    environment = dict(os.environ, PEPEUNIT_KILL_ROUNDS=str(options.rounds), PEPEUNIT_BIN=BIN)
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", os.path.join(ROOT, "tests", "functional", "test_faults.py")],
                          env=environment, cwd=ROOT).returncode


def graph(options):
    """A large graph on a private PostgreSQL that is set up as that of an instance of such a size, as the role that the service has there."""
    folder = tempfile.mkdtemp(prefix="pub-", dir="/tmp")
    os.chmod(folder, 0o755)
    at = {name: os.path.join(folder, name) for name in ("data", "socket", "run", "log")}
    for name in ("run", "log"):
        os.makedirs(at[name])
    postgres = Postgres(at["data"], at["socket"], at["run"], at["log"], secret=lambda name: "bench",
                        settings=["shared_buffers=" + options.shared_buffers])
    try:
        say("starting a private PostgreSQL")
        postgres.prepare()
        postgres.start()
        postgres.create_roles()
        dsn_file = os.path.join(folder, "dsn")
        with open(dsn_file, "w") as f:
            f.write(postgres.dsn("graph-registry"))
        say("building the graph and timing it")
        run = subprocess.run([os.path.join(BIN, "pepeunit-graph-bench"), "--dsn-file", dsn_file, "--schema", "graph", "--scale", str(options.scale),
                              "--rounds", str(options.rounds)], stdout=subprocess.PIPE, text=True, timeout=3600)
        if run.returncode != 0:
            return 1
        result = json.loads(run.stdout)
        result["database_mb"] = round(int(postgres.psql("SELECT pg_database_size('pepeunit')")[0][0]) / 1e6)
        for t in result["timings"]:
            say(f"{t['operation']:48} {t['user']:14} p50 {t['p50_ms']:8.2f}  p99 {t['p99_ms']:8.2f}  most {t['most_ms']:8.2f} ms  {t['rows']:6.1f} rows"
                + ("  MORE THAN 10 ms" if t["p99_ms"] > 10 else ""))
        print(json.dumps(result), flush=True)
        return 0
    finally:
        postgres.daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description="Measures an instance of its own; prints one JSON line.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("ingest", help="accepted durable posts a second, as a ratio to a bare echo in the same run")
    one.add_argument("--units", type=int, default=200)
    one.add_argument("--connections", type=int, default=64)
    one.add_argument("--seconds", type=float, default=20, help="of posts, in turns with half as long of echo")
    one.add_argument("--rounds", type=int, default=8, help="turns")
    one.add_argument("--threads", type=int, default=1, help="of the load generator")
    two = commands.add_parser("faults", help="the kill test, for longer: every process is killed in turn while units post")
    two.add_argument("--rounds", type=int, default=5)
    three = commands.add_parser("graph", help="how long a page, a neighbourhood, an access decision and a move take on a large graph")
    three.add_argument("--scale", type=float, default=1, help="of 10,000 users, 100,000 units, 1,000,000 variables and 200,000 links")
    three.add_argument("--rounds", type=int, default=400, help="calls of each operation for each kind of user")
    three.add_argument("--shared-buffers", default="512MB", help="of PostgreSQL; a quarter of the memory is usual")
    history = commands.add_parser("history", help="how long questions for a long history take")
    history.add_argument("--rows", type=float, default=100e6, help="readings, one a minute of each variable")
    history.add_argument("--variables", type=int, default=1000)
    history.add_argument("--rounds", type=int, default=200, help="questions of each kind")
    latency = commands.add_parser("latency", help="how soon a value that one unit posts is at another's open WebSocket")
    latency.add_argument("--pairs", type=int, default=160)
    latency.add_argument("--per-s", type=float, default=1280, help="posts of all together; a link carries 10 a second")
    latency.add_argument("--seconds", type=float, default=15)
    over = commands.add_parser("overload", help="far more load than the instance takes, and PostgreSQL away under load")
    over.add_argument("--units", type=int, default=500, help="that post without waiting; each has a connection of its own")
    over.add_argument("--connections", type=int, default=64, help="of what is normal, and of the load without PostgreSQL")
    over.add_argument("--seconds", type=float, default=60, help="of overload")
    over.add_argument("--away", type=float, default=60, help="how long PostgreSQL is away")
    commands.add_parser("logger", help="rows a second from the stream into the tables, as a ratio to one COPY of the same rows")
    four = commands.add_parser("sync", help="how many unchanged remotes are looked after in a minute, and what each takes")
    four.add_argument("--remotes", type=int, default=500)
    four.add_argument("--workers", type=int, default=2, help="PEPEUNIT_SYNC_WORKERS")
    five = commands.add_parser("ota", help="units a minute that take an update, and the throughput as a ratio to nginx serving the same bytes in the same run")
    five.add_argument("--units", type=int, default=200)
    five.add_argument("--connections", type=int, default=8)
    five.add_argument("--chunk", type=int, default=4096, help="bytes of a file that a device asks for at once")
    five.add_argument("--file-bytes", type=int, default=12288, help="of each of the 20 files, 2 of which change")
    options = parser.parse_args()
    commands = {"ingest": ingest, "graph": graph, "logger": logger, "latency": lambda given: bench_latency.run(given, BIN, SETTINGS, say), "overload": lambda given: bench_overload.run(given, BIN, SETTINGS, say), "history": lambda given: bench_history.run(given, BIN, SETTINGS, say), "faults": faults, "sync": lambda given: bench_sync.run(given, BIN, say),
                "ota": lambda given: bench_ota.run(given, BIN, say)}
    sys.exit(commands[options.command](options))


if __name__ == "__main__":
    main()
