"""Signing in with an account elsewhere, against a real OpenID provider. It needs node and npm, and the network or npm's
cache the first time; without them it is skipped, and says so."""
import http.cookiejar
import pathlib
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import BIN, dispose, make_instance, refused
from marks import requirement
from pepeunit.instance import Instance, free_ports

HERE = pathlib.Path(__file__).resolve().parent / "openid"


@pytest.fixture(scope="module")
def packages():
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.skip("NOT TESTED with an OpenID provider: there is no %s" % program)
    if not (HERE / "node_modules" / ".package-lock.json").exists():
        try:
            run = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=HERE, text=True,
                                 capture_output=True, timeout=180)
        except subprocess.TimeoutExpired:
            pytest.skip("NOT TESTED with an OpenID provider: npm could not fetch it in time")
        if run.returncode:
            pytest.skip("NOT TESTED with an OpenID provider: npm could not fetch it: " + run.stderr[-300:])


@pytest.fixture(scope="module")
def openid(packages):
    """An instance that knows the provider by three names, one for each way to sign."""
    plain = make_instance()  # chooses the ports
    callback = plain.url + "/api/oidc/callback"
    port = free_ports(1)[0]
    settings = {"PEPEUNIT_OIDC_PROVIDERS": "rs es ed", "PEPEUNIT_OIDC_REDIRECT_URL": callback}
    for name in ("RS", "ES", "ED"):
        settings[f"PEPEUNIT_OIDC_{name}_ISSUER"] = f"http://127.0.0.1:{port}"
        settings[f"PEPEUNIT_OIDC_{name}_CLIENT_ID"] = name.lower()
        if name != "ED":
            settings[f"PEPEUNIT_OIDC_{name}_CLIENT_SECRET"] = f"secret of {name.lower()}: %+&="
    made = Instance(plain.data, BIN, fast=True, settings=settings)
    provider = subprocess.Popen(["node", "provider.mjs", str(port), callback], cwd=HERE, stdout=subprocess.PIPE, text=True)
    try:
        assert provider.stdout.readline() == "ready\n"
        made.start()
        yield made
    finally:
        provider.kill()
        provider.wait()
        provider.stdout.close()
        dispose(made)


class Browser:
    """Follows a provider's pages up to where they lead back to us."""

    def __init__(self):
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), NoRedirect())

    def open(self, url, form=None):
        try:
            with self.opener.open(url, urllib.parse.urlencode(form).encode() if form else None, 30) as answer:
                return None, answer.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                assert e.code in (302, 303), e.read()
                return urllib.parse.urljoin(url, e.headers["Location"]), ""

    def sign_in(self, url, person):
        """The query with which the provider sends `person` back."""
        while True:
            assert urllib.parse.urlsplit(url).scheme == "http"
            if urllib.parse.urlsplit(url).path == "/api/oidc/callback":
                return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
            there, page = self.open(url)
            if there is None:
                action = re.search(r'action="([^"]+)"', page).group(1)
                prompt = re.search(r'name="prompt" value="(\w+)"', page).group(1)
                there, _ = self.open(urllib.parse.urljoin(url, action), {"prompt": prompt, "login": person, "password": "any"})
            url = there


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def come_back(api, provider, person, link=False):
    """What the callback posts for `person`."""
    flow = api.post(f"/api/v1/oidc/{provider}:begin", {"link": link})
    back = Browser().sign_in(flow["authorization_url"], person)
    assert back["state"] == flow["state"]
    return {"code": back["code"], "state": back["state"], "flow_secret": flow["flow_secret"], "iss": back.get("iss", "")}


@requirement("A5")
@pytest.mark.parametrize("provider", ["rs", "es", "ed"])
def test_signing_in(openid, provider):
    api = openid.api()
    assert [p["name"] for p in api.get("/api/v1/oidc/providers")["providers"]] == ["rs", "es", "ed"]
    finish = come_back(api, provider, "Hypatia")
    session = api.post("/api/v1/oidc:finish", finish)
    assert session["user"]["login"] == "hypatia" and not session["user"]["administrator"]
    refused(401, "UNAUTHENTICATED", api.post, "/api/v1/oidc:finish", finish)
    api.token = session["access_token"]
    assert api.get("/api/v1/users/me") == session["user"]
    # One and the same, whichever of the names he comes by.
    assert len(api.list("/api/v1/identities", "identities")) == 1
    identity = api.list("/api/v1/identities", "identities")[0]
    assert identity["name"] == "Hypatia"
    refused(409, "LAST_SIGN_IN", api.delete, "/api/v1/identities/" + identity["id"])


@requirement("A5")
def test_what_was_altered_signs_nobody_in(openid):
    api = openid.api()
    good = come_back(api, "rs", "mallory")
    other = come_back(api, "rs", "victim")
    refused(401, "UNAUTHENTICATED", api.post, "/api/v1/oidc:finish", dict(good, flow_secret=other["flow_secret"]))
    # The code of another sign-in: the provider does not take it with this verifier.
    refused(401, "UNAUTHENTICATED", api.post, "/api/v1/oidc:finish", dict(good, code=other["code"]))
    refused(401, "UNAUTHENTICATED", api.post, "/api/v1/oidc:finish", dict(other, iss="http://127.0.0.1:1"))
    for login in ("mallory", "victim"):
        assert openid.api().sign_up(login, "correct horse battery")["user"]["login"] == login  # nobody had it
    refused(404, "NOT_FOUND", api.post, "/api/v1/oidc/none:begin", {})


@requirement("A5")
def test_linking_and_unlinking(openid):
    api = openid.api()
    user = api.sign_up("ada", "correct horse battery")["user"]
    finish = come_back(api, "es", "countess", link=True)
    refused(401, "UNAUTHENTICATED", openid.api().post, "/api/v1/oidc:finish", finish)
    identity = api.post("/api/v1/identities", finish)
    anew = openid.api()
    assert anew.post("/api/v1/oidc:finish", come_back(anew, "rs", "countess"))["user"]["id"] == user["id"]
    refused(409, "ALREADY_EXISTS", api.post, "/api/v1/identities", come_back(api, "rs", "countess", link=True))
    api.delete("/api/v1/identities/" + identity["id"])
    assert anew.post("/api/v1/oidc:finish", come_back(anew, "rs", "countess"))["user"]["id"] != user["id"]


@requirement("A5")
def test_the_pages_of_the_sign_in(openid):
    page = openid.api().get("/api/oidc/callback?code=x&state=y", raw=True).decode()
    assert "/api/oidc/oidc.js" in page
    assert b"pepeunit.oidc" in openid.api().get("/api/oidc/oidc.js", raw=True)


@requirement("A5")
def test_a_provider_that_is_away(packages):
    made = make_instance({"PEPEUNIT_OIDC_PROVIDERS": "gone", "PEPEUNIT_OIDC_GONE_ISSUER": "http://127.0.0.1:1", "PEPEUNIT_OIDC_GONE_CLIENT_ID": "x",
                          "PEPEUNIT_OIDC_REDIRECT_URL": "http://127.0.0.1/api/oidc/callback"})
    try:
        made.start()
        api = made.api()
        refused(503, "UNAVAILABLE", api.post, "/api/v1/oidc/gone:begin", {})
        assert api.sign_up("calm", "correct horse battery")
    finally:
        dispose(made)
