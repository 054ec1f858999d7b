#pragma once

#include <cstdint>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "pepeunit/base/uuid.h"
#include "store.h"

// Columns of the tables, and their reading.
namespace pepeunit::graph_registry {

Uuid ReadUuid(const pqxx::field& field);  // nil for NULL
std::string ReadBytes(const pqxx::field& field);
std::vector<Uuid> ReadUuids(const pqxx::field& field);
void ReadTime(const pqxx::field& milliseconds, google::protobuf::Timestamp* out);

// A PostgreSQL array of elements that need no escaping: ids, numbers, hex digits, and names as schema.json allows them.
class Array {
 public:
  void Add(const std::string& element) { text_ += (text_.empty() ? "\"" : ",\"") + element + '"'; }
  std::string str() const { return '{' + text_ + '}'; }

 private:
  std::string text_;
};

std::string MsOf(const std::string& column);

// Reads the columns of a row one after the other, in the order in which a query names them: each Read below takes what
// the function beside it names.
class Columns {
 public:
  explicit Columns(pqxx::row row) : row_(std::move(row)) {}
  pqxx::field Next() { return row_[at_++]; }

 private:
  const pqxx::row row_;  // it shares its result
  pqxx::row::size_type at_ = 0;
};

// Of the node `n` whose parent is `p` (it may have none), with the role that the expression `grant` says.
std::string FactColumns(const std::string& n, const std::string& p, const std::string& grant);
NodeFacts ReadFacts(Columns& columns);

// All of a node but the viewer's role.
std::string NodeColumns(const std::string& n);
graph::v1::Node ReadNode(Columns& columns);

// Of the row `u` of `unit`; nullopt where that is NULL.
std::string VersionColumns(const std::string& u);
std::optional<graph::v1::UnitVersion> ReadVersion(Columns& columns);

// Of the row `v` of `variable`. Reading adds to the facts, which are there already.
std::string VariableColumns(const std::string& v);
void ReadVariable(Columns& columns, VariableRow* out);

// Of rows of `node_grant`.
std::string GrantColumns();
graph::v1::Grant ReadGrant(const pqxx::row& row);

}  // namespace pepeunit::graph_registry
