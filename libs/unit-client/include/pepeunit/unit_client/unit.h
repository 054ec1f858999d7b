#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/unit_client/guard.h"
#include "pepeunit/unit_client/transport.h"

namespace pepeunit::unit_client {

class Channel;
class Updater;

// The version that the instance wants here.
struct Offer {
  std::string commit;  // 40 hex
  std::int64_t attempt = 0;
  auto operator<=>(const Offer&) const = default;
};

struct UnitOptions {
  std::filesystem::path folder = ".";    // of the program, with env.json and schema.json from the zip of the unit
  std::size_t max_queue = 1000;          // readings that wait; a full queue loses its oldest
  std::size_t max_body = 4096;           // bytes of a request; every instance takes 4096
  std::size_t update_chunk = 16384;      // bytes of a file that are fetched at once, 1 to 65536
  std::int64_t gather_ms = 1000;         // readings wait so long for others to go out with them
  std::int64_t poll_ms = 10000;          // inputs are asked for at least so often
  bool push = true;                      // keep a WebSocket over which inputs come at once, where there is one
  Log log;                               // default: standard error
  std::function<std::int64_t()> now_ms;  // of a clock that never jumps; default: the system's
};

// One device: the client of the device protocol (PROTOCOL.md of libs/envelope), with the behaviour of pepeunit.py. Not
// thread-safe.
class Unit {
 public:
  // Reads env.json and schema.json. INVALID_ARGUMENT or NOT_FOUND says what is wrong with which of them. `transport`,
  // and `guard` after its Settle(), have to outlive the unit; without a guard it takes no updates, and says so.
  static absl::StatusOr<std::unique_ptr<Unit>> Open(UnitOptions options, Transport* transport, Guard* guard);
  ~Unit();

  // A fact about the unit itself (`unit_state`); a later value replaces an earlier one.
  void State(const std::string& name, const nlohmann::json& value);
  // Queues a reading of one or more output variables, an object by name, that was taken at `at_ms` of now_ms().
  void Report(const nlohmann::json& values, std::int64_t at_ms);
  void Report(const nlohmann::json& values) { Report(values, now()); }

  // One exchange: the oldest readings and the state there, time and inputs back. False when it has to be tried again,
  // not before wait_ms() has passed.
  bool Exchange();
  std::int64_t wait_ms() const { return std::max<std::int64_t>(0, not_before_ - now()); }

  // One small step of the update that is offered. nullopt: there is none to do; else how many ms until the next. When
  // the guard WantsRestart() after it, the program has to end, and Guard::Settle() to run.
  std::optional<std::int64_t> UpdateStep();

  // Does what is due of both, and says how many ms until something is due again, at the latest.
  std::int64_t Work();

  // Takes what was pushed. Readable: the descriptor to wait for with poll(2), or -1; Work() has to have run before.
  void TakePushes();
  int descriptor() const;

  // True when the instance knows everything and no update is under way.
  bool idle() const { return !HasNews() && !updater_; }

  // By name: the newest values of the input variables; at first their defaults, else null.
  const std::map<std::string, nlohmann::json>& inputs() const { return inputs_; }
  bool has_outputs() const { return !outputs_.empty(); }
  const std::string& commit() const { return commit_; }  // of the version that runs; may be empty
  const std::optional<Offer>& offer() const { return offer_; }
  std::optional<std::int64_t> utc_ms() const;                            // Unix time as the instance told it
  std::size_t waiting() const { return queue_.size() + batch_.size(); }  // readings not known to be stored
  std::int64_t dropped() const { return dropped_; }                      // readings lost for want of space, or refused
  std::int64_t now() const { return options_.now_ms(); }

 private:
  friend class Updater;
  struct Reading {
    std::int64_t at_ms;
    std::string values;  // JSON
  };

  Unit(UnitOptions options, std::unique_ptr<Channel> channel, Guard* guard);
  absl::Status ReadSchema(const nlohmann::json& schema);

  void Lose(std::string_view why, std::int64_t readings = 1);
  void Trim();
  bool HasNews() const { return sealed_ || !queue_.empty() || news_; }
  void ResetState();

  void Tell(nlohmann::json report);
  void Prepare();
  void Unseal();
  std::optional<nlohmann::json> Ask(std::uint64_t sequence, const std::string& sealed);
  void Accepted();
  void Refused(const nlohmann::json& answer);
  void Take(const nlohmann::json& answer);
  void TakeOffer(const nlohmann::json& offered);
  bool ReadySocket();
  void LoseSocket(std::string_view why, std::int64_t least_ms);
  void DropBadReadings(const std::map<std::size_t, std::vector<std::string>>& bad);

  std::int64_t PauseMs(int failures, std::int64_t wait_ms, std::int64_t least_ms) const;
  void Fail(std::int64_t wait_ms = 0, std::int64_t least_ms = 1000);

  const UnitOptions options_;
  const std::unique_ptr<Channel> channel_;
  Guard* const guard_;
  std::string commit_;
  std::map<std::string, nlohmann::json> inputs_;
  std::set<std::string> outputs_;

  std::uint64_t next_ = 0;  // the sequence to use next; 0: the instance has to be asked
  std::deque<Reading> queue_;
  // A request that may have been stored: it is sent again as it is until that is known.
  std::optional<std::string> sealed_;
  std::uint64_t sequence_ = 0;
  std::deque<Reading> batch_;
  bool sent_ = false;
  nlohmann::json state_ = nlohmann::json::object();
  std::set<std::string> muted_;  // names of the state that the instance does not want
  bool news_ = false;
  int failures_ = 0;
  std::int64_t not_before_ = 0, last_exchange_ = 0;
  int socket_failures_ = 0;
  std::int64_t socket_at_ = 0;  // when a WebSocket is tried again
  bool look_ = false;           // a push may have been missed
  std::int64_t dropped_ = 0;
  std::optional<std::pair<std::int64_t, std::int64_t>> utc_;  // Unix time in ms, now() when it was told

  std::optional<Offer> offer_, settled_;  // settled: what nothing more is to be done about
  nlohmann::json report_, reporting_;     // null, or where the update is; the one of the request under way
  std::unique_ptr<Updater> updater_;
};

}  // namespace pepeunit::unit_client
