"""What is left of a unit that was deleted: nothing that anybody is shown, and no row but those that are named here."""
import json
import signal
import socket
import threading
import time
import uuid

from conftest import eventually, make_sensor, readings, refused
from device import Device
from marks import requirement

# Tables that may name what is gone, and why.
TOMBSTONES = {
    "graph.audit": "who did what stays readable, for the time that the operator set",
    "graph.graph_change": "who watches the graph learns that it is gone, also after a disconnect; for a day",
    "graph.idempotency": "a request that comes again must not make again what was deleted; for a day",
    "log.removed": "what is still in the stream must not be stored; for longer than anything stays there",
}


def rows_that_name(instance, ids):
    """Tables of all schemas with rows that hold one of the ids as a UUID, as its bytes, or as text inside of bytes."""
    forms = []
    for one in ids:
        forms += [one, uuid.UUID(one).hex, one.encode().hex()]
    condition = " OR ".join(f"t::text LIKE '%{form}%'" for form in forms)
    tables = instance.postgres.psql("SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                                    " WHERE c.relkind IN ('r', 'm') AND n.nspname IN ('graph', 'log', 'repo', 'secret', 'public')")
    names = sorted(name for (name,) in tables)
    assert {"graph.node", "graph.node_grant", "log.current_value"} <= set(names)
    found = instance.postgres.psql(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name} t WHERE {condition}" for name in names))
    return {name for name, count in found if int(count) > 0}


def messages_about(instance, stream, subject):
    """How many messages lie on subjects of the stream, asked of JetStream itself (NATS protocol over TCP)."""
    with socket.create_connection(("127.0.0.1", instance.ports["nats"]), timeout=10) as s, s.makefile("rb") as lines:
        lines.readline()
        login = {"verbose": False, "auth_token": instance.secret("nats-token")}
        request = json.dumps({"subjects_filter": subject})
        s.sendall(f"CONNECT {json.dumps(login)}\r\nSUB _INBOX.test 1\r\nPUB $JS.API.STREAM.INFO.{stream} _INBOX.test {len(request)}\r\n{request}\r\n".encode())
        for line in lines:
            if line.startswith(b"MSG"):
                answer = json.loads(lines.read(int(line.split()[-1])))
                return sum((answer["state"].get("subjects") or {}).values())
            assert not line.startswith(b"-ERR"), line
    raise AssertionError("JetStream does not answer")


@requirement("U11", "A4")
def test_nothing_of_a_deleted_unit_is_served_or_kept(admin, instance, sensor_repo):
    guest, stranger = instance.api(), instance.api()
    guest_id = guest.sign_up("d" + uuid.uuid4().hex[:10], "correct horse battery")["user"]["id"]
    stranger.sign_up("d" + uuid.uuid4().hex[:10], "correct horse battery")
    unit, variables, device = make_sensor(admin, sensor_repo, "doomed", "ACCESS_LEVEL_PUBLIC")
    other, others, other_device = make_sensor(admin, sensor_repo, "stays")
    ids = [unit["id"], *(v["id"] for v in variables.values())]
    # All that can hang on it: roles on it and its variables, roles of its own, links both ways, values, history, state.
    admin.put(f"/api/v1/nodes/{unit['id']}/grants/{guest_id}", {"role": "ROLE_MAINTAINER"})
    admin.put(f"/api/v1/nodes/{variables['count']['id']}/grants/{guest_id}", {"role": "ROLE_READER"})
    admin.put(f"/api/v1/nodes/{other['id']}/grants/{unit['id']}", {"role": "ROLE_READER", "subject_kind": "SUBJECT_KIND_UNIT"})
    links = [admin.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": output["id"], "input_id": input_["id"]})
             for output, input_ in ((variables["temperature"], others["target"]), (others["temperature"], variables["target"]))]
    admin.put(f"/api/v1/variables/{variables['mode']['id']}/value", {"value": "off"})
    eventually(lambda: device.send({"temperature": 21, "count": 1}, {"commit": "x"}).status == 200)
    eventually(lambda: other_device.send({"temperature": 22}).status == 200)
    for variable, value in ((others["target"], 21), (variables["target"], 22)):
        eventually(lambda: admin.get(f"/api/v1/variables/{variable['id']}/value")["value"] == value)
    eventually(lambda: readings(admin, variables["count"]))
    admin.post(f"/api/v1/units/{unit['id']}:reset-env")
    device = Device(admin.get(f"/api/v1/units/{unit['id']}/archive", raw=True))
    eventually(lambda: device.send({"count": 2}).status == 200)
    assert {"graph.node", "graph.unit", "graph.variable", "graph.link", "graph.node_grant", "log.current_value", "log.unit_state"} <= rows_that_name(instance, ids)

    # A reading is on its way, acknowledged, while the unit goes.
    logger = instance.services["state-logger"]
    logger.signal(signal.SIGSTOP)
    try:
        eventually(lambda: device.send({"temperature": 66, "count": 66}).status == 200)
        deleting = threading.Thread(target=admin.delete, args=("/api/v1/units/" + unit["id"],))
        deleting.start()
        deleting.join(10)  # the answer waits for state-logger, but not for ever
    finally:
        logger.signal(signal.SIGCONT)
    deleting.join()

    eventually(lambda: device.post(device.seal(device.next, {"output_variables": [{"values": {"count": 67}}]})).status == 401)
    assert device.hello().status == 401
    gone = [f"/api/v1/units/{unit['id']}", f"/api/v1/units/{unit['id']}/variables", f"/api/v1/units/{unit['id']}/state",
            f"/api/v1/units/{unit['id']}/archive", f"/api/v1/nodes/{unit['id']}", f"/api/v1/nodes/{unit['id']}/grants"]
    for one in variables.values():
        gone += [f"/api/v1/variables/{one['id']}", f"/api/v1/variables/{one['id']}/value", f"/api/v1/variables/{one['id']}/readings",
                 f"/api/v1/nodes/{one['id']}"]
    for link in links:
        gone += ["/api/v1/links/" + link["id"], f"/api/v1/links/{link['id']}/statistics"]
    for path in gone:
        for api in (admin, guest, stranger, instance.api()):
            problem = refused(404, "NOT_FOUND", api.get, path)
            assert "doomed" not in json.dumps(problem)
    for api in (admin, guest, stranger):
        for path, field in (("/api/v1/units", "units"), ("/api/v1/units?repo_unit_id=" + sensor_repo["id"], "units"), ("/api/v1/links", "links"),
                            ("/api/v1/links?node_id=" + other["id"], "links")):
            try:
                told = json.dumps(api.list(path, field))
            except Exception as e:  # who may not see the other unit is told so
                assert e.status == 404 and "node_id" in path
                continue
            assert not [one for one in [*ids, *(link["id"] for link in links)] if one in told]
    assert unit["id"] not in json.dumps(admin.list(f"/api/v1/nodes/{other['id']}/grants", "grants"))

    # What it last told stays where links carried it, and nothing that was on its way follows.
    time.sleep(0.5)
    assert admin.get(f"/api/v1/variables/{others['target']['id']}/value")["value"] == 21
    link_ids = [link["id"] for link in links]
    eventually(lambda: rows_that_name(instance, ids + link_ids) <= set(TOMBSTONES))
    assert {"graph.audit", "log.removed"} <= rows_that_name(instance, ids)

    # Its messages stay in the stream until newer ones displace them. Nothing serves them: whoever reads the stream
    # anew, as a state-logger that was killed does, passes them over.
    assert messages_about(instance, "VALUES", f"values.*.report.{unit['id']}") > 0
    instance.kill("state-logger")
    instance.restart("state-logger")
    instance.wait_ready()
    eventually(lambda: other_device.send({"count": 5}).status == 200)
    eventually(lambda: [r["value"] for r in readings(admin, others["count"])] == [5])
    assert rows_that_name(instance, ids + link_ids) <= set(TOMBSTONES)
    for path in gone:
        refused(404, "NOT_FOUND", admin.get, path)
