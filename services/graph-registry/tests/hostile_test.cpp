#include <catch2/catch.hpp>
#include <functional>
#include <map>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

// Everything that an answer tells, without the id that the caller himself named.
std::string Told(const absl::Status& status, const google::protobuf::Message& answer,
                 const std::vector<std::string>& ids) {
  std::string text = status.ToString() + " | " + Reason(status) + " |";
  for (const auto& violation : InfoOf(status).violations) text += ' ' + violation.field + ": " + violation.description;
  text += " | " + answer.ShortDebugString();
  for (const std::string& id : ids) {
    for (std::size_t at; (at = text.find(id)) != std::string::npos;) text.replace(at, id.size(), "<id>");
  }
  return text;
}

// What a stranger can ask about one id, by name.
using Probe = std::function<absl::Status(World&, const rpc::Caller&, const std::string&, google::protobuf::Message**)>;

template <typename Response, typename Call>
Probe Ask(Call call) {
  return [call](World& w, const rpc::Caller& who, const std::string& id, google::protobuf::Message** answer) {
    static thread_local Response response;
    response.Clear();
    *answer = &response;
    return call(w, who, id, response);
  };
}

std::map<std::string, Probe> Probes() {
  using namespace graph::v1;
  std::map<std::string, Probe> probes;
  probes["node"] = Ask<Node>([](World& w, auto& who, auto& id, auto& r) { return w.nodes.Get(who, id, r); });
  probes["level"] = Ask<LevelChange>([](World& w, auto& who, auto& id, auto& r) {
    SetNodeLevelRequest q;
    q.set_id(id);
    q.set_level(common::v1::ACCESS_LEVEL_PUBLIC);
    q.set_with_variables(true);
    return w.nodes.SetLevel(who, q, r);
  });
  probes["grants"] = Ask<ListGrantsResponse>([](World& w, auto& who, auto& id, auto& r) {
    ListGrantsRequest q;
    q.set_node_id(id);
    return w.nodes.ListGrants(who, q, r);
  });
  probes["grant on it"] = Ask<Grant>([](World& w, auto& who, auto& id, auto& r) {
    PutGrantRequest q;
    q.set_node_id(id);
    q.set_subject_id(who.user_id.ToString());
    q.set_role(ROLE_OWNER);
    return w.nodes.PutGrant(who, q, r);
  });
  for (const SubjectKind kind : {SUBJECT_KIND_USER, SUBJECT_KIND_UNIT}) {
    probes["grant to it as " + SubjectKind_Name(kind)] = Ask<Grant>([kind](World& w, auto& who, auto& id, auto& r) {
      PutGrantRequest q;
      q.set_node_id(who.user_id.ToString());
      q.set_subject_kind(kind);
      q.set_subject_id(id);
      q.set_role(ROLE_READER);
      return w.nodes.PutGrant(who, q, r);
    });
  }
  probes["end a grant on it"] = Ask<Grant>([](World& w, auto& who, auto& id, auto&) {
    DeleteGrantRequest q;
    q.set_node_id(id);
    q.set_subject_id(who.user_id.ToString());
    return w.nodes.DeleteGrant(who, q);
  });
  probes["end a grant to it"] = Ask<Grant>([](World& w, auto& who, auto& id, auto&) {
    DeleteGrantRequest q;
    q.set_node_id(who.user_id.ToString());
    q.set_subject_kind(SUBJECT_KIND_UNIT);
    q.set_subject_id(id);
    return w.nodes.DeleteGrant(who, q);
  });
  for (const bool actor : {false, true}) {
    probes[actor ? "audit of the actor" : "audit"] =
        Ask<ListAuditRecordsResponse>([actor](World& w, auto& who, auto& id, auto& r) {
          ListAuditRecordsRequest q;
          actor ? q.set_actor_id(id) : q.set_node_id(id);
          return w.nodes.ListAudit(who, q, r);
        });
  }
  probes["repo"] = Ask<RepoUnit>([](World& w, auto& who, auto& id, auto& r) { return w.repo_units.Get(who, id, r); });
  probes["update repo"] = Ask<RepoUnit>([](World& w, auto& who, auto& id, auto& r) {
    UpdateRepoUnitRequest q;
    q.set_id(id);
    q.set_name("");
    q.set_default_branch("absent");
    return w.repo_units.Update(who, q, r);
  });
  probes["delete repo"] =
      Ask<RepoUnit>([](World& w, auto& who, auto& id, auto&) { return w.repo_units.Delete(who, id); });
  probes["sync"] = Ask<RepoUnit>([](World& w, auto& who, auto& id, auto& r) { return w.repo_units.Sync(who, id, r); });
  for (const bool pinned : {false, true}) {
    probes[pinned ? "pinned unit of it" : "unit of it"] = Ask<Unit>([pinned](World& w, auto& who, auto& id, auto& r) {
      CreateUnitRequest q;
      q.set_repo_unit_id(id);
      q.set_name("unit");
      if (pinned) q.mutable_pin()->set_commit(std::string(40, 'f'));
      return w.units.Create(who, q, r);
    });
  }
  probes["units of it"] = Ask<ListUnitsResponse>([](World& w, auto& who, auto& id, auto& r) {
    ListUnitsRequest q;
    q.set_repo_unit_id(id);
    return w.units.List(who, q, r);
  });
  probes["unit"] = Ask<Unit>([](World& w, auto& who, auto& id, auto& r) { return w.units.Get(who, id, r); });
  probes["update unit"] = Ask<Unit>([](World& w, auto& who, auto& id, auto& r) {
    UpdateUnitRequest q;
    q.set_id(id);
    q.set_name("");
    return w.units.Update(who, q, r);
  });
  probes["move"] = Ask<UnitMove>([](World& w, auto& who, auto& id, auto& r) {
    MoveUnitRequest q;
    q.set_id(id);
    q.mutable_pin()->set_commit(std::string(40, 'f'));
    q.set_preview(true);
    return w.units.Move(who, q, r);
  });
  probes["delete unit"] = Ask<Unit>([](World& w, auto& who, auto& id, auto&) { return w.units.Delete(who, id); });
  probes["variables"] = Ask<ListUnitVariablesResponse>(
      [](World& w, auto& who, auto& id, auto& r) { return w.units.ListVariables(who, id, r); });
  probes["variable"] =
      Ask<Variable>([](World& w, auto& who, auto& id, auto& r) { return w.units.GetVariable(who, id, r); });
  probes["update variable"] = Ask<Variable>([](World& w, auto& who, auto& id, auto& r) {
    UpdateVariableRequest q;
    q.set_id(id);
    q.set_accepts_people(true);
    return w.units.UpdateVariable(who, q, r);
  });
  probes["value"] = Ask<SetVariableValueResponse>([](World& w, auto& who, auto& id, auto& r) {
    SetVariableValueRequest q;
    q.set_id(id);
    return w.units.SetValue(who, q, r);
  });
  probes["link"] = Ask<Link>([](World& w, auto& who, auto& id, auto& r) { return w.links.Get(who, id, r); });
  probes["delete link"] = Ask<Link>([](World& w, auto& who, auto& id, auto&) {
    DeleteLinkRequest q;
    q.set_id(id);
    return w.links.Delete(who, q.id());
  });
  probes["links at it"] = Ask<ListLinksResponse>([](World& w, auto& who, auto& id, auto& r) {
    ListLinksRequest q;
    q.set_node_id(id);
    return w.links.List(who, q, r);
  });
  probes["user"] = Ask<User>([](World& w, auto& who, auto& id, auto& r) { return w.users.Get(who, id, r); });
  probes["block"] = Ask<User>([](World& w, auto& who, auto& id, auto& r) {
    BlockUserRequest q;
    q.set_id(id);
    return w.users.Block(who, q, r);
  });
  probes["unblock"] = Ask<User>([](World& w, auto& who, auto& id, auto& r) { return w.users.Unblock(who, id, r); });
  for (const Permission permission : {PERMISSION_READ, PERMISSION_WRITE, PERMISSION_MAINTAIN, PERMISSION_OWN}) {
    probes["authorize " + Permission_Name(permission)] =
        Ask<AuthorizeResponse>([permission](World& w, auto& who, auto& id, auto& r) {
          AuthorizeRequest q;
          q.set_node_id(id);
          q.set_permission(permission);
          return w.internals.Authorize(who, q, r);
        });
  }
  probes["authorize link"] =
      Ask<AuthorizeResponse>([](World& w, auto& who, auto& id, auto&) { return w.internals.AuthorizeLink(who, id); });
  probes["package"] =
      Ask<UnitPackage>([](World& w, auto& who, auto& id, auto& r) { return w.internals.UnitPackage(who, id, r); });
  return probes;
}

// A stranger in all the forms in which he can come: nobody, with a session, with each token, and with an If-Match.
std::vector<rpc::Caller> Forms(const rpc::Caller& stranger) {
  std::vector<rpc::Caller> forms{{}, stranger};
  for (const auto reach : {rpc::Caller::Reach::kRead, rpc::Caller::Reach::kWrite, rpc::Caller::Reach::kManage}) {
    forms.push_back(stranger);
    forms.back().reach = reach;
  }
  for (const char* etag : {"1", "7"}) {
    forms.push_back(stranger);
    forms.back().if_match = etag;
  }
  return forms;
}

graph::v1::Link Draw(World& w, const rpc::Caller& who, const std::string& output, const std::string& input) {
  graph::v1::CreateLinkRequest request;
  request.set_type(graph::v1::LINK_TYPE_WRITE);
  request.set_output_id(output);
  request.set_input_id(input);
  graph::v1::Link link;
  REQUIRE(w.links.Create(who, request, link) == absl::OkStatus());
  return link;
}

void SetLevel(World& w, const rpc::Caller& who, const std::string& node, common::v1::AccessLevel level) {
  graph::v1::SetNodeLevelRequest request;
  request.set_id(node);
  request.set_level(level);
  graph::v1::LevelChange change;
  REQUIRE(w.nodes.SetLevel(who, request, change) == absl::OkStatus());
}

}  // namespace

TEST_CASE("whatever is asked about a hidden node, the answer is that for one that never was", "[A0][A1][A4]") {
  World w;
  const rpc::Caller anna = w.User("anna"), stranger = w.User("stranger");
  const auto repo = w.Repo(anna, common::v1::ACCESS_LEVEL_PRIVATE);
  const auto unit = w.Unit(anna, repo, common::v1::ACCESS_LEVEL_PRIVATE);
  const std::string output = w.Variable(unit, "measured"), input = w.Variable(unit, "wanted");
  const auto link = Draw(w, anna, output, input);
  SetLevel(w, anna, anna.user_id.ToString(), common::v1::ACCESS_LEVEL_PRIVATE);
  // A variable that is hidden although its unit is not. The unit is of another repository, for it names its own.
  const auto open = w.Unit(anna, w.Repo(anna), common::v1::ACCESS_LEVEL_PUBLIC);
  const std::string closed = w.Variable(open, "wanted");
  SetLevel(w, anna, closed, common::v1::ACCESS_LEVEL_PRIVATE);
  const auto audited = w.Count("audit");
  w.Events();
  const auto probes = Probes();
  for (const rpc::Caller& who : Forms(stranger)) {
    for (const auto& [name, probe] : probes) {
      google::protobuf::Message* answer = nullptr;
      const std::string absent = Uuid::New().ToString();
      const absl::Status never = probe(w, who, absent, &answer);
      const std::string want = Told(never, *answer, {absent});
      for (const std::string& id : {repo.id(), unit.id(), output, input, link.id(), closed, anna.user_id.ToString()}) {
        INFO(name << " of " << id << " as " << rpc::FormatCaller(who));
        const absl::Status hidden = probe(w, who, id, &answer);
        CHECK(Told(hidden, *answer, {id}) == want);
      }
    }
  }
  CHECK(w.Count("audit") == audited);
  CHECK(w.Events().empty());
}

TEST_CASE("a link with one end that is seen tells nothing of the other, hidden or absent", "[A4][G2]") {
  World w;
  const rpc::Caller anna = w.User("anna"), stranger = w.User("stranger");
  const auto hidden = w.Unit(anna, w.Repo(anna)), open = w.Unit(anna, w.Repo(anna), common::v1::ACCESS_LEVEL_PUBLIC);
  const auto own = w.Unit(stranger, w.Repo(stranger));
  // The open unit reads and writes the hidden one. What it may is not what everybody may who sees it.
  graph::v1::PutGrantRequest role;
  role.set_node_id(hidden.id());
  role.set_subject_kind(graph::v1::SUBJECT_KIND_UNIT);
  role.set_subject_id(open.id());
  role.set_role(graph::v1::ROLE_WRITER);
  graph::v1::Grant grant;
  REQUIRE(w.nodes.PutGrant(anna, role, grant) == absl::OkStatus());
  const auto draw = [&](const rpc::Caller& who, graph::v1::LinkType type, const std::string& output,
                        const std::string& input) {
    graph::v1::CreateLinkRequest request;
    request.set_type(type);
    request.set_output_id(output);
    request.set_input_id(input);
    graph::v1::Link link;
    const absl::Status status = w.links.Create(who, request, link);
    return Told(status, link, {output, input});
  };
  for (const rpc::Caller& who : Forms(stranger)) {
    for (const auto type : {graph::v1::LINK_TYPE_WRITE, graph::v1::LINK_TYPE_READ}) {
      for (const auto& unit : {open, own}) {
        for (const char* seen : {"measured", "text", "wanted", "by_people_only", "label"}) {
          INFO(rpc::FormatCaller(who) << ' ' << graph::v1::LinkType_Name(type) << ' ' << seen);
          const std::string end = w.Variable(unit, seen), absent = Uuid::New().ToString();
          for (const char* name : {"measured", "text", "wanted", "label"}) {
            const std::string other = w.Variable(hidden, name);
            CHECK(draw(who, type, other, end) == draw(who, type, absent, end));
            CHECK(draw(who, type, end, other) == draw(who, type, end, absent));
            CHECK(draw(who, type, other, other) == draw(who, type, absent, absent));
            CHECK(draw(who, type, other, absent) == draw(who, type, absent, other));
          }
        }
      }
    }
  }
  CHECK(w.Count("link") == 0);
}

TEST_CASE("a cursor opens nothing: not of another list, not made up, not of another user", "[A4]") {
  World w;
  const rpc::Caller anna = w.User("anna"), stranger = w.User("stranger");
  const auto repo = w.Repo(anna);
  std::vector<graph::v1::Unit> units;
  for (int i = 0; i < 4; ++i)
    units.push_back(w.Unit(anna, repo, i == 3 ? common::v1::ACCESS_LEVEL_PUBLIC : common::v1::ACCESS_LEVEL_PRIVATE));
  graph::v1::ListUnitsRequest request;
  graph::v1::ListUnitsResponse page;
  request.set_page_size(1);
  REQUIRE(w.units.List(anna, request, page) == absl::OkStatus());
  const std::string cursor = page.next_cursor();
  // With another's cursor he sees what he sees without one.
  request.set_cursor(cursor);
  page.Clear();
  REQUIRE(w.units.List(stranger, request, page) == absl::OkStatus());
  REQUIRE(page.units_size() == 1);
  CHECK(page.units(0).id() == units[3].id());
  CHECK(page.next_cursor().empty());
  // One changed character, cut, padded, or made of an id alone.
  const std::string id = Uuid::Parse(units[0].id())->ToBytes();
  std::vector<std::string> forged{cursor.substr(1),
                                  cursor + "A",
                                  cursor + "=",
                                  Base64UrlEncode(AsBytes(id)),
                                  units[0].id(),
                                  " " + cursor,
                                  std::string(100'000, 'A'),
                                  std::string("\0", 1)};
  for (std::size_t i = 0; i < cursor.size(); ++i) {
    forged.push_back(cursor);
    forged.back()[i] = cursor[i] == 'A' ? 'B' : 'A';
  }
  for (const std::string& text : forged) {
    request.set_cursor(text);
    page.Clear();
    const absl::Status status = w.units.List(anna, request, page);
    CHECK(Reason(status) == "INVALID_CURSOR");
    CHECK(status.ToString().find(units[0].id()) == std::string::npos);
  }
  // Of a list of another node: roles and audit.
  graph::v1::ListAuditRecordsRequest audit;
  audit.set_page_size(1);
  graph::v1::ListAuditRecordsResponse records;
  REQUIRE(w.nodes.ListAudit(anna, audit, records) == absl::OkStatus());
  audit.set_cursor(records.next_cursor());
  audit.set_node_id(repo.id());
  CHECK(Reason(w.nodes.ListAudit(anna, audit, records)) == "INVALID_CURSOR");
  // The audit of another user is not opened by a cursor of it.
  audit.clear_node_id();
  records.Clear();
  REQUIRE(w.nodes.ListAudit(stranger, audit, records) == absl::OkStatus());
  for (const auto& record : records.records()) CHECK(record.owner_id() == stranger.user_id.ToString());
}

TEST_CASE("an idempotency key belongs to one user and one request", "[A4][A5]") {
  World w;
  rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  anna.idempotency_key = berta.idempotency_key = "the same";
  graph::v1::CreateRepoUnitRequest request;
  request.set_name("firmware");
  request.set_url("https://example.org/firmware.git");
  request.set_level(common::v1::ACCESS_LEVEL_PRIVATE);
  graph::v1::RepoUnit first, again, other;
  REQUIRE(w.repo_units.Create(anna, request, first) == absl::OkStatus());
  REQUIRE(w.repo_units.Create(berta, request, other) == absl::OkStatus());
  CHECK(other.id() != first.id());
  CHECK(other.owner_id() == berta.user_id.ToString());
  REQUIRE(w.repo_units.Create(anna, request, again) == absl::OkStatus());
  CHECK(again.id() == first.id());
  // Nor does a request of another kind with it tell or make anything.
  graph::v1::CreateUnitRequest make;
  make.set_name("unit");
  rpc::Caller plain = anna;
  plain.idempotency_key.clear();
  make.set_repo_unit_id(w.Repo(plain).id());
  graph::v1::Unit unit;
  CHECK(Reason(w.units.Create(anna, make, unit)) == "IDEMPOTENCY_MISMATCH");
  CHECK(unit.id().empty());
  CHECK(w.Count("unit") == 0);
}

TEST_CASE("who lost the sight of a repository cannot move his unit there, and his unit does not follow it",
          "[A4][R8][U9]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  const auto repo = w.Repo(anna);
  const auto unit = w.Unit(berta, repo), own = w.Unit(anna, repo);
  SetLevel(w, anna, repo.id(), common::v1::ACCESS_LEVEL_PRIVATE);
  w.versions.Add("main", 'b', kSchema, "{}");
  for (const bool preview : {true, false}) {
    graph::v1::MoveUnitRequest move;
    move.set_id(unit.id());
    move.mutable_pin()->set_commit(std::string(40, 'b'));
    move.set_preview(preview);
    graph::v1::UnitMove told;
    CHECK(absl::IsNotFound(w.units.Move(berta, move, told)));
    CHECK(told.variables().empty());
  }
  const auto commit = [&](const graph::v1::Unit& of) {
    graph::v1::Unit now;
    REQUIRE(w.units.Get(of.owner_id() == unit.owner_id() ? berta : anna, of.id(), now) == absl::OkStatus());
    return now.version().commit();
  };
  const auto audited = w.Count("audit");
  REQUIRE(w.FollowAll(*Uuid::Parse(repo.id())) == absl::OkStatus());
  // New code of a repository that was closed to its owner reaches no device by itself.
  CHECK(commit(unit) == std::string(40, 'a'));
  CHECK(commit(own) == std::string(40, 'b'));
  CHECK(w.Count("audit") == audited + 1);
  // And it follows again once he may see it again, be it by a role.
  graph::v1::PutGrantRequest role;
  role.set_node_id(repo.id());
  role.set_subject_id(berta.user_id.ToString());
  role.set_role(graph::v1::ROLE_READER);
  graph::v1::Grant grant;
  REQUIRE(w.nodes.PutGrant(anna, role, grant) == absl::OkStatus());
  REQUIRE(w.FollowAll(*Uuid::Parse(repo.id())) == absl::OkStatus());
  CHECK(commit(unit) == std::string(40, 'b'));
}
