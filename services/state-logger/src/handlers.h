#pragma once

#include "forgetting.h"
#include "histories.h"
#include "live_values.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/log/v1/history.grpc.pb.h"
#include "pepeunit/log/v1/prometheus.grpc.pb.h"
#include "pepeunit/log/v1/sql.grpc.pb.h"
#include "pepeunit/log/v1/values.grpc.pb.h"
#include "pepeunit/rpc/server.h"
#include "prometheus_api.h"
#include "sql_readers.h"
#include "values.h"

namespace pepeunit::state_logger {

class ValueHandler final : public log::v1::ValueService::CallbackService {
 public:
  ValueHandler(rpc::Calls& calls, Values& values, LiveValues& live) : calls_(calls), values_(values), live_(live) {}
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
  grpc::ServerWriteReactor<log::v1::ValueUpdate>* WatchValues(grpc::CallbackServerContext* c,
                                                              const log::v1::WatchValuesRequest* q) override {
    return calls_.Feed<log::v1::WatchValuesRequest, log::v1::ValueUpdate>(
        c, q, LiveValues::kQueue,
        [&l = live_](const rpc::Context& x, const auto& request, std::shared_ptr<LiveValues::Outlet> outlet) {
          return l.Watch(x.caller, request, std::move(outlet));
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
  LiveValues& live_;
};

class HistoryHandler final : public log::v1::HistoryService::CallbackService {
 public:
  HistoryHandler(rpc::Calls& calls, Histories& histories) : calls_(calls), histories_(histories) {}
  grpc::ServerWriteReactor<common::v1::FileChunk>* QueryHistory(grpc::CallbackServerContext* c,
                                                                const log::v1::QueryHistoryRequest* q) override {
    return calls_.ServerStream<log::v1::QueryHistoryRequest, common::v1::FileChunk>(
        c, q, [&h = histories_](const rpc::Context& x, const auto& request, const auto& write) {
          return h.Query(x.caller, request, write);
        });
  }
  grpc::ServerUnaryReactor* ImportReadings(grpc::CallbackServerContext* c, const log::v1::ImportReadingsRequest* q,
                                           log::v1::ImportReadingsResponse* r) override {
    return calls_.Unary(c, q, r, [&h = histories_](const rpc::Context& x, const auto& request, auto& response) {
      return h.Import(x.caller, request, response);
    });
  }

 private:
  rpc::Calls& calls_;
  Histories& histories_;
};

class PrometheusHandler final : public log::v1::PrometheusService::CallbackService {
 public:
  PrometheusHandler(rpc::Calls& calls, PrometheusApi& api) : calls_(calls), api_(api) {}
  using Chunks = grpc::ServerWriteReactor<common::v1::FileChunk>;
  Chunks* Query(grpc::CallbackServerContext* c, const log::v1::PrometheusQueryRequest* q) override {
    return Answer(c, q, [&a = api_](const auto& x, const auto& request, const auto& write) {
      return a.Query(x, request, write);
    });
  }
  Chunks* QueryRange(grpc::CallbackServerContext* c, const log::v1::PrometheusQueryRangeRequest* q) override {
    return Answer(c, q, [&a = api_](const auto& x, const auto& request, const auto& write) {
      return a.QueryRange(x, request, write);
    });
  }
  Chunks* FindSeries(grpc::CallbackServerContext* c, const log::v1::PrometheusMatchRequest* q) override {
    return Answer(c, q, [&a = api_](const auto& x, const auto& request, const auto& write) {
      return a.Series(x, request, write);
    });
  }
  Chunks* ListLabels(grpc::CallbackServerContext* c, const log::v1::PrometheusMatchRequest* q) override {
    return Answer(c, q, [&a = api_](const auto& x, const auto& request, const auto& write) {
      return a.Labels(x, request, write);
    });
  }
  Chunks* ListLabelValues(grpc::CallbackServerContext* c, const log::v1::PrometheusLabelValuesRequest* q) override {
    return Answer(c, q, [&a = api_](const auto& x, const auto& request, const auto& write) {
      return a.LabelValues(x, request, write);
    });
  }
  Chunks* GetMetadata(grpc::CallbackServerContext* c, const log::v1::PrometheusMetadataRequest* q) override {
    return Answer(
        c, q, [&a = api_](const auto&, const auto& request, const auto& write) { return a.Metadata(request, write); });
  }
  Chunks* GetBuildInfo(grpc::CallbackServerContext* c, const log::v1::PrometheusBuildInfoRequest* q) override {
    return Answer(c, q, [&a = api_](const auto&, const auto&, const auto& write) { return a.BuildInfo(write); });
  }
  Chunks* Federate(grpc::CallbackServerContext* c, const log::v1::PrometheusMatchRequest* q) override {
    return Answer(c, q, [&a = api_](const auto& x, const auto& request, const auto& write) {
      return a.Federate(x, request, write);
    });
  }

 private:
  template <typename Request, typename Handler>
  Chunks* Answer(grpc::CallbackServerContext* c, const Request* q, Handler handler) {
    return calls_.ServerStream<Request, common::v1::FileChunk>(
        c, q, [&a = api_, handler](const rpc::Context& x, const Request& request, const WriteChunk& write) {
          PEPEUNIT_RETURN_IF_ERROR(a.rights().Admit(x.caller));
          return handler(x, request, write);
        });
  }

  rpc::Calls& calls_;
  PrometheusApi& api_;
};

class SqlHandler final : public log::v1::SqlService::CallbackService {
 public:
  SqlHandler(rpc::Calls& calls, SqlReaders& readers) : calls_(calls), readers_(readers) {}
  grpc::ServerUnaryReactor* CreateSqlReader(grpc::CallbackServerContext* c, const log::v1::CreateSqlReaderRequest* q,
                                            log::v1::SqlReader* r) override {
    return calls_.Unary(c, q, r, [&s = readers_](const rpc::Context& x, const auto&, auto& response) {
      return s.Create(x.caller, response);
    });
  }
  grpc::ServerUnaryReactor* GetSqlReader(grpc::CallbackServerContext* c, const log::v1::GetSqlReaderRequest* q,
                                         log::v1::SqlReader* r) override {
    return calls_.Unary(c, q, r, [&s = readers_](const rpc::Context& x, const auto&, auto& response) {
      return s.Get(x.caller, response);
    });
  }
  grpc::ServerUnaryReactor* DeleteSqlReader(grpc::CallbackServerContext* c, const log::v1::DeleteSqlReaderRequest* q,
                                            google::protobuf::Empty* r) override {
    return calls_.Unary(c, q, r,
                        [&s = readers_](const rpc::Context& x, const auto&, auto&) { return s.Delete(x.caller); });
  }

 private:
  rpc::Calls& calls_;
  SqlReaders& readers_;
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
