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
#include <cstring>

#include "absl/strings/str_cat.h"
#include "pepeunit/base/clock.h"

namespace pepeunit::unit_program {
namespace {

constexpr std::size_t kMostLine = 65536, kMostLines = 4096, kMostErrorLine = 200;  // bytes, lines, bytes
constexpr std::int64_t kPatienceMs = 10'000;

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
[[noreturn]] void BecomeProgram(const char* folder, char* const* arguments, const Pipe& in, const Pipe& out,
                                const Pipe& err) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
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
  const pid_t pid = opened ? fork() : -1;
  if (pid < 0) {
    const int error = errno;
    for (const auto& pipe : {in, out, err}) pipe.Close();
    return absl::ErrnoToStatus(error, "the program cannot be started");
  }
  if (pid == 0) BecomeProgram(folder.c_str(), arguments.data(), in, out, err);
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
  kill(-pid_, SIGKILL);  // what it has started, and what holds the pipes
  reader_.join();
  close(input_);
  close(output_);
  close(error_);
}

void Child::Read() {
  // Until both pipes are closed at the other end.
  std::array<pollfd, 2> pipes = {pollfd{output_, POLLIN, 0}, pollfd{error_, POLLIN, 0}};
  std::array<std::string, 2> begun;
  std::array<char, 4096> piece{};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    if (poll(pipes.data(), pipes.size(), -1) < 0 && errno != EINTR) return;
    for (std::size_t i = 0; i < pipes.size(); ++i) {
      if (pipes[i].revents == 0) continue;
      const ssize_t count = read(pipes[i].fd, piece.data(), piece.size());
      if (count <= 0) {
        pipes[i].fd = -1;
        continue;
      }
      const std::string_view text(piece.data(), static_cast<std::size_t>(count));
      if (i == 1 && write(STDERR_FILENO, text.data(), text.size()) < 0) continue;
      begun[i].append(text);
      const std::scoped_lock lock(mutex_);
      std::size_t end = 0;
      while ((end = begun[i].find('\n')) != std::string::npos || begun[i].size() > kMostLine) {
        std::string line = begun[i].substr(0, end);
        begun[i].erase(0, end == std::string::npos ? end : end + 1);
        if (i == 1) {
          if (!line.empty()) last_error_ = line.substr(0, kMostErrorLine);
          continue;
        }
        lines_.push_back({MonotonicMs(), std::move(line)});
        if (lines_.size() > kMostLines) lines_.pop_front();
        eventfd_write(wakeup_, 1);
      }
    }
  }
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
  int status = 0;
  if (!running_ || waitpid(pid_, &status, block ? 0 : WNOHANG) != pid_) return;
  running_ = false;
  succeeded_ = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  how_ = WIFEXITED(status) ? absl::StrCat("the program ended with exit code ", WEXITSTATUS(status))
                           : absl::StrCat("the program was ended by signal ", WTERMSIG(status));
}

std::optional<std::string> Child::Ended() {
  Wait(false);
  if (running_) return std::nullopt;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // for the reader to have its last words
  const std::scoped_lock lock(mutex_);
  return last_error_.empty() || succeeded_ ? how_ : absl::StrCat(how_, ": ", last_error_);
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
