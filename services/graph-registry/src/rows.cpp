#include "rows.h"

#include <google/protobuf/util/time_util.h>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/trace.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kMostOpen = static_cast<int>(access::Level::kPublic);

// The lowest level of other people's nodes that the viewer may see.
int LowestVisible(const access::Subject& viewer) {
  int lowest = kMostOpen;
  for (int level = kMostOpen; level >= static_cast<int>(access::Level::kPrivate); --level) {
    const access::Node node{.owner_id = {}, .level = static_cast<access::Level>(level)};
    if (access::RoleOf(viewer, node) < access::Role::kReader) break;
    lowest = level;
  }
  return lowest;
}

// graph.v1.SubjectKind; 0 for those who can have no grant.
int KindOf(const access::Subject& viewer) {
  switch (viewer.kind) {
    case access::Subject::Kind::kUser:
      return graph::v1::SUBJECT_KIND_USER;
    case access::Subject::Kind::kUnit:
      return graph::v1::SUBJECT_KIND_UNIT;
    case access::Subject::Kind::kRemoteUser:
      return graph::v1::SUBJECT_KIND_REMOTE_USER;
    case access::Subject::Kind::kAnonymous:
      break;
  }
  return 0;
}

}  // namespace

Uuid ReadUuid(const pqxx::field& field) {
  return field.is_null() ? Uuid{} : Uuid::Parse(field.c_str()).value_or(Uuid{});
}

std::string ReadBytes(const pqxx::field& field) {
  if (field.is_null()) return "";
  const pqxx::binarystring raw(field);
  return {raw.get(), raw.size()};
}

std::vector<Uuid> ReadUuids(const pqxx::field& field) {
  constexpr std::size_t kLength = 36;
  const std::string_view text(field.c_str(), field.size());
  std::vector<Uuid> ids;
  for (std::size_t at = 1; at + kLength < text.size(); at += kLength + 1) {
    if (const auto id = Uuid::Parse(text.substr(at, kLength))) ids.push_back(*id);
  }
  return ids;
}

void ReadTime(const pqxx::field& milliseconds, google::protobuf::Timestamp* out) {
  *out = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(milliseconds.as<std::int64_t>());
}

std::string MsOf(const std::string& column) { return "(extract(epoch FROM " + column + ") * 1000)::bigint"; }

std::string GrantTo(const std::string& n, const std::string& kind, const std::string& subject) {
  return "coalesce((SELECT max(g.role) FROM node_grant g WHERE g.node_id IN (" + n + ".id, " + n +
         ".parent_id) AND g.subject_kind = " + kind + " AND g.subject_id = " + subject + "), 0)";
}

std::string GrantTo(postgres::Params& params, const std::string& n, const access::Subject& viewer) {
  const int kind = KindOf(viewer);
  if (kind == 0) return "0";
  return GrantTo(n, std::to_string(kind), params.Id(viewer.id));
}

std::string VisibleTo(postgres::Params& params, const access::Subject& viewer, const std::string& n, const std::string& p) {
  std::string condition =
      "least(" + n + ".level, " + p + ".level) >= " + std::to_string(LowestVisible(viewer));  // ignores NULL
  if (viewer.kind == access::Subject::Kind::kUser) {
    condition += " OR " + n + ".owner_id = " + params.Id(viewer.id);
  }
  if (KindOf(viewer) != 0 && !viewer.administrator) condition += " OR " + GrantTo(params, n, viewer) + " > 0";
  return '(' + condition + ')';
}

std::vector<std::string> WaysToSee(postgres::Params& params, const access::Subject& viewer, int only) {
  std::vector<std::string> ways;
  const std::string at = only == 0 ? "" : " AND node.level = " + std::to_string(only);
  for (int level = LowestVisible(viewer); level <= kMostOpen; ++level) {
    if (only == 0 || only == level) ways.push_back("node.level = " + std::to_string(level));
  }
  if (viewer.kind == access::Subject::Kind::kUser && !viewer.administrator)
    ways.push_back("node.owner_id = " + params.Id(viewer.id) + at);
  return ways;
}

std::string GrantedTo(postgres::Params& params, const access::Subject& viewer) {
  if (KindOf(viewer) == 0 || viewer.administrator) return "";
  const std::string to = "g.subject_kind = " + std::to_string(KindOf(viewer)) +
                         " AND g.subject_id = " + params.Id(viewer.id);
  return "SELECT g.node_id AS id FROM node_grant g WHERE " + to +
         " UNION SELECT c.id FROM node_grant g JOIN node c ON c.parent_id = g.node_id WHERE " + to;
}

std::string VisibleIds(postgres::Params& params, const access::Subject& viewer, const NodeRange& range, const Page& page) {
  const std::string after = params.Id(page.after);
  const std::string last = " ORDER BY node.id LIMIT " + std::to_string(page.limit + 1) + ") UNION ";
  std::string among = range.scope.empty() ? "" : " AND " + range.scope;
  if (!range.owner.IsNil()) among += " AND node.owner_id = " + params.Id(range.owner);
  std::string ranges;
  const auto add = [&](int type) {
    const std::string of_type = type == 0 ? "" : " AND node.type = " + std::to_string(type);
    for (const std::string& way : WaysToSee(params, viewer, range.level))
      ranges += "(SELECT node.id FROM node WHERE " + way + among + of_type + " AND node.id > " + after + last;
    if (KindOf(viewer) == 0 || viewer.administrator) return;
    const std::string at = range.level == 0 ? "" : " AND node.level = " + std::to_string(range.level);
    const std::string granted = " WHERE g.subject_kind = " + std::to_string(KindOf(viewer)) +
                                " AND g.subject_id = " + params.Id(viewer.id);
    ranges += "(SELECT node.id FROM node_grant g JOIN node ON node.id = g.node_id" + granted + among + at +
              (type == 0 ? "" : " AND g.node_type = " + std::to_string(type)) + " AND g.node_id > " + after +
              " ORDER BY g.node_id LIMIT " + std::to_string(page.limit + 1) + ") UNION ";
    const bool variable = type == graph::v1::NODE_TYPE_INPUT_VARIABLE || type == graph::v1::NODE_TYPE_OUTPUT_VARIABLE;
    if (!variable) return;
    ranges += "(SELECT node.id FROM node_grant g JOIN node ON node.parent_id = g.node_id" + granted + among + at +
              " AND g.node_type = " + std::to_string(static_cast<int>(graph::v1::NODE_TYPE_UNIT)) + of_type +
              " AND node.id > " + after + last;
  };
  for (const int type : range.types) add(type);
  if (range.types.empty()) add(0);
  // So that there is a range where a level shows the viewer nothing, and no parameter without a use.
  ranges += "(SELECT node.id FROM node WHERE false" + among + " AND node.id > " + after + ")";
  return "SELECT id FROM (" + ranges + ") visible (id) ORDER BY id LIMIT " + std::to_string(page.limit + 1);
}

std::string VisibleIds(postgres::Params& params, const access::Subject& viewer, graph::v1::NodeType type, const Page& page) {
  return VisibleIds(params, viewer, NodeRange{.types = {static_cast<int>(type)}}, page);
}

std::string FactColumns(const std::string& n, const std::string& p, const std::string& grant) {
  std::string columns;
  for (const char* column : {"id", "type", "parent_id", "owner_id", "level", "version", "name"})
    columns += n + '.' + column + ", ";
  return columns + p + ".level, " + grant;
}

NodeFacts ReadFacts(const pqxx::row& row, int first) {
  const auto at = [&](int i) { return row[static_cast<pqxx::row::size_type>(first + i)]; };
  NodeFacts facts;
  facts.id = ReadUuid(at(0));
  facts.type = static_cast<graph::v1::NodeType>(at(1).as<int>());
  facts.parent_id = ReadUuid(at(2));
  facts.access.owner_id = ReadUuid(at(3));
  facts.access.level = static_cast<access::Level>(at(4).as<int>());
  facts.version = at(5).as<std::int64_t>();
  facts.name = at(6).c_str();
  if (!at(7).is_null()) facts.access.ceiling = static_cast<access::Level>(at(7).as<int>());
  facts.access.granted = static_cast<access::Role>(at(8).as<int>());
  return facts;
}

std::string NodeColumns(const std::string& n) {
  std::string columns;
  for (const char* column : {"id", "type", "name", "owner_id", "level", "parent_id", "version"})
    columns += n + '.' + column + ", ";
  return columns + MsOf(n + ".created_at") + ", " + MsOf(n + ".updated_at");
}

graph::v1::Node ReadNode(const pqxx::row& row, int first) {
  const auto at = [&](int i) { return row[static_cast<pqxx::row::size_type>(first + i)]; };
  graph::v1::Node node;
  node.set_id(at(0).c_str());
  node.set_type(static_cast<graph::v1::NodeType>(at(1).as<int>()));
  node.set_name(at(2).c_str());
  node.set_owner_id(at(3).c_str());
  node.set_level(static_cast<common::v1::AccessLevel>(at(4).as<int>()));
  node.set_parent_id(at(5).c_str());
  node.set_etag(at(6).c_str());
  ReadTime(at(7), node.mutable_created_at());
  ReadTime(at(8), node.mutable_updated_at());
  return node;
}

std::string VersionColumns(const std::string& u) {
  return u + ".repo_unit_id, " + u + ".commit_id, " + u + ".tag, " + u + ".branch, " + u + ".follow";
}

void ReadVersion(const pqxx::row& row, int first, graph::v1::UnitVersion* out) {
  const auto at = [&](int i) { return row[static_cast<pqxx::row::size_type>(first + i)]; };
  out->set_repo_unit_id(at(0).c_str());
  out->set_commit(at(1).c_str());
  out->set_tag(at(2).c_str());
  out->set_branch(at(3).c_str());
  out->set_follow(at(4).as<bool>());
}

absl::Status Touch(pqxx::work& tx, const Uuid& id, const std::string& name, int level, std::int64_t expected_version,
                   const std::string& what) {
  const auto updated = tx.exec_params(
      "UPDATE node SET name = $2, level = $3, version = version + 1, updated_at = now()"
      " WHERE id = $1 AND version = $4",
      id.ToString(), name, level, expected_version);
  if (updated.affected_rows() == 1) return absl::OkStatus();
  if (tx.exec_params("SELECT 1 FROM node WHERE id = $1", id.ToString()).empty()) return NotFound(what);
  return VersionMismatch();
}

std::string VariableColumns(const std::string& v) {
  return v + ".definition, " + v + ".unit_id, " + v + ".accepts_people, " + v + ".accepts_links";
}

void ReadVariable(const pqxx::row& row, int first, VariableRow* out) {
  const auto at = [&](int i) { return row[static_cast<pqxx::row::size_type>(first + i)]; };
  const NodeFacts& facts = out->facts;
  graph::v1::Variable& variable = out->variable;
  variable.ParseFromString(ReadBytes(at(0)));
  variable.set_id(facts.id.ToString());
  variable.set_unit_id(at(1).c_str());
  variable.set_level(static_cast<common::v1::AccessLevel>(facts.access.level));
  variable.set_etag(std::to_string(facts.version));
  if (variable.kind() != graph::v1::VARIABLE_KIND_INPUT) return;
  out->schema_lets_people = variable.writable_by_people();
  out->schema_lets_links = variable.writable_by_links();
  variable.set_accepts_people(at(2).as<bool>());
  variable.set_accepts_links(at(3).as<bool>());
  variable.set_writable_by_people(out->schema_lets_people && variable.accepts_people());
  variable.set_writable_by_links(out->schema_lets_links && variable.accepts_links());
}

std::string GrantColumns() { return "node_id, subject_kind, subject_id, role, granted_by, " + MsOf("created_at"); }

graph::v1::Grant ReadGrant(const pqxx::row& row) {
  graph::v1::Grant grant;
  grant.set_node_id(row[0].c_str());
  grant.set_subject_kind(static_cast<graph::v1::SubjectKind>(row[1].as<int>()));
  grant.set_subject_id(row[2].c_str());
  grant.set_role(static_cast<graph::v1::Role>(row[3].as<int>()));
  grant.set_granted_by(row[4].c_str());
  ReadTime(row[5], grant.mutable_created_at());
  return grant;
}

absl::Status CheckQuota(pqxx::work& tx, const std::string& owner, graph::v1::NodeType type, std::int64_t most,
                        const std::string& what) {
  // The lock makes the count exact, whatever else he makes at the same moment.
  const auto account = tx.exec_params("SELECT administrator FROM account WHERE id = $1 FOR NO KEY UPDATE", owner);
  if (account.empty()) return NotFound("user");  // deleted at this moment
  if (account[0][0].as<bool>()) return absl::OkStatus();
  const auto count = tx.exec_params1("SELECT count(*) FROM node WHERE owner_id = $1 AND type = $2", owner,
                                     static_cast<int>(type))[0]
                         .as<std::int64_t>();
  if (count < most) return absl::OkStatus();
  return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
               "You have " + std::to_string(count) + ' ' + what + ", and may have " + std::to_string(most) +
                   " on this instance; delete some first, or ask its administrator.");
}

void InsertNode(pqxx::work& tx, const std::string& id, graph::v1::NodeType type, const std::string& parent,
                const std::string& owner, const std::string& name, int level) {
  tx.exec_params(
      "INSERT INTO node (id, type, parent_id, owner_id, name, level) VALUES ($1, $2, nullif($3, '')::uuid, $4, $5, $6)",
      id, static_cast<int>(type), parent, owner, name, level);
}

void SetVariableLevels(pqxx::work& tx, const std::string& unit, int level, bool all) {
  tx.exec_params(
      "UPDATE node SET level = $2, version = version + 1, updated_at = now() WHERE parent_id = $1 AND level " +
          std::string(all ? "<>" : ">") + " $2",
      unit, level);
}

void Audit(pqxx::work& tx, const Actor& actor, const std::string& action, const std::string& node,
           nlohmann::json details) {
  if (!actor.token.IsNil()) details["by_token_id"] = actor.token.ToString();
  tx.exec_params(
      "INSERT INTO audit (id, actor_id, action, node_id, node_type, node_name, owner_id, details, client_address, "
      "trace_id)"
      " SELECT $1, nullif($2, $3)::uuid, $4, n.id, n.type, n.name, n.owner_id, $5, $6, $7 FROM node n WHERE n.id = $8",
      Uuid::New().ToString(), actor.user.ToString(), Uuid().ToString(), action, details.dump(), actor.client_address,
      CurrentTrace().valid() ? CurrentTrace().TraceIdHex() : "", node);
}

void AuditAll(pqxx::work& tx, const Actor& actor, const std::string& action, const std::vector<std::string>& nodes,
              nlohmann::json details) {
  if (!actor.token.IsNil()) details["by_token_id"] = actor.token.ToString();
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < nodes.size(); ++i) ids.push_back(Uuid::New().ToString());
  tx.exec_params(
      "INSERT INTO audit (id, actor_id, action, node_id, node_type, node_name, owner_id, details, client_address, "
      "trace_id)"
      " SELECT a.id, nullif($1, $2)::uuid, $3, n.id, n.type, n.name, n.owner_id, $4::jsonb, $5, $6"
      " FROM unnest($7::uuid[], $8::uuid[]) AS a (id, node_id) JOIN node n ON n.id = a.node_id",
      actor.user.ToString(), Uuid().ToString(), action, details.dump(), actor.client_address,
      CurrentTrace().valid() ? CurrentTrace().TraceIdHex() : "", ArrayOf(ids), ArrayOf(nodes));
}

std::string ArrayOf(const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += (text.empty() ? "" : ",") + id;
  return '{' + text + '}';
}

std::string ArrayOf(const std::vector<Uuid>& ids) {
  std::vector<std::string> texts;
  for (const Uuid& id : ids) texts.push_back(id.ToString());
  return ArrayOf(texts);
}

absl::StatusOr<std::optional<Uuid>> MadeBefore(pqxx::work& tx, const Actor& actor, const std::string& id) {
  if (actor.idempotency_key.empty()) return std::nullopt;
  tx.exec("DELETE FROM idempotency WHERE created_at < now() - interval '1 day'");
  const std::string user = actor.user.ToString();
  // Waits for another request with the same key to end.
  const auto added = tx.exec_params(
      "INSERT INTO idempotency (user_id, key, request_hash, made_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
      user, actor.idempotency_key, pqxx::binarystring(actor.request_hash), id);
  if (added.affected_rows() == 1) return std::nullopt;
  const auto row = tx.exec_params1("SELECT request_hash, made_id FROM idempotency WHERE user_id = $1 AND key = $2",
                                   user, actor.idempotency_key);
  if (ReadBytes(row[0]) != actor.request_hash) {
    return Error(absl::StatusCode::kInvalidArgument, "IDEMPOTENCY_MISMATCH",
                 "This Idempotency-Key came with another request before; use a new one.");
  }
  return ReadUuid(row[1]);
}

}  // namespace pepeunit::graph_registry
