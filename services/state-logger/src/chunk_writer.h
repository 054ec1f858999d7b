#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "pepeunit/common/v1/types.pb.h"

namespace pepeunit::state_logger {

// Gives pieces of an answer to whoever asked; false when he went away.
using WriteChunk = std::function<bool(const common::v1::FileChunk&)>;

// A text that is sent by pieces while it grows. Used by one thread.
class ChunkWriter {
 public:
  // `filename` may be empty: the answer is not to be saved.
  ChunkWriter(const WriteChunk& write, std::string content_type, std::string filename = "");

  std::string text;  // what is not sent yet
  // Sends it when it is enough for a piece. CANCELLED when nobody takes it any more.
  absl::Status Flush() { return text.size() < kPieceBytes ? absl::OkStatus() : Finish(); }
  absl::Status Finish();

 private:
  static constexpr std::size_t kPieceBytes = 48 << 10;  // a FileChunk has at most 64 KiB

  const WriteChunk& write_;
  std::string content_type_, filename_;
};

}  // namespace pepeunit::state_logger
