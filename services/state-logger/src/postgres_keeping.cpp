#include "postgres_keeping.h"

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/postgres/params.h"
#include "rows.h"
#include "stage.h"

namespace pepeunit::state_logger {
namespace {

constexpr char kWindowColumns[] =
    "w.variable_id, w.unit_id, w.start_ms, w.width_ms, w.mode, w.count, w.sum, w.minimum, w.maximum, w.last, w.last_ms,"
    " w.samples, w.due_ms";

void ReadWindow(const pqxx::row& row, Windows* windows) {
  Window& window = (*windows)[{ReadUuid(row[0]), row[2].as<std::int64_t>(), row[3].as<std::int64_t>()}];
  window.unit = ReadUuid(row[1]);
  window.mode = static_cast<common::v1::LoggingMode>(row[4].as<int>());
  window.count = row[5].as<std::int64_t>();
  window.sum = row[6].as<double>();
  window.minimum = row[7].as<double>();
  window.maximum = row[8].as<double>();
  window.last = row[9].as<double>();
  window.last_ms = row[10].as<std::int64_t>();
  const pqxx::binarystring samples(row[11]);
  window.samples = Median::Parse({reinterpret_cast<const char*>(samples.data()), samples.size()});
  window.due_ms = row[12].as<std::int64_t>();
}

struct Places {
  Array variable, start, width;

  template <typename Key>
  void Add(const Key& key) {
    variable.Add(key.variable.ToString());
    start.Add(std::to_string(key.start_ms));
    width.Add(std::to_string(key.width_ms));
  }
};

Windows LockWindows(pqxx::work& tx, const std::set<WindowKey>& keys) {
  Windows windows;
  if (keys.empty()) return windows;
  Places places;
  for (const WindowKey& key : keys) places.Add(key);
  for (const auto& row :
       tx.exec_params(std::string("SELECT ") + kWindowColumns +
                          " FROM open_window w JOIN unnest($1::uuid[], $2::bigint[], $3::bigint[])"
                          " AS k (variable_id, start_ms, width_ms) USING (variable_id, start_ms, width_ms)"
                          " ORDER BY w.variable_id, w.start_ms, w.width_ms FOR NO KEY UPDATE OF w",
                      places.variable.Finish(), places.start.Finish(), places.width.Finish())) {
    ReadWindow(row, &windows);
  }
  return windows;
}

KeptValues LockKept(pqxx::work& tx, const std::vector<SampleRow>& samples) {
  std::set<Uuid> variables;
  for (const SampleRow& sample : samples) {
    if (sample.policy->mode() == common::v1::LOGGING_MODE_RATE ||
        sample.policy->mode() == common::v1::LOGGING_MODE_ON_CHANGE)
      variables.insert(sample.variable);
  }
  KeptValues kept;
  if (variables.empty()) return kept;
  for (const auto& row : tx.exec_params("SELECT variable_id, time_ms, kind, number, text FROM kept_value"
                                        " WHERE variable_id = ANY ($1::uuid[]) ORDER BY variable_id FOR NO KEY UPDATE",
                                        postgres::ArrayOf(std::vector<Uuid>(variables.begin(), variables.end())))) {
    kept[ReadUuid(row[0])] = {row[1].as<std::int64_t>(), ReadScalar(row[2], row[3], row[4])};
  }
  return kept;
}

std::set<Slot> Occupied(pqxx::work& tx, const std::set<Slot>& slots, const SeriesIds& ids) {
  std::set<Slot> occupied;
  for (const Slot& slot : slots) {  // few: only devices that send the newest first make any
    const auto id = ids.find(slot.variable);
    if (id == ids.end()) continue;
    const auto found =
        tx.exec("SELECT 1 FROM reading WHERE series = " + std::to_string(id->second) + " AND time >= '" +
                FormatTime(slot.start_ms) + "' AND time < '" + FormatTime(slot.start_ms + slot.width_ms) + "' LIMIT 1");
    if (!found.empty()) occupied.insert(slot);
  }
  return occupied;
}

}  // namespace

KeepingState LockKeeping(pqxx::work& tx, const std::vector<SampleRow>& samples, const SeriesIds& ids) {
  KeepingState state;
  if (samples.empty()) return state;
  state.windows = LockWindows(tx, WindowsOf(samples));
  state.kept = LockKept(tx, samples);
  state.occupied = Occupied(tx, OldSlotsOf(samples, state.kept), ids);
  return state;
}

void StoreKeeping(pqxx::work& tx, const KeepingState& state) {
  if (!state.windows.empty()) {
    Places places;
    Array unit, mode, count, sum, minimum, maximum, last, last_ms, samples, due;
    for (const auto& [key, window] : state.windows) {
      places.Add(key);
      unit.Add(window.unit.ToString());
      mode.Add(std::to_string(window.mode));
      count.Add(std::to_string(window.count));
      for (const auto& [array, value] : {std::pair(&sum, window.sum), std::pair(&minimum, window.minimum),
                                         std::pair(&maximum, window.maximum), std::pair(&last, window.last)}) {
        array->Add(NumberText(value));
      }
      last_ms.Add(std::to_string(window.last_ms));
      samples.AddQuoted("\\x" + HexEncode(AsBytes(window.samples.Serialize())));
      due.Add(std::to_string(window.due_ms));
    }
    tx.exec_params(
        "INSERT INTO open_window (variable_id, unit_id, start_ms, width_ms, mode, count, sum, minimum, maximum, last,"
        " last_ms, samples, due_ms) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[],"
        " $5::smallint[], $6::bigint[], $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::bigint[],"
        " $12::bytea[], $13::bigint[]) ON CONFLICT (variable_id, start_ms, width_ms) DO UPDATE SET"
        " count = excluded.count, sum = excluded.sum, minimum = excluded.minimum, maximum = excluded.maximum,"
        " last = excluded.last, last_ms = excluded.last_ms, samples = excluded.samples, due_ms = excluded.due_ms",
        places.variable.Finish(), unit.Finish(), places.start.Finish(), places.width.Finish(), mode.Finish(),
        count.Finish(), sum.Finish(), minimum.Finish(), maximum.Finish(), last.Finish(), last_ms.Finish(),
        samples.Finish(), due.Finish());
  }
  if (state.kept.empty()) return;
  Array variable, time, kind, number, text;
  for (const auto& [id, kept] : state.kept) {
    variable.Add(id.ToString());
    time.Add(std::to_string(kept.time_ms));
    AddColumns(kept.value, &kind, &number, &text);
  }
  tx.exec_params(
      "INSERT INTO kept_value (variable_id, time_ms, kind, number, text) SELECT * FROM unnest($1::uuid[],"
      " $2::bigint[], $3::smallint[], $4::float8[], $5::text[]) ON CONFLICT (variable_id) DO UPDATE SET"
      " time_ms = excluded.time_ms, kind = excluded.kind, number = excluded.number, text = excluded.text",
      variable.Finish(), time.Finish(), kind.Finish(), number.Finish(), text.Finish());
}

Windows TakeDueWindows(pqxx::work& tx, std::int64_t now_ms, int most) {
  Windows windows;
  const auto rows = tx.exec_params(
      std::string("WITH due AS (SELECT variable_id, start_ms, width_ms FROM open_window WHERE due_ms <= $1"
                  " ORDER BY due_ms LIMIT $2 FOR UPDATE SKIP LOCKED)"
                  " DELETE FROM open_window w USING due WHERE (w.variable_id, w.start_ms, w.width_ms) ="
                  " (due.variable_id, due.start_ms, due.width_ms) RETURNING ") +
          kWindowColumns,
      now_ms, most);
  for (const auto& row : rows) ReadWindow(row, &windows);
  for (auto& [key, window] : windows) window.median = window.samples.Get();
  return windows;
}

void MergeClosed(pqxx::work& tx, const SeriesIds& ids, Windows* windows) {
  if (windows->empty()) return;
  Array series, time, width;
  std::map<std::pair<int, std::int64_t>, std::vector<Windows::iterator>> by_place;
  std::int64_t first = INT64_MAX, end = INT64_MIN;
  for (auto it = windows->begin(); it != windows->end(); ++it) {
    const auto id = ids.find(it->first.variable);
    if (id == ids.end()) continue;
    series.Add(std::to_string(id->second));
    time.Add(FormatTime(it->first.start_ms));
    width.Add(std::to_string(it->first.width_ms / 1000));
    by_place[{id->second, it->first.start_ms}].push_back(it);
    first = std::min(first, it->first.start_ms);
    end = std::max(end, it->first.start_ms);
  }
  if (by_place.empty()) return;
  // The bounds are constants, so that only the tables of these days are looked into.
  const auto rows = tx.exec_params(
      "DELETE FROM reading r USING unnest($1::int[], $2::timestamptz[], $3::float8[]) AS w (series, time, width)"
      " WHERE r.series = w.series AND r.time = w.time AND r.stats[6] = w.width AND r.time >= '" +
          FormatTime(first) + "' AND r.time <= '" + FormatTime(end) +
          "' RETURNING r.series, (extract(epoch FROM r.time) * 1000)::bigint, r.number, r.stats[1], r.stats[2],"
          " r.stats[3], r.stats[4], r.stats[5], r.stats[6], r.stats[7]",
      series.Finish(), time.Finish(), width.Finish());
  for (const auto& row : rows) {
    for (const auto& it : by_place[{row[0].as<int>(), row[1].as<std::int64_t>()}]) {
      if (it->first.width_ms != static_cast<std::int64_t>(row[8].as<double>()) * 1000) continue;
      Window& window = it->second;
      Window before = window;
      before.median = row[2].as<double>();
      before.count = static_cast<std::int64_t>(row[3].as<double>());
      before.sum = row[4].as<double>();
      before.minimum = row[5].as<double>();
      before.maximum = row[6].as<double>();
      before.last = row[7].as<double>();
      before.last_ms = static_cast<std::int64_t>(row[9].as<double>());
      before.Merge(window);
      window = before;
    }
  }
}

}  // namespace pepeunit::state_logger
