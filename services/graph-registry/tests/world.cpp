#include "world.h"

#include <catch2/catch.hpp>

namespace pepeunit::graph_registry {

postgres::PrivatePostgres& Database() {
  static postgres::PrivatePostgres database;
  return database;
}

const char kSchema[] = R"({
  "world_state": ["utc"],
  "unit_state": ["commit"],
  "input_variables": {
    "wanted": {"type": "number", "minimum": 5, "maximum": 30, "default": 20},
    "by_links_only": {"type": "number", "writable_by": ["links"]},
    "by_people_only": {"type": "number", "writable_by": ["people"]},
    "label": {"type": "string"}
  },
  "output_variables": {
    "measured": {"type": "number", "unit": "°C"},
    "text": {"type": "string", "logging": "off"}
  }
})";

absl::StatusOr<repo::v1::ResolveVersionResponse> MemoryVersions::Resolve(
    const repo::v1::ResolveVersionRequest& request) {
  if (meanwhile) meanwhile();
  if (!status.ok()) return status;
  const std::string key = request.has_branch()                      ? "branch:" + request.branch()
                          : request.has_tag()                       ? "tag:" + request.tag()
                          : !request.has_newest_release()           ? "commit:" + request.commit()
                          : request.newest_release().pre_releases() ? "pre-release"
                                                                    : "release";
  const auto found = versions.find(key);
  if (found == versions.end()) return NotFound("version");
  auto version = found->second;
  if (request.signing_keys().empty()) return version;
  const bool good = is_signed.contains(version.commit());
  version.mutable_signature()->set_signed_by(good ? "SHA256:x" : "");
  version.mutable_signature()->set_problem(good ? "" : "is not signed");
  return version;
}

void MemoryVersions::Add(const std::string& branch, char digit, const std::string& schema, const std::string& env) {
  repo::v1::ResolveVersionResponse version;
  version.set_commit(std::string(40, digit));
  version.set_branch(branch);
  version.set_schema_json(schema);
  version.set_env_example_json(env);
  versions["branch:" + branch] = version;
  versions["commit:" + version.commit()] = version;
}

World::World() {
  REQUIRE(postgres::ApplyMigrations(pool, schema, kMigrations).ok());
  versions.Add("main", 'a', kSchema, R"({"WIFI_SSID": "", "PEPEUNIT_URL": "sample", "LED": 2})");
}

rpc::Caller World::User(const std::string& login, bool administrator) {
  Account account;
  const Uuid id = Uuid::New();
  account.user.set_id(id.ToString());
  account.user.set_login(login);
  account.user.set_administrator(administrator);
  account.password_hash = "hash of password of " + login;
  REQUIRE(people.CreateAccount({.user = id, .client_address = ""}, account, "").ok());
  const Uuid session = Uuid::New();
  REQUIRE(people.CreateSession({session, id, NowMs() + 3'600'000}, "hash of " + session.ToString(), "").ok());
  return {.kind = rpc::Caller::Kind::kUser, .user_id = id, .session_id = session, .administrator = administrator};
}

graph::v1::RepoUnit World::Repo(const rpc::Caller& owner, common::v1::AccessLevel level, bool configured) {
  graph::v1::CreateRepoUnitRequest request;
  request.set_name("firmware");
  request.set_url("https://example.org/firmware.git");
  request.set_level(level);
  graph::v1::RepoUnit repo;
  REQUIRE(repo_units.Create(owner, request, repo) == absl::OkStatus());
  if (!configured) return repo;
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(repo.id());
  update.set_default_branch("main");
  REQUIRE(repo_units.Update(owner, update, repo) == absl::OkStatus());
  return repo;
}

graph::v1::Unit World::Unit(const rpc::Caller& owner, const graph::v1::RepoUnit& repo, common::v1::AccessLevel level) {
  graph::v1::CreateUnitRequest request;
  request.set_repo_unit_id(repo.id());
  request.set_name("unit");
  request.set_level(level);
  graph::v1::Unit unit;
  REQUIRE(units.Create(owner, request, unit) == absl::OkStatus());
  return unit;
}

std::string World::Variable(const graph::v1::Unit& unit, const std::string& name) {
  const auto variables = store.ListVariables(*Uuid::Parse(unit.id()), {});
  REQUIRE(variables.ok());
  for (const auto& row : *variables) {
    if (row.variable.name() == name) return row.variable.id();
  }
  FAIL("no variable " << name);
  return "";
}

absl::Status World::Grant(const rpc::Caller& by, const std::string& node, const std::string& subject,
                          graph::v1::Role role, graph::v1::SubjectKind kind) {
  graph::v1::PutGrantRequest request;
  request.set_node_id(node);
  request.set_subject_id(subject);
  request.set_subject_kind(kind);
  request.set_role(role);
  graph::v1::Grant grant;
  return nodes.PutGrant(by, request, grant);
}

absl::Status World::Ungrant(const rpc::Caller& by, const std::string& node, const std::string& subject,
                            graph::v1::SubjectKind kind) {
  graph::v1::DeleteGrantRequest request;
  request.set_node_id(node);
  request.set_subject_id(subject);
  request.set_subject_kind(kind);
  return nodes.DeleteGrant(by, request);
}

void World::Let(const rpc::Caller& by, const std::string& node, const rpc::Caller& whom, graph::v1::Role role) {
  REQUIRE(Grant(by, node, whom.user_id.ToString(), role) == absl::OkStatus());
}

absl::StatusOr<graph::v1::Link> World::Draw(const rpc::Caller& by, const std::string& output, const std::string& input,
                                            graph::v1::LinkType type) {
  graph::v1::CreateLinkRequest request;
  request.set_type(type);
  request.set_output_id(output);
  request.set_input_id(input);
  graph::v1::Link link;
  PEPEUNIT_RETURN_IF_ERROR(links.Create(by, request, link));
  return link;
}

absl::Status World::FollowAll(const Uuid& repo_unit) {
  Uuid after;
  do {
    PEPEUNIT_ASSIGN_OR_RETURN(after, followers.Follow(repo_unit, after, 2));
  } while (!after.IsNil());
  return absl::OkStatus();
}

std::vector<bus::v1::Event> World::Events() {
  std::vector<bus::v1::Event> events;
  REQUIRE(pool.Transact("events", [&](pqxx::work& tx) {
    for (const auto& row : tx.exec("SELECT payload FROM outbox ORDER BY id")) {
      const pqxx::binarystring raw(row[0]);
      events.emplace_back().ParseFromArray(raw.data(), static_cast<int>(raw.size()));
    }
    tx.exec("DELETE FROM outbox");
    return absl::OkStatus();
  }) == absl::OkStatus());
  return events;
}

std::int64_t World::Count(const std::string& table) {
  const auto count = pool.Query<std::int64_t>("count", [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
    return tx.exec1("SELECT count(*) FROM " + table)[0].as<std::int64_t>();
  });
  REQUIRE(count.ok());
  return *count;
}

void World::Sql(const std::string& statement) {
  REQUIRE(pool.Transact("sql", [&](pqxx::work& tx) {
    tx.exec(statement);
    return absl::OkStatus();
  }) == absl::OkStatus());
}

std::string World::TablesWith(const std::string& text) {
  const auto found = pool.Query<std::string>("tables with", [&](pqxx::work& tx) -> absl::StatusOr<std::string> {
    std::string tables;
    for (const auto& table :
         tx.exec("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")) {
      const std::string name = table[0].c_str();
      const auto rows = tx.exec_params("SELECT 1 FROM " + tx.quote_name(name) + " t WHERE position($1 IN t::text) > 0" +
                                           " OR position($2 IN t::text) > 0 LIMIT 1",
                                       text, HexEncode(AsBytes(text)));
      if (!rows.empty()) tables += (tables.empty() ? "" : " ") + name;
    }
    return tables;
  });
  REQUIRE(found.ok());
  return *found;
}

std::string Violations(const absl::Status& status) {
  std::string fields;
  for (const auto& violation : InfoOf(status).violations) {
    fields += (fields.empty() ? "" : " ") + violation.field;
  }
  return fields;
}

}  // namespace pepeunit::graph_registry
