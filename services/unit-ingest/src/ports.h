#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/bus/bus.h"
#include "profile.h"

namespace pepeunit::unit_ingest {

struct TokenFacts {
  Uuid unit;
  std::uint32_t generation = 0;
};

struct Loaded {
  std::shared_ptr<const Profile> profile;
  Standing standing;
  std::vector<std::pair<Uuid, InputValue>> inputs;
};

// What the other services know of units. Waits; called on the executor only. Thread-safe.
class Source {
 public:
  virtual ~Source() = default;
  // UNAUTHENTICATED for a token that was not issued here.
  virtual absl::StatusOr<TokenFacts> OpenToken(const std::string& token) = 0;
  virtual absl::StatusOr<Loaded> Load(const Uuid& unit) = 0;
  // The standing alone: after a publish whose outcome is not known, or that another replica overtook.
  virtual absl::StatusOr<Standing> LoadStanding(const Uuid& unit) = 0;
};

// The durable stream. `done` is called once, on any thread. Thread-safe.
class ReportSink {
 public:
  virtual ~ReportSink() = default;
  virtual void Publish(const Uuid& unit, std::string payload, std::uint64_t expected, const std::string& traceparent,
                       std::function<void(bus::PublishResult)> done) = 0;
};

}  // namespace pepeunit::unit_ingest
