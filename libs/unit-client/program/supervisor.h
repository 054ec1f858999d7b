#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "child.h"
#include "pepeunit/base/backoff.h"
#include "pepeunit/unit_client/guard.h"
#include "pepeunit/unit_client/unit.h"

namespace pepeunit::unit_program {

struct Settings {
  unit_client::UnitOptions unit;
  std::vector<std::string> command = {"./main"};
  std::int64_t trial_ms = 300'000;   // that a new version has for an exchange
  std::int64_t timeout_ms = 10'000;  // of a request
};

// Runs a unit's program, exchanges for it, and brings it to the versions that the instance offers: README.md, "Linux
// boards". For one thread, which must have SIGTERM, SIGINT and SIGCHLD blocked.
class Supervisor {
 public:
  explicit Supervisor(Settings settings);
  ~Supervisor();

  // Until SIGTERM or SIGINT. The exit code of the process; 1 with a message when it cannot begin.
  int Run();

 private:
  bool Begin();
  void StartProgram();
  void Turn();
  void Sleep(std::int64_t most_ms);
  void TakeLines();
  void TakeLine(const Child::Line& line);
  void WriteInputs();
  void WatchProgram();
  bool MayExchange() const;
  void Finish();

  Settings settings_;
  unit_client::Files files_;
  const std::unique_ptr<unit_client::Transport> transport_;
  unit_client::Guard guard_;
  std::unique_ptr<unit_client::Unit> unit_;
  std::unique_ptr<Child> child_;
  Backoff pause_;
  const int signals_, wakeup_;
  bool stopping_ = false, spoke_ = false;
  bool begin_again_ = false;                 // the program has to start anew, and the guard to count it
  std::int64_t started_ = 0, start_at_ = 0;  // of the program: when it was, when it may be again
  std::int64_t trial_end_ = 0;
  std::string inputs_;  // as they were written last
};

}  // namespace pepeunit::unit_program
