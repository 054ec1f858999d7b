#include "supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "pepeunit/base/absl_compat.h"
#include "pepeunit/base/clock.h"

namespace pepeunit::unit_program {
namespace {

using nlohmann::json;

// A program without outputs is taken to be well when it has run so long, or half of the trial.
constexpr std::int64_t kSettledMs = 10'000;
constexpr std::int64_t kHealthyMs = 60'000;  // a program that ran so long is started again at once

int SignalsOfInterest() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, number);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

Supervisor::Supervisor(Settings settings)
    : settings_(std::move(settings)),
      transport_(unit_client::MakeHttpTransport(std::chrono::milliseconds(settings_.timeout_ms))),
      guard_(settings_.unit.folder, &files_, settings_.unit.log),
      pause_(std::chrono::seconds(1), std::chrono::seconds(60)),
      signals_(SignalsOfInterest()),
      wakeup_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Supervisor::~Supervisor() {
  child_.reset();
  close(signals_);
  close(wakeup_);
}

int Supervisor::Run() {
  while (!stopping_) {
    if (!Begin()) return 1;
    while (!stopping_ && !begin_again_ && !guard_.WantsRestart()) Turn();
    Finish();
  }
  return 0;
}

bool Supervisor::Begin() {
  // The version that is in its place after this is the one that runs.
  for (Backoff pause(std::chrono::seconds(1), std::chrono::seconds(60)); !stopping_;) {
    const auto settled = guard_.Settle();
    if (settled.ok()) break;
    settings_.unit.log(ToStd(settled.message()));
    Sleep(pause.Next().count());
  }
  if (stopping_) return true;
  auto unit = unit_client::Unit::Open(settings_.unit, transport_.get(), &guard_);
  if (!unit.ok()) {
    settings_.unit.log(ToStd(unit.status().message()));
    // A new version with a damaged schema.json is one that does not hold; without one it is for somebody to repair.
    return guard_.OnTrial() && guard_.TakeBack(ToStd(unit.status().message())).ok();
  }
  unit_ = *std::move(unit);
  spoke_ = begin_again_ = false;
  trial_end_ = MonotonicMs() + settings_.trial_ms;
  pause_.Reset();
  StartProgram();
  return true;
}

void Supervisor::StartProgram() {
  started_ = MonotonicMs();
  inputs_.clear();
  auto child = Child::Start(settings_.unit.folder, settings_.command, wakeup_);
  if (!child.ok()) {
    settings_.unit.log(ToStd(child.status().message()));
    start_at_ = started_ + pause_.Next().count();
    return;
  }
  child_ = *std::move(child);
  WriteInputs();
}

bool Supervisor::MayExchange() const {
  // An exchange confirms a version on trial, so the program has to show first that it is well.
  if (!guard_.OnTrial()) return true;
  return child_ && (spoke_ || (!unit_->has_outputs() &&
                               MonotonicMs() - started_ >= std::min(kSettledMs, settings_.trial_ms / 2)));
}

void Supervisor::Turn() {
  TakeLines();
  std::int64_t due = 1000;
  if (MayExchange()) {
    due = unit_->Work();
    if (guard_.WantsRestart()) return;
    WriteInputs();
  }
  WatchProgram();
  if (begin_again_ || guard_.WantsRestart()) return;
  Sleep(std::min<std::int64_t>(due, 1000));
}

void Supervisor::WatchProgram() {
  const std::int64_t now = MonotonicMs();
  if (!child_) {
    if (now >= start_at_) StartProgram();
    return;
  }
  child_->Flush();
  if (const auto how = child_->Ended()) {
    TakeLines();
    settings_.unit.log(*how);
    const bool succeeded = child_->succeeded();
    child_.reset();
    if (guard_.OnTrial()) {
      if (succeeded || !guard_.TakeBack(*how).ok()) begin_again_ = true;  // one that ends by itself: the start counts
      return;
    }
    if (now - started_ >= kHealthyMs) pause_.Reset();
    start_at_ = now + pause_.Next().count();
    return;
  }
  if (guard_.OnTrial() && now >= trial_end_) {
    settings_.unit.log("no exchange was accepted in time: starting the program again");
    begin_again_ = true;
  }
}

void Supervisor::TakeLines() {
  if (!child_) return;
  for (const auto& line : child_->TakeLines()) TakeLine(line);
}

void Supervisor::TakeLine(const Child::Line& line) {
  if (line.text.empty()) return;
  const json said = line.text[0] == '{' ? json::parse(line.text, nullptr, false) : json();
  if (!said.is_object()) {
    std::fprintf(stderr, "%s\n", line.text.c_str());  // a program may print
    return;
  }
  spoke_ = true;
  for (const auto& [name, values] : said.items()) {
    if (name == "output_variables") {
      unit_->Report(values, line.at_ms);
    } else if (name == "unit_state" && values.is_object()) {
      for (const auto& [fact, value] : values.items()) unit_->State(fact, value);
    } else {
      settings_.unit.log(absl::StrCat("the program's line has a member that is not known: ", name));
    }
  }
}

void Supervisor::WriteInputs() {
  if (!child_) return;
  std::string inputs = json{{"input_variables", unit_->inputs()}}.dump(-1, ' ', false, json::error_handler_t::replace);
  if (inputs == inputs_) return;
  inputs_ = std::move(inputs);
  child_->Write(inputs_ + "\n");
}

void Supervisor::Sleep(std::int64_t most_ms) {
  // Of a negative descriptor poll() takes no notice.
  std::array<pollfd, 3> events = {pollfd{signals_, POLLIN, 0}, pollfd{wakeup_, POLLIN, 0},
                                  pollfd{unit_ ? unit_->descriptor() : -1, POLLIN, 0}};
  poll(events.data(), events.size(), static_cast<int>(most_ms));
  eventfd_t lines = 0;
  eventfd_read(wakeup_, &lines);
  signalfd_siginfo signal{};
  while (read(signals_, &signal, sizeof signal) == sizeof signal) stopping_ = stopping_ || signal.ssi_signo != SIGCHLD;
}

void Supervisor::Finish() {
  if (child_) child_->Stop();
  TakeLines();
  child_.reset();
  if (!stopping_ || !unit_) return;
  if (unit_->waiting() > 0 && unit_->wait_ms() == 0 && !guard_.OnTrial()) unit_->Exchange();
  if (unit_->waiting() > 0) {
    settings_.unit.log(absl::StrCat("stopped; readings not known to be stored: ", unit_->waiting()));
  }
}

}  // namespace pepeunit::unit_program
