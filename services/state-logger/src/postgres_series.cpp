#include "postgres_series.h"

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/postgres/params.h"
#include "rows.h"

namespace pepeunit::state_logger {
namespace {

constexpr std::size_t kMostKnown = 1'000'000;  // some 60 MB

std::string DateOf(std::int64_t day) { return FormatTime(day * kDayMs).substr(0, 10); }

}  // namespace

absl::StatusOr<SeriesIds> PostgresSeries::Ensure(const std::vector<std::pair<Uuid, Uuid>>& variables_and_units) {
  SeriesIds ids;
  std::vector<std::pair<Uuid, Uuid>> missing;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [variable, unit] : variables_and_units) {
      const auto known = ids_.find(variable);
      if (known != ids_.end())
        ids.insert(*known);
      else
        missing.emplace_back(variable, unit);
    }
  }
  if (missing.empty()) return ids;
  PEPEUNIT_RETURN_IF_ERROR(Make(missing));
  std::lock_guard lock(mutex_);
  for (const auto& [variable, unit] : missing) {
    if (const auto known = ids_.find(variable); known != ids_.end()) ids.insert(*known);
  }
  return ids;
}

absl::Status PostgresSeries::Make(const std::vector<std::pair<Uuid, Uuid>>& missing) {
  std::vector<Uuid> variables, units;
  for (const auto& [variable, unit] : missing) {
    variables.push_back(variable);
    units.push_back(unit);
  }
  const auto made = pool_.Query<SeriesIds>("make series", [&](pqxx::work& tx) -> absl::StatusOr<SeriesIds> {
    tx.exec_params(
        "INSERT INTO series (variable_id, unit_id) SELECT DISTINCT ON (v) v, u FROM unnest($1::uuid[], $2::uuid[])"
        " AS n (v, u) WHERE NOT EXISTS (SELECT 1 FROM removed WHERE id IN (v, u)) ORDER BY v ON CONFLICT DO NOTHING",
        postgres::ArrayOf(variables), postgres::ArrayOf(units));
    SeriesIds ids;
    for (const auto& row : tx.exec_params("SELECT variable_id, id FROM series WHERE variable_id = ANY ($1::uuid[])",
                                          postgres::ArrayOf(variables))) {
      ids.emplace(ReadUuid(row[0]), row[1].as<int>());
    }
    return ids;
  });
  if (!made.ok()) return made.status();
  std::lock_guard lock(mutex_);
  if (ids_.size() + made->size() > kMostKnown) ids_.clear();
  ids_.insert(made->begin(), made->end());
  return absl::OkStatus();
}

absl::Status PostgresSeries::EnsureDays(const std::set<std::int64_t>& days) {
  std::set<std::int64_t> missing;
  {
    std::lock_guard lock(mutex_);
    for (const std::int64_t day : days) {
      if (days_.count(day) == 0) missing.insert(day);
    }
  }
  if (missing.empty()) return absl::OkStatus();
  PEPEUNIT_RETURN_IF_ERROR(pool_.Transact("make days", [&](pqxx::work& tx) {
    tx.exec("SELECT pg_advisory_xact_lock(hashtext('pepeunit days ' || current_schema()))");
    for (const std::int64_t day : missing) {
      std::string name = "reading_" + DateOf(day);
      std::erase(name, '-');
      tx.exec("CREATE TABLE IF NOT EXISTS " + name + " PARTITION OF reading FOR VALUES FROM ('" + DateOf(day) +
              " 00:00:00+00') TO ('" + DateOf(day + 1) + " 00:00:00+00')");
      tx.exec("INSERT INTO reading_day (day) VALUES ('" + DateOf(day) + "') ON CONFLICT DO NOTHING");
    }
    return absl::OkStatus();
  }));
  std::lock_guard lock(mutex_);
  days_.merge(missing);
  return absl::OkStatus();
}

void PostgresSeries::Forget() {
  std::lock_guard lock(mutex_);
  days_.clear();
  ids_.clear();
}

}  // namespace pepeunit::state_logger
