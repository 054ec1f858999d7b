"""The query API of Prometheus (D2), against a real Prometheus over the same samples."""
import glob
import json
import math
import os
import random
import re
import time

import pytest

from conftest import ROOT, eventually, make_sensor
from marks import requirement
from prometheus_tools import Prometheus, ask, promtool

METRIC = "pepeunit_output"
INSTANT = [
    "1 + 2 * 3", "-2 ^ 2", "1 / 0", "0 / 0", "2 > bool 1", "\"text\"", "time()", "vector(1.5)",
    METRIC, METRIC + '{variable="temperature"}', METRIC + '{variable=~"temp.*|count"}', METRIC + '{variable!="count", unit!~".*2"}',
    METRIC + '{variable="nothing"}', METRIC + '{variable="count"} offset 30m', METRIC + '{variable="count"} offset -5m',
    METRIC + '{variable="count"} > 50', '50 < ' + METRIC, METRIC + ' == bool 3', METRIC + ' * 2 - 1', '100 - ' + METRIC, METRIC + ' % 7', METRIC + ' ^ 2',
    f'sum({METRIC})', f'sum by (unit) ({METRIC})', f'avg by (variable) ({METRIC})', f'min({METRIC})', f'max without (variable, variable_id) ({METRIC})',
    f'count({METRIC}) by (unit)', f'stddev({METRIC})', f'stdvar by (variable) ({METRIC})', f'quantile(0.3, {METRIC})', f'group({METRIC})',
    f'topk(2, {METRIC})', f'bottomk by (unit) (1, {METRIC})', f'sort({METRIC})', f'sort_desc({METRIC})',
    f'abs({METRIC} - 50)', f'ceil({METRIC} / 3)', f'round({METRIC} / 7, 0.05)', f'clamp({METRIC}, 10, 20)', f'sqrt({METRIC})', f'ln({METRIC} + 1)', f'exp({METRIC} / 50)',
    f'timestamp({METRIC})', f'absent({METRIC}{{unit="nobody"}})', f'absent({METRIC})', f'scalar({METRIC}{{variable="count", unit=~".*1"}})',
    f'{METRIC}{{variable="count"}} + on (unit) {METRIC}{{variable="temperature"}}', f'{METRIC}{{variable="count"}} / ignoring (variable, variable_id) {METRIC}{{variable="temperature"}}',
    f'{METRIC} and on (unit) {METRIC}{{unit=~".*1"}}', f'{METRIC} unless {METRIC}{{variable="count"}}', f'{METRIC}{{variable="count"}} or {METRIC}',
    f'label_replace({METRIC}, "short", "$1", "unit", ".*(.)")', f'{METRIC}[2m]', f'-{METRIC}{{variable="count"}}',
]
RANGE = [
    METRIC, f'{METRIC}{{variable="temperature"}}', 'time() / 1000', '42',
    *(f'{f}({METRIC}[{w}])' for f in ("rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets") for w in ("90s", "10m")),
    *(f'{f}_over_time({METRIC}[{w}])' for f in ("avg", "sum", "count", "min", "max", "last", "present", "stddev", "stdvar") for w in ("1m", "7m30s")),
    f'quantile_over_time(0.9, {METRIC}[10m])', f'predict_linear({METRIC}[10m], 600)', f'rate({METRIC}[5m] offset 10m)',
    f'sum by (variable) (rate({METRIC}[5m]))', f'avg(avg_over_time({METRIC}[5m])) by (unit) * 60', f'max({METRIC}) - min({METRIC})', f'{METRIC} > 60', f'topk(1, {METRIC})',
    f'{METRIC}{{variable="count"}} / on (unit) {METRIC}{{variable="temperature"}}', f'{METRIC}{{variable="count"}} unless on (unit) {METRIC}{{variable="temperature"}} > 55',
    f'absent({METRIC}{{variable="count"}})', f'count_over_time({METRIC}[1h]) >= bool 100', f'clamp_max({METRIC}, 30)', f'scalar(sum({METRIC}))',
]
WRONG = ["", "sum(", "nonsense(x)", "rate(x)", "x{", "x{a=~\"(\"}", "{}", "1 and 2", "1 > 2", "x[5m", "x[5m:1m", "topk(x)", "\"open", "5x"]


def samples(seed):
    """(time in s, temperature, count) of two hours until an hour ago: uneven, with gaps, resets and whole numbers."""
    generator, now = random.Random(seed), int(time.time())
    at, count, rows = now - 3 * 3600, 0.0, []
    while at < now - 3600:
        at += generator.choice([5, 10, 10, 10, 15, 60, 60])
        if generator.random() < 0.01:
            at += 900
        count = generator.choice([0.0, 1.0]) if generator.random() < 0.03 else count + generator.choice([0, 1, 2, 5])
        rows.append((at + generator.choice([0, 0.25, 0.5]), 50 + 30 * math.sin(at / 1000) + generator.gauss(0, 3), count))
    return rows


@pytest.fixture(scope="module")
def world(instance, admin, sensor_repo, tmp_path_factory):
    """Two units with a history, in the instance and in a Prometheus; and a token of who may see them."""
    maker = instance.api()
    maker.sign_up("grafana-%d" % time.time_ns(), "correct horse battery")
    token = maker.make_token(["READ"])["secret"]
    lines, times = [f"# TYPE {METRIC} gauge"], []
    labels_of = {}
    repo = maker.add_repository("of-grafana-%d" % time.time_ns(), admin.get("/api/v1/repo-units/" + sensor_repo["id"])["url"])
    for number in (1, 2):
        unit, variables, _ = make_sensor(maker, repo, f'room "{number}" \\ {number}')
        rows = samples(number)
        for column, name in ((1, "temperature"), (2, "count")):
            one = variables[name]["id"]
            report = maker.post(f"/api/v1/variables/{one}/readings:import", {"csv": "time,value\n" + "".join(f"{row[0]},{row[column] if name == 'temperature' else int(row[column])}\n" for row in rows)})
            assert int(report["imported"]) == len(rows)
            labels = {"variable": name, "variable_id": one, "unit": unit["name"], "unit_id": unit["id"], "repo_unit_id": repo["id"]}
            labels_of[one] = labels
            text = ",".join(f"{k}={json.dumps(v)}" for k, v in sorted(labels.items()))
            lines += [f"{METRIC}{{{text}}} {row[column]} {row[0]}" for row in rows]
        times += [rows[0][0], rows[-1][0]]
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "samples.om").write_text("\n".join(lines) + "\n# EOF\n")
    promtool("tsdb", "create-blocks-from", "openmetrics", str(folder / "samples.om"), str(folder / "data"))
    with Prometheus(folder) as server:
        yield {"ours": instance.url + "/prometheus", "token": token, "theirs": server.url, "start": min(times), "end": max(times), "labels": labels_of, "maker": maker}


def close(a, b):
    x, y = float(a), float(b)
    return (math.isnan(x) and math.isnan(y)) or x == y or math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9)


def normal(answer, ordered=False):
    """The result with its series in an order of their own."""
    data = answer["data"]
    if data["resultType"] in ("vector", "matrix") and not ordered:
        data["result"].sort(key=lambda series: json.dumps(series["metric"], sort_keys=True))
    return data


def differences(ours, theirs):
    """None when they say the same."""
    if ours["resultType"] != theirs["resultType"]:
        return f"{ours['resultType']} is not {theirs['resultType']}"
    if ours["resultType"] in ("scalar", "string"):
        same = ours["result"][0] == pytest.approx(theirs["result"][0]) and (ours["result"][1] == theirs["result"][1] or close(ours["result"][1], theirs["result"][1]))
        return None if same else f"{ours['result']} is not {theirs['result']}"
    mine, other = ours["result"], theirs["result"]
    if [s["metric"] for s in mine] != [s["metric"] for s in other]:
        return f"series {[s['metric'] for s in mine]} are not {[s['metric'] for s in other]}"
    for a, b in zip(mine, other):
        points, expected = (s.get("values") or [s["value"]] for s in (a, b))
        if [p[0] for p in points] != [p[0] for p in expected]:
            return f"{len(points)} points {points[:2]} are not {len(expected)} {expected[:2]}"
        wrong = [(p, q) for p, q in zip(points, expected) if not close(p[1], q[1])]
        if wrong:
            return f"{len(wrong)} values differ, as {wrong[0]}"
    return None


@requirement("D2")
def test_values_at_a_time_are_those_of_prometheus(world):
    wrong = []
    for at in (world["end"] - 1800, world["end"] - 7, world["start"] + 1234.567, world["end"] + 200):
        for query in INSTANT:
            (status, ours), (_, theirs) = (ask(world[who], "/api/v1/query", world["token"] if who == "ours" else None, query=query, time=f"{at:.3f}") for who in ("ours", "theirs"))
            assert theirs["status"] == "success", (query, theirs)
            ordered = query.startswith("sort")
            difference = f"{status} {ours}" if status != 200 else differences(normal(ours, ordered), normal(theirs, ordered))
            if difference:
                wrong.append(f"{query} at {at}: {difference}")
    assert not wrong, "\n".join(wrong)


@requirement("D2")
def test_values_over_a_period_are_those_of_prometheus(world):
    wrong, points = [], 0
    for query in RANGE:
        for step in ("60", "137s", "15m"):
            parameters = {"query": query, "start": f"{world['start'] - 60:.3f}", "end": f"{world['end'] + 400:.3f}", "step": step}
            status, ours = ask(world["ours"], "/api/v1/query_range", world["token"], form=True, **parameters)
            _, theirs = ask(world["theirs"], "/api/v1/query_range", form=True, **parameters)
            assert theirs["status"] == "success", (query, theirs)
            difference = f"{status} {ours}" if status != 200 else differences(normal(ours), normal(theirs))
            if difference:
                wrong.append(f"{query} by {step}: {difference}")
            points += sum(len(series["values"]) for series in theirs["data"]["result"])
    assert not wrong, "\n".join(wrong)
    assert points > 10_000


@requirement("D2")
def test_errors_are_told_as_prometheus_tells_them(world):
    for query in WRONG:
        status, ours = ask(world["ours"], "/api/v1/query", world["token"], query=query)
        their_status, theirs = ask(world["theirs"], "/api/v1/query", query=query)
        assert status == 400 and ours["status"] == "error" and ours["errorType"] == "bad_data" and ours["error"], (query, ours)
        if "[5m:" not in query:
            assert (their_status, theirs["errorType"]) == (400, "bad_data"), (query, theirs)
    both = f'{METRIC}{{variable="count"}} + on (variable) {METRIC}{{variable="count"}}'
    for who in ("ours", "theirs"):
        status, answer = ask(world[who], "/api/v1/query", world["token"] if who == "ours" else None, query=both, time=str(world["end"] - 100))
        assert status == 422 and answer["errorType"] == "execution" and "found duplicate series" in answer["error"], answer
        for parameters in ({"start": "0", "end": "10", "step": "0"}, {"start": "10", "end": "0", "step": "1"}, {"start": "x", "end": "10", "step": "1"}, {"start": "0", "end": "1000000", "step": "1"}, {"start": "0", "end": "1", "step": "y"}):
            assert ask(world[who], "/api/v1/query_range", world["token"] if who == "ours" else None, query="1", **parameters)[0] == 400, parameters
    assert ask(world["ours"], "/api/v1/query", "pepeunit_pat_nonsense", query="1")[0] == 401
    assert "not supported here" in ask(world["ours"], "/api/v1/query", world["token"], query="histogram_quantile(0.9, x)")[1]["error"]


@requirement("D2")
def test_what_there_is_and_who_sees_it(instance, world):
    ids = [{"__name__": METRIC, **labels} for labels in world["labels"].values()]

    def mine(answer):
        return sorted((labels for labels in answer["data"] if labels["variable_id"] in world["labels"]), key=lambda labels: labels["variable_id"])

    some = f'{{unit_id="{ids[0]["unit_id"]}"}}'
    assert mine(ask(world["ours"], "/api/v1/series", world["token"], match=[METRIC])[1]) == sorted(ids, key=lambda labels: labels["variable_id"])
    assert ask(world["ours"], "/api/v1/series", world["token"])[0] == 400
    assert len(ask(world["ours"], "/api/v1/series", world["token"], match=[some])[1]["data"]) == 3  # with `silent`, which keeps nothing
    assert ask(world["ours"], "/api/v1/labels", world["token"])[1]["data"] == sorted(ids[0])
    assert set(ask(world["ours"], "/api/v1/label/variable/values", world["token"], match=some)[1]["data"]) == {"temperature", "count", "silent"}
    assert ask(world["ours"], "/api/v1/label/__name__/values", world["token"])[1]["data"] == [METRIC]
    assert ask(world["ours"], "/api/v1/metadata", world["token"])[1]["data"][METRIC][0]["type"] == "gauge"
    assert ask(world["ours"], "/api/v1/status/buildinfo")[1]["data"]["version"].startswith("2.")
    # Others do not.
    stranger = instance.api()
    stranger.sign_up("stranger-%d" % time.time_ns(), "correct horse battery")
    for token in (None, stranger.make_token(["READ"])["secret"]):
        assert ask(world["ours"], "/api/v1/query", token, query=METRIC + some, time=str(world["end"]))[1]["data"]["result"] == []
        assert ask(world["ours"], "/api/v1/series", token, match=[some])[1]["data"] == []


@requirement("D2")
def test_promtool_asks(instance, world):
    at = str(int(world["end"]) - 60)
    server = instance.url.replace("http://", f"http://anything:{world['token']}@") + "/prometheus"
    some = f'sum(count_over_time({METRIC}{{unit_id="{next(iter(world["labels"].values()))["unit_id"]}"}}[30m]))'
    ours = promtool("query", "instant", "--time=" + at, server, some)
    assert ours.split("@")[0] == promtool("query", "instant", "--time=" + at, world["theirs"], some).split("@")[0] and "=>" in ours
    ours = promtool("query", "range", "--start=" + str(int(world["start"])), "--end=" + at, "--step=5m", server, some)
    assert ours == promtool("query", "range", "--start=" + str(int(world["start"])), "--end=" + at, "--step=5m", world["theirs"], some)
    assert METRIC in promtool("query", "labels", server, "__name__")
    assert "temperature" in promtool("query", "series", "--match=" + METRIC, server)


@requirement("D2")
def test_a_prometheus_server_federates(instance, admin, sensor, tmp_path):
    unit, variables, device = sensor
    assert device.send({"temperature": 21.5, "count": 3}).status == 200
    token = admin.make_token(["READ"])["secret"]
    target = instance.url.split("//")[1]
    config = f"""
scrape_configs:
  - job_name: pepeunit
    scrape_interval: 1s
    scrape_timeout: 1s
    metrics_path: /prometheus/federate
    honor_labels: true
    params:
      "match[]": ['pepeunit_output{{unit_id="{unit["id"]}"}}']
    authorization: {{credentials: "{token}"}}
    static_configs: [{{targets: ["{target}"]}}]
"""
    with Prometheus(tmp_path, config) as server:
        found = eventually(lambda: ask(server.url, "/api/v1/query", query=METRIC)[1]["data"]["result"], 40)
        assert {s["metric"]["variable"]: float(s["value"][1]) for s in found} == {"temperature": 21.5, "count": 3}
        assert {s["metric"]["unit_id"] for s in found} == {unit["id"]}
        device.send({"temperature": 22.5})
        eventually(lambda: [s["value"][1] for s in ask(server.url, "/api/v1/query", query=METRIC + '{variable="temperature"}')[1]["data"]["result"]] == ["22.5"], 30)


def targets(panels):
    for panel in panels:
        yield from ((panel, target) for target in panel.get("targets", []))
        yield from targets(panel.get("panels", []))


@requirement("D2")
@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(ROOT, "deploy", "grafana", "dashboards", "*.json"))), ids=os.path.basename)
def test_boards_ask_what_is_answered(world, path):
    with open(path) as f:
        board = json.load(f)
    # What Grafana needs of one: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
    assert board["uid"] and board["title"] and board["schemaVersion"] >= 36 and "id" not in board
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers) > 2
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert panel["title"] and panel["type"] and 0 <= place["x"] and place["x"] + place["w"] <= 24 and place["h"] > 0
    values = {"unit": "room.*", "variable": "temperature", "__range": "2h", "datasource": "pepeunit"}
    fill = lambda text: re.sub(r"\$\{?(\w+)\}?", lambda m: values[m.group(1)], text)  # noqa: E731
    asked = 0
    for panel, target in targets(board["panels"]):
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        if target["instant"]:
            status, answer = ask(world["ours"], "/api/v1/query", world["token"], query=fill(target["expr"]), time=str(world["end"]))
        else:
            status, answer = ask(world["ours"], "/api/v1/query_range", world["token"], query=fill(target["expr"]), start=str(world["start"]), end=str(world["end"]), step="60")
        assert status == 200 and answer["data"]["result"], (panel["title"], target["expr"], answer)
        asked += 1
    assert asked >= 5
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            match, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            assert ask(world["ours"], f"/api/v1/label/{label}/values", world["token"], match=fill(match))[1]["data"], variable["name"]
