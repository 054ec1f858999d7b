#include "answer.h"

#include <nlohmann/json.hpp>

#include "pepeunit/base/clock.h"

namespace pepeunit::unit_ingest {
namespace {

constexpr std::size_t kMostAnswer = 3'900;  // of plaintext, so that the sealed answer has at most 4096 bytes
constexpr std::size_t kMostProblem = 160;   // of one text in it

}  // namespace

std::string GoodAnswer(const Profile& profile, const std::vector<std::string>& inputs, const AnswerFacts& facts) {
  std::string out = "{";
  if (facts.next != 0) out += "\"next\":" + std::to_string(facts.next) + ",";
  out +=
      "\"world_state\":{\"utc\":\"" + FormatTime(facts.now_ms) + "\",\"unix_ms\":" + std::to_string(facts.now_ms) + "}";
  if (facts.offer_update) {
    out += ",\"update\":{\"commit\":\"" + profile.target_commit +
           "\",\"attempt\":" + std::to_string(profile.update_attempt) + "}";
  }
  out += ",\"input_variables\":{";
  constexpr std::size_t kTail = 24;  // `},"truncated":true}`
  bool first = true, truncated = false;
  for (std::size_t i = 0; i < profile.inputs.size(); ++i) {
    // A name has no character that JSON would have to escape.
    const std::string& name = profile.inputs[i].name;
    if (out.size() + name.size() + inputs[i].size() + 4 + kTail > facts.max_bytes) {
      truncated = true;
      continue;
    }
    if (!first) out += ',';
    first = false;
    out += '"' + name + "\":" + inputs[i];
  }
  out += truncated ? "},\"truncated\":true}" : "}}";
  return out;
}

std::string SequenceAnswer(std::uint64_t next, bool accepted) {
  return "{\"error\":\"sequence\",\"next\":" + std::to_string(next) +
         ",\"accepted\":" + (accepted ? "true}" : "false}");
}

// Within kMostAnswer whatever the device sent: what does not fit is named in the answer to its next try.
std::string InvalidAnswer(const absl::Status& status) {
  const auto text = [](const nlohmann::json& json) {
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  const auto& violations = InfoOf(status).violations;
  const std::string detail = violations.empty() ? std::string(status.message()) : "Some of the request is not valid.";
  std::string out = "{\"error\":\"invalid\",\"detail\":" + text(detail.substr(0, kMostProblem));
  if (!violations.empty()) out += ",\"errors\":[";
  bool first = true;
  for (const auto& v : violations) {
    const std::string problem =
        "{\"field\":" + text(v.field) + ",\"detail\":" + text(v.description.substr(0, kMostProblem)) + '}';
    if (out.size() + problem.size() + 3 > kMostAnswer) continue;
    out += (first ? "" : ",") + problem;
    first = false;
  }
  return out + (violations.empty() ? "}" : "]}");
}

std::string BusyAnswer(std::int64_t retry_after_ms) {
  return "{\"error\":\"busy\",\"retry_after_ms\":" + std::to_string(retry_after_ms) + "}";
}

}  // namespace pepeunit::unit_ingest
