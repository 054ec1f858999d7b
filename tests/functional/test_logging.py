"""Which readings are kept (D3): policies of schema.json, and those that a maintainer chooses later."""
import json
import time

import pytest

from conftest import ENV, eventually, make_sensor, readings, refused
from marks import requirement

SCHEMA = json.dumps({"output_variables": {
    "direct": {},
    "off": {"logging": "off"},
    "mean": {"logging": {"mode": "mean", "window": "10s", "grace": 0}},
    "median": {"logging": {"mode": "median", "window": "10s", "grace": 0}},
    "change": {"type": "string", "logging": "on_change"},
    "band": {"logging": {"mode": "on_change", "dead_band": 0.5}},
    "rate": {"type": "boolean", "logging": {"mode": "rate", "every": "1m"}},
}})


@pytest.fixture(scope="module")
def logged_repo(admin, remote):
    return admin.add_repository("logged", remote.publish("logged", {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": "print('on')\n"}))


@pytest.fixture
def logged(admin, logged_repo):
    return make_sensor(admin, logged_repo, "logged")


def report(device, samples):
    """`samples`: by age in seconds, the values."""
    assert device.hello().status == 200
    answer = device.send(raw={"output_variables": [{"age_ms": int(age * 1000), "values": values} for age, values in samples]})
    assert answer.status == 200, answer.body


def values(api, variable):
    return [r["value"] for r in readings(api, variable)]


@requirement("D3", "D1", "S4")
def test_each_policy_keeps_what_it_says(admin, logged):
    unit, variables, device = logged
    # Two stretches of ten seconds, two minutes ago. They keep away from the ends by more than this takes.
    report(device, [(120, {})])
    now = int(device.world["unix_ms"]) / 1000
    start = now // 60 * 60 - 120  # begins a minute, and so a window
    ages = [now - start - offset for offset in [1 + 0.5 * i for i in range(10)] + [11 + 0.5 * i for i in range(10)]]
    numbers = [5, 1, 9, 2, 8, 3, 7, 4, 6, 105] + [20.0, 20.4, 20.6, 20.4, 21.2, 21.2, 21.2, 21.2, 21.2, 0]
    report(device, [(age, {"direct": n, "off": n, "mean": n, "median": n, "band": n, "change": "low" if n < 10 else "high", "rate": n > 10})
                    for age, n in zip(ages, numbers)])
    eventually(lambda: len(values(admin, variables["mean"])) == 2)
    assert values(admin, variables["direct"]) == numbers
    assert values(admin, variables["off"]) == []
    assert admin.get(f"/api/v1/variables/{variables['off']['id']}/value")["value"] == 0
    assert values(admin, variables["mean"]) == [15, pytest.approx(sum(numbers[10:]) / 10)]
    eventually(lambda: values(admin, variables["median"]) == [5.5, pytest.approx(20.9)])
    assert values(admin, variables["change"]) == ["low", "high", "low"]
    assert values(admin, variables["band"]) == [5, 1, 9, 2, 8, 3, 7, 4, 6, 105, 20.0, 20.6, 21.2, 0]
    assert values(admin, variables["rate"]) == [False]
    # What a device kept while it was offline goes into the window of its time, although that is closed.
    report(device, [(int(device.world["unix_ms"]) / 1000 - start - 5, {"mean": 115})])
    eventually(lambda: values(admin, variables["mean"])[0] == pytest.approx((150 + 115) / 11))
    assert len(values(admin, variables["mean"])) == 2


@requirement("D3", "U8")
def test_a_maintainer_chooses_another_policy_and_goes_back(admin, logged):
    unit, variables, device = logged
    path = "/api/v1/variables/" + variables["direct"]["id"]
    before = admin.get(path)
    assert before["logging"] == "direct" and not before["logging_chosen"]
    changed = admin.patch(path, {"logging_policy": {"mode": "LOGGING_MODE_ON_CHANGE", "dead_band": 2, "keep_s": 86400}})
    assert changed["logging"] == "on_change" and changed["logging_chosen"]
    assert changed["logging_policy"]["dead_band"] == 2 and changed["logging_policy"]["keep_s"] == "86400"

    told = iter(range(1000))

    def kept(*numbers):
        """What of them is kept."""
        had, last = readings(admin, variables["direct"]), next(told)
        time.sleep(0.1)  # so that none was measured before those of the last time
        report(device, [((len(numbers) - i) / 1000, {"direct": n, "off": last}) for i, n in enumerate(numbers)])
        eventually(lambda: admin.get(f"/api/v1/variables/{variables['off']['id']}/value")["value"] == last)
        return [r["value"] for r in readings(admin, variables["direct"]) if r not in had]

    eventually(lambda: kept(50, 50) == [])  # once unit-ingest has heard of it
    assert kept(51, 60, 61) == [60]
    back = admin.patch(path, {"logging_chosen": False})
    assert back["logging"] == "direct" and not back["logging_chosen"]
    eventually(lambda: kept(7, 7) == [7, 7])

    refused(400, "INVALID_FIELD", admin.patch, path, {"logging_policy": {"mode": "LOGGING_MODE_MEAN", "window_s": 7}}, field="logging_policy.window_s")
    refused(400, "INVALID_FIELD", admin.patch, path, {"logging_policy": {"mode": "LOGGING_MODE_UNSPECIFIED"}}, field="logging_policy.mode")
    refused(400, "INVALID_FIELD", admin.patch, path, {"logging_policy": {"mode": "LOGGING_MODE_DIRECT", "keep_s": 5}}, field="logging_policy.keep_s")
    text = "/api/v1/variables/" + variables["change"]["id"]
    refused(400, "INVALID_FIELD", admin.patch, text, {"logging_policy": {"mode": "LOGGING_MODE_MEAN", "window_s": 60}}, field="logging_policy.mode")
