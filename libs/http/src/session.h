#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "pepeunit/http/server.h"

namespace pepeunit::http {

// What the sessions of a server share.
struct Shared {
  ServerOptions options;
  Handler handler;
  std::atomic<std::size_t> connections = 0;
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<bool> draining = false;

  // Counts a connection of this client; false when it has as many as it may.
  bool Admit(const std::string& client);
  void Leave(const std::string& client);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> clients_;
};

class RequestExchange;
class WebSocketSession;

// One connection: reads a request, hands it to the handler, writes the answer, and so on. Everything runs on the one
// thread of its io_context, so nothing here is locked; answers from other threads are posted to it. Time limits are
// kept by the server, which calls CheckTime twice a second, for a timer per operation would cost more than a request.
class Session : public std::enable_shared_from_this<Session> {
 public:
  // The client was admitted, and leaves with the session.
  Session(boost::asio::io_context& io, boost::asio::ip::tcp::socket socket, std::string client, Shared& shared);
  ~Session();

  void Start() { ReadHead(); }
  // On the session's thread.
  void CheckTime(std::int64_t now_ms);
  void CloseIfIdle();
  void Close();

  boost::asio::io_context& io() { return io_; }
  Shared& shared() { return shared_; }

 private:
  friend class RequestExchange;
  enum class State { kIdle, kReading, kHandling, kWriting, kLingering, kWebSocket, kClosed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void Enter(State state, std::chrono::milliseconds limit);
  void ReadHead();
  void OnReadable();
  void OnHead(const boost::system::error_code& error);
  void ReadBody();
  void OnBody(const boost::system::error_code& error);
  void OnReadError(const boost::system::error_code& error);
  void Dispatch();
  void Handle(std::shared_ptr<RequestExchange> exchange);
  void Refuse(int status, const absl::Status& why);

  void WriteResponse(Response response);
  void WriteStreamHead(Response head, std::function<void(bool)> done);
  void WriteChunk(std::string data, std::function<void(bool)> done);
  void EndStream(bool complete);
  void WatchForEnd();
  void AppendHead(const Response& response, std::optional<std::size_t> length);
  void Send(std::function<void(bool)> done);
  void SendPiece(std::function<void(bool)> done);
  void AfterResponse();
  void Upgrade(const boost::beast::http::request<boost::beast::http::string_body>& request, const std::string& protocol,
               const std::function<WebSocketEvents(std::shared_ptr<WebSocket>)>& opened);
  void Linger();
  void ReadAndDiscard();

  boost::asio::io_context& io_;
  boost::asio::ip::tcp::socket socket_;
  Shared& shared_;
  const std::string client_;
  bool served_ = false;  // a request on this connection
  std::string remote_address_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::weak_ptr<RequestExchange> current_;
  State state_ = State::kIdle;
  std::int64_t deadline_ms_ = 0;
  bool keep_alive_ = true, is_head_ = false, chunked_ = false, continue_sent_ = false;
  std::size_t lingered_ = 0;
  std::function<void()> gone_;  // of the stream that is being sent
  std::string out_, out_body_;
  std::weak_ptr<WebSocketSession> web_socket_;  // that the connection became; keeps this session until it ends
};

// A request in the hands of the handler. It outlives the connection when the handler holds it longer.
class RequestExchange : public Exchange, public std::enable_shared_from_this<RequestExchange> {
 public:
  RequestExchange(std::shared_ptr<Session> session,
                  boost::beast::http::request<boost::beast::http::string_body> request);
  ~RequestExchange() override;

  std::string_view method() const override;
  std::string_view target() const override;
  std::string_view path() const override;
  std::string_view query() const override;
  std::string_view Header(std::string_view name) const override;
  std::string_view LastHeader(std::string_view name) const override;
  std::string_view body() const override { return request_.body(); }
  std::string_view remote_address() const override { return session_->remote_address_; }
  const TraceContext& trace() const override { return trace_; }

  void Respond(Response response) override;
  void StartStream(Response head, std::function<void(bool)> done) override;
  void Write(std::string data, std::function<void(bool)> done) override;
  void End(bool complete) override;
  void OnGone(std::function<void()> gone) override;
  bool AsksForWebSocket(std::string_view protocol) const override;
  void Upgrade(const std::string& protocol, std::function<WebSocketEvents(std::shared_ptr<WebSocket>)> opened) override;

 private:
  template <typename Work>
  void OnSession(Work work);

  std::shared_ptr<Session> session_;
  boost::beast::http::request<boost::beast::http::string_body> request_;
  TraceContext trace_;
  std::atomic<bool> answered_ = false;
};

}  // namespace pepeunit::http
