"""`tools/bench history`: a history of many rows, and how long it takes to be asked."""
import json
import os
import random
import shutil
import tempfile
import time
import urllib.parse
import urllib.request

from bench_units import Fleet
from pepeunit.instance import Instance

OUTPUTS_OF_UNIT = 100
DAY = 86_400


def spread(times):
    times = sorted(times)
    return {"p50_ms": round(times[len(times) // 2] * 1000, 2), "p99_ms": round(times[min(len(times) - 1, len(times) * 99 // 100)] * 1000, 2)}


def run(options, bin_dir, settings, say):
    units = max(1, round(options.variables / OUTPUTS_OF_UNIT))
    variables = units * OUTPUTS_OF_UNIT
    days = max(31, round(options.rows / variables / 1440))
    folder = tempfile.mkdtemp(prefix="pub-", dir="/tmp")
    os.chmod(folder, 0o755)
    instance = Instance(os.path.join(folder, "i"), bin_dir, settings=settings)
    try:
        say(f"starting a private instance: {variables} outputs of {units} units, a reading each minute for {days} days")
        instance.start()
        schema = {"output_variables": {f"v{i:02}": {"type": "number"} for i in range(OUTPUTS_OF_UNIT)}}
        with Fleet(instance, folder, {"schema.json": json.dumps(schema), "env_example.json": "{}", "main.py": "\n"}) as fleet:
            api = fleet.api
            made = [api.post("/api/v1/units", {"repo_unit_id": fleet.repo["id"], "name": f"unit {i}"}) for i in range(units)]
        ids = [[v["id"] for v in api.variables(unit["id"]).values()] for unit in made]
        begin = int(time.time()) // DAY * DAY - days * DAY
        fill(instance, ids, [unit["id"] for unit in made], begin, days, say)
        result = {"rows": variables * 1440 * days, "variables": variables, "days": days, "database_mb": round(int(instance.postgres.psql("SELECT pg_database_size('pepeunit')")[0][0]) / 1e6)}
        result.update(measure(instance, api, ids, [unit["id"] for unit in made], begin, days, options.rounds, say))
        print(json.dumps(result), flush=True)
        return 0
    finally:
        instance.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(instance.run_dir, ignore_errors=True)


def fill(instance, ids, units, begin, days, say):
    """The tables as the logger leaves them: days in the order of their index, with roll-ups."""
    sql = instance.postgres.psql
    for unit, outputs in zip(units, ids):
        sql("INSERT INTO log.series (variable_id, unit_id) VALUES " + ",".join(f"('{one}', '{unit}')" for one in outputs))
    first, last = (int(sql(f"SELECT {f}(id) FROM log.series")[0][0]) for f in ("min", "max"))
    # The roller of the instance keeps its hands off while the marks stand in the future.
    sql("UPDATE log.rollup_mark SET done = now() + interval '1 year', pending = now() + interval '1 year'")
    levels = [("rollup_60", 60, None), ("rollup_900", 900, "rollup_60"), ("rollup_3600", 3600, "rollup_900"), ("rollup_86400", 86400, "rollup_3600")]
    months = {time.strftime("%Y-%m", time.gmtime(begin + d * DAY)) for d in range(days + 1)}
    for month in sorted(months):
        year, number = map(int, month.split("-"))
        end = f"{year + number // 12}-{number % 12 + 1:02}-01"
        for table, _, _ in levels:
            sql(f"CREATE TABLE IF NOT EXISTS log.{table}_{year}{number:02} PARTITION OF log.{table} FOR VALUES FROM ('{month}-01 00:00:00+00') TO ('{end} 00:00:00+00')")
        sql(f"INSERT INTO log.rollup_month VALUES ('{month}-01') ON CONFLICT DO NOTHING")
    began = time.monotonic()
    for day in range(days):
        at = begin + day * DAY
        name, to = time.strftime("%Y-%m-%d", time.gmtime(at)), time.strftime("%Y-%m-%d", time.gmtime(at + DAY))
        table = "log.reading_" + name.replace("-", "")
        sql(f"CREATE TABLE IF NOT EXISTS {table} PARTITION OF log.reading FOR VALUES FROM ('{name} 00:00:00+00') TO ('{to} 00:00:00+00');"
            f"INSERT INTO {table} (time, stream_seq, number, series, ord, kind) SELECT to_timestamp({at} + m * 60), 1, 20 + 5 * sin(({day} * 1440 + m) / 229.0 + s) + random(), s, 0, 1"
            f" FROM generate_series({first}, {last}) AS s, generate_series(0, 1439) AS m;"
            f"INSERT INTO log.reading_day (day, sorted_at) VALUES ('{name}', now()) ON CONFLICT DO NOTHING;"
            "INSERT INTO log.rollup_60 (time, count, rows, sum, minimum, maximum, last, minimum_at, maximum_at, last_at, series)"
            f" SELECT time, 1, 1, number, number, number, number, time, time, time, series FROM {table}")
        for target, width, source in levels[1:]:
            sql(f"INSERT INTO log.{target} (series, time, count, rows, sum, minimum, minimum_at, maximum, maximum_at, last, last_at)"
                f" SELECT series, date_bin('{width} s', time, 'epoch'), sum(count), sum(rows), sum(sum), (min(ARRAY[minimum, extract(epoch FROM minimum_at)::float8]))[1],"
                " to_timestamp((min(ARRAY[minimum, extract(epoch FROM minimum_at)::float8]))[2]), (max(ARRAY[maximum, -extract(epoch FROM maximum_at)::float8]))[1],"
                " to_timestamp(-(max(ARRAY[maximum, -extract(epoch FROM maximum_at)::float8]))[2]), (max(ARRAY[extract(epoch FROM last_at)::float8, last]))[2], max(last_at)"
                f" FROM log.{source} WHERE time >= to_timestamp({at}) AND time < to_timestamp({at + DAY}) GROUP BY 1, 2")
        if day % 10 == 9:
            say(f"{day + 1} days, {(day + 1) * (last - first + 1) * 1440 / 1e6:.1f} million rows, {time.monotonic() - began:.0f} s")
    sql(f"UPDATE log.rollup_mark SET done = to_timestamp({begin + days * DAY}), pending = to_timestamp({begin + days * DAY})")
    sql("ANALYZE log.reading; ANALYZE log.rollup_60; ANALYZE log.rollup_900; ANALYZE log.rollup_3600; ANALYZE log.rollup_86400; CHECKPOINT")


def measure(instance, api, ids, units, begin, days, rounds, say):
    generator = random.Random(1)

    def get(accept="application/json", **parameters):
        request = urllib.request.Request(api.url + "/api/v1/history?" + urllib.parse.urlencode(parameters, doseq=True),
                                         headers={"Authorization": "Bearer " + api.token, "Accept": accept})
        began = time.monotonic()
        with urllib.request.urlopen(request, timeout=120) as answer:
            body = answer.read()
        return time.monotonic() - began, body

    def some(what, count, **parameters):
        times = []
        for _ in range(count):
            unit = generator.randrange(len(units))
            one = generator.choice(ids[unit])
            taken, body = get(**{k: v(unit, one) if callable(v) else v for k, v in parameters.items()})
            times.append(taken)
            points = json.loads(body)["series"] if parameters.get("accept") is None else body
            assert points, what
        result = spread(times)
        say(f"{what:60} p50 {result['p50_ms']:9.2f}  p99 {result['p99_ms']:9.2f} ms")
        return result

    end = begin + days * DAY
    month = {"from": lambda *_: str(end - 30 * DAY), "to": lambda *_: str(end)}
    day = {"from": lambda *_: str(end - generator.randrange(2, days) * DAY)}
    whole_day = {"from": lambda *_: str(end - 2 * DAY), "to": lambda *_: str(end - DAY)}
    month_points = some("30 days of one variable to 1,000 points", rounds, variable_ids=lambda u, v: v, points="1000", times="HISTORY_TIMES_UNIX_MS", **month)
    result = {
        "month_to_1000_points": month_points,
        "month_by_hours": some("30 days of one variable by hours", rounds, variable_ids=lambda u, v: v, step="1h", **month),
        "year_to_1000_points": some("all days of one variable to 1,000 points", rounds, variable_ids=lambda u, v: v, points="1000", **{"from": str(begin), "to": str(end)}),
        "day_raw": some("a day of one variable, raw", rounds, variable_ids=lambda u, v: v, **whole_day),
        "newest_of_100": some("the newest of 100 variables", rounds, unit_ids=lambda u, v: units[u], latest="true"),
        "day_of_100_by_hours": some("a day of 100 variables by hours", max(10, rounds // 4), unit_ids=lambda u, v: units[u], step="1h", **whole_day),
        "month_of_100_to_100_points": some("30 days of 100 variables to 100 points each", max(10, rounds // 10), unit_ids=lambda u, v: units[u], points="100", **month),
        "day_raw_of_100": some("a day of 100 variables, raw: 144,000 rows of CSV", max(5, rounds // 20), accept="text/csv", unit_ids=lambda u, v: units[u], **whole_day),
    }
    del day
    return result
