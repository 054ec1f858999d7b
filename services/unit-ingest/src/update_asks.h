#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "pepeunit/archive/v1/archive.pb.h"

// What a device asks about the version it is offered, and what it is told (PROTOCOL.md, "Updates"). Pure.
namespace pepeunit::unit_ingest {

inline constexpr std::int64_t kMaxPieceBytes = 65'536;

struct ManifestAsk {
  std::string have;  // empty: nothing
  int from = 0;
  std::size_t max_answer = 4000;  // bytes of plaintext
};
struct FileAsk {
  std::string path;
  std::int64_t offset = 0, length = 0;
};
struct UpdateAsk {
  std::string commit;
  std::variant<ManifestAsk, FileAsk> what;
};

// INVALID_ARGUMENT with each field at fault.
absl::StatusOr<UpdateAsk> ParseUpdateAsk(std::string_view plaintext);

// The page that begins at entry `ask.from`: as many of the manifest's entries as fit, at least one.
std::string ManifestAnswer(const std::string& commit, const ManifestAsk& ask,
                           const archive::v1::UpdateManifest& manifest);
// `attempt` 0: none is offered.
std::string OtherVersionAnswer(const std::string& commit, std::uint32_t attempt);

}  // namespace pepeunit::unit_ingest
