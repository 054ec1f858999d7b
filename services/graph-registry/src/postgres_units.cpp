#include "ask_again.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "postgres_store.h"
#include "rows.h"
#include "unit_events.h"
#include "update_rows.h"
#include "visibility.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

const std::vector<graph::v1::NodeType> kVariableTypes = {graph::v1::NODE_TYPE_INPUT_VARIABLE,
                                                         graph::v1::NODE_TYPE_OUTPUT_VARIABLE};

// Of what a change names in the audit: how many, and the first of them.
nlohmann::json Some(const std::vector<std::string>& ids) {
  constexpr std::size_t kMost = 20;
  const std::vector<std::string> first(ids.begin(),
                                       ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), kMost)));
  return {{"count", ids.size()}, {"first", first}};
}

std::string UnitColumns() {
  return "n.id, n.name, n.owner_id, n.level, " + VersionColumns("u") + ", " + MsOf("n.created_at") + ", " +
         MsOf("n.updated_at") + ", n.version, u.follow_problem, " + MsOf("u.follow_problem_at") +
         ", u.rollout_group, w.version, " + UpdateColumns("w");
}

constexpr char kUnitTables[] = " unit u JOIN node n USING (id) JOIN unit_update w USING (id)";

graph::v1::Unit ReadUnit(const pqxx::row& row) {
  Columns columns(row);
  graph::v1::Unit unit;
  unit.set_id(columns.Next().c_str());
  unit.set_name(columns.Next().c_str());
  unit.set_owner_id(columns.Next().c_str());
  unit.set_level(static_cast<common::v1::AccessLevel>(columns.Next().as<int>()));
  *unit.mutable_version() = ReadVersion(columns).value_or(graph::v1::UnitVersion());
  ReadTime(columns.Next(), unit.mutable_created_at());
  ReadTime(columns.Next(), unit.mutable_updated_at());
  unit.set_etag(columns.Next().c_str());
  const auto problem = columns.Next(), problem_at = columns.Next();
  if (!problem.is_null()) {
    unit.mutable_follow_problem()->ParseFromString(ReadBytes(problem));
    ReadTime(problem_at, unit.mutable_follow_problem()->mutable_since());
  }
  unit.set_group(columns.Next().c_str());
  // As that of a repository: the second part tells caches, If-Match minds the first.
  unit.set_etag(unit.etag() + '-' + columns.Next().c_str() + '-' + (problem.is_null() ? "0" : problem_at.c_str()));
  *unit.mutable_update() = ToMessage(ReadUpdate(columns));
  return unit;
}

std::string KeysText(const std::vector<std::string>& keys) { return nlohmann::json(keys).dump(); }

std::optional<std::vector<std::string>> ReadKeys(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  std::vector<std::string> keys;
  for (const auto& key : nlohmann::json::parse(field.c_str(), nullptr, false)) keys.push_back(key.get<std::string>());
  return keys;
}

// All variables of a unit at once; those that are there keep their level and get their new place and definition.
void WriteVariables(pqxx::work& tx, const graph::v1::Unit& unit, const std::vector<graph::v1::Variable>& variables) {
  Array ids, types, kinds, names, definitions;
  for (const auto& variable : variables) {
    const bool input = variable.kind() == graph::v1::VARIABLE_KIND_INPUT;
    graph::v1::Variable definition = variable;
    definition.clear_id();
    definition.clear_unit_id();
    definition.clear_level();
    ids.Add(variable.id());
    types.Add(std::to_string(input ? graph::v1::NODE_TYPE_INPUT_VARIABLE : graph::v1::NODE_TYPE_OUTPUT_VARIABLE));
    kinds.Add(std::to_string(variable.kind()));
    names.Add(variable.name());
    definitions.Add(HexEncode(AsBytes(definition.SerializeAsString())));
  }
  tx.exec_params(
      "INSERT INTO node (id, type, parent_id, owner_id, name, level) SELECT v.id, v.type, $1, $2, v.name, $3"
      " FROM unnest($4::uuid[], $5::smallint[], $6::text[]) AS v (id, type, name) ON CONFLICT (id) DO NOTHING",
      unit.id(), unit.owner_id(), static_cast<int>(unit.level()), ids.str(), types.str(), names.str());
  // Who read a variable as it was declared before must not take it for unchanged.
  tx.exec_params(
      "UPDATE node n SET version = n.version + 1, updated_at = now()"
      " FROM variable w JOIN unnest($1::uuid[], $2::text[]) AS v (id, definition) USING (id)"
      " WHERE n.id = w.id AND w.definition <> decode(v.definition, 'hex')",
      ids.str(), definitions.str());
  tx.exec_params(
      "INSERT INTO variable (id, unit_id, kind, name, position, definition)"
      " SELECT v.id, $1, v.kind, v.name, v.position, decode(v.definition, 'hex')"
      " FROM unnest($2::uuid[], $3::smallint[], $4::text[], $5::text[]) WITH ORDINALITY"
      " AS v (id, kind, name, definition, position)"
      " ON CONFLICT (id) DO UPDATE SET position = excluded.position, definition = excluded.definition",
      unit.id(), ids.str(), kinds.str(), names.str(), definitions.str());
}

// Who owns units, how many, and what their repository is to him.
struct RepositoryOwner {
  access::Subject owner;
  std::int32_t units = 0;
  NodeFacts repository;
  bool Sees() const { return access::RoleOf(owner, repository.access) >= access::Role::kReader; }
};

// Of the units `u` under the condition, which are all of one repository.
std::string OwnersQuery(const std::string& condition) {
  const std::string user = std::to_string(graph::v1::SUBJECT_KIND_USER);
  return "SELECT a.id, a.administrator, w.units, " + FactColumns("r", "p", GrantTo("r", user, "a.id")) +
         " FROM (SELECT n.owner_id, u.repo_unit_id, count(*) AS units FROM unit u JOIN node n USING (id) WHERE " +
         condition +
         " GROUP BY 1, 2) w JOIN account a ON a.id = w.owner_id JOIN node r ON r.id = w.repo_unit_id"
         " LEFT JOIN node p ON p.id = r.parent_id";
}

RepositoryOwner ReadOwner(const pqxx::row& row) {
  Columns columns(row);
  RepositoryOwner read;
  read.owner.kind = access::Subject::Kind::kUser;
  read.owner.id = ReadUuid(columns.Next());
  read.owner.administrator = columns.Next().as<bool>();
  read.units = columns.Next().as<std::int32_t>();
  read.repository = ReadFacts(columns);
  return read;
}

// Whose unit it is gets the repository's files, so he has to see it: nobody changes that until the transaction ends.
absl::Status CheckOwnerSees(pqxx::work& tx, const std::string& unit) {
  tx.exec_params("SELECT 1 FROM node WHERE id = (SELECT repo_unit_id FROM unit WHERE id = $1) FOR SHARE", unit);
  const auto rows = tx.exec_params(OwnersQuery("u.id = $1"), unit);
  if (rows.empty()) return NotFound("unit");
  return ReadOwner(rows[0]).Sees() ? absl::OkStatus() : Forbidden("Its owner may not see its repository any more.");
}

}  // namespace

absl::StatusOr<Uuid> PostgresStore::CreateUnit(const Actor& actor, const NewUnit& made) {
  return Make("create unit", actor, made.unit.id(), [&](pqxx::work& tx) -> absl::Status {
    const auto& unit = made.unit;
    const auto& version = unit.version();
    // Holds the repository until the unit hangs on it.
    if (tx.exec_params("SELECT 1 FROM repo_unit WHERE id = $1 FOR SHARE", version.repo_unit_id()).empty())
      return NotFound("repository");
    PEPEUNIT_RETURN_IF_ERROR(CheckQuota(tx, unit.owner_id(), {graph::v1::NODE_TYPE_UNIT}, quotas_.units, 1, "units"));
    PEPEUNIT_RETURN_IF_ERROR(
        CheckQuota(tx, unit.owner_id(), kVariableTypes, quotas_.variables, made.variables.size(), "variables"));
    InsertNode(tx, unit.id(), graph::v1::NODE_TYPE_UNIT, "", unit.owner_id(), unit.name(), unit.level());
    tx.exec_params(
        "INSERT INTO unit (id, repo_unit_id, commit_id, tag, branch, follow, sealed_sync_key, sealed_env, env_keys,"
        " rollout_group) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        unit.id(), version.repo_unit_id(), version.commit(), version.tag(), version.branch(), version.follow(),
        pqxx::binarystring(made.env.sync_key), pqxx::binarystring(made.env.env), KeysText(made.env.keys), unit.group());
    WriteVariables(tx, unit, made.variables);
    Audit(tx, actor, "unit.create", unit.id(),
          {{"repo_unit_id", version.repo_unit_id()}, {"commit", version.commit()}, {"follow", version.follow()}});
    AppendUnitChanged(tx, unit.id());
    return absl::OkStatus();
  });
}

absl::StatusOr<graph::v1::Unit> PostgresStore::GetUnit(const Uuid& id) {
  return pool_.Query<graph::v1::Unit>("get unit", [&](pqxx::work& tx) -> absl::StatusOr<graph::v1::Unit> {
    const auto rows =
        tx.exec_params("SELECT " + UnitColumns() + " FROM" + kUnitTables + " WHERE u.id = $1", id.ToString());
    if (rows.empty()) return NotFound("unit");
    return ReadUnit(rows[0]);
  });
}

absl::StatusOr<UnitSecrets> PostgresStore::GetUnitSecrets(const Uuid& id) {
  return pool_.Query<UnitSecrets>("get unit secrets", [&](pqxx::work& tx) -> absl::StatusOr<UnitSecrets> {
    const auto rows = tx.exec_params(
        "SELECT u.token_generation, coalesce(a.devices_stopped, false), u.profile_version, u.sealed_sync_key, "
        "u.sealed_env, u.env_keys, CASE WHEN w.offered THEN w.attempt ELSE 0 END"
        " FROM unit u JOIN node n USING (id) JOIN unit_update w USING (id)"
        " LEFT JOIN account a ON a.id = n.owner_id WHERE u.id = $1",
        id.ToString());
    if (rows.empty()) return NotFound("unit");
    return UnitSecrets{rows[0][0].as<std::uint32_t>(), rows[0][1].as<bool>(), rows[0][2].as<std::uint64_t>(),
                       ReadBytes(rows[0][3]),          ReadBytes(rows[0][4]), ReadKeys(rows[0][5]),
                       rows[0][6].as<std::uint32_t>()};
  });
}

absl::StatusOr<std::vector<graph::v1::Unit>> PostgresStore::ListUnits(const access::Subject& viewer,
                                                                      const Uuid& repo_unit, const Page& page) {
  using Rows = std::vector<graph::v1::Unit>;
  postgres::Params params;
  NodeRange range{.types = {graph::v1::NODE_TYPE_UNIT}};
  // The index of what is made from a repository has no type.
  if (!repo_unit.IsNil()) range = {.scope = "node.repo_unit_id = " + params.Id(repo_unit)};
  const std::string query =
      "SELECT " + UnitColumns() + " FROM (" + VisibleIds(params, viewer, range, page) +
      ") page JOIN unit u USING (id) JOIN node n USING (id) JOIN unit_update w USING (id) ORDER BY n.id";
  return pool_.Read<Rows>("list units", query, params, [](const pqxx::result& result) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadUnit(row));
    return rows;
  });
}

absl::Status PostgresStore::UpdateUnit(const Actor& actor, const graph::v1::Unit& unit, std::int64_t expected_version) {
  return Change("update unit", actor, [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(Touch(tx, *Uuid::Parse(unit.id()), unit.name(), unit.level(), expected_version, "unit"));
    SetVariableLevels(tx, unit.id(), static_cast<int>(unit.level()), false);
    tx.exec_params("UPDATE unit SET rollout_group = $2 WHERE id = $1", unit.id(), unit.group());
    Audit(tx, actor, "unit.update", unit.id(),
          {{"level", common::v1::AccessLevel_Name(unit.level())}, {"group", unit.group()}});
    AppendRightsChanged(tx, unit.id());
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::MoveUnit(const Actor& actor, const MoveWrite& move) {
  return Change("move unit", actor, [&](pqxx::work& tx) -> absl::Status {
    const std::string id = move.unit.ToString();
    if (actor.user.IsNil()) PEPEUNIT_RETURN_IF_ERROR(CheckOwnerSees(tx, id));
    // The node first, as every other change of a unit does, or two of them could wait for each other.
    const auto rows = tx.exec_params(
        "SELECT " + UnitColumns() + " FROM" + kUnitTables + " WHERE u.id = $1 FOR NO KEY UPDATE OF n", id);
    if (rows.empty()) return NotFound("unit");
    const graph::v1::Unit unit = ReadUnit(rows[0]);
    if (move.added.size() > move.removed.size()) {
      PEPEUNIT_RETURN_IF_ERROR(CheckQuota(tx, unit.owner_id(), kVariableTypes, quotas_.variables,
                                          move.added.size() - move.removed.size(), "variables"));
    }
    if (move.preview) return absl::OkStatus();
    PEPEUNIT_RETURN_IF_ERROR(Touch(tx, move.unit, unit.name(), unit.level(), move.expected_version, "unit"));
    const auto& to = move.version;
    const std::vector<std::string> locked = LockWithSources(tx, id);
    tx.exec_params(
        "UPDATE unit SET commit_id = $2, tag = $3, branch = $4, follow = $5, env_keys = $6, follow_problem = NULL"
        " WHERE id = $1",
        id, to.commit(), to.tag(), to.branch(), to.follow(), KeysText(move.env_keys));
    if (to.commit() != unit.version().commit()) {
      UpdateRow update = LockUpdate(tx, id);
      Retarget(to.commit(), NowMs(), &update);
      WriteUpdate(tx, id, update);
    }
    if (!move.sealed_env.empty())
      tx.exec_params("UPDATE unit SET sealed_env = $2 WHERE id = $1", id, pqxx::binarystring(move.sealed_env));
    Array removed;
    bus::v1::UnitChanged changed;
    changed.set_unit_id(id);
    for (const std::string& variable : move.removed) {
      removed.Add(variable);
      changed.add_removed_variable_ids(variable);
    }
    for (const auto& link : tx.exec_params("SELECT id FROM link WHERE output_id = ANY ($1::uuid[])", removed.str()))
      changed.add_removed_link_ids(link[0].c_str());
    tx.exec_params("DELETE FROM node WHERE id = ANY ($1::uuid[]) AND parent_id = $2", removed.str(), id);
    WriteVariables(tx, unit, move.variables);
    Audit(tx, actor, "unit.move", id,
          {{"from", unit.version().commit()},
           {"to", to.commit()},
           {"follow", to.follow()},
           {"added", Some(move.added)},
           {"removed", Some(move.removed)}});
    AppendUnitMoved(tx, std::move(changed), locked);
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::ResetEnv(const Actor& actor, const Uuid& unit, const SealedEnv& env,
                                     std::int64_t expected_version) {
  return Change("reset env", actor, [&](pqxx::work& tx) -> absl::Status {
    const std::string id = unit.ToString();
    const auto rows = tx.exec_params("SELECT name, level FROM node WHERE id = $1 FOR NO KEY UPDATE", id);
    if (rows.empty()) return NotFound("unit");
    PEPEUNIT_RETURN_IF_ERROR(Touch(tx, unit, rows[0][0].c_str(), rows[0][1].as<int>(), expected_version, "unit"));
    tx.exec_params("UPDATE unit SET token_generation = $2, sealed_sync_key = $3, sealed_env = $4 WHERE id = $1", id,
                   env.token_generation, pqxx::binarystring(env.sync_key), pqxx::binarystring(env.env));
    Audit(tx, actor, "unit.reset-env", id, {{"token_generation", env.token_generation}});
    AppendUnitChanged(tx, id);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::map<std::string, std::int32_t>> PostgresStore::CountVariableGrants(const Uuid& unit) {
  using Counts = std::map<std::string, std::int32_t>;
  return pool_.Query<Counts>("count variable grants", [&](pqxx::work& tx) -> absl::StatusOr<Counts> {
    Counts counts;
    for (const auto& row : tx.exec_params("SELECT g.node_id, count(*) FROM node_grant g JOIN variable v"
                                          " ON v.id = g.node_id WHERE v.unit_id = $1 GROUP BY 1",
                                          unit.ToString())) {
      counts[row[0].c_str()] = row[1].as<std::int32_t>();
    }
    return counts;
  });
}

absl::StatusOr<GraphStore::FollowersDifference> PostgresStore::CompareFollowers(const Uuid& repo_unit,
                                                                                access::Level level) {
  using Difference = FollowersDifference;
  return pool_.Query<Difference>("compare followers", [&](pqxx::work& tx) -> absl::StatusOr<Difference> {
    Difference difference;
    for (const auto& row : tx.exec_params(OwnersQuery("u.repo_unit_id = $1 AND u.follow"), repo_unit.ToString())) {
      RepositoryOwner owner = ReadOwner(row);
      const bool before = owner.Sees();
      owner.repository.access.level = level;
      if (before != owner.Sees()) (before ? difference.stop : difference.resume) += owner.units;
    }
    return difference;
  });
}

absl::Status PostgresStore::DeleteUnit(const Actor& actor, const Uuid& id, std::int64_t expected_version) {
  return Change("delete unit", actor, [&](pqxx::work& tx) -> absl::Status {
    const std::string text = id.ToString();
    // Nobody links to it from here on.
    if (tx.exec_params("SELECT 1 FROM node WHERE id = $1 FOR UPDATE", text).empty()) return NotFound("unit");
    PEPEUNIT_RETURN_IF_ERROR(CheckVersion(tx, id, expected_version, "unit"));
    std::vector<std::string> removed;
    for (const auto& row : tx.exec_params("SELECT id FROM variable WHERE unit_id = $1", text))
      removed.emplace_back(row[0].c_str());
    AppendSourcesChanged(tx, text);
    Audit(tx, actor, "unit.delete", text);
    tx.exec_params("DELETE FROM node_grant WHERE subject_kind = $1 AND subject_id = $2",
                   static_cast<int>(graph::v1::SUBJECT_KIND_UNIT), text);
    tx.exec_params("DELETE FROM node WHERE id = $1", text);
    AppendUnitChanged(tx, text, true, removed);
    return absl::OkStatus();
  });
}

}  // namespace pepeunit::graph_registry
