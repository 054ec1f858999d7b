#include "upkeep.h"

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::state_logger {
namespace {

constexpr std::int64_t kEveryMs = 3'600'000;

}  // namespace

absl::StatusOr<std::chrono::milliseconds> Upkeep::Turn() {
  if (MonotonicMs() >= learn_at_ms_) {
    PEPEUNIT_RETURN_IF_ERROR(Learn());
    PEPEUNIT_RETURN_IF_ERROR(tables_.MoveCutoffs(NowMs()));
    learn_at_ms_ = MonotonicMs() + kEveryMs;
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const bool more, tables_.Tidy());
  return std::chrono::milliseconds(more ? 0 : kEveryMs);
}

absl::Status Upkeep::Learn() {
  graph::v1::ListHistoriesRequest request;
  do {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto page,
                              rpc::Call<graph::v1::ListHistoriesResponse>(
                                  graph_, rpc::Caller::Service(), std::chrono::seconds(10),
                                  [&](auto* c, auto* r) { return stub_->ListHistories(c, request, r); }));
    std::vector<KeptHistory> histories;
    for (const auto& history : page.histories()) {
      const auto variable = Uuid::Parse(history.variable_id());
      if (variable)
        histories.push_back({*variable, Uuid::Parse(history.owner_id()).value_or(Uuid{}), history.keep_s()});
    }
    PEPEUNIT_RETURN_IF_ERROR(tables_.Learn(histories));
    request.set_cursor(page.next_cursor());
  } while (!request.cursor().empty());
  return absl::OkStatus();
}

}  // namespace pepeunit::state_logger
