"""Who may do what through the API: the written table that test_access_matrix.py holds every operation to.

Each operation of the OpenAPI document has one row; one without a row fails the suite. A row says on which kind of node the
operation acts and which role it needs there. What a subject's role is follows from its grants and the node's level: see
`role_of`.
"""
import dataclasses
import time
import uuid

NONE, READER, WRITER, MAINTAINER, OWNER = range(5)

LEVELS = ["ACCESS_LEVEL_PRIVATE", "ACCESS_LEVEL_INSTANCE", "ACCESS_LEVEL_FEDERATED", "ACCESS_LEVEL_PUBLIC"]

# Subject to the role that it has on every node of the test's world, whatever the node's level. On users it is READER at
# most, but for those who govern: nobody owns or maintains somebody else.
SUBJECTS = {
    "anonymous": NONE,
    "stranger": NONE,
    "reader": READER,
    "writer": WRITER,
    "maintainer": MAINTAINER,
    "granted owner": OWNER,
    "owner": OWNER,
    "administrator": OWNER,
}
# Personal access tokens, by who made them and with which scopes: the role that their user has on every node, and the most
# that the scopes allow. That of an administrator is an ordinary user's without the scope ADMIN.
TOKENS = {
    "owner's READ": ("owner", ["READ"], OWNER, READER),
    "owner's WRITE": ("owner", ["WRITE"], OWNER, WRITER),
    "owner's MANAGE": ("owner", ["MANAGE"], OWNER, OWNER),
    "administrator's MANAGE": ("administrator", ["MANAGE"], NONE, OWNER),
    "administrator's READ and ADMIN": ("administrator", ["READ", "ADMIN"], OWNER, READER),
    "administrator's MANAGE and ADMIN": ("administrator", ["MANAGE", "ADMIN"], OWNER, OWNER),
}
# Nobody to the API, whatever they may see elsewhere, or might once: always 401.
IMPOSTORS = ["a unit's token", "an altered token", "nonsense", "a blocked user", "a blocked user's token"]


def role_of(subject, level, kind="unit"):
    """A0-A4: the higher of what the level gives to everybody of its kind and what was granted."""
    opens = LEVELS.index(level) >= (3 if subject == "anonymous" else 1)
    given = TOKENS[subject][2] if subject in TOKENS else SUBJECTS[subject]
    if kind == "user" and not governs(subject):
        given = min(given, READER)
    return min(max(given, READER if opens else NONE), most_of(subject))


def most_of(subject):
    """What the scopes of a token allow at most."""
    return TOKENS[subject][3] if subject in TOKENS else OWNER


def governs(subject):
    """Whether it has an administrator's power."""
    return subject == "administrator" or (subject in TOKENS and TOKENS[subject][0] == "administrator" and "ADMIN" in TOKENS[subject][1])


@dataclasses.dataclass
class OnNode:
    """Acts on one node. `kinds` are the nodes it is tried on, `role` what it needs there."""
    kinds: tuple
    role: int
    body: object = None            # of the request: a value, or a function of the node
    destroys: bool = False         # who may gets a node of its own, and who may not leaves the world's as it was
    signed_in_first: bool = False  # who may make nothing at all is told so before anything else
    query: str = ""                # of the address
    preview: bool = False          # it is also asked for a preview first, which needs the same role

    def expected(self, subject, level, kind):
        role = role_of(subject, level, kind)
        if self.signed_in_first and subject == "anonymous":
            return 401
        if self.signed_in_first and most_of(subject) < MAINTAINER:
            return 403
        if role == NONE:
            return 404
        if role < self.role:
            return 401 if subject == "anonymous" else 403
        return 200


@dataclasses.dataclass
class Watching(OnNode):
    """Watches one node: a stream of events."""


@dataclasses.dataclass
class OnRollout(OnNode):
    """On a rollout that the owner made: his, and the maintainers' of its repository. Nobody else knows of it."""
    kinds: tuple = ("rollout",)
    role: int = MAINTAINER
    steers: bool = True
    status: int = 200  # for who may

    def expected(self, subject, level, kind):
        role = role_of(subject, level, kind)
        made_it = subject == "owner" or (subject in TOKENS and TOKENS[subject][0] == "owner")
        if role < (READER if made_it else MAINTAINER):
            return 404
        return 403 if self.steers and most_of(subject) < MAINTAINER else self.status


@dataclasses.dataclass
class OnUser(OnNode):
    """Governs a user: for administrators."""
    kinds: tuple = ("user",)
    role: int = MAINTAINER
    session: bool = False  # no token at all

    def expected(self, subject, level, kind):
        status = super().expected(subject, level, kind)
        return 403 if status == 200 and self.session and subject in TOKENS else status


@dataclasses.dataclass
class Listing:
    """Shows those nodes of a kind that the caller may see."""
    kind: str
    field: str
    query: object = None  # a function of the world, for a list of what hangs on a node


@dataclasses.dataclass
class ForUsers:
    """For everybody who is signed in."""
    body: object = None
    most: int = READER     # what the scopes of a token must allow
    session: bool = False  # no token at all
    status: int = 200      # of `body`, for whoever may
    governs: bool = False  # for administrators only
    hindered: dict = dataclasses.field(default_factory=dict)  # by subject: who may, but finds something else in the way


@dataclasses.dataclass
class OnOwn(ForUsers):
    """Ends something that belongs to one user, who is `whose`; nobody else may, or can tell it from none."""
    whose: str = "owner"
    listing: tuple = ()  # where he sees it: address and field


@dataclasses.dataclass
class ForTokens:
    """For personal access tokens, about what belongs to the token itself, which may not be there."""
    body: object = None


@dataclasses.dataclass
class ForAll:
    """For everybody. What it answers depends on what is sent, not on who sends it; `status` is that of `body`."""
    body: object
    status: int


@dataclasses.dataclass
class Stream:
    """A feed of changes for everybody: who may see a node is told of it, and nobody else. `kinds` are the nodes tried."""
    kinds: tuple


def in_an_hour():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))


TABLE = {
    # People.
    "POST /api/v1/users": ForAll({"login": "x", "password": "x"}, 400),
    "GET /api/v1/instance": ForAll(None, 200),
    "GET /api/v1/users": Listing("user", "users"),
    "GET /api/v1/users/me": ForUsers(),
    "GET /api/v1/users/me/export": ForUsers(session=True),
    "POST /api/v1/users/me:delete": ForUsers({"nodes": "NODES_CHOICE_DELETE", "preview": True}, session=True, hindered={"administrator": 409}),  # the last one
    "POST /api/v1/users:redeem-reset": ForAll({"secret": "x", "new_password": "x"}, 400),
    "POST /api/v1/invitations": ForUsers({}, most=MAINTAINER, governs=True),
    "GET /api/v1/invitations": ForUsers(governs=True),
    "DELETE /api/v1/invitations/{id}": OnOwn(most=MAINTAINER, governs=True, whose="administrator", listing=("/api/v1/invitations?page_size=200", "invitations")),
    "POST /api/v1/users/me:change-password": ForUsers({"current_password": "x", "new_password": "x"}, session=True, status=400),
    "GET /api/v1/users/{id}": OnNode(("user",), READER),
    "DELETE /api/v1/users/{id}": OnUser(session=True, query="?nodes=NODES_CHOICE_DELETE", destroys=True, preview=True),
    "POST /api/v1/users/{id}:set-administrator": OnUser(body={"administrator": False}, session=True),
    "POST /api/v1/users/{id}:reset-password": OnUser(body={}, session=True),
    "POST /api/v1/users/{id}:block": OnUser(body={}),
    "POST /api/v1/users/{id}:unblock": OnUser(body={}),
    "GET /api/v1/sessions": ForUsers(session=True),
    "POST /api/v1/sessions:end-others": ForUsers(session=True),
    # Another login each time: wrong passwords for one have to wait.
    "POST /api/v1/sessions": ForAll(lambda: {"login": "m" + uuid.uuid4().hex[:10], "password": "wrong password"}, 401),
    "POST /api/v1/sessions:refresh": ForAll({"refresh_token": "wrong"}, 401),
    "DELETE /api/v1/sessions/{id}": OnOwn(session=True, listing=("/api/v1/sessions", "sessions")),
    "POST /api/v1/tokens": ForUsers(lambda: {"name": "matrix", "scopes": ["TOKEN_SCOPE_READ"], "expires_at": in_an_hour()}, session=True),
    "GET /api/v1/tokens": ForUsers(session=True),
    "DELETE /api/v1/tokens/{id}": OnOwn(session=True, listing=("/api/v1/tokens", "tokens")),
    "GET /api/v1/oidc/providers": ForAll(None, 200),
    "POST /api/v1/oidc/{provider}:begin": ForAll({}, 404),
    "POST /api/v1/oidc:finish": ForAll({"code": "x", "state": "x", "flow_secret": "x"}, 401),
    "POST /api/v1/identities": ForUsers({"code": "x", "state": "x", "flow_secret": "x"}, session=True, status=401),
    "GET /api/v1/identities": ForUsers(session=True),
    # Real ones need a provider: test_openid.py.
    "DELETE /api/v1/identities/{id}": ForUsers(session=True),
    # All nodes.
    "GET /api/v1/nodes": Listing("unit", "nodes"),
    "GET /api/v1/nodes/{id}/neighbourhood": OnNode(("repo_unit", "unit", "variable", "user"), READER),
    "GET /api/v1/nodes/{id}": OnNode(("repo_unit", "unit", "variable", "user"), READER),
    "POST /api/v1/nodes/{id}:set-level": OnNode(("repo_unit", "unit", "variable", "user"), MAINTAINER, {"level": LEVELS[0]}, destroys=True, preview=True),
    "GET /api/v1/nodes/{node_id}/grants": OnNode(("repo_unit", "unit", "variable", "user"), MAINTAINER),
    "PUT /api/v1/nodes/{node_id}/grants/{subject_id}": OnNode(("repo_unit", "unit", "variable", "user"), MAINTAINER, {"role": "ROLE_READER"}),
    "DELETE /api/v1/nodes/{node_id}/grants/{subject_id}": OnNode(("repo_unit", "unit", "variable", "user"), MAINTAINER),
    "GET /api/v1/audit": ForUsers(),
    "GET /api/v1/graph/changes": Stream(("repo_unit", "unit", "variable")),
    # Repositories.
    "POST /api/v1/repo-units": ForUsers({"name": "matrix", "url": "http://127.0.0.1:1/none.git"}, most=MAINTAINER),
    "GET /api/v1/repo-units": Listing("repo_unit", "repo_units"),
    "GET /api/v1/repo-units/{id}": OnNode(("repo_unit",), READER),
    "PATCH /api/v1/repo-units/{id}": OnNode(("repo_unit",), MAINTAINER, {"name": "renamed"}),
    "DELETE /api/v1/repo-units/{id}": OnNode(("repo_unit",), OWNER, destroys=True),
    "POST /api/v1/repo-units/{id}:sync": OnNode(("repo_unit",), MAINTAINER),
    "GET /api/v1/repo-units/{repo_unit_id}/branches": OnNode(("repo_unit",), READER),
    "GET /api/v1/repo-units/{repo_unit_id}/tags": OnNode(("repo_unit",), READER),
    "GET /api/v1/repo-units/{repo_unit_id}/commits": OnNode(("repo_unit",), READER),
    "GET /api/v1/repo-units/{repo_unit_id}/syncs": OnNode(("repo_unit",), READER),
    "GET /api/v1/repo-units/{id}/follow-preview": OnNode(("repo_unit",), MAINTAINER),
    # Rollouts. The world's wait for the end of quiet hours.
    "POST /api/v1/rollouts": OnNode(("unit",), MAINTAINER, signed_in_first=True, destroys=True, preview=True,
                                    body=lambda node: {"repo_unit_id": node["version"]["repo_unit_id"], "pin": {"branch": "main"}, "unit_ids": [node["id"]]}),
    "GET /api/v1/repo-units/{repo_unit_id}/rollouts": OnNode(("repo_unit",), READER),
    "GET /api/v1/rollouts/{id}": OnRollout(steers=False),
    "GET /api/v1/rollouts/{rollout_id}/units": OnRollout(steers=False),
    "POST /api/v1/rollouts/{id}:pause": OnRollout(destroys=True),
    "POST /api/v1/rollouts/{id}:resume": OnRollout(status=409),
    "POST /api/v1/rollouts/{id}:retry-failed": OnRollout(status=409),
    "POST /api/v1/rollouts/{id}:abort": OnRollout(destroys=True),
    "POST /api/v1/rollouts/{id}:roll-back": OnRollout(destroys=True),
    "GET /api/v1/standard-repositories": ForAll(None, 200),
    # Units and what they hold.
    "POST /api/v1/units": OnNode(("repo_unit",), READER, lambda node: {"repo_unit_id": node["id"], "name": "matrix"}, signed_in_first=True),
    "GET /api/v1/units": Listing("unit", "units"),
    "GET /api/v1/units/{id}": OnNode(("unit",), READER),
    "PATCH /api/v1/units/{id}": OnNode(("unit",), MAINTAINER, {"name": "renamed"}),
    "POST /api/v1/units/{id}:move": OnNode(("unit",), MAINTAINER, {"pin": {"branch": "main"}}, destroys=True, preview=True),
    "POST /api/v1/units/{id}:reset-env": OnNode(("unit",), MAINTAINER),
    "POST /api/v1/units/{id}:retry-update": OnNode(("unit",), MAINTAINER),
    "DELETE /api/v1/units/{id}": OnNode(("unit",), OWNER, destroys=True),
    "GET /api/v1/units/{unit_id}/variables": OnNode(("unit",), READER),
    "GET /api/v1/units/{unit_id}/state": OnNode(("unit",), READER),
    "GET /api/v1/units/{unit_id}/archive": OnNode(("unit",), MAINTAINER),
    "GET /api/v1/units/{unit_id}/archive/files": OnNode(("unit",), MAINTAINER),
    "GET /api/v1/variables/{id}": OnNode(("variable",), READER),
    "PATCH /api/v1/variables/{id}": OnNode(("variable",), MAINTAINER, {"accepts_people": True, "accepts_links": True}),
    "PUT /api/v1/variables/{id}/value": OnNode(("variable",), WRITER, {"value": 21}),
    "GET /api/v1/variables/{variable_id}/value": OnNode(("variable",), READER),
    "GET /api/v1/variables/{variable_id}/readings": OnNode(("output",), READER),
    "POST /api/v1/variables/{variable_id}/readings:import": OnNode(("output",), OWNER, {"csv": "time,value\n1,2\n"}),
    "GET /api/v1/values/changes": Watching(("variable",), READER, query="?variable_ids={id}"),
    "GET /api/v1/history": OnNode(("output",), READER, query="?variable_ids={id}"),
    # Prometheus' API shows what may be seen, and nothing else is told by whether it answers.
    **{f"{verb} /prometheus/api/v1/{name}": ForAll(None, status) for verb in ("GET", "POST")
       for name, status in (("query", 400), ("query_range", 400), ("series", 400), ("labels", 200))},
    "GET /prometheus/api/v1/label/{name}/values": ForAll(None, 200),
    "GET /prometheus/api/v1/metadata": ForAll(None, 200),
    "GET /prometheus/api/v1/status/buildinfo": ForAll(None, 200),
    "GET /prometheus/federate": ForAll(None, 200),
    # Of the token that signs them: for a session 409, for nobody 401.
    "POST /api/v1/sql-reader": ForTokens(),
    "GET /api/v1/sql-reader": ForTokens(),
    "DELETE /api/v1/sql-reader": ForTokens(),
    # Links. The world's join an output to an input of the same unit, so that one role decides for both ends.
    "POST /api/v1/links": OnNode(("link",), WRITER, signed_in_first=True, destroys=True,
                                 body=lambda node: {"type": "LINK_TYPE_WRITE", "output_id": node["spare_output_id"], "input_id": node["spare_input_id"]}),
    "GET /api/v1/links": Listing("link", "links"),
    "GET /api/v1/links/{id}": OnNode(("link",), READER),
    "GET /api/v1/links/{link_id}/statistics": OnNode(("link",), READER),
    "DELETE /api/v1/links/{id}": OnNode(("link",), MAINTAINER, destroys=True),
}
