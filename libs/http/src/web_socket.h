#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "pepeunit/http/server.h"

namespace pepeunit::http {

class Session;

// A connection after it became a WebSocket. What is called from other threads is posted to that of its session, and
// everything else runs there. It keeps its session, which counts the connection, until it ends.
class WebSocketSession final : public WebSocket, public std::enable_shared_from_this<WebSocketSession> {
 public:
  WebSocketSession(std::shared_ptr<Session> session, boost::asio::ip::tcp::socket socket, const ServerOptions& options);

  void Accept(const boost::beast::http::request<boost::beast::http::string_body>& request, const std::string& protocol,
              const std::function<WebSocketEvents(std::shared_ptr<WebSocket>)>& opened);

  void SendBinary(std::string message, std::function<void(bool)> sent) override;
  void SendText(std::string message) override;
  void Welcome() override;
  void Close(std::uint16_t code, const std::string& reason) override;

  // On the session's thread.
  void CheckTime(std::int64_t now_ms);
  void Leave();  // the server is being stopped
  void Cut();

 private:
  struct Outgoing {
    std::string message;
    bool text = false;
    std::function<void(bool)> sent;
  };
  template <typename Work>
  void OnSession(Work work);
  void Heard();
  void Enqueue(Outgoing outgoing);
  void Write();
  void Read();
  void OnMessage();
  void Ping();
  void BeginClose();

  const std::shared_ptr<Session> session_;
  const ServerOptions& options_;
  boost::beast::websocket::stream<boost::asio::ip::tcp::socket, false> stream_;
  boost::beast::flat_buffer buffer_;
  WebSocketEvents events_;
  std::deque<Outgoing> queue_;  // the first is being written
  std::int64_t deadline_ms_ = 0, ping_ms_ = 0, write_deadline_ms_ = 0;
  bool welcome_ = false, reading_ = false, writing_ = false, pinging_ = false, closing_ = false, over_ = false;
  boost::beast::websocket::close_reason close_;
};

}  // namespace pepeunit::http
