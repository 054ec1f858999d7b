#include "web_socket.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace pepeunit::unit_client {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostMessage = 66'000;  // a piece of a file has 65,536 bytes

struct Target {
  std::string authority, host, port, path;
};

std::optional<Target> Parse(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  if (!absl::StartsWith(url, "http://")) return std::nullopt;
  const std::string rest = url.substr(kScheme.size());
  const auto slash = rest.find('/');
  Target target{rest.substr(0, slash), "", "80", slash == std::string::npos ? "/" : rest.substr(slash)};
  target.host = target.authority;
  const auto colon = target.host.rfind(':'), bracket = target.host.rfind(']');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
    target.port = target.host.substr(colon + 1);
    target.host.resize(colon);
  }
  if (target.host.size() > 2 && target.host.front() == '[') target.host = target.host.substr(1, target.host.size() - 2);
  return target;
}

// Blocking, with limits of time, over Beast's asynchronous calls: each runs the loop until it is done.
class WebSocket final : public Socket {
 public:
  explicit WebSocket(std::chrono::milliseconds timeout) : timeout_(timeout), stream_(io_) {}

  // Empty when it is open.
  std::string Open(const Target& target, const std::string& token) {
    asio::ip::tcp::resolver resolver(io_);
    const bool connected = Run([&](auto done) {
      resolver.async_resolve(target.host, target.port, [this, done](const error_code& error, const auto& found) {
        if (error) return done(error);
        asio::async_connect(stream_.next_layer(), found,
                            [done](const error_code& failed, const auto&) { done(failed); });
      });
    });
    if (!connected) return over_;
    error_code ignored;
    stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
    stream_.read_message_max(kMostMessage);
    stream_.binary(true);
    stream_.auto_fragment(false);
    stream_.set_option(websocket::stream_base::decorator([&token](websocket::request_type& request) {
      request.set(beast::http::field::authorization, "Bearer " + token);
      request.set(beast::http::field::sec_websocket_protocol, "pepeunit.v1");
    }));
    websocket::response_type response;
    Run([&](auto done) { stream_.async_handshake(response, target.authority, target.path, done); });
    if (!over_.empty()) return response.result_int() >= 400 ? absl::StrCat("HTTP ", response.result_int()) : over_;
    Read();
    return "";
  }

  void Send(std::string_view message) override {
    if (!over_.empty()) return;
    Run([&](auto done) {
      stream_.async_write(asio::buffer(message.data(), message.size()),
                          [done](const error_code& error, std::size_t) { done(error); });
    });
  }

  std::optional<Message> Receive(std::chrono::milliseconds most) override {
    const auto end = Clock::now() + most;
    while (messages_.empty() && over_.empty()) {
      io_.restart();
      if (most.count() == 0 ? io_.poll_one() == 0 : io_.run_one_until(end) == 0) break;
    }
    if (messages_.empty()) return std::nullopt;
    Message next = std::move(messages_.front());
    messages_.pop_front();
    return next;
  }

  const std::string& over() const override { return over_; }
  int descriptor() const override { return const_cast<asio::ip::tcp::socket&>(stream_.next_layer()).native_handle(); }

 private:
  // Begins what `start` begins, and runs the loop until it is done.
  template <typename Start>
  bool Run(Start start) {
    std::optional<error_code> result;
    start([&result](const error_code& error) { result = error; });
    const auto end = Clock::now() + timeout_;
    while (!result) {
      io_.restart();
      if (io_.run_one_until(end) > 0) continue;
      End("it takes too long");
      io_.restart();
      io_.run_for(std::chrono::seconds(1));  // what was begun ends now, and must not outlive this
      return false;
    }
    if (*result) End(result->message());
    return over_.empty();
  }

  void Read() {
    stream_.async_read(buffer_, [this](const error_code& error, std::size_t) {
      if (error) return End(stream_.reason().reason.empty() ? error.message() : stream_.reason().reason.c_str());
      messages_.push_back({stream_.got_text(), beast::buffers_to_string(buffer_.data())});
      buffer_.clear();
      Read();
    });
  }

  void End(const std::string& why) {
    if (over_.empty()) over_ = why;
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

  const std::chrono::milliseconds timeout_;
  asio::io_context io_{1};
  websocket::stream<asio::ip::tcp::socket, false> stream_;
  beast::flat_buffer buffer_;
  std::deque<Message> messages_;
  std::string over_;
};

}  // namespace

SocketAnswer OpenWebSocket(const std::string& url, const std::string& token, std::chrono::milliseconds timeout) {
  const auto target = Parse(url);
  if (!target) return {nullptr, "it is spoken over http only"};
  auto socket = std::make_unique<WebSocket>(timeout);
  std::string error = socket->Open(*target, token);
  if (!error.empty()) return {nullptr, std::move(error)};
  return {std::move(socket), ""};
}

}  // namespace pepeunit::unit_client
