"""People as an administrator governs them, and as they come and go, over HTTP (A5)."""
import glob
import json
import os
import urllib.request
import uuid

import pytest

from conftest import dispose, eventually, make_instance, make_sensor, refused
from marks import requirement
from pepeunit.api import Problem

PASSWORD, OTHER = "correct horse battery", "a quite different one"


@pytest.fixture(scope="module")
def invited():
    """An instance that takes people by invitation, and few wrong guesses from one address."""
    made = make_instance({"PEPEUNIT_REGISTRATION": "invitation", "PEPEUNIT_FAILURES_PER_ADDRESS": "8"})
    try:
        made.start()
        yield made
    finally:
        dispose(made)


def login():
    return "p" + uuid.uuid4().hex[:10]


def in_logs(instance, text):
    for path in glob.glob(os.path.join(instance.log_dir, "*.log")):
        with open(path, errors="replace") as f:
            if text in f.read():
                return path


@requirement("A5")
def test_an_instance_by_invitation(invited):
    root, guest = invited.api(), invited.api()
    root.sign_in("admin", invited.secret("admin-password"))
    assert guest.get("/api/v1/instance")["registration"] == "REGISTRATION_INVITATION"
    issued = root.post("/api/v1/invitations", {"lifetime": "3600s", "note": "for Ben"})
    ben = login()
    sign_up = {"login": ben, "password": PASSWORD}
    bare = refused(403, "BAD_INVITATION", guest.post, "/api/v1/users", sign_up)
    guest.post("/api/v1/users", dict(sign_up, invitation=issued["secret"]))
    again = refused(403, "BAD_INVITATION", guest.post, "/api/v1/users", {"login": login(), "password": PASSWORD, "invitation": issued["secret"]})
    assert bare["detail"] == again["detail"]
    user = guest.sign_in(ben, PASSWORD)["user"]
    listed = root.list("/api/v1/invitations", "invitations")
    assert [(i["id"], i["used_by"]) for i in listed] == [(issued["id"], user["id"])] and issued["secret"] not in json.dumps(listed)
    refused(403, "FORBIDDEN", guest.post, "/api/v1/invitations", {})
    revoked = root.post("/api/v1/invitations", {})
    root.delete("/api/v1/invitations/" + revoked["id"])
    refused(403, "BAD_INVITATION", guest.post, "/api/v1/users", {"login": login(), "password": PASSWORD, "invitation": revoked["secret"]})
    # An administrator needs none, nor does his program.
    root.post("/api/v1/users", {"login": login(), "password": PASSWORD})
    program = invited.api()
    program.token = root.make_token(["MANAGE", "ADMIN"])["secret"]
    made = program.post("/api/v1/users", {"login": login(), "password": PASSWORD})
    assert made["id"] in [u["id"] for u in root.list("/api/v1/users?login=p&administrator=false", "users")]
    assert not in_logs(invited, issued["secret"]) and not in_logs(invited, revoked["secret"])


@requirement("A1", "A5")
def test_guessing_over_many_logins_has_to_wait(invited):
    # The last of the tests of this instance: nobody signs in to it from this address for a while.
    guest = invited.api()

    def stopped(call, *arguments):
        with pytest.raises(Problem) as caught:
            call(*arguments)
        return caught.value.status == 429 and "address" in caught.value.body["detail"]

    eventually(lambda: stopped(guest.sign_in, login(), PASSWORD))
    eventually(lambda: stopped(guest.post, "/api/v1/users:redeem-reset", {"secret": "nonsense", "new_password": PASSWORD}))


@requirement("A5")
def test_a_lost_password_and_a_new_administrator(instance, admin):
    anna, name = instance.api(), login()
    user = anna.sign_up(name, PASSWORD)["user"]
    token = anna.make_token(["READ"])["secret"]
    reset = admin.post(f"/api/v1/users/{user['id']}:reset-password", {"lifetime": "600s"})
    page, secret = reset["path"].split("#")
    assert secret == reset["secret"]
    with urllib.request.urlopen(instance.url + page) as answer:
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"] and b"reset.js" in answer.read()
    stranger = instance.api()
    assert stranger.post("/api/v1/users:redeem-reset", {"secret": reset["secret"], "new_password": OTHER}) is None
    refused(403, "BAD_RESET", stranger.post, "/api/v1/users:redeem-reset", {"secret": reset["secret"], "new_password": OTHER})
    refused(401, "UNAUTHENTICATED", anna.get, "/api/v1/users/me")
    program = instance.api()
    program.token = token
    refused(401, "UNAUTHENTICATED", program.get, "/api/v1/users/me")
    anna.sign_in(name, OTHER)
    refused(403, "FORBIDDEN", anna.get, "/api/v1/invitations")
    admin.post(f"/api/v1/users/{user['id']}:set-administrator", {"administrator": True})
    anna.sign_in(name, OTHER)
    anna.get("/api/v1/invitations")
    admin.post(f"/api/v1/users/{user['id']}:set-administrator", {"administrator": False})
    refused(403, "FORBIDDEN", anna.get, "/api/v1/invitations")
    assert not in_logs(instance, reset["secret"])


@requirement("A5", "R10", "U11")
def test_export_and_deletion(instance, admin, sensor_repo):
    anna, berta, name = instance.api(), instance.api(), login()
    user = anna.sign_up(name, PASSWORD)["user"]
    heir = berta.sign_up(login(), PASSWORD)["user"]
    unit, variables, device = make_sensor(anna, sensor_repo)
    eventually(lambda: device.send({"count": 7}).status == 200)
    raw = anna.get("/api/v1/users/me/export", raw=True)
    document = json.loads(raw)
    assert document["format"] == "pepeunit.user" and document["version"] == 1
    assert [u["id"] for u in document["units"]] == [unit["id"]]
    assert {v["id"] for v in document["variables"]} == {v["id"] for v in variables.values()}
    for secret in ("SYNC_ENCRYPT_KEY", "SECRET_KEY", "PEPEUNIT_TOKEN", PASSWORD, anna.token, "$scrypt"):
        assert secret.encode() not in raw

    body = {"nodes": "NODES_CHOICE_TRANSFER", "transfer_to": heir["id"], "current_password": PASSWORD}
    refused(409, "NOT_AGREED", anna.post, "/api/v1/users/me:delete", dict(body, preview=True))
    refused(409, "NOT_AGREED", anna.post, "/api/v1/users/me:delete", body)
    berta.put(f"/api/v1/nodes/{heir['id']}/grants/{user['id']}", {"role": "ROLE_READER"})
    assert anna.post("/api/v1/users/me:delete", dict(body, preview=True))["units"] == 1
    refused(401, "BAD_CREDENTIALS", anna.post, "/api/v1/users/me:delete", dict(body, current_password="wrong"))
    assert anna.post("/api/v1/users/me:delete", body)["units"] == 1
    refused(401, "UNAUTHENTICATED", anna.get, "/api/v1/users/me")
    refused(404, "NOT_FOUND", admin.get, "/api/v1/users/" + user["id"])
    assert berta.get("/api/v1/units/" + unit["id"])["owner_id"] == heir["id"]
    eventually(lambda: device.send({"count": 8}).status == 200)  # the device goes on

    gone = admin.delete(f"/api/v1/users/{heir['id']}?nodes=NODES_CHOICE_DELETE")
    assert gone["units"] == 1 and not gone["preview"]
    refused(404, "NOT_FOUND", admin.get, "/api/v1/units/" + unit["id"])
    refused(404, "NOT_FOUND", admin.get, f"/api/v1/variables/{variables['count']['id']}/readings")
    records = admin.list("/api/v1/audit?node_id=" + unit["id"], "records")
    assert [r["action"] for r in records][:2] == ["unit.delete", "node.transfer"]
