"""Bad input, each answered with a clear problem and without effect."""
import http.client
import json
import os
import uuid

import pytest

from conftest import ENV, SCHEMA, eventually, make_sensor, readings, refused
from device import Device
from marks import requirement
from pepeunit import repos
from pepeunit.instance import free_ports


def sync_of(api, url, **more):
    """Adds a repository and returns its sync once it ended."""
    repo = api.post("/api/v1/repo-units", dict({"name": "bad", "url": url}, **more))
    sync = eventually(lambda: (lambda s: s if s["state"] in ("SYNC_STATE_READY", "SYNC_STATE_FAILED") else None)(
        api.get("/api/v1/repo-units/" + repo["id"])["sync"]), 60)
    return repo, sync


@requirement("R1", "R8")
def test_fields_of_a_repository(admin, sensor_repo):
    for body, field in (({}, "name"), ({"name": "x"}, "url"), ({"name": "x", "url": "git@host:x.git"}, "private"), ({"name": "x", "url": "ssh://host/x.git"}, "url"), ({"name": "x", "url": "file:///etc"}, "url"),
                        ({"name": "x", "url": "https://user:secret@host/x.git"}, "url"), ({"name": "x" * 129, "url": "https://h/x"}, "name"),
                        ({"name": "a\u0000b", "url": "https://h/x"}, "name"), ({"name": "x", "url": "https://h/x", "private": True}, "credentials"),
                        ({"name": "x", "url": "https://h/x", "sync_period": "1s"}, "sync_period")):
        refused(400, "INVALID_FIELD", admin.post, "/api/v1/repo-units", body, field=field)
    # The address cannot be changed: there is no such field to send.
    with pytest.raises(Exception) as caught:
        admin.patch("/api/v1/repo-units/" + sensor_repo["id"], {"url": "https://h/other"})
    assert caught.value.status == 400 and "url" in json.dumps(caught.value.body)
    assert admin.get("/api/v1/repo-units/" + sensor_repo["id"])["url"] == sensor_repo["url"]


@requirement("R2", "R3")
def test_repositories_that_cannot_be_cloned(admin, remote, tmp_path):
    nobody = free_ports(1)[0]
    for url, told in ((f"http://127.0.0.1:{nobody}/x.git", ("reach", "connect", "answer")), (remote.url("absent"), ("not", "found", "404", "no git"))):
        _, sync = sync_of(admin, url)
        assert sync["state"] == "SYNC_STATE_FAILED" and any(word in sync["error"].lower() for word in told), sync
    repos.git("init", "--quiet", "--bare", os.path.join(remote.root, "empty.git"))
    repo, sync = sync_of(admin, remote.url("empty"))
    assert sync["state"] == "SYNC_STATE_FAILED" and "empty" in sync["error"].lower(), sync
    refused(409, "REPOSITORY_NOT_READY", admin.get, f"/api/v1/repo-units/{repo['id']}/branches")
    admin.delete("/api/v1/repo-units/" + repo["id"])


@requirement("R5")
def test_a_repository_that_is_too_large(admin, instance, remote, tmp_path):
    big = tmp_path / "big"
    big.mkdir()
    (big / "blob").write_bytes(os.urandom(12 << 20))
    repos.publish(str(big), os.path.join(remote.root, "big.git"))
    repo, sync = sync_of(admin, remote.url("big"))
    assert sync["state"] == "SYNC_STATE_FAILED" and "10" in sync["error"], sync
    assert not os.path.exists(os.path.join(instance.data, "repositories", repo["id"]))


@requirement("R3")
@pytest.mark.parametrize("files, where", [
    ({"main.py": ""}, "schema.json"),
    ({"schema.json": SCHEMA}, "env_example.json"),
    ({"schema.json": "{\n\"output_variables\": [\n\"a\",\n", "env_example.json": ENV}, "schema.json:4"),
    ({"schema.json": "{\n \"output_variables\": {\n  \"t\": {\"type\": \"float\"}}}", "env_example.json": ENV}, "schema.json:3 output_variables.t.type"),
    ({"schema.json": SCHEMA, "env_example.json": "{\n\"A\": {}}"}, "env_example.json:2 A"),
])
def test_files_that_a_unit_cannot_be_made_from(admin, remote, files, where):
    url = remote.publish("broken-" + uuid.uuid4().hex[:8], files)
    repo, sync = sync_of(admin, url)
    assert sync["state"] == "SYNC_STATE_READY"
    problem = sync["problems"][0]
    assert where.startswith(problem["file"]) and problem["message"] and not problem["warning"]
    body = refused(409, "INVALID_REPOSITORY", admin.patch, "/api/v1/repo-units/" + repo["id"], {"default_branch": "main"})
    assert where in [e["field"] for e in body["errors"]], body
    refused(409, "NOT_CONFIGURED", admin.post, "/api/v1/units", {"repo_unit_id": repo["id"], "name": "x"})


@requirement("U1", "U4", "O5")
def test_tokens_keys_and_envelopes(admin, instance, sensor_repo, sensor):
    unit, variables, device = sensor
    assert device.send({"count": 1}).status == 200
    good = device.seal(device.next, {"output_variables": [{"values": {"count": 2}}]})
    _, _, other = make_sensor(admin, sensor_repo, "other")

    def told(status, reason, *arguments, **options):
        answer = device.post(*arguments, **options)
        assert answer.status == status and answer.problem()["reason"] == reason, (answer.status, answer.body)

    told(401, "UNAUTHENTICATED", good, token="")
    told(401, "UNAUTHENTICATED", good, token="a.b.c")
    told(401, "UNAUTHENTICATED", good, token=device.token[:-4] + "AAAA")
    told(401, "UNAUTHENTICATED", good, token=other.token)
    told(401, "UNAUTHENTICATED", good, token="x" * 1500)
    for broken in (b"", b"PU", good[:40], good[:-1], good[:-16], good + b"x", b"XX" + good[2:], good[:2] + b"\x02" + good[3:],
                   good[:-1] + bytes([good[-1] ^ 1]), good[:50] + bytes([good[50] ^ 1]) + good[51:]):
        told(400, "BAD_ENVELOPE", broken)
    wrong = Device(env=dict(device.env, SYNC_ENCRYPT_KEY="A" * 43 + "="), unit=unit["id"])
    answer = device.post(wrong.seal(device.next, {}))
    assert answer.status == 400 and answer.problem()["reason"] == "BAD_ENVELOPE"
    told(415, "INVALID_BODY", good, headers={"Content-Type": "application/json"})
    try:
        assert device.post(os.urandom(100_000)).status == 413
    except (ConnectionError, http.client.HTTPException):
        pass  # closed while we still wrote: refused as well
    for sequence in (device.next - 1, 1):
        answer = device.post(device.seal(sequence, {}))
        assert answer.status == 409 and answer.json == {"error": "sequence", "next": device.next, "accepted": False}
    # None of it had an effect, and the untouched body is still good.
    assert device.post(good).status == 200
    eventually(lambda: [r["value"] for r in readings(admin, variables["count"])] == [1, 2])


@requirement("S2", "S4")
@pytest.mark.parametrize("content, field", [
    ({"output_variables": [{"values": {"nothing": 1}}]}, "output_variables[0].values.nothing"),
    ({"output_variables": [{"values": {"target": 1}}]}, "output_variables[0].values.target"),
    ({"output_variables": [{"values": {"count": 1}}, {"values": {"count": 1.5}}]}, "output_variables[1].values.count"),
    ({"output_variables": [{"values": {"temperature": "warm"}}]}, "output_variables[0].values.temperature"),
    ({"output_variables": [{"values": {"note": "x" * 5000}}]}, "output_variables[0].values.note"),
    ({"output_variables": [{"values": {"count": True}}]}, "output_variables[0].values.count"),
    ({"output_variables": [{"age_ms": -1, "values": {"count": 1}}]}, "output_variables[0].age_ms"),
    ({"output_variables": [{"age_ms": 10 ** 12, "values": {"count": 1}}]}, "output_variables[0].age_ms"),
    ({"output_variables": {}}, "output_variables"),
    ({"output_variables": [{"values": {}}] * 65}, "output_variables"),
    ({"unit_state": []}, "unit_state"),
    ({"unit_state": {"x": "y" * 3000}}, "unit_state"),
    (b"{", "body"), (b"[]", "body"), (b"\xff", "body"), (b"[" * 2000, "body"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_contents_of_a_report(admin, sensor, content, field):
    # A refused report must not use up its sequence, and leaves nothing.
    _, variables, device = sensor
    device.hello()
    before = device.next
    answer = device.post(device.seal(before, content))
    assert answer.status == 422 and answer.json["error"] == "invalid", answer.body
    assert field in [e["field"] for e in answer.json["errors"]], answer.json
    device.hello()
    assert device.next == before
    assert readings(admin, variables["count"]) == []


@requirement("S3", "G2")
def test_setting_inputs(admin, sensor):
    unit, variables, _ = sensor
    url = f"/api/v1/variables/{variables['target']['id']}/value"
    for value in (101, -1, "20", None, True, [1]):
        refused(400, "INVALID_FIELD", admin.put, url, {"value": value}, field="value")
    refused(400, "INVALID_FIELD", admin.put, url, {}, field="value")
    refused(400, "INVALID_FIELD", admin.put, f"/api/v1/variables/{variables['mode']['id']}/value", {"value": "fast"}, field="value")
    refused(409, "NOT_WRITABLE", admin.put, f"/api/v1/variables/{variables['guarded']['id']}/value", {"value": 1})
    refused(409, "NOT_WRITABLE", admin.put, f"/api/v1/variables/{variables['count']['id']}/value", {"value": 1})
    assert admin.get(url)["value"] == 20 and "time" not in admin.get(url)


@requirement("G2", "A1", "A3", "A4")
def test_links_between_the_wrong_ends_or_without_rights(instance, admin, sensor_repo, sensor):
    unit, variables, _ = sensor
    stranger = instance.api()
    stranger.sign_up("mallory-" + uuid.uuid4().hex[:6], "correct horse battery")

    def link(api, output, input_, kind="LINK_TYPE_WRITE"):
        return api.post("/api/v1/links", {"type": kind, "output_id": output, "input_id": input_})

    count, target, note = variables["count"]["id"], variables["target"]["id"], variables["note"]["id"]
    refused(400, "INCOMPATIBLE_ENDS", link, admin, target, target, field="output_id")
    refused(400, "INCOMPATIBLE_ENDS", link, admin, count, count, field="input_id")
    refused(400, "INCOMPATIBLE_ENDS", link, admin, note, target, field="input_id")
    refused(409, "NOT_WRITABLE", link, admin, count, variables["guarded"]["id"])
    refused(400, "INVALID_FIELD", link, admin, "x", target, field="output_id")
    refused(404, "NOT_FOUND", link, admin, str(uuid.uuid4()), target)
    with pytest.raises(Exception) as caught:
        link(admin, count, target, "LINK_TYPE_SIDEWAYS")
    assert caught.value.status == 400
    # Unknown and forbidden answer alike.
    hidden, absent = refused(404, "NOT_FOUND", link, stranger, count, target), refused(404, "NOT_FOUND", link, stranger, str(uuid.uuid4()), target)
    assert hidden["detail"] == absent["detail"]
    admin.post(f"/api/v1/nodes/{unit['id']}:set-level", {"level": "ACCESS_LEVEL_PUBLIC", "with_variables": True})
    refused(403, "FORBIDDEN", link, stranger, count, target)
    refused(403, "FORBIDDEN", stranger.put, f"/api/v1/variables/{target}/value", {"value": 1})
    refused(403, "FORBIDDEN", stranger.delete, "/api/v1/units/" + unit["id"])
    refused(401, "UNAUTHENTICATED", link, instance.api(), count, target)
    assert admin.list("/api/v1/links?node_id=" + unit["id"], "links") == []
    # Seen by everybody, also without registration (A0); its program and keys by nobody but its maintainers.
    assert instance.api().get("/api/v1/units/" + unit["id"])["name"] == unit["name"]
    refused(403, "FORBIDDEN", stranger.get, f"/api/v1/units/{unit['id']}/archive")


@requirement("A3", "A4")
def test_unknown_and_forbidden_answer_alike(instance, sensor):
    unit, variables, _ = sensor
    stranger = instance.api()
    stranger.sign_up("eve-" + uuid.uuid4().hex[:6], "correct horse battery")
    absent = str(uuid.uuid4())
    for api in (stranger, instance.api()):
        for path, node in (("/api/v1/units/{}", unit["id"]), ("/api/v1/units/{}/variables", unit["id"]), ("/api/v1/units/{}/state", unit["id"]),
                           ("/api/v1/units/{}/archive", unit["id"]), ("/api/v1/variables/{}", variables["count"]["id"]),
                           ("/api/v1/variables/{}/value", variables["count"]["id"]), ("/api/v1/variables/{}/readings", variables["count"]["id"])):
            hidden = refused(404, "NOT_FOUND", api.get, path.format(node))
            unknown = refused(404, "NOT_FOUND", api.get, path.format(absent))
            assert hidden["detail"] == unknown["detail"], path
        assert unit["id"] not in [one["id"] for one in api.list("/api/v1/units", "units")]


def raw(instance, method, path, body=b"", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", instance.ports["gateway"], timeout=15)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    result = response.status, dict((k.lower(), v) for k, v in response.getheaders()), response.read()
    connection.close()
    return result


@requirement("A1")
def test_http_json_and_cursors(instance, admin, sensor):
    unit, variables, _ = sensor
    json_type = {"Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b"\"x\"", b"{\"login\": \"abc\"} tail", b"\xff\xfe", b"[" * 100_000, b"{\"login\": {\"a\": 1}}",
                 b"{\"login\": \"someone\", \"password\": \"long enough pw\", \"admin\": true}"):
        status, headers, content = raw(instance, "POST", "/api/v1/users", body, json_type)
        assert status == 400 and headers["content-type"] == "application/problem+json", (body[:40], status, content)
        assert json.loads(content)["detail"]
    assert raw(instance, "POST", "/api/v1/users", b"x" * (2 << 20), json_type)[0] == 413
    assert raw(instance, "POST", "/api/v1/users", b"{}", {"Content-Type": "text/plain"})[0] == 415
    assert raw(instance, "DELETE", "/api/v1/users")[0] == 405
    assert raw(instance, "GET", "/api/v1/nothing")[0] == 404
    assert raw(instance, "GET", "/api/v1/units/not-a-uuid")[0] == 400
    history = f"/api/v1/variables/{variables['count']['id']}/readings"
    for path in ("/api/v1/units", "/api/v1/links", "/api/v1/repo-units", history):
        refused(400, "INVALID_CURSOR", admin.get, path + "?cursor=bm9uc2Vuc2U")
        refused(400, "INVALID_FIELD", admin.get, path + "?page_size=99999", field="page_size")
    refused(400, "INVALID_FIELD", admin.get, history + "?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", field="from")
    assert raw(instance, "GET", history + "?from=yesterday", headers={"Authorization": "Bearer " + admin.token})[0] == 400
    for token in ("x", "a.b.c", admin.token[:-3] + "AAA"):
        assert raw(instance, "GET", "/api/v1/users/me", headers={"Authorization": "Bearer " + token})[0] == 401


@requirement("A1", "A5")
def test_signing_up_and_in(instance):
    api = instance.api()
    for body, field in (({"login": "ab", "password": "long enough pw"}, "login"), ({"login": "9abc", "password": "long enough pw"}, "login"),
                        ({"login": "abcdef", "password": "short"}, "password")):
        refused(400, "INVALID_FIELD", api.post, "/api/v1/users", body, field=field)
    session = api.sign_up("grace", "correct horse battery")
    refused(409, "ALREADY_EXISTS", api.post, "/api/v1/users", {"login": "Grace", "password": "long enough pw"}, field="login")
    assert api.get("/api/v1/users/me")["login"] == "grace"
    wrong = refused(401, "BAD_CREDENTIALS", api.post, "/api/v1/sessions", {"login": "grace", "password": "wrong"})
    unknown = refused(401, "BAD_CREDENTIALS", api.post, "/api/v1/sessions", {"login": "nobody-here", "password": "wrong"})
    assert wrong["detail"] == unknown["detail"]
    # A refresh token works once; its second use ends the session.
    fresh = api.post("/api/v1/sessions:refresh", {"refresh_token": session["refresh_token"]})
    refused(401, "UNAUTHENTICATED", api.post, "/api/v1/sessions:refresh", {"refresh_token": session["refresh_token"]})
    refused(401, "UNAUTHENTICATED", api.post, "/api/v1/sessions:refresh", {"refresh_token": fresh["refresh_token"]})
    # And its access token with it.
    refused(401, "UNAUTHENTICATED", api.get, "/api/v1/users/me")
    again = api.sign_in("grace", "correct horse battery")
    api.delete("/api/v1/sessions/" + again["id"])
    refused(401, "UNAUTHENTICATED", api.get, "/api/v1/users/me")
    api.token = None
    refused(401, "UNAUTHENTICATED", api.post, "/api/v1/sessions:refresh", {"refresh_token": again["refresh_token"]})
    for _ in range(6):
        with pytest.raises(Exception) as caught:
            api.post("/api/v1/sessions", {"login": "grace", "password": "wrong"})
    assert caught.value.status == 429


@requirement("R9")
def test_a_change_on_top_of_an_unseen_one_is_refused(admin, instance, sensor):
    unit = sensor[0]
    headers = {"Authorization": "Bearer " + admin.token, "Content-Type": "application/json"}
    path = "/api/v1/units/" + unit["id"]
    etag = raw(instance, "GET", path, headers=headers)[1]["etag"]
    assert raw(instance, "PATCH", path, b'{"name": "first"}', dict(headers, **{"If-Match": etag}))[0] == 200
    status, _, content = raw(instance, "PATCH", path, b'{"name": "second"}', dict(headers, **{"If-Match": etag}))
    assert status == 412 and json.loads(content)["reason"] == "VERSION_MISMATCH"
    assert admin.get(path)["name"] == "first"


@requirement("U1")
def test_too_many_exchanges_are_told_to_wait(admin, sensor):
    _, _, device = sensor
    answers = device.hellos(80)
    assert answers[0].status == 200
    answer = next(a for a in answers if a.status == 429)
    assert answer.json["error"] == "busy" and answer.json["retry_after_ms"] > 0
    eventually(lambda: device.hello().status == 200)
