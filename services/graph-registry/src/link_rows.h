#pragma once

#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "pepeunit/postgres/params.h"
#include "rows.h"

// Links with all that decides whether they hold, in SQL.
namespace pepeunit::graph_registry {

// Of the row `l` of `link`.
std::string LinkColumns();
graph::v1::Link ReadLink(Columns& columns);

// For the transaction: LinkRowQuery names its tables in the order in which they are best joined, and weighing the other
// orders takes PostgreSQL several times as long as reading the rows.
inline constexpr char kJoinAsWritten[] = "SET LOCAL join_collapse_limit = 1";

// Of the links of `from`, an expression with the columns of `link` that is named l; then `more` columns. Roles on an
// end are read only where the creator does not own it.
std::string LinkRowQuery(const std::string& from, const std::string& more = "");
LinkRow ReadLinkRow(Columns& columns);
std::vector<LinkRow> ReadLinkRows(const pqxx::result& result);

// With which of its ends the viewer sees: the columns to add to LinkRowQuery, and the reading of all.
std::string SeenColumns(postgres::Params& params, const access::Subject& viewer);
SeenLink ReadSeen(const pqxx::row& row);

// The links that touch a unit or a variable, or all: an expression with the columns of `link`, to be named.
std::string LinksTouching(postgres::Params& params, const Uuid& node);

}  // namespace pepeunit::graph_registry
