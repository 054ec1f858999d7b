#include "store.h"

namespace pepeunit::graph_registry {

void VariableRow::Declare(graph::v1::Variable definition, bool accepts_people, bool accepts_links) {
  variable = std::move(definition);
  variable.set_id(facts.id.ToString());
  variable.set_level(static_cast<common::v1::AccessLevel>(facts.access.level));
  variable.set_etag(std::to_string(facts.version));
  if (variable.kind() != graph::v1::VARIABLE_KIND_INPUT) return;
  schema_lets_people = variable.writable_by_people();
  schema_lets_links = variable.writable_by_links();
  variable.set_accepts_people(accepts_people);
  variable.set_accepts_links(accepts_links);
  variable.set_writable_by_people(schema_lets_people && accepts_people);
  variable.set_writable_by_links(schema_lets_links && accepts_links);
}

}  // namespace pepeunit::graph_registry
