#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "loopback.h"

namespace pepeunit::state_logger {

// The service as a process of its own, with its socket in a temporary folder and its admin port wherever one is free.
class Program {
 public:
  explicit Program(std::map<std::string, std::string> environment) : environment_(std::move(environment)) {
    std::string pattern = "/tmp/pepeunit-log-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    environment_["PEPEUNIT_INSTANCE_KEY"] = std::string(32, 'k');
    environment_["PEPEUNIT_GRPC_ADDRESS"] = "unix:" + folder_ + "/grpc.sock";
    environment_["PEPEUNIT_ADMIN_PORT"] = std::to_string(FreePort());
    environment_["PEPEUNIT_LOG_LEVEL"] = "error";
  }
  ~Program() {
    Kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  void Start() {
    pid_ = ::fork();
    if (pid_ != 0) return;
    for (const auto& [name, value] : environment_) ::setenv(name.c_str(), value.c_str(), 1);
    ::execl(PEPEUNIT_STATE_LOGGER, PEPEUNIT_STATE_LOGGER, nullptr);
    ::_exit(127);
  }
  void Kill() { End(SIGKILL); }
  // The exit code; -1 when it did not end by itself.
  int Terminate() { return End(SIGTERM); }

 private:
  int End(int signal) {
    if (pid_ <= 0) return -1;
    int status = 0;
    ::kill(pid_, signal);
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::map<std::string, std::string> environment_;
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace pepeunit::state_logger
