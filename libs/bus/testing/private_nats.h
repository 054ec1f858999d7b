#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace pepeunit::bus {

// A nats-server of its own for a test: JetStream in a temporary folder, a free port on loopback, removed with the
// object. Aborts the test with an exception when nats-server is not installed.
class PrivateNats {
 public:
  PrivateNats();
  ~PrivateNats();
  PrivateNats(const PrivateNats&) = delete;
  PrivateNats& operator=(const PrivateNats&) = delete;

  std::string url() const;
  // SIGKILL, and a new start on the same port and folder.
  void Kill();
  void Start();
  // Loses all streams, as a machine does whose disk was replaced.
  void Wipe();

 private:
  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace pepeunit::bus
