#include "live_values.h"

#include <thread>

#include "fixture.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "postgres_history.h"
#include "private_nats.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;
using namespace std::chrono_literals;

namespace {

// Shows the variables that it is told to, unless they are hidden.
struct Showing final : Rights {
  std::mutex mutex;
  std::map<Uuid, Uuid> units;
  absl::Status error;

  absl::StatusOr<graph::v1::AuthorizeResponse> Authorize(const rpc::Caller&, const std::string&,
                                                         graph::v1::Permission) override {
    return NotFound("node");
  }
  absl::Status MaySeeLink(const rpc::Caller&, const std::string&) override { return NotFound("link"); }
  absl::StatusOr<graph::v1::FindOutputsResponse> FindOutputs(const rpc::Caller&,
                                                             const graph::v1::FindOutputsRequest& filter) override {
    std::lock_guard lock(mutex);
    if (!error.ok()) return error;
    graph::v1::FindOutputsResponse found;
    const auto add = [&](const Uuid& variable, const Uuid& unit) {
      auto* output = found.add_outputs();
      output->mutable_variable()->set_id(variable.ToString());
      output->mutable_variable()->set_unit_id(unit.ToString());
    };
    for (const std::string& id : filter.variable_ids()) {
      const auto known = units.find(*Uuid::Parse(id));
      if (known == units.end()) return NotFound("node");
      add(known->first, known->second);
    }
    for (const std::string& id : filter.unit_ids()) {
      for (const auto& [variable, unit] : units) {
        if (unit.ToString() == id) add(variable, unit);
      }
    }
    return found;
  }
};

struct Live : Tables {
  bus::PrivateNats nats;
  bus::Bus bus{{.url = nats.url(), .token = "", .name = "live", .shared_threads = true}};
  bus::Bus device{{.url = nats.url(), .token = "", .name = "device"}};
  PostgresHistory history{pool};
  Showing rights;
  LiveLimits limits;
  std::unique_ptr<LiveValues> live;
  const Uuid unit = Uuid::New(), output = Uuid::New(), input = Uuid::New();

  Live() {
    limits.recheck = 50ms;
    limits.heartbeat = 300ms;
    rights.units = {{output, unit}, {input, unit}};
    REQUIRE(bus.EnsureStream(bus::ValuesStream(64 << 20, 1), 10s).ok());
    live = std::make_unique<LiveValues>(bus, history, rights, limits);
    live->Start();
  }
  void Report(std::int64_t time_ms, double value) {
    const auto payload = ReportMaker(unit, 1).Reading(output, time_ms, Number(value)).Payload();
    REQUIRE(device.PublishCore("values.0.report." + unit.ToString(), payload).ok());
    REQUIRE(device.Flush(2s).ok());
  }
  log::v1::WatchValuesRequest Of(std::initializer_list<Uuid> variables) const {
    log::v1::WatchValuesRequest request;
    for (const Uuid& variable : variables) request.add_variable_ids(variable.ToString());
    return request;
  }
};

}  // namespace

// The outlet is read through a real gRPC stream in the functional tests; here nothing takes from it, and it fills.
TEST_CASE("who watches gets the newest first, and of more than he takes only the newest", "[D1]") {
  Live l;
  auto outlet = std::make_shared<LiveValues::Outlet>(LiveValues::kQueue);
  REQUIRE(l.live->Watch({}, l.Of({l.output, l.input}), outlet).ok());
  for (int i = 1; i <= 1'000; ++i) l.Report(i, i);
  std::this_thread::sleep_for(300ms);
  CHECK_FALSE(outlet->over());
  // Ready and at most as many values as fit; the rest of the thousand were merged.
  CHECK(outlet->room() < LiveValues::kQueue);
}

TEST_CASE("nothing is watched without rights, nor too much by one", "[A4]") {
  Live l;
  const auto outlet = [] { return std::make_shared<LiveValues::Outlet>(LiveValues::kQueue); };
  CHECK(l.live->Watch({}, l.Of({Uuid::New()}), outlet()).code() == absl::StatusCode::kNotFound);
  CHECK(l.live->Watch({}, {}, outlet()).code() == absl::StatusCode::kInvalidArgument);
  std::vector<std::shared_ptr<LiveValues::Outlet>> open;
  for (std::size_t i = 0; i < l.limits.each; ++i) {
    open.push_back(outlet());
    REQUIRE(l.live->Watch({}, l.Of({l.output}), open.back()).ok());
  }
  CHECK(l.live->Watch({}, l.Of({l.output}), outlet()).code() == absl::StatusCode::kResourceExhausted);
  rpc::Caller other{.kind = rpc::Caller::Kind::kUser};
  other.user_id = Uuid::New();
  CHECK(l.live->Watch(other, l.Of({l.output}), outlet()).ok());
  open[0]->End(absl::OkStatus());
  CHECK(l.live->Watch({}, l.Of({l.output}), outlet()).ok());
}

TEST_CASE("a session that ends ends its streams, and a stop all of them", "[A4]") {
  Live l;
  auto outlet = std::make_shared<LiveValues::Outlet>(LiveValues::kQueue);
  REQUIRE(l.live->Watch({}, l.Of({l.output}), outlet).ok());
  {
    std::lock_guard lock(l.rights.mutex);
    l.rights.error = Unauthenticated("gone");
  }
  for (int i = 0; i < 100 && !outlet->over(); ++i) std::this_thread::sleep_for(20ms);
  CHECK(outlet->over());
  l.rights.error = absl::OkStatus();
  auto another = std::make_shared<LiveValues::Outlet>(LiveValues::kQueue);
  REQUIRE(l.live->Watch({}, l.Of({l.output}), another).ok());
  l.live->Stop();
  CHECK(another->over());
  CHECK(l.live->Watch({}, l.Of({l.output}), outlet).code() == absl::StatusCode::kUnavailable);
}
