#include "report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/values/values.h"

namespace pepeunit::unit_ingest {
namespace {

using nlohmann::json;

// Nesting, counted before anything is built, so that depth costs no memory.
bool DeeperThan(std::string_view text, int most) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > most) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// Of a delivery or a refusal.
template <typename Message>
void SetWay(const Output& output, const Target& target, Message* out) {
  out->set_link_id(target.link.ToBytes());
  out->set_output_id(output.id.ToBytes());
  out->set_input_id(target.input.ToBytes());
  out->set_unit_id(target.unit.ToBytes());
}

constexpr std::int64_t kMostWhole = (1LL << 53) - 1;  // in every JSON reader
const std::map<std::string, bus::v1::DeviceUpdateState> kUpdateStates = {
    {"downloading", bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING}, {"verifying", bus::v1::DEVICE_UPDATE_STATE_VERIFYING},
    {"restarting", bus::v1::DEVICE_UPDATE_STATE_RESTARTING},   {"failed", bus::v1::DEVICE_UPDATE_STATE_FAILED},
    {"rolled_back", bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK},
};

class Reader {
 public:
  Reader(const Profile& profile, std::int64_t received_ms, Parsed* out)
      : profile_(profile), received_ms_(received_ms), out_(out) {}

  void ReadState(const json& state) {
    if (!state.is_object() || state.size() > kMaxStateKeys)
      return Fail("unit_state", "must be an object of at most 64 keys");
    std::string text = state.dump(-1, ' ', false, json::error_handler_t::replace);
    if (text.size() > kMaxStateBytes) return Fail("unit_state", "must have at most 2048 bytes");
    if (const auto commit = state.find("commit");
        commit != state.end() && commit->is_string() && commit->get_ref<const std::string&>().size() == 40) {
      out_->commit = commit->get<std::string>();
    }
    report().set_unit_state(std::move(text));
  }

  void ReadOutputs(const json& outputs) {
    if (!outputs.is_array() || outputs.size() > kMaxReadings)
      return Fail("output_variables", "must be a list of at most 64 readings");
    for (std::size_t i = 0; i < outputs.size(); ++i) ReadOne(outputs[i], i);
    if (static_cast<std::size_t>(report().readings_size()) > kMaxValues)
      Fail("output_variables", "must have at most 512 values in all");
  }

  void ReadMaxAnswer(const json& value) {
    if (!value.is_number_integer() || value < 512 || value > 65'536)
      return Fail("max_answer_bytes", "must be from 512 to 65536");
    out_->max_answer = value.get<std::size_t>();
  }

  void ReadUpdate(const json& update) {
    if (!update.is_object()) return Fail("update", "must be an object with `commit`, `attempt` and `state`");
    bus::v1::DeviceUpdate told;
    const auto text = [&](const char* name, std::size_t most) {
      const auto found = update.find(name);
      if (found == update.end()) return std::string();
      if (found->is_string() && found->get_ref<const std::string&>().size() <= most) return found->get<std::string>();
      Fail(std::string("update.") + name, "must be text of at most " + std::to_string(most) + " bytes");
      return std::string();
    };
    const auto number = [&](const char* name, std::int64_t most) {
      const auto found = update.find(name);
      if (found == update.end()) return std::int64_t{0};
      if (found->is_number_integer() && *found >= 0 && *found <= most) return found->get<std::int64_t>();
      Fail(std::string("update.") + name, "must be from 0 to " + std::to_string(most));
      return std::int64_t{0};
    };
    told.set_commit(text("commit", 40));
    if (told.commit().size() != 40 || !HexDecode(told.commit()))
      Fail("update.commit", "must be a commit's 40 hex digits");
    told.set_attempt(static_cast<std::uint32_t>(number("attempt", 0x7FFF'FFFF)));
    told.set_done_bytes(number("done", kMostWhole));
    told.set_total_bytes(number("total", kMostWhole));
    told.set_reason(text("reason", kMaxReasonBytes));
    const auto state = kUpdateStates.find(text("state", 32));
    if (state == kUpdateStates.end())
      return Fail("update.state", "must be downloading, verifying, restarting, failed or rolled_back");
    told.set_state(state->second);
    out_->update = std::move(told);
  }

  // The newest value of each output, along its links: those of the unit's owner first, which others cannot push out.
  void Deliver(std::size_t most) {
    std::vector<const Newest*> order;
    for (const auto& [output, newest] : newest_) {
      if (!output->targets.empty()) order.push_back(&newest);
    }
    std::sort(order.begin(), order.end(), [](const Newest* a, const Newest* b) { return a->place < b->place; });
    for (const bool of_others : {false, true}) {
      for (const Newest* newest : order) {
        for (const Target& target : newest->output->targets) {
          if (target.of_others == of_others) Deliver(*newest, target, most);
        }
      }
    }
  }

  absl::Status Finish() { return violations_.empty() ? absl::OkStatus() : InvalidFields(std::move(violations_)); }
  void Fail(const std::string& field, const std::string& what) {
    if (violations_.size() < 16) violations_.push_back({field, what});
  }

 private:
  struct Newest {
    const Output* output;
    const json* value;
    std::int64_t time_ms;
    int place;
  };

  bus::v1::Report& report() { return *out_->message.mutable_report(); }

  void Deliver(const Newest& newest, const Target& target, std::size_t most) {
    const auto carried = schema::Carry(*newest.value, target.definition);
    if (!carried || static_cast<std::size_t>(report().deliveries_size()) >= most) {
      auto& refusal = out_->refusals.emplace_back();
      SetWay(*newest.output, target, &refusal);
      carried ? refusal.set_beyond_fan_out(1) : refusal.set_unfit(1);
      return;
    }
    auto* delivery = report().add_deliveries();
    SetWay(*newest.output, target, delivery);
    delivery->set_time_ms(newest.time_ms);
    values::ToScalar(*carried, target.definition.type, delivery->mutable_value());
  }

  void ReadOne(const json& reading, std::size_t index) {
    const auto at = [index](const char* tail) { return "output_variables[" + std::to_string(index) + "]" + tail; };
    if (!reading.is_object()) return Fail(at(""), "must be an object with `age_ms` and `values`");
    std::int64_t age = 0;
    if (const auto found = reading.find("age_ms"); found != reading.end()) {
      if (!found->is_number() || *found < 0 || *found > kMaxAgeMs)
        return Fail(at(".age_ms"), "must be from 0 to 2592000000 (30 days)");
      age = static_cast<std::int64_t>(found->get<double>());
    }
    const auto values = reading.find("values");
    if (values == reading.end() || !values->is_object())
      return Fail(at(".values"), "must be an object from output to value");
    for (const auto& [name, value] : values->items()) {
      const auto output = profile_.outputs.find(name);
      if (output == profile_.outputs.end()) {
        Fail(at(".values.") + name.substr(0, 64), "is not an output variable of this unit");
        continue;
      }
      const auto status = schema::CheckValue(output->second.definition, value, "");
      if (!status.ok()) {
        Fail(at(".values.") + name, InfoOf(status).violations[0].description);
        continue;
      }
      Add(output->second, value, received_ms_ - age);
    }
  }

  void Add(const Output& output, const json& value, std::int64_t time_ms) {
    auto* reading = report().add_readings();
    reading->set_variable_id(output.id.ToBytes());
    reading->set_time_ms(time_ms);
    reading->set_unlogged(output.definition.logging.mode == schema::LoggingMode::kOff);
    if (output.definition.logging.mode > schema::LoggingMode::kDirect) reading->set_policy(PolicyOf(output));
    values::ToScalar(value, output.definition.type, reading->mutable_value());
    const Newest newest{&output, &value, time_ms, report().readings_size()};
    const auto [found, fresh] = newest_.try_emplace(&output, newest);
    if (!fresh && time_ms >= found->second.time_ms) found->second = newest;
  }

  // The place of the output's policy among those of the report, from 1.
  std::uint32_t PolicyOf(const Output& output) {
    std::uint32_t& place = policies_[&output];
    if (place == 0) {
      *report().add_policies() = values::FromLogging(output.definition.logging);
      place = static_cast<std::uint32_t>(report().policies_size());
    }
    return place;
  }

  const Profile& profile_;
  const std::int64_t received_ms_;
  Parsed* out_;
  std::map<const Output*, Newest> newest_;
  std::map<const Output*, std::uint32_t> policies_;
  std::vector<FieldViolation> violations_;
};

}  // namespace

absl::StatusOr<Parsed> ParseReport(const Profile& profile, std::string_view plaintext, std::int64_t received_ms,
                                   std::size_t max_deliveries) {
  if (DeeperThan(plaintext, kMaxDepth)) return InvalidField("body", "must have at most 20 levels");
  const json body = json::parse(plaintext, nullptr, false);
  if (!body.is_object()) return InvalidField("body", "must be a JSON object");
  Parsed parsed;
  auto* report = parsed.message.mutable_report();
  report->set_unit_id(profile.unit.ToBytes());
  report->set_received_ms(received_ms);
  report->set_profile_version(profile.version);
  Reader reader(profile, received_ms, &parsed);
  // Keys that are not known are left to later versions of the protocol.
  if (const auto state = body.find("unit_state"); state != body.end()) reader.ReadState(*state);
  if (const auto outputs = body.find("output_variables"); outputs != body.end()) reader.ReadOutputs(*outputs);
  if (const auto update = body.find("update"); update != body.end()) reader.ReadUpdate(*update);
  if (const auto most = body.find("max_answer_bytes"); most != body.end()) reader.ReadMaxAnswer(*most);
  PEPEUNIT_RETURN_IF_ERROR(reader.Finish());
  reader.Deliver(max_deliveries);
  return parsed;
}

}  // namespace pepeunit::unit_ingest
