#include "ask_again.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "postgres_store.h"
#include "rows.h"
#include "unit_events.h"
#include "visibility.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

std::string VariableQuery(postgres::Params& params, const access::Subject& viewer) {
  return "SELECT " + FactColumns("n", "p", GrantTo(params, "n", viewer)) + ", " + VariableColumns("v") +
         " FROM variable v JOIN node n USING (id) JOIN node p ON p.id = n.parent_id";
}

VariableRow ReadVariableRow(const pqxx::row& row) {
  Columns columns(row);
  VariableRow variable{ReadFacts(columns), {}};
  ReadVariable(columns, &variable);
  return variable;
}

}  // namespace

absl::StatusOr<VariableRow> PostgresStore::GetVariable(const Uuid& id, const access::Subject& viewer) {
  using Row = VariableRow;
  postgres::Params params;
  const std::string query = VariableQuery(params, viewer) + " WHERE v.id = " + params.Id(id);
  return pool_.Read<Row>("get variable", query, params, [](const pqxx::result& rows) -> absl::StatusOr<Row> {
    if (rows.empty()) return NotFound("variable");
    return ReadVariableRow(rows[0]);
  });
}

absl::Status PostgresStore::WithVariable(const Actor& actor, const Uuid& id,
                                         const std::function<absl::Status(const VariableRow&)>& use) {
  return pool_.Transact("with variable", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    postgres::Params params;
    const std::string query = VariableQuery(params, actor.subject) + " WHERE v.id = " + params.Id(id);
    const auto rows = postgres::Exec(tx, query, params);
    return rows.empty() ? NotFound("variable") : use(ReadVariableRow(rows[0]));
  });
}

absl::StatusOr<std::vector<VariableRow>> PostgresStore::ListVariables(const Uuid& unit, const access::Subject& viewer) {
  using Rows = std::vector<VariableRow>;
  postgres::Params params;
  const std::string query =
      VariableQuery(params, viewer) + " WHERE v.unit_id = " + params.Id(unit) + " ORDER BY v.position";
  return pool_.Read<Rows>("list variables", query, params, [](const pqxx::result& result) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : result) rows.push_back(ReadVariableRow(row));
    return rows;
  });
}

absl::Status PostgresStore::UpdateVariable(const Actor& actor, const VariableRow& row, std::int64_t expected_version) {
  return Change("update variable", actor, [&](pqxx::work& tx) -> absl::Status {
    const graph::v1::Variable& variable = row.variable;
    PEPEUNIT_RETURN_IF_ERROR(
        Touch(tx, *Uuid::Parse(variable.id()), variable.name(), variable.level(), expected_version, "variable"));
    std::optional<std::string> logging;
    if (row.choices.logging) logging = "\\x" + HexEncode(AsBytes(row.choices.logging->SerializeAsString()));
    tx.exec_params("UPDATE variable SET accepts_people = $2, accepts_links = $3, logging = $4::bytea WHERE id = $1",
                   variable.id(), row.choices.accepts_people, row.choices.accepts_links, logging);
    nlohmann::json told;
    if (variable.kind() == graph::v1::VARIABLE_KIND_INPUT) {
      told = {{"accepts_people", row.choices.accepts_people}, {"accepts_links", row.choices.accepts_links}};
    } else {
      told = {{"logging", row.choices.logging ? variable.logging() : "as in schema.json"}};
    }
    Audit(tx, actor, "variable.update", variable.id(), told);
    AppendRightsChanged(tx, variable.id());
    return absl::OkStatus();
  });
}

}  // namespace pepeunit::graph_registry
