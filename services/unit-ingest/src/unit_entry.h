#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "pepeunit/base/rate_limiter.h"
#include "ports.h"
#include "profile.h"
#include "told.h"

namespace pepeunit::unit_ingest {

class DeviceSocket;

// What is known of one unit. Its exchanges take turns, so whoever has the turn owns `standing` and what follows it;
// profile and inputs are also touched by events, under the lock. Thread-safe where it locks.
class UnitEntry {
 public:
  UnitEntry(const RateLimiter& reports, const RateLimiter& updates)
      : limiter(reports), hellos_(reports), updates_(updates) {}

  // Runs the task when its turn comes: at once, or after those before it. False when too many wait.
  bool TakeTurn(std::function<void()> task);
  // Ends a turn and begins the next, in the calling thread.
  void EndTurn();

  // Null while cold.
  std::shared_ptr<const Profile> profile() const;
  // Begins a load: events from now on are kept for its end.
  std::uint64_t BeginLoad();
  // False when the unit changed meanwhile: load again.
  bool FinishLoad(std::uint64_t epoch, Loaded loaded);

  void Invalidate();
  void ApplyInput(const Uuid& input, InputValue value);
  // The JSON text of each input in the profile's order.
  std::vector<std::string> InputTexts(const Profile& profile) const;
  std::string InputText(const Input& input) const;
  // Whether the device should run another version than it said last.
  bool Offers(const Profile& profile) const;

  // Connections over which inputs are pushed: they are told of every change until they are removed. Beyond
  // kMostSockets the oldest gives way.
  void AddSocket(const std::shared_ptr<DeviceSocket>& socket);
  void RemoveSocket(const std::shared_ptr<DeviceSocket>& socket);
  bool has_sockets() const { return socket_count_ > 0; }
  // The unit is no longer, or not for whoever holds these.
  void RefuseSockets();

  // A copy of what the unit was last seen to have sent, for whoever has no turn; nothing before the first load. A
  // request at or below its sequence was decided before.
  std::optional<Standing> seen() const;
  void See(const Standing& now);
  // Hellos have a bucket of their own: somebody who sends a captured one again takes nothing from the device's reports.
  std::int64_t TakeHello(std::int64_t now_ms);
  // So do questions about an update.
  std::int64_t TakeUpdate(std::int64_t now_ms);
  // That the device told last.
  void SetCommit(const std::string& commit);

  Standing standing;
  bool standing_known = false;
  RateLimiter limiter;
  // What the other services were told of the device last.
  Told told;
  // Of each link, so that no more is pushed along it than state-logger will let pass.
  std::unordered_map<Uuid, RateLimiter> links;

  // Counts values that did not go on their way, until a report tells of them.
  void CountRefusals(const std::vector<bus::v1::LinkRefusals>& refusals);
  // Moves the counts of some links into the report: so many that it stays small.
  void TellRefusals(bus::v1::Report* report);

 private:
  static constexpr int kMostRefusals = 64;  // links in one report
  static constexpr std::size_t kMostWaiting = 4;
  static constexpr std::size_t kMostSockets = 4;

  std::string InputTextLocked(const Input& input) const;
  std::vector<std::shared_ptr<DeviceSocket>> Sockets() const;

  mutable std::mutex mutex_;
  bool busy_ = false;
  std::deque<std::function<void()>> waiting_;
  std::shared_ptr<const Profile> profile_;
  std::uint64_t epoch_ = 0;
  std::unordered_map<Uuid, InputValue> inputs_;
  std::optional<Standing> seen_;
  RateLimiter hellos_, updates_;
  std::string commit_;
  std::vector<std::shared_ptr<DeviceSocket>> sockets_;  // the oldest first
  std::atomic<std::size_t> socket_count_ = 0;
  std::unordered_map<std::string, bus::v1::LinkRefusals> refusals_;  // by link; belongs to who has the turn
};

}  // namespace pepeunit::unit_ingest
