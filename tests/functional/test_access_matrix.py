"""Every operation of the API, for every kind of subject, on nodes of every level, against access_table.py."""
import json
import re
import time
import uuid

import pytest

from access_table import IMPOSTORS, LEVELS, NONE, READER, SUBJECTS, TABLE, TOKENS, ForAll, ForTokens, ForUsers, Listing, OnNode, OnOwn, Stream, governs, most_of, role_of, Watching
from conftest import ENV, SCHEMA
from feed import Feed
from marks import requirement
from pepeunit.api import Problem

ROLE_NAMES = ["", "ROLE_READER", "ROLE_WRITER", "ROLE_MAINTAINER", "ROLE_OWNER"]
ROLES = {"reader": "ROLE_READER", "writer": "ROLE_WRITER", "maintainer": "ROLE_MAINTAINER", "granted owner": "ROLE_OWNER"}


class World:
    """Nodes of every level that belong to one user, and everybody who comes to them."""

    def __init__(self, instance, remote):
        self.instance = instance
        self.url = remote.publish("matrix-" + uuid.uuid4().hex[:6], {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": ""})
        self.apis, self.ids = {"anonymous": instance.api()}, {}
        for name in SUBJECTS:
            if name not in ("anonymous", "administrator"):
                api = self.apis[name] = instance.api()
                self.ids[name] = api.sign_up(f"m{uuid.uuid4().hex[:10]}", "correct horse battery")["user"]["id"]
        api = self.apis["administrator"] = instance.api()
        self.ids["administrator"] = api.sign_in("admin", instance.secret("admin-password"))["user"]["id"]
        guest = instance.api()
        self.guest = guest.sign_up(f"m{uuid.uuid4().hex[:10]}", "correct horse battery")["user"]["id"]
        self.owner = self.apis["owner"]
        self.nodes = {}
        for level in LEVELS:
            repo = self.nodes["repo_unit", level] = self.make_repo(level)
            unit = self.nodes["unit", level] = self.make_unit(level)
            variables = self.owner.variables(unit["id"])
            self.nodes["variable", level], self.nodes["output", level] = variables["target"], variables["count"]
            self.nodes["link", level] = self.make_link(variables)
            self.nodes["user", level] = self.make_user(level)
            self.nodes["rollout", level] = self.make_rollout(level)
            assert repo["level"] == unit["level"] == variables["target"]["level"] == level
        for name, (user, scopes, _, _) in TOKENS.items():
            self.apis[name] = instance.api()
            self.apis[name].token = self.apis[user].make_token(scopes)["secret"]
        self.impostors()

    def impostors(self):
        import io
        import zipfile
        archive = self.owner.get(f"/api/v1/units/{self.nodes['unit', LEVELS[3]]['id']}/archive", raw=True)
        with zipfile.ZipFile(io.BytesIO(archive)) as z:
            unit_token = json.loads(z.read("env.json"))["PEPEUNIT_TOKEN"]
        good = self.owner.token
        blocked = self.instance.api()
        user = blocked.sign_up(f"m{uuid.uuid4().hex[:10]}", "correct horse battery")["user"]["id"]
        personal = blocked.make_token(["MANAGE"])["secret"]
        known = self.instance.api()
        known.token = personal
        known.get("/api/v1/users/me")  # the gateway has it in its memory
        self.apis["administrator"].post(f"/api/v1/users/{user}:block")
        altered = good[:-5] + ("AAAAA" if good[-5:] != "AAAAA" else "BBBBB")
        tokens = dict(zip(IMPOSTORS, [unit_token, altered, "nonsense", blocked.token, personal], strict=True))
        for name, token in tokens.items():
            api = self.apis[name] = self.instance.api()
            api.token = token

    def grant(self, node):
        for name, role in ROLES.items():
            self.owner.put(f"/api/v1/nodes/{node['id']}/grants/{self.ids[name]}", {"role": role})
        return node

    def make_repo(self, level):
        repo = self.owner.post("/api/v1/repo-units", {"name": "matrix", "url": self.url, "level": level})
        self.owner.wait_synced(repo["id"])
        repo = self.owner.patch("/api/v1/repo-units/" + repo["id"], {"default_branch": repo["sync"].get("remote_head") or "main"})
        return self.grant(repo)

    def make_bare_repo(self, level):
        return self.grant(self.owner.post("/api/v1/repo-units", {"name": "matrix", "url": "http://127.0.0.1:1/none.git", "level": level, "no_automatic_sync": True}))

    def make_unit(self, level):
        repo = self.nodes["repo_unit", level]
        return self.grant(self.owner.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "matrix", "level": level}))

    def make_user(self, level):
        """A user whom all but the stranger are let to see."""
        user = self.instance.api().sign_up(f"m{uuid.uuid4().hex[:10]}", "correct horse battery")["user"]
        administrator = self.apis["administrator"]
        administrator.post(f"/api/v1/nodes/{user['id']}:set-level", {"level": level})
        for name in ("owner", *ROLES):
            administrator.put(f"/api/v1/nodes/{user['id']}/grants/{self.ids[name]}", {"role": "ROLE_READER"})
        return user

    def make_link(self, variables):
        link = self.owner.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": variables["temperature"]["id"], "input_id": variables["target"]["id"]})
        return dict(link, spare_output_id=variables["note"]["id"], spare_input_id=variables["mode"]["id"])

    def make_rollout(self, level):
        """One in which nothing happens by itself."""
        def clock(hours):
            return time.strftime("%H:%M", time.gmtime(time.time() + 3600 * hours))
        plan = {"phases": [{"percent": 100}], "quiet_hours": {"from": clock(-6), "to": clock(6)}}
        return self.owner.post("/api/v1/rollouts", {"repo_unit_id": self.nodes["repo_unit", level]["id"], "pin": {"branch": "main"}, "plan": plan})

    def fresh(self, kind, level):
        if kind == "rollout":
            return self.make_rollout(level)
        if kind == "repo_unit":
            return self.make_bare_repo(level)
        if kind == "user":
            return self.make_user(level)
        unit = self.make_unit(level)
        if kind == "unit":
            return unit
        variables = self.owner.variables(unit["id"])
        return self.make_link(variables) if kind == "link" else self.grant(variables["target"])

    def shown(self, kind, node_id):
        """All of a node, as an administrator sees it."""
        return self.apis["administrator"].get(f"/api/v1/{ {'link': 'links', 'rollout': 'rollouts'}.get(kind, 'nodes')}/{node_id}")

    def shown_to(self, subject, read):
        """What `read` of the subject's API gives; nothing when it is refused."""
        try:
            return read(self.apis[subject])
        except Problem as problem:
            assert problem.status in (401, 403)
            return []

    def ask(self, subject, operation, node_id, body, guest_granted=False, query=""):
        method, path = operation.split(" ", 1)
        if guest_granted:
            self.apis["administrator"].put(f"/api/v1/nodes/{node_id}/grants/{self.guest}", {"role": "ROLE_READER"})
        path = path.replace("{subject_id}", self.guest)
        path = re.sub(r"\{\w+\}", node_id, path) + query.replace("{id}", node_id)
        try:
            if isinstance(TABLE[operation], Watching):
                with Feed(self.apis[subject], path=path) as feed:
                    assert feed.event()[0] == "ready"
            else:
                self.apis[subject].call(method, path, body, raw=True)
            return 200, None
        except Problem as problem:
            body = {k: v for k, v in problem.body.items() if k not in ("trace_id", "instance")}
            return problem.status, body


@pytest.fixture(scope="module")
def world(instance, remote):
    return World(instance, remote)


def operations(instance):
    document = instance.api().get("/api/v1/openapi.json")
    return {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs if verb != "parameters"}


@requirement("A3")
def test_every_operation_has_its_row(instance):
    assert operations(instance) == set(TABLE)


def requests(row, node):
    """The bodies and queries that a row is tried with: first with a preview, when there is one."""
    body = row.body(node) if callable(row.body) else row.body
    if row.preview:
        yield (dict(body, preview=True), row.query) if body else (None, row.query + "&preview=true")
    yield body, row.query


@requirement("A0", "A1", "A3", "A4")
@pytest.mark.parametrize("operation", [name for name, row in TABLE.items() if isinstance(row, OnNode)])
def test_on_nodes(world, operation):
    row, wrong = TABLE[operation], []
    for kind in row.kinds:
        for level in LEVELS:
            before = world.shown(kind, world.nodes[kind, level]["id"]) if row.destroys else None
            for subject in [*SUBJECTS, *TOKENS, *IMPOSTORS]:
                wrong += try_on_node(world, operation, subject, kind, level)
            if row.destroys and world.shown(kind, world.nodes[kind, level]["id"]) != before:
                wrong.append(f"the {kind} of {level} was changed by somebody who was refused")
    assert not wrong, "\n".join(wrong)


def try_on_node(world, operation, subject, kind, level):
    row = TABLE[operation]
    expected = 401 if subject in IMPOSTORS else row.expected(subject, level, kind)
    node = world.fresh(kind, level) if row.destroys and expected == 200 else world.nodes[kind, level]
    guest = operation.startswith("DELETE") and "{subject_id}" in operation
    for body, query in requests(row, node):
        status, problem = world.ask(subject, operation, node["id"], body, guest, query)
        if status != expected:
            yield f"{subject} on a {kind} of {level}: {status}, not {expected}: {problem}"
    if status == 404:
        nobody = dict(node, id=str(uuid.uuid4()), spare_input_id=str(uuid.uuid4()))
        *_, (body, query) = requests(row, nobody)
        absent = world.ask(subject, operation, nobody["id"], body, query=query)
        if absent != (status, problem):
            yield f"{subject} can tell a hidden {kind} of {level} from none: {problem} and {absent}"


@requirement("A0", "A1", "A3", "A4")
@pytest.mark.parametrize("operation", [name for name, row in TABLE.items() if isinstance(row, Listing)])
def test_lists(world, operation):
    row, wrong = TABLE[operation], []
    path = operation.split(" ", 1)[1]
    ours = {world.nodes[row.kind, level]["id"]: level for level in LEVELS}
    for subject in [*SUBJECTS, *TOKENS]:
        shown = {item["id"] for item in world.apis[subject].list(path, row.field)}
        for node, level in ours.items():
            if (node in shown) != (role_of(subject, level) >= READER):
                wrong.append(f"{subject} {'sees' if node in shown else 'misses'} the {row.kind} of {level}")
    for subject in IMPOSTORS:
        with pytest.raises(Problem) as caught:
            world.apis[subject].get(path)
        if caught.value.status != 401:
            wrong.append(f"{subject}: {caught.value.status}")
    assert not wrong, "\n".join(wrong)


def refusal(row, subject):
    """How a subject is refused whatever it asks for; None when it is not."""
    if subject == "anonymous" or subject in IMPOSTORS:
        return 401
    too_little = subject in TOKENS and (row.session or most_of(subject) < row.most)
    return 403 if too_little or (row.governs and not governs(subject)) else None


@requirement("A1", "A5")
@pytest.mark.parametrize("operation", [name for name, row in TABLE.items() if isinstance(row, OnOwn)])
def test_on_what_is_one_users_own(world, operation, instance):
    row, wrong = TABLE[operation], []
    whose = world.apis[row.whose]
    login = whose.get("/api/v1/users/me")["login"]
    makes = {
        "sessions": lambda: instance.api().sign_in(login, "correct horse battery")["id"],
        "tokens": lambda: whose.make_token(["READ"])["id"],
        "invitations": lambda: whose.post("/api/v1/invitations", {})["id"],
    }
    path, field = row.listing

    def listed(api):
        return {one["id"] for one in api.get(path).get(field, [])}

    thing = makes[field]()
    for subject in [*SUBJECTS, *TOKENS, *IMPOSTORS]:
        may = refusal(row, subject) is None and (subject == row.whose or row.governs)
        expected = refusal(row, subject) or (200 if may else 404)
        answer = world.ask(subject, operation, thing, None)
        if answer[0] != expected:
            wrong.append(f"{subject}: {answer}, not {expected}")
        if not may and answer != world.ask(subject, operation, str(uuid.uuid4()), None):
            wrong.append(f"{subject} can tell it from none")
        there = thing in listed(whose)
        if there == may:
            wrong.append(f"it is {'still there' if there else 'gone'} after {subject} asked")
        if not there:
            thing = makes[field]()
        shown = world.shown_to(subject, listed)
        if refusal(row, subject) is None and (thing in shown) != may:
            wrong.append(f"{subject} is {'shown' if thing in shown else 'not shown'} it")
    assert not wrong, "\n".join(wrong)


@requirement("A4", "A5")
def test_the_audit_is_for_owners_and_administrators(world):
    ours = {node["id"] for (kind, _), node in world.nodes.items() if kind in ("repo_unit", "unit", "variable", "output")}
    for subject in [*SUBJECTS, *TOKENS]:
        told = {record["node_id"] for record in world.shown_to(subject, lambda api: api.list("/api/v1/audit", "records"))} & ours
        owner = subject == "owner" or subject in TOKENS and TOKENS[subject][0] == "owner"
        if owner or governs(subject):
            assert told, subject
        else:
            assert not told, subject


@requirement("A0", "A1")
@pytest.mark.parametrize("operation", [name for name, row in TABLE.items() if isinstance(row, (ForUsers, ForAll, ForTokens))])
def test_for_everybody(world, operation, instance, admin):
    row, wrong = TABLE[operation], []
    for subject in [*SUBJECTS, *TOKENS, *IMPOSTORS]:
        # Nobody's session: absent for all who may ask.
        status, problem = world.ask(subject, operation, str(uuid.uuid4()), row.body() if callable(row.body) else row.body)
        if isinstance(row, ForAll):
            expected = 401 if subject in IMPOSTORS else row.status
        elif isinstance(row, ForTokens):
            expected = 401 if subject == "anonymous" or subject in IMPOSTORS else 409 if subject not in TOKENS else 200
            if expected == 200 and status == 404 and not operation.startswith("POST"):
                continue
        else:
            expected = refusal(row, subject) or row.hindered.get(subject) or (404 if "{id}" in operation else row.status)
        if status != expected:
            wrong.append(f"{subject}: {status}, not {expected}: {problem}")
    if operation.endswith(":end-others"):
        admin.sign_in("admin", instance.secret("admin-password"))  # that session was another one of the administrator's
    assert not wrong, "\n".join(wrong)


@requirement("A0", "A1", "A3", "A4")
@pytest.mark.parametrize("operation", [name for name, row in TABLE.items() if isinstance(row, Stream)])
def test_streams(world, operation):
    row, wrong = TABLE[operation], []
    ours = {world.nodes[kind, level]["id"]: (kind, level) for kind in row.kinds for level in LEVELS}
    # A level that is set anew makes a change of each node. What is told is how a node is by then, so only the name of a
    # node that nothing else changes, and everybody sees, shows that all before it has been told.
    last = world.make_unit(LEVELS[3])["id"]
    for subject in [*SUBJECTS, *TOKENS]:
        with Feed(world.apis[subject]) as feed:
            assert feed.event()[0] == "ready"
            for node, (kind, level) in ours.items():
                world.owner.post(f"/api/v1/nodes/{node}:set-level", {"level": level})
            new_name = world.owner.patch("/api/v1/units/" + last, {"name": "matrix " + uuid.uuid4().hex[:6]})["name"]
            shown = {}
            while shown.get(last, {}).get("name") != new_name:
                name, data = feed.event()
                assert name in ("node_changed", "link_changed"), (subject, name, data)
                if name == "node_changed":
                    shown[data[name]["node"]["id"]] = data[name]["node"]
        for node, (kind, level) in ours.items():
            role = role_of(subject, level)
            told = ROLE_NAMES.index(shown[node]["role"]) if node in shown else NONE
            if told != role:
                wrong.append(f"{subject} is told of the {kind} of {level} with the role {told}, not {role}")
    for subject in IMPOSTORS:
        with pytest.raises(Problem) as caught:
            Feed(world.apis[subject])
        if caught.value.status != 401:
            wrong.append(f"{subject}: {caught.value.status}")
    assert not wrong, "\n".join(wrong)


@requirement("A4")
def test_a_page_tells_nothing_of_what_is_hidden(world):
    """With pages of one, a stranger passes over what he may not see without an empty page or a gap in the cursors."""
    api, seen, cursor = world.apis["stranger"], [], ""
    while True:
        page = api.get("/api/v1/units?page_size=1" + ("&cursor=" + cursor if cursor else ""))
        assert len(page["units"]) == 1 or not page.get("next_cursor"), page
        seen += [unit["id"] for unit in page["units"]]
        cursor = page.get("next_cursor", "")
        if not cursor:
            break
    assert len(seen) == len(set(seen))
    assert world.nodes["unit", LEVELS[0]]["id"] not in seen
    assert {world.nodes["unit", level]["id"] for level in LEVELS[1:]} <= set(seen)
    assert role_of("stranger", LEVELS[0]) == NONE
