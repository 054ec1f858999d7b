"""Every field of every operation against what it does not take, from the OpenAPI document, and names against what people write."""
import http.client
import json
import re
import threading
import urllib.parse
import urllib.request
import uuid

import pytest

from conftest import refused
from marks import requirement
from pepeunit.api import Problem

# Stored as text, and given back letter by letter.
NAMES = {
    "SQL": "'; DROP TABLE graph.node; --",
    "HTML": "<script>alert(1)</script>&amp;<img src=x onerror=alert(1)>",
    "a template": "{{7*7}} ${7*7} %s %n",
    "a path": "../../etc/passwd",
    "right to left": "מד חום (חדר 2) \u200f",
    "look-alikes of `admin`": "аdmin",  # the first letter is Cyrillic
    "combining marks": "e\u0301 not é",
    "width": "ａｄｍｉｎ\u200d",
    "emoji": "🌡️👩‍👩‍👧‍👦" * 10,
    "quotes": "\"'`\\",
    "128 characters of 4 bytes": "🌡" * 128,
    "one character": "ы",
}
NO_NAMES = {
    "nothing": "", "white space": " \t\r\n ", "129 characters": "x" * 129, "129 characters of 4 bytes": "🌡" * 129, "a NUL": "a\u0000b", "a new line": "a\nb",
    "an escape": "a\u001b[31mb", "DEL": "a\u007fb", "C1": "a\u0085b", "100 kB": "x" * 100_000,
    "an override of direction": "photo\u202egnp.exe", "an isolate": "a\u2067b", "a line separator": "a\u2028b", "nothing to see": "\u200b\u3164", "spaces": "\u00a0",
}


def send(instance, token, path, body, key=None, verb="POST"):
    """(status, answer) of a request with this body as it is."""
    parts = urllib.parse.urlsplit(instance.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    try:
        connection.request(verb, path, body, dict(headers, **{"Idempotency-Key": key}) if key else headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def document(instance):
    return instance.api().get("/api/v1/openapi.json")


def resolve(spec, schema):
    while "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def bodies(spec):
    """(operation, its fields by name) of every operation that takes a body."""
    for path, verbs in spec["paths"].items():
        for verb, operation in verbs.items():
            if verb != "parameters" and "application/json" in operation.get("requestBody", {}).get("content", {}):
                schema = resolve(spec, operation["requestBody"]["content"]["application/json"]["schema"])
                yield verb.upper(), path, {name: resolve(spec, field) for name, field in schema.get("properties", {}).items()}


def types_of(field):
    kinds = field.get("type", [])
    return set(kinds if isinstance(kinds, list) else [kinds])


def wrong_values(field):
    """Of a JSON type that the field has not. A field without a type takes any value."""
    types = types_of(field)
    if "enum" in field:
        return ["NO_SUCH_NAME", 1, {}, []]
    if "string" in types and "integer" in types:  # 64 bits, as text
        return ["x", True, {}, []]
    if "string" in types:
        return [1, True, {}, ["x"]]
    if "boolean" in types:
        return ["true", 1, {}, []]
    if types & {"integer", "number"}:
        return ["x", True, {}, []]
    if "array" in types:
        return ["x", 1, {}]
    if "object" in types:
        return ["x", 1, True, []]
    return []


@requirement("A3", "R1", "R8", "U2")
def test_every_body_refuses_unknown_fields_and_wrong_types_by_name(instance, admin):
    spec, wrong, fields_seen = document(instance), [], 0
    for method, path, fields in bodies(spec):
        at = path
        for part in [p for p in path.replace(":", "/").split("/") if p.startswith("{")]:
            at = at.replace(part, str(uuid.uuid4()))
        tries = [("nonsense", 1), ("Name", "x"), ("nonsense.inside", {})]
        for name, field in fields.items():
            fields_seen += 1
            tries += [(name, value) for value in wrong_values(field)]
            if "object" in types_of(field) and "properties" in field:
                tries.append((name + ".nonsense", None))
        for name, value in tries:
            outer = name.split(".")[0]
            body = {outer: {"nonsense": 1}} if value is None else {name: value}
            try:
                admin.call(method, at, body)
                wrong.append(f"{method} {path} took {body}")
            except Problem as problem:
                named = [e["field"] for e in problem.body.get("errors", [])] if isinstance(problem.body, dict) else []
                if problem.status != 400 or not [n for n in named if n == name or n.startswith((name + ".", name + "["))]:
                    wrong.append(f"{method} {path} answers {body} with {problem.status} {problem.body}")
    assert not wrong, "\n".join(wrong)
    assert fields_seen > 30


@requirement("A3")
def test_every_body_refuses_what_is_too_large(instance, admin):
    spec, wrong = document(instance), []
    for method, path, fields in bodies(spec):
        at = path
        for part in [p for p in path.replace(":", "/").split("/") if p.startswith("{")]:
            at = at.replace(part, str(uuid.uuid4()))
        for name, field in fields.items():
            if "string" not in types_of(field) or "enum" in field:
                continue
            for size, statuses in ((1 << 20, {413}), (500_000, {400, 401, 403, 404, 409, 429})):
                try:
                    admin.call(method, at, {name: "x" * size})
                    wrong.append(f"{method} {path} took {size} bytes of {name}")
                except Problem as problem:
                    if problem.status not in statuses:
                        wrong.append(f"{method} {path} answers {size} bytes of {name} with {problem.status}")
                    elif len(json.dumps(problem.body)) > 20_000:
                        wrong.append(f"{method} {path} gives {size} bytes of {name} back")
                except (ConnectionError, http.client.HTTPException, OSError):
                    pass  # closed while we still wrote: refused as well
    assert not wrong, "\n".join(wrong)


def named_operations(admin, repo, unit):
    return [("POST", "/api/v1/repo-units", {"url": "http://127.0.0.1:1/none.git", "no_automatic_sync": True}),
            ("PATCH", "/api/v1/repo-units/" + repo["id"], {}),
            ("POST", "/api/v1/units", {"repo_unit_id": repo["id"]}),
            ("PATCH", "/api/v1/units/" + unit["id"], {})]


@requirement("A4", "R1", "U2")
@pytest.mark.parametrize("kind", NAMES)
def test_names_are_text_and_come_back_as_they_were(admin, sensor_repo, sensor, kind):
    name = NAMES[kind]
    try:
        for method, path, body in named_operations(admin, sensor_repo, sensor[0]):
            node = admin.call(method, path, dict(body, name=name))
            assert node["name"] == name
            assert admin.get("/api/v1/nodes/" + node["id"])["name"] == name
            field = "repo_units" if "repo-units" in path else "units"
            assert [n["name"] for n in admin.list("/api/v1/" + path.split("/")[3], field) if n["id"] == node["id"]] == [name]
    finally:
        admin.patch("/api/v1/repo-units/" + sensor_repo["id"], {"name": "sensor"})


@requirement("A4", "R1", "U2")
@pytest.mark.parametrize("kind", NO_NAMES)
def test_what_is_no_name_is_refused(admin, sensor_repo, sensor, kind):
    for method, path, body in named_operations(admin, sensor_repo, sensor[0]):
        refused(400, "INVALID_FIELD", admin.call, method, path, dict(body, name=NO_NAMES[kind]), field="name")


@requirement("A4")
def test_what_is_no_text_is_refused(instance, admin, sensor_repo):
    def post(body):
        return send(instance, admin.token, "/api/v1/units", body)

    before = len(admin.list("/api/v1/units", "units"))
    head = b'{"repo_unit_id": "' + sensor_repo["id"].encode() + b'", "name": "'
    for name in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\udc00x", b"\xf5\x80\x80\x80", b"\xc0\xaf", b"\\x41"):
        status, problem = post(head + name + b'"}')
        assert status == 400 and problem["detail"], (name, status, problem)
    assert post(head + b'a", "name": "b"}')[0] == 400
    assert len(admin.list("/api/v1/units", "units")) == before


@requirement("U2", "R1")
def test_one_idempotency_key_makes_one_node(instance, admin, sensor_repo):
    def post(path, body, key, answers=None):
        answer = send(instance, admin.token, path, json.dumps(body), key)
        if answers is not None:
            answers.append(answer)
        return answer

    for path, body in (("/api/v1/units", {"repo_unit_id": sensor_repo["id"], "name": "once"}),
                       ("/api/v1/repo-units", {"name": "once", "url": "http://127.0.0.1:1/none.git", "no_automatic_sync": True})):
        key = uuid.uuid4().hex
        status, first = post(path, body, key)
        assert status == 201
        assert post(path, body, key)[1]["id"] == first["id"]
        status, problem = post(path, dict(body, name="twice"), key)
        assert status == 400 and problem["reason"] == "IDEMPOTENCY_MISMATCH"
        answers, key = [], uuid.uuid4().hex
        threads = [threading.Thread(target=post, args=(path, dict(body, name="at once"), key, answers)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [status for status, _ in answers] == [201] * 6 and len({node["id"] for _, node in answers}) == 1


def test_operations_that_honour_no_idempotency_key_refuse_it(instance, admin):
    paths = document(instance)["paths"]
    refusing, honouring = 0, set()
    for path, operations in paths.items():
        for verb, operation in operations.items():
            if verb not in ("post", "patch") or "application/x-www-form-urlencoded" in operation.get("requestBody", {}).get("content", {}):
                continue  # a form asks for something, and makes nothing
            if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ())):
                honouring.add(operation["operationId"])
                continue
            where = re.sub(r"{[a-z_]+}", str(uuid.uuid4()), path)
            status, problem = send(instance, admin.token, where, "{}", "key", verb.upper())
            assert status == 400 and problem["errors"][0]["field"] == "Idempotency-Key", (verb, path, problem)
            refusing += 1
    assert honouring == {"CreateRepoUnit", "CreateUnit", "CreateLink", "CreateRollout"}
    assert refusing > 10
    # What may be done twice without a key may be done with one.
    request = urllib.request.Request(instance.url + "/api/v1/users/me",
                                     headers={"Authorization": "Bearer " + admin.token, "Idempotency-Key": "key"})
    assert urllib.request.urlopen(request).status == 200


@requirement("A3", "U2")
def test_a_late_repetition_does_not_bring_back_what_was_deleted(instance, admin, sensor_repo):
    key, body = uuid.uuid4().hex, json.dumps({"repo_unit_id": sensor_repo["id"], "name": "late"})

    def post():
        return send(instance, admin.token, "/api/v1/units", body, key)

    status, unit = post()
    assert status == 201
    admin.delete("/api/v1/units/" + unit["id"])
    status, problem = post()
    assert status == 404 and problem["reason"] == "NOT_FOUND"
    assert unit["name"] not in [u["name"] for u in admin.list("/api/v1/units", "units")]
