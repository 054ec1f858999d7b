#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pepeunit/base/errors.h"
#include "profile.h"

// The plaintexts that go back to a device. Pure.
namespace pepeunit::unit_ingest {

struct AnswerFacts {
  std::int64_t now_ms = 0;
  std::uint64_t next = 0;     // only in the answer to a hello: else 0
  bool offer_update = false;  // of the version that the profile says
  std::size_t max_bytes = 4000;
  std::optional<std::uint64_t> pushes;  // over a WebSocket: messages that were pushed before
};
// `inputs` holds each input's JSON text, in the order of the profile. Inputs that do not fit are left out, and
// "truncated": true says so.
std::string GoodAnswer(const Profile& profile, const std::vector<std::string>& inputs, const AnswerFacts& facts);

// What is pushed: of the inputs as many as fit, so that the first `*taken` are done with. What never fits is left out,
// and "truncated": true says so. Empty: there is nothing to tell.
struct PushFacts {
  std::vector<std::pair<std::size_t, std::string>> inputs;  // place in the profile, JSON text of the value
  bool offer_update = false;
};
std::string PushText(const Profile& profile, const PushFacts& facts, std::size_t* taken);

std::string SequenceAnswer(std::uint64_t next, bool accepted);
std::string InvalidAnswer(const absl::Status& status);
std::string BusyAnswer(std::int64_t retry_after_ms);

}  // namespace pepeunit::unit_ingest
