#include "ota.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "pepeunit/base/bytes.h"

namespace pepeunit::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using envelope::Kind;
using nlohmann::json;

constexpr int kMostTries = 200;
constexpr std::chrono::seconds kTimeout{10};

// A piece of a file, as it is asked for.
struct Piece {
  std::string path;
  std::uint64_t offset, length;
};

struct Bytes {
  std::uint64_t content = 0, answers = 0, requests = 0;
};

// A kept connection. Errors are std::exception.
class Client {
 public:
  Client(const std::string& host, std::uint16_t port) : host_(host), stream_(io_) {
    stream_.expires_after(kTimeout);
    Await([&](auto done) { stream_.async_connect({asio::ip::make_address(host), port}, done); });
    stream_.socket().set_option(asio::ip::tcp::no_delay(true));
  }

  http::response<http::string_body> Ask(http::verb verb, const std::string& target, const std::string& name,
                                        const std::string& value, std::string body) {
    http::request<http::string_body> request(verb, target, 11);
    request.set(http::field::host, host_);
    request.set(name, value);
    if (verb == http::verb::post) request.set(http::field::content_type, "application/octet-stream");
    request.body() = std::move(body);
    request.prepare_payload();
    http::response<http::string_body> response;
    stream_.expires_after(kTimeout);
    Await([&](auto done) { http::async_write(stream_, request, [done](auto error, std::size_t) { done(error); }); });
    Await([&](auto done) {
      http::async_read(stream_, buffer_, response, [done](auto error, std::size_t) { done(error); });
    });
    return response;
  }

 private:
  // Timeouts hold for asynchronous operations only, so each is run to its end here.
  template <typename Begin>
  void Await(Begin begin) {
    beast::error_code result;
    begin([&result](beast::error_code error) { result = error; });
    io_.restart();
    io_.run();
    if (result) throw std::runtime_error(result.message());
  }

  const std::string host_;
  asio::io_context io_{1};
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
};

// One device at its update.
class Board {
 public:
  Board(const OtaOptions& options, Device* device) : options_(options), device_(*device) {}

  void TakeOffer(Client& client) {
    device_.next = Exchange(client, 0, json::object()).at("next").get<std::uint64_t>();
    const json answer = Tell(client, {{"unit_state", {{"commit", options_.have}}}});
    offered_ = answer.at("update").at("commit").get<std::string>();
    attempt_ = answer.at("update").at("attempt");
  }

  void Fetch(Client& client, Bytes* bytes) {
    std::vector<json> files;
    for (json from = 0; !from.is_null();) {
      const json page = json::parse(Update(client, bytes,
                                           {{"ask", "manifest"},
                                            {"commit", offered_},
                                            {"have", options_.have},
                                            {"from", from},
                                            {"max_answer_bytes", 4000}}));
      files.insert(files.end(), page.at("files").begin(), page.at("files").end());
      from = page.value("next", json());
    }
    for (const auto& file : files) {
      if (file.value("delete", false)) continue;
      const auto size = file.at("size").get<std::uint64_t>();
      std::string content;
      while (content.size() < size) {
        pieces_.push_back(
            {file.at("path"), content.size(), std::min<std::uint64_t>(options_.chunk, size - content.size())});
        content += Update(client, bytes,
                          {{"ask", "file"},
                           {"commit", offered_},
                           {"path", pieces_.back().path},
                           {"offset", content.size()},
                           {"length", pieces_.back().length}});
      }
      bytes->content += size;
      if (HexEncode(AsBytes(Sha256(AsBytes(content)))) != file.at("sha256")) throw std::runtime_error("a wrong hash");
    }
  }

  void Confirm(Client& client) {
    const json report = {{"commit", offered_}, {"attempt", attempt_}, {"done", 0}, {"total", 0}};
    for (const char* state : {"verifying", "restarting"}) {
      json told = report;
      told["state"] = state;
      Tell(client, {{"update", told}});
    }
    if (Tell(client, {{"unit_state", {{"commit", offered_}}}}).contains("update")) {
      throw std::runtime_error("a version is offered to the device that runs it");
    }
  }

  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  // The opened answer, with what busy asks for.
  std::string Ask(Client& client, const std::string& target, std::uint64_t sequence, const json& content, Kind kind,
                  std::uint64_t* answer_bytes = nullptr) {
    std::string sealed;
    envelope::SealRequest(device_.keys, device_.id, sequence, content.dump(), &sealed, kind);
    for (int tries = 0; tries < kMostTries; ++tries) {
      const auto answer = client.Ask(http::verb::post, target, "Authorization", "Bearer " + device_.token, sealed);
      envelope::Tag tag;
      std::copy(sealed.end() - envelope::kTagBytes, sealed.end(), tag.begin());
      const auto header = envelope::Peek(AsBytes(answer.body()));
      if (!header.ok()) throw std::runtime_error("HTTP " + std::to_string(answer.result_int()));
      const auto opened = envelope::OpenAnswer(device_.keys, tag, AsBytes(answer.body()), header->kind);
      if (!opened.ok()) throw std::runtime_error("an answer that does not verify");
      if (answer_bytes) *answer_bytes += answer.body().size();
      if (answer.result_int() == 200) return opened->plaintext;
      const json refused = json::parse(opened->plaintext);
      if (refused.value("error", "") != "busy") throw std::runtime_error(opened->plaintext);
      std::this_thread::sleep_for(std::chrono::milliseconds(refused.value("retry_after_ms", 100)));
    }
    throw std::runtime_error("the instance stays busy");
  }

  json Exchange(Client& client, std::uint64_t sequence, const json& content) {
    return json::parse(Ask(client, "/v1/exchange", sequence, content, Kind::kRequest));
  }
  json Tell(Client& client, const json& content) { return Exchange(client, device_.next++, content); }

  std::string Update(Client& client, Bytes* bytes, const json& question) {
    ++bytes->requests;
    return Ask(client, "/v1/update", 0, question, Kind::kUpdateRequest, &bytes->answers);
  }

  const OtaOptions& options_;
  Device& device_;
  std::string offered_;
  json attempt_;
  std::vector<Piece> pieces_;
};

// Calls `work` with every board that has not failed, spread over the connections; the seconds that it took.
template <typename Work>
double ForAll(const OtaOptions& options, std::uint16_t port, std::vector<Board>& boards, std::vector<char>* failed,
              OtaReport* report, Work work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < options.connections; ++i) {
    threads.emplace_back([&] {
      std::optional<Client> client;
      Bytes bytes;
      for (std::size_t at = next++; at < boards.size(); at = next++) {
        if ((*failed)[at]) continue;
        try {
          if (!client) client.emplace(options.host, port);
          work(boards[at], *client, &bytes);
        } catch (const std::exception& e) {
          client.reset();
          (*failed)[at] = 1;
          const std::scoped_lock lock(mutex);
          if (report->problem.empty()) report->problem = e.what();
        }
      }
      const std::scoped_lock lock(mutex);
      report->content_bytes += bytes.content;
      report->answer_bytes += bytes.answers;
      report->requests += bytes.requests;
    });
  }
  for (auto& thread : threads) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

OtaReport RunOta(const OtaOptions& options, std::vector<Device>& devices) {
  OtaReport report;
  std::vector<Board> boards;
  for (auto& device : devices) boards.emplace_back(options, &device);
  std::vector<char> failed(boards.size());
  report.offer_s = ForAll(options, options.port, boards, &failed, &report,
                          [](Board& board, Client& client, Bytes*) { board.TakeOffer(client); });
  report.fetch_s = ForAll(options, options.port, boards, &failed, &report,
                          [](Board& board, Client& client, Bytes* bytes) { board.Fetch(client, bytes); });
  report.confirm_s = ForAll(options, options.port, boards, &failed, &report,
                            [](Board& board, Client& client, Bytes*) { board.Confirm(client); });
  report.failed = static_cast<std::uint64_t>(std::count(failed.begin(), failed.end(), 1));
  report.updated = boards.size() - report.failed;
  if (options.plain_port == 0) return report;
  report.plain_s =
      ForAll(options, options.plain_port, boards, &failed, &report, [](Board& board, Client& client, Bytes*) {
        for (const auto& piece : board.pieces()) {
          const std::string range =
              "bytes=" + std::to_string(piece.offset) + "-" + std::to_string(piece.offset + piece.length - 1);
          const auto answer = client.Ask(http::verb::get, "/" + piece.path, "Range", range, "");
          if (answer.result_int() != 206 || answer.body().size() != piece.length) {
            throw std::runtime_error("the server of files sent no such piece of " + piece.path);
          }
        }
      });
  return report;
}

std::string OtaReport::ToJson() const {
  return json{
      {"updated", updated},           {"failed", failed},     {"problem", problem}, {"content_bytes", content_bytes},
      {"answer_bytes", answer_bytes}, {"requests", requests}, {"offer_s", offer_s}, {"fetch_s", fetch_s},
      {"confirm_s", confirm_s},       {"plain_s", plain_s}}
      .dump();
}

}  // namespace pepeunit::bench
