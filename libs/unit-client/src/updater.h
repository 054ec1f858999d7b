#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pepeunit/unit_client/guard.h"
#include "pepeunit/unit_client/unit.h"

namespace pepeunit::unit_client {

// Fetches the version that the instance offers to beside the one that runs: PROTOCOL.md, section "Updates". Goes on
// from what the journal of the guard holds. Not thread-safe.
class Updater {
 public:
  explicit Updater(Unit* unit) : unit_(unit), guard_(unit->guard_), files_(unit->guard_->files_) {}

  // ms until the next step, or nullopt when the update has ended.
  std::optional<std::int64_t> Step();

 private:
  // The attempt ends; the text is the reason.
  struct Failed {
    std::string why;
  };
  enum class Phase { kPlan, kFetch, kVerify, kReady };

  std::optional<std::int64_t> Start();
  void FetchPage();
  void Compare(const PlanLine& line);
  bool Differs(const PlanLine& line) const;
  void Measure();
  void Fetch();
  void FetchPiece(const PlanLine& line, std::int64_t offset);
  void Complete(const PlanLine& line);
  void Verify();
  std::int64_t Ready();
  void GiveUp();
  void Fail(std::string_view why);

  // JSON of kind 4, bytes of kind 5, or nothing when it has to be asked again.
  using Answer = std::variant<std::monostate, nlohmann::json, std::string>;
  Answer Ask(nlohmann::json question, std::size_t most);
  void Later(std::string_view why, std::int64_t wait_ms = 0);
  void Tell(const char* state, std::string_view reason = "");
  std::filesystem::path PathOf(const PlanLine& line) const { return guard_->folder() / line.path; }
  std::filesystem::path NewOf(const PlanLine& line) const { return guard_->Home("new." + line.id); }
  std::filesystem::path PartOf(const PlanLine& line) const { return guard_->Home("part." + line.id); }

  Unit* const unit_;
  Guard* const guard_;
  Files* const files_;
  std::optional<Offer> offer_;  // that is worked at
  Phase phase_ = Phase::kPlan;
  std::vector<PlanLine> plan_;
  std::size_t at_ = 0;                                // in the plan
  std::int64_t next_ = 0, count_ = 0, expected_ = 0;  // of the manifest
  std::string last_path_;
  std::int64_t done_ = 0, total_ = 0;  // bytes of files
  int failures_ = 0;
  std::int64_t not_before_ = 0, told_ = 0;
};

}  // namespace pepeunit::unit_client
