#include "pepeunit/unit_client/guard.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "pepeunit/base/absl_compat.h"
#include "plan.h"

namespace pepeunit::unit_client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Kind = Files::Kind;

constexpr std::size_t kMostReason = 120;  // bytes
constexpr std::size_t kMostFailed = 4;    // attempts that are remembered

// At most so many bytes, and no half of a character.
std::string Cut(std::string_view text, std::size_t most) {
  if (text.size() > most) {
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
    text = text.substr(0, most);
  }
  return std::string(text);
}

}  // namespace

Guard::Guard(fs::path folder, Files* files, Log log)
    : folder_(std::move(folder)), home_(folder_ / ".pepeunit"), files_(files), log_(std::move(log)) {}

std::string Guard::step() const { return TextOf(state_, "step").value_or(""); }

json Guard::With(std::initializer_list<std::pair<const char*, json>> members) const {
  json state = state_;
  for (const auto& [name, value] : members) state[name] = value;
  return state;
}

void Guard::Load() {
  // state.new counts when there is no state: a file system whose rename does not replace was cut between the two.
  state_ = json::object();
  for (const char* name : {"state", "state.new"}) {
    if (files_->KindOf(Home(name)) != Kind::kFile) continue;
    json found = json::parse(files_->Read(Home(name)), nullptr, false);
    if (!found.is_object()) continue;
    state_ = std::move(found);
    return;
  }
}

void Guard::Save(json state) {
  if (files_->KindOf(home_) == Kind::kNone) {
    files_->MakeFolder(home_);
    files_->Sync(folder_);
  }
  files_->Write(Home("state.new"), state.dump(-1, ' ', false, json::error_handler_t::replace));
  files_->Rename(Home("state.new"), Home("state"));
  files_->Sync(home_);
  state_ = std::move(state);
}

std::vector<PlanLine> Guard::Plan() const {
  std::vector<PlanLine> plan;
  const std::string content = files_->Read(Home("plan"));
  for (const auto line : absl::StrSplit(content, '\n', absl::SkipEmpty())) {
    plan.push_back(FromJournal(json::parse(ToStd(line))));
  }
  return plan;
}

json Guard::Ended(std::string_view how, std::string_view why) const {
  // The state after the attempt has come to nothing: it is told until the instance has it, and not tried again.
  const json commit = state_.at("commit"), attempt = state_.at("attempt");
  json failed = json::array({json::array({commit, attempt})});
  for (const auto& other : state_.value("failed", json::array())) {
    if (failed.size() < kMostFailed && other.at(0) != commit) failed.push_back(other);
  }
  return {{"step", "clean"},
          {"failed", failed},
          {"end", {{"commit", commit}, {"attempt", attempt}, {"state", how}, {"reason", Cut(why, kMostReason)}}}};
}

void Guard::Clean() {
  // Everything but the state goes. The step is `clean` by now, so nothing is put back or in place any more.
  for (const auto& name : files_->List(home_)) {
    if (name != "state" && name != "state.new" && files_->KindOf(Home(name)) == Kind::kFile) files_->Remove(Home(name));
  }
  json left = json::object();
  for (const char* name : {"failed", "end"}) {
    if (state_.contains(name)) left[name] = state_[name];
  }
  Save(std::move(left));
}

void Guard::Folders(const fs::path& path) {
  // Makes the folders that a file needs.
  fs::path at = folder_;
  for (const auto& part : path.lexically_relative(folder_).parent_path()) {
    at /= part;
    if (files_->KindOf(at) == Kind::kNone) files_->MakeFolder(at);
  }
}

void Guard::Prune(const fs::path& path) {
  // Removes the folders above a file that is gone, as far as they are empty. A cut may have removed the inner ones.
  for (fs::path at = path.parent_path(); at != folder_ && at.has_relative_path(); at = at.parent_path()) {
    if (!files_->RemoveFolder(at) && files_->KindOf(at) != Kind::kNone) return;
  }
}

void Guard::Keep(const PlanLine& line) {
  const fs::path path = folder_ / line.path, old = Home("old." + line.id);
  if (files_->KindOf(path) == Kind::kFile && files_->KindOf(old) == Kind::kNone) files_->Rename(path, old);
}

void Guard::SyncAll(const std::vector<PlanLine>& plan) const {
  std::set<fs::path> folders = {folder_, home_};
  for (const auto& line : plan) {
    for (fs::path at = (folder_ / line.path).parent_path(); at != folder_; at = at.parent_path()) folders.insert(at);
  }
  for (const auto& folder : folders) {
    if (files_->KindOf(folder) == Kind::kFolder) files_->Sync(folder);
  }
}

void Guard::Swap() {
  const auto plan = Plan();
  // Deletions first: a new file may have the name of a folder that is to go, or the other way round.
  for (const auto& line : plan) {
    if (!line.remove) continue;
    Keep(line);
    Prune(folder_ / line.path);
  }
  for (const auto& line : plan) {
    const fs::path path = folder_ / line.path, fresh = Home("new." + line.id);
    if (line.remove || files_->KindOf(fresh) == Kind::kNone) continue;
    Keep(line);
    Folders(path);
    files_->Rename(fresh, path);
  }
  SyncAll(plan);
}

void Guard::Undo() {
  const auto plan = Plan();
  for (const auto& line : plan) {
    const fs::path path = folder_ / line.path, fresh = Home("new." + line.id);
    if (line.remove) continue;
    if (files_->KindOf(fresh) == Kind::kNone && files_->KindOf(path) == Kind::kFile) files_->Rename(path, fresh);
    if (files_->KindOf(path) == Kind::kNone) Prune(path);
  }
  for (const auto& line : plan) {
    const fs::path path = folder_ / line.path, old = Home("old." + line.id);
    if (files_->KindOf(old) == Kind::kNone) continue;
    if (files_->KindOf(path) == Kind::kFolder) {
      files_->Rename(path, path.string() + ".kept");  // the new version had a folder here and wrote into it
    }
    Folders(path);
    files_->Rename(old, path);
  }
  SyncAll(plan);
}

absl::Status Guard::Settle() {
  try {
    Load();
    if (step() == "swap") {
      log_(absl::StrCat("putting version ", state_.value("commit", ""), " in place"));
      try {
        Swap();
        Save(With({{"step", "trial"}, {"starts", 0}}));
      } catch (const std::exception& e) {
        Save(With({{"step", "undo"}, {"how", "failed"}, {"why", absl::StrCat("cannot be put in place: ", e.what())}}));
      }
    }
    if (step() == "trial") {
      const int starts = state_.value("starts", 0);
      if (starts < kStarts) {
        Save(With({{"starts", starts + 1}}));
      } else {
        Save(With({{"step", "undo"},
                   {"how", "rolled_back"},
                   {"why", absl::StrCat("no exchange was accepted in ", kStarts, " starts")}}));
      }
    }
    if (step() == "undo") {
      const std::string why = state_.value("why", "");
      log_(absl::StrCat("going back from version ", state_.value("commit", ""), " because: ", why));
      Undo();
      Save(Ended(state_.value("how", "rolled_back"), why));
    }
    if (step() == "clean") Clean();
    return absl::OkStatus();
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("the update cannot be completed or undone: ", e.what()));
  }
}

absl::Status Guard::TakeBack(std::string_view why) {
  if (!OnTrial()) return absl::FailedPreconditionError("no version is on trial");
  try {
    Save(With({{"step", "undo"}, {"how", "rolled_back"}, {"why", Cut(why, kMostReason)}}));
    return absl::OkStatus();
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("the state of the update cannot be written: ", e.what()));
  }
}

void Guard::Accepted(const json& report) {
  try {
    if (OnTrial()) {
      log_(absl::StrCat("version ", state_.value("commit", ""), " holds"));
      Save(With({{"step", "clean"}}));
      Clean();
    } else if (!report.is_null() && report == Untold()) {
      json left = state_;
      left.erase("end");
      Save(std::move(left));
    }
  } catch (const std::exception& e) {
    log_(absl::StrCat("the state of the update cannot be written: ", e.what()));
  }
}

}  // namespace pepeunit::unit_client
