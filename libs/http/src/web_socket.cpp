#include "web_socket.h"

#include <boost/asio/dispatch.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <exception>
#include <utility>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/log.h"
#include "session.h"

namespace pepeunit::http {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr std::size_t kMostUnsent = 4;  // messages; nothing is read from whoever does not read what he asked for
constexpr std::int64_t kCloseMs = 2'000;

websocket::close_reason Reason(std::uint16_t code, const std::string& text) {
  return {static_cast<websocket::close_code>(code), boost::beast::string_view(text.data(), text.size())};
}

}  // namespace

WebSocketSession::WebSocketSession(std::shared_ptr<Session> session, asio::ip::tcp::socket socket,
                                   const ServerOptions& options)
    : session_(std::move(session)), options_(options), stream_(std::move(socket)) {
  stream_.read_message_max(options_.max_body_bytes);
  stream_.auto_fragment(false);
  stream_.control_callback([this](websocket::frame_type, boost::beast::string_view) { Heard(); });
  deadline_ms_ = MonotonicMs() + options_.read_timeout.count();
}

template <typename Work>
void WebSocketSession::OnSession(Work work) {
  asio::dispatch(session_->io(), [self = shared_from_this(), work = std::move(work)]() mutable {
    if (!self->over_) work(*self);
  });
}

void WebSocketSession::Accept(const boost::beast::http::request<boost::beast::http::string_body>& request,
                              const std::string& protocol,
                              const std::function<WebSocketEvents(std::shared_ptr<WebSocket>)>& opened) {
  stream_.set_option(websocket::stream_base::decorator([protocol](websocket::response_type& response) {
    response.set(boost::beast::http::field::sec_websocket_protocol, protocol);
    response.set(boost::beast::http::field::server, "pepeunit");
  }));
  write_deadline_ms_ = MonotonicMs() + options_.write_timeout.count();
  auto accepted = [self = shared_from_this(), opened](const error_code& error) {
    self->write_deadline_ms_ = 0;
    if (error || self->over_) return self->Cut();
    self->stream_.set_option(websocket::stream_base::decorator([](websocket::response_type&) {}));
    self->events_ = opened(self);
    self->Write();
    self->Read();
  };
  stream_.async_accept(request, accepted);
}

void WebSocketSession::Heard() {
  const std::int64_t now = MonotonicMs();
  if (!welcome_) return;
  deadline_ms_ = now + options_.idle_timeout.count();
  ping_ms_ = now + options_.idle_timeout.count() * 2 / 5;
}

void WebSocketSession::Welcome() {
  OnSession([](WebSocketSession& self) {
    self.welcome_ = true;
    self.Heard();
  });
}

void WebSocketSession::SendBinary(std::string message, std::function<void(bool)> sent) {
  asio::dispatch(session_->io(),
                 [self = shared_from_this(), message = std::move(message), sent = std::move(sent)]() mutable {
                   self->Enqueue({std::move(message), false, std::move(sent)});
                 });
}

void WebSocketSession::SendText(std::string message) {
  OnSession([message = std::move(message)](WebSocketSession& self) mutable {
    self.Enqueue({std::move(message), true, nullptr});
  });
}

void WebSocketSession::Enqueue(Outgoing outgoing) {
  if (over_ || closing_) {
    if (outgoing.sent) outgoing.sent(false);
    return;
  }
  queue_.push_back(std::move(outgoing));
  Write();
}

void WebSocketSession::Write() {
  if (over_ || writing_ || !events_.message) return;
  if (queue_.empty()) {
    write_deadline_ms_ = 0;
    if (closing_) BeginClose();
    return Read();
  }
  write_deadline_ms_ = MonotonicMs() + options_.write_timeout.count();
  writing_ = true;
  stream_.text(queue_.front().text);
  auto written = [self = shared_from_this()](const error_code& error, std::size_t) {
    self->writing_ = false;
    if (error || self->over_) return self->Cut();
    const auto sent = std::move(self->queue_.front().sent);
    self->queue_.pop_front();
    if (sent) sent(true);  // may send more
    self->Write();
  };
  stream_.async_write(asio::buffer(queue_.front().message), written);
}

void WebSocketSession::Read() {
  if (reading_ || over_ || queue_.size() >= kMostUnsent) return;
  reading_ = true;
  auto read = [self = shared_from_this()](const error_code& error, std::size_t) {
    self->reading_ = false;
    if (error || self->over_) return self->Cut();
    self->OnMessage();
  };
  stream_.async_read(buffer_, read);
}

void WebSocketSession::OnMessage() {
  Heard();
  ++session_->shared().requests;
  std::string message = boost::beast::buffers_to_string(buffer_.data());
  buffer_ = {};  // an idle connection holds no more than it has to
  if (!stream_.got_binary()) return Close(1003, "messages are envelopes, in binary");
  try {
    events_.message(std::move(message));
  } catch (const std::exception& e) {
    log::Error("a handler of a WebSocket threw", {{"cause", e.what()}});
    return Close(1011, "the instance made a mistake; its logs know more");
  }
  Read();
}

void WebSocketSession::CheckTime(std::int64_t now_ms) {
  if (over_) return;
  if (now_ms >= deadline_ms_ || (write_deadline_ms_ != 0 && now_ms >= write_deadline_ms_)) return Cut();
  if (welcome_ && now_ms >= ping_ms_) Ping();
}

void WebSocketSession::Ping() {
  if (pinging_ || closing_) return;
  pinging_ = true;
  ping_ms_ = deadline_ms_;
  auto pinged = [self = shared_from_this()](const error_code& error) {
    self->pinging_ = false;
    if (error) self->Cut();
  };
  stream_.async_ping({}, pinged);
}

void WebSocketSession::Leave() { Close(1001, "the instance is being stopped; come back soon"); }

void WebSocketSession::Close(std::uint16_t code, const std::string& reason) {
  OnSession([code, reason](WebSocketSession& self) {
    if (self.closing_) return;
    self.closing_ = true;
    self.close_ = Reason(code, reason);
    self.deadline_ms_ = MonotonicMs() + kCloseMs;
    if (self.queue_.empty()) self.BeginClose();
  });
}

void WebSocketSession::BeginClose() {
  auto closed = [self = shared_from_this()](const error_code&) { self->Cut(); };
  stream_.async_close(close_, closed);
}

void WebSocketSession::Cut() {
  if (std::exchange(over_, true)) return;
  error_code ignored;
  auto& socket = stream_.next_layer();
  socket.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket.close(ignored);
  // Both may hold this.
  auto queue = std::exchange(queue_, {});
  const auto events = std::exchange(events_, {});
  for (auto& outgoing : queue) {
    if (outgoing.sent) outgoing.sent(false);
  }
  if (events.closed) events.closed();
}

}  // namespace pepeunit::http
