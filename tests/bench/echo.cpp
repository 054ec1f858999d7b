#include "echo.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace pepeunit::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

class EchoSession : public std::enable_shared_from_this<EchoSession> {
 public:
  explicit EchoSession(tcp::socket socket) : stream_(std::move(socket)) {}

  void Read() {
    parser_.emplace();
    parser_->body_limit(1 << 20);
    auto read = [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) self->Write();
    };
    http::async_read(stream_, buffer_, *parser_, read);
  }

 private:
  void Write() {
    response_ = {};
    response_.version(11);
    response_.result(http::status::ok);
    response_.set(http::field::content_type, "application/octet-stream");
    response_.keep_alive(parser_->get().keep_alive());
    response_.body() = std::move(parser_->get().body());
    response_.prepare_payload();
    auto written = [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error && self->response_.keep_alive()) self->Read();
    };
    http::async_write(stream_, response_, written);
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

void Accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true), error);
      std::make_shared<EchoSession>(std::move(socket))->Read();
    }
    Accept(acceptor);
  });
}

}  // namespace

int RunEcho(std::uint16_t port, unsigned threads) {
  asio::io_context io(static_cast<int>(threads));
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), port});
  Accept(acceptor);
  std::printf("{\"port\": %u}\n", static_cast<unsigned>(acceptor.local_endpoint().port()));
  std::fflush(stdout);
  std::vector<std::thread> pool;
  for (unsigned i = 1; i < threads; ++i) pool.emplace_back([&io] { io.run(); });
  io.run();
  for (auto& thread : pool) thread.join();
  return 0;
}

}  // namespace pepeunit::bench
