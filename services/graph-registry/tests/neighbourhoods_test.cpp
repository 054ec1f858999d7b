#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "rights.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

using HoodRequest = graph::v1::GetNeighbourhoodRequest;

struct Shown {
  std::vector<std::string> nodes;  // "<distance> <id>[ more]", in order
  std::set<std::string> edges;     // "<kind> <from> <to>", links with their id

  bool operator==(const Shown&) const = default;
};

std::string EdgeText(const graph::v1::GraphEdge& edge) {
  return std::to_string(edge.kind()) + ' ' + edge.from_id() + ' ' + edge.to_id() + ' ' + edge.link_id() +
         (edge.concealed() ? " concealed" : "");
}

// All pages, each held to its size and its edges to their page.
Shown AllOf(Neighbourhoods& neighbourhoods, const rpc::Caller& who, HoodRequest request, int size) {
  Shown all;
  request.set_page_size(size);
  for (int pages = 0; pages < 1000; ++pages) {
    graph::v1::Neighbourhood page;
    REQUIRE(neighbourhoods.Get(who, request, page) == absl::OkStatus());
    CHECK(page.nodes_size() <= size);
    std::set<std::string> here;
    for (const auto& node : page.nodes()) {
      here.insert(node.id());
      all.nodes.push_back(std::to_string(node.distance()) + ' ' + node.id() + (node.more() ? " more" : ""));
    }
    for (const auto& edge : page.edges()) {
      CHECK(here.contains(edge.to_id().empty() ? edge.from_id() : edge.to_id()));
      CHECK(all.edges.insert(EdgeText(edge)).second);
    }
    if (page.next_cursor().empty()) return all;
    CHECK(page.nodes_size() == size);  // there is no filter by name
    request.set_cursor(page.next_cursor());
  }
  FAIL("pages without end");
  return all;
}

// The graph as a list of edges, asked node by node with the access decision.
struct Model {
  struct Edge {
    int kind;
    std::string from, to, link;
  };
  World& w;
  std::vector<std::string> nodes;
  std::vector<Edge> edges;

  void Read() {
    REQUIRE(w.pool.Transact("model", [&](pqxx::work& tx) {
      for (const auto& row : tx.exec("SELECT id FROM node ORDER BY id")) nodes.emplace_back(row[0].c_str());
      for (const auto& row : tx.exec("SELECT 1, owner_id, id, '' FROM node WHERE type IN (2, 3)"
                                     " UNION ALL SELECT 2, repo_unit_id, id, '' FROM unit"
                                     " UNION ALL SELECT 3, unit_id, id, '' FROM variable"
                                     " UNION ALL SELECT 4, output_id, input_id, id::text FROM link"))
        edges.push_back({row[0].as<int>(), row[1].c_str(), row[2].c_str(), row[3].c_str()});
      return absl::OkStatus();
    }) == absl::OkStatus());
  }

  bool Sees(const rpc::Caller& who, const std::string& id) const {
    const auto facts = w.store.GetFacts(*Uuid::Parse(id), SubjectOf(who));
    return facts.ok() && Check(who, *facts, access::Role::kReader, "node").ok();
  }

  Shown Around(const rpc::Caller& who, const HoodRequest& request, const WalkBounds& bounds) const {
    std::set<std::string> visible;
    for (const auto& id : nodes) {
      if (Sees(who, id)) visible.insert(id);
    }
    const int depth = request.has_depth() ? request.depth() : 1;
    std::map<std::string, int> distance{{request.id(), 0}};
    std::set<std::string> more;
    for (int d = 1; d <= depth; ++d) {
      std::vector<std::string> frontier;
      for (const auto& [id, at] : distance) {
        if (at == d - 1) frontier.push_back(id);
      }
      for (const auto& id : frontier) {  // in order of id, for the map is
        for (int kind = 1; kind <= 4; ++kind) {
          std::set<std::string> next;
          for (const Edge& edge : edges) {
            if (edge.kind != kind || (edge.from != id && edge.to != id)) continue;
            const std::string& other = edge.from == id ? edge.to : edge.from;
            if (visible.contains(other)) next.insert(other);
          }
          int count = 0;
          for (const auto& other : next) {
            const bool full = !distance.contains(other) && static_cast<int>(distance.size()) >= bounds.nodes;
            const bool cut = depth > 1 && (++count > bounds.neighbours || full);
            if (cut) more.insert(id);
            if (!cut) distance.emplace(other, d);
          }
        }
      }
    }
    return Show(who, request, visible, distance, more);
  }

  bool Fits(const rpc::Caller& who, const HoodRequest& request, const std::string& id) const {
    const auto facts = w.store.GetFacts(*Uuid::Parse(id), SubjectOf(who));
    REQUIRE(facts.ok());
    const auto& types = request.types();
    return (types.empty() || std::find(types.begin(), types.end(), facts->type) != types.end()) &&
           (request.owner_id().empty() || facts->access.owner_id.ToString() == request.owner_id()) &&
           (request.level() == 0 || static_cast<int>(facts->access.level) == request.level());
  }

  Shown Show(const rpc::Caller& who, const HoodRequest& request, const std::set<std::string>& visible,
             const std::map<std::string, int>& distance, const std::set<std::string>& more) const {
    std::set<std::pair<int, std::string>> order;
    std::set<std::string> shown;
    for (const auto& [id, at] : distance) {
      if (!Fits(who, request, id)) continue;
      order.insert({at, id});
      shown.insert(id);
    }
    Shown out;
    for (const auto& [at, id] : order)
      out.nodes.push_back(std::to_string(at) + ' ' + id + (more.contains(id) ? " more" : ""));
    for (const Edge& edge : edges) {
      const bool from = visible.contains(edge.from), to = visible.contains(edge.to);
      const std::string kind = std::to_string(edge.kind) + ' ';
      if (from && to) {
        if (shown.contains(edge.from) && shown.contains(edge.to))
          out.edges.insert(kind + edge.from + ' ' + edge.to + ' ' + edge.link);
      } else if (edge.kind == 4 && (from || to) && shown.contains(from ? edge.from : edge.to)) {
        out.edges.insert(kind + (from ? edge.from : "") + ' ' + (to ? edge.to : "") + ' ' + edge.link + " concealed");
      }
    }
    return out;
  }
};

common::v1::AccessLevel AnyLevel(std::mt19937& random) {
  return static_cast<common::v1::AccessLevel>(1 + random() % 4);
}

void Exec(World& w, const std::string& sql) {
  REQUIRE(w.pool.Transact("change", [&](pqxx::work& tx) {
    tx.exec(sql);
    return absl::OkStatus();
  }) == absl::OkStatus());
}

// Units, variables of all levels, links and grants at random between some people.
std::vector<rpc::Caller> Grow(World& w, std::mt19937& random) {
  const std::vector<rpc::Caller> people{w.User("anna"), w.User("ben"), w.User("carl"), w.User("boss", true)};
  const auto any = [&](const auto& list) -> const auto& { return list[random() % list.size()]; };
  std::vector<graph::v1::RepoUnit> repos;
  std::vector<graph::v1::Unit> units;
  for (int i = 0; i < 3; ++i) repos.push_back(w.Repo(any(people)));
  for (int i = 0; i < 8; ++i) units.push_back(w.Unit(any(people), any(repos), AnyLevel(random)));
  for (int i = 0; i < 16; ++i) {
    graph::v1::CreateLinkRequest join;
    join.set_type(graph::v1::LINK_TYPE_WRITE);
    join.set_output_id(w.Variable(any(units), "measured"));
    join.set_input_id(w.Variable(any(units), random() % 2 == 0 ? "wanted" : "by_links_only"));
    graph::v1::Link link;
    const absl::Status drawn = w.links.Create(people.back(), join, link);
    CHECK((drawn.ok() || absl::IsAlreadyExists(drawn) || absl::IsResourceExhausted(drawn)));
  }
  // Levels anew, with variables that are more open than their units among them.
  Exec(w, "UPDATE node SET level = 1 + (hashtext(id::text || '" + std::to_string(random()) + "') & 3)");
  for (int i = 0; i < 12; ++i) {
    const auto& who = any(people);
    const std::string node = i % 3 == 0   ? any(repos).id()
                             : i % 3 == 1 ? any(units).id()
                                          : w.Variable(any(units), "measured");
    Exec(w, "INSERT INTO node_grant (node_id, subject_kind, subject_id, role, node_type, granted_by) SELECT id, 1, '" +
                who.user_id.ToString() + "', 1, type, owner_id FROM node WHERE id = '" + node +
                "' ON CONFLICT DO NOTHING");
  }
  return people;
}

std::vector<std::string> SearchAll(World& w, const rpc::Caller& who, graph::v1::SearchNodesRequest request, int size) {
  std::vector<std::string> ids;
  request.set_page_size(size);
  for (int pages = 0; pages < 1000; ++pages) {
    graph::v1::SearchNodesResponse page;
    REQUIRE(w.neighbourhoods.Search(who, request, page) == absl::OkStatus());
    CHECK(page.nodes_size() <= size);
    for (const auto& node : page.nodes()) ids.push_back(node.id());
    if (page.next_cursor().empty()) return ids;
    request.set_cursor(page.next_cursor());
  }
  FAIL("pages without end");
  return ids;
}

}  // namespace

TEST_CASE("a neighbourhood is what a walk through the access decisions finds", "[A0][A1][A3][A4][G2]") {
  for (const unsigned seed : {1u, 2u, 3u}) {
    World w;
    std::mt19937 random(seed);
    const auto people = Grow(w, random);
    Model model{w, {}, {}};
    model.Read();
    const WalkBounds narrow{.neighbours = 3, .nodes = 12};
    Neighbourhoods bounded(w.view, narrow);
    std::vector<rpc::Caller> viewers = people;
    viewers.push_back({});
    viewers.push_back(w.User("late"));
    for (const rpc::Caller& who : viewers) {
      for (int tries = 0; tries < 14; ++tries) {
        HoodRequest request;
        request.set_id(model.nodes[random() % model.nodes.size()]);
        if (const int depth = static_cast<int>(random() % 6); depth < 5) request.set_depth(depth);
        if (random() % 3 == 0) request.add_types(static_cast<graph::v1::NodeType>(1 + random() % 5));
        if (random() % 5 == 0) request.set_owner_id(people[random() % people.size()].user_id.ToString());
        if (random() % 5 == 0) request.set_level(AnyLevel(random));
        INFO(seed << ' ' << rpc::FormatCaller(who) << ' ' << request.ShortDebugString());
        if (!model.Sees(who, request.id())) {
          graph::v1::Neighbourhood none;
          const absl::Status hidden = w.neighbourhoods.Get(who, request, none);
          request.set_id(Uuid::New().ToString());
          CHECK(hidden == w.neighbourhoods.Get(who, request, none));
          CHECK(absl::IsNotFound(hidden));
          continue;
        }
        CHECK(AllOf(w.neighbourhoods, who, request, 1 + static_cast<int>(random() % 9)) ==
              model.Around(who, request, {}));
        CHECK(AllOf(bounded, who, request, 1 + static_cast<int>(random() % 9)) == model.Around(who, request, narrow));
      }
    }
  }
}

TEST_CASE("a search shows what the access decision lets each one see", "[A0][A1][A3][A4]") {
  for (const unsigned seed : {4u, 5u}) {
    World w;
    std::mt19937 random(seed);
    auto viewers = Grow(w, random);
    Model model{w, {}, {}};
    model.Read();
    const auto people = viewers;
    viewers.push_back({});
    for (const rpc::Caller& who : viewers) {
      for (int tries = 0; tries < 12; ++tries) {
        HoodRequest as;
        if (random() % 2 == 0) as.add_types(static_cast<graph::v1::NodeType>(1 + random() % 5));
        if (random() % 3 == 0) as.set_owner_id(people[random() % people.size()].user_id.ToString());
        if (random() % 3 == 0) as.set_level(AnyLevel(random));
        graph::v1::SearchNodesRequest request;
        *request.mutable_types() = as.types();
        request.set_owner_id(as.owner_id());
        request.set_level(as.level());
        const bool named = random() % 2 == 0;
        if (named) request.set_name("MEAS");
        INFO(seed << ' ' << rpc::FormatCaller(who) << ' ' << request.ShortDebugString());
        std::vector<std::string> want;
        for (const auto& id : model.nodes) {
          if (!model.Sees(who, id) || !model.Fits(who, as, id)) continue;
          if (!named || w.store.GetFacts(*Uuid::Parse(id), {})->name == "measured") want.push_back(id);
        }
        CHECK(SearchAll(w, who, request, 1 + static_cast<int>(random() % 7)) == want);
      }
    }
  }
}

TEST_CASE("names are found by what they contain or begin with, letters as text", "[A0]") {
  World w;
  const rpc::Caller anna = w.User("anna"), ben = w.User("ben");
  const auto repo = w.Repo(anna);
  std::map<std::string, std::string> ids;
  for (const std::string name : {"100% Pump", "100 pumps", "Под_насос", "под\\насос", "O'Brien"}) {
    ids[name] = w.Unit(anna, repo).id();
    Exec(w, "UPDATE node SET name = $n$" + name + "$n$ WHERE id = '" + ids[name] + "'");
  }
  const auto find = [&](const rpc::Caller& who, const std::string& name) {
    graph::v1::SearchNodesRequest request;
    request.set_name(name);
    return SearchAll(w, who, request, 2);
  };
  using Ids = std::vector<std::string>;
  CHECK(find(anna, "100") == Ids{ids["100% Pump"], ids["100 pumps"]});
  CHECK(find(anna, "100%") == Ids{ids["100% Pump"]});
  CHECK(find(anna, "ПОД_") == Ids{ids["Под_насос"]});
  CHECK(find(anna, "под\\") == Ids{ids["под\\насос"]});
  CHECK(find(anna, "o'b") == Ids{ids["O'Brien"]});
  CHECK(find(anna, "pump").empty());  // no name begins with it
  CHECK(find(ben, "100").empty());    // private
  HoodRequest around;
  around.set_id(repo.id());
  around.set_name("PUMP");
  graph::v1::Neighbourhood page;
  REQUIRE(w.neighbourhoods.Get(anna, around, page).ok());
  REQUIRE(page.nodes_size() == 2);
  CHECK(page.nodes(0).name() == "100% Pump");
  CHECK(page.nodes(0).role() == graph::v1::ROLE_OWNER);
  CHECK(page.nodes(0).version().repo_unit_id() == repo.id());
  CHECK(page.nodes(0).version().branch() == "main");
  CHECK(page.edges_size() == 0);
  page.Clear();
  REQUIRE(w.neighbourhoods.Get(ben, around, page).ok());
  CHECK(page.nodes_size() == 0);
  CHECK(page.next_cursor().empty());
}

TEST_CASE("many nodes of one name are found by walking, page by page", "[A0]") {
  World w;
  const rpc::Caller anna = w.User("anna"), ben = w.User("ben");
  const auto repo = w.Repo(anna);
  Exec(w,
       "INSERT INTO node (id, type, owner_id, name, level)"
       " SELECT gen_random_uuid(), 3, '" +
           anna.user_id.ToString() +
           "', 'alike ' || i, 1 + i % 2"
           " FROM generate_series(1, 2600) i");
  graph::v1::SearchNodesRequest request;
  request.set_name("Alike");
  CHECK(SearchAll(w, anna, request, 500).size() == 2600);
  CHECK(SearchAll(w, ben, request, 500).size() == 1300);
}

TEST_CASE("a repository with more units than a walk shows says so, and is paged through", "[G2]") {
  World w;
  const rpc::Caller anna = w.User("anna"), ben = w.User("ben");
  const auto repo = w.Repo(anna);
  std::vector<std::string> open, hidden;
  for (int i = 0; i < 6; ++i) {
    open.push_back(w.Unit(anna, repo, common::v1::ACCESS_LEVEL_INSTANCE).id());
    hidden.push_back(w.Unit(anna, repo).id());
  }
  Neighbourhoods bounded(w.view, {.neighbours = 6, .nodes = 100});
  HoodRequest request;
  request.set_id(repo.id());
  request.set_depth(2);
  request.add_types(graph::v1::NODE_TYPE_REPO_UNIT);
  graph::v1::Neighbourhood page;
  REQUIRE(bounded.Get(anna, request, page).ok());
  CHECK(page.nodes(0).more());
  page.Clear();
  REQUIRE(bounded.Get(ben, request, page).ok());
  CHECK_FALSE(page.nodes(0).more());  // what he may not see does not count
  request.set_depth(1);
  request.clear_types();
  request.add_types(graph::v1::NODE_TYPE_UNIT);
  std::vector<std::string> want;
  for (const auto& id : open) want.push_back("1 " + id);
  CHECK(AllOf(bounded, ben, request, 2).nodes == want);
  CHECK(AllOf(bounded, anna, request, 5).nodes.size() == 12);
}

TEST_CASE("what is asked of the graph is checked field by field", "[A0]") {
  World w;
  const rpc::Caller anna = w.User("anna");
  const auto repo = w.Repo(anna);
  graph::v1::Neighbourhood page;
  HoodRequest request;
  request.set_id("x");
  request.set_depth(5);
  request.add_types(static_cast<graph::v1::NodeType>(9));
  request.set_owner_id("y");
  request.set_level(static_cast<common::v1::AccessLevel>(9));
  request.set_name(std::string(129, 'n'));
  CHECK(Violations(w.neighbourhoods.Get(anna, request, page)) == "id depth types owner_id level name");
  request.Clear();
  request.set_id(repo.id());
  request.set_depth(-1);
  CHECK(Violations(w.neighbourhoods.Get(anna, request, page)) == "depth");
  request.set_depth(1);
  request.set_page_size(501);
  CHECK(Violations(w.neighbourhoods.Get(anna, request, page)) == "page_size");
  request.set_page_size(1);
  REQUIRE(w.neighbourhoods.Get(anna, request, page).ok());
  request.set_cursor(page.next_cursor());
  request.set_depth(2);
  CHECK(Reason(w.neighbourhoods.Get(anna, request, page)) == "INVALID_CURSOR");
  request.set_depth(1);
  request.set_name("other");
  CHECK(Reason(w.neighbourhoods.Get(anna, request, page)) == "INVALID_CURSOR");
  request.clear_name();
  CHECK(w.neighbourhoods.Get(anna, request, page).ok());
  graph::v1::SearchNodesRequest search;
  graph::v1::SearchNodesResponse found;
  search.add_types(graph::v1::NODE_TYPE_UNSPECIFIED);
  search.set_owner_id("z");
  CHECK(Violations(w.neighbourhoods.Search(anna, search, found)) == "types owner_id");
}
