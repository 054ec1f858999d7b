#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "pepeunit/unit_client/files.h"

namespace pepeunit::unit_client {

// Gets what there is to say, a line without its end; never a secret.
using Log = std::function<void(std::string_view)>;

// One file of a plan: what the version changes.
struct PlanLine {
  std::string path;  // relative to the program's folder, with `/`
  std::string id;    // of the file's name in the journal: the same for the same path and content
  bool remove = false;
  std::int64_t size = 0;
  std::string sha256;  // lower-case hex
  bool executable = false;
};

// Puts a version that came over the air in its place before any of the program runs, and takes it back when it does not
// hold. The journal is the folder `.pepeunit` of the program's folder, the same as that of pepeunit_guard.py (which
// describes it), so that either client goes on with what the other has begun. Every step can be repeated from its begin
// after a power cut at any moment. Not thread-safe; one process at a time may use a folder.
class Guard {
 public:
  // So often a new version may start without an exchange that is accepted.
  static constexpr int kStarts = 3;

  // `files` has to outlive the guard.
  Guard(std::filesystem::path folder, Files* files, Log log);

  // At each start, before any of the program runs: completes or undoes what was under way, and counts the start of a
  // version on trial. An error is one of the file system: the program may be incomplete then, so try again.
  absl::Status Settle();

  // What is under way: plan, fetch, swap, trial, undo, clean, or empty.
  std::string step() const;
  // True while the version that runs has not proved itself.
  bool OnTrial() const { return step() == "trial"; }
  // True when the program has to end, for Settle() has something to do.
  bool WantsRestart() const { return step() == "swap" || step() == "undo"; }

  // The version on trial does not hold: the next Settle() takes it back. `why` is told to the instance.
  absl::Status TakeBack(std::string_view why);

  // An exchange was accepted that carried this report about an update, or none (null).
  void Accepted(const nlohmann::json& report);

  // What has to be told of the attempt that came to nothing, or null.
  nlohmann::json Untold() const { return state_.value("end", nlohmann::json()); }

  const std::filesystem::path& folder() const { return folder_; }

 private:
  friend class Updater;

  std::filesystem::path Home(std::string_view name) const { return home_ / name; }
  nlohmann::json With(std::initializer_list<std::pair<const char*, nlohmann::json>> members) const;
  void Load();
  void Save(nlohmann::json state);
  std::vector<PlanLine> Plan() const;
  nlohmann::json Ended(std::string_view how, std::string_view why) const;
  void Clean();

  void Swap();
  void Undo();
  void Prune(const std::filesystem::path& path);
  void Folders(const std::filesystem::path& path);
  void Keep(const PlanLine& line);
  void SyncAll(const std::vector<PlanLine>& plan) const;

  const std::filesystem::path folder_, home_;
  Files* const files_;
  const Log log_;
  nlohmann::json state_ = nlohmann::json::object();
};

}  // namespace pepeunit::unit_client
