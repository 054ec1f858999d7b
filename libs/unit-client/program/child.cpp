#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "pepeunit/base/clock.h"

namespace pepeunit::unit_program {
namespace {

constexpr std::size_t kMostLine = 65536, kMostLines = 4096, kMostErrorLine = 200;  // bytes, lines, bytes
constexpr std::int64_t kPatienceMs = 10'000;
constexpr int kLookMs = 100;  // how late it may be noticed that the program has ended

struct Pipe {
  int read = -1, write = -1;
  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read = ends[0];
    write = ends[1];
    return true;
  }
  void Close() const {
    if (read >= 0) close(read);
    if (write >= 0) close(write);
  }
};

// After fork(): nothing here may take memory or a lock.
[[noreturn]] void BecomeProgram(const char* folder, char* const* arguments, pid_t parent, const Pipe& in,
                                const Pipe& out, const Pipe& err) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);  // it ended before it could be waited for
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  dup2(in.read, STDIN_FILENO);
  dup2(out.write, STDOUT_FILENO);
  dup2(err.write, STDERR_FILENO);
  if (chdir(folder) == 0) execvp(arguments[0], arguments);
  const char* why = strerrordesc_np(errno);
  for (const char* part : {"cannot run ", const_cast<const char*>(arguments[0]), ": ", why, "\n"}) {
    if (write(STDERR_FILENO, part, strlen(part)) < 0) break;
  }
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Child>> Child::Start(const std::filesystem::path& folder,
                                                    const std::vector<std::string>& command, int wakeup) {
  std::vector<char*> arguments;
  for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  Pipe in, out, err;
  const bool opened = in.Open() && out.Open() && err.Open();
  const pid_t self = getpid(), pid = opened ? fork() : -1;
  if (pid < 0) {
    const int error = errno;
    for (const auto& pipe : {in, out, err}) pipe.Close();
    return absl::ErrnoToStatus(error, "the program cannot be started");
  }
  if (pid == 0) BecomeProgram(folder.c_str(), arguments.data(), self, in, out, err);
  setpgid(pid, pid);  // whoever of the two is first: a signal to the group must not miss it
  close(in.read);
  close(out.write);
  close(err.write);
  fcntl(in.write, F_SETFL, O_NONBLOCK);
  return std::unique_ptr<Child>(new Child(pid, in.write, out.read, err.read, wakeup));
}

Child::Child(pid_t pid, int input, int output, int error, int wakeup)
    : pid_(pid), input_(input), output_(output), error_(error), wakeup_(wakeup), reader_([this] { Read(); }) {}

Child::~Child() {
  if (running_) {
    kill(-pid_, SIGKILL);
    Wait(true);
  }
  close(input_);
  close(output_);
  close(error_);
}

void Child::Read() {
  std::array<pollfd, 2> pipes = {pollfd{output_, POLLIN, 0}, pollfd{error_, POLLIN, 0}};
  std::array<std::string, 2> begun;
  std::array<char, 4096> piece{};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    const bool over = over_;  // before the pipes are looked at
    const int ready = poll(pipes.data(), pipes.size(), over ? 0 : kLookMs);
    if (ready == 0 && over) break;  // a process that left the group may hold them open
    if (ready <= 0) continue;
    for (std::size_t i = 0; i < pipes.size(); ++i) {
      if (pipes[i].revents == 0) continue;
      const ssize_t count = read(pipes[i].fd, piece.data(), piece.size());
      if (count <= 0) {
        pipes[i].fd = -1;
        continue;
      }
      begun[i].append(piece.data(), static_cast<std::size_t>(count));
      std::size_t end = 0;
      while ((end = begun[i].find('\n')) != std::string::npos || begun[i].size() > kMostLine) {
        Take(i, begun[i].substr(0, end));
        begun[i].erase(0, end == std::string::npos ? end : end + 1);
      }
    }
  }
  for (std::size_t i = 0; i < begun.size(); ++i) Take(i, std::move(begun[i]));
}

void Child::Take(std::size_t pipe, std::string line) {
  if (line.empty()) return;
  if (pipe == 1) std::fprintf(stderr, "%s\n", line.c_str());
  const std::scoped_lock lock(mutex_);
  if (pipe == 1) {
    last_error_ = line.substr(0, kMostErrorLine);
    return;
  }
  lines_.push_back({MonotonicMs(), std::move(line)});
  if (lines_.size() > kMostLines) lines_.pop_front();
  eventfd_write(wakeup_, 1);
}

std::deque<Child::Line> Child::TakeLines() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(lines_, {});
}

void Child::Write(std::string line) {
  next_ = std::move(line);
  Flush();
}

void Child::Flush() {
  while (true) {
    if (writing_.empty()) writing_ = std::exchange(next_, {});
    if (writing_.empty()) return;
    const ssize_t count = write(input_, writing_.data(), writing_.size());
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) {
      writing_.clear();  // it does not listen, or has ended
      next_.clear();
      return;
    }
    writing_.erase(0, static_cast<std::size_t>(count));
  }
}

void Child::Wait(bool block) {
  // The group keeps its number until its leader is reaped, so what the program has started is killed before.
  siginfo_t info{};
  if (!running_ || waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | (block ? 0 : WNOHANG)) != 0)
    return;
  if (info.si_pid != pid_) return;
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  running_ = false;
  over_ = true;
  reader_.join();
  succeeded_ = info.si_code == CLD_EXITED && info.si_status == 0;
  how_ = info.si_code == CLD_EXITED ? absl::StrCat("the program ended with exit code ", info.si_status)
                                    : absl::StrCat("the program was ended by signal ", info.si_status);
  if (!succeeded_ && !last_error_.empty()) absl::StrAppend(&how_, ": ", last_error_);
}

std::optional<std::string> Child::Ended() {
  Wait(false);
  if (running_) return std::nullopt;
  return how_;
}

void Child::Stop() {
  if (running_) kill(-pid_, SIGTERM);
  for (const std::int64_t end = MonotonicMs() + kPatienceMs; running_ && MonotonicMs() < end;) {
    Wait(false);
    if (running_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (running_) {
    kill(-pid_, SIGKILL);
    Wait(true);
  }
}

}  // namespace pepeunit::unit_program
