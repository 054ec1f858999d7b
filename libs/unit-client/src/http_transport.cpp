#include <curl/curl.h>

#include "absl/strings/str_cat.h"
#include "pepeunit/unit_client/transport.h"
#include "web_socket.h"

namespace pepeunit::unit_client {
namespace {

class HttpTransport final : public Transport {
 public:
  explicit HttpTransport(std::chrono::milliseconds timeout) : timeout_(timeout), curl_(curl_easy_init()) {
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_FOLLOWLOCATION, 0L);
    Set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
    Set(CURLOPT_ERRORBUFFER, error_);
    Set(CURLOPT_WRITEDATA, this);
    Set(
        CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t size, std::size_t count, void* self) {
          return static_cast<HttpTransport*>(self)->Take({data, size * count});
        });
  }
  ~HttpTransport() override {
    curl_slist_free_all(headers_);
    curl_easy_cleanup(curl_);
  }
  HttpTransport(const HttpTransport&) = delete;
  HttpTransport& operator=(const HttpTransport&) = delete;

  HttpAnswer Post(const std::string& url, const std::string& token, std::string_view body, std::size_t most) override {
    answer_ = {};
    most_ = most;
    error_[0] = 0;
    if (!curl_) {
      answer_.error = "libcurl cannot be started";
      return std::move(answer_);
    }
    curl_slist_free_all(headers_);
    headers_ = curl_slist_append(nullptr, "Content-Type: application/octet-stream");
    headers_ = curl_slist_append(headers_, "Expect:");
    headers_ = curl_slist_append(headers_, absl::StrCat("Authorization: Bearer ", token).c_str());
    Set(CURLOPT_URL, url.c_str());
    Set(CURLOPT_HTTPHEADER, headers_);
    Set(CURLOPT_POSTFIELDS, body.data());
    Set(CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    const CURLcode code = curl_easy_perform(curl_);
    answer_.sent = code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST &&
                   code != CURLE_COULDNT_RESOLVE_PROXY && code != CURLE_URL_MALFORMAT &&
                   code != CURLE_UNSUPPORTED_PROTOCOL;
    if (code != CURLE_OK) answer_.error = error_[0] ? error_ : curl_easy_strerror(code);
    long status = 0;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl_, CURLINFO_RETRY_AFTER, &retry_after);
    answer_.status = static_cast<int>(status);
    answer_.retry_after = std::chrono::seconds(retry_after);
    return std::move(answer_);
  }

  SocketAnswer Open(const std::string& url, const std::string& token) override {
    return OpenWebSocket(url, token, timeout_);
  }

 private:
  template <typename T>
  void Set(CURLoption option, T value) {
    if (curl_) curl_easy_setopt(curl_, option, value);
  }

  std::size_t Take(std::string_view piece) {
    if (answer_.body.size() + piece.size() > most_) return 0;  // libcurl ends with an error
    answer_.body.append(piece);
    return piece.size();
  }

  const std::chrono::milliseconds timeout_;
  CURL* const curl_;
  curl_slist* headers_ = nullptr;
  char error_[CURL_ERROR_SIZE] = {};
  std::size_t most_ = 0;
  HttpAnswer answer_;
};

}  // namespace

std::unique_ptr<Transport> MakeHttpTransport(std::chrono::milliseconds timeout) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);  // not thread-safe by itself
  (void)started;
  return std::make_unique<HttpTransport>(timeout);
}

}  // namespace pepeunit::unit_client
