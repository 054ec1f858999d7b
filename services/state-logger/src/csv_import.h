#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "history_store.h"
#include "pepeunit/schema/schema.h"

namespace pepeunit::state_logger {

struct CsvReadings {
  std::vector<ImportedReading> readings;
  std::int64_t lines = 0, refused = 0;                         // without the header and empty ones
  std::vector<std::pair<std::int64_t, std::string>> refusals;  // line from 1, and why; the first kMostRefusals
};
inline constexpr std::size_t kMostRefusals = 100;

// Readings of `variable` from CSV as RFC 4180 has it (quotes, doubled quotes, line breaks inside of quotes; lines end
// with CRLF or LF): the columns `time` and `value` by its header. Lines that are no reading are told; INVALID_ARGUMENT
// (`csv`) when it has no such header or is not UTF-8. Pure.
absl::StatusOr<CsvReadings> ReadCsv(const std::string& csv, const schema::Variable& variable, std::int64_t now_ms);

}  // namespace pepeunit::state_logger
