"""How the processes behave: health, metrics, traces, secrets, start and stop."""
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

import leaks
from conftest import PATIENCE, dispose, eventually, make_instance, make_sensor, refused
from marks import requirement
from pepeunit.instance import SERVICES
from pepeunit.process import children


def fetch(instance, name, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{instance.ports['admin-' + name]}{path}", timeout=5) as answer:
        return answer.read().decode()


@pytest.mark.quick
def test_every_service_tells_its_health_and_metrics(instance):
    for name in SERVICES:
        assert fetch(instance, name, "/healthz").strip() == "ok"
        assert json.loads(fetch(instance, name, "/readyz"))["ready"] is True
        assert "pepeunit_ready 1" in fetch(instance, name, "/metrics")


def test_health_tells_the_truth_when_postgres_and_nats_are_away(instance, admin, sensor_repo):
    unit, variables, device = make_sensor(admin, sensor_repo, "warm")
    assert device.send({"count": 1}).status == 200
    instance.kill("postgres")
    try:
        for name in ("graph-registry", "state-logger"):
            eventually(lambda: instance.readiness(name)[0] == 503)
            assert "postgres" in instance.readiness(name)[1]
        # A unit that is known goes on: values wait in the stream.
        assert device.send({"count": 2}).status == 200
    finally:
        instance.restart("postgres")
    instance.wait_ready()
    instance.kill("nats")
    try:
        eventually(lambda: instance.readiness("unit-ingest")[0] == 503)
        answer = device.send({"count": 3})
        assert answer.status == 503, (answer.status, answer.body)
    finally:
        instance.restart("nats")
    instance.wait_ready()
    assert device.deliver({"count": 3}, time.monotonic() + 30 * PATIENCE)
    url = f"/api/v1/variables/{variables['count']['id']}/readings"
    eventually(lambda: [r["value"] for r in admin.get(url)["readings"]] == [1, 2, 3])


def test_a_service_that_hangs_is_not_taken_for_one_that_answers(instance):
    hung = instance.services["graph-registry"]
    hung.signal(signal.SIGSTOP)
    try:
        for name in ("gateway", "unit-ingest"):
            eventually(lambda: instance.readiness(name)[0] == 503 and '"graph-registry":"ok"' not in instance.readiness(name)[1])
    finally:
        hung.signal(signal.SIGCONT)
    instance.wait_ready()


def test_a_database_that_hangs_is_not_taken_for_one_that_answers(instance):
    postgres = instance.postgres.daemon.pid()
    stopped = [postgres, *children(postgres)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        for name in ("graph-registry", "repo-sync", "state-logger"):
            eventually(lambda: instance.readiness(name)[0] == 503 and '"postgres":"ok"' not in instance.readiness(name)[1])
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    instance.wait_ready()


def test_a_trace_goes_through_services(instance, admin, sensor_repo):
    trace = os.urandom(16).hex()
    request = urllib.request.Request(instance.url + "/api/v1/users/me", headers={
        "Authorization": "Bearer " + admin.token, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["X-Trace-Id"] == trace
    # An error names it too, so that the logs can be asked.
    request = urllib.request.Request(instance.url + "/api/v1/units/x", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert json.loads(caught.value.read())["trace_id"] == trace


@requirement("U5", "R4", "U4")
def test_secrets_are_in_no_log_and_in_the_database_only_sealed(instance, admin, sensor_repo, remote):
    unit, variables, device = make_sensor(admin, sensor_repo, "secretive")
    assert device.send({"count": 1}, state={"ip": "10.0.0.1"}).status == 200
    password = "hunter2-hunter2-hunter2"
    credentials = "t0ken-of-a-private-remote"
    api = instance.api()
    api.sign_up("carol", password)
    repo = api.post("/api/v1/repo-units", {"name": "private", "url": remote.url("sensor"), "private": True,
                                           "credentials": {"username": "u", "password": credentials}})
    api.wait_synced(repo["id"])
    known = [device.env["SYNC_ENCRYPT_KEY"], device.env["SECRET_KEY"], device.token, password, credentials, api.token,
             instance.secret("master-key"), instance.secret("instance-key"), instance.secret("nats-token")]
    dump = leaks.database(instance)
    assert unit["id"] in dump and repo["id"] in dump
    leaks.assert_nowhere(instance, known, dump)
    assert "password" not in admin.get("/api/v1/repo-units/" + repo["id"])


def test_the_api_describes_itself(instance):
    with urllib.request.urlopen(instance.url + "/api/v1/openapi.json") as answer:
        document = json.loads(answer.read())
    assert document["openapi"].startswith("3.1") and "/api/v1/units" in document["paths"]
    with urllib.request.urlopen(instance.url + "/api/docs") as answer:
        page = answer.read().decode()
        assert "default-src" in answer.headers["Content-Security-Policy"]
    assert "https://" not in page.replace("https://www.w3.org", ""), "the page must not ask another host"


def test_start_order_does_not_matter_and_sigterm_drains():
    instance = make_instance()
    try:
        instance.postgres.prepare()
        for name in SERVICES:
            instance.services[name].start()
        time.sleep(1)
        for name in SERVICES:
            assert instance.services[name].pid(), instance.services[name].last_lines()
        instance.nats.start()
        instance.postgres.start()
        instance.postgres.create_roles()
        instance.wait_ready(timeout=90 * PATIENCE)
        for name in SERVICES:
            assert instance.services[name].stop(20), f"{name} did not stop by itself"
            assert instance.services[name].exit_code == 0, instance.services[name].last_lines()
    finally:
        dispose(instance)


def test_a_service_without_configuration_says_all_that_is_missing(instance):
    for name in SERVICES:
        run = subprocess.run([os.path.join(instance.bin_dir, "pepeunit-" + name)], env={"PEPEUNIT_ADMIN_PORT": "x"}, capture_output=True, text=True, timeout=30)
        assert run.returncode == 2
        assert "PEPEUNIT_ADMIN_PORT" in run.stderr and "PEPEUNIT_INSTANCE_KEY" in run.stderr
        run = subprocess.run([os.path.join(instance.bin_dir, "pepeunit-" + name), "--help"], env={}, capture_output=True, text=True, timeout=30)
        assert run.returncode == 0 and "PEPEUNIT_LOG_LEVEL" in run.stdout


@requirement("R11")
def test_standard_repositories_are_offered(tmp_path):
    instance = make_instance({"PEPEUNIT_STANDARD_REPOSITORIES": "one=https://example.org/one.git two=https://example.org/two.git"})
    try:
        instance.start()
        offered = instance.api().get("/api/v1/standard-repositories")["repositories"]
        assert [entry["name"] for entry in offered] == ["one", "two"]
    finally:
        dispose(instance)
