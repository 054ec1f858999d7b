#pragma once

#include <cstdint>
#include <string>
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
};
// `inputs` holds each input's JSON text, in the order of the profile. Inputs that do not fit are left out, and
// "truncated": true says so.
std::string GoodAnswer(const Profile& profile, const std::vector<std::string>& inputs, const AnswerFacts& facts);

std::string SequenceAnswer(std::uint64_t next, bool accepted);
std::string InvalidAnswer(const absl::Status& status);
std::string BusyAnswer(std::int64_t retry_after_ms);

}  // namespace pepeunit::unit_ingest
