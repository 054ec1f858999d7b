#pragma once

#include <memory>
#include <string>

#include "chunk_writer.h"
#include "history_plan.h"
#include "pepeunit/graph/v1/internal.pb.h"

// Histories as JSON, CSV and NDJSON (proto/pepeunit/log/v1/history.proto tells the forms).
namespace pepeunit::state_logger {

// A point of a history. `count` 0 and no value: a gap.
struct HistoryPoint {
  std::int64_t time_us = 0;
  bus::v1::Scalar value{};  // not set: null
  std::int64_t count = 0;
  // Of numbers only.
  bool summed = false;
  double sum = 0, minimum = 0, maximum = 0, last = 0;
};

// Used by one thread.
class HistoryWriter {
 public:
  static std::unique_ptr<HistoryWriter> Of(const HistoryPlan& plan, const WriteChunk& write);
  virtual ~HistoryWriter() = default;

  virtual void Begin() {}
  virtual void BeginSeries(const graph::v1::FoundOutput& output) = 0;
  virtual void Add(const HistoryPoint& point) = 0;
  virtual void EndSeries() {}
  // Sends what is written so far, when it is enough for a piece; CANCELLED when nobody takes it any more.
  absl::Status Flush() { return chunks_.Flush(); }
  absl::Status End(const std::string& next_cursor);

 protected:
  HistoryWriter(const HistoryPlan& plan, ChunkWriter chunks) : plan_(plan), chunks_(std::move(chunks)) {}
  virtual void WriteEnd(const std::string& next_cursor) = 0;

  std::string TimeText(std::int64_t time_us) const;  // quoted where it is no number
  static std::string Column(const HistoryPoint& point, log::v1::HistoryColumn column);
  static const char* NameOf(log::v1::HistoryColumn column);

  const HistoryPlan& plan_;
  ChunkWriter chunks_;
  std::string& out_ = chunks_.text;
};

}  // namespace pepeunit::state_logger
