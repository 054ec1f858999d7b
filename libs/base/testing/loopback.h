#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <random>

// For tests that run servers of their own on this machine.
namespace pepeunit {

inline sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A port that was free a moment ago, below those that Linux gives to outgoing connections (from 32768 on), one of which
// could take it meanwhile.
inline std::uint16_t FreePort() {
  std::random_device random;
  for (;;) {
    const sockaddr_in address = Loopback(std::uniform_int_distribution<std::uint16_t>(20'000, 32'767)(random));
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (free) return ntohs(address.sin_port);
  }
}

}  // namespace pepeunit
