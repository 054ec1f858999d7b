#include <catch2/catch.hpp>
#include <functional>

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
  rpc::Caller anna = User("anna"), berta = User("berta"), carla = User("carla");
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
  int CarriedFrom(const graph::v1::Unit& unit) {
    graph::v1::UnitProfile profile;
    REQUIRE(internals.UnitProfile(rpc::Caller::Service(), unit.id(), profile) == absl::OkStatus());
    return profile.links_size();
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

TEST_CASE("a bound on the links that leave one unit", "[G5]") {
  Wiring w;
  const std::string output = w.Variable(w.annas, "measured");
  for (const char* name : {"wanted", "by_links_only", "by_people_only"}) {
    REQUIRE(w.Join(w.anna, LINK_TYPE_READ, output, w.Variable(w.annas, name)) == absl::OkStatus());
  }
  CHECK(Reason(w.Join(w.berta, LINK_TYPE_READ, output, w.Variable(w.bertas, "wanted"))) == "LIMIT");
  CHECK(w.Count("link") == 3);
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
  const auto told = w.Events();
  REQUIRE(told.size() == 2);
  CHECK(told[1].unit_changed().unit_id() == w.annas.id());
  CHECK(w.CarriedFrom(w.annas) == 1);  // her own input, whatever its level
}

TEST_CASE("links are seen by those who see both ends, and cut by a maintainer of either", "[G2][A4]") {
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
  w.SetLevel(w.berta, w.bertas, ACCESS_LEVEL_PRIVATE);
  CHECK(absl::IsNotFound(w.links.Get(w.carla, id, seen)));
  CHECK(absl::IsNotFound(w.links.Get(w.anna, id, seen)));
  CHECK(listed(w.anna, "") == 0);
  w.SetLevel(w.berta, w.bertas, ACCESS_LEVEL_PUBLIC);
  w.Events();
  REQUIRE(w.links.Delete(w.anna, id) == absl::OkStatus());
  CHECK(w.Events().at(0).unit_changed().unit_id() == w.annas.id());
  CHECK(w.CarriedFrom(w.annas) == 0);
  CHECK(absl::IsNotFound(w.links.Delete(w.anna, id)));
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
