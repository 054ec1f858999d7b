#include "latency.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "pepeunit/base/bytes.h"

namespace pepeunit::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

// A device's WebSocket.
class Line {
 public:
  Line(asio::io_context& io, const LatencyOptions& options, Device* device)
      : options_(options), device_(device), stream_(io) {}

  // Connects and says hello: whether that went well.
  bool Open() {
    beast::error_code error;
    stream_.next_layer().connect(tcp::endpoint(asio::ip::make_address(options_.host), options_.port), error);
    if (error) return false;
    stream_.next_layer().set_option(tcp::no_delay(true), error);
    stream_.set_option(websocket::stream_base::decorator([this](websocket::request_type& request) {
      request.set(beast::http::field::authorization, "Bearer " + device_->token);
      request.set(beast::http::field::sec_websocket_protocol, "pepeunit.v1");
    }));
    stream_.handshake(options_.host, "/v1/socket", error);
    if (error) return false;
    stream_.binary(true);
    Seal(0, "{}");
    stream_.write(asio::buffer(sealed_), error);
    if (!error) stream_.read(buffer_, error);
    if (error) return false;
    const auto answer = TakeAnswer();
    begun_by_ = envelope::TagOf(AsBytes(last_));
    device_->next = answer.value("next", std::uint64_t{0});
    return device_->next != 0;
  }

  void Post(const std::string& plaintext, std::function<void(bool)> answered) {
    answered_ = std::move(answered);
    Seal(device_->next, plaintext);
    stream_.async_write(asio::buffer(sealed_), [](beast::error_code, std::size_t) {});
  }
  bool busy() const { return answered_ != nullptr; }

  // Calls `pushed` with what is pushed from now on.
  void Listen(std::function<void(const nlohmann::json&)> pushed) {
    pushed_ = std::move(pushed);
    Read();
  }
  void Close() {
    beast::error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  void Seal(std::uint64_t sequence, const std::string& plaintext) {
    envelope::SealRequest(device_->keys, device_->id, sequence, plaintext, &sealed_);
    tag_ = envelope::TagOf(AsBytes(sealed_));
  }
  nlohmann::json TakeAnswer() {
    last_ = beast::buffers_to_string(buffer_.data());
    buffer_.clear();
    const auto opened = envelope::OpenAnswer(device_->keys, tag_, AsBytes(last_));
    return opened.ok() ? nlohmann::json::parse(opened->plaintext) : nlohmann::json::object();
  }
  void Read() {
    stream_.async_read(buffer_, [this](beast::error_code error, std::size_t) {
      if (error) return;
      const std::string sealed = beast::buffers_to_string(buffer_.data());
      const auto header = envelope::Peek(AsBytes(sealed));
      if (header.ok() && header->kind == envelope::Kind::kPush) {
        buffer_.clear();
        const auto opened = envelope::OpenAnswer(device_->keys, begun_by_, AsBytes(sealed), envelope::Kind::kPush);
        if (opened.ok()) pushed_(nlohmann::json::parse(opened->plaintext));
      } else {
        const nlohmann::json answer = TakeAnswer();
        const bool good = answer.is_object() && !answer.empty() && !answer.contains("error");
        if (good) ++device_->next;
        if (answered_) std::exchange(answered_, nullptr)(good);
      }
      Read();
    });
  }

  const LatencyOptions& options_;
  Device* device_;
  websocket::stream<tcp::socket, false> stream_;
  beast::flat_buffer buffer_;
  std::string sealed_, last_;
  envelope::Tag tag_{}, begun_by_{};
  std::function<void(bool)> answered_;
  std::function<void(const nlohmann::json&)> pushed_;
};

// One device that posts and one that is told.
class Pair {
 public:
  Pair(asio::io_context& io, const LatencyOptions& options, Device* source, Device* target, LatencyReport* report)
      : source_(io, options, source), target_(io, options, target), timer_(io), report_(report) {}

  bool Open() { return source_.Open() && target_.Open(); }

  void Start(Clock::time_point first, Clock::duration every, Clock::time_point end) {
    next_ = first, every_ = every, end_ = end;
    source_.Listen([](const nlohmann::json&) {});
    target_.Listen([this](const nlohmann::json& push) {
      if (!waiting_ || push["input_variables"]["shown"] != number_) return;
      waiting_ = false;
      const std::chrono::duration<float, std::milli> taken = Clock::now() - begin_;
      report_->latencies_ms.push_back(taken.count());
      ++report_->arrived;
    });
    Wait();
  }
  void Close() {
    source_.Close();
    target_.Close();
    timer_.cancel();
  }

 private:
  void Wait() {
    timer_.expires_at(next_);
    timer_.async_wait([this](beast::error_code error) {
      if (error || next_ >= end_) return;
      next_ += every_;
      if (!source_.busy()) Post();  // else it is late, and this turn is left out
      Wait();
    });
  }
  void Post() {
    begin_ = Clock::now();
    waiting_ = true;
    ++number_;
    ++report_->posted;
    source_.Post("{\"output_variables\":[{\"age_ms\":0,\"values\":{\"value\":" + std::to_string(number_) + "}}]}",
                 [this](bool good) {
                   if (!good) ++report_->refused;
                 });
  }

  Line source_, target_;
  asio::steady_timer timer_;
  LatencyReport* const report_;
  Clock::time_point next_, end_, begin_;
  Clock::duration every_{};
  int number_ = 0;
  bool waiting_ = false;
};

}  // namespace

std::string LatencyReport::ToJson() {
  std::sort(latencies_ms.begin(), latencies_ms.end());
  return nlohmann::ordered_json{{"posted", posted},
                                {"refused", refused},
                                {"arrived", arrived},
                                {"connections", connections},
                                {"per_s", seconds > 0 ? static_cast<double>(posted) / seconds : 0.0},
                                {"p50_ms", Percentile(latencies_ms, 0.50)},
                                {"p95_ms", Percentile(latencies_ms, 0.95)},
                                {"p99_ms", Percentile(latencies_ms, 0.99)},
                                {"most_ms", Percentile(latencies_ms, 1)}}
      .dump();
}

LatencyReport RunLatency(const LatencyOptions& options, std::vector<Device>& devices) {
  LatencyReport report;
  asio::io_context io{1};
  std::vector<std::unique_ptr<Pair>> pairs;
  for (std::size_t i = 0; i + 1 < devices.size(); i += 2) {
    auto pair = std::make_unique<Pair>(io, options, &devices[i], &devices[i + 1], &report);
    if (!pair->Open()) continue;
    report.connections += 2;
    pairs.push_back(std::move(pair));
  }
  if (pairs.empty()) return report;
  const auto seconds = [](double count) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
  };
  const auto begin = Clock::now() + seconds(0.1), end = begin + seconds(options.seconds);
  const double every = static_cast<double>(pairs.size()) / options.per_s;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(pairs.size());
    pairs[i]->Start(begin + seconds(every * share), seconds(every), end);
  }
  io.run_until(end + seconds(1));  // for what is still on its way
  for (const auto& pair : pairs) pair->Close();
  io.run_for(std::chrono::milliseconds(100));
  report.seconds = options.seconds;
  return report;
}

}  // namespace pepeunit::bench
