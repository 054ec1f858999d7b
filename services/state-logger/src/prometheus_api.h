#pragma once

#include "chunk_writer.h"
#include "history_store.h"
#include "pepeunit/log/v1/prometheus.pb.h"
#include "pepeunit/promql/promql.h"
#include "values.h"

namespace pepeunit::state_logger {

// The query API of Prometheus over the outputs that the caller may see (D2); proto/pepeunit/log/v1/prometheus.proto
// tells what they are called. Errors of a query are INVALID_ARGUMENT and FAILED_PRECONDITION with Prometheus' own
// texts. Thread-safe.
class PrometheusApi {
 public:
  PrometheusApi(HistoryStore& store, Rights& rights, std::size_t most_samples)
      : store_(store), rights_(rights), most_samples_(most_samples) {}

  Rights& rights() { return rights_; }
  absl::Status Query(const rpc::Context& context, const log::v1::PrometheusQueryRequest& request,
                     const WriteChunk& write);
  absl::Status QueryRange(const rpc::Context& context, const log::v1::PrometheusQueryRangeRequest& request,
                          const WriteChunk& write);
  absl::Status Series(const rpc::Context& context, const log::v1::PrometheusMatchRequest& request,
                      const WriteChunk& write);
  absl::Status Labels(const rpc::Context& context, const log::v1::PrometheusMatchRequest& request,
                      const WriteChunk& write);
  absl::Status LabelValues(const rpc::Context& context, const log::v1::PrometheusLabelValuesRequest& request,
                           const WriteChunk& write);
  absl::Status Metadata(const log::v1::PrometheusMetadataRequest& request, const WriteChunk& write);
  absl::Status BuildInfo(const WriteChunk& write);
  absl::Status Federate(const rpc::Context& context, const log::v1::PrometheusMatchRequest& request,
                        const WriteChunk& write);

 private:
  using LabelSets = std::vector<promql::Labels>;
  absl::StatusOr<LabelSets> Matching(const rpc::Context& context,
                                     const google::protobuf::RepeatedPtrField<std::string>& selectors);
  promql::Limits LimitsOf(const rpc::Context& context, std::int64_t timeout_ms) const;

  HistoryStore& store_;
  Rights& rights_;
  const std::size_t most_samples_;
};

}  // namespace pepeunit::state_logger
