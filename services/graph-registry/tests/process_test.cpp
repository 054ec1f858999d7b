#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "adapters.h"
#include "followed_events.h"
#include "handlers.h"
#include "pepeunit/rpc/client.h"
#include "postgres_feed.h"
#include "private_nats.h"
#include "settings.h"
#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;
using namespace std::chrono_literals;

namespace {

// The service behind its socket.
struct Served : World {
  rpc::ServerOptions options{.address = "unix:/tmp/pepeunit-graph-test-" + std::to_string(::getpid()) + ".sock",
                             .instance_key = std::string(32, 'k')};
  rpc::Calls calls{options, nullptr};
  Callers callers{people};
  PostgresFeed changes{pool};
  ChangeFeed feed{changes, callers, {}};
  Handlers handlers{{calls, calls, calls, calls},
                    callers,
                    accounts,
                    users,
                    departures,
                    exports,
                    invitations,
                    tokens,
                    oidc,
                    repo_units,
                    followers,
                    rollouts,
                    units,
                    updates,
                    links,
                    nodes,
                    neighbourhoods,
                    internals,
                    feed};
  rpc::Server server{options, handlers.All()};
  rpc::Channel channel{options.address, options.instance_key};

  Served() { REQUIRE(server.Start().ok()); }
  ~Served() {
    server.Shutdown(std::chrono::system_clock::now() + 2s);
    calls.Drain();
  }
};

}  // namespace

TEST_CASE("people and services each have their own services", "[A4]") {
  Served s;
  const rpc::Caller anna = s.User("anna");
  const auto repos = graph::v1::RepoUnitService::NewStub(s.channel.grpc());
  const auto internals = graph::v1::GraphInternalService::NewStub(s.channel.grpc());
  const graph::v1::ListRepoUnitsRequest list;
  const auto listed = [&](const rpc::Caller& who) {
    return rpc::Call<graph::v1::ListRepoUnitsResponse>(
               s.channel, who, 5s, [&](auto* c, auto* r) { return repos->ListRepoUnits(c, list, r); })
        .status();
  };
  CHECK(listed(anna) == absl::OkStatus());
  CHECK(listed({}) == absl::OkStatus());
  CHECK(Reason(listed(rpc::Caller::Service())) == "FORBIDDEN");
  const graph::v1::ListRepositoriesToKeepRequest keep;
  const auto kept = [&](const rpc::Caller& who) {
    return rpc::Call<graph::v1::ListRepositoriesToKeepResponse>(
               s.channel, who, 5s, [&](auto* c, auto* r) { return internals->ListRepositoriesToKeep(c, keep, r); })
        .status();
  };
  CHECK(kept(rpc::Caller::Service()) == absl::OkStatus());
  CHECK(Reason(kept(anna)) == "FORBIDDEN");
}

TEST_CASE("a call with a session or a personal token that has ended is refused at once", "[A5]") {
  Served s;
  const rpc::Caller anna = s.User("anna", true), ben = s.User("ben");
  const auto users = graph::v1::UserService::NewStub(s.channel.grpc());
  const auto internals = graph::v1::GraphInternalService::NewStub(s.channel.grpc());
  const auto me = [&](const rpc::Caller& who) {
    return Reason(rpc::Call<graph::v1::User>(s.channel, who, 5s, [&](auto* c, auto* r) {
                    return users->GetCurrentUser(c, graph::v1::GetCurrentUserRequest(), r);
                  }).status());
  };
  graph::v1::CreatePersonalTokenRequest wanted;
  wanted.set_name("script");
  wanted.add_scopes(graph::v1::TOKEN_SCOPE_READ);
  wanted.mutable_expires_at()->set_seconds(NowMs() / 1000 + 3600);
  const auto token_of = [&](const rpc::Caller& user) {
    graph::v1::IssuedPersonalToken issued;
    REQUIRE(s.tokens.Create(user, wanted, issued) == absl::OkStatus());
    rpc::Caller caller = user;
    caller.session_id = *Uuid::Parse(issued.id());
    caller.reach = rpc::Caller::Reach::kRead;
    return caller;
  };
  const auto run = [&](const std::string& sql, const Uuid& id) {
    REQUIRE(s.pool.Transact("sql", [&](pqxx::work& tx) {
      tx.exec_params(sql, id.ToString());
      return absl::OkStatus();
    }) == absl::OkStatus());
  };
  const rpc::Caller revoked = token_of(anna), expired = token_of(anna), living = token_of(anna);
  for (const rpc::Caller& caller : {anna, revoked, expired, living}) CHECK(me(caller).empty());
  REQUIRE(s.tokens.Delete(anna, revoked.session_id.ToString()) == absl::OkStatus());
  run("UPDATE personal_token SET expires_at = now() WHERE id = $1", expired.session_id);
  CHECK(me(revoked) == "UNAUTHENTICATED");
  CHECK(me(expired) == "UNAUTHENTICATED");
  CHECK(me(living).empty());
  // Somebody else's session is nobody's.
  rpc::Caller mixed = ben;
  mixed.session_id = anna.session_id;
  CHECK(me(mixed) == "UNAUTHENTICATED");
  // The same where services ask for a user.
  graph::v1::AuthorizeRequest authorize;
  authorize.set_node_id(s.Repo(anna).id());
  authorize.set_permission(graph::v1::PERMISSION_READ);
  const auto authorized = [&](const rpc::Caller& who) {
    return Reason(rpc::Call<graph::v1::AuthorizeResponse>(s.channel, who, 5s, [&](auto* c, auto* r) {
                    return internals->Authorize(c, authorize, r);
                  }).status());
  };
  CHECK(authorized(living).empty());
  CHECK(authorized(revoked) == "UNAUTHENTICATED");
  graph::v1::DeleteSessionRequest out;
  out.set_id(anna.session_id.ToString());
  REQUIRE(s.accounts.SignOut(anna, out) == absl::OkStatus());
  CHECK(me(anna) == "UNAUTHENTICATED");
  CHECK(me(living).empty());
}

TEST_CASE("who is no administrator any more has lost its power at once", "[A4][A5]") {
  Served s;
  const rpc::Caller root = s.User("root", true);
  const Callers callers(s.people);
  CHECK(callers.Admit(root)->administrator);
  REQUIRE(s.pool.Transact("sql", [&](pqxx::work& tx) {
    tx.exec("UPDATE account SET administrator = false");
    return absl::OkStatus();
  }) == absl::OkStatus());
  CHECK_FALSE(callers.Admit(root)->administrator);
}

TEST_CASE("an error with many problems goes over the wire whole", "[R3]") {
  Served s;
  const rpc::Caller anna = s.User("anna");
  const auto repo = s.Repo(anna, common::v1::ACCESS_LEVEL_PUBLIC, false);
  std::string schema = "{\"output_variables\": {";
  for (int i = 0; i < 400; ++i) {
    schema += (i ? ",\n\"v" : "\n\"v") + std::to_string(i) + "\": {\"type\": \"" + std::string(400, 'x') + "\"}";
  }
  s.versions.Add("broken", 'b', schema + "}}", "{}");
  graph::v1::UpdateRepoUnitRequest update;
  update.set_id(repo.id());
  update.set_default_branch("broken");
  const auto stub = graph::v1::RepoUnitService::NewStub(s.channel.grpc());
  const auto answer = rpc::Call<graph::v1::RepoUnit>(
      s.channel, anna, 5s, [&](auto* c, auto* r) { return stub->UpdateRepoUnit(c, update, r); });
  CHECK(answer.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Reason(answer.status()) == "INVALID_REPOSITORY");
  CHECK(InfoOf(answer.status()).violations.size() == 12);
}

TEST_CASE("events leave with their change, repo-sync's are followed, and values are durable", "[G4][R2]") {
  World w;
  bus::PrivateNats nats;
  bus::Bus bus({.url = nats.url(), .token = "", .name = "test"});
  REQUIRE(bus.EnsureStream(bus::EventsStream(1), 10s).ok());
  REQUIRE(bus.EnsureStream(bus::ValuesStream(1 << 20, 1), 10s).ok());
  outbox::Relay relay(w.pool, bus, w.schema);
  relay.Start();
  PostgresStore store(w.pool, &relay);
  FollowTurns turns(store, w.followers);
  FollowedEvents events(bus, store, turns, w.updates);
  events.Start();
  const rpc::Caller anna = w.User("anna");
  auto repo = w.Repo(anna);

  bus::v1::Event event;
  event.mutable_repo_synced()->set_repo_unit_id(repo.id());
  event.mutable_repo_synced()->set_state(bus::v1::SYNC_STATE_READY);
  event.mutable_repo_synced()->set_time_ms(5'000);
  // What cannot be read is passed over.
  REQUIRE(bus.PublishAndWait("events.repo.sync.x", "not an event", {}).status.ok());
  REQUIRE(bus.PublishAndWait("events.repo.sync." + repo.id(), event.SerializeAsString(), {}).status.ok());
  for (int i = 0; i < 100 && repo.sync().state() != bus::v1::SYNC_STATE_READY; ++i) {
    std::this_thread::sleep_for(50ms);
    REQUIRE(w.repo_units.Get(anna, std::string(repo.id()), repo).ok());
  }
  CHECK(repo.sync().state() == bus::v1::SYNC_STATE_READY);
  absl::StatusOr<std::optional<bus::Message>> told;
  for (int i = 0; i < 100 && !(told.ok() && told->has_value()); ++i) {
    std::this_thread::sleep_for(50ms);
    told = bus.GetLastMessage("EVENTS", "events.graph.repo_unit." + repo.id());
  }
  REQUIRE(told.ok());
  CHECK(told->has_value());

  BusValueStream values(bus, 4);
  bus::v1::InputWrite write;
  const Uuid unit = Uuid::New();
  write.set_unit_id(unit.ToBytes());
  write.mutable_value()->set_number(1);
  REQUIRE(values.Write(write) == absl::OkStatus());
  const auto last = bus.GetLastMessage("VALUES", bus::InputSubject(PartitionOf(unit, 4), unit.ToString()));
  REQUIRE(last.ok());
  REQUIRE(last->has_value());
  bus::v1::ValueMessage message;
  REQUIRE(message.ParseFromString((*last)->payload));
  CHECK(message.input().value().number() == 1);

  write.mutable_value()->set_text(std::string(4096, 'x'));
  absl::Status full;
  for (int i = 0; i < 2'000 && full.ok(); ++i) full = values.Write(write);
  CHECK(Reason(full) == "LIMIT");
  CHECK(InfoOf(full).retry_after_ms > 0);
  nats.Kill();
  CHECK(absl::IsUnavailable(values.Write(write)));
  nats.Start();
  events.Stop();
  relay.Stop();
}

TEST_CASE("settings are read, and what makes no sense is refused") {
  std::map<std::string, std::string> environment = {
      {"PEPEUNIT_INSTANCE_KEY", std::string(32, 'k')},
      {"PEPEUNIT_DATABASE_URL", "host=/tmp"},
      {"PEPEUNIT_DEVICE_URL", "http://192.168.1.5:8081/"},
      {"PEPEUNIT_STANDARD_REPOSITORIES", "display=http://a/display.git\n thermostat=http://a/t.git?x=1"},
  };
  const auto read = [&] {
    Config config("graph-registry", [&](const std::string& name) -> std::optional<std::string> {
      const auto found = environment.find(name);
      return found == environment.end() ? std::nullopt : std::optional(found->second);
    });
    Settings settings = Settings::From(config);
    CHECK(config.Finish() == absl::OkStatus());
    return settings;
  };
  const Settings good = read();
  CHECK(good.problem == absl::OkStatus());
  CHECK(good.device_url == "http://192.168.1.5:8081");
  REQUIRE(good.standard.size() == 2);
  CHECK(good.standard[1].name() == "thermostat");
  CHECK(good.standard[1].url() == "http://a/t.git?x=1");
  CHECK(good.accounts.registration == graph::v1::REGISTRATION_OPEN);
  for (const auto& [name, value] : std::map<std::string, std::string>{{"PEPEUNIT_DEVICE_URL", "192.168.1.5"},
                                                                      {"PEPEUNIT_REGISTRATION", "Open"},
                                                                      {"PEPEUNIT_ACCESS_TOKEN_LIFETIME", "2h"},
                                                                      {"PEPEUNIT_STANDARD_REPOSITORIES", "http//a"}}) {
    const auto before = environment;
    environment[name] = value;
    CHECK(std::string(read().problem.message()).find(name) != std::string::npos);
    environment = before;
  }
}
