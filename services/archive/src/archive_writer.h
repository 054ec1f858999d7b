#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace pepeunit::archive {

// tar.gz is POSIX pax where ustar has no room for a name, else ustar.
enum class Format { kZip, kTarGz };
enum class Mode { kFile = 0644, kExecutable = 0755, kSecret = 0600 };  // as Unix has them

// Writes an archive piece by piece into a sink that need not be seekable: what is in memory is one block and, of a ZIP,
// the directory of names. The same entries give the same bytes: no times, no owners. Not thread-safe.
class ArchiveWriter {
 public:
  // Takes at most kMaxPiece bytes; false when nobody wants more, which ends the archive with CANCELLED.
  using Sink = std::function<bool(std::string_view piece)>;
  static constexpr std::size_t kMaxPiece = 64 * 1024;

  ArchiveWriter(Format format, Sink sink);
  ~ArchiveWriter();

  // Begins a file of exactly `size` bytes. `path` is UTF-8, relative, with '/'.
  absl::Status Begin(const std::string& path, std::int64_t size, Mode mode);
  // Bytes of the file begun last.
  absl::Status Write(std::string_view data);
  // All files are in: writes the end, without which it is no whole archive. DATA_LOSS if the last file got fewer bytes
  // than it should.
  absl::Status Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pepeunit::archive
