#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "command.h"
#include "worker_process.h"

// A remote for tests: a repository made with git's own program, served by tools/git-http on loopback.
namespace pepeunit::repo_sync {

// A program that serves until the object goes, and says in one line that it does; an empty line: it ended.
class Helper {
 public:
  explicit Helper(std::vector<std::string> command) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    if (::posix_spawn(&pid_, command[0].c_str(), &files, nullptr, arguments.data(), environ) != 0)
      throw std::runtime_error(command[0]);
    posix_spawn_file_actions_destroy(&files);
    ::close(ends[1]);
    for (char c; ::read(ends[0], &c, 1) == 1 && c != '\n';) line_ += c;
    ::close(ends[0]);
  }
  ~Helper() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  const std::string& line() const { return line_; }

 private:
  std::string line_;
  pid_t pid_ = -1;
};

class Remote {
 public:
  // `user` is name:password, or empty for an open one.
  explicit Remote(const std::string& user = "") {
    char name[] = "/tmp/pepeunit-repo-sync-XXXXXX";
    folder_ = ::mkdtemp(name);
    std::filesystem::create_directories(folder_ + "/copies");
    Output("git init -q -b main " + work());
    Output("git init -q -b main --bare " + folder_ + "/root/r.git");
    std::vector<std::string> command = {PEPEUNIT_SOURCE_DIR "/tools/git-http", "--root", folder_ + "/root",
                                        "--access-log", folder_ + "/requests"};
    if (!user.empty()) command.insert(command.end(), {"--user", user});
    server_.emplace(std::move(command));
    port_ = server_->line().substr(server_->line().find(':') + 2);
    port_ = port_.substr(0, port_.find('}'));
  }
  ~Remote() {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;

  std::string work() const { return folder_ + "/work"; }
  std::string root() const { return folder_ + "/root"; }
  std::string copies() const { return folder_ + "/copies"; }
  std::string url(const std::string& name = "r.git") const { return "http://127.0.0.1:" + port_ + "/" + name; }

  std::string Git(const std::string& arguments) const {
    return Output("git -C " + work() + " -c user.name=Ada -c user.email=ada@example.org " + arguments + " 2>/dev/null");
  }
  void Write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(work() + "/" + path).parent_path());
    std::ofstream(work() + "/" + path, std::ios::binary) << text;
  }
  // The commit's id.
  std::string Commit(const std::string& message) const {
    Git("add -A");
    Git("commit -q --allow-empty -m '" + message + "'");
    return Git("rev-parse HEAD");
  }
  void Push() const { Git("push -q --prune --force " + folder_ + "/root/r.git '+refs/heads/*' '+refs/tags/*'"); }

  // What the server was asked since the last call: verb, path and status of each, a line each.
  std::string Requests() const {
    std::ifstream file(folder_ + "/requests");
    std::string all((std::istreambuf_iterator<char>(file)), {});
    std::filesystem::remove(folder_ + "/requests");
    return all;
  }

  SyncJob Job() const {
    return {.url = url(),
            .username = {},
            .password = {},
            .folder = copies(),
            .name = kName,
            .max_bytes = 10 << 20,
            .private_remotes = "*"};
  }
  static constexpr char kName[] = "0190a5d6-0000-7000-8000-000000000001";

 private:
  std::string folder_, port_;
  std::optional<Helper> server_;
};

inline SyncResult RunJob(const SyncJob& job, std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
  return RunInProcess({.program = PEPEUNIT_WORKER, .timeout = timeout}, job, [](const Progress&) { return true; });
}

}  // namespace pepeunit::repo_sync
