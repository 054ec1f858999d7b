#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pepeunit/bus/v1/events.pb.h"

namespace pepeunit::unit_ingest {

// What the other services know of a device through this replica: the version it runs, and how far its update is. Keeps
// what is no news from being told again. Not thread-safe.
class Told {
 public:
  bool IsNews(const std::string& commit, const std::optional<bus::v1::DeviceUpdate>& update,
              std::int64_t now_ms) const {
    if (!commit.empty() && commit != commit_) return true;
    if (!update) return false;
    const bool another = update->commit() != update_.commit() || update->attempt() != update_.attempt() ||
                         update->state() != update_.state();
    return another || (update->done_bytes() != update_.done_bytes() && now_ms >= told_ms_ + kProgressMs);
  }

  void Note(const std::string& commit, const std::optional<bus::v1::DeviceUpdate>& update, std::int64_t now_ms) {
    if (!commit.empty()) commit_ = commit;
    if (update) update_ = *update;
    told_ms_ = now_ms;
  }

 private:
  static constexpr std::int64_t kProgressMs = 2'000;
  std::string commit_;
  bus::v1::DeviceUpdate update_;
  std::int64_t told_ms_ = 0;
};

}  // namespace pepeunit::unit_ingest
