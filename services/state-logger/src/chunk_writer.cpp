#include "chunk_writer.h"

namespace pepeunit::state_logger {

ChunkWriter::ChunkWriter(const WriteChunk& write, std::string content_type, std::string filename)
    : write_(write), content_type_(std::move(content_type)), filename_(std::move(filename)) {}

absl::Status ChunkWriter::Finish() {
  for (std::size_t at = 0; at < text.size(); at += kPieceBytes) {
    common::v1::FileChunk chunk;
    chunk.set_content_type(std::exchange(content_type_, ""));
    chunk.set_filename(std::exchange(filename_, ""));
    chunk.set_data(text.substr(at, kPieceBytes));
    if (!write_(chunk)) return absl::CancelledError("the caller went away");
  }
  text.clear();
  return absl::OkStatus();
}

}  // namespace pepeunit::state_logger
