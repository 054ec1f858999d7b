#include "web.h"

#include <curl/curl.h>

#include <memory>
#include <mutex>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::graph_registry {
namespace {

constexpr std::size_t kMostBytes = 1u << 20;
constexpr long kConnectMs = 5'000, kTotalMs = 10'000;

std::size_t Append(char* data, std::size_t, std::size_t size, void* out) {
  auto& body = *static_cast<std::string*>(out);
  if (body.size() + size > kMostBytes) return 0;  // ends the transfer
  body.append(data, size);
  return size;
}

}  // namespace

CurlWeb::CurlWeb() {
  static std::once_flag once;
  std::call_once(once, [] { ::curl_global_init(CURL_GLOBAL_DEFAULT); });
}

absl::StatusOr<WebAnswer> CurlWeb::Fetch(const WebRequest& request) {
  const std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> curl(::curl_easy_init(), &::curl_easy_cleanup);
  if (!curl) return Unavailable("There is no memory for a request.");
  const std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> headers(
      ::curl_slist_append(nullptr, "Accept: application/json"), &::curl_slist_free_all);
  WebAnswer answer;
  CURL* c = curl.get();
  ::curl_easy_setopt(c, CURLOPT_URL, request.url.c_str());
  ::curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http");
  ::curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
  ::curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
  ::curl_easy_setopt(c, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  ::curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  ::curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, kTotalMs);
  ::curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(c, CURLOPT_USERAGENT, "pepeunit");
  ::curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
  ::curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &Append);
  ::curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer.body);
  if (!request.form.empty()) {
    ::curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.form.size()));
    ::curl_easy_setopt(c, CURLOPT_POSTFIELDS, request.form.c_str());
  }
  if (!request.user.empty()) {
    ::curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    ::curl_easy_setopt(c, CURLOPT_USERNAME, request.user.c_str());
    ::curl_easy_setopt(c, CURLOPT_PASSWORD, request.secret.c_str());
  }
  if (const CURLcode code = ::curl_easy_perform(c); code != CURLE_OK) {
    log::Warning("a program on the web does not answer", {{"url", request.url}, {"cause", ::curl_easy_strerror(code)}});
    return Unavailable("It does not answer.");
  }
  long status = 0;
  ::curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  return answer;
}

bool IsSafeUrl(const std::string& url) {
  constexpr std::string_view kSecure = "https://", kPlain = "http://";
  const bool secure = url.starts_with(kSecure);
  if (!secure && !url.starts_with(kPlain)) return false;
  for (const char c : url) {
    if (c <= 32 || c >= 127 || c == '\\' || c == '#') return false;
  }
  const std::string rest = url.substr(secure ? kSecure.size() : kPlain.size());
  const std::string authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.empty() || authority.find('@') != std::string::npos) return false;
  if (secure) return true;
  for (const std::string host : {"127.0.0.1", "[::1]", "localhost"}) {
    if (authority == host || authority.starts_with(host + ':')) return true;
  }
  return false;
}

std::string PercentEncode(const std::string& text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace pepeunit::graph_registry
