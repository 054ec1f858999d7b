#pragma once

#include <pqxx/pqxx>
#include <string>
#include <vector>

// Events of units, written in the transaction of the change.
namespace pepeunit::graph_registry {

// What unit-ingest caches of this unit is no longer true.
void AppendUnitChanged(pqxx::work& tx, const std::string& unit, bool deleted = false,
                       const std::vector<std::string>& removed = {});

// The same of the units whose outputs are linked into this unit's inputs: their profiles speak of it.
void AppendSourcesChanged(pqxx::work& tx, const std::string& unit);

}  // namespace pepeunit::graph_registry
