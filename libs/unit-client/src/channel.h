#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "pepeunit/envelope/envelope.h"
#include "pepeunit/unit_client/transport.h"

namespace pepeunit::unit_client {

// Sealed requests of one unit and the opened answers to them: PROTOCOL.md of libs/envelope. Not thread-safe.
class Channel {
 public:
  struct Identity {
    std::string url, token;  // PEPEUNIT_URL without a slash at its end, PEPEUNIT_TOKEN
    envelope::Keys keys;
    Uuid unit;
  };
  Channel(Identity identity, Transport* transport) : identity_(std::move(identity)), transport_(transport) {}

  std::string Seal(std::uint64_t sequence, std::string_view plaintext, envelope::Kind kind) const;

  struct Answer {
    HttpAnswer http;                  // without a body
    std::optional<std::string> text;  // the plaintext, when it is the answer to this very request
    envelope::Kind kind = envelope::Kind::kAnswer;
  };
  // Posts `sealed` to `path` below the url. `most` bounds the envelope of the answer, in bytes.
  Answer Ask(std::string_view path, std::uint64_t sequence, const std::string& sealed, std::size_t most);

 private:
  const Identity identity_;
  Transport* const transport_;
};

}  // namespace pepeunit::unit_client
