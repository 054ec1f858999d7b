#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "caches.h"
#include "call.h"
#include "device_socket.h"
#include "pepeunit/base/executor.h"
#include "pepeunit/http/server.h"
#include "ports.h"
#include "report.h"
#include "updates.h"

namespace pepeunit::unit_ingest {

struct EdgeSettings {
  double unit_rate = 20, unit_burst = 40;
  double update_rate = 50, update_burst = 100;
  std::size_t update_cache_bytes = 16 << 20;
  std::size_t cache_units = 100'000;
  std::size_t max_deliveries = 64;
  double link_rate = 10, link_burst = 20;  // as state-logger has them
  std::size_t most_waiting = 256;          // reports that are not stored yet; beyond it nothing more is taken
};

struct EdgeMetrics {
  prometheus::Family<prometheus::Counter>* exchanges = nullptr;  // by result
  prometheus::Counter* loads = nullptr;
  prometheus::Counter* undelivered = nullptr;
  PushMetrics push;
  static EdgeMetrics In(prometheus::Registry& registry);
};

// The device protocol: POST /v1/exchange and POST /v1/update over HTTP, and both over the WebSocket /v1/socket, where
// inputs are pushed too (see libs/envelope/PROTOCOL.md). A warm unit's exchange is served without any question to
// another service: open, check, publish, and answer when the stream has it. Thread-safe.
class Edge {
 public:
  Edge(Source& source, ReportSink& sink, Updates& updates, Executor& executor, EdgeMetrics metrics,
       EdgeSettings settings);

  // For http::Server.
  void Handle(std::shared_ptr<http::Exchange> exchange);

  // Events of the bus.
  void UnitChanged(const Uuid& unit);
  // Whether the unit has connections here.
  bool InputChanged(const Uuid& unit, const Uuid& input, InputValue value);
  void DropAll();

  // Loads again for connections what could not be loaded when it changed. Called every second or so.
  void RetryLoads();

 private:
  // One request on its way.
  struct Job {
    std::shared_ptr<Call> call;
    envelope::Kind kind = envelope::Kind::kRequest;
    TokenFacts token;
    std::shared_ptr<UnitEntry> entry;
    bool retried = false;
    // The request, once it is authenticated with the keys of this profile.
    std::shared_ptr<const Profile> profile;
    envelope::Opened opened;
    // What the report under way carries along links.
    google::protobuf::RepeatedPtrField<bus::v1::Delivery> deliveries;
  };
  using JobPtr = std::shared_ptr<Job>;

  void WithToken(const std::shared_ptr<http::Exchange>& http, const TokenFacts& token);
  void RefuseOverload(Call& call);
  void OpenSocket(const std::shared_ptr<http::Exchange>& http, const TokenFacts& token);
  void OnMessage(const std::shared_ptr<DeviceSocket>& socket, std::string message);
  std::shared_ptr<UnitEntry> EntryOf(const Uuid& unit);
  // The rest of the way of any request, whichever way it came.
  void Take(std::shared_ptr<Call> call, envelope::Kind kind, const TokenFacts& token, std::shared_ptr<UnitEntry> entry);
  // Whether the request is done with without a turn: what anybody can send again (a hello, a body that was decided
  // before, a body that is not the unit's) takes none of the unit's places and none of its rate.
  bool DecideAtOnce(const JobPtr& job);
  absl::Status Open(const JobPtr& job, const std::shared_ptr<const Profile>& profile);
  void Begin(const JobPtr& job);
  void LoadThen(const JobPtr& job);
  // Waits. NOT_FOUND ends the unit's connections too.
  absl::StatusOr<std::shared_ptr<const Profile>> Load(const Uuid& unit, UnitEntry& entry);
  void ReloadStandingThen(const JobPtr& job);
  void Process(const JobPtr& job, const std::shared_ptr<const Profile>& profile);
  // A question about an update; needs no turn.
  void Update(const JobPtr& job);
  // What the other services have to know is told before the report is published: it is told again when that fails.
  void TellThenPublish(const JobPtr& job, Parsed parsed);
  void Publish(const JobPtr& job, Parsed parsed);
  void Published(const JobPtr& job, std::size_t max_answer, const bus::PublishResult& result);
  // Hands over at once what the stored report carries.
  void Carry(const JobPtr& job, std::uint64_t stream_sequence);
  // For the connections of a unit that changed, when nobody asks for it otherwise.
  void LoadForSockets(const Uuid& unit, const std::shared_ptr<UnitEntry>& entry);
  void LoadLater(const Uuid& unit);
  void AnswerGood(const JobPtr& job, std::uint64_t next, std::size_t max_answer, const char* result);
  void Answer(const JobPtr& job, const Reply& reply, const std::string& plaintext, const char* result);
  void AnswerError(const JobPtr& job, int status, const std::string& plaintext, const char* result,
                   std::int64_t retry_after_ms = 0);
  void AnswerHello(const JobPtr& job, std::uint64_t next);
  void AnswerKnown(const JobPtr& job, const Standing& standing);
  // Answers and ends the turn.
  void EndWithError(const JobPtr& job, int status, const std::string& plaintext, const char* result,
                    std::int64_t retry_after_ms = 0);
  void Refuse(const JobPtr& job, const absl::Status& status, const char* result);
  void RefuseEarly(Call& call, const absl::Status& status, int http_status, const char* result);
  void Count(const char* result);

  Source& source_;
  ReportSink& sink_;
  Updates& updates_;
  Executor& executor_;
  EdgeMetrics metrics_;
  EdgeSettings settings_;
  UnitCache units_;
  TokenCache tokens_;
  std::mutex mutex_;
  std::set<Uuid> unloaded_;  // units whose connections wait for it
};

}  // namespace pepeunit::unit_ingest
