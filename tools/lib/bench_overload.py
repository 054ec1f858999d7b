"""`tools/bench overload`: far more load than the instance takes, and PostgreSQL away under load."""
import json
import threading
import time

from bench_units import Fleet, private_instance, run_load
from pepeunit.process import pss_bytes

FILES = {"schema.json": '{"output_variables": {"value": {"type": "number"}}}', "env_example.json": "{}", "main.py": "\n"}


class Memory(threading.Thread):
    """The most that each process takes, looked at twice a second while the context is open."""

    def __init__(self, instance):
        super().__init__(daemon=True)
        self.daemons = {"nats": instance.nats, **{name: instance.services[name] for name in ("unit-ingest", "state-logger")}}
        self.most, self.over = {name: 0 for name in self.daemons}, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            for name, daemon in self.daemons.items():
                self.most[name] = max(self.most[name], pss_bytes(daemon.pid()) or 0)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def mb(self):
        return {name: round(most / 1e6, 1) for name, most in self.most.items()}


def run(options, binaries, settings, say):
    say("starting a private instance")
    with private_instance(binaries, settings) as (instance, folder):
        say(f"making {options.units} units")
        with Fleet(instance, folder, FILES) as fleet:
            path = fleet.make_units(options.units)

        def load(connections, seconds):
            return run_load(binaries, instance, "load", path, seconds, "--connections", connections)

        def rows():
            return int(instance.postgres.psql("SELECT count(*) FROM log.reading")[0][0])

        def complete(expected, seconds):
            end = time.monotonic() + seconds
            begin = time.monotonic()
            while time.monotonic() < end:
                try:
                    if rows() >= expected:
                        break
                except RuntimeError:  # it is starting
                    pass
                time.sleep(0.2)
            return round(time.monotonic() - begin, 1), rows()

        expected = load(options.connections, 3)["readings"]  # every unit is known after it
        normal = load(options.connections, 10)
        expected += normal["readings"]
        say(f"{options.units} connections that wait for nothing, for {options.seconds:g} s")
        with Memory(instance) as memory:
            # Every unit posts again as soon as it is answered, also when it is told to wait.
            over = load(options.units, options.seconds)
        expected += over["readings"]
        _, found = complete(expected, 60)
        overload = {"offered_per_s": round((over["accepted"] + sum(over["refused"].values())) / over["seconds"], 1), "accepted_per_s": round(over["per_s"], 1),
                    "normal_per_s": round(normal["per_s"], 1), "p99_ms": round(over["p99_ms"], 1), "normal_p99_ms": round(normal["p99_ms"], 1),
                    "refused": over["refused"], "least_of_a_unit": over["least_of_a_device"], "most_of_a_unit": over["most_of_a_device"],
                    "memory_mb": memory.mb(), "rows_expected": expected, "rows_found": found}
        say(f"PostgreSQL is away for {options.away:g} s under load")
        before = rows()
        with Memory(instance) as memory:
            stopper = threading.Timer(2, instance.kill, ["postgres"])
            starter = threading.Timer(2 + options.away, instance.restart, ["postgres"])
            stopper.start()
            starter.start()
            away = load(options.connections, options.away + 5)
            stopper.join()
            starter.join()
        after, found = complete(before + away["readings"], options.away + 120)
        outage = {"accepted_per_s": round(away["per_s"], 1), "p99_ms": round(away["p99_ms"], 1), "refused": away["refused"], "complete_after_s": after,
                  "memory_mb": memory.mb(), "rows_expected": before + away["readings"], "rows_found": found}
        print(json.dumps({"overload": overload, "without_postgres": outage}), flush=True)
        return 0 if all(part["rows_expected"] == part["rows_found"] for part in (overload, outage)) else 1
