#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <thread>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::common::v1;

namespace {

// Two versions beside kSchema: `wanted` gets other bounds, `label` is gone, `text` becomes a number, `humidity` is new.
const char kNext[] = R"({
  "world_state": ["utc"],
  "unit_state": ["commit"],
  "input_variables": {
    "wanted": {"type": "number", "minimum": 10, "maximum": 25, "default": 20},
    "by_links_only": {"type": "number", "writable_by": ["links"]},
    "by_people_only": {"type": "number", "writable_by": ["people"]}
  },
  "output_variables": {
    "humidity": {"type": "number", "unit": "%"},
    "measured": {"type": "number", "unit": "°C"},
    "text": {"type": "number", "logging": "off"}
  }
})";

struct Moving : World {
  rpc::Caller anna = User("anna"), berta = User("berta");
  graph::v1::RepoUnit repo = Repo(anna);
  graph::v1::Unit unit = Unit(anna, repo), other = Unit(anna, repo);

  Moving() { versions.Add("next", 'b', kNext, "{}"); }

  static graph::v1::MoveUnitRequest To(const graph::v1::Unit& unit, const std::string& branch, bool preview = false) {
    graph::v1::MoveUnitRequest request;
    request.set_id(unit.id());
    request.set_preview(preview);
    branch.empty() ? request.set_follow(true) : request.mutable_pin()->set_branch(branch);
    return request;
  }
  graph::v1::UnitMove Move(const graph::v1::Unit& which, const std::string& branch, bool preview = false) {
    graph::v1::UnitMove move;
    REQUIRE(units.Move(anna, To(which, branch, preview), move) == absl::OkStatus());
    return move;
  }
  std::map<std::string, std::string> Ids(const graph::v1::Unit& which) {
    std::map<std::string, std::string> ids;
    const auto rows = store.ListVariables(*Uuid::Parse(which.id()), {});
    REQUIRE(rows.ok());
    for (const auto& row : *rows) ids[row.variable.name()] = row.variable.id();
    return ids;
  }
  graph::v1::Unit Now(const graph::v1::Unit& which) {
    const auto found = store.GetUnit(*Uuid::Parse(which.id()));
    REQUIRE(found.ok());
    return *found;
  }
  void Join(const std::string& output, const std::string& input) {
    graph::v1::CreateLinkRequest request;
    request.set_type(graph::v1::LINK_TYPE_WRITE);
    request.set_output_id(output);
    request.set_input_id(input);
    graph::v1::Link link;
    REQUIRE(links.Create(anna, request, link) == absl::OkStatus());
  }
};

std::map<std::string, graph::v1::VariableChangeKind> Changes(const graph::v1::UnitMove& move) {
  std::map<std::string, graph::v1::VariableChangeKind> changes;
  for (const auto& change : move.variables()) changes[change.name()] = change.change();
  return changes;
}

}  // namespace

TEST_CASE("a move keeps what stays, with its links, and takes away what goes", "[U8][U9][G3]") {
  Moving w;
  const auto before = w.Ids(w.unit), others = w.Ids(w.other);
  w.Join(before.at("measured"), others.at("wanted"));
  w.Join(before.at("text"), others.at("label"));
  w.Join(others.at("text"), before.at("label"));
  w.Events();

  const auto preview = w.Move(w.unit, "next", true);
  CHECK(preview.preview());
  CHECK(preview.from().commit() == std::string(40, 'a'));
  CHECK(preview.to().commit() == std::string(40, 'b'));
  CHECK(Changes(preview) ==
        std::map<std::string, graph::v1::VariableChangeKind>{{"wanted", graph::v1::VARIABLE_CHANGE_KIND_CHANGED},
                                                             {"by_links_only", graph::v1::VARIABLE_CHANGE_KIND_KEPT},
                                                             {"by_people_only", graph::v1::VARIABLE_CHANGE_KIND_KEPT},
                                                             {"humidity", graph::v1::VARIABLE_CHANGE_KIND_ADDED},
                                                             {"measured", graph::v1::VARIABLE_CHANGE_KIND_KEPT},
                                                             {"text", graph::v1::VARIABLE_CHANGE_KIND_REPLACED},
                                                             {"label", graph::v1::VARIABLE_CHANGE_KIND_REMOVED}});
  for (const auto& change : preview.variables()) {
    INFO(change.name());
    CHECK(change.links() == (change.name() == "text" || change.name() == "label" ? 1 : 0));
  }
  CHECK(w.Ids(w.unit) == before);
  CHECK(w.Count("link") == 3);
  CHECK(w.Events().empty());

  const auto move = w.Move(w.unit, "next");
  CHECK_FALSE(move.preview());
  CHECK(Changes(move) == Changes(preview));
  const auto after = w.Ids(w.unit);
  CHECK(after.size() == 6);
  for (const char* name : {"wanted", "by_links_only", "by_people_only", "measured"})
    CHECK(after.at(name) == before.at(name));
  CHECK(after.at("text") != before.at("text"));
  CHECK_FALSE(after.contains("label"));
  CHECK(w.Count("link") == 1);
  CHECK(w.Now(w.unit).version().commit() == std::string(40, 'b'));
  CHECK(w.Now(w.unit).version().branch() == "next");
  CHECK_FALSE(w.Now(w.unit).version().follow());
  graph::v1::Variable wanted;
  REQUIRE(w.units.GetVariable(w.anna, after.at("wanted"), wanted).ok());
  CHECK(wanted.minimum() == 10);
  // Everybody whose cache speaks of it is told, and the log learns whose history goes.
  const auto events = w.Events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].unit_changed().unit_id() == w.unit.id());
  CHECK(events[0].unit_changed().removed_link_ids_size() == 1);  // from the output that went
  const auto& removed = events[0].unit_changed().removed_variable_ids();
  CHECK(std::set<std::string>(removed.begin(), removed.end()) == std::set{before.at("text"), before.at("label")});
  CHECK_FALSE(events[0].unit_changed().deleted());
  CHECK(events[1].unit_changed().unit_id() == w.other.id());
}

TEST_CASE("who may move what where", "[U9][A4]") {
  Moving w;
  graph::v1::UnitMove move;
  CHECK(absl::IsNotFound(w.units.Move(w.berta, Moving::To(w.unit, "next"), move)));
  graph::v1::SetNodeLevelRequest open;
  open.set_id(w.unit.id());
  open.set_level(ACCESS_LEVEL_PUBLIC);
  graph::v1::LevelChange change;
  REQUIRE(w.nodes.SetLevel(w.anna, open, change).ok());
  CHECK(Reason(w.units.Move(w.berta, Moving::To(w.unit, "next"), move)) == "FORBIDDEN");
  CHECK(absl::IsUnauthenticated(w.units.Move({}, Moving::To(w.unit, "next", true), move)));
  CHECK(Violations(w.units.Move(w.anna, Moving::To(w.unit, "none"), move)) == "pin.branch");
  auto both = Moving::To(w.unit, "next");
  both.set_follow(true);
  CHECK(Violations(w.units.Move(w.anna, both, move)) == "pin");
  both.clear_pin();
  both.set_follow(false);
  CHECK(Violations(w.units.Move(w.anna, both, move)) == "pin");
  w.versions.Add("broken", 'c', "{", "{}");
  CHECK(Reason(w.units.Move(w.anna, Moving::To(w.unit, "broken"), move)) == "INVALID_REPOSITORY");
  rpc::Caller stale = w.anna;
  stale.if_match = "1";
  CHECK(Reason(w.units.Move(stale, Moving::To(w.unit, "next"), move)) == "VERSION_MISMATCH");
  CHECK(w.Now(w.unit).version().commit() == std::string(40, 'a'));
}

TEST_CASE("units that follow are moved by a sync, others stay", "[U9]") {
  Moving w;
  const Uuid repo = *Uuid::Parse(w.repo.id());
  w.Move(w.other, "main");  // pinned where it stands
  w.Events();
  REQUIRE(w.FollowAll(repo) == absl::OkStatus());
  CHECK(w.Events().empty());
  w.versions.Add("main", 'd', kNext, "{}");
  REQUIRE(w.FollowAll(repo) == absl::OkStatus());
  CHECK(w.Now(w.unit).version().commit() == std::string(40, 'd'));
  CHECK(w.Now(w.unit).version().follow());
  CHECK(w.Now(w.other).version().commit() == std::string(40, 'a'));
  CHECK(w.Events().size() == 1);
  REQUIRE(w.FollowAll(repo) == absl::OkStatus());  // the same event again
  CHECK(w.Events().empty());
  // It may follow again.
  w.Move(w.other, "");
  CHECK(w.Now(w.other).version().commit() == std::string(40, 'd'));
  // A version that no unit can be made from moves nobody.
  w.versions.Add("main", 'e', "{", "{}");
  REQUIRE(w.FollowAll(repo) == absl::OkStatus());
  CHECK(w.Now(w.unit).version().commit() == std::string(40, 'd'));
  w.versions.status = Unavailable("down");
  CHECK(absl::IsUnavailable(w.FollowAll(repo)));
  // Nor does whoever is too busy to answer say anything about the version.
  const std::string before = w.Now(w.unit).follow_problem().DebugString();
  w.versions.status = Limit("Too many calls are waiting; try again shortly.", 500);
  CHECK(w.FollowAll(repo).code() == absl::StatusCode::kResourceExhausted);
  CHECK(w.Now(w.unit).follow_problem().DebugString() == before);
}

TEST_CASE("a follow, moves by hand and a deletion at once leave every unit whole", "[U8][U9][U11]") {
  Moving w;
  std::vector<graph::v1::Unit> units;
  for (int i = 0; i < 12; ++i) units.push_back(w.Unit(w.anna, w.repo));
  w.versions.Add("main", 'd', kNext, "{}");
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { (void)w.FollowAll(*Uuid::Parse(w.repo.id())); });
  threads.emplace_back([&] {
    for (const auto& unit : units) {
      graph::v1::UnitMove move;
      (void)w.units.Move(w.anna, Moving::To(unit, "next"), move);
    }
  });
  threads.emplace_back([&] {
    for (std::size_t i = 0; i < units.size(); i += 3) (void)w.units.Delete(w.anna, units[i].id());
  });
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto now = w.store.GetUnit(*Uuid::Parse(units[i].id()));
    CHECK(now.ok() == (i % 3 != 0));
    if (!now.ok()) continue;
    CHECK(now->version().branch() == "next");  // a pin by hand is the last word
    CHECK(w.Ids(units[i]).size() == 6);
  }
  CHECK(w.Count("variable") == w.Count("node WHERE parent_id IS NOT NULL"));
}

TEST_CASE("another default branch asks for the sync that moves who follows", "[U9][R9]") {
  Moving w;
  w.Events();
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(w.repo.id());
  update.set_default_branch("next");
  graph::v1::RepoUnit repo;
  REQUIRE(w.repo_units.Update(w.anna, update, repo) == absl::OkStatus());
  const auto events = w.Events();
  REQUIRE(events.size() == 1);
  const auto requests = events[0].repo_unit_changed().sync_requests();
  REQUIRE(w.repo_units.Update(w.anna, update, repo) == absl::OkStatus());
  CHECK(w.Events().at(0).repo_unit_changed().sync_requests() == requests);
  REQUIRE(w.FollowAll(*Uuid::Parse(repo.id())) == absl::OkStatus());
  CHECK(w.Now(w.unit).version().branch() == "next");
}

TEST_CASE("a preview says what changes of each variable, which roles go, and which values would not be taken", "[U8]") {
  Moving w;
  const auto before = w.Ids(w.unit), others = w.Ids(w.other);
  w.versions.Add("closed", 'c', R"({"input_variables": {
      "wanted": {"type": "number", "minimum": 10, "writable_by": ["people"], "description": "now in Kelvin"},
      "by_links_only": {"type": "number", "writable_by": ["links"], "maximum": 5}}})",
                 "{}");
  w.Join(others.at("measured"), before.at("wanted"));
  graph::v1::PutGrantRequest role;
  role.set_node_id(before.at("measured"));
  role.set_subject_id(w.berta.user_id.ToString());
  role.set_role(graph::v1::ROLE_READER);
  graph::v1::Grant grant;
  REQUIRE(w.nodes.PutGrant(w.anna, role, grant) == absl::OkStatus());
  w.inputs.held[*Uuid::Parse(before.at("wanted"))].set_number(9.5);
  w.inputs.held[*Uuid::Parse(before.at("by_links_only"))].set_number(5);
  w.inputs.held[*Uuid::Parse(before.at("label"))].set_text("goes");
  // What a maintainer closed is no change of the schema.
  graph::v1::UpdateVariableRequest close;
  close.set_id(before.at("by_people_only"));
  close.set_accepts_people(false);
  graph::v1::Variable closed;
  REQUIRE(w.units.UpdateVariable(w.anna, close, closed) == absl::OkStatus());

  const auto preview = w.Move(w.unit, "closed", true);
  using Keys = std::vector<std::string>;
  for (const auto& change : preview.variables()) {
    INFO(change.name());
    const Keys keys(change.keys().begin(), change.keys().end());
    if (change.name() == "wanted") {
      CHECK(keys == Keys{"description", "minimum", "maximum", "default", "writable_by"});
    } else {
      CHECK(keys == (change.name() == "by_links_only" ? Keys{"maximum"} : Keys{}));
    }
    CHECK(change.held_value_unfit() == (change.name() == "wanted"));
    CHECK(change.grants() == (change.name() == "measured" ? 1 : 0));
  }
  CHECK(preview.suspended_link_ids_size() == 1);
  CHECK(preview.resumed_link_ids_size() == 0);
  // It says all or nothing.
  w.inputs.status = Unavailable("down");
  graph::v1::UnitMove move;
  CHECK(absl::IsUnavailable(w.units.Move(w.anna, Moving::To(w.unit, "closed", true), move)));
  // The move itself needs no values.
  const int asked = w.inputs.asked;
  CHECK(w.Move(w.unit, "closed").suspended_link_ids_size() == 1);
  CHECK(w.inputs.asked == asked);
  CHECK(w.Move(w.unit, "main").resumed_link_ids_size() == 1);
}

TEST_CASE("what a maintainer closed is no change of a version", "[U8]") {
  Moving w;
  graph::v1::UpdateVariableRequest close;
  close.set_id(w.Ids(w.unit).at("wanted"));
  close.set_accepts_people(false);
  close.set_accepts_links(false);
  graph::v1::Variable closed;
  REQUIRE(w.units.UpdateVariable(w.anna, close, closed) == absl::OkStatus());
  w.versions.Add("same", 'd', kSchema, "{}");
  for (const auto& [name, change] : Changes(w.Move(w.unit, "same", true))) {
    INFO(name);
    CHECK(change == graph::v1::VARIABLE_CHANGE_KIND_KEPT);
  }
  CHECK(w.inputs.asked == 0);
}

TEST_CASE("a move that closes an input to links suspends them, and the gate knows before the answer", "[U8][G5]") {
  Moving w;
  w.versions.Add("closed", 'c', R"({"input_variables": {"wanted": {"type": "number", "writable_by": ["people"]}}})",
                 "{}");
  const auto others = w.Ids(w.other);
  w.Join(others.at("measured"), w.Ids(w.unit).at("wanted"));
  graph::v1::ListLinksRequest list;
  graph::v1::ListLinksResponse links;
  w.gate.changes.clear();
  w.Move(w.unit, "closed");
  REQUIRE(w.links.List(w.anna, list, links) == absl::OkStatus());
  REQUIRE(links.links_size() == 1);
  CHECK(links.links(0).suspended_reason() == graph::v1::SUSPENDED_REASON_INPUT_CLOSED_TO_LINKS);
  std::set<std::string> stopped;
  for (const auto& changed : w.gate.changes) {
    for (const auto& id : changed.suspended_link_ids()) {
      CHECK(changed.unit_id() == w.other.id());
      stopped.insert(id);
    }
  }
  CHECK(stopped == std::set<std::string>{links.links(0).id()});
}

TEST_CASE("units that are wired to each other move at once", "[U9]") {
  Moving w;
  w.Join(w.Ids(w.unit).at("measured"), w.Ids(w.other).at("wanted"));
  w.Join(w.Ids(w.other).at("measured"), w.Ids(w.unit).at("wanted"));
  for (int i = 0; i < 10; ++i) {
    const std::string branch = i % 2 == 0 ? "next" : "main";
    absl::Status first, second;
    const auto move = [&](const graph::v1::Unit& unit, absl::Status* status) {
      graph::v1::UnitMove told;
      *status = w.units.Move(w.anna, Moving::To(unit, branch), told);
    };
    std::thread beside([&] { move(w.unit, &first); });
    move(w.other, &second);
    beside.join();
    CHECK(first == absl::OkStatus());
    CHECK(second == absl::OkStatus());
  }
}
