#include "load.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"

namespace pepeunit::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

// One keep-alive connection and the devices whose reports travel over it, one exchange at a time.
class Connection {
 public:
  Connection(asio::io_context& io, const LoadOptions& options, std::vector<Device*> devices, Clock::time_point end)
      : options_(options), devices_(std::move(devices)), end_(end), stream_(io) {}

  void Start() {
    auto connected = [this](beast::error_code error) {
      if (error) return Broken();
      stream_.socket().set_option(tcp::no_delay(true), error);
      Next();
    };
    stream_.async_connect(tcp::endpoint(asio::ip::make_address(options_.host), options_.port), connected);
  }

  const Report& report() const { return report_; }

 private:
  Device& device() { return *devices_[at_]; }

  void Next() {
    if (Clock::now() >= end_) return;
    at_ = (at_ + 1) % devices_.size();
    Device& d = device();
    const bool hello = d.next == 0 && !options_.echo;
    if (d.next == 0 && options_.echo) d.next = 1;
    plain_ = "{}";
    if (!hello) {
      plain_ = "{\"output_variables\":[{\"age_ms\":0,\"values\":{";
      for (std::size_t i = 0; i < d.outputs.size(); ++i) {
        plain_ += (i == 0 ? "\"" : ",\"") + d.outputs[i] + "\":" + std::to_string(d.next % 1000) + ".5";
      }
      plain_ += "}}]}";
    }
    envelope::SealRequest(d.keys, d.id, hello ? 0 : d.next, plain_, &sealed_);
    request_ = "POST " + options_.target + " HTTP/1.1\r\nHost: " + options_.host + "\r\nAuthorization: Bearer " +
               d.token +
               "\r\nContent-Type: application/octet-stream\r\nContent-Length: " + std::to_string(sealed_.size()) +
               "\r\n\r\n" + sealed_;
    begin_ = Clock::now();
    auto written = [this, hello](beast::error_code error, std::size_t) {
      if (error) return Broken();
      Read(hello);
    };
    asio::async_write(stream_, asio::buffer(request_), written);
  }

  void Read(bool hello) {
    parser_.emplace();
    auto read = [this, hello](beast::error_code error, std::size_t) {
      if (error) return Broken();
      Take(hello);
    };
    http::async_read(stream_, buffer_, *parser_, read);
  }

  void Take(bool hello) {
    const int status = static_cast<int>(parser_->get().result_int());
    Device& d = device();
    if (hello) {
      if (status != 200 || !TakeHello(d, parser_->get().body())) ++report_.refused[status == 200 ? -1 : status];
      return Next();
    }
    if (status == 200) {
      const std::chrono::duration<float, std::milli> taken = Clock::now() - begin_;
      report_.latencies_ms.push_back(taken.count());
      ++report_.accepted;
      report_.readings += d.outputs.size();
      report_.last_accepted_ms = NowMs();
      ++d.next;
      ++d.accepted;
    } else {
      ++report_.refused[status];
      if (status == 409) d.next = 0;  // ask for the sequence again
    }
    Next();
  }

  // The sealed answer to the first question of a device names the sequence to go on with.
  bool TakeHello(Device& d, const std::string& body) {
    envelope::Tag tag;
    std::copy(sealed_.end() - envelope::kTagBytes, sealed_.end(), tag.begin());
    const auto opened = envelope::OpenAnswer(d.keys, tag, AsBytes(body));
    if (!opened.ok()) return false;
    const auto json = nlohmann::json::parse(opened->plaintext, nullptr, false);
    if (!json.is_object()) return false;
    d.next = json.value("next", std::uint64_t{0});
    return d.next != 0;
  }

  void Broken() {
    ++report_.refused[0];
    if (Clock::now() >= end_ || report_.refused[0] > 1000) return;
    stream_.close();
    buffer_.clear();
    Start();
  }

  const LoadOptions& options_;
  std::vector<Device*> devices_;
  Clock::time_point end_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  std::string plain_, sealed_, request_;
  std::size_t at_ = 0;
  Clock::time_point begin_;
  Report report_;
};

}  // namespace

std::vector<Device> ReadDevices(const std::string& path) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_array() || json.empty()) {
    std::fprintf(stderr, "%s is not a list of units\n", path.c_str());
    std::exit(2);
  }
  std::vector<Device> devices;
  for (const auto& entry : json) {
    const auto id = Uuid::Parse(entry.at("id").get<std::string>());
    const auto key = Base64Decode(entry.at("key").get<std::string>());
    if (!id || !key || key->size() != 32) {
      std::fprintf(stderr, "%s: a unit without a good id and key\n", path.c_str());
      std::exit(2);
    }
    devices.push_back({*id, envelope::Keys::Derive(AsBytes(*key)), entry.at("token").get<std::string>(),
                       entry.at("outputs").get<std::vector<std::string>>()});
  }
  return devices;
}

Report RunLoad(const LoadOptions& options, std::vector<Device>& devices) {
  const unsigned connections = std::min(options.connections, static_cast<unsigned>(devices.size()));
  std::vector<std::vector<Device*>> shares(connections);
  for (std::size_t i = 0; i < devices.size(); ++i) shares[i % connections].push_back(&devices[i]);

  const auto begin = Clock::now();
  const auto end = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.seconds));
  // A context for each thread: a connection stays on one, so nothing in it needs a lock.
  std::vector<std::unique_ptr<asio::io_context>> contexts;
  for (unsigned i = 0; i < options.threads; ++i) contexts.push_back(std::make_unique<asio::io_context>(1));
  std::vector<std::unique_ptr<Connection>> open;
  for (unsigned i = 0; i < connections; ++i) {
    open.push_back(std::make_unique<Connection>(*contexts[i % options.threads], options, std::move(shares[i]), end));
    open.back()->Start();
  }
  std::vector<std::thread> pool;
  // A server that answers nothing more must not hold the run: it ends a little after its time in any case.
  const auto most = std::chrono::duration<double>(options.seconds + 10);
  for (auto& context : contexts) {
    pool.emplace_back([&context, most] { context->run_for(std::chrono::duration_cast<Clock::duration>(most)); });
  }
  for (auto& thread : pool) thread.join();

  Report report;
  for (const auto& connection : open) report.Merge(connection->report());
  const auto [fewest, highest] = std::minmax_element(
      devices.begin(), devices.end(), [](const Device& a, const Device& b) { return a.accepted < b.accepted; });
  report.least_of_a_device = fewest->accepted;
  report.most_of_a_device = highest->accepted;
  report.seconds = std::chrono::duration<double>(std::min(Clock::now(), end) - begin).count();
  return report;
}

}  // namespace pepeunit::bench
