#pragma once

#include <pqxx/pqxx>
#include <string>

#include "rows.h"
#include "unit_update.h"

// unit_update in SQL, for the adapters that touch it in their transactions.
namespace pepeunit::graph_registry {

std::string UpdateColumns(const std::string& w);
UpdateRow ReadUpdate(Columns& columns);
// For the change of a unit whose node is locked.
UpdateRow LockUpdate(pqxx::work& tx, const std::string& unit);
void WriteUpdate(pqxx::work& tx, const std::string& unit, const UpdateRow& row);

}  // namespace pepeunit::graph_registry
