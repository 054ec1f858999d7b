#include "device_socket.h"

#include "answer.h"
#include "edge_fixture.h"

using namespace pepeunit;
using namespace pepeunit::unit_ingest;

namespace {

// A connection to a unit's entry, as the edge opens it.
struct Connection {
  explicit Connection(Fixture& fixture, std::shared_ptr<UnitEntry> at, std::uint32_t generation = 1)
      : f(fixture),
        entry(std::move(at)),
        socket(std::make_shared<DeviceSocket>(web, entry, TokenFacts{f.source.profile->unit, generation},
                                              PushMetrics{})) {}
  ~Connection() { socket->Closed(); }

  // The answer to a good exchange, which begins the pushes.
  json Begin(const std::shared_ptr<const Profile>& profile) {
    request = f.Seal(0, "{}");
    auto opened = envelope::OpenRequest(profile->keys, AsBytes(request));
    REQUIRE(opened.ok());
    socket->MakeCall(request)->Answer(profile, *opened, {.good = true}, [&](std::optional<std::uint64_t> pushes) {
      REQUIRE(pushes);
      AnswerFacts facts;
      facts.pushes = pushes;
      return GoodAnswer(*profile, entry->InputTexts(*profile), facts);
    });
    begun_by = envelope::TagOf(AsBytes(web->messages.back()));
    const auto answer = envelope::OpenAnswer(profile->keys, opened->tag, AsBytes(web->messages.back()));
    REQUIRE(answer.ok());
    web->messages.clear();
    return json::parse(answer->plaintext);
  }

  // The only push since the last look; it has not left yet.
  json Push() {
    REQUIRE(web->messages.size() == 1);
    const auto push =
        envelope::OpenAnswer(f.source.profile->keys, begun_by, AsBytes(web->messages[0]), envelope::Kind::kPush);
    REQUIRE(push.ok());
    REQUIRE(push->header.sequence == ++pushes);
    web->messages.clear();
    return json::parse(push->plaintext);
  }

  Fixture& f;
  std::shared_ptr<UnitEntry> entry;
  std::shared_ptr<FakeWebSocket> web = std::make_shared<FakeWebSocket>();
  std::shared_ptr<DeviceSocket> socket;
  std::string request;
  envelope::Tag begun_by{};
  std::uint64_t pushes = 0;
};

std::shared_ptr<UnitEntry> WarmEntry(Fixture& f) {
  auto entry = std::make_shared<UnitEntry>(RateLimiter(1000, 1000), RateLimiter(1000, 1000));
  REQUIRE(entry->FinishLoad(entry->BeginLoad(), {f.source.profile, {}, {}}));
  return entry;
}

}  // namespace

TEST_CASE("nothing is pushed before the first good answer, and everything that changes after it", "[U12][S3]") {
  Fixture f;
  Connection c(f, WarmEntry(f));
  c.entry->ApplyInput(f.input, {json(21), 1});
  REQUIRE(c.web->messages.empty());
  REQUIRE_FALSE(c.web->welcome);
  REQUIRE(c.Begin(f.source.profile)["input_variables"]["target"] == 21);
  REQUIRE(c.web->welcome);
  REQUIRE(c.web->messages.empty());
  c.entry->ApplyInput(f.input, {json(22), 2});
  REQUIRE(c.Push() == json::parse(R"({"input_variables":{"target":22}})"));
  c.entry->ApplyInput(f.input, {json(5), 1});  // older than what is known
  REQUIRE(c.web->messages.empty());
}

TEST_CASE("a slow connection gets the newest values once the ones before have left", "[U12]") {
  Fixture f([](Fixture& made) {
    for (int i = 0; i < 200; ++i)
      made.source.profile->inputs.push_back({Uuid::New(), "in" + std::to_string(i), json(nullptr)});
  });
  Connection c(f, WarmEntry(f));
  c.Begin(f.source.profile);
  c.entry->ApplyInput(f.input, {json(1), 1});
  REQUIRE(c.Push()["input_variables"]["target"] == 1);
  for (std::uint64_t i = 2; i < 1000; ++i) c.entry->ApplyInput(f.input, {json(i), i});
  REQUIRE(c.web->messages.empty());
  c.web->Flush();
  REQUIRE(c.Push()["input_variables"] == json{{"target", 999}});
  // More than one message holds goes in several, each within the bound.
  for (const auto& input : f.source.profile->inputs) c.entry->ApplyInput(input.id, {json(std::string(60, 'x')), 2000});
  json got;
  while (true) {
    c.web->Flush();
    if (c.web->messages.empty()) break;
    REQUIRE(c.web->messages[0].size() <= 4096);
    got.update(c.Push()["input_variables"]);
  }
  REQUIRE(got.size() == 201);
  // What fits nowhere is left out, and does not stop the others.
  c.entry->ApplyInput(f.input, {json(std::string(5000, 'x')), 3000});
  REQUIRE(c.Push() == json::parse(R"({"input_variables":{},"truncated":true})"));
}

TEST_CASE("a connection is suspended while its unit is being changed, and ends with its token", "[U12][S6]") {
  Fixture f;
  Connection c(f, WarmEntry(f));
  c.Begin(f.source.profile);
  c.entry->Invalidate();
  c.entry->ApplyInput(f.input, {json(30), 1});
  REQUIRE(c.web->messages.empty());
  // A new version of the same keys: what was missed comes, and the version that is offered.
  auto changed = std::make_shared<Profile>(*f.source.profile);
  changed->target_commit = std::string(40, 'b');
  c.entry->SetCommit(std::string(40, 'a'));
  REQUIRE(c.entry->FinishLoad(c.entry->BeginLoad(), {changed, {}, {}}));
  const json push = c.Push();
  REQUIRE(push["input_variables"]["target"] == 30);
  REQUIRE(push["update"]["commit"] == std::string(40, 'b'));
  c.web->Flush();
  // New keys: nothing more goes out under the old ones.
  auto renewed = std::make_shared<Profile>(*changed);
  renewed->token_generation = 2;
  c.entry->Invalidate();
  REQUIRE(c.entry->FinishLoad(c.entry->BeginLoad(), {renewed, {}, {}}));
  REQUIRE(c.web->closed == 1008);
  c.entry->ApplyInput(f.input, {json(31), 2});
  REQUIRE(c.web->messages.empty());
}

TEST_CASE("a unit has at most four connections, and none keeps what has ended", "[U12][S7]") {
  Fixture f;
  const auto entry = WarmEntry(f);
  {
    std::vector<std::unique_ptr<Connection>> connections;
    for (int i = 0; i < 5; ++i) {
      connections.push_back(std::make_unique<Connection>(f, entry));
      connections.back()->Begin(f.source.profile);
    }
    REQUIRE(connections[0]->web->closed == 1008);
    REQUIRE(connections[1]->web->closed == 0);
    REQUIRE(entry->has_sockets());
  }
  REQUIRE_FALSE(entry->has_sockets());
  // One that ended before its answer was ready is not kept either.
  Connection late(f, entry);
  late.socket->Closed();
  late.Begin(f.source.profile);
  REQUIRE_FALSE(entry->has_sockets());
}

TEST_CASE("a report's values go to connections at once, at most as fast as their link may", "[U12][G4][G5]") {
  Fixture f([](Fixture& made) {
    schema::Variable number;
    number.type = schema::Type::kNumber;
    Target target{Uuid::New(), made.input, made.source.profile->unit, number, false};
    made.source.profile->outputs["count"].targets.push_back(target);
    made.settings.link_rate = 1;
    made.settings.link_burst = 2;
  });
  for (std::uint64_t i = 1; i <= 5; ++i) REQUIRE(f.Send(i, kReport).status == 200);
  REQUIRE(f.sink.published.size() == 5);  // all are stored
  REQUIRE(f.sink.inputs.size() == 2);     // state-logger tells of the others in their time
  REQUIRE(f.sink.inputs[0].value().number() == 1);
  REQUIRE(f.Send(0, "{}").content["input_variables"]["target"] == 1);
  // After a change of the unit nothing is carried that was made from the profile of before.
  f.sink.hold = true;
  const auto http = f.Post(f.Seal(6, kReport));
  f.edge->UnitChanged(f.source.profile->unit);
  bus::PublishResult stored;
  stored.sequence = 900;
  f.sink.held[0](stored);
  http->Wait();
  REQUIRE(f.sink.inputs.size() == 2);
}
