#include "guarded_stream.h"

#include <git2.h>
#include <git2/sys/stream.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <sstream>
#include <vector>

namespace pepeunit::repo_sync {
namespace {

constexpr int kConnectTimeoutMs = 10'000;  // of one address

ConnectionGuard* g_guard = nullptr;

struct Stream {
  git_stream base{};  // first, for libgit2 hands its address back
  std::string host, port;
  int fd = -1;
};

Stream* Of(git_stream* base) { return reinterpret_cast<Stream*>(base); }

bool InPrefix(const unsigned char* address, const std::vector<unsigned char>& prefix, int bits) {
  for (int i = 0; i < bits; ++i) {
    const int mask = 0x80 >> (i % 8);
    const auto at = static_cast<std::size_t>(i / 8);
    if ((address[at] & mask) != (prefix[at] & mask)) return false;
  }
  return true;
}

// What is not on the public Internet (RFC 6890 and its registry).
bool IsPrivate4(const unsigned char* a) {
  struct Range {
    std::vector<unsigned char> prefix;
    int bits;
  };
  static const std::vector<Range> ranges = {
      {{0, 0, 0, 0}, 8},      {{10, 0, 0, 0}, 8},    {{100, 64, 0, 0}, 10},   {{127, 0, 0, 0}, 8},
      {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12}, {{192, 0, 0, 0}, 24},    {{192, 0, 2, 0}, 24},
      {{192, 168, 0, 0}, 16}, {{198, 18, 0, 0}, 15}, {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24},
      {{224, 0, 0, 0}, 3},
  };
  return std::any_of(ranges.begin(), ranges.end(), [&](const Range& r) { return InPrefix(a, r.prefix, r.bits); });
}

bool IsPrivate6(const unsigned char* a) {
  static const std::vector<unsigned char> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  static const std::vector<unsigned char> nat64 = {0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0};
  if (InPrefix(a, mapped, 96) || InPrefix(a, nat64, 96)) return IsPrivate4(a + 12);
  if (InPrefix(a, {0x20, 0x02}, 16)) return IsPrivate4(a + 2);  // 6to4
  if (InPrefix(a, {0x20, 0x01, 0x0D, 0xB8}, 32)) return true;   // documentation
  if (InPrefix(a, {0x20, 0x01, 0x00, 0x00}, 32)) return true;   // Teredo
  return !InPrefix(a, {0x20}, 3);                               // all but global unicast
}

bool IsPrivate(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return IsPrivate4(reinterpret_cast<const unsigned char*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr));
  }
  if (address->sa_family == AF_INET6) {
    return IsPrivate6(
        reinterpret_cast<const unsigned char*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr));
  }
  return true;
}

// 0, or errno.
int ConnectTo(const addrinfo& address, int* out) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
    socklen_t size = sizeof error;
    if (::poll(&wait, 1, kConnectTimeoutMs) != 1) {
      error = ETIMEDOUT;
    } else {
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error != 0) {
    ::close(fd);
    return error;
  }
  *out = fd;
  return 0;
}

int ConnectStream(git_stream* base) {
  Stream* stream = Of(base);
  stream->fd = g_guard->Connect(stream->host, stream->port);
  return stream->fd < 0 ? -1 : 0;
}

// Waits as long as it takes: the parent's deadline ends the process.
bool Wait(const Stream& stream, short events) {
  pollfd wait{.fd = stream.fd, .events = events, .revents = 0};
  while (::poll(&wait, 1, -1) < 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

int Broken(const Stream& stream) { return g_guard->Refuse("The connection with " + stream.host + " broke off."); }

ssize_t Read(git_stream* base, void* data, size_t size) {
  Stream* stream = Of(base);
  while (Wait(*stream, POLLIN)) {
    const ssize_t got = ::recv(stream->fd, data, size, 0);
    if (got >= 0) return g_guard->Receive(got) ? got : -1;
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return Broken(*stream);
}

ssize_t Write(git_stream* base, const char* data, size_t size, int flags) {
  (void)flags;
  Stream* stream = Of(base);
  while (Wait(*stream, POLLOUT)) {
    const ssize_t sent = ::send(stream->fd, data, size, MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return Broken(*stream);
}

int Close(git_stream* base) {
  Stream* stream = Of(base);
  if (stream->fd >= 0) ::close(stream->fd);
  stream->fd = -1;
  return 0;
}

void Free(git_stream* base) {
  Close(base);
  delete Of(base);
}

int Make(git_stream** out, const char* host, const char* port) {
  auto* stream = new Stream;
  stream->base.version = GIT_STREAM_VERSION;
  stream->base.connect = ConnectStream;
  stream->base.read = Read;
  stream->base.write = Write;
  stream->base.close = Close;
  stream->base.free = Free;
  stream->host = host;
  stream->port = port;
  *out = &stream->base;
  return 0;
}

bool IsNamed(const std::string& remotes, const std::string& remote) {
  std::istringstream list(remotes);
  for (std::string each; list >> each;) {
    if (each == "*" || each == remote) return true;
  }
  return false;
}

}  // namespace

int ConnectionGuard::Refuse(const std::string& why) {
  problem = why;
  git_error_set_str(GIT_ERROR_NET, problem.c_str());
  return -1;
}

bool ConnectionGuard::Receive(std::int64_t bytes) {
  received_bytes += bytes;
  if (received_bytes <= most_bytes) return true;
  Refuse("The remote sends more than " + std::to_string(most_bytes) + " bytes.");
  return false;
}

int ConnectionGuard::Connect(const std::string& host, const std::string& port) {
  problem.clear();
  last_host = host;
  last_port = port;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = AF_UNSPEC;
  addrinfo* raw = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &raw) != 0)
    return Refuse("The host " + host + " is not known.");
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(raw, ::freeaddrinfo);
  const bool may_be_private = IsNamed(private_remotes, host + ':' + port);
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    if (IsPrivate(a->ai_addr) && !may_be_private)
      return Refuse("The host " + host + " has a private address, which this instance does not connect to.");
  }
  int error = EHOSTUNREACH, fd = -1;
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    error = ConnectTo(*a, &fd);
    if (error == 0) return fd;
  }
  return Refuse("The host " + host + " cannot be reached: " + std::strerror(error) + ".");
}

void InstallGuard(ConnectionGuard* guard) {
  g_guard = guard;
  git_stream_registration registration{};
  registration.version = GIT_STREAM_VERSION;
  registration.init = Make;
  git_stream_register(GIT_STREAM_STANDARD, &registration);
}

}  // namespace pepeunit::repo_sync
