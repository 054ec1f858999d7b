#include "authenticator.h"

#include <utility>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/personal_token.h"

namespace pepeunit::gateway {
namespace {

constexpr std::int64_t kFetchEveryMs = 60'000;
constexpr std::int64_t kFetchAtMostEveryMs = 5'000;
constexpr std::int64_t kRetryAfterMs = 500;  // when there are no keys at all
constexpr std::size_t kMostWaiting = 1'000;

// What follows the scheme, whose name is case-insensitive (RFC 9110, section 11.1); empty for another one.
std::string_view CredentialsOf(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() + 1 || header[scheme.size()] != ' ') return {};
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    const char c = header[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != scheme[i]) return {};
  }
  return header.substr(scheme.size() + 1);
}

// Of Bearer; of Basic (RFC 7617) the password, whatever the user's name: for programs that know nothing else.
std::string TokenOf(std::string_view header) {
  if (const std::string_view bearer = CredentialsOf(header, "bearer"); !bearer.empty()) return std::string(bearer);
  std::string basic(CredentialsOf(header, "basic"));
  while (basic.ends_with('=')) basic.pop_back();
  for (char& c : basic) c = c == '+' ? '-' : c == '/' ? '_' : c;
  const auto decoded = basic.size() > 8'192 ? std::nullopt : Base64UrlDecode(basic);
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  return colon == std::string::npos ? "" : decoded->substr(colon + 1);
}

}  // namespace

Authenticator::Authenticator(Fetch fetch, PersonalTokens::Open open, Clock clock)
    : fetch_(std::move(fetch)),
      now_ms_(clock ? std::move(clock) : Clock(&NowMs)),
      personal_(std::move(open), now_ms_) {}

void Authenticator::Authenticate(std::string_view authorization, Done done) {
  if (authorization.empty()) return done(rpc::Caller{});
  const std::string token = TokenOf(authorization);
  if (token.starts_with(kPersonalTokenPrefix)) return personal_.Resolve(token, std::move(done));
  const auto key_id = token.empty() ? std::nullopt : KeyIdOf(token);
  if (!key_id) return done(Unauthenticated("Authorization must be 'Bearer' and an access token."));

  const std::int64_t now = now_ms_();
  std::shared_ptr<const VerificationKeys> keys;
  bool fetch = false, wait = false;
  {
    std::lock_guard lock(mutex_);
    keys = keys_;
    const bool known = keys && keys->contains(*key_id);
    fetch = TakeFetch(now, !known);
    wait = !known && (fetch || fetching_) && waiting_.size() < kMostWaiting;
    if (wait) waiting_.push_back({token, done});
  }
  if (fetch) StartFetch();
  if (wait) return;
  if (!keys) return done(Unavailable("Access tokens cannot be checked now; try again shortly."));
  done(VerifyAccessToken(token, *keys, now / 1000));
}

absl::Status Authenticator::KeepFresh() {
  bool fetch = false;
  {
    std::lock_guard lock(mutex_);
    fetch = TakeFetch(now_ms_(), !keys_);
  }
  if (fetch) StartFetch();
  std::lock_guard lock(mutex_);
  return keys_ ? absl::OkStatus() : Unavailable("The keys of access tokens have not been fetched yet.");
}

bool Authenticator::TakeFetch(std::int64_t now, bool needed) {
  if (fetching_ || now - tried_ms_ < (keys_ ? kFetchAtMostEveryMs : kRetryAfterMs)) return false;
  if (!needed && now - fetched_ms_ < kFetchEveryMs) return false;
  fetching_ = true;
  tried_ms_ = now;
  return true;
}

void Authenticator::StartFetch() {
  fetch_([this](absl::StatusOr<VerificationKeys> fetched) { OnFetched(std::move(fetched)); });
}

void Authenticator::OnFetched(absl::StatusOr<VerificationKeys> fetched) {
  std::vector<Waiting> waiting;
  std::shared_ptr<const VerificationKeys> keys;
  bool news = false;
  {
    std::lock_guard lock(mutex_);
    fetching_ = false;
    news = away_ == fetched.ok();
    away_ = !fetched.ok();
    if (fetched.ok()) {
      keys_ = std::make_shared<const VerificationKeys>(*std::move(fetched));
      fetched_ms_ = now_ms_();
    }
    keys = keys_;
    waiting.swap(waiting_);
  }
  if (news && fetched.ok()) log::Info("the keys of access tokens are fetched again");
  if (news && !fetched.ok()) log::Warning("cannot fetch the keys of access tokens", {{"status", fetched.status()}});
  for (Waiting& each : waiting) {
    if (fetched.ok()) {
      each.done(VerifyAccessToken(each.token, *keys, now_ms_() / 1000));
    } else {
      each.done(Unavailable("Access tokens cannot be checked now; try again shortly."));
    }
  }
}

}  // namespace pepeunit::gateway
