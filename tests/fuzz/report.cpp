// A device's plaintext, against a unit with an output of each type and links.
#include "report.h"

#include <set>

#include "fuzz.h"

using namespace pepeunit;
using namespace pepeunit::unit_ingest;

namespace {

Profile MakeProfile() {
  Profile profile;
  profile.unit = Uuid::New();
  const auto add = [&](const char* name, schema::Type type, schema::LoggingMode mode) {
    schema::Variable definition;
    definition.name = name;
    definition.type = type;
    definition.logging.mode = mode;
    if (type == schema::Type::kInteger) definition.minimum = -5, definition.maximum = 100;
    Output& output = profile.outputs[name];
    output = {Uuid::New(), definition, {}};
    for (const auto to : {schema::Type::kNumber, schema::Type::kJson}) {
      schema::Variable input;
      input.type = to;
      output.targets.push_back({Uuid::New(), Uuid::New(), Uuid::New(), input, to == schema::Type::kJson});
    }
  };
  add("n", schema::Type::kNumber, schema::LoggingMode::kMean);
  add("i", schema::Type::kInteger, schema::LoggingMode::kOff);
  add("b", schema::Type::kBoolean, schema::LoggingMode::kDirect);
  add("s", schema::Type::kString, schema::LoggingMode::kDirect);
  add("j", schema::Type::kJson, schema::LoggingMode::kDirect);
  return profile;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Profile profile = MakeProfile();
  static const std::set<std::string> ids = [] {
    std::set<std::string> made;
    for (const auto& [name, output] : profile.outputs) made.insert(output.id.ToBytes());
    return made;
  }();
  constexpr std::int64_t kNow = 1'700'000'000'000;
  const auto parsed = ParseReport(profile, TextOf(data, size), kNow, 8);
  if (!parsed.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(parsed.status()));
    return 0;
  }
  const auto& report = parsed->message.report();
  FUZZ_CHECK(report.readings_size() <= static_cast<int>(kMaxValues) && report.deliveries_size() <= 8);
  FUZZ_CHECK(report.unit_state().size() <= kMaxStateBytes);
  for (const auto& reading : report.readings()) {
    FUZZ_CHECK(ids.count(reading.variable_id()) == 1);
    FUZZ_CHECK(reading.time_ms() <= kNow && reading.time_ms() >= kNow - kMaxAgeMs);
    FUZZ_CHECK(reading.policy() <= static_cast<unsigned>(report.policies_size()));
  }
  return 0;
}
