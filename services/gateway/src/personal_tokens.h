#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "pepeunit/rpc/caller.h"

namespace pepeunit::gateway {

// Tells whose a personal access token is. graph-registry is asked, with the token's SHA-256, and its answers are kept
// for 30 s: it looks at the token again with each call that comes with its id, so a revoked one is refused at once all
// the same. What does not even have the form of a token is refused here, and the bounds on what is kept and on what is
// asked at once keep made-up ones cheap. Thread-safe; no call waits.
class PersonalTokens {
 public:
  struct Opened {
    rpc::Caller caller;
    std::int64_t expires_at_ms = 0;
  };
  using OpenDone = std::function<void(absl::StatusOr<Opened>)>;
  // Asks graph-registry; calls back once, from any thread, before or after it returns. NOT_FOUND: no such token.
  using Open = std::function<void(const std::string& sha256, OpenDone)>;
  using Clock = std::function<std::int64_t()>;  // Unix time in ms
  using Done = std::function<void(absl::StatusOr<rpc::Caller>)>;

  // `open` must not call back once this is gone.
  PersonalTokens(Open open, Clock clock) : open_(std::move(open)), now_ms_(std::move(clock)) {}

  // UNAUTHENTICATED, without saying why, for what is no living token; UNAVAILABLE when that cannot be told now.
  void Resolve(std::string_view token, Done done);

 private:
  // Answers by the SHA-256 of tokens, each kept for the same time: the oldest leaves first.
  class Kept {
   public:
    const absl::StatusOr<Opened>* Find(const std::string& sha256, std::int64_t now_ms) const;
    void Put(const std::string& sha256, absl::StatusOr<Opened> answer, std::int64_t now_ms);

   private:
    struct Entry {
      absl::StatusOr<Opened> answer;
      std::int64_t until_ms = 0;
    };
    std::unordered_map<std::string, Entry> entries_;
    std::deque<std::string> order_;
  };

  void OnOpened(const std::string& sha256, absl::StatusOr<Opened> opened);

  const Open open_;
  const Clock now_ms_;
  std::mutex mutex_;
  // Apart, so that made-up tokens do not drive out good ones.
  Kept good_, bad_;
  std::unordered_map<std::string, std::vector<Done>> asked_;  // who waits for which answer
};

}  // namespace pepeunit::gateway
