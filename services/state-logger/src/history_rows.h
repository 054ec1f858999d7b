#pragma once

#include <pqxx/pqxx>

#include "history_store.h"

// Rows of the history as the domain has them.
namespace pepeunit::state_logger {

// As PostgreSQL reads it; between the years 1970 and 2100.
std::string MicrosText(std::int64_t us);

std::vector<std::optional<Series>> SelectSeries(pqxx::work& tx, const std::vector<Uuid>& variables);
// As HistoryStore::Readings.
std::vector<StoredPoint> SelectReadings(pqxx::work& tx, const Series& series, std::int64_t from_us,
                                        const ReadingKey& after, std::int64_t to_us, int limit);

}  // namespace pepeunit::state_logger
