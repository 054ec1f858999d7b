#pragma once

#include "forgetting.h"
#include "pepeunit/log/v1/values.grpc.pb.h"
#include "pepeunit/rpc/server.h"
#include "values.h"

namespace pepeunit::state_logger {

class ValueHandler final : public log::v1::ValueService::CallbackService {
 public:
  ValueHandler(rpc::Calls& calls, Values& values) : calls_(calls), values_(values) {}
  grpc::ServerUnaryReactor* GetVariableValue(grpc::CallbackServerContext* c, const log::v1::GetVariableValueRequest* q,
                                             log::v1::VariableValue* r) override {
    return calls_.Unary(c, q, r, [&v = values_](const rpc::Context& x, const auto& request, auto& response) {
      return v.Get(x.caller, request, response);
    });
  }
  grpc::ServerUnaryReactor* ListReadings(grpc::CallbackServerContext* c, const log::v1::ListReadingsRequest* q,
                                         log::v1::ListReadingsResponse* r) override {
    return calls_.Unary(c, q, r, [&v = values_](const rpc::Context& x, const auto& request, auto& response) {
      return v.List(x.caller, request, response);
    });
  }
  grpc::ServerUnaryReactor* GetUnitState(grpc::CallbackServerContext* c, const log::v1::GetUnitStateRequest* q,
                                         log::v1::UnitState* r) override {
    return calls_.Unary(c, q, r, [&v = values_](const rpc::Context& x, const auto& request, auto& response) {
      return v.State(x.caller, request, response);
    });
  }
  grpc::ServerUnaryReactor* GetLinkStatistics(grpc::CallbackServerContext* c,
                                              const log::v1::GetLinkStatisticsRequest* q,
                                              log::v1::LinkStatistics* r) override {
    return calls_.Unary(c, q, r, [&v = values_](const rpc::Context& x, const auto& request, auto& response) {
      return v.Link(x.caller, request, response);
    });
  }

 private:
  rpc::Calls& calls_;
  Values& values_;
};

class ValueInternalHandler final : public log::v1::ValueInternalService::CallbackService {
 public:
  ValueInternalHandler(rpc::Calls& calls, Snapshots& snapshots, Forgetting& forgetting)
      : calls_(calls), snapshots_(snapshots), forgetting_(forgetting) {}
  grpc::ServerUnaryReactor* GetUnitSnapshot(grpc::CallbackServerContext* c, const log::v1::GetUnitSnapshotRequest* q,
                                            log::v1::UnitSnapshot* r) override {
    return calls_.Unary(c, q, r, [&s = snapshots_](const rpc::Context& x, const auto& request, auto& response) {
      return s.Get(x.caller, request, response);
    });
  }
  grpc::ServerUnaryReactor* ApplyUnitChanges(grpc::CallbackServerContext* c, const log::v1::ApplyUnitChangesRequest* q,
                                             google::protobuf::Empty* r) override {
    return calls_.Unary(c, q, r, [&f = forgetting_](const rpc::Context& x, const auto& request, auto&) {
      return f.ApplyNow(x.caller, request);
    });
  }

 private:
  rpc::Calls& calls_;
  Snapshots& snapshots_;
  Forgetting& forgetting_;
};

}  // namespace pepeunit::state_logger
