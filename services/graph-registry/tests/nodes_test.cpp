#include <catch2/catch.hpp>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace pepeunit::common::v1;
using graph::v1::LINK_TYPE_READ;
using graph::v1::LINK_TYPE_WRITE;

namespace {

// Anna owns a unit, Berta another; Carla owns nothing.
struct Neighbours : World {
  rpc::Caller anna = User("anna"), berta = User("berta"), carla = User("carla"), root = User("root", true);
  graph::v1::RepoUnit repo = Repo(anna);
  graph::v1::Unit annas = Unit(anna, repo, ACCESS_LEVEL_PRIVATE), bertas = Unit(berta, repo, ACCESS_LEVEL_PRIVATE);

  graph::v1::Role RoleOf(const rpc::Caller& who, const std::string& node) {
    graph::v1::Node seen;
    return nodes.Get(who, node, seen).ok() ? seen.role() : graph::v1::ROLE_UNSPECIFIED;
  }
  graph::v1::LevelChange Level(const rpc::Caller& by, const std::string& node, AccessLevel level, bool preview = false,
                               bool with_variables = false) {
    graph::v1::SetNodeLevelRequest request;
    request.set_id(node);
    request.set_level(level);
    request.set_preview(preview);
    request.set_with_variables(with_variables);
    graph::v1::LevelChange change;
    REQUIRE(nodes.SetLevel(by, request, change) == absl::OkStatus());
    return change;
  }
  int CarriedFrom(const graph::v1::Unit& unit) {
    graph::v1::UnitProfile profile;
    REQUIRE(internals.UnitProfile(rpc::Caller::Service(), unit.id(), profile) == absl::OkStatus());
    return profile.links_size();
  }
  std::vector<graph::v1::AuditRecord> Audit(const rpc::Caller& who, const std::string& node = "") {
    graph::v1::ListAuditRecordsRequest request;
    request.set_node_id(node);
    request.set_page_size(200);
    graph::v1::ListAuditRecordsResponse page;
    REQUIRE(nodes.ListAudit(who, request, page) == absl::OkStatus());
    return {page.records().begin(), page.records().end()};
  }
};

std::string IdOf(const rpc::Caller& who) { return who.user_id.ToString(); }

}  // namespace

TEST_CASE("a role on a unit holds for its variables, and shows in lists", "[A3][A4]") {
  Neighbours w;
  const std::string measured = w.Variable(w.annas, "measured");
  CHECK(w.RoleOf(w.berta, w.annas.id()) == graph::v1::ROLE_UNSPECIFIED);
  const auto listed = [&] {
    graph::v1::ListUnitsResponse page;
    REQUIRE(w.units.List(w.berta, {}, page) == absl::OkStatus());
    return page.units_size();
  };
  CHECK(listed() == 1);
  for (const auto role :
       {graph::v1::ROLE_READER, graph::v1::ROLE_WRITER, graph::v1::ROLE_MAINTAINER, graph::v1::ROLE_OWNER}) {
    REQUIRE(w.Grant(w.anna, w.annas.id(), IdOf(w.berta), role) == absl::OkStatus());
    CHECK(w.RoleOf(w.berta, w.annas.id()) == role);
    CHECK(w.RoleOf(w.berta, measured) == role);
    CHECK(w.RoleOf(w.carla, w.annas.id()) == graph::v1::ROLE_UNSPECIFIED);
    CHECK(listed() == 2);
  }
  CHECK(w.Count("node_grant") == 1);
  REQUIRE(w.Ungrant(w.anna, w.annas.id(), IdOf(w.berta)) == absl::OkStatus());
  CHECK(w.RoleOf(w.berta, w.annas.id()) == graph::v1::ROLE_UNSPECIFIED);
  CHECK(listed() == 1);
  CHECK(absl::IsNotFound(w.Ungrant(w.anna, w.annas.id(), IdOf(w.berta))));
  // On a variable alone it opens that variable, not the unit.
  REQUIRE(w.Grant(w.anna, measured, IdOf(w.berta), graph::v1::ROLE_READER) == absl::OkStatus());
  CHECK(w.RoleOf(w.berta, measured) == graph::v1::ROLE_READER);
  CHECK(w.RoleOf(w.berta, w.annas.id()) == graph::v1::ROLE_UNSPECIFIED);
}

TEST_CASE("who may give and take which role", "[A3][A4]") {
  Neighbours w;
  const std::string node = w.annas.id(), berta = IdOf(w.berta), carla = IdOf(w.carla);
  CHECK(absl::IsNotFound(w.Grant(w.berta, node, berta, graph::v1::ROLE_OWNER)));
  CHECK(absl::IsNotFound(w.Grant({}, node, berta, graph::v1::ROLE_READER)));
  REQUIRE(w.Grant(w.anna, node, berta, graph::v1::ROLE_WRITER).ok());
  CHECK(Reason(w.Grant(w.berta, node, carla, graph::v1::ROLE_READER)) == "FORBIDDEN");
  REQUIRE(w.Grant(w.anna, node, berta, graph::v1::ROLE_MAINTAINER).ok());
  CHECK(w.Grant(w.berta, node, carla, graph::v1::ROLE_WRITER).ok());
  CHECK(Reason(w.Grant(w.berta, node, carla, graph::v1::ROLE_MAINTAINER)) == "FORBIDDEN");
  CHECK(Reason(w.Grant(w.berta, node, berta, graph::v1::ROLE_OWNER)) == "FORBIDDEN");
  REQUIRE(w.Grant(w.anna, node, carla, graph::v1::ROLE_OWNER).ok());
  CHECK(Reason(w.Grant(w.berta, node, carla, graph::v1::ROLE_READER)) == "FORBIDDEN");
  CHECK(Reason(w.Ungrant(w.berta, node, carla)) == "FORBIDDEN");
  CHECK(w.Grant(w.root, node, carla, graph::v1::ROLE_MAINTAINER).ok());
  // Everybody may leave.
  CHECK(w.Ungrant(w.berta, node, berta).ok());
  CHECK(w.RoleOf(w.berta, node) == graph::v1::ROLE_UNSPECIFIED);
  // Whom it is given to has to be there.
  CHECK(Violations(w.Grant(w.anna, node, Uuid::New().ToString(), graph::v1::ROLE_READER)) == "subject_id");
  CHECK(Violations(w.Grant(w.anna, node, w.bertas.id(), graph::v1::ROLE_READER)) == "subject_id");
  CHECK(Violations(w.Grant(w.anna, node, w.bertas.id(), graph::v1::ROLE_READER, graph::v1::SUBJECT_KIND_UNIT)) ==
        "subject_id");
  CHECK(
      w.Grant(w.anna, node, Uuid::New().ToString(), graph::v1::ROLE_READER, graph::v1::SUBJECT_KIND_REMOTE_USER).ok());
  CHECK(Violations(w.Grant(w.anna, node, "me", graph::v1::ROLE_UNSPECIFIED)) == "subject_id role");
  CHECK(Violations(w.Grant(w.anna, IdOf(w.anna), berta, graph::v1::ROLE_WRITER)) == "role");
}

TEST_CASE("the grants of a node page, for its maintainers only", "[A4]") {
  Neighbours w;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(w.Grant(w.anna, w.annas.id(), Uuid::New().ToString(), graph::v1::ROLE_READER,
                    graph::v1::SUBJECT_KIND_REMOTE_USER)
                .ok());
  }
  REQUIRE(w.Grant(w.anna, w.annas.id(), IdOf(w.berta), graph::v1::ROLE_READER).ok());
  graph::v1::ListGrantsRequest request;
  request.set_node_id(w.annas.id());
  request.set_page_size(4);
  graph::v1::ListGrantsResponse page;
  CHECK(Reason(w.nodes.ListGrants(w.berta, request, page)) == "FORBIDDEN");
  CHECK(absl::IsNotFound(w.nodes.ListGrants(w.carla, request, page)));
  REQUIRE(w.nodes.ListGrants(w.anna, request, page).ok());
  CHECK(page.grants_size() == 4);
  request.set_cursor(page.next_cursor());
  graph::v1::ListGrantsResponse rest;
  REQUIRE(w.nodes.ListGrants(w.anna, request, rest).ok());
  CHECK(rest.grants_size() == 2);
  CHECK(rest.next_cursor().empty());
}

TEST_CASE("closing a unit closes its variables, and says so before", "[A3][A4]") {
  Neighbours w;
  w.Level(w.anna, w.annas.id(), ACCESS_LEVEL_PUBLIC, false, true);
  const std::string measured = w.Variable(w.annas, "measured"), text = w.Variable(w.annas, "text");
  w.Level(w.anna, text, ACCESS_LEVEL_PRIVATE);
  REQUIRE(w.Draw(w.berta, measured, w.Variable(w.bertas, "wanted"), LINK_TYPE_READ).status() == absl::OkStatus());
  CHECK(w.CarriedFrom(w.annas) == 1);

  auto change = w.Level(w.anna, w.annas.id(), ACCESS_LEVEL_PRIVATE, true);
  CHECK(change.preview());
  CHECK(change.from() == ACCESS_LEVEL_PUBLIC);
  CHECK(change.to() == ACCESS_LEVEL_PRIVATE);
  CHECK(change.variables_size() == 5);           // `text` is as closed already
  CHECK(change.suspended_link_ids_size() == 1);  // also when Anna may not see Berta's private input
  CHECK(w.Level(w.root, w.annas.id(), ACCESS_LEVEL_PRIVATE, true).suspended_link_ids_size() == 1);
  CHECK(w.CarriedFrom(w.annas) == 1);
  CHECK(w.RoleOf({}, measured) == graph::v1::ROLE_READER);

  w.Events();
  change = w.Level(w.anna, w.annas.id(), ACCESS_LEVEL_PRIVATE);
  CHECK(change.variables_size() == 5);
  CHECK(w.CarriedFrom(w.annas) == 0);
  CHECK(w.Events().at(0).unit_changed().unit_id() == w.annas.id());
  CHECK(w.RoleOf({}, measured) == graph::v1::ROLE_UNSPECIFIED);
  // Opening it again leaves the variables as they are, unless asked.
  CHECK(w.Level(w.anna, w.annas.id(), ACCESS_LEVEL_PUBLIC).variables_size() == 0);
  CHECK(w.CarriedFrom(w.annas) == 0);
  const auto resumed = w.Level(w.root, measured, ACCESS_LEVEL_INSTANCE);
  CHECK(resumed.resumed_link_ids_size() == 1);
  CHECK(w.CarriedFrom(w.annas) == 1);
}

TEST_CASE("a variable is never more open than its unit", "[A4]") {
  Neighbours w;
  w.Level(w.anna, w.annas.id(), ACCESS_LEVEL_INSTANCE);
  graph::v1::SetNodeLevelRequest request;
  request.set_id(w.Variable(w.annas, "measured"));
  request.set_level(ACCESS_LEVEL_PUBLIC);
  graph::v1::LevelChange change;
  CHECK(Violations(w.nodes.SetLevel(w.anna, request, change)) == "level");
  request.set_level(ACCESS_LEVEL_UNSPECIFIED);
  CHECK(Violations(w.nodes.SetLevel(w.anna, request, change)) == "level");
  request.set_level(ACCESS_LEVEL_INSTANCE);
  request.set_with_variables(true);
  CHECK(Violations(w.nodes.SetLevel(w.anna, request, change)) == "with_variables");
  request.set_with_variables(false);
  CHECK(absl::IsNotFound(w.nodes.SetLevel(w.berta, request, change)));
  CHECK(w.nodes.SetLevel(w.anna, request, change).ok());
  CHECK(Reason(w.nodes.SetLevel(w.berta, request, change)) == "FORBIDDEN");
  rpc::Caller stale = w.anna;
  stale.if_match = "1";
  CHECK(Reason(w.nodes.SetLevel(stale, request, change)) == "VERSION_MISMATCH");
}

TEST_CASE("a unit that was given a role may be linked by who maintains it", "[G2][A2][A4]") {
  Neighbours w;
  w.Level(w.berta, w.bertas.id(), ACCESS_LEVEL_INSTANCE, false, true);
  const std::string output = w.Variable(w.annas, "measured"), input = w.Variable(w.bertas, "wanted");
  CHECK(absl::IsNotFound(w.Draw(w.berta, output, input, LINK_TYPE_READ).status()));
  REQUIRE(w.Grant(w.anna, w.annas.id(), w.bertas.id(), graph::v1::ROLE_READER, graph::v1::SUBJECT_KIND_UNIT) ==
          absl::OkStatus());
  CHECK(w.Draw(w.berta, output, input, LINK_TYPE_READ).status() == absl::OkStatus());
  CHECK(w.CarriedFrom(w.annas) == 1);
  CHECK(w.RoleOf(w.berta, output) == graph::v1::ROLE_UNSPECIFIED);  // the role is the unit's, not hers
  REQUIRE(w.Ungrant(w.anna, w.annas.id(), w.bertas.id(), graph::v1::SUBJECT_KIND_UNIT).ok());
  CHECK(w.CarriedFrom(w.annas) == 0);
  // The other way: a unit that may write is pushed from by who maintains it.
  const std::string from = w.Variable(w.bertas, "measured"), to = w.Variable(w.annas, "wanted");
  CHECK(absl::IsNotFound(w.Draw(w.berta, from, to, LINK_TYPE_WRITE).status()));
  REQUIRE(w.Grant(w.anna, to, w.bertas.id(), graph::v1::ROLE_WRITER, graph::v1::SUBJECT_KIND_UNIT) == absl::OkStatus());
  CHECK(absl::IsNotFound(w.Draw(w.carla, from, to, LINK_TYPE_WRITE).status()));
  CHECK(w.Draw(w.berta, from, to, LINK_TYPE_WRITE).status() == absl::OkStatus());
  CHECK(w.CarriedFrom(w.bertas) == 1);
}

TEST_CASE("the scopes of a token bound what it does", "[A5]") {
  Neighbours w;
  rpc::Caller reads = w.anna, writes = w.anna, manages = w.anna;
  reads.reach = rpc::Caller::Reach::kRead;
  writes.reach = rpc::Caller::Reach::kWrite;
  manages.reach = rpc::Caller::Reach::kManage;
  CHECK(w.RoleOf(reads, w.annas.id()) == graph::v1::ROLE_READER);
  CHECK(w.RoleOf(writes, w.annas.id()) == graph::v1::ROLE_WRITER);
  CHECK(w.RoleOf(manages, w.annas.id()) == graph::v1::ROLE_OWNER);
  graph::v1::CreateUnitRequest request;
  request.set_repo_unit_id(w.repo.id());
  request.set_name("another");
  graph::v1::Unit unit;
  CHECK(Reason(w.units.Create(writes, request, unit)) == "FORBIDDEN");
  CHECK(w.units.Create(manages, request, unit).ok());
  CHECK(Reason(w.Grant(writes, w.annas.id(), IdOf(w.berta), graph::v1::ROLE_READER)) == "FORBIDDEN");
  CHECK(rpc::ParseCaller(rpc::FormatCaller(reads))->reach == rpc::Caller::Reach::kRead);
}

TEST_CASE("the audit says who did what, to owners and administrators", "[A5]") {
  Neighbours w;
  rpc::Caller anna = w.anna;
  anna.client_address = "203.0.113.7";
  REQUIRE(w.Grant(anna, w.annas.id(), IdOf(w.berta), graph::v1::ROLE_MAINTAINER).ok());
  auto records = w.Audit(w.anna, w.annas.id());
  REQUIRE(records.size() == 2);
  CHECK(records[0].action() == "grant.put");
  CHECK(records[0].actor_id() == IdOf(w.anna));
  CHECK(records[0].client_address() == "203.0.113.7");
  CHECK(records[0].details().fields().at("role").string_value() == "ROLE_MAINTAINER");
  CHECK(records[1].action() == "unit.create");
  CHECK(w.Audit(w.berta, w.annas.id()).empty());  // a maintainer is no owner
  REQUIRE(w.Grant(w.root, w.annas.id(), IdOf(w.berta), graph::v1::ROLE_OWNER).ok());
  CHECK(w.Audit(w.berta, w.annas.id()).size() == 3);
  CHECK(w.Audit(w.carla, w.annas.id()).empty());
  // What was done to a node is still told to its owner when the node is gone.
  REQUIRE(w.units.Delete(w.berta, w.annas.id()) == absl::OkStatus());
  records = w.Audit(w.anna, w.annas.id());
  REQUIRE(records.size() == 4);
  CHECK(records[0].action() == "unit.delete");
  CHECK(records[0].actor_id() == IdOf(w.berta));
  CHECK(w.Audit(w.berta, w.annas.id()).empty());
  CHECK(w.Audit(w.root).size() > 4);
  graph::v1::ListAuditRecordsResponse page;
  CHECK(absl::IsUnauthenticated(w.nodes.ListAudit({}, {}, page)));
}

TEST_CASE("the audit is append-only", "[A5]") {
  Neighbours w;
  for (const char* sql : {"DELETE FROM audit", "UPDATE audit SET action = 'x'", "TRUNCATE audit"}) {
    INFO(sql);
    CHECK_FALSE(w.pool.Transact("tamper", [&](pqxx::work& tx) { return tx.exec(sql), absl::OkStatus(); }).ok());
  }
  const auto before = w.Count("audit");
  REQUIRE(before > 0);
  CHECK(w.store.ForgetAudit(365).value() == 0);
  REQUIRE(w.pool
              .Transact("an old record",
                        [](pqxx::work& tx) {
                          tx.exec(
                              "INSERT INTO audit SELECT gen_random_uuid(), now() - interval '400 days', actor_id, "
                              "action, node_id, node_type,"
                              " node_name, owner_id, details, client_address, trace_id FROM audit LIMIT 1");
                          return absl::OkStatus();
                        })
              .ok());
  CHECK(w.store.ForgetAudit(365).value() == 1);
  CHECK(w.Count("audit") == before);
}

TEST_CASE("a request that comes again with its key makes one node", "[A5]") {
  Neighbours w;
  rpc::Caller anna = w.anna;
  anna.idempotency_key = "4f1c";
  graph::v1::CreateUnitRequest request;
  request.set_repo_unit_id(w.repo.id());
  request.set_name("once");
  graph::v1::Unit first, second, third;
  REQUIRE(w.units.Create(anna, request, first) == absl::OkStatus());
  REQUIRE(w.units.Create(anna, request, second) == absl::OkStatus());
  CHECK(second.id() == first.id());
  request.set_name("twice");
  CHECK(Reason(w.units.Create(anna, request, third)) == "IDEMPOTENCY_MISMATCH");
  rpc::Caller berta = w.berta;
  berta.idempotency_key = anna.idempotency_key;  // another user's keys are his own
  CHECK(w.units.Create(berta, request, third).ok());
  CHECK(w.Count("unit") == 4);
}

TEST_CASE("closing a repository says how many units stop following it, and opening it how many follow again",
          "[A3][U9][R1]") {
  Neighbours w;  // Anna's repository is public; one unit of hers and one of Berta's follow
  w.Unit(w.berta, w.repo);
  const auto carlas = w.Unit(w.carla, w.repo);
  w.Unit(w.root, w.repo);
  REQUIRE(w.Grant(w.anna, w.repo.id(), IdOf(w.carla), graph::v1::ROLE_READER).ok());
  graph::v1::MoveUnitRequest pin;
  pin.set_id(w.bertas.id());
  pin.mutable_pin()->set_branch("main");
  graph::v1::UnitMove move;
  REQUIRE(w.units.Move(w.berta, pin, move) == absl::OkStatus());
  for (const bool preview : {true, false}) {
    // Not Anna's, who owns it; not Carla's, who has a role; not the administrator's; not Berta's pinned one.
    const auto change = w.Level(w.anna, w.repo.id(), ACCESS_LEVEL_PRIVATE, preview);
    CHECK(change.units_that_stop_following() == 1);
    CHECK(change.units_that_follow_again() == 0);
  }
  CHECK(w.Level(w.anna, w.repo.id(), ACCESS_LEVEL_PRIVATE, true).units_that_stop_following() == 0);
  const auto change = w.Level(w.anna, w.repo.id(), ACCESS_LEVEL_INSTANCE, true);
  CHECK(change.units_that_stop_following() == 0);
  CHECK(change.units_that_follow_again() == 1);
}

TEST_CASE("a subject has a role on a node as one kind, and nobody's id gets none", "[A3]") {
  Neighbours w;
  const std::string node = w.annas.id(), berta = IdOf(w.berta);
  CHECK(Violations(w.Grant(w.anna, node, Uuid().ToString(), graph::v1::ROLE_READER,
                           graph::v1::SUBJECT_KIND_REMOTE_USER)) == "subject_id");
  REQUIRE(w.Grant(w.anna, node, berta, graph::v1::ROLE_READER).ok());
  CHECK(Violations(w.Grant(w.anna, node, berta, graph::v1::ROLE_READER, graph::v1::SUBJECT_KIND_REMOTE_USER)) ==
        "subject_kind");
  const std::string remote = Uuid::New().ToString();
  REQUIRE(w.Grant(w.anna, node, remote, graph::v1::ROLE_READER, graph::v1::SUBJECT_KIND_REMOTE_USER).ok());
  REQUIRE(w.Grant(w.anna, node, remote, graph::v1::ROLE_WRITER, graph::v1::SUBJECT_KIND_REMOTE_USER).ok());
  CHECK(w.Count("node_grant") == 2);
}
