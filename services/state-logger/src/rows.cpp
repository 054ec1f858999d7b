#include "rows.h"

namespace pepeunit::state_logger {

Uuid ReadUuid(const pqxx::field& field) {
  return field.is_null() ? Uuid{} : Uuid::Parse(field.c_str()).value_or(Uuid{});
}

bus::v1::Scalar ReadScalar(const pqxx::field& kind, const pqxx::field& number, const pqxx::field& text) {
  bus::v1::Scalar scalar;
  switch (kind.as<int>()) {
    case bus::v1::Scalar::kNumber:
      scalar.set_number(number.as<double>());
      break;
    case bus::v1::Scalar::kBoolean:
      scalar.set_boolean(number.as<double>() != 0);
      break;
    case bus::v1::Scalar::kText:
      scalar.set_text(text.c_str());
      break;
    case bus::v1::Scalar::kJson:
      scalar.set_json(text.c_str());
      break;
    default:
      break;
  }
  return scalar;
}

LinkStates ReadLinks(pqxx::work& tx, const std::string& condition) {
  LinkStates links;
  for (const auto& row :
       tx.exec("SELECT link_id, unit_id, output_id, input_id, target_id, carried, limited, unfit,"
               " beyond_fan_out, carried_ms, limited_ms, refused_ms, tokens, filled_ms, void_before,"
               " held_kind, held_number, held_text, held_time_ms, held_seq, held_version, due_ms, fan_out_ms"
               " FROM link_state WHERE " +
               condition)) {
    LinkState& state = links[ReadUuid(row[0])];
    state.unit = ReadUuid(row[1]);
    state.output = ReadUuid(row[2]);
    state.input = ReadUuid(row[3]);
    state.target = ReadUuid(row[4]);
    state.carried = row[5].as<std::int64_t>();
    state.limited = row[6].as<std::int64_t>();
    state.unfit = row[7].as<std::int64_t>();
    state.beyond_fan_out = row[8].as<std::int64_t>();
    state.carried_ms = row[9].as<std::int64_t>();
    state.limited_ms = row[10].as<std::int64_t>();
    state.refused_ms = row[11].as<std::int64_t>();
    state.tokens = row[12].as<double>();
    state.filled_ms = row[13].as<std::int64_t>();
    state.void_before = row[14].as<std::uint64_t>();
    state.fan_out_ms = row[22].as<std::int64_t>();
    if (row[21].is_null()) continue;
    state.held = HeldValue{.value = ReadScalar(row[15], row[16], row[17]),
                           .time_ms = row[18].as<std::int64_t>(),
                           .stream_seq = row[19].as<std::uint64_t>(),
                           .version = row[20].as<std::uint64_t>(),
                           .due_ms = row[21].as<std::int64_t>()};
  }
  return links;
}

}  // namespace pepeunit::state_logger
