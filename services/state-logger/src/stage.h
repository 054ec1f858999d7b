#pragma once

#include <map>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "batch.h"
#include "link_flow.h"

// The writes of a batch, as bulk as PostgreSQL takes them: COPY for the history, one statement over arrays for
// each kind of newest row.
namespace pepeunit::state_logger {

void CopyReadings(pqxx::work& tx, const std::vector<ReadingRow>& readings);
void UpsertCurrent(pqxx::work& tx, const std::map<Uuid, CurrentRow>& current);
void UpsertUnits(pqxx::work& tx, const std::map<Uuid, UnitRow>& units);
// All but what voids their values.
void UpsertLinks(pqxx::work& tx, const LinkStates& links);

}  // namespace pepeunit::state_logger
