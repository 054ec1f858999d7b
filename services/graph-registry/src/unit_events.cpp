#include "unit_events.h"

#include "pepeunit/outbox/outbox.h"

namespace pepeunit::graph_registry {

void AppendUnitChanged(pqxx::work& tx, const std::string& unit, bool deleted, const std::vector<std::string>& removed) {
  bus::v1::Event event;
  auto* changed = event.mutable_unit_changed();
  changed->set_unit_id(unit);
  changed->set_deleted(deleted);
  for (const auto& id : removed) changed->add_removed_variable_ids(id);
  outbox::Append(tx, "events.graph.unit." + unit, event);
}

void AppendSourcesChanged(pqxx::work& tx, const std::string& unit) {
  const auto sources = tx.exec_params(
      "SELECT DISTINCT o.unit_id FROM link l JOIN variable i ON i.id = l.input_id JOIN variable o ON o.id = l.output_id"
      " WHERE i.unit_id = $1 AND o.unit_id <> $1",
      unit);
  for (const auto& row : sources) AppendUnitChanged(tx, row[0].c_str());
}

}  // namespace pepeunit::graph_registry
