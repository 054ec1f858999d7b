#include "edge.h"

#include <algorithm>
#include <utility>

#include "answer.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/http/problem.h"

namespace pepeunit::unit_ingest {
namespace {

constexpr char kPath[] = "/v1/exchange", kUpdatePath[] = "/v1/update";
constexpr char kMediaType[] = "application/octet-stream";
constexpr std::size_t kMaxToken = 1024;
constexpr std::uint64_t kMaxSequence = (1ULL << 53) - 1;  // whole in every JSON reader, for `next`
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

void Edge::RefuseEarly(const std::shared_ptr<http::Exchange>& http, const absl::Status& status, int http_status,
                       const char* result) {
  Count(result);
  auto problem = http::Problem(status, http->path(), http->trace(), http_status);
  if (http_status == 405) problem.headers.emplace_back("Allow", "POST");
  http->Respond(std::move(problem));
}

void Edge::Handle(std::shared_ptr<http::Exchange> http) {
  if (http->path() != kPath && http->path() != kUpdatePath)
    return RefuseEarly(http, NotFound("page"), 404, "not_found");
  if (http->method() != "POST") {
    return RefuseEarly(http, Error(absl::StatusCode::kUnimplemented, "INVALID_BODY", "Devices POST here."), 405,
                       "method");
  }
  if (http->Header("content-type") != kMediaType) {
    return RefuseEarly(
        http, Error(absl::StatusCode::kInvalidArgument, "INVALID_BODY", "The body must be application/octet-stream."),
        415, "media_type");
  }
  const std::string_view authorization = http->Header("authorization");
  constexpr std::string_view kBearer = "Bearer ";
  // The scheme's name is case-insensitive (RFC 9110, section 11.1).
  const bool bearer =
      authorization.size() > kBearer.size() && std::equal(kBearer.begin(), kBearer.end(), authorization.begin(),
                                                          [](char a, char b) { return (a | 0x20) == (b | 0x20); });
  if (!bearer || authorization.size() > kMaxToken + kBearer.size()) {
    return RefuseEarly(http, Unauthenticated("Send PEPEUNIT_TOKEN as `Authorization: Bearer`."), 401, "token");
  }
  const std::string token(authorization.substr(kBearer.size()));
  const std::string hash = Sha256(AsBytes(token));
  if (const auto known = tokens_.Find(hash)) return WithToken(std::move(http), *known);
  const bool taken = executor_.TryRun([this, http, token, hash] {
    const auto facts = source_.OpenToken(token);
    if (!facts.ok()) {
      const bool away = absl::IsUnavailable(facts.status()) || absl::IsResourceExhausted(facts.status());
      return away ? RefuseEarly(http, facts.status(), 503, "unavailable") : RefuseEarly(http, BadToken(), 401, "token");
    }
    tokens_.Put(hash, *facts);
    WithToken(http, *facts);
  });
  if (!taken) RefuseEarly(http, Unavailable("Too many devices are signing in; try again shortly."), 503, "busy");
}

void Edge::WithToken(std::shared_ptr<http::Exchange> http, const TokenFacts& token) {
  const auto header = envelope::Peek(AsBytes(http->body()));
  if (!header.ok()) return RefuseEarly(http, header.status(), 400, "envelope");
  if (header->unit != token.unit)
    return RefuseEarly(http, Unauthenticated("The token is of another unit."), 401, "token");
  auto job = std::make_shared<Job>();
  job->kind = http->path() == kPath ? envelope::Kind::kRequest : envelope::Kind::kUpdateRequest;
  job->http = std::move(http);
  job->token = token;
  job->entry = units_.FindOrMake(token.unit, [this] {
    return std::make_shared<UnitEntry>(RateLimiter(settings_.unit_rate, settings_.unit_burst),
                                       RateLimiter(settings_.update_rate, settings_.update_burst));
  });
  if (DecideAtOnce(job)) return;
  if (!job->entry->TakeTurn([this, job] { Begin(job); })) {
    RefuseEarly(job->http, Limit("Exchanges of this unit wait already; send one at a time."), 429, "busy");
  }
}

bool Edge::DecideAtOnce(const JobPtr& job) {
  const auto profile = job->entry->profile();
  if (!profile) return false;
  if (const absl::Status status = Open(job, profile); !status.ok()) {
    RefuseEarly(job->http, status, 0, absl::IsUnauthenticated(status) ? "token" : "envelope");
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
  PEPEUNIT_ASSIGN_OR_RETURN(job->opened, envelope::OpenRequest(profile->keys, AsBytes(job->http->body()), job->kind));
  job->profile = profile;
  return absl::OkStatus();
}

void Edge::AnswerHello(const JobPtr& job, std::uint64_t next) {
  if (const std::int64_t wait = job->entry->TakeHello(MonotonicMs()); wait > 0)
    return Answer(job, *job->profile, job->opened, 429, BusyAnswer(wait), "rate", wait);
  Answer(job, *job->profile, job->opened, 200, Good(job, *job->profile, next, kMaxAnswerBytes), "hello");
}

void Edge::AnswerKnown(const JobPtr& job, const Standing& standing) {
  const bool accepted =
      job->opened.header.sequence == standing.sequence && standing.request_tag == TagHead(job->opened.tag);
  Answer(job, *job->profile, job->opened, 409, SequenceAnswer(standing.sequence + 1, accepted), "sequence");
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
    const TraceScope scope(job->http->trace());
    for (int i = 0; i < kMostLoads; ++i) {
      const std::uint64_t epoch = job->entry->BeginLoad();
      auto loaded = source_.Load(job->token.unit);
      if (absl::IsNotFound(loaded.status())) return Refuse(job, BadToken(), "token");
      if (!loaded.ok()) return Refuse(job, loaded.status(), "unavailable");
      const auto profile = loaded->profile;
      if (job->entry->FinishLoad(epoch, *std::move(loaded))) return Process(job, profile);
    }
    Refuse(job, Unavailable("The unit is being changed; try again shortly."), "unavailable");
  });
  if (!taken) Refuse(job, Unavailable("Too many units are being loaded; try again shortly."), "busy");
}

void Edge::ReloadStandingThen(const JobPtr& job) {
  const bool taken = executor_.TryRun([this, job] {
    const TraceScope scope(job->http->trace());
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
      return Seal(job, *profile, job->opened, 429, BusyAnswer(wait), "rate", wait);
  }
  if (sequence > kMaxSequence) {
    const auto status = InvalidField("sequence", "must be at most 2^53 - 1");
    return Seal(job, *profile, job->opened, 422, InvalidAnswer(status), "invalid");
  }
  auto parsed = ParseReport(*profile, job->opened.plaintext, NowMs(), settings_.max_deliveries);
  if (!parsed.ok()) return Seal(job, *profile, job->opened, 422, InvalidAnswer(parsed.status()), "invalid");
  TellThenPublish(job, profile, *std::move(parsed));
}

void Edge::Update(const JobPtr& job) {
  const auto& profile = job->profile;
  if (job->opened.header.sequence != 0) {
    const auto status = InvalidField("sequence", "must be 0 in an update request");
    return Answer(job, *profile, job->opened, 422, InvalidAnswer(status), "update_invalid");
  }
  if (const std::int64_t wait = job->entry->TakeUpdate(MonotonicMs()); wait > 0)
    return Answer(job, *profile, job->opened, 429, BusyAnswer(wait), "update_rate", wait);
  updates_.Handle(profile, job->opened.plaintext, job->http->trace(), [this, job](const Updates::Answer& answer) {
    Answer(job, *job->profile, job->opened, answer.status, answer.plaintext, answer.result, answer.retry_after_ms,
           answer.file_bytes);
  });
}

void Edge::TellThenPublish(const JobPtr& job, const std::shared_ptr<const Profile>& profile, Parsed parsed) {
  const std::int64_t now_ms = NowMs();
  if (!job->entry->told.IsNews(parsed.commit, parsed.update, now_ms))
    return Publish(job, profile, job->opened, std::move(parsed));
  bus::v1::Event event;
  event.set_time_ms(now_ms);
  auto* told = event.mutable_device_told();
  told->set_unit_id(profile->unit.ToString());
  told->set_sequence(job->opened.header.sequence);
  told->set_time_ms(now_ms);
  told->set_commit(parsed.commit);
  if (parsed.update) *told->mutable_update() = *parsed.update;
  const auto kept = std::make_shared<Parsed>(std::move(parsed));
  sink_.Tell(profile->unit, event.SerializeAsString(), job->http->trace().ToTraceparent(),
             [this, job, profile, kept, now_ms](const bus::PublishResult& result) {
               if (!result.status.ok())
                 return Seal(job, *profile, job->opened, 503, BusyAnswer(1'000), "unavailable", 1'000);
               job->entry->told.Note(kept->commit, kept->update, now_ms);
               Publish(job, profile, job->opened, std::move(*kept));
             });
}

void Edge::Publish(const JobPtr& job, const std::shared_ptr<const Profile>& profile, const envelope::Opened& opened,
                   Parsed parsed) {
  auto* report = parsed.message.mutable_report();
  report->set_sequence(opened.header.sequence);
  report->set_request_tag(TagHead(opened.tag));
  if (!parsed.commit.empty()) job->entry->SetCommit(parsed.commit);
  if (!parsed.refusals.empty() && metrics_.undelivered != nullptr)
    metrics_.undelivered->Increment(static_cast<double>(parsed.refusals.size()));
  job->entry->CountRefusals(parsed.refusals);
  job->entry->TellRefusals(report);
  // Until the answer is there, nobody knows whether the report is stored.
  job->entry->standing_known = false;
  const std::size_t max_answer = parsed.max_answer;
  sink_.Publish(profile->unit, parsed.message.SerializeAsString(), job->entry->standing.report_stream_sequence,
                [this, job, profile, max_answer](const bus::PublishResult& result) {
                  Published(job, profile, job->opened, max_answer, result);
                });
}

void Edge::Published(const JobPtr& job, const std::shared_ptr<const Profile>& profile, const envelope::Opened& opened,
                     std::size_t max_answer, const bus::PublishResult& result) {
  UnitEntry& entry = *job->entry;
  if (result.status.ok()) {
    entry.standing = {opened.header.sequence, TagHead(opened.tag), result.sequence};
    entry.standing_known = true;
    entry.See(entry.standing);
    return Seal(job, *profile, opened, 200, Good(job, *profile, 0, max_answer), "accepted");
  }
  if (result.sequence_mismatch && !job->retried) {
    // Another replica was quicker, or the stream let go of our last position: look again and decide again, once.
    job->retried = true;
    return ReloadStandingThen(job);
  }
  if (result.stream_full) {
    entry.standing_known = true;  // refused: nothing has changed
    return Seal(job, *profile, opened, 503, BusyAnswer(5'000), "full", 5'000);
  }
  log::Warning("a report's fate is not known", {{"unit", profile->unit.ToString()}, {"status", result.status}});
  Seal(job, *profile, opened, 503, BusyAnswer(1'000), "unavailable", 1'000);
}

std::string Edge::Good(const JobPtr& job, const Profile& profile, std::uint64_t next, std::size_t max_answer) const {
  AnswerFacts facts;
  facts.now_ms = NowMs();
  facts.next = next;
  const std::string commit = job->entry->commit();
  facts.offer_update = profile.update_attempt > 0 && !commit.empty() && commit != profile.target_commit;
  facts.max_bytes = max_answer;
  return GoodAnswer(profile, job->entry->InputTexts(profile), facts);
}

void Edge::Seal(const JobPtr& job, const Profile& profile, const envelope::Opened& opened, int status,
                const std::string& plaintext, const char* result, std::int64_t retry_after_ms) {
  Answer(job, profile, opened, status, plaintext, result, retry_after_ms);
  job->entry->EndTurn();
}

void Edge::Answer(const JobPtr& job, const Profile& profile, const envelope::Opened& opened, int status,
                  const std::string& plaintext, const char* result, std::int64_t retry_after_ms, bool file_bytes) {
  Count(result);
  http::Response response;
  response.status = status;
  response.content_type = kMediaType;
  const auto kind = file_bytes                                    ? envelope::Kind::kFileBytes
                    : job->kind == envelope::Kind::kUpdateRequest ? envelope::Kind::kUpdateAnswer
                                                                  : envelope::Kind::kAnswer;
  envelope::SealAnswer(profile.keys, profile.unit, opened.header.sequence, opened.tag, plaintext, &response.body, kind);
  if (retry_after_ms > 0) response.headers.emplace_back("Retry-After", std::to_string((retry_after_ms + 999) / 1000));
  job->http->Respond(std::move(response));
}

void Edge::Refuse(const JobPtr& job, const absl::Status& status, const char* result) {
  RefuseEarly(job->http, status, 0, result);
  job->entry->EndTurn();
}

void Edge::UnitChanged(const Uuid& unit) {
  if (const auto entry = units_.Find(unit)) (*entry)->Invalidate();
}

void Edge::InputChanged(const Uuid& unit, const Uuid& input, InputValue value) {
  if (const auto entry = units_.Find(unit)) (*entry)->ApplyInput(input, std::move(value));
}

void Edge::DropAll() {
  units_.ForEach([](const std::shared_ptr<UnitEntry>& entry) { entry->Invalidate(); });
}

}  // namespace pepeunit::unit_ingest
