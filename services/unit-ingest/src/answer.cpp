#include "answer.h"

#include <nlohmann/json.hpp>

#include "pepeunit/base/clock.h"

namespace pepeunit::unit_ingest {
namespace {

constexpr std::size_t kMostAnswer = 3'900;  // of plaintext, so that the sealed answer has at most 4096 bytes
constexpr std::size_t kMostProblem = 160;   // of one text in it
constexpr std::size_t kTail = 24;           // `},"truncated":true}`

std::string Offer(const Profile& profile) {
  return "\"update\":{\"commit\":\"" + profile.target_commit +
         "\",\"attempt\":" + std::to_string(profile.update_attempt) + "}";
}

}  // namespace

std::string GoodAnswer(const Profile& profile, const std::vector<std::string>& inputs, const AnswerFacts& facts) {
  std::string out = "{";
  if (facts.next != 0) out += "\"next\":" + std::to_string(facts.next) + ",";
  out +=
      "\"world_state\":{\"utc\":\"" + FormatTime(facts.now_ms) + "\",\"unix_ms\":" + std::to_string(facts.now_ms) + "}";
  if (facts.pushes) out += ",\"pushes\":" + std::to_string(*facts.pushes);
  if (facts.offer_update) out += ',' + Offer(profile);
  out += ",\"input_variables\":{";
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

std::string PushText(const Profile& profile, const PushFacts& facts, std::size_t* taken) {
  *taken = 0;
  if (facts.inputs.empty() && !facts.offer_update) return "";
  std::string out = "{";
  if (facts.offer_update) out += Offer(profile) + ',';
  out += "\"input_variables\":{";
  constexpr std::size_t kEmpty = 160;  // more than what is there by now and at the end
  bool first = true, truncated = false;
  for (const auto& [place, value] : facts.inputs) {
    const std::string& name = profile.inputs[place].name;
    const std::size_t size = name.size() + value.size() + 6;
    const bool never = size + kEmpty > kMostAnswer;
    if (!never && out.size() + size + kTail > kMostAnswer) break;
    ++*taken;
    truncated = truncated || never;
    if (never) continue;
    out += (first ? "\"" : ",\"") + name + "\":" + value;
    first = false;
  }
  return out + (truncated ? "},\"truncated\":true}" : "}}");
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
