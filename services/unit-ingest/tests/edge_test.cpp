#include "edge_fixture.h"

using namespace pepeunit;
using namespace pepeunit::unit_ingest;
using nlohmann::json;

namespace {

bus::PublishResult Mismatch() {
  bus::PublishResult result;
  result.status = absl::AbortedError("mismatch");
  result.sequence_mismatch = true;
  return result;
}

}  // namespace

TEST_CASE("a hello tells where to go on, and changes nothing", "[U1][O5][S1]") {
  Fixture f([](Fixture& x) { x.source.standing = {41, std::string(16, 't'), 7}; });
  const Answer answer = f.Send(0, "{}");
  CHECK(answer.status == 200);
  CHECK(answer.content["next"] == 42);
  CHECK(answer.content["input_variables"]["target"] == 20);
  CHECK(answer.content["world_state"].contains("utc"));
  CHECK(f.sink.published.empty());
}

TEST_CASE("a report is answered when the stream has it, not before", "[O5][S4]") {
  Fixture f;
  f.sink.hold = true;
  f.Send(0, "{}");
  const std::string body = f.Seal(1, kReport);
  const auto http = f.Post(body);
  REQUIRE(f.sink.held.size() == 1);
  CHECK_FALSE(http->answered());
  bus::PublishResult stored;
  stored.sequence = 5;
  f.sink.held[0](stored);
  const Answer answer = f.Read(body, *http);
  CHECK(answer.status == 200);
  CHECK_FALSE(answer.content.contains("next"));
  const auto& report = f.sink.published[0].message.report();
  CHECK(report.sequence() == 1);
  CHECK(report.request_tag() == body.substr(body.size() - envelope::kTagBytes, 16));
  CHECK(f.sink.published[0].expected == 0);
  f.sink.hold = false;
  CHECK(f.Send(2, kReport).status == 200);
  CHECK(f.sink.published[1].expected == 5);
  CHECK(f.source.loads == 1);  // nobody was asked again
}

TEST_CASE("a repeated body is refused, and only the very last one is told that it is stored", "[U1]") {
  Fixture f;
  const std::string first = f.Seal(1, kReport), second = f.Seal(2, kReport);
  CHECK(f.Send(first).status == 200);
  CHECK(f.Send(second).status == 200);
  Answer again = f.Send(second);
  CHECK(again.status == 409);
  CHECK(again.content == json::parse(R"({"error":"sequence","next":3,"accepted":true})"));
  CHECK(f.Send(first).content["accepted"] == false);
  CHECK(f.Send(2, "{}").content["accepted"] == false);  // the same sequence, another body
  CHECK(f.sink.published.size() == 2);
}

TEST_CASE("when another replica was quicker, the unit's standing is looked up and decided again", "[U1]") {
  Fixture f;
  CHECK(f.Send(1, kReport).status == 200);
  f.source.standing = {2, "other request...", 55};
  f.sink.results.push_back(Mismatch());
  CHECK(f.Send(2, kReport).status == 409);  // the other replica took this sequence
  f.sink.results.push_back(Mismatch());
  f.source.standing = {2, "other request...", 60};
  CHECK(f.Send(3, kReport).status == 200);  // only the position was old: published again at once
  CHECK(f.sink.published.back().expected == 60);
  f.sink.results = {Mismatch(), Mismatch()};
  CHECK(f.Send(4, kReport).status == 503);  // once, not for ever
}

TEST_CASE("when nobody knows whether a report is stored, the next exchange finds out", "[O5]") {
  Fixture f;
  f.Send(0, "{}");
  bus::PublishResult unknown;
  unknown.status = Unavailable("no ack");
  f.sink.results.push_back(unknown);
  const std::string body = f.Seal(1, kReport);
  const Answer busy = f.Send(body);
  CHECK(busy.status == 503);
  CHECK(busy.content["error"] == "busy");
  f.source.standing = {1, body.substr(body.size() - envelope::kTagBytes, 16), 9};
  const Answer told = f.Send(body);
  CHECK(told.status == 409);
  CHECK(told.content["accepted"] == true);
  CHECK(f.source.standings == 1);
  CHECK(f.source.loads == 1);
}

TEST_CASE("a full stream is told, and uses up no sequence", "[O5]") {
  Fixture f;
  bus::PublishResult full;
  full.status = Limit("full");
  full.stream_full = true;
  f.sink.results.push_back(full);
  const Answer answer = f.Send(1, kReport);
  CHECK(answer.status == 503);
  CHECK(answer.content["retry_after_ms"] == 5000);
  CHECK(f.Send(1, kReport).status == 200);
  CHECK(f.source.standings == 0);
}

TEST_CASE("who is not the device is refused without an effect", "[U4][O5]") {
  Fixture f;
  const std::string good = f.Seal(1, kReport);
  for (const char* token : {"", "bad", "other", "old"}) {
    const Answer answer = f.Send(good, token);
    CHECK(answer.status == 401);
    CHECK_FALSE(answer.sealed);
  }
  CHECK(f.Send(good, std::string(2000, 'x')).status == 401);
  CHECK(f.Send(good.substr(0, 50)).status == 400);
  std::string changed = good;
  changed[60] = static_cast<char>(changed[60] ^ 1);
  CHECK(f.Send(changed).content["reason"] == "BAD_ENVELOPE");
  const auto refused = [&](auto change, int status) {
    auto http = std::make_shared<FakeHttp>("good", good);
    change(*http);
    f.edge->Handle(http);
    CHECK(http->Wait().status == status);
  };
  refused([](FakeHttp& h) { h.method_ = "GET"; }, 405);
  refused([](FakeHttp& h) { h.path_ = "/other"; }, 404);
  refused([](FakeHttp& h) { h.type_ = "text/plain"; }, 415);
  CHECK(f.sink.published.empty());
  CHECK(f.Send(good).status == 200);
}

TEST_CASE("a body that is wrong inside is told, and uses up no sequence", "[S4]") {
  Fixture f;
  const Answer answer = f.Send(1, R"({"output_variables":[{"values":{"nothing":1}}]})");
  CHECK(answer.status == 422);
  CHECK(answer.sealed);
  CHECK(answer.content["errors"][0]["field"] == "output_variables[0].values.nothing");
  CHECK(f.Send(1, kReport).status == 200);
}

TEST_CASE("exchanges of one unit take turns; one too many is sent away") {
  Fixture f;
  f.Send(0, "{}");
  f.sink.hold = true;
  std::vector<std::string> bodies;
  std::vector<std::shared_ptr<FakeHttp>> posts;
  for (std::uint64_t i = 1; i <= 6; ++i) {
    bodies.push_back(f.Seal(i, kReport));
    posts.push_back(f.Post(bodies.back()));
  }
  CHECK(f.sink.published.size() == 1);
  CHECK(posts[5]->Wait().status == 429);
  for (std::size_t i = 0; i < 5; ++i) {
    bus::PublishResult stored;
    stored.sequence = i + 1;
    f.sink.held[i](stored);
    CHECK(f.Read(bodies[i], *posts[i]).status == 200);
  }
}

TEST_CASE("an eager device is told to wait") {
  Fixture f([](Fixture& x) {
    x.settings.unit_rate = 1;
    x.settings.unit_burst = 2;
  });
  CHECK(f.Send(0, "{}").status == 200);
  CHECK(f.Send(1, kReport).status == 200);
  CHECK(f.Send(2, kReport).status == 200);
  const Answer answer = f.Send(3, kReport);
  CHECK(answer.status == 429);
  CHECK(answer.content["retry_after_ms"] > 0);
}

TEST_CASE("who sends again what he captured takes nothing from the device", "[U1][O5]") {
  Fixture f([](Fixture& x) {
    x.settings.unit_rate = 0.001;
    x.settings.unit_burst = 3;
  });
  const std::string hello = f.Seal(0, "{}"), first = f.Seal(1, kReport);
  CHECK(f.Send(hello).status == 200);
  CHECK(f.Send(first).status == 200);
  std::string garbage = first;
  garbage.back() ^= 1;
  for (int i = 0; i < 20; ++i) {
    CHECK(f.Send(first).status == 409);
    CHECK(f.Send(garbage).status == 400);
    f.Send(hello);
  }
  CHECK(f.Send(hello).status == 429);  // hellos have a bucket of their own
  f.sink.hold = true;
  const std::string body = f.Seal(2, kReport);
  const auto http = f.Post(body);
  REQUIRE(f.sink.held.size() == 1);
  // While the device's report waits for the stream, none of its waiting places is taken either.
  for (int i = 0; i < 20; ++i) {
    CHECK(f.Send(first).status == 409);
    CHECK(f.Send(garbage).status == 400);
  }
  bus::PublishResult stored;
  stored.sequence = 5;
  f.sink.held[0](stored);
  CHECK(f.Read(body, *http).status == 200);
}

TEST_CASE("an answer that names what is wrong fits a small device, whatever was sent", "[U1][S4]") {
  Fixture f;
  json values = json::object();
  for (int i = 0; i < 60; ++i) values[std::string(60, '\x01') + std::to_string(i)] = 1;
  const std::string body = f.Seal(1, json{{"output_variables", {{{"values", values}}}}}.dump());
  const auto http = f.Post(body);
  const http::Response response = http->Wait();
  CHECK(response.status == 422);
  CHECK(response.body.size() <= 4096);
  f.Settle();
  const Answer answer = f.Send(2, json{{"output_variables", {{{"values", values}}}}}.dump());
  CHECK(answer.content["error"] == "invalid");
  CHECK(answer.content["errors"].size() > 1);
  CHECK(f.Send((1ULL << 53), kReport).content["errors"][0]["field"] == "sequence");
  CHECK(f.Send((1ULL << 53) - 1, kReport).status == 200);
}

TEST_CASE("changes reach a unit that is known, also while it is being loaded", "[S3][G2]") {
  Fixture f;
  f.source.during_load = [&] { f.edge->UnitChanged(f.source.profile->unit); };
  CHECK(f.Send(0, "{}").status == 200);
  CHECK(f.source.loads == 2);
  f.edge->InputChanged(f.source.profile->unit, f.input, {json(33), 4});
  CHECK(f.Send(0, "{}").content["input_variables"]["target"] == 33);
  f.edge->InputChanged(f.source.profile->unit, f.input, {json(5), 3});
  CHECK(f.Send(0, "{}").content["input_variables"]["target"] == 33);
  f.source.profile->token_generation = 2;  // the env was reset
  f.edge->UnitChanged(f.source.profile->unit);
  CHECK(f.Send(0, "{}").status == 401);
  f.source.profile->token_generation = 1;
  f.edge->DropAll();
  f.source.away = true;
  CHECK(f.Send(0, "{}").status == 503);
  f.source.away = false;
  CHECK(f.Send(0, "{}").status == 200);
}

TEST_CASE("beyond what can be stored nothing is taken, and nothing is lost", "[S4][U7]") {
  Fixture f;
  REQUIRE(f.Send(1, kReport).status == 200);
  f.sink.outstanding = f.settings.most_waiting;
  const std::string body = f.Seal(2, kReport);
  const Answer refused = f.Send(body);
  CHECK(refused.status == 429);
  CHECK_FALSE(refused.sealed);
  CHECK(f.sink.published.size() == 1);
  f.sink.outstanding = 0;
  // One that finds the window full all the same was not sent: the unit stands where it stood, and nobody has to ask.
  bus::PublishResult full;
  full.status = Limit("full");
  f.sink.results.push_back(full);
  const Answer late = f.Send(body);
  CHECK(late.status == 429);
  CHECK(late.content["error"] == "busy");
  CHECK(f.Send(body).status == 200);
  CHECK(f.source.standings == 0);
}
