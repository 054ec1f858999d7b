#include "updater.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "channel.h"
#include "pepeunit/base/absl_compat.h"
#include "plan.h"

namespace pepeunit::unit_client {
namespace {

using nlohmann::json;
using Kind = Files::Kind;

constexpr std::int64_t kBlock = 4096;         // bytes; a file takes whole blocks of the disk
constexpr std::int64_t kSpareBlocks = 4;      // for the journal
constexpr std::size_t kMostPage = 4000;       // bytes of plaintext of a page of the manifest
constexpr std::size_t kSealing = 192;         // bytes that an answer has beside its content, with some to spare
constexpr std::int64_t kMostFiles = 100'000;  // of a manifest
constexpr int kMostTries = 3;                 // at a file whose hash is wrong
constexpr std::int64_t kTellEveryMs = 10'000, kMostWaitForReadingsMs = 60'000;

std::int64_t Blocks(std::int64_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

}  // namespace

// ---- asking

Updater::Answer Updater::Ask(json question, std::size_t most) {
  question["commit"] = offer_->commit;
  const std::string sealed = unit_->channel_->Seal(0, question.dump(-1, ' ', false, json::error_handler_t::replace),
                                                   envelope::Kind::kUpdateRequest);
  auto answer = unit_->channel_->Ask("/v1/update", 0, sealed, std::max<std::size_t>(most + kSealing, 4096));
  if (answer.text && answer.kind == envelope::Kind::kFileBytes) {
    failures_ = 0;
    return *std::move(answer.text);
  }
  json opened;
  if (answer.text && answer.kind == envelope::Kind::kUpdateAnswer) opened = json::parse(*answer.text, nullptr, false);
  if (!opened.is_object()) {
    if (!answer.http.error.empty()) {
      Later(absl::StrCat("no answer: ", answer.http.error));
    } else {
      Later(absl::StrCat("refused: HTTP ", answer.http.status), answer.http.retry_after.count() * 1000);
    }
    return {};
  }
  const std::string error = TextOf(opened, "error").value_or("");
  if (error.empty()) {
    failures_ = 0;
    return opened;
  }
  if (error == "invalid") throw Failed{TextOf(opened, "detail").value_or("the request is invalid")};
  if (error == "version") {
    const auto commit = TextOf(opened, "commit");
    const auto attempt = WholeOf(opened, "attempt");
    unit_->offer_.reset();
    if (commit && attempt) unit_->offer_ = Offer{*commit, *attempt};
    if (unit_->offer_ == offer_) Later("it is not offered any more");
    return {};
  }
  Later(absl::StrCat("the instance is ", error), WholeOf(opened, "retry_after_ms").value_or(1000));
  return {};
}

void Updater::Later(std::string_view why, std::int64_t wait_ms) {
  unit_->options_.log(absl::StrCat("update: ", ToAbsl(why)));
  failures_ = std::min(failures_ + 1, 10);
  not_before_ = unit_->now() + unit_->PauseMs(failures_, wait_ms, 1000);
}

void Updater::Tell(const char* state, std::string_view reason) {
  json report = {
      {"commit", offer_->commit}, {"attempt", offer_->attempt}, {"state", state}, {"done", done_}, {"total", total_}};
  if (!reason.empty()) report["reason"] = reason;
  told_ = unit_->now();
  unit_->Tell(std::move(report));
}

// ---- planning

std::optional<std::int64_t> Updater::Start() {
  // Begins with what is offered now.
  offer_ = unit_->offer_;
  if (!offer_) {
    GiveUp();
    return std::nullopt;
  }
  failures_ = 0;
  not_before_ = done_ = total_ = 0;
  for (const auto& failed : guard_->state_.value("failed", json::array())) {
    if (failed.at(0) == offer_->commit && failed.at(1) >= offer_->attempt) {
      // The instance has lost that it failed.
      Tell("failed", "this attempt has failed before");
      GiveUp();
      return std::nullopt;
    }
  }
  unit_->options_.log(absl::StrCat("update: version ", offer_->commit, " is offered"));
  const bool same =
      TextOf(guard_->state_, "commit") == offer_->commit && WholeOf(guard_->state_, "attempt") == offer_->attempt;
  if (same && guard_->step() == "fetch") {
    plan_ = guard_->Plan();
    Measure();
    return 0;
  }
  guard_->Save({{"step", "plan"},
                {"commit", offer_->commit},
                {"attempt", offer_->attempt},
                {"failed", guard_->state_.value("failed", json::array())}});
  plan_.clear();
  next_ = count_ = 0;
  last_path_.clear();
  phase_ = Phase::kPlan;
  return 0;
}

void Updater::FetchPage() {
  json question = {{"ask", "manifest"}, {"from", next_}, {"max_answer_bytes", kMostPage}};
  if (!unit_->commit_.empty()) question["have"] = unit_->commit_;
  const Answer answer = Ask(std::move(question), kMostPage);
  if (std::holds_alternative<std::monostate>(answer)) return;
  const json* page = std::get_if<json>(&answer);
  const auto files = page ? page->find("files") : json::const_iterator();
  const auto count = page ? WholeOf(*page, "count") : std::nullopt;
  if (!page || TextOf(*page, "commit") != offer_->commit || WholeOf(*page, "from") != next_ || files == page->end() ||
      !files->is_array() || !count || *count > kMostFiles) {
    throw Failed{"the instance sent no page of the manifest"};
  }
  expected_ = *count;
  const auto following = WholeOf(*page, "next");
  if (files->empty() && following) throw Failed{"a page of the manifest is empty"};
  for (const auto& line : *files) {
    std::string why;
    const auto checked = CheckedLine(line, &why);
    if (!checked) throw Failed{why};
    Compare(*checked);
  }
  if (following) {
    next_ = *following;
    return;
  }
  if (count_ != expected_) throw Failed{"the manifest is not whole"};
  std::string plan;
  for (const auto& line : plan_) absl::StrAppend(&plan, ToJson(line).dump(), "\n");
  files_->Write(guard_->Home("plan"), plan);
  Measure();
}

void Updater::Compare(const PlanLine& line) {
  // A file that is here already is not part of the plan.
  if (line.path <= last_path_) throw Failed{"the manifest is not in order"};
  last_path_ = line.path;
  ++count_;
  if (IsProtected(line.path)) {
    unit_->options_.log(absl::StrCat("update: left as it is, for it is never replaced over the air: ", line.path));
  } else if (Differs(line)) {
    plan_.push_back(line);
  }
}

bool Updater::Differs(const PlanLine& line) const {
  const auto path = PathOf(line);
  const bool there = files_->KindOf(path) == Kind::kFile;
  if (line.remove || !there) return there == line.remove;
  return files_->SizeOf(path) != line.size || files_->IsExecutable(path) != line.executable ||
         files_->Sha256Of(path) != line.sha256;
}

// ---- room

void Updater::Measure() {
  // The plan is complete. Removes what an earlier plan has left, and looks whether there is room for the rest.
  guard_->Save(guard_->With({{"step", "fetch"}}));
  std::set<std::string> wanted;
  std::int64_t need = 0;
  done_ = total_ = 0;
  for (const auto& line : plan_) {
    if (line.remove) continue;
    wanted.insert({"new." + line.id, "part." + line.id});
    const std::int64_t here = std::max<std::int64_t>({files_->SizeOf(NewOf(line)), files_->SizeOf(PartOf(line)), 0});
    total_ += line.size;
    done_ += here;
    need += Blocks(line.size) - here / kBlock * kBlock;
  }
  for (const auto& name : guard_->files_->List(guard_->home_)) {
    const bool ours =
        absl::StartsWith(name, "new.") || absl::StartsWith(name, "part.") || absl::StartsWith(name, "old.");
    if (ours && !wanted.contains(name)) files_->Remove(guard_->Home(name));
  }
  if (plan_.empty()) throw Failed{"the version changes nothing here"};
  need += kSpareBlocks * kBlock;
  const std::int64_t free = files_->FreeBytes(guard_->folder());
  if (need > free) throw Failed{absl::StrCat("no room: it takes ", need, " bytes, ", free, " are free")};
  Tell("downloading");
  at_ = 0;
  phase_ = Phase::kFetch;
}

// ---- fetching

void Updater::Fetch() {
  // One piece of one file, appended to what is here of it.
  while (at_ < plan_.size() && (plan_[at_].remove || files_->KindOf(NewOf(plan_[at_])) != Kind::kNone)) ++at_;
  if (at_ == plan_.size()) {
    Tell("verifying");
    at_ = 0;
    phase_ = Phase::kVerify;
    return;
  }
  const PlanLine& line = plan_[at_];
  const std::int64_t offset = std::max<std::int64_t>(files_->SizeOf(PartOf(line)), 0);
  if (offset > line.size) return files_->Remove(PartOf(line));  // not what it is taken for
  if (offset == line.size) return Complete(line);
  FetchPiece(line, offset);
}

void Updater::FetchPiece(const PlanLine& line, std::int64_t offset) {
  const auto length =
      std::min<std::int64_t>(static_cast<std::int64_t>(unit_->options_.update_chunk), line.size - offset);
  const Answer answer = Ask({{"ask", "file"}, {"path", line.path}, {"offset", offset}, {"length", length}},
                            static_cast<std::size_t>(length));
  if (std::holds_alternative<std::monostate>(answer)) return;
  const auto* piece = std::get_if<std::string>(&answer);
  if (!piece || piece->empty() || static_cast<std::int64_t>(piece->size()) > length) {
    throw Failed{absl::StrCat("the instance sent no piece of ", line.path)};
  }
  files_->Append(PartOf(line), *piece);
  done_ += static_cast<std::int64_t>(piece->size());
  if (unit_->now() - told_ >= kTellEveryMs) Tell("downloading");
}

void Updater::Complete(const PlanLine& line) {
  if (line.size == 0) files_->Write(PartOf(line), "");
  files_->SetExecutable(PartOf(line), line.executable);
  files_->Sync(PartOf(line));
  files_->Rename(PartOf(line), NewOf(line));
}

// ---- verifying

void Updater::Verify() {
  // Hashes what was written, as it reads back; a wrong file is fetched anew.
  if (at_ == plan_.size()) {
    files_->Sync(guard_->home_);
    Tell("restarting");
    phase_ = Phase::kReady;
    return;
  }
  const PlanLine& line = plan_[at_];
  if (!line.remove && files_->Sha256Of(NewOf(line)) != line.sha256) {
    const std::int64_t tries = WholeOf(guard_->state_, "tries").value_or(0) + 1;
    unit_->options_.log(absl::StrCat("update: wrong hash: ", line.path));
    if (tries > kMostTries) throw Failed{absl::StrCat("the hash of ", line.path, " is wrong")};
    guard_->Save(guard_->With({{"tries", tries}}));
    files_->Remove(NewOf(line));
    return Measure();
  }
  ++at_;
}

std::int64_t Updater::Ready() {
  // Restarts when the instance knows, and has the readings; the latter are not worth more than a minute.
  if (!unit_->report_.is_null() || (unit_->waiting() > 0 && unit_->now() - told_ < kMostWaitForReadingsMs)) {
    return std::clamp<std::int64_t>(unit_->wait_ms(), 100, 1000);
  }
  guard_->Save(guard_->With({{"step", "swap"}}));
  unit_->options_.log(absl::StrCat("update: restarting into ", offer_->commit));
  return 0;
}

// ---- the end

void Updater::GiveUp() {
  // Nothing of it stays.
  unit_->settled_ = unit_->offer_;
  if (guard_->step().empty()) return;
  guard_->Save(guard_->With({{"step", "clean"}}));
  guard_->Clean();
}

void Updater::Fail(std::string_view why) {
  unit_->options_.log(absl::StrCat("update: failed: ", ToAbsl(why)));
  if (!offer_) return;  // one that was withdrawn cannot be cleared away
  unit_->settled_ = offer_;
  guard_->state_["commit"] = offer_->commit;
  guard_->state_["attempt"] = offer_->attempt;
  json after = guard_->Ended("failed", why);
  unit_->Tell(after["end"]);
  try {
    for (const auto& name : files_->List(guard_->home_)) {
      if (absl::StartsWith(name, "part."))
        files_->Remove(guard_->Home(name));  // room for the state, should there be none
    }
    guard_->Save(std::move(after));
    guard_->Clean();
  } catch (const std::exception& e) {
    unit_->options_.log(absl::StrCat("update: cannot be cleared away: ", e.what()));
  }
}

std::optional<std::int64_t> Updater::Step() {
  try {
    if (!offer_ || offer_ != unit_->offer_) return Start();
    if (const std::int64_t wait = not_before_ - unit_->now(); wait > 0) return wait;
    if (guard_->WantsRestart()) return 0;
    switch (phase_) {
      case Phase::kPlan:
        FetchPage();
        break;
      case Phase::kFetch:
        Fetch();
        break;
      case Phase::kVerify:
        Verify();
        break;
      case Phase::kReady:
        return Ready();
    }
    return 0;
  } catch (const Failed& failed) {
    Fail(failed.why);
  } catch (const std::exception& e) {  // a full or broken disk, an answer that is not what it should be
    Fail(e.what());
  }
  return std::nullopt;
}

}  // namespace pepeunit::unit_client
