#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "unit_events.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

using common::v1::ACCESS_LEVEL_INSTANCE;
using common::v1::ACCESS_LEVEL_PRIVATE;
using common::v1::ACCESS_LEVEL_PUBLIC;
using graph::v1::LINK_TYPE_READ;
using graph::v1::LINK_TYPE_WRITE;

// Anna's and Berta's units, seen by all of the instance.
struct Wiring : World {
  rpc::Caller anna = User("anna"), berta = User("berta"), carla = User("carla"), root = User("root", true);
  graph::v1::RepoUnit repo = Repo(anna);
  graph::v1::Unit annas = Unit(anna, repo, ACCESS_LEVEL_INSTANCE), bertas = Unit(berta, repo, ACCESS_LEVEL_INSTANCE);
  graph::v1::Link link;

  absl::Status Join(const rpc::Caller& who, graph::v1::LinkType type, const std::string& output,
                    const std::string& input) {
    graph::v1::CreateLinkRequest request;
    request.set_type(type);
    request.set_output_id(output);
    request.set_input_id(input);
    return links.Create(who, request, link);
  }
  graph::v1::UnitProfile Profile(const graph::v1::Unit& unit) {
    graph::v1::UnitProfile profile;
    REQUIRE(internals.UnitProfile(rpc::Caller::Service(), unit.id(), profile) == absl::OkStatus());
    return profile;
  }
  int CarriedFrom(const graph::v1::Unit& unit) { return Profile(unit).links_size(); }
  graph::v1::Link Read(const rpc::Caller& who, const std::string& id) {
    graph::v1::Link read;
    REQUIRE(links.Get(who, id, read) == absl::OkStatus());
    return read;
  }
  // The state that people are told, which must be what the profile carries.
  graph::v1::SuspendedReason Suspended(const graph::v1::Unit& source, const std::string& id) {
    const auto read = Read(root, id);
    bool carried = false;
    const graph::v1::UnitProfile profile = Profile(source);
    for (const auto& one : profile.links()) carried = carried || one.link_id() == id;
    CHECK((read.state() == graph::v1::LINK_STATE_ACTIVE) == carried);
    CHECK(read.suspended_detail().empty() == carried);
    return read.suspended_reason();
  }
  void Take(const rpc::Caller& owner, const std::string& node, const rpc::Caller& who) {
    graph::v1::DeleteGrantRequest request;
    request.set_node_id(node);
    request.set_subject_id(who.user_id.ToString());
    REQUIRE(nodes.DeleteGrant(owner, request) == absl::OkStatus());
  }
  absl::Status Accept(const rpc::Caller& who, const std::string& variable, bool people, bool by_links) {
    graph::v1::UpdateVariableRequest request;
    request.set_id(variable);
    request.set_accepts_people(people);
    request.set_accepts_links(by_links);
    graph::v1::Variable changed;
    return units.UpdateVariable(who, request, changed);
  }
  void SetLevel(const rpc::Caller& owner, const graph::v1::Unit& unit, common::v1::AccessLevel level) {
    graph::v1::SetNodeLevelRequest request;
    request.set_id(unit.id());
    request.set_level(level);
    request.set_with_variables(true);
    graph::v1::LevelChange change;
    REQUIRE(nodes.SetLevel(owner, request, change) == absl::OkStatus());
  }
};

}  // namespace

TEST_CASE("who may draw which link", "[G2]") {
  Wiring w;
  const std::string output = w.Variable(w.annas, "measured"), input = w.Variable(w.bertas, "wanted");
  // Anna pushes into Berta's input: needs the writer's right there.
  CHECK(Reason(w.Join(w.anna, LINK_TYPE_WRITE, output, input)) == "FORBIDDEN");
  // Anna cannot pull for Berta.
  CHECK(Reason(w.Join(w.anna, LINK_TYPE_READ, output, input)) == "FORBIDDEN");
  CHECK(Reason(w.Join({}, LINK_TYPE_READ, output, input)) == "UNAUTHENTICATED");
  // Berta pulls what she may read.
  REQUIRE(w.Join(w.berta, LINK_TYPE_READ, output, input) == absl::OkStatus());
  CHECK(w.link.creator_id() == w.berta.user_id.ToString());
  const absl::Status again = w.Join(w.berta, LINK_TYPE_WRITE, output, input);
  CHECK(again.code() == absl::StatusCode::kAlreadyExists);
  // The input's own flag is for pushing only.
  const std::string people = w.Variable(w.bertas, "by_people_only");
  CHECK(Reason(w.Join(w.berta, LINK_TYPE_WRITE, output, people)) == "NOT_WRITABLE");
  CHECK(w.Join(w.berta, LINK_TYPE_READ, output, people).ok());
  // What one may not see is not there.
  w.SetLevel(w.anna, w.annas, ACCESS_LEVEL_PRIVATE);
  CHECK(absl::IsNotFound(w.Join(w.berta, LINK_TYPE_READ, output, w.Variable(w.bertas, "by_links_only"))));
  CHECK(absl::IsNotFound(w.Join(w.berta, LINK_TYPE_READ, Uuid::New().ToString(), input)));
}

TEST_CASE("links join an output to an input that can take its values", "[G2]") {
  Wiring w;
  const auto v = [&](const std::string& name) { return w.Variable(w.annas, name); };
  CHECK(Reason(w.Join(w.anna, LINK_TYPE_WRITE, v("wanted"), v("by_links_only"))) == "INCOMPATIBLE_ENDS");
  CHECK(Reason(w.Join(w.anna, LINK_TYPE_WRITE, v("measured"), v("text"))) == "INCOMPATIBLE_ENDS");
  CHECK(Reason(w.Join(w.anna, LINK_TYPE_WRITE, v("text"), v("wanted"))) == "INCOMPATIBLE_ENDS");
  CHECK(Violations(w.Join(w.anna, LINK_TYPE_WRITE, v("text"), v("wanted"))) == "input_id");
  CHECK(w.Join(w.anna, LINK_TYPE_WRITE, v("text"), v("label")).ok());
  CHECK(Violations(w.Join(w.anna, graph::v1::LINK_TYPE_UNSPECIFIED, "", "y")) == "output_id input_id type");
  CHECK(absl::IsNotFound(w.Join(w.anna, LINK_TYPE_WRITE, w.annas.id(), v("wanted"))));
}

TEST_CASE("no links lead to an input with long choices, so that all links of a unit fit into its profile", "[G2][G5]") {
  Wiring w;
  const auto schema = [](std::size_t bytes) {
    // As google.protobuf.Value: "off" takes 5 bytes, the long one its text and 3.
    return R"({"input_variables": {"mode": {"type": "string", "choices": ["off", ")" + std::string(bytes - 8, 'x') +
           R"("]}}, "output_variables": {"mode_now": {"type": "string"}}})";
  };
  w.versions.Add("fitting", 'b', schema(2'048), "{}");
  w.versions.Add("long", 'c', schema(2'049), "{}");
  const auto move = [&](const std::string& branch) {
    graph::v1::MoveUnitRequest request;
    request.set_id(w.bertas.id());
    request.mutable_pin()->set_branch(branch);
    graph::v1::UnitMove move;
    REQUIRE(w.units.Move(w.berta, request, move) == absl::OkStatus());
    return move;
  };
  move("long");
  const std::string output = w.Variable(w.annas, "text"), input = w.Variable(w.bertas, "mode");
  const absl::Status refused = w.Join(w.berta, LINK_TYPE_READ, output, input);
  CHECK(Reason(refused) == "INCOMPATIBLE_ENDS");
  CHECK(Violations(refused) == "input_id");
  // One that was short when it was drawn is suspended, and carries again.
  move("fitting");
  REQUIRE(w.Join(w.berta, LINK_TYPE_READ, output, input) == absl::OkStatus());
  const std::string id = w.link.id();
  CHECK(w.Suspended(w.annas, id) == graph::v1::SUSPENDED_REASON_UNSPECIFIED);
  CHECK(w.Profile(w.annas).links(0).input().choices_size() == 2);
  const auto longer = move("long");
  REQUIRE(longer.suspended_link_ids_size() == 1);
  CHECK(longer.suspended_link_ids(0) == id);
  CHECK(w.Suspended(w.annas, id) == graph::v1::SUSPENDED_REASON_TOO_MANY_CHOICES);
  const auto shorter = move("fitting");
  REQUIRE(shorter.resumed_link_ids_size() == 1);
  CHECK(shorter.resumed_link_ids(0) == id);
  CHECK(w.Suspended(w.annas, id) == graph::v1::SUSPENDED_REASON_UNSPECIFIED);
}

TEST_CASE("a link shows which bounds it hit and when, to who sees both ends", "[G5]") {
  Wiring w;
  REQUIRE(w.Join(w.berta, LINK_TYPE_READ, w.Variable(w.annas, "measured"), w.Variable(w.bertas, "wanted")).ok());
  const std::string id = w.link.id();
  CHECK(w.link.bounds_hit().empty());
  const auto hits = [&](const rpc::Caller& who) {
    std::map<common::v1::LinkBound, std::int64_t> hits;
    const graph::v1::Link read = w.Read(who, id);
    for (const auto& hit : read.bounds_hit()) hits[hit.bound()] = hit.time().seconds();
    return hits;
  };
  using Hits = std::map<common::v1::LinkBound, std::int64_t>;
  REQUIRE(w.store.MarkLink(*Uuid::Parse(id), common::v1::LINK_BOUND_RATE, 1'800'000'000'000) == absl::OkStatus());
  REQUIRE(w.store.MarkLink(*Uuid::Parse(id), common::v1::LINK_BOUND_RATE, 1'700'000'000'000) == absl::OkStatus());
  CHECK(hits(w.berta) == Hits{{common::v1::LINK_BOUND_RATE, 1'800'000'000}});
  REQUIRE(w.store.MarkLink(*Uuid::Parse(id), common::v1::LINK_BOUND_FAN_OUT, 1'800'000'300'000) == absl::OkStatus());
  CHECK(hits(w.anna).size() == 2);
  // It carries all the same; who sees one end only is told nothing of its traffic.
  CHECK(w.Suspended(w.annas, id) == graph::v1::SUSPENDED_REASON_UNSPECIFIED);
  w.SetLevel(w.anna, w.annas, ACCESS_LEVEL_PRIVATE);
  CHECK(hits(w.berta).empty());
  graph::v1::GetNeighbourhoodRequest request;
  request.set_id(w.annas.id());
  request.set_depth(2);
  graph::v1::Neighbourhood around;
  REQUIRE(w.neighbourhoods.Get(w.root, request, around) == absl::OkStatus());
  int marked = 0;
  for (const auto& edge : around.edges()) marked += edge.link_id() == id ? edge.bounds_hit_size() : 0;
  CHECK(marked == 2);
  CHECK(w.store.MarkLink(Uuid::New(), common::v1::LINK_BOUND_RATE, 1) == absl::OkStatus());
}

TEST_CASE("a bound on the links that leave one unit", "[G5]") {
  Wiring w;
  const std::string output = w.Variable(w.annas, "measured");
  for (const char* name : {"wanted", "by_links_only", "by_people_only"}) {
    REQUIRE(w.Join(w.anna, LINK_TYPE_READ, output, w.Variable(w.annas, name)) == absl::OkStatus());
  }
  CHECK(Reason(w.Join(w.berta, LINK_TYPE_READ, output, w.Variable(w.bertas, "wanted"))) == "LIMIT");
  CHECK(w.Count("link") == 3);
}

TEST_CASE("others leave the owner half of what may be drawn from a unit", "[G5]") {
  Wiring w;  // three
  const std::string output = w.Variable(w.annas, "measured");
  REQUIRE(w.Join(w.berta, LINK_TYPE_READ, output, w.Variable(w.bertas, "wanted")) == absl::OkStatus());
  REQUIRE(w.Join(w.berta, LINK_TYPE_READ, output, w.Variable(w.bertas, "by_links_only")) == absl::OkStatus());
  CHECK(Reason(w.Join(w.berta, LINK_TYPE_READ, output, w.Variable(w.bertas, "by_people_only"))) == "LIMIT");
  const graph::v1::Unit carlas = w.Unit(w.carla, w.repo, ACCESS_LEVEL_INSTANCE);
  CHECK(Reason(w.Join(w.carla, LINK_TYPE_READ, output, w.Variable(carlas, "wanted"))) == "LIMIT");
  CHECK(w.Join(w.anna, LINK_TYPE_READ, output, w.Variable(w.annas, "wanted")) == absl::OkStatus());
  CHECK(Reason(w.Join(w.anna, LINK_TYPE_READ, output, w.Variable(w.annas, "by_links_only"))) == "LIMIT");
}

TEST_CASE("one user does not use up what others may draw from a unit", "[G5]") {
  Wiring w;
  Links bounded(w.store, {.from_unit = 30, .into_input = 100}, "secret");
  const std::string output = w.Variable(w.annas, "measured");
  const auto draw = [&](const rpc::Caller& who, const std::string& input) {
    graph::v1::CreateLinkRequest request;
    request.set_type(LINK_TYPE_READ);
    request.set_output_id(output);
    request.set_input_id(input);
    return Reason(bounded.Create(who, request, w.link));
  };
  for (const char* name : {"wanted", "by_links_only", "by_people_only"})
    CHECK(draw(w.berta, w.Variable(w.bertas, name)).empty());
  const graph::v1::Unit another = w.Unit(w.berta, w.repo);
  CHECK(draw(w.berta, w.Variable(another, "wanted")) == "LIMIT");
  CHECK(draw(w.carla, w.Variable(w.Unit(w.carla, w.repo), "wanted")).empty());
  for (const auto& unit : {w.annas, w.Unit(w.anna, w.repo)}) {
    for (const char* name : {"wanted", "by_links_only"}) CHECK(draw(w.anna, w.Variable(unit, name)).empty());
  }
  // Where one report cannot carry all, the owner's go first.
  int of_others = 0;
  const auto profile = w.Profile(w.annas);
  for (const auto& link : profile.links()) of_others += link.of_others();
  CHECK(profile.links_size() == 8);
  CHECK(of_others == 4);
}

TEST_CASE("a bound on the links that meet in one input", "[G5]") {
  Wiring w;
  const std::string input = w.Variable(w.bertas, "wanted");
  const auto from = [&](const graph::v1::Unit& unit) {
    return w.Join(w.berta, LINK_TYPE_READ, w.Variable(unit, "measured"), input);
  };
  REQUIRE(from(w.annas).ok());
  REQUIRE(from(w.bertas).ok());
  CHECK(Reason(from(w.Unit(w.berta, w.repo))) == "LIMIT");
  CHECK(w.Count("link") == 2);
}

TEST_CASE("links drawn at once into one input do not pass its bound", "[G5]") {
  Wiring w;
  const std::string input = w.Variable(w.bertas, "wanted");
  std::vector<std::string> outputs;
  for (int i = 0; i < 6; ++i) outputs.push_back(w.Variable(w.Unit(w.berta, w.repo), "measured"));
  std::vector<std::thread> threads;
  std::atomic<int> made = 0;
  for (const std::string& output : outputs) {
    threads.emplace_back([&, output] {
      graph::v1::CreateLinkRequest request;
      request.set_type(LINK_TYPE_READ);
      request.set_output_id(output);
      request.set_input_id(input);
      graph::v1::Link link;
      made += w.links.Create(w.berta, request, link).ok();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(made == 2);
  CHECK(w.Count("link") == 2);
}

TEST_CASE("a suspended link says why, and its right brings it back", "[G2][G5]") {
  Wiring w;
  const std::string output = w.Variable(w.annas, "measured"), input = w.Variable(w.bertas, "wanted");
  w.Let(w.berta, input, w.anna, graph::v1::ROLE_WRITER);
  REQUIRE(w.Join(w.anna, LINK_TYPE_WRITE, output, input) == absl::OkStatus());
  const std::string pushing = w.link.id();
  CHECK(w.link.state() == graph::v1::LINK_STATE_ACTIVE);
  REQUIRE(w.Join(w.berta, LINK_TYPE_READ, output, w.Variable(w.bertas, "by_people_only")) == absl::OkStatus());
  const std::string pulling = w.link.id();

  w.Take(w.berta, input, w.anna);
  CHECK(w.Suspended(w.annas, pushing) == graph::v1::SUSPENDED_REASON_CREATOR_LOST_WRITE);
  w.Let(w.berta, w.bertas.id(), w.anna, graph::v1::ROLE_READER);
  CHECK(w.Suspended(w.annas, pushing) == graph::v1::SUSPENDED_REASON_CREATOR_LOST_WRITE);
  w.Let(w.berta, w.bertas.id(), w.anna, graph::v1::ROLE_WRITER);
  CHECK(w.Suspended(w.annas, pushing) == graph::v1::SUSPENDED_REASON_UNSPECIFIED);

  REQUIRE(w.Accept(w.berta, input, true, false) == absl::OkStatus());
  CHECK(w.Suspended(w.annas, pushing) == graph::v1::SUSPENDED_REASON_INPUT_CLOSED_TO_LINKS);
  CHECK(Reason(w.Join(w.anna, LINK_TYPE_WRITE, w.Variable(w.annas, "measured"), input)) == "NOT_WRITABLE");
  REQUIRE(w.Accept(w.berta, input, true, true) == absl::OkStatus());
  CHECK(w.Suspended(w.annas, pushing) == graph::v1::SUSPENDED_REASON_UNSPECIFIED);

  w.SetLevel(w.anna, w.annas, ACCESS_LEVEL_PRIVATE);
  CHECK(w.Suspended(w.annas, pulling) == graph::v1::SUSPENDED_REASON_CREATOR_LOST_READ);
  CHECK(w.Suspended(w.annas, pushing) == graph::v1::SUSPENDED_REASON_UNSPECIFIED);  // her own output
  graph::v1::ListLinksRequest request;
  for (const auto& [state, id] :
       {std::pair(graph::v1::LINK_STATE_ACTIVE, pushing), std::pair(graph::v1::LINK_STATE_SUSPENDED, pulling)}) {
    request.set_state(state);
    graph::v1::ListLinksResponse page;
    REQUIRE(w.links.List(w.root, request, page).ok());
    REQUIRE(page.links_size() == 1);
    CHECK(page.links(0).id() == id);
  }
  request.set_state(static_cast<graph::v1::LinkState>(9));
  graph::v1::ListLinksResponse page;
  CHECK(Violations(w.links.List(w.root, request, page)) == "state");
  w.SetLevel(w.anna, w.annas, ACCESS_LEVEL_INSTANCE);
  CHECK(w.Suspended(w.annas, pulling) == graph::v1::SUSPENDED_REASON_UNSPECIFIED);

  REQUIRE(w.pool
              .Transact("test",
                        [&](pqxx::work& tx) {
                          tx.exec_params("SELECT 1 FROM account WHERE id = $1 FOR UPDATE", w.berta.user_id.ToString());
                          tx.exec_params("DELETE FROM account WHERE id = $1", w.berta.user_id.ToString());
                          AppendCreatorChanged(tx, w.berta.user_id.ToString());
                          return absl::OkStatus();
                        })
              .ok());
  CHECK(w.Suspended(w.annas, pulling) == graph::v1::SUSPENDED_REASON_CREATOR_GONE);
  const auto events = w.Events();
  REQUIRE(events.back().unit_changed().suspended_link_ids_size() == 1);
  CHECK(events.back().unit_changed().suspended_link_ids(0) == pulling);
}

TEST_CASE("a maintainer narrows who may write an input, and never widens it", "[G2][S3]") {
  Wiring w;
  const std::string links_only = w.Variable(w.bertas, "by_links_only"), wanted = w.Variable(w.bertas, "wanted");
  CHECK(Violations(w.Accept(w.berta, links_only, true, true)) == "accepts_people");
  CHECK(Violations(w.Accept(w.berta, w.Variable(w.bertas, "by_people_only"), true, true)) == "accepts_links");
  CHECK(Violations(w.Accept(w.berta, w.Variable(w.bertas, "measured"), false, false)) ==
        "accepts_people accepts_links");
  CHECK(Reason(w.Accept(w.anna, wanted, false, false)) == "FORBIDDEN");
  CHECK(Reason(w.Accept({}, wanted, false, false)) == "NOT_FOUND");

  REQUIRE(w.Accept(w.berta, wanted, false, true) == absl::OkStatus());
  graph::v1::Variable seen;
  REQUIRE(w.units.GetVariable(w.berta, wanted, seen).ok());
  CHECK_FALSE(seen.writable_by_people());
  CHECK_FALSE(seen.accepts_people());
  CHECK(seen.writable_by_links());
  graph::v1::SetVariableValueRequest write;
  write.set_id(wanted);
  write.mutable_value()->set_number_value(21);
  graph::v1::SetVariableValueResponse written;
  CHECK(Reason(w.units.SetValue(w.berta, write, written)) == "NOT_WRITABLE");
  rpc::Caller late = w.berta;
  late.if_match = "1";
  CHECK(Reason(w.Accept(late, wanted, true, true)) == "VERSION_MISMATCH");
  late.if_match = seen.etag();
  REQUIRE(w.Accept(late, wanted, true, true) == absl::OkStatus());
  CHECK(w.units.SetValue(w.berta, write, written).ok());
}

TEST_CASE("who takes a right away has his answer when the gate knows which links lost it", "[G5]") {
  Wiring w;
  const std::string output = w.Variable(w.annas, "measured"), input = w.Variable(w.bertas, "wanted"),
                    other = w.Variable(w.bertas, "by_links_only");
  w.Let(w.berta, input, w.anna, graph::v1::ROLE_WRITER);
  w.Let(w.berta, other, w.anna, graph::v1::ROLE_WRITER);
  REQUIRE(w.Join(w.anna, LINK_TYPE_WRITE, output, input) == absl::OkStatus());
  const std::string lost = w.link.id();
  REQUIRE(w.Join(w.anna, LINK_TYPE_WRITE, output, other) == absl::OkStatus());
  const std::string kept = w.link.id();
  CHECK(w.gate.changes.empty());  // rights that are given forbid nothing
  const auto before = w.Profile(w.annas).version();

  w.Take(w.berta, input, w.anna);
  REQUIRE(w.gate.changes.size() == 1);
  CHECK(w.gate.changes[0].unit_id() == w.annas.id());
  REQUIRE(w.gate.changes[0].suspended_link_ids_size() == 1);
  CHECK(w.gate.changes[0].suspended_link_ids(0) == lost);
  CHECK(w.gate.changes[0].profile_version() > before);
  CHECK(w.Profile(w.annas).version() == w.gate.changes[0].profile_version());

  w.gate.changes.clear();
  w.gate.status = Unavailable("away");  // the right is gone all the same, and the event tells it
  w.Events();
  REQUIRE(w.links.Delete(w.anna, kept) == absl::OkStatus());
  REQUIRE(w.gate.changes.size() == 1);
  CHECK(w.gate.changes[0].removed_link_ids(0) == kept);
  CHECK(w.Events().at(0).unit_changed().removed_link_ids(0) == kept);
  REQUIRE(w.units.Delete(w.berta, w.bertas.id()) == absl::OkStatus());
  CHECK(w.gate.changes.back().deleted());
  CHECK(w.gate.changes.back().removed_variable_ids_size() == 6);
}

TEST_CASE("rights that two take away at once leave no link behind", "[G5]") {
  // The link holds by a grant or by the level: whoever takes the second of them must see that the first is gone.
  for (int round = 0; round < 8; ++round) {
    Wiring w;
    const std::string output = w.Variable(w.annas, "measured"), input = w.Variable(w.bertas, "wanted");
    w.Let(w.anna, output, w.berta, graph::v1::ROLE_READER);
    REQUIRE(w.Join(w.berta, LINK_TYPE_READ, output, input) == absl::OkStatus());
    std::thread closing([&] { w.SetLevel(w.anna, w.annas, ACCESS_LEVEL_PRIVATE); });
    w.Take(w.anna, output, w.berta);
    closing.join();
    CHECK(w.CarriedFrom(w.annas) == 0);
    int told = 0;
    for (const auto& changed : w.gate.changes) told += changed.suspended_link_ids_size();
    CHECK(told == 1);
  }
}

TEST_CASE("a link that is drawn while its right goes is suspended or told of", "[G5]") {
  // The right goes later in each round, in the last one after the link was drawn.
  constexpr int kRounds = 12;
  int drawn = 0;
  for (int round = 0; round < kRounds; ++round) {
    Wiring w;
    const std::string output = w.Variable(w.annas, "measured"), input = w.Variable(w.bertas, "wanted");
    w.Let(w.berta, input, w.anna, graph::v1::ROLE_WRITER);
    std::thread drawing([&] { (void)w.Join(w.anna, LINK_TYPE_WRITE, output, input); });
    if (round == kRounds - 1) drawing.join();
    std::this_thread::sleep_for(std::chrono::microseconds(400 * round));
    w.Take(w.berta, input, w.anna);
    if (drawing.joinable()) drawing.join();
    if (w.Count("link") == 0) continue;
    ++drawn;
    CHECK(w.CarriedFrom(w.annas) == 0);
    // Whoever cached it in between is told: it was suspended, or it was drawn after the right had gone.
    const auto version = w.Profile(w.annas).version();
    bool told = w.gate.changes.size() == 1;
    for (const auto& event : w.Events()) told = told || event.unit_changed().profile_version() == version;
    CHECK(told);
  }
  CHECK(drawn > 0);
}

TEST_CASE("a link carries as long as its rights last, and again when they return", "[G2][A4]") {
  Wiring w;
  const std::string output = w.Variable(w.annas, "measured"), input = w.Variable(w.bertas, "wanted");
  w.Events();
  REQUIRE(w.Join(w.berta, LINK_TYPE_READ, output, input) == absl::OkStatus());
  const auto events = w.Events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].unit_changed().unit_id() == w.annas.id());
  CHECK(w.CarriedFrom(w.annas) == 1);
  w.SetLevel(w.anna, w.annas, ACCESS_LEVEL_PRIVATE);
  CHECK(w.Events().at(0).unit_changed().unit_id() == w.annas.id());
  CHECK(w.CarriedFrom(w.annas) == 0);
  w.SetLevel(w.anna, w.annas, ACCESS_LEVEL_PUBLIC);
  CHECK(w.CarriedFrom(w.annas) == 1);
  // The other end changes: the profile that speaks of it is dropped too.
  w.Events();
  w.SetLevel(w.berta, w.bertas, ACCESS_LEVEL_PRIVATE);
  std::set<std::string> told;
  for (const auto& event : w.Events()) told.insert(event.unit_changed().unit_id());
  CHECK(told == std::set<std::string>{w.annas.id(), w.bertas.id()});
  CHECK(w.CarriedFrom(w.annas) == 1);  // her own input, whatever its level
}

TEST_CASE("links are seen by those who see an end, and cut by a maintainer of either", "[G2][A4]") {
  Wiring w;
  REQUIRE(w.Join(w.berta, LINK_TYPE_READ, w.Variable(w.annas, "measured"), w.Variable(w.bertas, "wanted")).ok());
  const std::string id = w.link.id();
  graph::v1::Link seen;
  graph::v1::ListLinksRequest request;
  const auto listed = [&](const rpc::Caller& who, const std::string& node) {
    request.set_node_id(node);
    graph::v1::ListLinksResponse page;
    REQUIRE(w.links.List(who, request, page) == absl::OkStatus());
    return page.links_size();
  };
  CHECK(w.links.Get(w.carla, id, seen).ok());
  for (const std::string& node : {std::string(), w.annas.id(), w.bertas.id(), w.link.input_id(), w.link.output_id()}) {
    CHECK(listed(w.carla, node) == 1);
    CHECK(listed({}, node) == 0);
  }
  CHECK(listed(w.carla, w.repo.id()) == 0);
  CHECK(Reason(w.links.Delete(w.carla, id)) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.links.Delete({}, id)));
  CHECK_FALSE(w.Read(w.carla, id).concealed());
  CHECK(w.internals.AuthorizeLink(w.carla, id).ok());
  // Of an end that one may not see nothing is told but that it is there.
  w.SetLevel(w.berta, w.bertas, ACCESS_LEVEL_PRIVATE);
  for (const rpc::Caller& who : {w.anna, w.carla}) {
    const graph::v1::Link half = w.Read(who, id);
    graph::v1::Link expected;
    expected.set_id(id);
    expected.set_type(LINK_TYPE_READ);
    expected.set_output_id(w.link.output_id());
    expected.set_state(graph::v1::LINK_STATE_ACTIVE);
    expected.set_concealed(true);
    CHECK(half.SerializeAsString() == expected.SerializeAsString());
    CHECK(absl::IsNotFound(w.internals.AuthorizeLink(who, id)));
    for (const std::string& node : {std::string(), w.annas.id(), w.link.output_id()}) CHECK(listed(who, node) == 1);
    for (const std::string& node : {w.bertas.id(), w.link.input_id()}) CHECK(listed(who, node) == 0);
  }
  // Nor by what is written down of it.
  graph::v1::ListAuditRecordsRequest audit;
  audit.set_node_id(w.link.output_id());
  graph::v1::ListAuditRecordsResponse records;
  REQUIRE(w.nodes.ListAudit(w.anna, audit, records).ok());
  REQUIRE(records.records_size() > 0);
  CHECK(records.DebugString().find(w.link.input_id()) == std::string::npos);
  CHECK(Reason(w.links.Delete(w.carla, id)) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.links.Get({}, id, seen)));
  // A suspended one tells only whose end it is, not why.
  w.SetLevel(w.anna, w.annas, ACCESS_LEVEL_PRIVATE);
  CHECK(absl::IsNotFound(w.links.Get(w.carla, id, seen)));
  CHECK(w.Read(w.berta, id).output_id().empty());
  CHECK(w.Read(w.berta, id).state() == graph::v1::LINK_STATE_SUSPENDED);
  CHECK(w.Read(w.berta, id).suspended_reason() == graph::v1::SUSPENDED_REASON_UNSPECIFIED);
  w.Events();
  REQUIRE(w.links.Delete(w.anna, id) == absl::OkStatus());
  CHECK(w.Events().at(0).unit_changed().unit_id() == w.annas.id());
  CHECK(w.CarriedFrom(w.annas) == 0);
  CHECK(absl::IsNotFound(w.links.Delete(w.anna, id)));
}

TEST_CASE("who drew a link may take it back, also without a right to its ends", "[G2][A4]") {
  Wiring w;
  const std::string input = w.Variable(w.bertas, "wanted");
  w.Let(w.berta, input, w.carla, graph::v1::ROLE_WRITER);
  REQUIRE(w.Join(w.carla, LINK_TYPE_WRITE, w.Variable(w.annas, "measured"), input) == absl::OkStatus());
  w.Take(w.berta, input, w.carla);
  CHECK(w.CarriedFrom(w.annas) == 0);
  rpc::Caller token = w.carla;
  token.reach = rpc::Caller::Reach::kWrite;
  CHECK(Reason(w.links.Delete(token, w.link.id())) == "FORBIDDEN");
  CHECK(w.links.Delete(w.carla, w.link.id()) == absl::OkStatus());
  CHECK(w.Count("link") == 0);
}

TEST_CASE("a cursor of links does not show where it stands", "[A4]") {
  Wiring w;
  std::set<std::string> drawn, listed;
  for (const char* name : {"wanted", "by_links_only"}) {
    REQUIRE(w.Join(w.anna, LINK_TYPE_READ, w.Variable(w.annas, "measured"), w.Variable(w.annas, name)).ok());
    drawn.insert(w.link.id());
  }
  graph::v1::ListLinksRequest request;
  request.set_page_size(1);
  do {
    graph::v1::ListLinksResponse page;
    REQUIRE(w.links.List(w.anna, request, page) == absl::OkStatus());
    for (const auto& link : page.links()) listed.insert(link.id());
    request.set_cursor(page.next_cursor());
    const std::string raw = Base64UrlDecode(page.next_cursor()).value_or("");
    for (const std::string& id : drawn) CHECK(raw.find(Uuid::Parse(id)->ToBytes()) == std::string::npos);
  } while (!request.cursor().empty());
  CHECK(listed == drawn);
  request.set_cursor("AAAA");
  graph::v1::ListLinksResponse page;
  CHECK(Violations(w.links.List(w.anna, request, page)) == "cursor");
}

TEST_CASE("what other services ask: as the caller whom they pass on, or for themselves", "[A4]") {
  Wiring w;
  const rpc::Caller service = rpc::Caller::Service();
  const std::string input = w.Variable(w.annas, "wanted");
  graph::v1::AuthorizeRequest request;
  graph::v1::AuthorizeResponse answer;
  request.set_node_id(input);
  request.set_permission(graph::v1::PERMISSION_READ);
  REQUIRE(w.internals.Authorize(w.berta, request, answer) == absl::OkStatus());
  CHECK(answer.node_type() == graph::v1::NODE_TYPE_INPUT_VARIABLE);
  CHECK(answer.unit_id() == w.annas.id());
  CHECK(answer.variable().name() == "wanted");
  CHECK(absl::IsNotFound(w.internals.Authorize({}, request, answer)));
  request.set_permission(graph::v1::PERMISSION_WRITE);
  CHECK(Reason(w.internals.Authorize(w.berta, request, answer)) == "FORBIDDEN");
  CHECK(w.internals.Authorize(w.anna, request, answer).ok());
  request.set_permission(graph::v1::PERMISSION_UNSPECIFIED);
  CHECK(Violations(w.internals.Authorize(w.anna, request, answer)) == "permission");
  request.set_permission(static_cast<graph::v1::Permission>(0));
  request.set_node_id("x");
  CHECK(Violations(w.internals.Authorize(w.anna, request, answer)) == "node_id");

  graph::v1::UnitPackage package;
  REQUIRE(w.internals.UnitPackage(w.anna, w.annas.id(), package) == absl::OkStatus());
  CHECK(package.commit() == std::string(40, 'a'));
  CHECK_FALSE(package.sealed_env().empty());
  CHECK(Reason(w.internals.UnitPackage(w.berta, w.annas.id(), package)) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.internals.UnitPackage({}, w.annas.id(), package)));
  CHECK(absl::IsNotFound(w.internals.UnitPackage(w.anna, input, package)));

  graph::v1::UnitProfile profile;
  CHECK(Reason(w.internals.UnitProfile(w.anna, w.annas.id(), profile)) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.internals.UnitProfile(service, Uuid::New().ToString(), profile)));
  REQUIRE(w.internals.UnitProfile(service, w.annas.id(), profile).ok());
  CHECK(profile.token_generation() == 1);
  CHECK(profile.target_commit() == std::string(40, 'a'));
  CHECK(profile.variables_size() == 6);
  graph::v1::ListRepositoriesToKeepResponse keep;
  CHECK(Reason(w.internals.RepositoriesToKeep(w.anna, "", keep)) == "FORBIDDEN");
}
