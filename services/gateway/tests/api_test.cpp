#include "stage.h"

using namespace pepeunit;
using namespace pepeunit::gateway;
using namespace std::chrono_literals;

TEST_CASE("a request becomes a call and its answer JSON") {
  Stage s;
  const auto created = s.Ask("POST /api/v1/units", kJson, R"({"name": "lamp"})");
  CHECK(StatusOf(created) == 201);
  CHECK(Contains(created, "Location: /api/v1/units/77\r\n"));
  CHECK(Contains(created, "ETag: \"v1\"\r\n"));
  CHECK(Contains(created, "X-Content-Type-Options: nosniff\r\n"));
  CHECK(JsonOf(created)["name"] == "lamp");
  CHECK(JsonOf(created)["level"] == "ACCESS_LEVEL_UNSPECIFIED");
  CHECK(s.units.last().kind == rpc::Caller::Kind::kAnonymous);
  CHECK(s.units.last().client_address == "127.0.0.1");

  CHECK(StatusOf(s.Ask("GET /api/v1/units/5")) == 200);
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5", "If-None-Match: \"v1\"\r\n")) == 304);
  const auto head = s.Ask("HEAD /api/v1/units/5");
  CHECK(StatusOf(head) == 200);
  CHECK(head.ends_with("\r\n\r\n"));
}

TEST_CASE("errors of services become problems") {
  Stage s;
  const auto none = s.Ask("GET /api/v1/units/none");
  CHECK(StatusOf(none) == 404);
  CHECK(JsonOf(none)["reason"] == "NOT_FOUND");
  CHECK(JsonOf(none)["instance"] == "/api/v1/units/none");
  const auto ours = s.Ask("GET /api/v1/units/ours");
  CHECK(StatusOf(ours) == 500);
  CHECK_FALSE(Contains(ours, "secret"));
  const auto changed = s.Ask("DELETE /api/v1/units/5", "If-Match: \"v0\"\r\n");
  CHECK(StatusOf(changed) == 412);
  CHECK(JsonOf(changed)["errors"][0]["field"] == "etag");
  CHECK(s.units.last().if_match == "v0");
  // One that it would not look at is not passed over.
  const auto ignored = s.Ask("POST /api/v1/units", std::string(kJson) + "If-Match: \"v0\"\r\n", "{}");
  CHECK(StatusOf(ignored) == 400);
  CHECK(JsonOf(ignored)["errors"][0]["field"] == "If-Match");
  // No service stands behind this part.
  CHECK(StatusOf(s.Ask("GET /api/v1/variables/5/value")) == 500);
}

TEST_CASE("what HTTP itself refuses") {
  Stage s;
  CHECK(StatusOf(s.Ask("GET /api/v1/nothing")) == 404);
  const auto wrong = s.Ask("PUT /api/v1/units/5");
  CHECK(StatusOf(wrong) == 405);
  CHECK(Contains(wrong, "Allow: DELETE, GET, HEAD, PATCH, OPTIONS\r\n"));
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5", "Accept: text/html\r\n")) == 406);
  CHECK(StatusOf(s.Ask("POST /api/v1/units", "Content-Type: text/plain\r\n", "{}")) == 415);
  CHECK(StatusOf(s.Ask("POST /api/v1/units", kJson, "{")) == 400);
  CHECK(StatusOf(s.Ask("POST /api/v1/units", kJson, std::string((1 << 20) + 1, ' '))) == 413);
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5", "If-Match: 7\r\n")) == 400);
  const auto unsigned_in = s.Ask("GET /api/v1/units/5", "Authorization: Bearer nonsense\r\n");
  CHECK(StatusOf(unsigned_in) == 401);
  CHECK(Contains(unsigned_in, "WWW-Authenticate: Bearer"));
  CHECK(StatusOf(s.Ask("OPTIONS /api/v1/units")) == 204);
  CHECK(StatusOf(s.Ask("POST /api/docs")) == 405);
}

TEST_CASE("a slow service is given up, and too many requests are refused") {
  Stage slow(ApiOptions{.call_timeout = 50ms});
  CHECK(StatusOf(slow.Ask("GET /api/v1/units/slow")) == 503);
  Stage full({}, 0);
  const auto busy = full.Ask("GET /api/v1/units/5");
  CHECK(StatusOf(busy) == 503);
  CHECK(Contains(busy, "Retry-After: 1\r\n"));
}

TEST_CASE("a file is streamed", "[U6]") {
  Stage s;
  const auto whole = s.Ask("GET /api/v1/units/5/archive");
  CHECK(StatusOf(whole) == 200);
  CHECK(Contains(whole, "Content-Type: application/zip\r\n"));
  CHECK(Contains(whole, "Content-Disposition: attachment; filename=\"a_b.zip\""));
  CHECK(whole.size() > 40 * 60'000);
  CHECK(whole.ends_with("\r\n0\r\n\r\n"));
  CHECK(StatusOf(s.Ask("GET /api/v1/units/none/archive")) == 404);
  CHECK(StatusOf(s.Ask("HEAD /api/v1/units/5/archive")) == 200);
  const auto broken = s.Ask("GET /api/v1/units/breaks/archive");
  CHECK(StatusOf(broken) == 200);
  CHECK_FALSE(broken.ends_with("\r\n0\r\n\r\n"));
}

TEST_CASE("a file that the caller has is not sent again, and of others a part if he asks for it", "[U6]") {
  Stage s;
  const std::string get = "GET /api/v1/units/parts/archive";
  const auto whole = s.Ask(get);
  CHECK(StatusOf(whole) == 200);
  CHECK(Contains(whole, "ETag: \"v1\"\r\n"));
  CHECK(Contains(whole, "Accept-Ranges: bytes\r\n"));
  CHECK(Contains(whole, "Cache-Control: private, no-cache\r\n"));
  CHECK(StatusOf(s.Ask(get, "If-None-Match: \"v1\"\r\n")) == 304);
  CHECK(StatusOf(s.Ask(get, "If-None-Match: \"v0\"\r\n")) == 200);
  const auto part = [&](const std::string& headers) { return s.Ask(get, headers); };
  const auto middle = part("Range: bytes=2-4\r\n");
  CHECK(StatusOf(middle) == 206);
  CHECK(Contains(middle, "Content-Range: bytes 2-4/10\r\n"));
  CHECK(Contains(middle, "\r\n234\r\n"));
  CHECK(Contains(part("Range: bytes=7-\r\n"), "Content-Range: bytes 7-9/10\r\n"));
  CHECK(Contains(part("Range: bytes=-4\r\n"), "Content-Range: bytes 6-9/10\r\n"));
  CHECK(Contains(part("Range: bytes=2-400\r\n"), "Content-Range: bytes 2-9/10\r\n"));
  const auto beyond = part("Range: bytes=10-\r\n");
  CHECK(StatusOf(beyond) == 416);
  CHECK(Contains(beyond, "Content-Range: bytes */10\r\n"));
  CHECK(StatusOf(part("Range: bytes=2-4\r\nIf-Range: \"v1\"\r\n")) == 206);
  CHECK(StatusOf(part("Range: bytes=2-4\r\nIf-Range: \"v0\"\r\n")) == 200);
  CHECK(StatusOf(part("Range: bytes=2-4\r\nIf-Range: Sat, 29 Oct 1994 19:43:31 GMT\r\n")) == 200);
  CHECK(StatusOf(part("Range: bytes=2-4,6-7\r\n")) == 200);
  CHECK(StatusOf(s.Ask("GET /api/v1/units/parts/archive?range.first=2")) == 400);
}

TEST_CASE("a download ends when the client goes", "[U6]") {
  Stage s;
  const int fd = s.Connect();
  const std::string text = "GET /api/v1/units/5/archive HTTP/1.1\r\nHost: x\r\n\r\n";
  REQUIRE(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0);
  char first;
  REQUIRE(::recv(fd, &first, 1, 0) == 1);
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
  for (int i = 0; i < 250 && s.edge.in_flight != 0; ++i) std::this_thread::sleep_for(20ms);
  CHECK(s.edge.in_flight == 0);
}

TEST_CASE("a gateway that stops makes no new calls") {
  Stage s;
  s.backends.Drain(std::chrono::system_clock::now());
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5")) == 503);
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5/archive")) == 503);
}

TEST_CASE("other origins are admitted only when named") {
  Stage closed;
  CHECK_FALSE(Contains(closed.Ask("GET /api/v1/units/5", "Origin: https://a.example\r\n"), "Access-Control"));
  Stage open({}, 100, {"https://a.example"});
  CHECK(Contains(open.Ask("GET /api/v1/units/5", "Origin: https://a.example\r\n"),
                 "Access-Control-Allow-Origin: https://a.example\r\n"));
  CHECK_FALSE(
      Contains(open.Ask("GET /api/v1/units/5", "Origin: https://b.example\r\n"), "Access-Control-Allow-Origin"));
  CHECK(Contains(open.Ask("OPTIONS /api/v1/units/5", "Origin: https://a.example\r\n"),
                 "Access-Control-Allow-Methods: DELETE, GET"));
}

TEST_CASE("the client's address is a proxy's word only when it is trusted") {
  const std::string forged = "X-Forwarded-For: 1.2.3.4, 9.8.7.6\r\n";
  Stage direct;
  direct.Ask("GET /api/v1/units/5", forged);
  CHECK(direct.units.last().client_address == "127.0.0.1");
  Stage behind(ApiOptions{.trusted_proxy = true});
  behind.Ask("GET /api/v1/units/5", forged);
  CHECK(behind.units.last().client_address == "9.8.7.6");
  behind.Ask("GET /api/v1/units/5", forged + "X-Forwarded-For: 5.5.5.5\r\n");
  CHECK(behind.units.last().client_address == "5.5.5.5");
  behind.Ask("GET /api/v1/units/5", "X-Forwarded-For: nonsense\r\n");
  CHECK(behind.units.last().client_address == "127.0.0.1");
}
