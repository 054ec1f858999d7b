#include "edge.h"

#include <algorithm>
#include <utility>

#include "answer.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/http/problem.h"
#include "pepeunit/values/values.h"

namespace pepeunit::unit_ingest {
namespace {

constexpr char kPath[] = "/v1/exchange", kUpdatePath[] = "/v1/update", kSocketPath[] = "/v1/socket";
constexpr char kProtocol[] = "pepeunit.v1";
constexpr char kMediaType[] = "application/octet-stream";
constexpr std::size_t kMaxToken = 1024;
constexpr std::uint64_t kMaxSequence = (1ULL << 53) - 1;  // whole in every JSON reader, for `next`
constexpr std::size_t kMostLinks = 1024;                  // of a unit whose rate is looked at
constexpr int kMostLoads = 3;                             // tries of a load that events overtake

absl::Status BadToken() { return Unauthenticated("The token is not one of this instance, or was revoked."); }

std::string TagHead(const envelope::Tag& tag) { return {reinterpret_cast<const char*>(tag.data()), 16}; }

}  // namespace

EdgeMetrics EdgeMetrics::In(prometheus::Registry& registry) {
  EdgeMetrics m;
  m.exchanges = &prometheus::BuildCounter()
                     .Name("pepeunit_ingest_exchanges_total")
                     .Help("Exchanges of devices by result")
                     .Register(registry);
  m.loads = &prometheus::BuildCounter()
                 .Name("pepeunit_ingest_loads_total")
                 .Help("Units loaded because the cache did not have them")
                 .Register(registry)
                 .Add({});
  m.undelivered = &prometheus::BuildCounter()
                       .Name("pepeunit_ingest_undelivered_total")
                       .Help("Values that a link could not carry, or beyond the fan-out's bound")
                       .Register(registry)
                       .Add({});
  m.push.pushes = &prometheus::BuildCounter()
                       .Name("pepeunit_ingest_pushes_total")
                       .Help("Messages pushed to devices over WebSockets")
                       .Register(registry)
                       .Add({});
  m.push.sockets = &prometheus::BuildGauge()
                        .Name("pepeunit_ingest_sockets")
                        .Help("WebSockets of devices that are open")
                        .Register(registry)
                        .Add({});
  return m;
}

Edge::Edge(Source& source, ReportSink& sink, Updates& updates, Executor& executor, EdgeMetrics metrics,
           EdgeSettings settings)
    : source_(source),
      sink_(sink),
      updates_(updates),
      executor_(executor),
      metrics_(metrics),
      settings_(settings),
      units_(settings.cache_units),
      tokens_(settings.cache_units) {}

void Edge::Count(const char* result) {
  if (metrics_.exchanges != nullptr) metrics_.exchanges->Add({{"result", result}}).Increment();
}

void Edge::RefuseEarly(Call& call, const absl::Status& status, int http_status, const char* result) {
  Count(result);
  call.Refuse(status, http_status);
}

// Before any work is done for it, so that what was taken is done in time. Whoever comes back after a random pause has
// as good a chance as everybody else.
void Edge::RefuseOverload(Call& call) {
  RefuseEarly(call, Limit("More comes than can be stored; try again shortly."), 429, "overload");
}

void Edge::Handle(std::shared_ptr<http::Exchange> http) {
  const auto refuse = [this, &http](const absl::Status& status, int http_status, const char* result) {
    HttpCall call(http);
    RefuseEarly(call, status, http_status, result);
  };
  const auto invalid = [](const char* text) { return Error(absl::StatusCode::kInvalidArgument, "INVALID_BODY", text); };
  const bool socket = http->path() == kSocketPath;
  if (!socket && http->path() != kPath && http->path() != kUpdatePath)
    return refuse(NotFound("page"), 404, "not_found");
  if (http->method() != (socket ? "GET" : "POST")) {
    Count("method");
    auto problem = http::Problem(Error(absl::StatusCode::kUnimplemented, "INVALID_BODY",
                                       socket ? "A WebSocket is asked for with GET." : "Devices POST here."),
                                 http->path(), http->trace(), 405);
    problem.headers.emplace_back("Allow", socket ? "GET" : "POST");
    return http->Respond(std::move(problem));
  }
  if (socket && !http->AsksForWebSocket(kProtocol))
    return refuse(invalid("Ask for a WebSocket (version 13) with the subprotocol pepeunit.v1."), 426, "upgrade");
  if (!socket && http->Header("content-type") != kMediaType)
    return refuse(invalid("The body must be application/octet-stream."), 415, "media_type");
  if (http->path() == kPath && sink_.waiting() >= settings_.most_waiting) {
    HttpCall call(http);
    return RefuseOverload(call);
  }
  const std::string_view authorization = http->Header("authorization");
  constexpr std::string_view kBearer = "Bearer ";
  // The scheme's name is case-insensitive (RFC 9110, section 11.1).
  const bool bearer =
      authorization.size() > kBearer.size() && std::equal(kBearer.begin(), kBearer.end(), authorization.begin(),
                                                          [](char a, char b) { return (a | 0x20) == (b | 0x20); });
  if (!bearer || authorization.size() > kMaxToken + kBearer.size())
    return refuse(Unauthenticated("Send PEPEUNIT_TOKEN as `Authorization: Bearer`."), 401, "token");
  const std::string token(authorization.substr(kBearer.size()));
  const std::string hash = Sha256(AsBytes(token));
  if (const auto known = tokens_.Find(hash)) return WithToken(http, *known);
  const bool taken = executor_.TryRun([this, http, token, hash] {
    const auto facts = source_.OpenToken(token);
    if (!facts.ok()) {
      const bool away = absl::IsUnavailable(facts.status()) || absl::IsResourceExhausted(facts.status());
      HttpCall call(http);
      return away ? RefuseEarly(call, facts.status(), 503, "unavailable") : RefuseEarly(call, BadToken(), 401, "token");
    }
    tokens_.Put(hash, *facts);
    WithToken(http, *facts);
  });
  if (!taken) refuse(Unavailable("Too many devices are signing in; try again shortly."), 503, "busy");
}

void Edge::WithToken(const std::shared_ptr<http::Exchange>& http, const TokenFacts& token) {
  if (http->path() == kSocketPath) return OpenSocket(http, token);
  const auto kind = http->path() == kPath ? envelope::Kind::kRequest : envelope::Kind::kUpdateRequest;
  Take(std::make_shared<HttpCall>(http), kind, token, nullptr);
}

void Edge::OpenSocket(const std::shared_ptr<http::Exchange>& http, const TokenFacts& token) {
  const auto entry = EntryOf(token.unit);
  // One that is known to be void gets its 401, which a message could not say so well.
  if (const auto profile = entry->profile(); profile && profile->token_generation != token.generation) {
    HttpCall call(http);
    return RefuseEarly(call, BadToken(), 401, "token");
  }
  http->Upgrade(kProtocol, [this, entry, token](std::shared_ptr<http::WebSocket> web_socket) {
    const auto socket = std::make_shared<DeviceSocket>(std::move(web_socket), entry, token, metrics_.push);
    http::WebSocketEvents events;
    events.message = [this, socket](std::string message) { OnMessage(socket, std::move(message)); };
    events.closed = [socket] { socket->Closed(); };
    return events;
  });
}

void Edge::OnMessage(const std::shared_ptr<DeviceSocket>& socket, std::string message) {
  const auto call = socket->MakeCall(std::move(message));
  const auto header = envelope::Peek(call->sealed());
  if (!header.ok()) return RefuseEarly(*call, header.status(), 400, "envelope");
  if (header->kind != envelope::Kind::kRequest && header->kind != envelope::Kind::kUpdateRequest) {
    return RefuseEarly(*call, Error(absl::StatusCode::kInvalidArgument, "BAD_ENVELOPE", "Devices send requests."), 400,
                       "envelope");
  }
  if (header->kind == envelope::Kind::kRequest && sink_.waiting() >= settings_.most_waiting)
    return RefuseOverload(*call);
  Take(call, header->kind, socket->token(), socket->entry());
}

std::shared_ptr<UnitEntry> Edge::EntryOf(const Uuid& unit) {
  return units_.FindOrMake(unit, [this] {
    return std::make_shared<UnitEntry>(RateLimiter(settings_.unit_rate, settings_.unit_burst),
                                       RateLimiter(settings_.update_rate, settings_.update_burst));
  });
}

void Edge::Take(std::shared_ptr<Call> call, envelope::Kind kind, const TokenFacts& token,
                std::shared_ptr<UnitEntry> entry) {
  const auto header = envelope::Peek(call->sealed());
  if (!header.ok()) return RefuseEarly(*call, header.status(), 400, "envelope");
  if (header->unit != token.unit)
    return RefuseEarly(*call, Unauthenticated("The token is of another unit."), 401, "token");
  auto job = std::make_shared<Job>();
  job->kind = kind;
  job->call = std::move(call);
  job->token = token;
  job->entry = entry ? std::move(entry) : EntryOf(token.unit);
  if (DecideAtOnce(job)) return;
  if (!job->entry->TakeTurn([this, job] { Begin(job); })) {
    RefuseEarly(*job->call, Limit("Exchanges of this unit wait already; send one at a time."), 429, "busy");
  }
}

bool Edge::DecideAtOnce(const JobPtr& job) {
  const auto profile = job->entry->profile();
  if (!profile) return false;
  if (const absl::Status status = Open(job, profile); !status.ok()) {
    RefuseEarly(*job->call, status, 0, absl::IsUnauthenticated(status) ? "token" : "envelope");
    return true;
  }
  if (job->kind == envelope::Kind::kUpdateRequest) {
    Update(job);
    return true;
  }
  const auto seen = job->entry->seen();
  const std::uint64_t sequence = job->opened.header.sequence;
  if (!seen || sequence > seen->sequence) return false;
  sequence == 0 ? AnswerHello(job, seen->sequence + 1) : AnswerKnown(job, *seen);
  return true;
}

// UNAUTHENTICATED for a token of another generation, BAD_ENVELOPE for a body that was not sealed by the unit.
absl::Status Edge::Open(const JobPtr& job, const std::shared_ptr<const Profile>& profile) {
  if (profile->token_generation != job->token.generation) return BadToken();
  if (job->profile == profile) return absl::OkStatus();
  PEPEUNIT_ASSIGN_OR_RETURN(job->opened, envelope::OpenRequest(profile->keys, job->call->sealed(), job->kind));
  job->profile = profile;
  return absl::OkStatus();
}

void Edge::AnswerHello(const JobPtr& job, std::uint64_t next) {
  if (const std::int64_t wait = job->entry->TakeHello(MonotonicMs()); wait > 0)
    return AnswerError(job, 429, BusyAnswer(wait), "rate", wait);
  AnswerGood(job, next, kMaxAnswerBytes, "hello");
}

void Edge::AnswerKnown(const JobPtr& job, const Standing& standing) {
  const bool accepted =
      job->opened.header.sequence == standing.sequence && standing.request_tag == TagHead(job->opened.tag);
  AnswerError(job, 409, SequenceAnswer(standing.sequence + 1, accepted), "sequence");
}

void Edge::Begin(const JobPtr& job) {
  const auto profile = job->entry->profile();
  if (!profile) return LoadThen(job);
  if (!job->entry->standing_known && job->kind == envelope::Kind::kRequest) return ReloadStandingThen(job);
  Process(job, profile);
}

void Edge::LoadThen(const JobPtr& job) {
  if (metrics_.loads != nullptr) metrics_.loads->Increment();
  const bool taken = executor_.TryRun([this, job] {
    const TraceScope scope(job->call->trace());
    const auto profile = Load(job->token.unit, *job->entry);
    if (absl::IsNotFound(profile.status())) return Refuse(job, BadToken(), "token");
    if (!profile.ok()) return Refuse(job, profile.status(), "unavailable");
    Process(job, *profile);
  });
  if (!taken) Refuse(job, Unavailable("Too many units are being loaded; try again shortly."), "busy");
}

absl::StatusOr<std::shared_ptr<const Profile>> Edge::Load(const Uuid& unit, UnitEntry& entry) {
  for (int i = 0; i < kMostLoads; ++i) {
    const std::uint64_t epoch = entry.BeginLoad();
    auto loaded = source_.Load(unit);
    if (absl::IsNotFound(loaded.status())) entry.RefuseSockets();
    if (!loaded.ok()) return loaded.status();
    auto profile = loaded->profile;
    if (entry.FinishLoad(epoch, *std::move(loaded))) return profile;
  }
  return Unavailable("The unit is being changed; try again shortly.");
}

void Edge::ReloadStandingThen(const JobPtr& job) {
  const bool taken = executor_.TryRun([this, job] {
    const TraceScope scope(job->call->trace());
    auto standing = source_.LoadStanding(job->token.unit);
    if (!standing.ok()) return Refuse(job, standing.status(), "unavailable");
    job->entry->standing = *std::move(standing);
    job->entry->standing_known = true;
    job->entry->See(job->entry->standing);
    Begin(job);
  });
  if (!taken) Refuse(job, Unavailable("Too many units are being loaded; try again shortly."), "busy");
}

void Edge::Process(const JobPtr& job, const std::shared_ptr<const Profile>& profile) {
  if (const absl::Status status = Open(job, profile); !status.ok())
    return Refuse(job, status, absl::IsUnauthenticated(status) ? "token" : "envelope");
  // From here on the request is the device's own, and so are its answers.
  if (job->kind == envelope::Kind::kUpdateRequest) {
    Update(job);
    return job->entry->EndTurn();
  }
  const Standing& standing = job->entry->standing;
  const std::uint64_t sequence = job->opened.header.sequence;
  if (sequence <= standing.sequence) {
    sequence == 0 ? AnswerHello(job, standing.sequence + 1) : AnswerKnown(job, standing);
    return job->entry->EndTurn();
  }
  if (!job->retried) {
    if (const std::int64_t wait = job->entry->limiter.Take(MonotonicMs()); wait > 0)
      return EndWithError(job, 429, BusyAnswer(wait), "rate", wait);
  }
  if (sequence > kMaxSequence) {
    const auto status = InvalidField("sequence", "must be at most 2^53 - 1");
    return EndWithError(job, 422, InvalidAnswer(status), "invalid");
  }
  auto parsed = ParseReport(*profile, job->opened.plaintext, NowMs(), settings_.max_deliveries);
  if (!parsed.ok()) return EndWithError(job, 422, InvalidAnswer(parsed.status()), "invalid");
  TellThenPublish(job, *std::move(parsed));
}

void Edge::Update(const JobPtr& job) {
  const auto& profile = job->profile;
  if (job->opened.header.sequence != 0) {
    const auto status = InvalidField("sequence", "must be 0 in an update request");
    return AnswerError(job, 422, InvalidAnswer(status), "update_invalid");
  }
  if (const std::int64_t wait = job->entry->TakeUpdate(MonotonicMs()); wait > 0)
    return AnswerError(job, 429, BusyAnswer(wait), "update_rate", wait);
  updates_.Handle(profile, job->opened.plaintext, job->call->trace(), [this, job](const Updates::Answer& answer) {
    const auto kind = answer.file_bytes ? envelope::Kind::kFileBytes : envelope::Kind::kUpdateAnswer;
    Answer(job, {.status = answer.status, .kind = kind, .retry_after_ms = answer.retry_after_ms}, answer.plaintext,
           answer.result);
  });
}

void Edge::TellThenPublish(const JobPtr& job, Parsed parsed) {
  const std::int64_t now_ms = NowMs();
  if (!job->entry->told.IsNews(parsed.commit, parsed.update, now_ms)) return Publish(job, std::move(parsed));
  bus::v1::Event event;
  event.set_time_ms(now_ms);
  auto* told = event.mutable_device_told();
  told->set_unit_id(job->profile->unit.ToString());
  told->set_sequence(job->opened.header.sequence);
  told->set_time_ms(now_ms);
  told->set_commit(parsed.commit);
  if (parsed.update) *told->mutable_update() = *parsed.update;
  const auto kept = std::make_shared<Parsed>(std::move(parsed));
  sink_.Tell(job->profile->unit, event.SerializeAsString(), job->call->trace().ToTraceparent(),
             [this, job, kept, now_ms](const bus::PublishResult& result) {
               if (!result.status.ok()) return EndWithError(job, 503, BusyAnswer(1'000), "unavailable", 1'000);
               job->entry->told.Note(kept->commit, kept->update, now_ms);
               Publish(job, std::move(*kept));
             });
}

void Edge::Publish(const JobPtr& job, Parsed parsed) {
  auto* report = parsed.message.mutable_report();
  report->set_sequence(job->opened.header.sequence);
  report->set_request_tag(TagHead(job->opened.tag));
  if (!parsed.commit.empty()) job->entry->SetCommit(parsed.commit);
  if (!parsed.refusals.empty() && metrics_.undelivered != nullptr)
    metrics_.undelivered->Increment(static_cast<double>(parsed.refusals.size()));
  job->entry->CountRefusals(parsed.refusals);
  job->entry->TellRefusals(report);
  // Until the answer is there, nobody knows whether the report is stored.
  job->entry->standing_known = false;
  const std::size_t max_answer = parsed.max_answer;
  const std::string payload = parsed.message.SerializeAsString();
  job->deliveries.Swap(report->mutable_deliveries());
  sink_.Publish(job->profile->unit, payload, job->entry->standing.report_stream_sequence,
                [this, job, max_answer](const bus::PublishResult& result) { Published(job, max_answer, result); });
}

void Edge::Published(const JobPtr& job, std::size_t max_answer, const bus::PublishResult& result) {
  UnitEntry& entry = *job->entry;
  if (result.status.ok()) {
    entry.standing = {job->opened.header.sequence, TagHead(job->opened.tag), result.sequence};
    entry.standing_known = true;
    entry.See(entry.standing);
    Carry(job, result.sequence);
    AnswerGood(job, 0, max_answer, "accepted");
    return entry.EndTurn();
  }
  if (result.sequence_mismatch && !job->retried) {
    // Another replica was quicker, or the stream let go of our last position: look again and decide again, once.
    job->retried = true;
    return ReloadStandingThen(job);
  }
  if (result.stream_full) {
    entry.standing_known = true;  // refused: nothing has changed
    return EndWithError(job, 503, BusyAnswer(5'000), "full", 5'000);
  }
  if (absl::IsResourceExhausted(result.status)) {  // it was not sent at all
    entry.standing_known = true;
    return EndWithError(job, 429, BusyAnswer(1'000), "overload", 1'000);
  }
  log::Warning("a report's fate is not known", {{"unit", job->profile->unit.ToString()}, {"status", result.status}});
  EndWithError(job, 503, BusyAnswer(1'000), "unavailable", 1'000);
}

void Edge::Carry(const JobPtr& job, std::uint64_t stream_sequence) {
  // A profile that is not the newest may have links that carry no more.
  if (job->deliveries.empty() || job->entry->profile() != job->profile) return;
  auto& links = job->entry->links;
  if (links.size() > kMostLinks) links.clear();
  for (auto& delivery : job->deliveries) {
    const auto link = Uuid::FromBytes(delivery.link_id()), input = Uuid::FromBytes(delivery.input_id()),
               unit = Uuid::FromBytes(delivery.unit_id());
    if (!link || !input || !unit) continue;
    auto& limiter = links.try_emplace(*link, settings_.link_rate, settings_.link_burst).first->second;
    if (limiter.Take(MonotonicMs()) > 0) continue;  // state-logger tells of it when its time has come
    bus::v1::InputChanged changed;
    changed.set_stream_sequence(stream_sequence);
    changed.set_time_ms(delivery.time_ms());
    *changed.mutable_value() = std::move(*delivery.mutable_value());
    *changed.mutable_unit_id() = delivery.unit_id();
    *changed.mutable_input_id() = delivery.input_id();
    if (!InputChanged(*unit, *input, {values::ToJson(changed.value()), stream_sequence})) sink_.TellInput(changed);
  }
}

void Edge::AnswerGood(const JobPtr& job, std::uint64_t next, std::size_t max_answer, const char* result) {
  Count(result);
  const Profile& profile = *job->profile;
  job->call->Answer(job->profile, job->opened, {.good = true}, [&](std::optional<std::uint64_t> pushes) {
    AnswerFacts facts;
    facts.now_ms = NowMs();
    facts.next = next;
    facts.offer_update = job->entry->Offers(profile);
    facts.max_bytes = max_answer;
    facts.pushes = pushes;
    return GoodAnswer(profile, job->entry->InputTexts(profile), facts);
  });
  if (job->entry->has_sockets() && job->entry->profile() == nullptr) LoadLater(profile.unit);
}

void Edge::Answer(const JobPtr& job, const Reply& reply, const std::string& plaintext, const char* result) {
  Count(result);
  job->call->Answer(job->profile, job->opened, reply, [&](std::optional<std::uint64_t>) { return plaintext; });
}

void Edge::AnswerError(const JobPtr& job, int status, const std::string& plaintext, const char* result,
                       std::int64_t retry_after_ms) {
  const auto kind =
      job->kind == envelope::Kind::kUpdateRequest ? envelope::Kind::kUpdateAnswer : envelope::Kind::kAnswer;
  Answer(job, {.status = status, .kind = kind, .retry_after_ms = retry_after_ms}, plaintext, result);
}

void Edge::EndWithError(const JobPtr& job, int status, const std::string& plaintext, const char* result,
                        std::int64_t retry_after_ms) {
  AnswerError(job, status, plaintext, result, retry_after_ms);
  job->entry->EndTurn();
}

void Edge::Refuse(const JobPtr& job, const absl::Status& status, const char* result) {
  RefuseEarly(*job->call, status, 0, result);
  job->entry->EndTurn();
}

void Edge::UnitChanged(const Uuid& unit) {
  const auto entry = units_.Find(unit);
  if (!entry) return;
  (*entry)->Invalidate();
  LoadForSockets(unit, *entry);
}

void Edge::LoadForSockets(const Uuid& unit, const std::shared_ptr<UnitEntry>& entry) {
  if (!entry->has_sockets()) return;
  const bool turn = entry->TakeTurn([this, unit, entry] {
    const bool taken = executor_.TryRun([this, unit, entry] {
      if (entry->profile() == nullptr) {
        const absl::Status status = Load(unit, *entry).status();
        if (!status.ok() && !absl::IsNotFound(status)) LoadLater(unit);
      }
      entry->EndTurn();
    });
    if (taken) return;
    LoadLater(unit);
    entry->EndTurn();
  });
  if (!turn) LoadLater(unit);
}

void Edge::LoadLater(const Uuid& unit) {
  std::lock_guard lock(mutex_);
  unloaded_.insert(unit);
}

void Edge::RetryLoads() {
  std::set<Uuid> units;
  {
    std::lock_guard lock(mutex_);
    units.swap(unloaded_);
  }
  for (const Uuid& unit : units) {
    if (const auto entry = units_.Find(unit)) LoadForSockets(unit, *entry);
  }
}

bool Edge::InputChanged(const Uuid& unit, const Uuid& input, InputValue value) {
  const auto entry = units_.Find(unit);
  if (!entry) return false;
  (*entry)->ApplyInput(input, std::move(value));
  return (*entry)->has_sockets();
}

void Edge::DropAll() {
  std::vector<std::pair<Uuid, std::shared_ptr<UnitEntry>>> open;
  units_.ForEach([&](const Uuid& unit, const std::shared_ptr<UnitEntry>& entry) {
    entry->Invalidate();
    if (entry->has_sockets()) open.emplace_back(unit, entry);
  });
  for (const auto& [unit, entry] : open) LoadForSockets(unit, entry);
}

}  // namespace pepeunit::unit_ingest
