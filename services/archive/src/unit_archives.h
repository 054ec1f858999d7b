#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "releases.h"
#include "sources.h"

namespace pepeunit::archive {

// Builds the archives of units (U6) while they are sent: what is in memory is the release, one block and the directory
// of names. Thread-safe.
class UnitArchives {
 public:
  // Both outlive it.
  UnitArchives(Sources& sources, Releases& releases) : sources_(sources), releases_(releases) {}

  // A piece of the archive of at most 64 KiB, with the name of the file; false when the receiver went away.
  using Send = std::function<bool(const std::string& filename, std::string_view data)>;

  // Errors of rights and of versions come before the first piece; later ones leave the archive without its directory,
  // so that no half of it passes for a whole. RESOURCE_EXHAUSTED (LIMIT) beyond the limits, CANCELLED when the receiver
  // went away.
  absl::Status Download(const rpc::Context& call, const std::string& unit_id, const Send& send);

 private:
  Sources& sources_;
  Releases& releases_;
};

}  // namespace pepeunit::archive
