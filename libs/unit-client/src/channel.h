#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "pepeunit/envelope/envelope.h"
#include "pepeunit/unit_client/transport.h"

namespace pepeunit::unit_client {

// Sealed requests of one unit and the opened answers to them, and what is pushed: PROTOCOL.md of libs/envelope. Not
// thread-safe.
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

  // The same for an exchange over the WebSocket, while there is one.
  Answer Exchange(std::uint64_t sequence, const std::string& sealed);
  // Whether there is one after this; `*why` when it ended, or could not be opened.
  bool OpenSocket(std::string* why);
  bool has_socket() const { return socket_ != nullptr; }
  // With each good answer that came over it. False when something that was pushed before is missing.
  bool Settle(std::int64_t pushes);
  // The plaintext of what was pushed next, if it is here.
  std::optional<std::string> TakePush();
  // Why the WebSocket has ended; then there is none any more. Empty: it holds.
  std::string TakeEnd();
  void CloseSocket() { socket_.reset(); }
  int descriptor() const { return socket_ ? socket_->descriptor() : -1; }

 private:
  Answer Open(std::uint64_t sequence, const std::string& sealed, HttpAnswer http) const;
  bool IsPush(const Socket::Message& message);

  const Identity identity_;
  Transport* const transport_;
  std::unique_ptr<Socket> socket_;
  std::string end_;
  std::optional<envelope::Tag> begun_by_, answer_tag_;  // of the answer that began the pushes, and of the last one
  std::uint64_t pushes_ = 0;
  std::deque<std::string> pushed_;
};

}  // namespace pepeunit::unit_client
