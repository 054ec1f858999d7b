#include "stage.h"

#include <charconv>
#include <optional>
#include <tuple>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"

namespace pepeunit::state_logger {
namespace {

struct Columns {
  std::string kind;
  std::optional<std::string> number, text;
};

Columns ToColumns(const bus::v1::Scalar& value) {
  const std::string kind = std::to_string(static_cast<int>(value.kind_case()));
  switch (value.kind_case()) {
    case bus::v1::Scalar::kNumber:
      return {kind, NumberText(value.number()), std::nullopt};
    case bus::v1::Scalar::kBoolean:
      return {kind, value.boolean() ? "1" : "0", std::nullopt};
    case bus::v1::Scalar::kText:
      return {kind, std::nullopt, value.text()};
    case bus::v1::Scalar::kJson:
      return {kind, std::nullopt, value.json()};
    case bus::v1::Scalar::KIND_NOT_SET:
      break;
  }
  return {kind, std::nullopt, std::nullopt};
}

// A text that PostgreSQL takes: it has no NUL.
std::string WithoutNul(std::string text) {
  std::erase(text, '\0');
  return text;
}

}  // namespace

std::string NumberText(double value) {
  char text[40];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);  // the shortest that reads back the same
  return error == std::errc() ? std::string(text, end) : "NaN";
}

void Array::AddQuoted(const std::string& text) {
  std::string& out = Separate();
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c != '\0') out += c;
  }
  out += '"';
}

void AddColumns(const bus::v1::Scalar& value, Array* kind, Array* number, Array* text) {
  const Columns columns = ToColumns(value);
  kind->Add(columns.kind);
  columns.number ? number->Add(*columns.number) : number->AddNull();
  text->Add(columns.text);
}

void CopyReadings(pqxx::work& tx, const std::vector<ReadingRow>& readings, const SeriesIds& ids) {
  if (readings.empty()) return;
  pqxx::stream_to copy(tx, "reading",
                       std::vector<std::string>{"time", "stream_seq", "number", "series", "ord", "kind", "text"});
  for (const ReadingRow& row : readings) {
    const auto id = ids.find(row.variable);
    if (id == ids.end()) continue;  // removed from the graph meanwhile
    Columns columns = ToColumns(*row.value);
    if (columns.text) columns.text = WithoutNul(*std::move(columns.text));
    copy << std::make_tuple(FormatTime(row.time_ms), row.stream_seq, columns.number, id->second, row.ord, columns.kind,
                            columns.text);
  }
  copy.complete();
}

void CopyWindows(pqxx::work& tx, const Windows& windows, const SeriesIds& ids) {
  if (windows.empty()) return;
  pqxx::stream_to copy(tx, "reading",
                       std::vector<std::string>{"time", "stream_seq", "number", "series", "ord", "kind", "stats"});
  for (const auto& [key, window] : windows) {
    const auto id = ids.find(key.variable);
    if (id == ids.end()) continue;
    Array stats;
    for (const double value :
         {static_cast<double>(window.count), window.sum, window.minimum, window.maximum, window.last,
          static_cast<double>(key.width_ms / 1000), static_cast<double>(window.last_ms)}) {
      stats.Add(NumberText(value));
    }
    copy << std::make_tuple(FormatTime(key.start_ms), 0, NumberText(window.value()), id->second, 0,
                            static_cast<int>(bus::v1::Scalar::kNumber), stats.Finish());
  }
  copy.complete();
}

void MarkLate(pqxx::work& tx, const std::set<std::pair<int, std::int64_t>>& minutes) {
  if (minutes.empty()) return;
  Array series, minute;
  for (const auto& [id, time_ms] : minutes) {
    series.Add(std::to_string(id));
    minute.Add(FormatTime(time_ms));
  }
  tx.exec_params("INSERT INTO rollup_late (width, series, time) SELECT 60, * FROM unnest($1::int[], $2::timestamptz[])",
                 series.Finish(), minute.Finish());
}

void UpsertCurrent(pqxx::work& tx, const std::map<Uuid, CurrentRow>& current) {
  if (current.empty()) return;
  Array variable, unit, input, kind, number, text, time, seq;
  for (const auto& [id, row] : current) {
    variable.Add(id.ToString());
    unit.Add(row.unit.ToString());
    input.Add(std::string(row.input ? "t" : "f"));
    AddColumns(*row.value, &kind, &number, &text);
    time.Add(FormatTime(row.time_ms));
    seq.Add(std::to_string(row.stream_seq));
  }
  tx.exec_params(
      "INSERT INTO current_value AS c (variable_id, unit_id, input, kind, number, text, time, stream_seq)"
      " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bool[], $4::smallint[], $5::float8[], $6::text[], "
      "$7::timestamptz[], $8::bigint[])"
      " ON CONFLICT (variable_id) DO UPDATE SET kind = excluded.kind, number = excluded.number, text = excluded.text,"
      " time = excluded.time, stream_seq = excluded.stream_seq WHERE c.stream_seq < excluded.stream_seq"
      // A report may bring only readings older than the newest known.
      " AND (c.input OR c.time <= excluded.time)",
      variable.Finish(), unit.Finish(), input.Finish(), kind.Finish(), number.Finish(), text.Finish(), time.Finish(),
      seq.Finish());
}

void UpsertUnits(pqxx::work& tx, const std::map<Uuid, UnitRow>& units) {
  if (units.empty()) return;
  Array unit, state, seen, sequence, tag, seq;
  for (const auto& [id, row] : units) {
    unit.Add(id.ToString());
    state.AddQuoted(row.state);
    seen.Add(FormatTime(row.last_seen_ms));
    sequence.Add(std::to_string(static_cast<std::int64_t>(row.sequence)));
    tag.AddQuoted("\\x" + HexEncode(AsBytes(row.request_tag)));
    seq.Add(std::to_string(row.stream_seq));
  }
  tx.exec_params(
      "INSERT INTO unit_state AS u (unit_id, state, last_seen, sequence, request_tag, stream_seq)"
      " SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bytea[], $6::bigint[])"
      " ON CONFLICT (unit_id) DO UPDATE SET state = CASE WHEN excluded.state = '' THEN u.state ELSE excluded.state END,"
      " last_seen = excluded.last_seen, sequence = excluded.sequence, request_tag = excluded.request_tag,"
      " stream_seq = excluded.stream_seq WHERE u.stream_seq < excluded.stream_seq",
      unit.Finish(), state.Finish(), seen.Finish(), sequence.Finish(), tag.Finish(), seq.Finish());
}

void UpsertLinks(pqxx::work& tx, const LinkStates& links) {
  if (links.empty()) return;
  Array link, unit, output, input, target, carried, limited, unfit, beyond, carried_ms, limited_ms, refused_ms, tokens,
      filled, kind, number, text, time, seq, version, due, fan_out;
  for (const auto& [id, state] : links) {
    link.Add(id.ToString());
    unit.Add(state.unit.ToString());
    output.Add(state.output.ToString());
    input.Add(state.input.ToString());
    target.Add(state.target.ToString());
    for (const auto& [array, value] :
         {std::pair(&carried, state.carried), std::pair(&limited, state.limited), std::pair(&unfit, state.unfit),
          std::pair(&beyond, state.beyond_fan_out), std::pair(&carried_ms, state.carried_ms),
          std::pair(&limited_ms, state.limited_ms), std::pair(&refused_ms, state.refused_ms),
          std::pair(&filled, state.filled_ms), std::pair(&fan_out, state.fan_out_ms)}) {
      array->Add(std::to_string(value));
    }
    tokens.Add(NumberText(state.tokens));
    if (!state.held) {
      for (Array* array : {&kind, &number, &text, &time, &seq, &version, &due}) array->AddNull();
      continue;
    }
    AddColumns(state.held->value, &kind, &number, &text);
    time.Add(std::to_string(state.held->time_ms));
    seq.Add(std::to_string(state.held->stream_seq));
    version.Add(std::to_string(state.held->version));
    due.Add(std::to_string(state.held->due_ms));
  }
  tx.exec_params(
      "INSERT INTO link_state (link_id, unit_id, output_id, input_id, target_id, carried, limited, unfit,"
      " beyond_fan_out, carried_ms, limited_ms, refused_ms, tokens, filled_ms, held_kind, held_number, held_text,"
      " held_time_ms, held_seq, held_version, due_ms, fan_out_ms)"
      " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[], $7::bigint[],"
      " $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::float8[], $14::bigint[],"
      " $15::smallint[], $16::float8[], $17::text[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[],"
      " $22::bigint[])"
      " ON CONFLICT (link_id) DO UPDATE SET unit_id = excluded.unit_id, output_id = excluded.output_id,"
      " input_id = excluded.input_id, target_id = excluded.target_id, carried = excluded.carried,"
      " limited = excluded.limited, unfit = excluded.unfit, beyond_fan_out = excluded.beyond_fan_out,"
      " carried_ms = excluded.carried_ms, limited_ms = excluded.limited_ms, refused_ms = excluded.refused_ms,"
      " tokens = excluded.tokens, filled_ms = excluded.filled_ms, held_kind = excluded.held_kind,"
      " held_number = excluded.held_number, held_text = excluded.held_text, held_time_ms = excluded.held_time_ms,"
      " held_seq = excluded.held_seq, held_version = excluded.held_version, due_ms = excluded.due_ms,"
      " fan_out_ms = excluded.fan_out_ms",
      link.Finish(), unit.Finish(), output.Finish(), input.Finish(), target.Finish(), carried.Finish(),
      limited.Finish(), unfit.Finish(), beyond.Finish(), carried_ms.Finish(), limited_ms.Finish(), refused_ms.Finish(),
      tokens.Finish(), filled.Finish(), kind.Finish(), number.Finish(), text.Finish(), time.Finish(), seq.Finish(),
      version.Finish(), due.Finish(), fan_out.Finish());
}

}  // namespace pepeunit::state_logger
