"""Histories over SQL: a role that reads what its user may see, and nothing else."""
import os
import subprocess
import time

import pytest
from conftest import eventually, make_sensor, refused
from marks import requirement
from pepeunit.postgres import BIN
from test_personal_tokens import with_token


class Reader:
    def __init__(self, instance, api):
        self.instance, self.api = instance, api
        self.made = api.post("/api/v1/sql-reader", {})

    def run(self, sql):
        """What psql says: (exit code, rows or error)."""
        env = dict(os.environ, PGPASSWORD=self.made["password"])
        run = subprocess.run([BIN + "/psql", "-h", self.instance.postgres.socket_dir, "-U", self.made["user"], "-d", self.made["database"],
                              "-v", "ON_ERROR_STOP=1", "-AtX", "-F", "\t", "-c", sql], env=env, cwd="/", capture_output=True, text=True, timeout=60)
        return run.returncode, [line.split("\t") for line in run.stdout.splitlines()] if run.returncode == 0 else run.stderr

    def rows(self, sql):
        code, rows = self.run(sql)
        assert code == 0, rows
        return rows

    def refuses(self, sql):
        code, error = self.run(sql)
        assert code != 0, error
        return error


@pytest.fixture
def people(instance, admin, sensor_repo):
    """(owner, stranger, the owner's sensor) with a few readings."""
    name = "sql%d" % time.monotonic_ns()
    owner, stranger = instance.api(), instance.api()
    owner.sign_up(name + ".owner", "correct horse battery")
    stranger.sign_up(name + ".stranger", "correct horse battery")
    admin.post(f"/api/v1/nodes/{sensor_repo['id']}:set-level", {"level": "ACCESS_LEVEL_INSTANCE"})
    unit, variables, device = make_sensor(owner, sensor_repo, name)
    device.hello()
    device.send({"temperature": 21.5, "note": "a 'quoted' note"})
    device.send({"temperature": 22.5})
    eventually(lambda: len(owner.list(f"/api/v1/variables/{variables['temperature']['id']}/readings", "readings")) == 2)
    return owner, stranger, (unit, variables, device)


def reader_of(instance, api):
    token = api.make_token(["READ"], "grafana")
    return token, Reader(instance, with_token(instance, token["secret"]))


@requirement("D2", "A4")
def test_a_reader_sees_what_its_user_may_and_nothing_else(instance, people):
    owner, stranger, (unit, variables, device) = people
    _, mine = reader_of(instance, owner)
    _, theirs = reader_of(instance, stranger)
    where = f"unit_id = '{unit['id']}'"
    assert mine.rows(f"SELECT unit, variable, value FROM readings WHERE {where} AND value IS NOT NULL ORDER BY time") == [
        [unit["name"], "temperature", "21.5"], [unit["name"], "temperature", "22.5"]]
    assert mine.rows(f"SELECT text FROM readings WHERE {where} AND variable = 'note'") == [["a 'quoted' note"]]
    assert {row[0] for row in mine.rows(f"SELECT variable FROM outputs WHERE {where}")} == {"temperature", "count", "note", "silent"}
    # As Grafana's data source asks: over a period, by steps.
    assert mine.rows(f"SELECT avg(value) FROM readings WHERE time BETWEEN now() - interval '1 h' AND now() AND variable = 'temperature' AND {where}") == [["22"]]
    for view in ("minutes", "quarters", "hours", "days"):
        mine.rows(f"SELECT time, mean, minimum, maximum, last FROM {view} WHERE {where} AND time > now() - interval '1 d'")
    for view in ("outputs", "readings", "minutes"):
        assert theirs.rows(f"SELECT * FROM {view} WHERE {where}") == []
    # A right that is given shows soon, and one that is taken away is gone as soon.
    path = f"/api/v1/nodes/{unit['id']}:set-level"
    owner.post(path, {"level": "ACCESS_LEVEL_INSTANCE", "with_variables": True})
    eventually(lambda: len(theirs.rows(f"SELECT * FROM readings WHERE {where}")) == 3, 10)
    owner.post(path, {"level": "ACCESS_LEVEL_PRIVATE", "with_variables": True})
    eventually(lambda: theirs.rows(f"SELECT * FROM readings WHERE {where}") == [], 10)
    # What the owner deletes is not there any more.
    owner.delete("/api/v1/units/" + unit["id"])
    eventually(lambda: mine.rows(f"SELECT * FROM readings WHERE {where}") == [], 10)


@requirement("D2", "S6")
def test_a_reader_can_do_nothing_but_read_its_views(instance, people):
    owner, _, _ = people
    _, reader = reader_of(instance, owner)
    other = reader_of(instance, people[1])[1]
    for table in ("log.reading", "log.series", "log.sql_output", "log.sql_reader", "log.current_value", "graph.app_user", "secret.data_key",
                  "pg_authid", "pg_shadow"):
        assert "permission denied" in reader.refuses(f"SELECT * FROM {table}"), table
    # Not by a function that leaks what a condition sees before the view's own was looked at.
    leak = "CREATE FUNCTION pg_temp.leak(t text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE '%', t; RETURN true; END $$"
    assert "read-only transaction" in reader.refuses(leak) or "permission denied" in reader.refuses(leak)
    allowed = f"SET default_transaction_read_only = off; BEGIN READ WRITE; {leak}"
    assert "permission denied" in reader.refuses(allowed)
    for sql in ("INSERT INTO outputs SELECT * FROM outputs", "DELETE FROM readings", "CREATE TABLE t ()", "CREATE TEMPORARY TABLE t ()", "CREATE SCHEMA s",
                f"SET ROLE pepeunit_log", f"SET ROLE {other.made['user']}", f"SET SESSION AUTHORIZATION {other.made['user']}",
                "ALTER ROLE CURRENT_USER SUPERUSER", "SELECT log.make_sql_reader('pepeunit_reader_' || repeat('0', 32), 'x')",
                "SELECT log.drop_sql_reader(current_user::text)", "SELECT pg_read_file('/etc/passwd')", "COPY outputs TO '/tmp/x'",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pepeunit_log' LIMIT 1"):
        for prefix in ("", "SET default_transaction_read_only = off; "):
            error = reader.refuses(prefix + sql)
            assert any(word in error for word in ("permission denied", "read-only", "must be", "cannot")), (sql, error)
    started = time.monotonic()
    assert "statement timeout" in reader.refuses("SET statement_timeout = '500ms'; SELECT pg_sleep(20)") and time.monotonic() - started < 10
    # The role that serves may make readers only of this one name, and with nothing beyond a password.
    log = lambda sql: instance.postgres.psql(sql, role="pepeunit_log")  # noqa: E731
    good = "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA"
    for name, verifier in (("postgres", good), ("pepeunit_log", good), ("pepeunit_reader_x", good), ("pepeunit_reader_" + "0" * 32, "plain' SUPERUSER")):
        with pytest.raises(RuntimeError, match="not the name and the verifier"):
            log("SELECT log.make_sql_reader($a$%s$a$, $a$%s$a$)" % (name, verifier))
    with pytest.raises(RuntimeError, match="not the name"):
        log("SELECT log.drop_sql_reader('pepeunit_graph')")


@requirement("D2", "A5")
def test_a_reader_ends_with_its_token(instance, people):
    owner, _, (unit, _, _) = people
    problem = refused(409, "NEEDS_PERSONAL_TOKEN", owner.post, "/api/v1/sql-reader", {})
    assert "personal access token" in problem["detail"]
    refused(401, "UNAUTHENTICATED", instance.api().post, "/api/v1/sql-reader", {})
    token, reader = reader_of(instance, owner)
    told = reader.api.get("/api/v1/sql-reader")
    assert [[str(told["outputs"])]] == reader.rows("SELECT count(*) FROM outputs") and told["outputs"] >= 4 and not told["password"]
    # Another password: the one before is of no use.
    before = reader.made["password"]
    reader.made = reader.api.post("/api/v1/sql-reader", {})
    reader.rows("SELECT 1")
    new, reader.made["password"] = reader.made["password"], before
    assert "authentication failed" in reader.refuses("SELECT 1")
    reader.made["password"] = new
    # Deleted by hand, and made again; then its token is revoked.
    reader.api.delete("/api/v1/sql-reader")
    assert "authentication failed" in reader.refuses("SELECT 1")
    refused(404, "NOT_FOUND", reader.api.get, "/api/v1/sql-reader")
    reader.made = reader.api.post("/api/v1/sql-reader", {})
    with subprocess.Popen([BIN + "/psql", "-h", instance.postgres.socket_dir, "-U", reader.made["user"], "-d", reader.made["database"], "-X"],
                          env=dict(os.environ, PGPASSWORD=reader.made["password"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, cwd="/") as open_one:
        owner.delete("/api/v1/tokens/" + token["id"])
        owner.post(f"/api/v1/nodes/{unit['id']}:set-level", {"level": "ACCESS_LEVEL_INSTANCE"})  # anything that happens
        eventually(lambda: "authentication failed" in reader.refuses("SELECT 1"), 70)
        said, _ = open_one.communicate("SELECT * FROM outputs;\n", timeout=30)
        assert unit["name"] not in said and "terminat" in said
    assert not instance.postgres.psql(f"SELECT 1 FROM pg_roles WHERE rolname = '{reader.made['user']}'")
