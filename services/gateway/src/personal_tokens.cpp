#include "personal_tokens.h"

#include <utility>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/personal_token.h"

namespace pepeunit::gateway {
namespace {

constexpr std::int64_t kKeepMs = 30'000;
constexpr std::size_t kMostKept = 1'024;
constexpr std::size_t kMostAsked = 64;           // tokens that are asked for at once
constexpr std::size_t kMostWaitingForOne = 256;  // requests that wait for the same answer

absl::Status BadPersonalToken() { return Unauthenticated("The personal access token is not valid."); }

absl::StatusOr<rpc::Caller> CallerOf(const absl::StatusOr<PersonalTokens::Opened>& opened, std::int64_t now_ms) {
  if (absl::IsNotFound(opened.status()) || (opened.ok() && opened->expires_at_ms <= now_ms)) return BadPersonalToken();
  if (!opened.ok()) return Unavailable("Personal access tokens cannot be checked now; try again shortly.");
  return opened->caller;
}

}  // namespace

const absl::StatusOr<PersonalTokens::Opened>* PersonalTokens::Kept::Find(const std::string& sha256,
                                                                         std::int64_t now_ms) const {
  const auto found = entries_.find(sha256);
  return found == entries_.end() || found->second.until_ms <= now_ms ? nullptr : &found->second.answer;
}

void PersonalTokens::Kept::Put(const std::string& sha256, absl::StatusOr<Opened> answer, std::int64_t now_ms) {
  while (!order_.empty() && (order_.size() >= kMostKept || entries_.at(order_.front()).until_ms <= now_ms)) {
    entries_.erase(order_.front());
    order_.pop_front();
  }
  if (entries_.insert_or_assign(sha256, Entry{std::move(answer), now_ms + kKeepMs}).second) order_.push_back(sha256);
}

void PersonalTokens::Resolve(std::string_view token, Done done) {
  if (!IsPersonalToken(token)) return done(BadPersonalToken());
  const std::string sha256 = Sha256(AsBytes(token));
  const std::int64_t now = now_ms_();
  absl::StatusOr<Opened> answer = Unavailable("Too many tokens are asked for at once.");
  {
    std::lock_guard lock(mutex_);
    const auto* kept = good_.Find(sha256, now);
    if (kept == nullptr) kept = bad_.Find(sha256, now);
    if (kept != nullptr) {
      answer = *kept;
    } else if (const auto asked = asked_.find(sha256); asked != asked_.end()) {
      if (asked->second.size() < kMostWaitingForOne) return asked->second.push_back(std::move(done));
    } else if (asked_.size() < kMostAsked) {
      asked_[sha256].push_back(std::exchange(done, nullptr));
    }
  }
  if (done) return done(CallerOf(answer, now));
  open_(sha256, [this, sha256](absl::StatusOr<Opened> opened) { OnOpened(sha256, std::move(opened)); });
}

void PersonalTokens::OnOpened(const std::string& sha256, absl::StatusOr<Opened> opened) {
  const std::int64_t now = now_ms_();
  std::vector<Done> waiting;
  {
    std::lock_guard lock(mutex_);
    if (auto asked = asked_.extract(sha256)) waiting = std::move(asked.mapped());
    if (opened.ok() || absl::IsNotFound(opened.status())) (opened.ok() ? good_ : bad_).Put(sha256, opened, now);
  }
  for (Done& done : waiting) done(CallerOf(opened, now));
}

}  // namespace pepeunit::gateway
