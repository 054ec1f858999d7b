#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "archive_writer.h"
#include "releases.h"
#include "sources.h"

namespace pepeunit::archive {

// A part of an archive that somebody asks for.
struct Range {
  std::optional<std::int64_t> first{}, last{};  // bytes from 0; without `first` the `last` last ones
  std::string if_etag{};                        // only if it is this archive still; empty: whichever
};

struct ArchiveWanted {
  std::string unit_id;
  Format format = Format::kZip;
  std::optional<Range> range{};
};

// What is said of an archive before its first byte.
struct ArchiveHead {
  std::string filename, media_type, etag;
  // The part that is sent; of length 0 when the archive has no byte of the range.
  struct Part {
    std::int64_t first = 0, length = 0, total = 0;
  };
  std::optional<Part> part{};
};

// Builds the archives of units (U6) while they are sent: what is in memory is the release, one block and the directory
// of names. A part is made by making all of it twice: once to count, once to send. Thread-safe.
class UnitArchives {
 public:
  // Both outlive it.
  UnitArchives(Sources& sources, Releases& releases) : sources_(sources), releases_(releases) {}

  // A piece of the archive of at most 64 KiB; false when the receiver went away.
  using Send = std::function<bool(const ArchiveHead& head, std::string_view data)>;

  // Errors of rights and of versions come before the first piece; later ones leave the archive without its directory,
  // so that no half of it passes for a whole. RESOURCE_EXHAUSTED (LIMIT) beyond the limits, CANCELLED when the receiver
  // went away.
  absl::Status Download(const rpc::Context& call, const ArchiveWanted& wanted, const Send& send);

  // What is in it, but for env.json, and what the release says of the rest.
  struct Listing {
    Releases::Held release;
    std::vector<ReleaseFile> files;
  };
  absl::StatusOr<Listing> List(const rpc::Context& call, const std::string& unit_id);

 private:
  Sources& sources_;
  Releases& releases_;
};

}  // namespace pepeunit::archive
