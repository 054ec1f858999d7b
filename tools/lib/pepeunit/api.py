"""The Open API as a script uses it. Standard library only."""
import json
import time
import urllib.error
import urllib.request


class Problem(Exception):
    """An answer that is not 2xx; `body` is the problem+json, or the text."""

    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body.get('detail', body) if isinstance(body, dict) else body}")
        self.status, self.body = status, body


class Api:
    def __init__(self, url):
        self.url = url.rstrip("/")
        self.token = None

    def call(self, method, path, body=None, raw=False, timeout=30):
        request = urllib.request.Request(self.url + path, method=method)
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, data, timeout) as answer:
                content = answer.read()
        except urllib.error.HTTPError as e:
            text = e.read().decode(errors="replace")
            try:
                raise Problem(e.code, json.loads(text)) from None
            except ValueError:
                raise Problem(e.code, text) from None
        if raw:
            return content
        return json.loads(content) if content else None

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None):
        return self.call("POST", path, body if body is not None else {})

    def patch(self, path, body):
        return self.call("PATCH", path, body)

    def put(self, path, body):
        return self.call("PUT", path, body)

    def delete(self, path):
        return self.call("DELETE", path)

    def sign_in(self, login, password):
        self.token = None  # one that has ended would be refused
        session = self.post("/api/v1/sessions", {"login": login, "password": password})
        self.token = session["access_token"]
        return session

    def sign_up(self, login, password):
        self.post("/api/v1/users", {"login": login, "password": password})
        return self.sign_in(login, password)

    def make_token(self, scopes, name="script", life_s=3600):
        """A new personal access token, with its `secret`; `scopes` such as READ."""
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + life_s))
        return self.post("/api/v1/tokens", {"name": name, "scopes": ["TOKEN_SCOPE_" + s for s in scopes], "expires_at": end})

    def list(self, path, field):
        """All items of a paged list."""
        items, cursor = [], ""
        while True:
            page = self.get(path + ("&" if "?" in path else "?") + "page_size=200" + ("&cursor=" + cursor if cursor else ""))
            items += page.get(field, [])
            cursor = page.get("next_cursor", "")
            if not cursor:
                return items

    def wait_synced(self, repo_id, timeout=120):
        """The repository once its first sync has ended; RuntimeError with the reason when it failed."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            repo = self.get("/api/v1/repo-units/" + repo_id)
            if repo["sync"]["state"] == "SYNC_STATE_READY":
                return repo
            if repo["sync"]["state"] == "SYNC_STATE_FAILED":
                raise RuntimeError(f"{repo['name']} could not be synced: {repo['sync']['error']}")
            time.sleep(0.2)
        raise RuntimeError("the repository was not synced in time")

    def add_repository(self, name, url, **options):
        repo = self.post("/api/v1/repo-units", dict({"name": name, "url": url}, **options))
        repo = self.wait_synced(repo["id"])
        return self.patch("/api/v1/repo-units/" + repo["id"], {"default_branch": repo["sync"]["remote_head"]})

    def variables(self, unit_id):
        """The unit's variables by name."""
        return {v["name"]: v for v in self.get(f"/api/v1/units/{unit_id}/variables").get("variables", [])}
