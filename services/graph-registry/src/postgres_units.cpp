#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "postgres_store.h"
#include "rows.h"

namespace pepeunit::graph_registry {
namespace {

std::string UnitColumns() {
  return "n.id, n.name, n.owner_id, n.level, u.repo_unit_id, u.commit_id, u.tag, u.branch, u.follow, " +
         MsOf("n.created_at") + ", " + MsOf("n.updated_at") + ", n.version";
}

graph::v1::Unit ReadUnit(const pqxx::row& row) {
  graph::v1::Unit unit;
  unit.set_id(row[0].c_str());
  unit.set_name(row[1].c_str());
  unit.set_owner_id(row[2].c_str());
  unit.set_level(static_cast<common::v1::AccessLevel>(row[3].as<int>()));
  auto* version = unit.mutable_version();
  version->set_repo_unit_id(row[4].c_str());
  version->set_commit(row[5].c_str());
  version->set_tag(row[6].c_str());
  version->set_branch(row[7].c_str());
  version->set_follow(row[8].as<bool>());
  ReadTime(row[9], unit.mutable_created_at());
  ReadTime(row[10], unit.mutable_updated_at());
  unit.set_etag(row[11].c_str());
  return unit;
}

// `definition`, `unit_id`, and the node's own level and id.
graph::v1::Variable ReadVariable(const pqxx::field& definition, const pqxx::field& unit, const NodeFacts& facts) {
  graph::v1::Variable variable;
  variable.ParseFromString(ReadBytes(definition));
  variable.set_id(facts.id.ToString());
  variable.set_unit_id(unit.c_str());
  variable.set_level(static_cast<common::v1::AccessLevel>(facts.access.level));
  return variable;
}

void AppendUnitChanged(pqxx::work& tx, const std::string& unit, bool deleted = false,
                       const std::vector<std::string>& removed = {}) {
  bus::v1::Event event;
  auto* changed = event.mutable_unit_changed();
  changed->set_unit_id(unit);
  changed->set_deleted(deleted);
  for (const auto& id : removed) changed->add_removed_variable_ids(id);
  outbox::Append(tx, "events.graph.unit." + unit, event);
}

// The units whose outputs are linked into this unit's inputs: their profiles speak of it.
void AppendSourcesChanged(pqxx::work& tx, const std::string& unit) {
  const auto sources = tx.exec_params(
      "SELECT DISTINCT o.unit_id FROM link l JOIN variable i ON i.id = l.input_id JOIN variable o ON o.id = l.output_id"
      " WHERE i.unit_id = $1 AND o.unit_id <> $1",
      unit);
  for (const auto& row : sources) AppendUnitChanged(tx, row[0].c_str());
}

// Elements of an array that need no escaping: ids, numbers, hex digits, and names as schema.json allows them.
class Array {
 public:
  void Add(const std::string& element) { text_ += (text_.empty() ? "\"" : ",\"") + element + '"'; }
  std::string str() const { return '{' + text_ + '}'; }

 private:
  std::string text_;
};

// All variables of a unit in two statements.
void InsertVariables(pqxx::work& tx, const NewUnit& made) {
  Array ids, types, kinds, names, definitions;
  for (const auto& variable : made.variables) {
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
  const auto& unit = made.unit;
  tx.exec_params(
      "INSERT INTO node (id, type, parent_id, owner_id, name, level) SELECT v.id, v.type, $1, $2, v.name, $3"
      " FROM unnest($4::uuid[], $5::smallint[], $6::text[]) AS v (id, type, name)",
      unit.id(), unit.owner_id(), static_cast<int>(unit.level()), ids.str(), types.str(), names.str());
  tx.exec_params(
      "INSERT INTO variable (id, unit_id, kind, name, position, definition)"
      " SELECT v.id, $1, v.kind, v.name, v.position, decode(v.definition, 'hex')"
      " FROM unnest($2::uuid[], $3::smallint[], $4::text[], $5::text[]) WITH ORDINALITY"
      " AS v (id, kind, name, definition, position)",
      unit.id(), ids.str(), kinds.str(), names.str(), definitions.str());
}

graph::v1::Link ReadLink(const pqxx::row& row) {
  graph::v1::Link link;
  link.set_id(row[0].c_str());
  link.set_type(static_cast<graph::v1::LinkType>(row[1].as<int>()));
  link.set_output_id(row[2].c_str());
  link.set_input_id(row[3].c_str());
  link.set_creator_id(row[4].c_str());
  ReadTime(row[5], link.mutable_created_at());
  return link;
}

std::string LinkColumns() { return "l.id, l.type, l.output_id, l.input_id, l.creator_id, " + MsOf("l.created_at"); }

}  // namespace

absl::Status PostgresStore::CreateUnit(const NewUnit& made) {
  return Change("create unit", [&](pqxx::work& tx) -> absl::Status {
    const auto& unit = made.unit;
    const auto& version = unit.version();
    // Holds the repository until the unit hangs on it.
    if (tx.exec_params("SELECT 1 FROM repo_unit WHERE id = $1 FOR SHARE", version.repo_unit_id()).empty())
      return NotFound("repository");
    InsertNode(tx, unit.id(), graph::v1::NODE_TYPE_UNIT, "", unit.owner_id(), unit.name(), unit.level());
    tx.exec_params(
        "INSERT INTO unit (id, repo_unit_id, commit_id, tag, branch, follow, sealed_sync_key, sealed_env)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        unit.id(), version.repo_unit_id(), version.commit(), version.tag(), version.branch(), version.follow(),
        pqxx::binarystring(made.sealed_sync_key), pqxx::binarystring(made.sealed_env));
    InsertVariables(tx, made);
    AppendUnitChanged(tx, unit.id());
    return absl::OkStatus();
  });
}

absl::StatusOr<graph::v1::Unit> PostgresStore::GetUnit(const Uuid& id) {
  return pool_.Query<graph::v1::Unit>("get unit", [&](pqxx::work& tx) -> absl::StatusOr<graph::v1::Unit> {
    const auto rows = tx.exec_params("SELECT " + UnitColumns() + " FROM unit u JOIN node n USING (id) WHERE u.id = $1",
                                     id.ToString());
    if (rows.empty()) return NotFound("unit");
    return ReadUnit(rows[0]);
  });
}

absl::StatusOr<UnitSecrets> PostgresStore::GetUnitSecrets(const Uuid& id) {
  return pool_.Query<UnitSecrets>("get unit secrets", [&](pqxx::work& tx) -> absl::StatusOr<UnitSecrets> {
    const auto rows =
        tx.exec_params("SELECT token_generation, sealed_sync_key, sealed_env FROM unit WHERE id = $1", id.ToString());
    if (rows.empty()) return NotFound("unit");
    return UnitSecrets{rows[0][0].as<std::uint32_t>(), ReadBytes(rows[0][1]), ReadBytes(rows[0][2])};
  });
}

absl::StatusOr<std::vector<graph::v1::Unit>> PostgresStore::ListUnits(const access::Subject& viewer,
                                                                      const Uuid& repo_unit, const Page& page) {
  using Rows = std::vector<graph::v1::Unit>;
  return pool_.Query<Rows>("list units", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const std::string ids = repo_unit.IsNil()
                                ? VisibleIds(tx, viewer, graph::v1::NODE_TYPE_UNIT, page)
                                : "SELECT u.id FROM unit u JOIN node n USING (id) WHERE u.repo_unit_id = " +
                                      tx.quote(repo_unit.ToString()) + "::uuid AND u.id > " +
                                      tx.quote(page.after.ToString()) + "::uuid AND " +
                                      VisibleTo(tx, viewer, "n.owner_id", "n.level") + " ORDER BY u.id LIMIT " +
                                      std::to_string(page.limit + 1);
    const auto result = tx.exec("SELECT " + UnitColumns() + " FROM (" + ids +
                                ") page JOIN unit u USING (id) JOIN node n USING (id) ORDER BY n.id");
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadUnit(row));
    return rows;
  });
}

absl::Status PostgresStore::UpdateUnit(const graph::v1::Unit& unit, std::int64_t expected_version) {
  return Change("update unit", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(Touch(tx, *Uuid::Parse(unit.id()), unit.name(), unit.level(), expected_version, "unit"));
    // Its variables were made with its level and follow it.
    tx.exec_params("UPDATE node SET level = $2 WHERE parent_id = $1", unit.id(), static_cast<int>(unit.level()));
    AppendUnitChanged(tx, unit.id());
    AppendSourcesChanged(tx, unit.id());
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::DeleteUnit(const Uuid& id) {
  return Change("delete unit", [&](pqxx::work& tx) -> absl::Status {
    const std::string text = id.ToString();
    std::vector<std::string> removed;
    for (const auto& row : tx.exec_params("SELECT id FROM variable WHERE unit_id = $1", text))
      removed.emplace_back(row[0].c_str());
    AppendSourcesChanged(tx, text);
    if (tx.exec_params("DELETE FROM node WHERE id = $1", text).affected_rows() == 0) return NotFound("unit");
    AppendUnitChanged(tx, text, true, removed);
    return absl::OkStatus();
  });
}

absl::StatusOr<VariableRow> PostgresStore::GetVariable(const Uuid& id) {
  return pool_.Query<VariableRow>("get variable", [&](pqxx::work& tx) -> absl::StatusOr<VariableRow> {
    const auto rows = tx.exec_params(std::string("SELECT ") + kFactColumns +
                                         ", v.definition, v.unit_id FROM variable v JOIN node n USING (id)"
                                         " LEFT JOIN node p ON p.id = n.parent_id WHERE v.id = $1",
                                     id.ToString());
    if (rows.empty()) return NotFound("variable");
    const NodeFacts facts = ReadFacts(rows[0], 0);
    return VariableRow{facts, ReadVariable(rows[0][7], rows[0][8], facts)};
  });
}

absl::StatusOr<std::vector<graph::v1::Variable>> PostgresStore::ListVariables(const Uuid& unit) {
  using Rows = std::vector<graph::v1::Variable>;
  return pool_.Query<Rows>("list variables", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const auto result =
        tx.exec_params(std::string("SELECT ") + kFactColumns +
                           ", v.definition, v.unit_id FROM variable v JOIN node n USING (id)"
                           " LEFT JOIN node p ON p.id = n.parent_id WHERE v.unit_id = $1 ORDER BY v.position",
                       unit.ToString());
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadVariable(row[7], row[8], ReadFacts(row, 0)));
    return rows;
  });
}

absl::Status PostgresStore::CreateLink(const graph::v1::Link& link, std::int64_t most) {
  return Change("create link", [&](pqxx::work& tx) -> absl::Status {
    // Both ends stay until the link hangs on them; the lock on the source makes the count exact.
    const auto source = tx.exec_params(
        "SELECT u.id FROM variable v JOIN unit u ON u.id = v.unit_id WHERE v.id = $1 FOR NO KEY UPDATE OF u",
        link.output_id());
    const auto input = tx.exec_params("SELECT 1 FROM variable WHERE id = $1 FOR KEY SHARE", link.input_id());
    if (source.empty() || input.empty()) return NotFound("variable");
    const std::string unit = source[0][0].c_str();
    const auto count =
        tx.exec_params1("SELECT count(*) FROM link l JOIN variable o ON o.id = l.output_id WHERE o.unit_id = $1", unit);
    if (count[0].as<std::int64_t>() >= most) {
      return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
                   "At most " + std::to_string(most) + " links may leave one unit; delete some first.");
    }
    tx.exec_params("INSERT INTO link (id, type, output_id, input_id, creator_id) VALUES ($1, $2, $3, $4, $5)",
                   link.id(), static_cast<int>(link.type()), link.output_id(), link.input_id(), link.creator_id());
    AppendUnitChanged(tx, unit);
    return absl::OkStatus();
  });
}

absl::StatusOr<graph::v1::Link> PostgresStore::GetLink(const Uuid& id) {
  return pool_.Query<graph::v1::Link>("get link", [&](pqxx::work& tx) -> absl::StatusOr<graph::v1::Link> {
    const auto rows = tx.exec_params("SELECT " + LinkColumns() + " FROM link l WHERE l.id = $1", id.ToString());
    if (rows.empty()) return NotFound("link");
    return ReadLink(rows[0]);
  });
}

absl::StatusOr<LinkPage> PostgresStore::ListLinks(const access::Subject& viewer, const Uuid& node, const Page& page) {
  return pool_.Query<LinkPage>("list links", [&](pqxx::work& tx) -> absl::StatusOr<LinkPage> {
    std::string from = "link";
    if (!node.IsNil()) {
      const std::string id = tx.quote(node.ToString()) + "::uuid";
      const std::string ends = "(SELECT v.id FROM variable v WHERE v.id = " + id + " OR v.unit_id = " + id + ")";
      from = "(SELECT * FROM link WHERE output_id IN " + ends + " UNION SELECT * FROM link WHERE input_id IN " + ends +
             ") linked";
    }
    const std::string after = " WHERE id > " + tx.quote(page.after.ToString()) + "::uuid ORDER BY id ";
    const auto result = tx.exec("SELECT " + LinkColumns() + " FROM (SELECT * FROM " + from + after + "LIMIT " +
                                std::to_string(kMostLinksRead) +
                                ") l JOIN node o ON o.id = l.output_id JOIN node ou ON ou.id = o.parent_id"
                                " JOIN node i ON i.id = l.input_id JOIN node iu ON iu.id = i.parent_id WHERE " +
                                VisibleTo(tx, viewer, "o.owner_id", "least(o.level, ou.level)") + " AND " +
                                VisibleTo(tx, viewer, "i.owner_id", "least(i.level, iu.level)") +
                                " ORDER BY l.id LIMIT " + std::to_string(page.limit + 1));
    LinkPage links;
    for (const auto& row : result) links.links.push_back(ReadLink(row));
    if (links.links.size() <= static_cast<std::size_t>(page.limit)) {
      const auto last =
          tx.exec("SELECT id FROM " + from + after + "OFFSET " + std::to_string(kMostLinksRead - 1) + " LIMIT 1");
      if (!last.empty()) links.read_to = ReadUuid(last[0][0]);
    }
    return links;
  });
}

absl::Status PostgresStore::DeleteLink(const Uuid& id) {
  return Change("delete link", [&](pqxx::work& tx) -> absl::Status {
    const auto rows =
        tx.exec_params("DELETE FROM link l USING variable o WHERE l.id = $1 AND o.id = l.output_id RETURNING o.unit_id",
                       id.ToString());
    if (rows.empty()) return NotFound("link");
    AppendUnitChanged(tx, rows[0][0].c_str());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<LinkRow>> PostgresStore::LinksFrom(const Uuid& unit) {
  using Rows = std::vector<LinkRow>;
  return pool_.Query<Rows>("links from", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const auto result = tx.exec_params(
        "SELECT " + LinkColumns() +
            ", coalesce(a.administrator, false), ov.definition, ov.unit_id, iv.definition, iv.unit_id,"
            " o.id, o.type, o.parent_id, o.owner_id, o.level, o.version, ou.level,"
            " i.id, i.type, i.parent_id, i.owner_id, i.level, i.version, iu.level"
            " FROM link l JOIN variable ov ON ov.id = l.output_id JOIN node o ON o.id = ov.id JOIN node ou ON ou.id = "
            "o.parent_id"
            " JOIN variable iv ON iv.id = l.input_id JOIN node i ON i.id = iv.id JOIN node iu ON iu.id = i.parent_id"
            " LEFT JOIN account a ON a.id = l.creator_id WHERE ov.unit_id = $1 ORDER BY l.id",
        unit.ToString());
    Rows rows;
    for (const auto& row : result) {
      LinkRow link{ReadLink(row), row[6].as<bool>(), {ReadFacts(row, 11), {}}, {ReadFacts(row, 18), {}}};
      link.output.variable = ReadVariable(row[7], row[8], link.output.facts);
      link.input.variable = ReadVariable(row[9], row[10], link.input.facts);
      rows.push_back(std::move(link));
    }
    return rows;
  });
}

}  // namespace pepeunit::graph_registry
