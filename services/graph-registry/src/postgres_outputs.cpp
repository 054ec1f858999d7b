#include "postgres_store.h"
#include "rows.h"
#include "visibility.h"

namespace pepeunit::graph_registry {
namespace {

std::vector<Uuid> ToIds(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::vector<Uuid> ids;
  for (const auto& text : texts) ids.push_back(Uuid::Parse(text).value_or(Uuid{}));
  return ids;
}

std::string TextArray(postgres::Params& params, const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string array;
  for (const auto& text : texts) array += (array.empty() ? "" : ", ") + params.Text(text);
  return "ARRAY[" + array + "]";
}

// What the filter asks of the variable `v` of the unit `u`.
std::string Conditions(postgres::Params& params, const graph::v1::FindOutputsRequest& filter) {
  std::string conditions;
  if (filter.variable_ids_size() > 0)
    conditions += " AND v.id = ANY (" + params.Ids(ToIds(filter.variable_ids())) + ")";
  if (filter.unit_ids_size() > 0) conditions += " AND v.unit_id = ANY (" + params.Ids(ToIds(filter.unit_ids())) + ")";
  if (!filter.repo_unit_id().empty())
    conditions += " AND u.repo_unit_id = " + params.Id(Uuid::Parse(filter.repo_unit_id()).value_or(Uuid{}));
  if (filter.names_size() > 0) conditions += " AND v.name = ANY (" + TextArray(params, filter.names()) + ")";
  return conditions;
}

}  // namespace

absl::StatusOr<std::vector<graph::v1::FoundOutput>> PostgresStore::FindOutputs(
    const graph::v1::FindOutputsRequest& filter, const access::Subject& viewer) {
  using Rows = std::vector<graph::v1::FoundOutput>;
  postgres::Params params;
  const std::string conditions = Conditions(params, filter);
  std::string from = " FROM ";
  // Without a filter the way is by what the viewer may see, or it would lead past everybody's variables.
  if (conditions.empty()) {
    NodeRange range{.types = {graph::v1::NODE_TYPE_OUTPUT_VARIABLE}};
    if (filter.inputs()) range.types.insert(range.types.begin(), graph::v1::NODE_TYPE_INPUT_VARIABLE);
    from += "(" + VisibleIds(params, viewer, range, Page{.after = {}, .limit = filter.limit()}) + ") seen JOIN ";
  }
  from += std::string("variable v ") + (conditions.empty() ? "USING (id)" : "") +
          " JOIN unit u ON u.id = v.unit_id JOIN node n ON n.id = v.id JOIN node p ON p.id = n.parent_id";
  const std::string query = "SELECT " + FactColumns("n", "p", GrantTo(params, "n", viewer)) + ", " +
                            VariableColumns("v") + ", p.name, u.repo_unit_id" + from + " WHERE " +
                            (filter.inputs() ? "true" : "v.kind = " + std::to_string(graph::v1::VARIABLE_KIND_OUTPUT)) +
                            conditions + " AND " + VisibleTo(params, viewer, "n", "p") + " ORDER BY v.id LIMIT " +
                            std::to_string(filter.limit() + 1);
  return pool_.Read<Rows>("find outputs", query, params, [](const pqxx::result& result) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : result) {
      Columns columns(row);
      VariableRow variable{ReadFacts(columns), {}};
      ReadVariable(columns, &variable);
      auto& found = rows.emplace_back();
      *found.mutable_variable() = std::move(variable.variable);
      found.set_unit_name(columns.Next().c_str());
      found.set_repo_unit_id(columns.Next().c_str());
    }
    return rows;
  });
}

absl::StatusOr<std::vector<graph::v1::KeptHistory>> PostgresStore::ListHistories(const Page& page) {
  using Rows = std::vector<graph::v1::KeptHistory>;
  postgres::Params params;
  const std::string query =
      "SELECT v.id, n.owner_id, v.definition, v.logging FROM variable v JOIN node n USING (id)"
      " WHERE v.id > " +
      params.Id(page.after) + " AND v.kind = " + std::to_string(graph::v1::VARIABLE_KIND_OUTPUT) +
      " ORDER BY v.id LIMIT " + std::to_string(page.limit + 1);
  return pool_.Read<Rows>("list histories", query, params, [](const pqxx::result& result) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : result) {
      auto& history = rows.emplace_back();
      history.set_variable_id(row[0].c_str());
      history.set_owner_id(row[1].c_str());
      graph::v1::Variable definition;
      definition.ParseFromString(ReadBytes(row[2]));
      common::v1::Logging logging = definition.logging_policy();
      if (!row[3].is_null()) logging.ParseFromString(ReadBytes(row[3]));
      history.set_keep_s(logging.keep_s());
    }
    return rows;
  });
}

}  // namespace pepeunit::graph_registry
