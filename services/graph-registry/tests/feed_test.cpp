#include <catch2/catch.hpp>
#include <random>

#include "feed_reader.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

using common::v1::ACCESS_LEVEL_INSTANCE;
using common::v1::ACCESS_LEVEL_PRIVATE;
using common::v1::ACCESS_LEVEL_PUBLIC;

struct FeedWorld : World {
  PostgresFeed feed{pool};
  rpc::Caller owner = User("owner"), friendly = User("friendly"), stranger = User("stranger"),
              administrator = User("administrator", true), anonymous;

  FeedPlace Now() {
    const auto bounds = feed.Bounds({});
    REQUIRE(bounds.ok());
    return bounds->now;
  }

  // What each of them is told after `from`, as "changed" and "removed" with the ids replaced by names.
  std::vector<std::string> Told(const rpc::Caller& caller, const FeedPlace& from,
                                const std::map<std::string, std::string>& names) {
    std::vector<std::string> told;
    for (const auto& change : ReadFeed(feed, caller, from)) {
      const std::string id = change.has_node_changed()   ? change.node_changed().node().id()
                             : change.has_node_removed() ? change.node_removed().id()
                             : change.has_link_changed() ? change.link_changed().id()
                                                         : change.link_removed().id();
      const auto name = names.find(id);
      if (name == names.end()) continue;
      const bool removed = change.has_node_removed() || change.has_link_removed();
      const bool concealed = change.has_link_changed() && change.link_changed().concealed();
      const bool grants = change.has_node_changed() && change.node_changed().grants_changed();
      told.push_back((removed ? "-" : "") + name->second + (concealed ? "?" : "") + (grants ? "!" : ""));
    }
    std::sort(told.begin(), told.end());
    return told;
  }

  std::vector<VariableRow> Variables(const graph::v1::Unit& unit) {
    auto rows = store.ListVariables(*Uuid::Parse(unit.id()), {});
    REQUIRE(rows.ok());
    return *std::move(rows);
  }

  void Level(const std::string& node, common::v1::AccessLevel level, bool with_variables = false) {
    graph::v1::SetNodeLevelRequest request;
    request.set_id(node);
    request.set_level(level);
    request.set_with_variables(with_variables);
    graph::v1::LevelChange change;
    REQUIRE(nodes.SetLevel(owner, request, change) == absl::OkStatus());
  }
};

using ToldOf = std::vector<std::string>;

}  // namespace

TEST_CASE("an event id is read as it was written, and nothing else is", "[G1]") {
  CHECK(FeedPlace::Parse("12-7") == FeedPlace{12, 7});
  CHECK(FeedPlace{12, 7}.ToString() == "12-7");
  for (const char* text : {"", "-", "12", "12-", "-7", "12-7 ", " 12-7", "012-7", "12-07", "+1-2", "12-7-1", "x-y",
                           "99999999999999999999-1", "1-99999999999999999999"}) {
    CHECK_FALSE(FeedPlace::Parse(text));
  }
}

TEST_CASE("everybody is told of what he may see, and of what he may see no more", "[A3][A4][G1]") {
  FeedWorld f;
  const auto repo = f.Repo(f.owner, ACCESS_LEVEL_PRIVATE);
  FeedPlace at = f.Now();
  const auto unit = f.Unit(f.owner, repo);
  const std::string measured = f.Variable(unit, "measured"), wanted = f.Variable(unit, "wanted");
  std::map<std::string, std::string> names{{unit.id(), "unit"}, {measured, "out"}, {wanted, "in"}};
  const auto told = [&](const rpc::Caller& who) { return f.Told(who, at, names); };
  const std::string friendly = f.friendly.user_id.ToString();
  CHECK(told(f.owner) == ToldOf{"in", "out", "unit"});
  CHECK(told(f.administrator) == ToldOf{"in", "out", "unit"});
  CHECK(told(f.friendly).empty());
  CHECK(told(f.anonymous).empty());

  SECTION("a role that is given and taken away") {
    at = f.Now();
    REQUIRE(f.Grant(f.owner, unit.id(), friendly, graph::v1::ROLE_READER).ok());
    CHECK(told(f.friendly) == ToldOf{"in", "out", "unit"});
    CHECK(told(f.owner) == ToldOf{"unit!"});
    CHECK(told(f.stranger).empty());
    at = f.Now();
    REQUIRE(f.Ungrant(f.owner, unit.id(), friendly).ok());
    CHECK(told(f.friendly) == ToldOf{"-in", "-out", "-unit"});
    CHECK(told(f.stranger).empty());
    CHECK(told(f.anonymous).empty());
  }
  SECTION("a role on a variable alone") {
    at = f.Now();
    REQUIRE(f.Grant(f.owner, measured, friendly, graph::v1::ROLE_WRITER).ok());
    CHECK(told(f.friendly) == ToldOf{"out"});
    CHECK(told(f.owner) == ToldOf{"out!"});
  }
  SECTION("levels, and who was let in by them") {
    at = f.Now();
    f.Level(unit.id(), ACCESS_LEVEL_PUBLIC, true);
    for (const auto* who : {&f.owner, &f.stranger, &f.anonymous, &f.administrator})
      CHECK(told(*who) == ToldOf{"in", "out", "unit"});
    at = f.Now();
    f.Level(unit.id(), ACCESS_LEVEL_INSTANCE);
    CHECK(told(f.stranger) == ToldOf{"in", "out", "unit"});
    CHECK(told(f.anonymous) == ToldOf{"-in", "-out", "-unit"});
    REQUIRE(f.Grant(f.owner, unit.id(), friendly, graph::v1::ROLE_READER).ok());
    at = f.Now();
    f.Level(unit.id(), ACCESS_LEVEL_PRIVATE);
    CHECK(told(f.stranger) == ToldOf{"-in", "-out", "-unit"});
    CHECK(told(f.friendly) == ToldOf{"in", "out", "unit"});
    CHECK(told(f.anonymous).empty());
  }
  SECTION("links by either end, and their state") {
    const auto other = f.Unit(f.owner, repo);
    const std::string label = f.Variable(other, "label");
    at = f.Now();
    const auto link = f.Draw(f.owner, f.Variable(unit, "text"), label);
    REQUIRE(link.ok());
    names = {{link->id(), "link"}};
    CHECK(told(f.owner) == ToldOf{"link"});
    CHECK(told(f.friendly).empty());
    at = f.Now();
    REQUIRE(f.Grant(f.owner, other.id(), friendly, graph::v1::ROLE_READER).ok());
    CHECK(told(f.friendly) == ToldOf{"link?"});
    at = f.Now();
    REQUIRE(f.Grant(f.owner, unit.id(), friendly, graph::v1::ROLE_READER).ok());
    CHECK(told(f.friendly) == ToldOf{"link"});
    at = f.Now();
    REQUIRE(f.Ungrant(f.owner, other.id(), friendly).ok());
    CHECK(told(f.friendly) == ToldOf{"link?"});
    at = f.Now();
    graph::v1::UpdateVariableRequest close;
    close.set_id(label);
    close.set_accepts_links(false);
    graph::v1::Variable closed;
    REQUIRE(f.units.UpdateVariable(f.owner, close, closed) == absl::OkStatus());
    const auto changes = ReadFeed(f.feed, f.owner, at);
    const auto suspended =
        std::find_if(changes.begin(), changes.end(), [](const auto& c) { return c.has_link_changed(); });
    REQUIRE(suspended != changes.end());
    CHECK(suspended->link_changed().state() == graph::v1::LINK_STATE_SUSPENDED);
    at = f.Now();
    REQUIRE(f.links.Delete(f.owner, link->id()) == absl::OkStatus());
    CHECK(told(f.owner) == ToldOf{"-link"});
    CHECK(told(f.friendly) == ToldOf{"-link"});
    CHECK(told(f.stranger).empty());
    CHECK(told(f.anonymous).empty());
  }
  SECTION("what is deleted, with what hangs on it") {
    f.Level(unit.id(), ACCESS_LEVEL_INSTANCE);
    REQUIRE(f.Grant(f.owner, measured, friendly, graph::v1::ROLE_READER).ok());
    const auto other = f.Unit(f.owner, repo);
    const auto link = f.Draw(f.owner, measured, f.Variable(other, "wanted"));
    REQUIRE(link.ok());
    names[link->id()] = "link";
    at = f.Now();
    REQUIRE(f.units.Delete(f.owner, unit.id()) == absl::OkStatus());
    CHECK(told(f.owner) == ToldOf{"-in", "-link", "-out", "-unit"});
    CHECK(told(f.friendly) == ToldOf{"-link", "-out", "-unit"});
    CHECK(told(f.stranger) == ToldOf{"-unit"});
    CHECK(told(f.anonymous).empty());
    // From before it was made until after it is gone nobody else is told that it ever was.
    CHECK(f.Told(f.anonymous, FeedPlace{}, names).empty());
  }
  SECTION("a token that reads only") {
    rpc::Caller token = f.owner;
    token.reach = rpc::Caller::Reach::kRead;
    const auto changes = ReadFeed(f.feed, token, at);
    REQUIRE_FALSE(changes.empty());
    for (const auto& change : changes) CHECK(change.node_changed().node().role() == graph::v1::ROLE_READER);
  }
}

TEST_CASE("what changes nothing that anybody sees is no change", "[G1]") {
  FeedWorld f;
  const auto repo = f.Repo(f.owner);
  const auto unit = f.Unit(f.owner, repo);
  const auto before = f.Count("graph_change");
  REQUIRE(f.pool.Transact("internal", [&](pqxx::work& tx) {
    tx.exec("UPDATE unit SET profile_version = profile_version + 1");
    tx.exec("UPDATE node SET updated_at = now()");
    tx.exec("UPDATE repo_unit SET sync_requests = sync_requests + 1");
    tx.exec("UPDATE account SET password_hash = 'x'");
    return absl::OkStatus();
  }) == absl::OkStatus());
  CHECK(f.Count("graph_change") == before);
}

TEST_CASE("a transaction that commits late is not skipped, and holds back what came after it began", "[G1]") {
  FeedWorld f;
  const auto repo = f.Repo(f.owner), other = f.Repo(f.owner);
  const FeedPlace at = f.Now();
  absl::Status status;
  auto late = f.pool.Connect(&status);
  REQUIRE(late);
  pqxx::work tx(*late);
  tx.exec("SET LOCAL search_path TO " + f.schema);
  tx.exec_params("UPDATE node SET name = 'late', version = version + 1 WHERE id = $1", repo.id());
  const auto unit = f.Unit(f.owner, other);
  const std::map<std::string, std::string> names{{repo.id(), "repo"}, {unit.id(), "unit"}};
  CHECK(f.Told(f.owner, at, names).empty());
  const FeedPlace meanwhile = f.Now();
  tx.commit();
  CHECK(f.Told(f.owner, at, names) == ToldOf{"repo", "unit"});
  CHECK(f.Told(f.owner, meanwhile, names) == ToldOf{"repo", "unit"});
  CHECK(f.Told(f.owner, f.Now(), names).empty());
}

TEST_CASE("a right that is lost in the same stretch as something else is told at each place to go on from", "[A4]") {
  FeedWorld f;
  const auto repo = f.Repo(f.owner);
  const auto unit = f.Unit(f.owner, repo, ACCESS_LEVEL_INSTANCE);
  const FeedPlace at = f.Now();
  f.Level(unit.id(), ACCESS_LEVEL_PRIVATE);
  graph::v1::UpdateUnitRequest rename;
  rename.set_id(unit.id());
  rename.set_name("renamed");
  graph::v1::Unit renamed;
  REQUIRE(f.units.Update(f.owner, rename, renamed) == absl::OkStatus());
  const auto told = ReadFeed(f.feed, f.stranger, at);
  REQUIRE_FALSE(told.empty());
  // Whoever got some of them and goes on from there misses none of the rest.
  for (std::size_t got = 0; got < told.size(); ++got) {
    const FeedPlace from = got == 0 ? at : *FeedPlace::Parse(told[got - 1].event_id());
    std::set<std::string> removed;
    for (std::size_t i = 0; i < got; ++i) removed.insert(told[i].node_removed().id());
    for (const auto& change : ReadFeed(f.feed, f.stranger, from)) removed.insert(change.node_removed().id());
    CHECK(removed.contains(unit.id()));
    CHECK(removed.size() == 7);  // with its variables
  }
}

TEST_CASE("nobody is told of what went before he was there", "[A4]") {
  FeedWorld f;
  const auto repo = f.Repo(f.owner);
  const auto unit = f.Unit(f.owner, repo, ACCESS_LEVEL_INSTANCE);
  f.Level(unit.id(), ACCESS_LEVEL_PRIVATE);
  const rpc::Caller newcomer = f.User("newcomer");
  const FeedBounds old = f.feed.Bounds(f.owner.user_id).value(), now = f.feed.Bounds(newcomer.user_id).value();
  CHECK(old.born < now.born);
  CHECK(now.forgotten < now.born);
  // What he is told from there on is his own.
  for (const auto& change : ReadFeed(f.feed, newcomer, now.born)) CHECK_FALSE(change.has_node_removed());
  CHECK(f.feed.Bounds({}).value().born == FeedPlace{});
}

TEST_CASE("what is old is forgotten, and the place is remembered", "[G1]") {
  FeedWorld f;
  f.Repo(f.owner);
  CHECK(f.feed.Forget(24).value() == 0);
  REQUIRE(f.pool.Transact("age", [](pqxx::work& tx) {
    tx.exec("UPDATE graph_change SET at = at - interval '25 hours'");
    return absl::OkStatus();
  }) == absl::OkStatus());
  const FeedPlace at = f.Now();
  CHECK(f.feed.Forget(24).value() > 0);
  CHECK(f.Count("graph_change") == 0);
  const auto bounds = f.feed.Bounds({});
  CHECK(bounds->forgotten > FeedPlace{});
  CHECK(bounds->forgotten < at);
  CHECK(f.feed.Read(FeedPlace{}, 10, {})->forgotten == bounds->forgotten);
  CHECK(f.feed.Forget(24).value() == 0);
}

TEST_CASE("after any changes a picture that was kept up equals what a fresh read shows", "[A3][A4][G1]") {
  FeedWorld f;
  const auto seed = static_cast<unsigned>(std::random_device()());
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::vector<rpc::Caller> people{f.owner, f.friendly, f.stranger, f.administrator, f.anonymous};
  std::vector<Picture> pictures;
  std::vector<FeedPlace> places;
  for (const auto& who : people) {
    places.push_back(f.Now());
    pictures.push_back(Picture::Of(f, who));
  }
  std::vector<graph::v1::RepoUnit> repos;
  std::vector<graph::v1::Unit> units;
  std::vector<std::string> nodes;
  for (const auto& who : {f.owner, f.friendly}) repos.push_back(f.Repo(who));
  f.versions.Add("main", 'b', R"({"world_state": ["utc"], "unit_state": ["commit"],
    "input_variables": {"wanted": {"type": "string"}, "label": {"type": "string"}},
    "output_variables": {"text": {"type": "string"}, "new": {"type": "number"}}})",
                 "{}");
  const auto level = [&] { return static_cast<common::v1::AccessLevel>(1 + pick(4)); };
  int done = 0;
  constexpr int kSteps = 150;
  for (int step = 0; step < kSteps; ++step) {
    const rpc::Caller& who = people[pick(4)];
    absl::Status status;
    const auto any = [&] { return nodes.empty() ? repos[0].id() : nodes[pick(nodes.size())]; };
    const auto kind = pick(12);
    if (kind <= 1 || units.empty()) {
      f.versions.Add("main", pick(2) == 0 ? 'a' : 'b', kSchema, "{}");
      graph::v1::CreateUnitRequest request;
      request.set_repo_unit_id(repos[pick(2)].id());
      request.set_name("unit");
      request.set_level(level());
      graph::v1::Unit unit;
      status = f.units.Create(who, request, unit);
      if (status.ok()) {
        units.push_back(unit);
        nodes.push_back(unit.id());
        for (const auto& row : f.Variables(unit)) nodes.push_back(row.variable.id());
      }
    } else if (kind <= 3) {
      graph::v1::SetNodeLevelRequest request;
      request.set_id(any());
      request.set_level(level());
      request.set_with_variables(pick(2) == 0);
      graph::v1::LevelChange change;
      status = f.nodes.SetLevel(who, request, change);
    } else if (kind <= 5) {
      const bool to_unit = pick(3) == 0;
      status = f.Grant(who, any(), to_unit ? units[pick(units.size())].id() : people[pick(4)].user_id.ToString(),
                       static_cast<graph::v1::Role>(1 + pick(4)),
                       to_unit ? graph::v1::SUBJECT_KIND_UNIT : graph::v1::SUBJECT_KIND_USER);
    } else if (kind <= 7) {
      std::vector<graph::v1::Grant> grants;
      const auto node = any();
      const auto found = f.store.ListGrants(*Uuid::Parse(node), {});
      if (found.ok() && !found->empty()) {
        const auto& grant = (*found)[pick(found->size())];
        status = f.Ungrant(f.administrator, node, grant.subject_id(), grant.subject_kind());
      }
    } else if (kind <= 9) {
      const auto &from = units[pick(units.size())], &to = units[pick(units.size())];
      std::string output, input;
      for (const auto& row : f.Variables(from))
        if (row.variable.name() == "measured" || row.variable.name() == "text") output = row.variable.id();
      for (const auto& row : f.Variables(to))
        if (row.variable.name() == "wanted" || row.variable.name() == "label") input = row.variable.id();
      if (!output.empty() && !input.empty())
        status = f.Draw(who, output, input, static_cast<graph::v1::LinkType>(1 + pick(2))).status();
    } else if (kind == 10) {
      graph::v1::MoveUnitRequest request;
      request.set_id(units[pick(units.size())].id());
      request.set_follow(true);
      graph::v1::UnitMove move;
      status = f.units.Move(f.administrator, request, move);
    } else {
      const auto at = pick(units.size());
      status = f.units.Delete(f.administrator, units[at].id());
      if (status.ok()) units.erase(units.begin() + static_cast<std::ptrdiff_t>(at));
    }
    done += status.ok() ? 1 : 0;
    if (pick(4) != 0 && step + 1 < kSteps) continue;
    for (std::size_t i = 0; i < people.size(); ++i) {
      INFO("viewer " << i << " after step " << step);
      const auto told = ReadFeed(f.feed, people[i], places[i], static_cast<int>(1 + pick(40)));
      // Now and then the connection breaks after some of them; what comes then is told from there.
      const auto got = pick(3) == 0 && !told.empty() ? pick(told.size()) : told.size();
      for (std::size_t t = 0; t < got; ++t) pictures[i].Apply(told[t]);
      if (got < told.size()) {
        if (got > 0) places[i] = *FeedPlace::Parse(told[got - 1].event_id());
        for (const auto& change : ReadFeed(f.feed, people[i], places[i])) pictures[i].Apply(change);
      }
      places[i] = f.Now();
      const Picture fresh = Picture::Of(f, people[i]);
      REQUIRE(pictures[i].nodes == fresh.nodes);
      REQUIRE(pictures[i].links == fresh.links);
    }
  }
  CHECK(done > kSteps / 4);
}
