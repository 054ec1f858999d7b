// A history to import. The first byte chooses the variable's type.
#include "csv_import.h"
#include "fuzz.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  schema::Variable variable;
  variable.name = "v";
  variable.type = static_cast<schema::Type>(data[0] % 5);
  constexpr std::int64_t kNow = 1'700'000'000'000;
  const auto read = ReadCsv(TextOf(data + 1, size - 1), variable, kNow);
  if (!read.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(read.status()));
    return 0;
  }
  FUZZ_CHECK(read->lines == static_cast<std::int64_t>(read->readings.size()) + read->refused);
  FUZZ_CHECK(read->refusals.size() <= kMostRefusals);
  FUZZ_CHECK(static_cast<std::int64_t>(read->refusals.size()) == std::min<std::int64_t>(read->refused, kMostRefusals));
  return 0;
}
