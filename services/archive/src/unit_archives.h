#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "sources.h"

namespace pepeunit::archive {

struct ArchiveLimits {
  std::int64_t bytes = 64 << 20;  // of all files together, before compression
  int files = 10'000;
};

// Builds the archives of units (U6) while they are sent: what is in memory is one piece, one block, `schema.json` and
// the directory of names. Thread-safe.
class UnitArchives {
 public:
  // `sources` outlives it.
  UnitArchives(Sources& sources, ArchiveLimits limits) : sources_(sources), limits_(limits) {}

  // A piece of the archive of at most 64 KiB, with the name of the file; false when the receiver went away.
  using Send = std::function<bool(const std::string& filename, std::string_view data)>;

  // Errors of rights and of versions that are not there come before the first piece; later ones leave the archive
  // without its directory, so that no half of it passes for a whole. RESOURCE_EXHAUSTED (LIMIT) beyond the limits,
  // CANCELLED when the receiver went away.
  absl::Status Download(const rpc::Context& call, const std::string& unit_id, const Send& send);

 private:
  Sources& sources_;
  const ArchiveLimits limits_;
};

}  // namespace pepeunit::archive
