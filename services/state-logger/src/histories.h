#pragma once

#include "history_store.h"
#include "values.h"

namespace pepeunit::state_logger {

// Answers what values were over time (D1), and takes in what is known from elsewhere (D4). Thread-safe.
class Histories {
 public:
  Histories(HistoryStore& store, Rights& rights) : store_(store), rights_(rights) {}

  absl::Status Query(const rpc::Caller& caller, const log::v1::QueryHistoryRequest& request, const WriteChunk& write);
  absl::Status Import(const rpc::Caller& caller, const log::v1::ImportReadingsRequest& request,
                      log::v1::ImportReadingsResponse& out);

 private:
  using Outputs = std::vector<graph::v1::FoundOutput>;
  absl::Status WriteReadings(const HistoryPlan& plan, const Outputs& outputs, HistoryWriter& writer);
  absl::Status WriteSummed(const HistoryPlan& plan, const Outputs& outputs, HistoryWriter& writer);
  absl::Status WriteLatest(const Outputs& outputs, HistoryWriter& writer);
  // All of one, as they were kept.
  absl::Status WriteSeries(const HistoryPlan& plan, const Series& series, const ReadingKey& after, std::int64_t* left,
                           ReadingKey* stopped_at, HistoryWriter& writer);

  HistoryStore& store_;
  Rights& rights_;
};

}  // namespace pepeunit::state_logger
