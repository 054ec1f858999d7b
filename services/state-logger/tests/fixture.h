#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "migrations.h"
#include "postgres_store.h"
#include "private_postgres.h"

namespace pepeunit::state_logger {

// The stream is so, whenever it is looked at.
inline AskStream Now(const bus::StreamState& state) {
  return [state] { return absl::StatusOr<bus::StreamState>(state); };
}

inline bus::v1::Scalar Number(double value) {
  bus::v1::Scalar scalar;
  scalar.set_number(value);
  return scalar;
}
inline bus::v1::Scalar Text(const std::string& value) {
  bus::v1::Scalar scalar;
  scalar.set_text(value);
  return scalar;
}

inline common::v1::Logging Policy(common::v1::LoggingMode mode, std::int64_t window_s = 0, std::int64_t every_s = 0,
                                  double dead_band = 0) {
  common::v1::Logging policy;
  policy.set_mode(mode);
  policy.set_window_s(window_s);
  policy.set_every_s(every_s);
  policy.set_dead_band(dead_band);
  return policy;
}

// A report of one unit, made piece by piece.
struct ReportMaker {
  ReportMaker(const Uuid& unit, std::uint64_t sequence, std::int64_t received_ms = 1'700'000'000'000) {
    report.set_unit_id(unit.ToBytes());
    report.set_sequence(sequence);
    report.set_request_tag("tag" + std::to_string(sequence));
    report.set_received_ms(received_ms);
  }
  ReportMaker& Reading(const Uuid& variable, std::int64_t time_ms, const bus::v1::Scalar& value,
                       bool unlogged = false) {
    auto* reading = report.add_readings();
    reading->set_variable_id(variable.ToBytes());
    reading->set_time_ms(time_ms);
    *reading->mutable_value() = value;
    reading->set_unlogged(unlogged);
    return *this;
  }
  // A reading of a variable of which not all are kept.
  ReportMaker& Sample(const Uuid& variable, std::int64_t time_ms, const bus::v1::Scalar& value,
                      const common::v1::Logging& policy) {
    Reading(variable, time_ms, value);
    *report.add_policies() = policy;
    report.mutable_readings(report.readings_size() - 1)->set_policy(static_cast<std::uint32_t>(report.policies_size()));
    return *this;
  }
  ReportMaker& Delivery(const Uuid& input, const Uuid& unit, std::int64_t time_ms, const bus::v1::Scalar& value,
                        const Uuid& link = Uuid::New(), const Uuid& output = Uuid()) {
    auto* delivery = report.add_deliveries();
    delivery->set_link_id(link.ToBytes());
    delivery->set_output_id(output.ToBytes());
    delivery->set_input_id(input.ToBytes());
    delivery->set_unit_id(unit.ToBytes());
    delivery->set_time_ms(time_ms);
    *delivery->mutable_value() = value;
    return *this;
  }
  ReportMaker& Refusal(const Uuid& input, const Uuid& unit, std::uint32_t unfit, std::uint32_t beyond_fan_out,
                       const Uuid& link, const Uuid& output) {
    auto* refusal = report.add_refusals();
    refusal->set_link_id(link.ToBytes());
    refusal->set_output_id(output.ToBytes());
    refusal->set_input_id(input.ToBytes());
    refusal->set_unit_id(unit.ToBytes());
    refusal->set_unfit(unfit);
    refusal->set_beyond_fan_out(beyond_fan_out);
    return *this;
  }
  ReportMaker& From(std::uint64_t profile_version) {
    report.set_profile_version(profile_version);
    return *this;
  }
  ReportMaker& State(const std::string& json) {
    report.set_unit_state(json);
    return *this;
  }
  std::string Payload() const {
    bus::v1::ValueMessage message;
    *message.mutable_report() = report;
    return message.SerializeAsString();
  }
  bus::Message At(std::uint64_t stream_seq) const { return {"values.0.report.x", Payload(), stream_seq, ""}; }

  bus::v1::Report report;
};

inline std::string InputPayload(const Uuid& input, const Uuid& unit, std::int64_t time_ms,
                                const bus::v1::Scalar& value) {
  bus::v1::ValueMessage message;
  message.mutable_input()->set_input_id(input.ToBytes());
  message.mutable_input()->set_unit_id(unit.ToBytes());
  message.mutable_input()->set_time_ms(time_ms);
  *message.mutable_input()->mutable_value() = value;
  return message.SerializeAsString();
}

inline postgres::PrivatePostgres& Database() {
  static postgres::PrivatePostgres server;
  return server;
}

// The tables, empty, in a schema of their own.
struct Tables {
  std::string schema;
  postgres::Pool pool{{.dsn = Database().dsn(), .schema = schema}};
  PostgresStore store{pool};

  explicit Tables(std::string name = Database().NewSchema()) : schema(std::move(name)) {
    REQUIRE(postgres::ApplyMigrations(pool, schema, kMigrations).ok());
  }

  std::string One(const std::string& query) {
    return *pool.Query<std::string>("test", [&](pqxx::work& tx) -> absl::StatusOr<std::string> {
      const auto field = tx.exec1(query)[0];
      return std::string(field.is_null() ? "null" : field.c_str());
    });
  }
  absl::Status Exec(const std::string& query) {
    return pool.Transact("test", [&](pqxx::work& tx) {
      tx.exec(query);
      return absl::OkStatus();
    });
  }
};

}  // namespace pepeunit::state_logger
