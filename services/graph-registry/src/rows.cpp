#include "rows.h"

#include <google/protobuf/util/time_util.h>

namespace pepeunit::graph_registry {

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

std::string FactColumns(const std::string& n, const std::string& p, const std::string& grant) {
  std::string columns;
  for (const char* column : {"id", "type", "parent_id", "owner_id", "level", "version", "name"})
    columns += n + '.' + column + ", ";
  return columns + p + ".level, " + grant;
}

NodeFacts ReadFacts(Columns& columns) {
  NodeFacts facts;
  facts.id = ReadUuid(columns.Next());
  facts.type = static_cast<graph::v1::NodeType>(columns.Next().as<int>());
  facts.parent_id = ReadUuid(columns.Next());
  facts.access.owner_id = ReadUuid(columns.Next());
  facts.access.level = static_cast<access::Level>(columns.Next().as<int>());
  facts.version = columns.Next().as<std::int64_t>();
  facts.name = columns.Next().c_str();
  if (const auto ceiling = columns.Next(); !ceiling.is_null())
    facts.access.ceiling = static_cast<access::Level>(ceiling.as<int>());
  facts.access.granted = static_cast<access::Role>(columns.Next().as<int>());
  return facts;
}

std::string NodeColumns(const std::string& n) {
  std::string columns;
  for (const char* column : {"id", "type", "name", "owner_id", "level", "parent_id", "version"})
    columns += n + '.' + column + ", ";
  return columns + MsOf(n + ".created_at") + ", " + MsOf(n + ".updated_at");
}

graph::v1::Node ReadNode(Columns& columns) {
  graph::v1::Node node;
  node.set_id(columns.Next().c_str());
  node.set_type(static_cast<graph::v1::NodeType>(columns.Next().as<int>()));
  node.set_name(columns.Next().c_str());
  node.set_owner_id(columns.Next().c_str());
  node.set_level(static_cast<common::v1::AccessLevel>(columns.Next().as<int>()));
  node.set_parent_id(columns.Next().c_str());
  node.set_etag(columns.Next().c_str());
  ReadTime(columns.Next(), node.mutable_created_at());
  ReadTime(columns.Next(), node.mutable_updated_at());
  return node;
}

std::string VersionColumns(const std::string& u) {
  return u + ".repo_unit_id, " + u + ".commit_id, " + u + ".tag, " + u + ".branch, " + u + ".follow";
}

std::optional<graph::v1::UnitVersion> ReadVersion(Columns& columns) {
  const auto repo = columns.Next(), commit = columns.Next(), tag = columns.Next(), branch = columns.Next(),
             follow = columns.Next();
  if (repo.is_null()) return std::nullopt;
  graph::v1::UnitVersion version;
  version.set_repo_unit_id(repo.c_str());
  version.set_commit(commit.c_str());
  version.set_tag(tag.c_str());
  version.set_branch(branch.c_str());
  version.set_follow(follow.as<bool>());
  return version;
}

std::string VariableColumns(const std::string& v) {
  return v + ".definition, " + v + ".unit_id, " + v + ".accepts_people, " + v + ".accepts_links, " + v + ".logging";
}

void ReadVariable(Columns& columns, VariableRow* out) {
  graph::v1::Variable definition;
  definition.ParseFromString(ReadBytes(columns.Next()));
  definition.set_unit_id(columns.Next().c_str());
  VariableRow::Choices choices;
  choices.accepts_people = columns.Next().as<bool>();
  choices.accepts_links = columns.Next().as<bool>();
  if (const auto logging = columns.Next(); !logging.is_null())
    choices.logging.emplace().ParseFromString(ReadBytes(logging));
  out->Declare(std::move(definition), std::move(choices));
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

}  // namespace pepeunit::graph_registry
