#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "pepeunit/base/uuid.h"

namespace pepeunit::archive {

// repo-sync takes no larger one, so a larger one here was never a valid unit's.
inline constexpr std::size_t kMaxSchema = 256 * 1024;

// `schema.json` with `"pepeunit": {"commit": ..., "unit": "<uuid>"}` added at its end, so that the program on the
// device can tell which version it is and which unit, for every envelope names the unit. The order of keys is kept, the
// layout is two spaces a level. FAILED_PRECONDITION (INVALID_REPOSITORY) if `text` is not a JSON object of at most
// kMaxSchema bytes and 32 levels. Pure.
absl::StatusOr<std::string> StampSchema(std::string_view text, const std::string& commit, const Uuid& unit);

}  // namespace pepeunit::archive
