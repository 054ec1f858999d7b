#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/archive/v1/archive.pb.h"
#include "pepeunit/bus/bus.h"
#include "pepeunit/bus/v1/values.pb.h"
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

// What archive knows of the version that a unit should run. Waits; called on an executor only. Thread-safe.
class Firmware {
 public:
  virtual ~Firmware() = default;
  // Its entries from `from` on, at most `limit`, of what differs from the version `have`.
  virtual absl::StatusOr<archive::v1::UpdateManifest> Manifest(const Profile& profile, const std::string& have,
                                                               int from, int limit) = 0;
  virtual absl::StatusOr<archive::v1::ReadUpdateFileResponse> Read(const Profile& profile, const std::string& path,
                                                                   std::int64_t offset, std::int64_t length) = 0;
};

// The durable streams. `done` is called once, on any thread. Thread-safe.
class ReportSink {
 public:
  virtual ~ReportSink() = default;
  // An event about the unit, for the other services.
  virtual void Tell(const Uuid& unit, std::string payload, const std::string& traceparent,
                    std::function<void(bus::PublishResult)> done) = 0;
  // A report, without its trace: nobody behind goes by it, and it would be a third of the message.
  virtual void Publish(const Uuid& unit, std::string payload, std::uint64_t expected,
                       std::function<void(bus::PublishResult)> done) = 0;
  // Messages that are not known to be stored yet.
  virtual std::size_t waiting() const = 0;
  // A value that a stored report carries into an input of a unit that has no connection here, for the replica that may
  // hold one: at once and without a promise, for state-logger tells of it again when it has it.
  virtual void TellInput(const bus::v1::InputChanged& changed) = 0;
};

}  // namespace pepeunit::unit_ingest
