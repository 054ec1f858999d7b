#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "pepeunit/archive/v1/archive.pb.h"
#include "unit_archives.h"

// Archives of units as the API has them.
namespace pepeunit::archive {

// INVALID_ARGUMENT for a format that is none.
absl::StatusOr<ArchiveWanted> ReadWanted(const v1::DownloadUnitArchiveRequest& request);
// Says what is said of the archive in the first chunk.
UnitArchives::Send AsChunks(const std::function<bool(const common::v1::FileChunk&)>& write);
v1::ListUnitArchiveFilesResponse ToMessage(const UnitArchives::Listing& listing);

}  // namespace pepeunit::archive
