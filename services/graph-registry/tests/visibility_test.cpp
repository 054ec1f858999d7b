#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "pepeunit/base/uuid.h"
#include "rights.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

template <typename Item, typename Fetch>
std::vector<std::string> AllPages(const Fetch& fetch) {
  std::vector<std::string> ids;
  std::string cursor;
  for (int pages = 0; pages < 100; ++pages) {
    std::vector<Item> items = fetch(&cursor);
    CHECK(items.size() <= 3);
    for (const auto& item : items) ids.push_back(item.id());
    if (cursor.empty()) break;
    CHECK(items.size() == 3);
  }
  return ids;
}

}  // namespace

TEST_CASE("lists show what the access decision lets each one see, in order, page by page", "[A0][A1][A3][A4]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta"), admin = w.User("admin", true);
  std::vector<graph::v1::Unit> units;
  std::vector<graph::v1::RepoUnit> repos;
  for (int round = 0; round < 2; ++round) {
    for (const rpc::Caller& owner : {anna, berta, admin}) {
      for (int level = common::v1::ACCESS_LEVEL_PRIVATE; level <= common::v1::ACCESS_LEVEL_PUBLIC; ++level) {
        repos.push_back(w.Repo(owner, static_cast<common::v1::AccessLevel>(level)));
        units.push_back(w.Unit(owner, repos.back(), static_cast<common::v1::AccessLevel>(level)));
      }
    }
  }
  graph::v1::CreateLinkRequest join;
  join.set_type(graph::v1::LINK_TYPE_WRITE);
  std::vector<graph::v1::Link> links;
  for (std::size_t i = 0; i < units.size(); ++i) {
    join.set_output_id(w.Variable(units[i], "measured"));
    join.set_input_id(w.Variable(units[(i * 7 + 5) % units.size()], "wanted"));
    REQUIRE(w.links.Create(admin, join, links.emplace_back()) == absl::OkStatus());
  }
  for (const rpc::Caller& who : {rpc::Caller{}, anna, berta, admin}) {
    INFO(rpc::FormatCaller(who));
    const auto sees = [&](const std::string& id) {
      return access::Decide(SubjectOf(who), w.store.GetFacts(*Uuid::Parse(id), SubjectOf(who))->access,
                            access::Role::kReader) == access::Decision::kAllowed;
    };
    std::vector<std::string> want_units, want_repos, want_links;
    for (const auto& unit : units) {
      if (sees(unit.id())) want_units.push_back(unit.id());
    }
    for (const auto& repo : repos) {
      if (sees(repo.id())) want_repos.push_back(repo.id());
    }
    for (const auto& link : links) {
      if (sees(link.output_id()) || sees(link.input_id())) want_links.push_back(link.id());
    }
    CHECK(AllPages<graph::v1::Unit>([&](std::string* cursor) {
            graph::v1::ListUnitsRequest request;
            request.set_page_size(3);
            request.set_cursor(*cursor);
            graph::v1::ListUnitsResponse page;
            REQUIRE(w.units.List(who, request, page) == absl::OkStatus());
            *cursor = page.next_cursor();
            return std::vector<graph::v1::Unit>(page.units().begin(), page.units().end());
          }) == want_units);
    CHECK(AllPages<graph::v1::RepoUnit>([&](std::string* cursor) {
            graph::v1::ListRepoUnitsRequest request;
            request.set_page_size(3);
            request.set_cursor(*cursor);
            graph::v1::ListRepoUnitsResponse page;
            REQUIRE(w.repo_units.List(who, request, page) == absl::OkStatus());
            *cursor = page.next_cursor();
            return std::vector<graph::v1::RepoUnit>(page.repo_units().begin(), page.repo_units().end());
          }) == want_repos);
    CHECK(AllPages<graph::v1::Link>([&](std::string* cursor) {
            graph::v1::ListLinksRequest request;
            request.set_page_size(3);
            request.set_cursor(*cursor);
            graph::v1::ListLinksResponse page;
            REQUIRE(w.links.List(who, request, page) == absl::OkStatus());
            for (const auto& link : page.links()) {
              const auto& whole = *std::find_if(links.begin(), links.end(),
                                                [&](const graph::v1::Link& one) { return one.id() == link.id(); });
              CHECK(link.output_id() == (sees(whole.output_id()) ? whole.output_id() : ""));
              CHECK(link.input_id() == (sees(whole.input_id()) ? whole.input_id() : ""));
              CHECK(link.concealed() == (link.output_id().empty() || link.input_id().empty()));
            }
            *cursor = page.next_cursor();
            return std::vector<graph::v1::Link>(page.links().begin(), page.links().end());
          }) == want_links);
    // By repository: each has one unit.
    for (std::size_t i = 0; i < repos.size(); ++i) {
      graph::v1::ListUnitsRequest request;
      request.set_repo_unit_id(repos[i].id());
      graph::v1::ListUnitsResponse page;
      REQUIRE(w.units.List(who, request, page).ok());
      CHECK(page.units_size() == (sees(units[i].id()) ? 1 : 0));
    }
  }
}

TEST_CASE("users of other instances see what is federated or given to them, whatever id they come with", "[A2][A4]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  const auto repo = w.Repo(anna, common::v1::ACCESS_LEVEL_PRIVATE);
  std::vector<graph::v1::Unit> units;
  for (int level = common::v1::ACCESS_LEVEL_PRIVATE; level <= common::v1::ACCESS_LEVEL_PUBLIC; ++level)
    units.push_back(w.Unit(anna, repo, static_cast<common::v1::AccessLevel>(level)));
  const access::Subject remote{.kind = access::Subject::Kind::kRemoteUser, .id = Uuid::New(), .owner_id = {}};
  // The other instance may call its user what it likes, also as one of ours.
  const access::Subject namesake{.kind = access::Subject::Kind::kRemoteUser, .id = anna.user_id, .owner_id = {}};
  const auto seen = [&](const access::Subject& who) {
    std::vector<std::string> ids;
    const auto rows = w.store.ListUnits(who, {}, {});
    REQUIRE(rows.ok());
    for (const auto& row : *rows) ids.push_back(row.id());
    for (const auto& unit : units) {
      const auto facts = w.store.GetFacts(*Uuid::Parse(unit.id()), who);
      const bool may = access::Decide(who, facts->access, access::Role::kReader) == access::Decision::kAllowed;
      CHECK(may == (std::find(ids.begin(), ids.end(), unit.id()) != ids.end()));
      CHECK(access::Decide(who, facts->access, access::Role::kWriter) != access::Decision::kAllowed);
    }
    return ids;
  };
  const std::vector<std::string> open{units[2].id(), units[3].id()};
  CHECK(seen(remote) == open);
  CHECK(seen(namesake) == open);
  graph::v1::PutGrantRequest role;
  role.set_node_id(units[0].id());
  role.set_subject_kind(graph::v1::SUBJECT_KIND_REMOTE_USER);
  role.set_subject_id(remote.id.ToString());
  role.set_role(graph::v1::ROLE_READER);
  graph::v1::Grant grant;
  REQUIRE(w.nodes.PutGrant(anna, role, grant) == absl::OkStatus());
  CHECK(seen(remote) == std::vector<std::string>{units[0].id(), units[2].id(), units[3].id()});
  CHECK(seen(namesake) == open);
  // A role for a user of another instance is none for a user of this one with the same id.
  const access::Subject local{.kind = access::Subject::Kind::kUser, .id = remote.id, .owner_id = {}};
  CHECK(seen(local) == std::vector<std::string>{units[1].id(), units[2].id(), units[3].id()});
}

TEST_CASE("a variable is never more open than its unit, in single reads as in lists", "[A4]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  const auto unit = w.Unit(anna, w.Repo(anna), common::v1::ACCESS_LEVEL_PRIVATE);
  const std::string output = w.Variable(unit, "measured");
  // A state that the service does not write, and would not open if it were there.
  REQUIRE(w.pool.Transact("open", [&](pqxx::work& tx) {
    tx.exec("UPDATE node SET level = 4 WHERE parent_id IS NOT NULL");
    return absl::OkStatus();
  }) == absl::OkStatus());
  graph::v1::CreateLinkRequest join;
  join.set_type(graph::v1::LINK_TYPE_WRITE);
  join.set_output_id(output);
  join.set_input_id(w.Variable(unit, "wanted"));
  graph::v1::Link link;
  REQUIRE(w.links.Create(anna, join, link).ok());
  graph::v1::Variable variable;
  CHECK(absl::IsNotFound(w.units.GetVariable(berta, output, variable)));
  graph::v1::ListLinksResponse page;
  REQUIRE(w.links.List(berta, {}, page).ok());
  CHECK(page.links_size() == 0);
}

TEST_CASE("a cursor goes with its filter") {
  World w;
  const rpc::Caller anna = w.User("anna");
  const auto repo = w.Repo(anna);
  w.Unit(anna, repo);
  w.Unit(anna, repo);
  graph::v1::ListUnitsRequest request;
  graph::v1::ListUnitsResponse page;
  request.set_page_size(1);
  REQUIRE(w.units.List(anna, request, page).ok());
  REQUIRE_FALSE(page.next_cursor().empty());
  request.set_cursor(page.next_cursor());
  request.set_repo_unit_id(repo.id());
  CHECK(Reason(w.units.List(anna, request, page)) == "INVALID_CURSOR");
  graph::v1::ListLinksRequest links;
  links.set_cursor(request.cursor());
  graph::v1::ListLinksResponse none;
  CHECK(Reason(w.links.List(anna, links, none)) == "INVALID_CURSOR");
}

TEST_CASE("links that a viewer may see among very many that he may not are found page by page", "[A4]") {
  World w;
  const rpc::Caller anna = w.User("anna"), berta = w.User("berta");
  const auto unit = w.Unit(anna, w.Repo(anna)), open = w.Unit(berta, w.Repo(berta), common::v1::ACCESS_LEVEL_INSTANCE);
  // As many inputs as there are links, for two ends are linked once.
  REQUIRE(w.pool.Transact("many", [&](pqxx::work& tx) {
    tx.exec("WITH n AS (INSERT INTO node (id, type, parent_id, owner_id, name, level) SELECT gen_random_uuid(), 4, " +
            tx.quote(unit.id()) + "::uuid, " + tx.quote(unit.owner_id()) +
            "::uuid, 'many', 1 FROM generate_series(1, 20050) RETURNING id),"
            " v AS (INSERT INTO variable (id, unit_id, kind, name, position, definition) SELECT id, " +
            tx.quote(unit.id()) +
            "::uuid, 1, id::text, 9, '' FROM n RETURNING id)"
            " INSERT INTO link (id, type, output_id, input_id, creator_id)"
            " SELECT ('00000000' || substr(gen_random_uuid()::text, 9))::uuid, 1, " +
            tx.quote(w.Variable(unit, "measured")) + "::uuid, id, " + tx.quote(unit.owner_id()) + "::uuid FROM v");
    return absl::OkStatus();
  }) == absl::OkStatus());
  graph::v1::CreateLinkRequest join;
  join.set_type(graph::v1::LINK_TYPE_WRITE);
  join.set_output_id(w.Variable(open, "measured"));
  join.set_input_id(w.Variable(open, "wanted"));
  graph::v1::Link link;
  REQUIRE(w.links.Create(berta, join, link) == absl::OkStatus());
  graph::v1::ListLinksRequest request;
  graph::v1::ListLinksResponse page;
  REQUIRE(w.links.List(berta, request, page) == absl::OkStatus());
  CHECK(page.links_size() == 0);
  REQUIRE_FALSE(page.next_cursor().empty());
  request.set_cursor(page.next_cursor());
  page.Clear();
  REQUIRE(w.links.List(berta, request, page) == absl::OkStatus());
  REQUIRE(page.links_size() == 1);
  CHECK(page.links(0).id() == link.id());
  CHECK(page.next_cursor().empty());
}

TEST_CASE("repo-sync reads every repository in pages") {
  World w;
  const rpc::Caller anna = w.User("anna");
  REQUIRE(w.pool.Transact("many", [&](pqxx::work& tx) {
    for (int i = 0; i < 2; ++i) {
      tx.exec("WITH n AS (INSERT INTO node (id, type, owner_id, name, level) SELECT gen_random_uuid(), 2, " +
              tx.quote(anna.user_id.ToString()) +
              "::uuid, 'r', 1 FROM generate_series(1, 600) RETURNING id)"
              " INSERT INTO repo_unit (id, url, private, sync_period_s) SELECT id, 'https://a', false, 0 FROM n");
    }
    return absl::OkStatus();
  }) == absl::OkStatus());
  std::set<std::string> seen;
  std::string cursor;
  int pages = 0;
  do {
    graph::v1::ListRepositoriesToKeepResponse page;
    REQUIRE(w.internals.RepositoriesToKeep(rpc::Caller::Service(), cursor, page) == absl::OkStatus());
    for (const auto& repo : page.repositories()) seen.insert(repo.repo_unit_id());
    cursor = page.next_cursor();
    ++pages;
  } while (!cursor.empty());
  CHECK(pages == 2);
  CHECK(seen.size() == 1200);
}
