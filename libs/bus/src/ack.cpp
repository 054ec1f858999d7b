#include "ack.h"

#include <array>
#include <charconv>

#include "pepeunit/base/errors.h"

namespace pepeunit::bus {
namespace {

constexpr int kWrongLastSequence = 10071;
constexpr int kStoreFailed = 10077;  // also "maximum bytes exceeded"

// The number after `"name":`, white space allowed; nullopt when it is not there.
std::optional<std::uint64_t> NumberOf(std::string_view text, std::string_view name) {
  const auto at = text.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  std::size_t i = at + name.size();
  while (i < text.size() && (text[i] == ' ' || text[i] == ':')) ++i;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

}  // namespace

PublishResult ParseAck(std::string_view text) {
  PublishResult result;
  if (text.find("\"error\"") != std::string_view::npos) {
    const auto code = static_cast<int>(NumberOf(text, "\"err_code\"").value_or(0));
    if (code == kWrongLastSequence) {
      result.sequence_mismatch = true;
      result.status = absl::AbortedError("another message came first");
    } else if (code == kStoreFailed) {
      result.stream_full = true;
      result.status = Limit("The instance has more values waiting to be stored than it may hold.", 2'000);
    } else {
      result.status = Unavailable("the bus refused a message (" + std::to_string(code) + ")");
    }
    return result;
  }
  const auto sequence = NumberOf(text, "\"seq\"");
  if (!sequence) {
    result.status = Unavailable("the bus answered with something else than an ack");
    return result;
  }
  result.sequence = *sequence;
  result.duplicate = text.find("\"duplicate\"") != std::string_view::npos;
  return result;
}

std::optional<StreamPosition> ParseReply(std::string_view reply) {
  if (!reply.starts_with("$JS.ACK.")) return std::nullopt;
  std::array<std::string_view, 16> tokens;
  std::size_t count = 0;
  while (count < tokens.size()) {
    const auto dot = reply.find('.');
    tokens[count++] = reply.substr(0, dot);
    if (dot == std::string_view::npos) break;
    reply.remove_prefix(dot + 1);
  }
  const std::size_t first = count == 9 ? 5 : count >= 11 ? 7 : 0;
  if (first == 0) return std::nullopt;
  const auto number = [&](std::string_view token, std::uint64_t* value) {
    return std::from_chars(token.data(), token.data() + token.size(), *value).ec == std::errc();
  };
  StreamPosition position;
  if (!number(tokens[first], &position.stream_sequence) || !number(tokens[first + 1], &position.consumer_sequence)) {
    return std::nullopt;
  }
  return position;
}

}  // namespace pepeunit::bus
