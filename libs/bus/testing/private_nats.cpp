#include "private_nats.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "loopback.h"

namespace pepeunit::bus {
namespace {

bool Answers(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

}  // namespace

PrivateNats::PrivateNats() {
  std::string pattern = "/tmp/pepeunit-nats-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  port_ = FreePort();
  Start();
}

PrivateNats::~PrivateNats() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string PrivateNats::url() const { return "nats://127.0.0.1:" + std::to_string(port_); }

void PrivateNats::Start() {
  const std::string port = std::to_string(port_);
  pid_ = ::fork();
  if (pid_ == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 1);
    ::dup2(null, 2);
    ::execlp("nats-server", "nats-server", "-js", "-sd", folder_.c_str(), "-a", "127.0.0.1", "-p", port.c_str(),
             nullptr);
    ::_exit(127);
  }
  for (int i = 0; i < 500; ++i) {
    if (Answers(port_)) return;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_)
      throw std::runtime_error("nats-server does not start: apt-get install nats-server");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  throw std::runtime_error("nats-server does not answer");
}

void PrivateNats::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void PrivateNats::Wipe() {
  Kill();
  std::filesystem::remove_all(folder_ + "/jetstream");
  Start();
}

}  // namespace pepeunit::bus
