#include "update_rows.h"

namespace pepeunit::graph_registry {

std::string UpdateColumns(const std::string& w) {
  const auto ms = [&](const char* column) { return MsOf(w + '.' + column); };
  return w + ".running_commit, coalesce(" + ms("running_at") + ", 0), " + w + ".sequence, " + w + ".state, " +
         ms("since") + ", " + ms("heard_at") + ", " + ms("offered_at") + ", " + w + ".attempt, " + w + ".offered, " +
         w + ".failures, " + w + ".done_bytes, " + w + ".total_bytes, " + w + ".reason";
}

UpdateRow ReadUpdate(Columns& columns) {
  UpdateRow row;
  row.running_commit = columns.Next().c_str();
  row.running_ms = columns.Next().as<std::int64_t>();
  row.sequence = columns.Next().as<std::uint64_t>();
  row.state = static_cast<graph::v1::UpdateState>(columns.Next().as<int>());
  row.since_ms = columns.Next().as<std::int64_t>();
  row.heard_ms = columns.Next().as<std::int64_t>();
  row.offered_ms = columns.Next().as<std::int64_t>();
  row.attempt = columns.Next().as<std::uint32_t>();
  row.offered = columns.Next().as<bool>();
  row.failures = columns.Next().as<std::uint32_t>();
  row.done_bytes = columns.Next().as<std::int64_t>();
  row.total_bytes = columns.Next().as<std::int64_t>();
  row.reason = columns.Next().c_str();
  return row;
}

UpdateRow LockUpdate(pqxx::work& tx, const std::string& unit) {
  const auto rows =
      tx.exec_params("SELECT " + UpdateColumns("w") + " FROM unit_update w WHERE id = $1 FOR UPDATE", unit);
  if (rows.empty()) return {};
  Columns columns(rows[0]);
  return ReadUpdate(columns);
}

void WriteUpdate(pqxx::work& tx, const std::string& unit, const UpdateRow& row) {
  const auto time = [](int parameter) { return "to_timestamp($" + std::to_string(parameter) + "::bigint / 1000.0)"; };
  tx.exec_params(
      "UPDATE unit_update SET version = version + 1, running_commit = $2, running_at = CASE WHEN $3::bigint > 0 THEN " +
          time(3) + " END, sequence = $4, state = $5, since = " + time(6) + ", heard_at = " + time(7) +
          ", offered_at = " + time(8) +
          ", attempt = $9, offered = $10, failures = $11, done_bytes = $12, total_bytes = $13, reason = $14"
          " WHERE id = $1",
      unit, row.running_commit, row.running_ms, row.sequence, static_cast<int>(row.state), row.since_ms, row.heard_ms,
      row.offered_ms, row.attempt, row.offered, row.failures, row.done_bytes, row.total_bytes, row.reason);
}

}  // namespace pepeunit::graph_registry
