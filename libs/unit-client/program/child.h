#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace pepeunit::unit_program {

// The program of a unit as a process of its own, with its standard input and output as pipes. Its lines are read, and
// stamped, by a thread, so that they have their time whatever else is under way. All members are for one thread.
class Child {
 public:
  // Runs `command` in `folder`, in a process group of its own; it gets SIGTERM when this process ends. A command that
  // cannot be run ends with exit code 127. `wakeup` is an eventfd that is written when a line has come.
  static absl::StatusOr<std::unique_ptr<Child>> Start(const std::filesystem::path& folder,
                                                      const std::vector<std::string>& command, int wakeup);
  ~Child();  // kills what still runs
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  struct Line {
    std::int64_t at_ms;  // of MonotonicMs()
    std::string text;
  };
  std::deque<Line> TakeLines();  // of standard output; the oldest are lost when nobody takes them

  // The newest text for standard input, a line. One that the program has not begun to read is replaced by it.
  void Write(std::string line);
  void Flush();  // writes on, as far as the pipe takes it

  // How it ended, as a sentence about the program with the last line of its standard error; nullopt while it runs.
  std::optional<std::string> Ended();
  bool succeeded() const { return succeeded_; }  // after it has ended: with exit code 0

  void Stop();  // SIGTERM, and SIGKILL when it has not ended after 10 s; then its last lines can be taken

 private:
  Child(pid_t pid, int input, int output, int error, int wakeup);
  void Read();
  void Take(std::size_t pipe, std::string line);
  void Wait(bool block);

  const pid_t pid_;
  const int input_, output_, error_, wakeup_;
  std::string next_, writing_;  // of standard input
  bool running_ = true, succeeded_ = false;
  std::atomic<bool> over_ = false;  // what is in the pipes is all that comes
  std::string how_;

  std::mutex mutex_;
  std::deque<Line> lines_;
  std::string last_error_;
  std::thread reader_;
};

}  // namespace pepeunit::unit_program
