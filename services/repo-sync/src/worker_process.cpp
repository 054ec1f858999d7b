#include "worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/log.h"
#include "worker.h"

namespace pepeunit::repo_sync {
namespace {

constexpr std::size_t kMostResultBytes = 16u << 20;
constexpr int kTickMs = 1'000;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void Reset(int fd) {
    Close();
    fd_ = fd;
  }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

bool MakePipe(Descriptor* read_end, Descriptor* write_end) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  read_end->Reset(ends[0]);
  write_end->Reset(ends[1]);
  return true;
}

// The worker gets nothing of the service but these: no sockets, no signals blocked, no variables with secrets.
pid_t Spawn(const std::string& program, int input, int output) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::string name = "pepeunit-repo-sync", argument = "--worker", path = "PATH=/usr/bin:/bin", certificates;
  if (const char* file = std::getenv("SSL_CERT_FILE")) certificates = std::string("SSL_CERT_FILE=") + file;
  char* arguments[] = {name.data(), argument.data(), nullptr};
  char* environment[] = {path.data(), certificates.empty() ? nullptr : certificates.data(), nullptr};
  pid_t pid = -1;
  if (::posix_spawn(&pid, program.c_str(), &files, &attributes, arguments, environment) != 0) pid = -1;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return pid;
}

// A job is at most some KiB and fits the pipe, so this does not wait for the worker.
bool WriteAll(int fd, const std::string& text) {
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t wrote = ::write(fd, text.data() + sent, text.size() - sent);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    sent += static_cast<std::size_t>(wrote);
  }
  return true;
}

SyncResult Failed(const std::string& error) {
  SyncResult result;
  result.error = error;
  return result;
}

std::string Seconds(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s" : std::to_string(time.count()) + " ms";
}

// Takes the lines that tell how far it is from the output, which is left with what comes after them.
void TakeProgress(std::string* output, Progress* progress) {
  for (std::size_t end; (end = output->find('\n')) != std::string::npos;) {
    const auto told = ReadProgress(output->substr(0, end));
    if (!told) return;
    *progress = *told;
    output->erase(0, end + 1);
  }
}

// The worker's output until it ends; else why it must be killed.
std::string Collect(const WorkerSettings& settings, int fd, const GoOn& go_on, std::string* output) {
  const std::int64_t deadline = MonotonicMs() + settings.timeout.count();
  std::int64_t asked_ms = MonotonicMs();
  Progress progress;
  for (;;) {
    const std::int64_t now = MonotonicMs();
    if (now >= deadline) return "The sync took longer than " + Seconds(settings.timeout) + ".";
    if (now - asked_ms >= kTickMs) {
      asked_ms = now;
      if (!go_on(progress)) return "The sync was stopped.";
    }
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    const std::int64_t longest = std::min(deadline - now, asked_ms + kTickMs - now);
    if (::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(1, longest))) <= 0) continue;
    char piece[16384];
    const ssize_t got = ::read(fd, piece, sizeof piece);
    if (got == 0) return "";
    if (got < 0) continue;
    output->append(piece, static_cast<std::size_t>(got));
    TakeProgress(output, &progress);
    if (output->size() > kMostResultBytes) return "The repository has too many branches.";
  }
}

// What a worker that was killed left behind.
void RemoveLeftovers(const SyncJob& job) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(job.folder, ignored)) {
    if (entry.path().filename().string().starts_with(".tmp-" + job.name + "-"))
      std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace

SyncResult RunInProcess(const WorkerSettings& settings, const SyncJob& job, const GoOn& go_on) {
  Descriptor child_input, input, output, child_output;
  if (!MakePipe(&child_input, &input) || !MakePipe(&output, &child_output))
    return Failed("The sync could not be started.");
  const pid_t pid = Spawn(settings.program, child_input.get(), child_output.get());
  if (pid < 0) return Failed("The sync could not be started.");
  child_input.Close();
  child_output.Close();
  std::string text = WriteJob(job), answer;
  const bool told = WriteAll(input.get(), text);
  ::explicit_bzero(text.data(), text.size());
  input.Close();
  const std::string stopped = told ? Collect(settings, output.get(), go_on, &answer) : "The sync could not be started.";
  if (!stopped.empty()) ::kill(-pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!stopped.empty()) {
    RemoveLeftovers(job);
    return Failed(stopped);
  }
  if (auto result = ReadResult(answer)) return *std::move(result);
  RemoveLeftovers(job);
  log::Error("a worker ended without a result", {{"repo_unit", job.name}, {"status", status}});
  return Failed("The sync broke off: the repository needs more memory than a sync may have.");
}

}  // namespace pepeunit::repo_sync
