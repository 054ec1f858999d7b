#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "access_token.h"
#include "pepeunit/rpc/caller.h"
#include "personal_tokens.h"

namespace pepeunit::gateway {

// Tells who calls, from the Authorization header: a personal access token as PersonalTokens does, the access token of a
// session with crypto's public keys held in memory. The keys are fetched by
// KeepFresh, and when a token names an unknown one (at most every 5 s, so that made-up names cannot make calls).
// Thread-safe; no call waits.
class Authenticator {
 public:
  using FetchDone = std::function<void(absl::StatusOr<VerificationKeys>)>;
  // Asks crypto; calls back once, from any thread, before or after it returns.
  using Fetch = std::function<void(FetchDone)>;
  using Clock = std::function<std::int64_t()>;  // Unix time in ms
  using Done = std::function<void(absl::StatusOr<rpc::Caller>)>;

  // `clock` stands in for NowMs in tests. Neither `fetch` nor `open` may call back once the Authenticator is gone.
  Authenticator(Fetch fetch, PersonalTokens::Open open, Clock clock = {});

  // Begins a fetch when there are no keys or they are a minute old, so that a key taken back stops working. To be
  // called each second. UNAVAILABLE while there are none.
  absl::Status KeepFresh();

  // An empty header is an anonymous caller. UNAUTHENTICATED for a bad one, UNAVAILABLE when it cannot be checked now.
  void Authenticate(std::string_view authorization, Done done);

 private:
  struct Waiting {
    std::string token;
    Done done;
  };

  // Whether the caller, who holds mutex_, is to fetch once it has let go of it.
  bool TakeFetch(std::int64_t now, bool needed);
  void StartFetch();
  void OnFetched(absl::StatusOr<VerificationKeys> fetched);

  const Fetch fetch_;
  const Clock now_ms_;
  PersonalTokens personal_;
  std::mutex mutex_;
  std::shared_ptr<const VerificationKeys> keys_;  // null before the first fetch
  std::int64_t fetched_ms_ = 0, tried_ms_ = 0;
  bool fetching_ = false;
  bool away_ = false;  // the last fetch failed; told once
  std::vector<Waiting> waiting_;
};

}  // namespace pepeunit::gateway
