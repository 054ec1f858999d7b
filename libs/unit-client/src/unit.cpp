#include "pepeunit/unit_client/unit.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "channel.h"
#include "pepeunit/base/absl_compat.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "plan.h"
#include "updater.h"

namespace pepeunit::unit_client {
namespace {

using nlohmann::json;

constexpr std::size_t kMostReadings = 64;  // of a request
constexpr std::size_t kMostState = 2048;   // bytes of unit_state
constexpr std::size_t kMostAnswer = 4096;  // bytes of an envelope
constexpr std::size_t kRoomOfAReading =
    80;  // bytes of a request beside its readings, and of a reading beside its values
constexpr std::int64_t kMostWaitMs = 900'000, kUsualMostMs = 60'000;

std::string Compact(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

bool IsFinite(const json& value) {
  if (value.is_structured()) return std::all_of(value.begin(), value.end(), IsFinite);
  return !value.is_number_float() || std::isfinite(value.get<double>());
}

absl::StatusOr<json> ReadObject(const std::filesystem::path& path) {
  try {
    auto found = json::parse(Files().Read(path), nullptr, false);
    if (found.is_object()) return found;
    return absl::InvalidArgumentError(absl::StrCat(path.string(), " is not a JSON object"));
  } catch (const std::filesystem::filesystem_error& e) {
    return absl::NotFoundError(e.what());
  }
}

absl::StatusOr<Channel::Identity> ReadIdentity(const json& env, const json& schema) {
  Channel::Identity identity;
  const auto url = TextOf(env, "PEPEUNIT_URL"), token = TextOf(env, "PEPEUNIT_TOKEN");
  if (!url || !(absl::StartsWith(*url, "http://") || absl::StartsWith(*url, "https://"))) {
    return absl::InvalidArgumentError("PEPEUNIT_URL in env.json has to begin with http:// or https://");
  }
  if (!token || token->empty()) return absl::InvalidArgumentError("PEPEUNIT_TOKEN in env.json is missing");
  if (token->find_first_of("\r\n") != std::string::npos) {
    return absl::InvalidArgumentError("PEPEUNIT_TOKEN in env.json has a line break in it");
  }
  identity.url = std::string(absl::StripSuffix(*url, "/"));
  identity.token = *token;
  const auto key = Base64Decode(TextOf(env, "SYNC_ENCRYPT_KEY").value_or(""));
  if (!key || key->size() != 32) {
    return absl::InvalidArgumentError("SYNC_ENCRYPT_KEY in env.json is not 32 bytes in base64");
  }
  identity.keys = envelope::Keys::Derive(AsBytes(*key));
  const auto unit = Uuid::Parse(TextOf(schema.value("pepeunit", json()), "unit").value_or(""));
  if (!unit) {
    return absl::InvalidArgumentError("schema.json does not say which unit this is: take it from the zip of the unit");
  }
  identity.unit = *unit;
  return identity;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Unit>> Unit::Open(UnitOptions options, Transport* transport, Guard* guard) {
  if (!options.log) {
    options.log = [](std::string_view line) {
      std::fprintf(stderr, "pepeunit: %.*s\n", static_cast<int>(line.size()), line.data());
    };
  }
  if (!options.now_ms) options.now_ms = MonotonicMs;
  options.update_chunk = std::clamp<std::size_t>(options.update_chunk, 1, 65536);
  PEPEUNIT_ASSIGN_OR_RETURN(const json env, ReadObject(options.folder / "env.json"));
  PEPEUNIT_ASSIGN_OR_RETURN(const json schema, ReadObject(options.folder / "schema.json"));
  PEPEUNIT_ASSIGN_OR_RETURN(auto identity, ReadIdentity(env, schema));
  auto channel = std::make_unique<Channel>(std::move(identity), transport);
  std::unique_ptr<Unit> unit(new Unit(std::move(options), std::move(channel), guard));
  PEPEUNIT_RETURN_IF_ERROR(unit->ReadSchema(schema));
  return unit;
}

Unit::Unit(UnitOptions options, std::unique_ptr<Channel> channel, Guard* guard)
    : options_(std::move(options)), channel_(std::move(channel)), guard_(guard) {
  last_exchange_ = now() - std::max(options_.poll_ms, options_.gather_ms);  // the first is due at once
}

Unit::~Unit() = default;

absl::Status Unit::ReadSchema(const json& schema) {
  const json inputs = schema.value("input_variables", json::object());
  const json outputs = schema.value("output_variables", json::object());
  // Either is a list of names, or an object of definitions by name.
  for (const auto& [list, name] : {std::pair{&inputs, "input_variables"}, std::pair{&outputs, "output_variables"}}) {
    const bool names =
        list->is_array() && std::all_of(list->begin(), list->end(), [](const json& one) { return one.is_string(); });
    if (!names && !list->is_object()) {
      return absl::InvalidArgumentError(absl::StrCat(name, " in schema.json is no list of names and no object"));
    }
  }
  if (inputs.is_object()) {
    for (const auto& [name, about] : inputs.items())
      inputs_[name] = about.is_object() ? about.value("default", json()) : json();
  } else {
    for (const auto& name : inputs) inputs_[name.get<std::string>()] = nullptr;
  }
  if (outputs.is_object()) {
    for (const auto& [name, about] : outputs.items()) outputs_.insert(name);
  } else {
    for (const auto& name : outputs) outputs_.insert(name.get<std::string>());
  }
  commit_ = TextOf(schema.value("pepeunit", json()), "commit").value_or("");
  if (!commit_.empty()) State("commit", commit_);
  if (guard_ && !guard_->Untold().is_null()) Tell(guard_->Untold());
  return absl::OkStatus();
}

// ---- readings

std::optional<std::int64_t> Unit::utc_ms() const {
  if (!utc_) return std::nullopt;
  return utc_->first + now() - utc_->second;
}

void Unit::State(const std::string& name, const json& value) {
  if (muted_.contains(name) || !IsFinite(value)) return;
  if (state_.contains(name) && state_[name] == value) return;
  state_[name] = value;
  news_ = true;
}

void Unit::Report(const json& values, std::int64_t at_ms) {
  if (!values.is_object()) return Lose("a reading has to be an object of values by name");
  json good = json::object();
  for (const auto& [name, value] : values.items()) {
    if (!outputs_.contains(name)) {
      Lose(absl::StrCat(name, " is not an output variable of schema.json"));
    } else if (!IsFinite(value)) {
      Lose(absl::StrCat(name, " is not a finite number"));
    } else {
      good[name] = value;
    }
  }
  if (good.empty()) return;
  std::string text = Compact(good);
  if (text.size() + kRoomOfAReading > options_.max_body) {
    return Lose(absl::StrCat("a reading of ", text.size(), " bytes is too large"));
  }
  queue_.push_back({at_ms, std::move(text)});
  Trim();
}

void Unit::Lose(std::string_view why, std::int64_t readings) {
  dropped_ += readings;
  options_.log(absl::StrCat("dropped: ", ToAbsl(why)));
}

void Unit::Trim() {
  while (queue_.size() > options_.max_queue) {
    queue_.pop_front();
    ++dropped_;
  }
}

void Unit::ResetState() {
  json commit = state_.value("commit", json());
  state_ = json::object();
  if (!commit.is_null()) state_["commit"] = std::move(commit);
}

// ---- requests

void Unit::Tell(json report) {
  // Where the update is: goes out with the next request, until one is accepted.
  report_ = std::move(report);
  news_ = true;
}

void Unit::Prepare() {
  // Seals the oldest readings, as many as the body holds, under the next sequence.
  if (Compact(state_).size() > kMostState) {
    options_.log("dropped: the state is too large");
    ResetState();
  }
  std::string text = absl::StrCat("{\"unit_state\":", Compact(state_));
  if (!report_.is_null()) absl::StrAppend(&text, ",\"update\":", Compact(report_));
  absl::StrAppend(&text, ",\"output_variables\":[");
  const std::int64_t moment = now();
  batch_.clear();
  while (!queue_.empty() && batch_.size() < kMostReadings) {
    const Reading& reading = queue_.front();
    const std::string part =
        absl::StrCat(batch_.empty() ? "" : ",", "{\"age_ms\":", std::max<std::int64_t>(0, moment - reading.at_ms),
                     ",\"values\":", reading.values, "}");
    if (!batch_.empty() && text.size() + part.size() + kRoomOfAReading + envelope::kOverheadBytes > options_.max_body)
      break;
    text += part;
    batch_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  text += "]}";
  sealed_ = channel_->Seal(next_, text, envelope::Kind::kRequest);
  sequence_ = next_;
  news_ = sent_ = false;
  reporting_ = report_;
}

void Unit::Unseal() {
  // The sealed request is certain not to be stored: its readings wait again.
  queue_.insert(queue_.begin(), std::make_move_iterator(batch_.begin()), std::make_move_iterator(batch_.end()));
  batch_.clear();
  sealed_.reset();
  news_ = true;
  Trim();
}

// ---- answers

std::optional<json> Unit::Ask(std::uint64_t sequence, const std::string& sealed) {
  // The opened answer, or nullopt after a failure. What is not sealed proves nothing: it only says how long to wait.
  Channel::Answer answer;
  bool pushing = false;
  if (ReadySocket()) {
    if (sequence > 0) sent_ = true;
    answer = channel_->Exchange(sequence, sealed);
    if (const std::string end = channel_->TakeEnd(); !end.empty()) LoseSocket(end, 1000);
    pushing = channel_->has_socket();
  }
  if (!pushing) {  // the same bytes twice change nothing
    answer = channel_->Ask("/v1/exchange", sequence, sealed, kMostAnswer);
    if (sequence > 0) sent_ = sent_ || answer.http.sent;
  }
  if (answer.text && answer.kind == envelope::Kind::kAnswer) {
    json opened = json::parse(*answer.text, nullptr, false);
    if (opened.is_object()) {
      TakePushes();  // they came before it
      if (channel_->has_socket() && pushing && !opened.contains("error")) {
        if (channel_->Settle(WholeOf(opened, "pushes").value_or(-1)))
          socket_failures_ = 0;
        else
          LoseSocket("something that was pushed is missing", 1000);
      }
      return opened;
    }
  }
  if (!answer.http.error.empty()) {
    options_.log(absl::StrCat("no exchange: ", answer.http.error));
    if (sealed_ && !sent_) Unseal();  // the ages are told anew
    Fail();
    return std::nullopt;
  }
  const bool unknown = answer.http.status == 401;
  options_.log(absl::StrCat("refused: HTTP ", answer.http.status, unknown ? " (is env.json up to date?)" : ""));
  Fail(answer.http.retry_after.count() * 1000, unknown ? 60'000 : 1000);
  return std::nullopt;
}

void Unit::Accepted() {
  // The request that was under way is stored.
  batch_.clear();
  sealed_.reset();
  if (report_ == reporting_) report_ = nullptr;
  if (guard_) guard_->Accepted(reporting_);
}

void Unit::Take(const json& answer) {
  if (const auto unix_ms = WholeOf(answer.value("world_state", json()), "unix_ms")) utc_ = {*unix_ms, now()};
  const auto inputs = answer.find("input_variables");
  if (inputs == answer.end() || !inputs->is_object()) return;
  for (const auto& [name, value] : inputs->items()) inputs_[name] = value;
  TakeOffer(answer.value("update", json()));
}

void Unit::TakeOffer(const json& offered) {
  const auto commit = TextOf(offered, "commit");
  const auto attempt = WholeOf(offered, "attempt");
  offer_.reset();
  if (commit && attempt) offer_ = Offer{*commit, *attempt};
}

// ---- pushes

bool Unit::ReadySocket() {
  look_ = false;
  if (channel_->has_socket()) return true;
  if (!options_.push || now() < socket_at_) return false;
  std::string why;
  if (channel_->OpenSocket(&why)) return true;
  LoseSocket(why, kUsualMostMs);
  return false;
}

void Unit::LoseSocket(std::string_view why, std::int64_t least_ms) {
  options_.log(absl::StrCat("no WebSocket: ", ToAbsl(why)));
  channel_->CloseSocket();
  look_ = true;
  socket_failures_ = std::min(socket_failures_ + 1, 10);
  socket_at_ = now() + PauseMs(socket_failures_, 0, least_ms);
}

void Unit::TakePushes() {
  while (const auto text = channel_->TakePush()) {
    const json push = json::parse(*text, nullptr, false);
    if (!push.is_object()) continue;
    const json inputs = push.value("input_variables", json::object());
    for (const auto& [name, value] : inputs.items()) inputs_[name] = value;
    if (push.contains("update")) TakeOffer(push["update"]);
  }
  if (const std::string end = channel_->TakeEnd(); !end.empty()) LoseSocket(end, 1000);
}

int Unit::descriptor() const { return channel_->descriptor(); }

void Unit::Refused(const json& answer) {
  // Takes out what the instance names as wrong, so that one bad value never holds up the others.
  std::map<std::size_t, std::vector<std::string>> bad;  // names by reading; an empty name is all of it
  bool found = false;
  for (const auto& problem : answer.value("errors", json::array())) {
    const std::string field = TextOf(problem, "field").value_or("");
    options_.log(absl::StrCat("refused: ", field, " ", TextOf(problem, "detail").value_or("")));
    absl::string_view rest = field;
    if (absl::ConsumePrefix(&rest, "unit_state")) {
      const std::string name(absl::StripPrefix(rest, "."));
      if (name.empty()) {
        ResetState();
        found = true;
      } else if (state_.erase(name) > 0) {
        muted_.insert(name);
        found = true;
      }
    } else if (absl::StartsWith(rest, "update")) {
      report_ = nullptr;
      found = true;
    } else if (absl::ConsumePrefix(&rest, "output_variables[")) {
      std::uint32_t at = 0;
      const std::size_t end = rest.find(']');
      if (end == rest.npos || !absl::SimpleAtoi(rest.substr(0, end), &at) || at >= batch_.size()) continue;
      rest.remove_prefix(end + 1);
      bad[at].emplace_back(absl::ConsumePrefix(&rest, ".values.") ? ToStd(rest) : "");
    }
  }
  DropBadReadings(bad);
  if (bad.empty() && !found) {
    Lose(absl::StrCat(batch_.size(), " readings: ", TextOf(answer, "detail").value_or("")),
         static_cast<std::int64_t>(batch_.size()));
    batch_.clear();
    report_ = nullptr;
    ResetState();
  }
  Unseal();
}

void Unit::DropBadReadings(const std::map<std::size_t, std::vector<std::string>>& bad) {
  for (const auto& [at, names] : bad) {
    json values = json::parse(batch_[at].values, nullptr, false);
    const std::size_t before = values.size();
    for (const auto& name : names) values.erase(name);
    // A name that is not there was cut, or is about the reading itself: all of it goes.
    const bool all = values.size() == before || values.empty();
    dropped_ += static_cast<std::int64_t>(all ? before : before - values.size());
    batch_[at].values = all ? "" : Compact(values);
  }
  std::erase_if(batch_, [](const Reading& reading) { return reading.values.empty(); });
}

// ---- exchange

std::int64_t Unit::PauseMs(int failures, std::int64_t wait_ms, std::int64_t least_ms) const {
  // Twice as long after each failure in a row, at least as long as asked for, with jitter.
  const std::int64_t most = least_ms < kUsualMostMs ? kUsualMostMs : kMostWaitMs;
  const std::int64_t wait = std::max(std::min(least_ms << (failures - 1), most), std::min(wait_ms, kMostWaitMs));
  const std::int64_t random = static_cast<std::uint8_t>(RandomBytes(1)[0]);
  return (wait_ms > 0 ? wait : wait / 2) + wait * (random + 1) / 512;
}

void Unit::Fail(std::int64_t wait_ms, std::int64_t least_ms) {
  failures_ = std::min(failures_ + 1, 10);
  not_before_ = now() + PauseMs(failures_, wait_ms, least_ms);
}

bool Unit::Exchange() {
  last_exchange_ = now();
  for (int tries = 0; tries < 20; ++tries) {
    const bool hello = next_ == 0 || !HasNews();
    if (!hello && !sealed_) Prepare();
    const std::uint64_t sequence = hello ? 0 : sequence_;
    const auto answer = Ask(sequence, hello ? channel_->Seal(0, "{}", envelope::Kind::kRequest) : *sealed_);
    if (!answer) return false;
    const json error = answer->value("error", json());
    if (error.is_null() || error == "sequence") {
      const auto following = WholeOf(*answer, "next");
      // 0: ask again.
      next_ = error.is_null() && !hello ? sequence + 1 : static_cast<std::uint64_t>(following.value_or(0));
    }
    if (error == "sequence") {
      if (answer->value("accepted", json()) != true) {
        Unseal();
        continue;
      }
    } else if (error == "invalid" && !hello) {
      Refused(*answer);
      continue;
    } else if (!error.is_null()) {
      options_.log(absl::StrCat("the instance is ", Compact(error)));
      Fail(WholeOf(*answer, "retry_after_ms").value_or(1000));
      return false;
    }
    if (!hello) Accepted();
    Take(*answer);
    if (!hello || !HasNews()) {
      failures_ = 0;
      not_before_ = 0;
      return true;
    }
  }
  Fail();
  return false;
}

// ---- updates

std::optional<std::int64_t> Unit::UpdateStep() {
  if (!updater_) {
    const std::string step = guard_ ? guard_->step() : "";
    const bool withdrawn = (step == "plan" || step == "fetch") && utc_ && !offer_;  // while this was off
    if (!report_.is_null() || (offer_ == settled_ && !withdrawn)) return std::nullopt;
    if (step == "trial") return std::nullopt;  // this version has not proved itself yet
    if (!guard_) {
      settled_ = offer_;
      if (!offer_) return std::nullopt;
      Tell({{"commit", offer_->commit},
            {"attempt", offer_->attempt},
            {"state", "failed"},
            {"reason", "the program is not run under a guard"}});
      return std::nullopt;
    }
    updater_ = std::make_unique<Updater>(this);
  }
  const auto following = updater_->Step();
  if (!following) updater_.reset();
  return following;
}

std::int64_t Unit::Work() {
  TakePushes();
  const std::int64_t waited = now() - last_exchange_;
  const bool again = !channel_->has_socket() && socket_at_ > 0 && now() >= socket_at_;
  if (wait_ms() == 0 && (waited >= options_.poll_ms || (HasNews() && waited >= options_.gather_ms) ||
                         !report_.is_null() || look_ || again)) {
    Exchange();
  }
  const auto step = UpdateStep();
  std::int64_t due = last_exchange_ + (HasNews() ? options_.gather_ms : options_.poll_ms) - now();
  if (!report_.is_null()) due = 0;
  due = std::max(due, wait_ms());
  return std::max<std::int64_t>(0, step ? std::min(due, *step) : due);
}

}  // namespace pepeunit::unit_client
