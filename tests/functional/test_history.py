"""What values were over time (D1, D4): the history API as programs and people use it."""
import csv
import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import eventually, make_sensor, refused
from marks import requirement


def ask(api, accept=None, token=True, **parameters):
    """(content type, body) of an answer of histories."""
    url = api.url + "/api/v1/history?" + urllib.parse.urlencode(parameters, doseq=True)
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    if token and api.token:
        request.add_header("Authorization", "Bearer " + api.token)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def history(api, **parameters):
    return json.loads(ask(api, **parameters)[1])


@pytest.fixture
def filled(admin, sensor):
    """A unit with ten minutes of history, a reading every ten seconds up to a minute ago, but for one minute."""
    unit, variables, device = sensor
    ages = [age for age in range(660, 60, -10) if not 300 <= age < 360]
    answer = device.send(raw={"output_variables": [
        {"age_ms": age * 1000, "values": {"temperature": age / 10, "count": age, "note": f'age "{age}", ы'}} for age in ages]})
    assert answer.status == 200
    eventually(lambda: len(history(admin, variable_ids=variables["note"]["id"])["series"][0]["points"]) == len(ages))
    return unit, variables, ages


@requirement("D1")
def test_readings_in_each_form_by_the_header_or_the_parameter(admin, filled):
    _, variables, ages = filled
    kind, text = ask(admin, variable_ids=variables["note"]["id"])
    assert kind == "application/json"
    series = json.loads(text)["series"][0]
    assert [p[1] for p in series["points"]] == [f'age "{age}", ы' for age in ages]
    assert series["name"] == "note" and series["value_type"] == "string"
    kind, text = ask(admin, "text/csv", variable_ids=variables["note"]["id"])
    assert kind == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["value"] for row in rows] == [f'age "{age}", ы' for age in ages]
    assert [row["time"] for row in rows] == [p[0] for p in series["points"]]
    kind, text = ask(admin, "application/x-ndjson, text/plain;q=0.5", variable_ids=variables["count"]["id"], times="HISTORY_TIMES_UNIX_MS")
    assert kind == "application/x-ndjson"
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["value"] for line in lines] == ages and all(isinstance(line["time"], int) for line in lines)
    assert ask(admin, "application/json", variable_ids=variables["count"]["id"], format="HISTORY_FORMAT_CSV")[0].startswith("text/csv")
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(admin, "image/png", variable_ids=variables["count"]["id"])
    assert caught.value.code == 406


@requirement("D1", "D4")
def test_steps_points_gaps_and_the_newest(admin, filled):
    unit, variables, ages = filled
    # All outputs of the unit at once.
    everything = history(admin, unit_ids=unit["id"])
    assert {s["name"] for s in everything["series"]} == {"temperature", "count", "note", "silent"}
    steps = history(admin, variable_ids=variables["count"]["id"], step="1m", **{"from": "-1h"})
    assert steps["columns"] == ["time", "value", "minimum", "maximum", "sum", "last", "count"]
    points = steps["series"][0]["points"]
    assert sum(p[6] or 0 for p in points) == len(ages) and sum(p[4] or 0 for p in points) == sum(ages)
    nulls = [p for p in points if p[1] is None]
    assert len(nulls) <= 1  # the minute without readings may lie across two that have some
    few = history(admin, variable_ids=variables["temperature"]["id"], points=10, gap="0", **{"from": "-20m"})["series"][0]["points"]
    assert len(few) == 10 and few[0][1] == ages[0] / 10 and few[-1][1] == ages[-1] / 10
    broken = history(admin, variable_ids=variables["temperature"]["id"], gap="30s")["series"][0]["points"]
    assert [i for i, p in enumerate(broken) if p[1] is None] == [31]
    newest = history(admin, unit_ids=unit["id"], latest="true")["series"]
    assert {s["name"]: [p[1] for p in s["points"]] for s in newest} == {"temperature": [7.0], "count": [70], "note": ['age "70", ы'], "silent": []}


@requirement("D1")
def test_pages_by_cursor(admin, filled):
    unit, variables, ages = filled
    seen, cursor = [], ""
    while True:
        page = history(admin, unit_ids=unit["id"], names=["count", "temperature"], limit=17, cursor=cursor)
        seen += [(s["name"], p[1]) for s in page["series"] for p in s["points"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert sorted(seen) == sorted([("count", age) for age in ages] + [("temperature", age / 10) for age in ages])


@requirement("D1", "A3", "A4")
def test_the_rights_of_the_graph_hold(instance, admin, filled, sensor_repo):
    unit, variables, ages = filled
    eve = instance.api()
    eve.sign_up("eve-%d" % time.time_ns(), "correct horse battery")
    for api in (eve, instance.api()):
        for parameters in ({"variable_ids": variables["count"]["id"]}, {"unit_ids": unit["id"]}):
            with pytest.raises(urllib.error.HTTPError) as caught:
                history(api, **parameters)
            assert caught.value.code == 404
    # A filter finds what may be seen, and nothing tells of the rest.
    assert unit["id"] not in {s["unit_id"] for s in history(eve, names="count")["series"]}
    assert history(admin, repo_unit_id=sensor_repo["id"], names="count", unit_ids=unit["id"])["series"][0]["unit_id"] == unit["id"]
    refused(404, "NOT_FOUND", eve.post, f"/api/v1/variables/{variables['count']['id']}/readings:import", {"csv": "time,value\n1,2"})
    admin.post(f"/api/v1/nodes/{unit['id']}:set-level", {"level": "ACCESS_LEVEL_PUBLIC", "with_variables": True})
    assert [p[1] for p in history(instance.api(), variable_ids=variables["count"]["id"])["series"][0]["points"]] == ages
    refused(401, "UNAUTHENTICATED", instance.api().post, f"/api/v1/variables/{variables['count']['id']}/readings:import", {"csv": "time,value\n1,2"})


@requirement("D1")
def test_what_is_wrong_is_told_by_its_field(admin, sensor):
    _, variables, _ = sensor
    one = variables["count"]["id"]
    for field, parameters in [("variable_ids", {}), ("from", {"from": "soon"}), ("to", {"to": "1e99"}), ("step", {"step": "7m30s"}), ("points", {"points": 1}),
                              ("step", {"step": "1s", "from": "-1000d"}), ("gap", {"gap": "wide"}), ("limit", {"limit": 3, "latest": "true"}),
                              ("cursor", {"cursor": "AAAA"}), ("columns", {"columns": ["HISTORY_COLUMN_SUM"] * 2})]:
        if field != "variable_ids":
            parameters["variable_ids"] = one
        refused(400, "INVALID_FIELD", admin.get, "/api/v1/history?" + urllib.parse.urlencode(parameters, doseq=True), field=field)


@requirement("D4")
def test_import_from_csv_reports_line_by_line(admin, sensor):
    _, variables, _ = sensor
    path = f"/api/v1/variables/{variables['count']['id']}/readings:import"
    lines = ["time,value"] + [f"{1_600_000_000 + i},{i}" for i in range(1000)] + ["1600000000,5", "yesterday,1", "1600009999,1.5"]
    report = admin.post(path, {"csv": "\n".join(lines)})
    assert (report["lines"], report["imported"], report["known"], report["refused"]) == ("1003", "1000", "1", "2")
    assert [r["line"] for r in report["refusals"]] == ["1003", "1004"] and "time" in report["refusals"][0]["reason"]
    again = admin.post(path, {"csv": "\n".join(lines)})
    assert (again["imported"], again["known"]) == ("0", "1001")
    points = history(admin, variable_ids=variables["count"]["id"], **{"from": "1600000000", "to": "1600001000"})["series"][0]["points"]
    assert [p[1] for p in points] == list(range(1000))
    # It is summed up as if it had come from the device.
    eventually(lambda: [p[6] for p in history(admin, variable_ids=variables["count"]["id"], step="1d", **{"from": "1600000000", "to": "1600001000"})["series"][0]["points"]] == [1000])
    refused(400, "INVALID_FIELD", admin.post, path, {"csv": "when,what\n1,2"}, field="csv")


def resident_bytes(instance, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{instance.ports['admin-' + name]}/metrics", timeout=10) as answer:
        return next(float(line.split()[1]) for line in answer.read().decode().splitlines() if line.startswith("process_resident_memory_bytes"))


@requirement("D1")
def test_a_million_readings_are_streamed_in_little_memory(instance, admin, sensor):
    _, variables, device = sensor
    device.send({"temperature": 1})
    one = variables["temperature"]["id"]
    eventually(lambda: history(admin, variable_ids=one)["series"][0]["points"])
    instance.postgres.psql("INSERT INTO log.reading (time, stream_seq, number, series, ord, kind)"
                           " SELECT last.time - i * interval '50 us', 1, i, id, 0, 1 FROM log.series, (SELECT max(time) AS time FROM log.current_value"
                           f" WHERE variable_id = '{one}') AS last, generate_series(1, 1000000) AS i"
                           f" WHERE variable_id = '{one}' ORDER BY i")
    before = {name: resident_bytes(instance, name) for name in ("gateway", "state-logger")}
    request = urllib.request.Request(admin.url + f"/api/v1/history?variable_ids={one}&from=-48h", headers={"Authorization": "Bearer " + admin.token, "Accept": "text/csv"})
    began, lines, peak = time.monotonic(), 0, dict(before)
    with urllib.request.urlopen(request, timeout=120) as answer:
        while block := answer.read(1 << 20):
            lines += block.count(b"\n")
            for name in peak:
                peak[name] = max(peak[name], resident_bytes(instance, name))
    print(f"{lines} lines in {time.monotonic() - began:.1f} s")
    assert lines >= 1_000_001
    for name in peak:
        assert peak[name] - before[name] < 48 << 20, (name, before[name], peak[name])
