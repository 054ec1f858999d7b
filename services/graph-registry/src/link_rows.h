#pragma once

#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "rows.h"

// Links with all that decides whether they hold, in SQL.
namespace pepeunit::graph_registry {

std::string LinkColumns();
graph::v1::Link ReadLink(const pqxx::row& row);

// For the transaction: LinkRowQuery names its tables in the order in which they are best joined, and weighing the other
// orders takes PostgreSQL several times as long as reading the rows.
inline constexpr char kJoinAsWritten[] = "SET LOCAL join_collapse_limit = 1";

// Of the links of `from`, an expression with the columns of `link` that is named l; `more` columns follow kLinkRow.
std::string LinkRowQuery(const std::string& from, const std::string& more = "");
inline constexpr int kLinkRow = 11 + 2 * kVariableColumns + 2 * kFacts;
LinkRow ReadLinkRow(const pqxx::row& row);
std::vector<LinkRow> ReadLinkRows(const pqxx::result& result);

// With which of its ends the viewer sees: the columns to add to LinkRowQuery, and their reading.
std::string SeenColumns(postgres::Params& params, const access::Subject& viewer);
SeenLink ReadSeen(const pqxx::row& row);

// The links that touch a unit or a variable, or all: an expression with the columns of `link`, to be named.
std::string LinksTouching(postgres::Params& params, const Uuid& node);

}  // namespace pepeunit::graph_registry
