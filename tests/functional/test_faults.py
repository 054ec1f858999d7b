"""Nothing that got a 2xx is lost or stored twice, whichever process is killed.

PEPEUNIT_KILL_ROUNDS sets how often each process is killed (default 1; `tools/bench faults` asks for more).
"""
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from conftest import PATIENCE, Remote, SCHEMA, ENV, dispose, eventually, make_instance, make_sensor
from marks import requirement
from pepeunit.instance import SERVICES

UNITS = 20


@requirement("D1", "O5", "U1")
def test_killing_every_process_loses_and_doubles_nothing(tmp_path):
    rounds = int(os.environ.get("PEPEUNIT_KILL_ROUNDS", "1"))
    instance = make_instance(fast=False)
    remote = Remote(str(tmp_path))
    try:
        instance.start()
        api = instance.api()
        api.sign_in("admin", instance.secret("admin-password"))
        repo = eventually(lambda: api.add_repository("sensor", remote.publish("sensor", {"schema.json": SCHEMA, "env_example.json": ENV})))
        with ThreadPoolExecutor(4) as pool:
            sensors = list(pool.map(lambda i: make_sensor(api, repo, f"unit {i}"), range(UNITS)))
        stop = threading.Event()
        sent = [0] * UNITS
        failures = []

        def post(index):
            device = sensors[index][2]
            while not stop.is_set():
                if not device.deliver({"count": sent[index] + 1}, time.monotonic() + 120 * PATIENCE):
                    failures.append(f"unit {index} could not deliver reading {sent[index] + 1}")
                    return
                sent[index] += 1
                time.sleep(0.02)

        threads = [threading.Thread(target=post, args=(i,)) for i in range(UNITS)]
        for thread in threads:
            thread.start()
        for _ in range(rounds):
            for name in SERVICES + ["postgres", "nats"]:
                before = sum(sent)
                instance.kill(name)
                time.sleep(0.5)
                instance.restart(name)
                instance.wait_ready(timeout=90 * PATIENCE)
                eventually(lambda: sum(sent) > before + UNITS or failures, 60)
                assert not failures, failures
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures
        assert sum(sent) > UNITS * 9
        # Every reading that was delivered is there, once.
        for index, (_, variables, _) in enumerate(sensors):
            identity = variables["count"]["id"]
            rows = eventually(lambda: (lambda found: found if len(found) >= sent[index] else None)(
                instance.postgres.psql(f"SELECT number::bigint FROM log.reading JOIN log.series ON id = series WHERE variable_id = '{identity}' ORDER BY number")))
            assert [int(row[0]) for row in rows] == list(range(1, sent[index] + 1))
        print(f"{sum(sent)} readings, each there once, after {rounds * 9} kills")
    finally:
        remote.daemon.stop()
        dispose(instance)
