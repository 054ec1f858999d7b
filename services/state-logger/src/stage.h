#pragma once

#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "batch.h"
#include "keeping.h"
#include "link_flow.h"
#include "postgres_series.h"

// The writes of a batch, as bulk as PostgreSQL takes them: COPY for the history, one statement over arrays for
// each kind of newest row.
namespace pepeunit::state_logger {

// An array literal, element by element.
class Array {
 public:
  void Add(const std::string& plain) { Separate() += plain; }
  void AddNull() { Separate() += "NULL"; }
  void AddQuoted(const std::string& text);  // without NUL, which PostgreSQL does not take
  void Add(const std::optional<std::string>& text) { text ? AddQuoted(*text) : AddNull(); }
  std::string Finish() const { return (text_.empty() ? "{" : text_) + "}"; }

 private:
  std::string& Separate() { return text_ += text_.empty() ? '{' : ','; }
  std::string text_;
};

std::string NumberText(double value);  // the shortest that reads back the same
// The columns of a value.
void AddColumns(const bus::v1::Scalar& value, Array* kind, Array* number, Array* text);

// What has no series was removed from the graph, and is left out.
void CopyReadings(pqxx::work& tx, const std::vector<ReadingRow>& readings, const SeriesIds& ids);
void CopyWindows(pqxx::work& tx, const Windows& windows, const SeriesIds& ids);
// Roll-ups of these minutes of series have to be made anew.
void MarkLate(pqxx::work& tx, const std::set<std::pair<int, std::int64_t>>& minutes);
void UpsertCurrent(pqxx::work& tx, const std::map<Uuid, CurrentRow>& current);
void UpsertUnits(pqxx::work& tx, const std::map<Uuid, UnitRow>& units);
// All but what voids their values.
void UpsertLinks(pqxx::work& tx, const LinkStates& links);

}  // namespace pepeunit::state_logger
