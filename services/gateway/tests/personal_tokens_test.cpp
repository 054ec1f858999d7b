#include "personal_tokens.h"

#include <catch2/catch.hpp>

#include "authenticator.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/personal_token.h"

using namespace pepeunit;
using namespace pepeunit::gateway;

namespace {

// graph-registry, which answers when it is told to.
struct Registry {
  std::int64_t now_ms = 1'800'000'000'000;
  std::vector<std::pair<std::string, PersonalTokens::OpenDone>> asked;
  Authenticator authenticator{
      [](const Authenticator::FetchDone& done) { done(VerificationKeys{}); },
      [this](const std::string& sha256, PersonalTokens::OpenDone done) { asked.emplace_back(sha256, std::move(done)); },
      [this] { return now_ms; }};
  std::vector<absl::StatusOr<rpc::Caller>> callers;

  void Ask(const std::string& token) {
    authenticator.Authenticate("Bearer " + token,
                               [this](absl::StatusOr<rpc::Caller> caller) { callers.push_back(std::move(caller)); });
  }
  // Answers the oldest question.
  void Answer(const absl::StatusOr<PersonalTokens::Opened>& opened) {
    auto done = std::move(asked.front().second);
    asked.erase(asked.begin());
    done(opened);
  }
  PersonalTokens::Opened Good(std::int64_t life_ms = 3'600'000) const {
    PersonalTokens::Opened opened;
    opened.caller.kind = rpc::Caller::Kind::kUser;
    opened.caller.user_id = Uuid::New();
    opened.caller.session_id = Uuid::New();
    opened.caller.reach = rpc::Caller::Reach::kWrite;
    opened.expires_at_ms = now_ms + life_ms;
    return opened;
  }
  absl::StatusCode last() const { return callers.back().status().code(); }
};

}  // namespace

TEST_CASE("a personal token is asked for by its hash, once, and remembered for half a minute", "[A5]") {
  Registry r;
  const std::string token = NewPersonalToken();
  r.Ask(token);
  r.Ask(token);
  REQUIRE(r.asked.size() == 1);
  CHECK(r.asked[0].first == Sha256(AsBytes(token)));
  CHECK(r.callers.empty());
  const auto good = r.Good();
  r.Answer(good);
  REQUIRE(r.callers.size() == 2);
  for (const auto& caller : r.callers) {
    REQUIRE(caller.ok());
    CHECK(caller->user_id == good.caller.user_id);
    CHECK(caller->session_id == good.caller.session_id);
    CHECK(caller->reach == rpc::Caller::Reach::kWrite);
  }
  r.now_ms += 29'999;
  r.Ask(token);
  CHECK(r.callers.size() == 3);
  CHECK(r.asked.empty());
  r.now_ms += 1;
  r.Ask(token);
  CHECK(r.asked.size() == 1);
}

TEST_CASE("what is no personal token is refused alike, and asked for at most once", "[A5]") {
  Registry r;
  std::string changed = NewPersonalToken();
  changed[20] = changed[20] == 'A' ? 'B' : 'A';
  r.Ask(changed);
  const absl::Status malformed = r.callers.back().status();
  CHECK(malformed.code() == absl::StatusCode::kUnauthenticated);
  r.Ask("pepeunit_pat_");
  CHECK(r.callers.back().status() == malformed);
  CHECK(r.asked.empty());

  const std::string unknown = NewPersonalToken();
  r.Ask(unknown);
  REQUIRE(r.asked.size() == 1);
  r.Answer(NotFound("token"));
  CHECK(r.callers.back().status() == malformed);
  r.Ask(unknown);
  CHECK(r.asked.empty());
  CHECK(r.callers.back().status() == malformed);
}

TEST_CASE("a personal token is not remembered beyond its end", "[A5]") {
  Registry r;
  const std::string token = NewPersonalToken();
  r.Ask(token);
  r.Answer(r.Good(5'000));
  CHECK(r.callers.back().ok());
  r.now_ms += 4'999;
  r.Ask(token);
  CHECK(r.callers.back().ok());
  r.now_ms += 1;
  r.Ask(token);
  CHECK(r.last() == absl::StatusCode::kUnauthenticated);
}

TEST_CASE("while graph-registry is away a token is neither taken nor refused, and asked for again", "[A5]") {
  Registry r;
  const std::string token = NewPersonalToken();
  r.Ask(token);
  r.Answer(Unavailable("away"));
  CHECK(r.last() == absl::StatusCode::kUnavailable);
  r.Ask(token);
  REQUIRE(r.asked.size() == 1);
  r.Answer(r.Good());
  CHECK(r.callers.back().ok());
}

TEST_CASE("made-up personal tokens are asked for a few at once, and drive out no good one", "[A5]") {
  Registry r;
  const std::string good = NewPersonalToken();
  r.Ask(good);
  r.Answer(r.Good());
  for (int i = 0; i < 64; ++i) r.Ask(NewPersonalToken());
  CHECK(r.asked.size() == 64);
  CHECK(r.callers.size() == 1);
  r.Ask(NewPersonalToken());
  CHECK(r.asked.size() == 64);
  CHECK(r.last() == absl::StatusCode::kUnavailable);
  r.Ask(good);
  CHECK(r.callers.back().ok());
  while (!r.asked.empty()) r.Answer(NotFound("token"));

  std::string first;
  for (int i = 0; i < 1'100; ++i) {
    const std::string token = NewPersonalToken();
    if (first.empty()) first = token;
    r.Ask(token);
    r.Answer(NotFound("token"));
  }
  r.Ask(good);
  CHECK(r.callers.back().ok());
  CHECK(r.asked.empty());
  r.Ask(first);  // pushed out by the others
  CHECK(r.asked.size() == 1);
}
