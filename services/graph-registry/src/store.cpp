#include "store.h"

#include "pepeunit/values/values.h"

namespace pepeunit::graph_registry {

void VariableRow::Declare(graph::v1::Variable definition, Choices chosen) {
  variable = std::move(definition);
  choices = std::move(chosen);
  variable.set_id(facts.id.ToString());
  variable.set_level(static_cast<common::v1::AccessLevel>(facts.access.level));
  variable.set_etag(std::to_string(facts.version));
  if (variable.kind() != graph::v1::VARIABLE_KIND_INPUT) {
    schema_logging = values::ToDefinition(variable).logging;
    values::SetLogging(choices.logging ? values::ToLogging(*choices.logging) : schema_logging, &variable);
    variable.set_logging_chosen(choices.logging.has_value());
    return;
  }
  schema_lets_people = variable.writable_by_people();
  schema_lets_links = variable.writable_by_links();
  variable.set_accepts_people(choices.accepts_people);
  variable.set_accepts_links(choices.accepts_links);
  variable.set_writable_by_people(schema_lets_people && choices.accepts_people);
  variable.set_writable_by_links(schema_lets_links && choices.accepts_links);
}

}  // namespace pepeunit::graph_registry
