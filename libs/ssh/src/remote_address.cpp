#include "pepeunit/ssh/remote_address.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace pepeunit::ssh {
namespace {

constexpr std::size_t kMostUrl = 2048;

absl::Status BadAddress(const std::string& what) { return absl::InvalidArgumentError(what); }

bool IsAlnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Words that reach a command line or a resolver: no leading dash, nothing that means something to either.
bool IsWord(std::string_view text, std::string_view more) {
  return !text.empty() && text[0] != '-' &&
         std::all_of(text.begin(), text.end(), [&](char c) { return IsAlnum(c) || more.find(c) != more.npos; });
}

bool IsPort(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

// `host`, `host:port`, `[address]` or `[address]:port`.
absl::Status SplitHost(std::string_view text, RemoteAddress* address) {
  const bool bracket = text.starts_with('[');
  const std::size_t end = bracket ? text.find(']') : std::min(text.find(':'), text.size());
  if (end == std::string_view::npos) return BadAddress("has a '[' without ']'");
  const std::string_view host = text.substr(bracket ? 1 : 0, end - (bracket ? 1 : 0));
  std::string_view rest = text.substr(end + (bracket ? 1 : 0));
  if (host.empty()) return BadAddress("names no host");
  address->host = std::string(host);
  if (rest.empty()) return absl::OkStatus();
  if (!rest.starts_with(':') || !IsPort(rest.substr(1)))
    return BadAddress("must have a port from 1 to 65535 after the ':'");
  address->port = std::string(rest.substr(1));
  return absl::OkStatus();
}

absl::Status CheckSsh(const RemoteAddress& address) {
  if (!IsWord(address.user, "._-+")) return BadAddress("must name the user to sign in as, as in git@host:path");
  if (!IsWord(address.host, ".-_:")) return BadAddress("names no host");
  if (address.path.empty() || address.path == "/") return BadAddress("names no repository after the host");
  if (address.path[0] == '-') return BadAddress("must not have a path that begins with '-'");
  // git would decode it in one form and not in the other.
  if (address.path.find('%') != std::string::npos) return BadAddress("must not contain '%'");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RemoteAddress> ParseRemoteAddress(const std::string& url) {
  using Scheme = RemoteAddress::Scheme;
  if (url.size() > kMostUrl) return BadAddress("must have at most 2048 characters");
  for (const unsigned char c : url) {
    if (c <= 0x20 || c >= 0x7F || c == '\\')
      return BadAddress("must not contain spaces, backslashes, control characters or characters beyond ASCII");
  }
  RemoteAddress address;
  const std::size_t scheme_end = url.find("://");
  const bool scp = scheme_end == std::string::npos;
  const std::string scheme = scp ? "ssh" : url.substr(0, scheme_end);
  if (scheme == "ssh") {
    address.scheme = Scheme::kSsh;
    address.port = "22";
  } else if (scheme == "http" || scheme == "https") {
    address.scheme = scheme == "http" ? Scheme::kHttp : Scheme::kHttps;
    address.port = scheme == "http" ? "80" : "443";
  } else {
    return BadAddress("must begin with https://, http:// or ssh://, or be of the form user@host:path");
  }
  const bool ssh = address.scheme == Scheme::kSsh;

  std::string_view rest = std::string_view(url).substr(scp ? 0 : scheme_end + 3);
  // The colon of scp is the first one after the host, which may be in brackets.
  const std::size_t bracket = scp ? rest.find("@[") : std::string_view::npos;
  const std::size_t from = bracket == std::string_view::npos ? 0 : std::min(rest.find(']'), rest.size());
  const std::size_t end = scp ? rest.find(':', from) : std::min(rest.find_first_of(ssh ? "/" : "/?#"), rest.size());
  if (end == std::string_view::npos || (scp && rest.substr(0, end).find_first_of("@/") == std::string_view::npos))
    return BadAddress("must begin with https://, http:// or ssh://, or be of the form user@host:path");
  std::string_view authority = rest.substr(0, end);
  address.path = std::string(rest.substr(end + (scp ? 1 : 0)));
  if (ssh && !scp && address.path.starts_with("/~")) address.path.erase(0, 1);

  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    address.user = std::string(authority.substr(0, at));
    if (!ssh || address.user.find(':') != std::string::npos)
      return BadAddress("must not contain credentials; use `credentials` for them");
    authority.remove_prefix(at + 1);
  }
  if (absl::Status status = SplitHost(authority, &address); !status.ok()) return status;
  if (!ssh) return address;
  if (absl::Status status = CheckSsh(address); !status.ok()) return status;
  return address;
}

}  // namespace pepeunit::ssh
