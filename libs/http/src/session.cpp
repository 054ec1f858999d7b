#include "session.h"

#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <cstdio>
#include <exception>
#include <iterator>
#include <utility>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/http/problem.h"
#include "web_socket.h"

namespace pepeunit::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using boost::system::error_code;

// As much as somebody is likely to be sending who did not know the bound; it is read in small pieces and thrown away.
constexpr std::size_t kMostLingered = 8u << 20;
constexpr std::chrono::milliseconds kLingerTime{2'000};

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// A header is one line: anything that could begin another is dropped.
void AppendHeader(std::string* out, std::string_view name, std::string_view value) {
  *out += name;
  *out += ": ";
  for (char c : value) {
    if (c != '\r' && c != '\n' && c != '\0') *out += c;
  }
  *out += "\r\n";
}

absl::Status ErrorOf(int status, const std::string& message) {
  const auto code =
      status == 413 || status == 431 ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInvalidArgument;
  return Error(code, status == 400 ? "INVALID_BODY" : "LIMIT", message);
}

}  // namespace

bool Shared::Admit(const std::string& client) {
  if (options.max_of_address == 0) return true;
  std::lock_guard lock(mutex_);
  const auto known = clients_.find(client);
  if (known != clients_.end() && known->second >= options.max_of_address) return false;
  ++clients_[client];
  return true;
}

void Shared::Leave(const std::string& client) {
  if (options.max_of_address == 0) return;
  std::lock_guard lock(mutex_);
  const auto known = clients_.find(client);
  if (known != clients_.end() && --known->second == 0) clients_.erase(known);
}

Session::Session(asio::io_context& io, asio::ip::tcp::socket socket, std::string client, Shared& shared)
    : io_(io),
      socket_(std::move(socket)),
      shared_(shared),
      client_(std::move(client)),
      buffer_(shared.options.max_header_bytes + (64u << 10)) {
  ++shared_.connections;
  error_code error;
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  const auto remote = socket_.remote_endpoint(error);
  if (!error) remote_address_ = remote.address().to_string(error);
}

Session::~Session() {
  --shared_.connections;
  shared_.Leave(client_);
}

void Session::Enter(State state, std::chrono::milliseconds limit) {
  state_ = state;
  deadline_ms_ = MonotonicMs() + limit.count();
}

void Session::CheckTime(std::int64_t now_ms) {
  if (const auto socket = web_socket_.lock()) return socket->CheckTime(now_ms);
  if (state_ == State::kClosed || now_ms < deadline_ms_) return;
  switch (state_) {
    case State::kReading:
      // The read in flight ends with the linger's shutdown; its completion finds the state changed.
      Refuse(408, ErrorOf(408, "The request did not arrive in time."));
      return;
    case State::kHandling:
      if (const auto exchange = current_.lock()) {
        exchange->Respond(Problem(Unavailable("The answer took too long."), exchange->path(), exchange->trace()));
      }
      return;
    default:
      Close();
  }
}

void Session::CloseIfIdle() {
  if (const auto socket = web_socket_.lock()) return socket->Leave();
  if (state_ == State::kIdle) Close();
}

void Session::Close() {
  if (state_ == State::kClosed) return;
  if (const auto socket = web_socket_.lock()) return socket->Cut();
  state_ = State::kClosed;
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
  if (const auto gone = std::exchange(gone_, nullptr)) gone();
}

void Session::ReadHead() {
  if (shared_.draining && buffer_.size() == 0) return Close();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(shared_.options.max_header_bytes));
  parser_->body_limit(shared_.options.max_body_bytes);
  continue_sent_ = false;
  if (buffer_.size() > 0) {  // the client has sent the next request already
    Enter(State::kReading, shared_.options.read_timeout);
    return OnReadable();
  }
  // A connection that never sent anything gets no more patience than a slow request.
  Enter(State::kIdle, served_ ? shared_.options.idle_timeout : shared_.options.read_timeout);
  served_ = true;
  auto ready = [self = shared_from_this()](const error_code& error) {
    if (self->state_ != State::kIdle) return;
    if (error) return self->Close();
    self->Enter(State::kReading, self->shared_.options.read_timeout);
    self->OnReadable();
  };
  // An idle connection holds no buffer: it waits for the first byte.
  socket_.async_wait(asio::ip::tcp::socket::wait_read, ready);
}

void Session::OnReadable() {
  auto read = [self = shared_from_this()](const error_code& error, std::size_t) { self->OnHead(error); };
  bhttp::async_read_header(socket_, buffer_, *parser_, read);
}

void Session::OnHead(const error_code& error) {
  if (state_ != State::kReading) return;
  if (error) return OnReadError(error);
  const auto expect = View(parser_->get()[bhttp::field::expect]);
  if (!continue_sent_ && beast::iequals(beast::string_view(expect.data(), expect.size()), "100-continue")) {
    continue_sent_ = true;
    out_ = "HTTP/1.1 100 Continue\r\n\r\n";
    auto written = [self = shared_from_this()](const error_code& failed, std::size_t) {
      if (self->state_ != State::kReading) return;
      if (failed) return self->Close();
      self->ReadBody();
    };
    asio::async_write(socket_, asio::buffer(out_), written);
    return;
  }
  ReadBody();
}

void Session::ReadBody() {
  if (parser_->is_done()) return Dispatch();
  auto read = [self = shared_from_this()](const error_code& error, std::size_t) { self->OnBody(error); };
  bhttp::async_read(socket_, buffer_, *parser_, read);
}

void Session::OnBody(const error_code& error) {
  if (state_ != State::kReading) return;
  if (error) return OnReadError(error);
  Dispatch();
}

void Session::OnReadError(const error_code& error) {
  if (error == bhttp::error::body_limit) {
    return Refuse(
        413, ErrorOf(413, "The body may have at most " + std::to_string(shared_.options.max_body_bytes) + " bytes."));
  }
  if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
    return Refuse(431, ErrorOf(431, "The headers may have at most " + std::to_string(shared_.options.max_header_bytes) +
                                        " bytes."));
  }
  // Everything else that Beast's parser says of the bytes; the rest is the connection itself.
  const bool malformed = error.category() == bhttp::make_error_code(bhttp::error::bad_method).category() &&
                         error != bhttp::error::end_of_stream && error != bhttp::error::partial_message;
  if (malformed) return Refuse(400, ErrorOf(400, "This is not HTTP/1.1: " + error.message() + "."));
  Close();
}

// Answers what could not be read to its end, and hangs up.
void Session::Refuse(int status, const absl::Status& why) {
  keep_alive_ = false;
  is_head_ = false;
  chunked_ = false;
  current_.reset();
  ++shared_.requests;
  WriteResponse(Problem(why, "", TraceContext::New(), status));
}

void Session::Dispatch() {
  ++shared_.requests;
  bhttp::request<bhttp::string_body> request = parser_->release();
  keep_alive_ = request.keep_alive() && !shared_.draining;
  is_head_ = request.method() == bhttp::verb::head;
  chunked_ = request.version() >= 11;
  Enter(State::kHandling, shared_.options.handler_timeout);
  auto exchange = std::make_shared<RequestExchange>(shared_from_this(), std::move(request));
  current_ = exchange;
  Handle(std::move(exchange));
}

void Session::Handle(std::shared_ptr<RequestExchange> exchange) {
  try {
    shared_.handler(exchange);
  } catch (const std::exception& e) {
    log::Error("a handler threw", {{"path", exchange->path()}, {"cause", e.what()}});
    exchange->Respond(
        Problem(Internal("The instance made a mistake; its logs know more."), exchange->path(), exchange->trace()));
  }
}

void Session::AppendHead(const Response& response, std::optional<std::size_t> length) {
  out_ = "HTTP/1.1 " + std::to_string(response.status) + ' ';
  out_ += View(bhttp::obsolete_reason(static_cast<bhttp::status>(response.status)));
  out_ += "\r\n";
  if (!response.content_type.empty()) AppendHeader(&out_, "Content-Type", response.content_type);
  for (const auto& [name, value] : response.headers) AppendHeader(&out_, name, value);
  if (length) {
    const bool bodiless = response.status == 204 || response.status == 304;
    if (!bodiless) out_ += "Content-Length: " + std::to_string(*length) + "\r\n";
  } else if (chunked_) {
    out_ += "Transfer-Encoding: chunked\r\n";
  }
  out_ += keep_alive_ ? (chunked_ ? "\r\n" : "Connection: keep-alive\r\n\r\n") : "Connection: close\r\n\r\n";
}

void Session::WriteResponse(Response response) {
  if (state_ == State::kClosed || state_ == State::kWriting || state_ == State::kLingering) return;
  if (shared_.draining) keep_alive_ = false;
  AppendHead(response, response.body.size());
  out_body_ = is_head_ ? std::string() : std::move(response.body);
  Send([self = shared_from_this()](bool ok) {
    if (!ok) return self->Close();
    self->AfterResponse();
  });
}

// Writes out_ and out_body_.
void Session::Send(std::function<void(bool)> done) {
  Enter(State::kWriting, shared_.options.write_timeout);
  const std::array<asio::const_buffer, 2> parts{asio::buffer(out_), asio::buffer(out_body_)};
  auto written = [self = shared_from_this(), done = std::move(done)](const error_code& error, std::size_t) {
    done(!error && self->state_ == State::kWriting);
  };
  asio::async_write(socket_, parts, written);
}

void Session::AfterResponse() {
  if (!keep_alive_) return Linger();
  // Posted through the loop only when requests are pipelined, so that a client cannot deepen the stack.
  if (buffer_.size() == 0) return ReadHead();
  asio::post(io_, [self = shared_from_this()] { self->ReadHead(); });
}

// Closing with unread bytes resets the connection and may take our answer from the client: the rest is read first.
void Session::Linger() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  Enter(State::kLingering, kLingerTime);
  lingered_ = 0;
  ReadAndDiscard();
}

void Session::ReadAndDiscard() {
  static thread_local std::array<char, 4096> discarded;
  auto read = [self = shared_from_this()](const error_code& error, std::size_t count) {
    self->lingered_ += count;
    if (error || self->lingered_ > kMostLingered || self->state_ != State::kLingering) return self->Close();
    self->ReadAndDiscard();
  };
  socket_.async_read_some(asio::buffer(discarded), read);
}

void Session::WriteStreamHead(Response head, std::function<void(bool)> done) {
  if (state_ != State::kHandling) return done(false);
  if (!chunked_) keep_alive_ = false;  // HTTP/1.0 knows the end of such a body by the end of the connection
  AppendHead(head, std::nullopt);
  out_body_.clear();
  SendPiece(std::move(done));
  if (gone_) WatchForEnd();
}

// A client that has sent everything and closes makes the socket readable, as one does that sends its next request: then
// its end shows with the next piece.
void Session::WatchForEnd() {
  auto readable = [self = shared_from_this()](const error_code& error) {
    if (self->state_ != State::kWriting || !self->gone_) return;
    char byte = 0;
    error_code failed = error;
    self->socket_.non_blocking(true, failed);
    self->socket_.receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, failed);
    if (failed && failed != asio::error::would_block) self->Close();
  };
  socket_.async_wait(asio::ip::tcp::socket::wait_read, readable);
}

// The next piece has as much time to come as an answer has.
void Session::SendPiece(std::function<void(bool)> done) {
  Send([self = shared_from_this(), done = std::move(done)](bool ok) {
    if (ok) self->Enter(State::kWriting, self->shared_.options.handler_timeout);
    done(ok);
  });
}

void Session::WriteChunk(std::string data, std::function<void(bool)> done) {
  if (state_ != State::kWriting) return done(false);
  if (data.empty() || is_head_) return done(true);
  out_.clear();
  if (chunked_) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    out_ = size;
    data += "\r\n";
  }
  out_body_ = std::move(data);
  SendPiece(std::move(done));
}

void Session::EndStream(bool complete) {
  if (state_ != State::kWriting) return;
  gone_ = nullptr;
  if (!complete) return Close();
  out_ = chunked_ && !is_head_ ? "0\r\n\r\n" : "";
  out_body_.clear();
  Send([self = shared_from_this()](bool ok) {
    if (!ok) return self->Close();
    self->AfterResponse();
  });
}

void Session::Upgrade(const bhttp::request<bhttp::string_body>& request, const std::string& protocol,
                      const std::function<WebSocketEvents(std::shared_ptr<WebSocket>)>& opened) {
  if (state_ != State::kHandling) return;
  if (shared_.draining || buffer_.size() > 0) {  // a client has to wait for our consent before it sends more
    keep_alive_ = false;
    return WriteResponse(shared_.draining
                             ? Problem(Unavailable("The service is being stopped."), "", TraceContext::New())
                             : Problem(ErrorOf(400,
                                               "Something was sent before the connection became a "
                                               "WebSocket."),
                                       "", TraceContext::New()));
  }
  state_ = State::kWebSocket;
  parser_.reset();
  out_ = out_body_ = std::string();
  buffer_.shrink_to_fit();
  const auto socket = std::make_shared<WebSocketSession>(shared_from_this(), std::move(socket_), shared_.options);
  web_socket_ = socket;
  socket->Accept(request, protocol, opened);
}

RequestExchange::RequestExchange(std::shared_ptr<Session> session, bhttp::request<bhttp::string_body> request)
    : session_(std::move(session)), request_(std::move(request)) {
  const auto incoming = TraceContext::Parse(Header("traceparent"));
  trace_ = incoming ? incoming->Child() : TraceContext::New();
}

RequestExchange::~RequestExchange() {
  if (answered_) return;
  log::Error("a request was dropped without an answer", {{"path", path()}});
  auto problem = Problem(Internal("The instance made a mistake; its logs know more."), path(), trace_);
  asio::dispatch(session_->io_, [session = session_, problem = std::move(problem)]() mutable {
    if (session->state_ == Session::State::kHandling) session->WriteResponse(std::move(problem));
  });
}

std::string_view RequestExchange::method() const { return View(request_.method_string()); }
std::string_view RequestExchange::target() const { return View(request_.target()); }
std::string_view RequestExchange::path() const { return target().substr(0, target().find('?')); }

std::string_view RequestExchange::query() const {
  const auto at = target().find('?');
  return at == std::string_view::npos ? std::string_view() : target().substr(at + 1);
}

std::string_view RequestExchange::Header(std::string_view name) const {
  return View(request_[beast::string_view(name.data(), name.size())]);
}

std::string_view RequestExchange::LastHeader(std::string_view name) const {
  const auto [first, end] = request_.equal_range(beast::string_view(name.data(), name.size()));
  return first == end ? std::string_view() : View(std::prev(end)->value());
}

// Dispatched, so an answer given on the session's own thread costs no hop.
template <typename Work>
void RequestExchange::OnSession(Work work) {
  asio::dispatch(session_->io_,
                 [self = shared_from_this(), work = std::move(work)]() mutable { work(*self->session_); });
}

void RequestExchange::Respond(Response response) {
  if (answered_.exchange(true)) return;
  OnSession([response = std::move(response)](Session& session) mutable { session.WriteResponse(std::move(response)); });
}

void RequestExchange::StartStream(Response head, std::function<void(bool)> done) {
  if (answered_.exchange(true)) return done(false);
  OnSession([head = std::move(head), done = std::move(done)](Session& session) mutable {
    session.WriteStreamHead(std::move(head), std::move(done));
  });
}

void RequestExchange::Write(std::string data, std::function<void(bool)> done) {
  OnSession([data = std::move(data), done = std::move(done)](Session& session) mutable {
    session.WriteChunk(std::move(data), std::move(done));
  });
}

void RequestExchange::OnGone(std::function<void()> gone) {
  OnSession([gone = std::move(gone)](Session& session) mutable {
    if (session.state_ == Session::State::kClosed) return gone();
    if (session.state_ == Session::State::kHandling) session.gone_ = std::move(gone);
  });
}

bool RequestExchange::AsksForWebSocket(std::string_view protocol) const {
  const auto offered = request_[bhttp::field::sec_websocket_protocol];
  return beast::websocket::is_upgrade(request_) &&
         bhttp::token_list{offered}.exists(beast::string_view(protocol.data(), protocol.size()));
}

void RequestExchange::Upgrade(const std::string& protocol,
                              std::function<WebSocketEvents(std::shared_ptr<WebSocket>)> opened) {
  if (answered_.exchange(true)) return;
  OnSession([self = shared_from_this(), protocol, opened = std::move(opened)](Session& session) {
    session.Upgrade(self->request_, protocol, opened);
  });
}

void RequestExchange::End(bool complete) {
  OnSession([complete](Session& session) { session.EndStream(complete); });
}

}  // namespace pepeunit::http
