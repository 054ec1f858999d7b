#include <poll.h>

#include "event_response.h"
#include "stage.h"

using namespace pepeunit;
using namespace pepeunit::gateway;
using namespace std::chrono_literals;

namespace {

graph::v1::GraphChange Removed(const std::string& event, const std::string& node) {
  graph::v1::GraphChange change;
  change.set_event_id(event);
  change.mutable_node_removed()->set_id(node);
  return change;
}

// Somebody who reads a stream as it comes.
class Reader {
 public:
  explicit Reader(const Stage& stage, const std::string& headers = "", const std::string& query = "",
                  const std::string& verb = "GET")
      : fd_(stage.Connect()) {
    Send(verb + " /api/v1/graph/changes" + query + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n");
  }
  ~Reader() { Close(); }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void Send(const std::string& text) const {
    REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  // All that came, once `part` is in it.
  const std::string& Until(const std::string& part) {
    while (!Contains(text_, part)) {
      pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
      INFO("waiting for " << part << " in " << text_);
      REQUIRE(::poll(&waiting, 1, 20'000) == 1);
      char buffer[4096];
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      REQUIRE(got > 0);
      text_.append(buffer, static_cast<std::size_t>(got));
    }
    return text_;
  }

 private:
  int fd_;
  std::string text_;
};

bool Eventually(const std::function<bool()>& check) {
  for (int i = 0; i < 1000; ++i, std::this_thread::sleep_for(10ms)) {
    if (check()) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a message becomes an event of its case's name") {
  const auto event = EventOf(Removed("5-1", "n"));
  REQUIRE(event.ok());
  CHECK(*event == "event: node_removed\nid: 5-1\ndata: {\"event_id\":\"5-1\",\"node_removed\":{\"id\":\"n\"}}\n\n");
  graph::v1::GraphChange beat;
  beat.set_event_id("5-2");
  beat.mutable_heartbeat();
  CHECK(*EventOf(beat) == ": heartbeat\nid: 5-2\n\n");
  graph::v1::Unit unit;
  unit.set_name("two\nlines");
  const auto plain = EventOf(unit);
  CHECK(plain->starts_with("event: message\ndata: {"));
  CHECK(std::count(plain->begin(), plain->end(), '\n') == 3);  // a line break in a value stays inside its JSON
}

TEST_CASE("changes come as events, one by one, on a connection that lives on") {
  Stage s;
  Reader reader(s);
  const std::string head = reader.Until("event: ready");
  CHECK(StatusOf(head) == 200);
  CHECK(Contains(head, "Content-Type: text/event-stream\r\n"));
  CHECK(Contains(head, "Cache-Control: no-store\r\n"));
  CHECK(Contains(head, "X-Accel-Buffering: no\r\n"));
  CHECK(Contains(head, "id: 1-0\n"));
  CHECK(s.edge.in_flight == 0);
  CHECK(s.edge.streams == 1);
  s.feed.Nth(0)->Push(Removed("2-1", "first"));
  reader.Until("first");
  s.feed.Nth(0)->Push(Removed("2-2", "second"));
  CHECK(Contains(reader.Until("second"), "id: 2-2\n"));
  s.feed.Nth(0)->End(absl::OkStatus());
  CHECK_FALSE(Contains(reader.Until("\r\n0\r\n\r\n"), "event: error"));
  reader.Send("GET /api/v1/units/5 HTTP/1.1\r\nHost: x\r\n\r\n");
  reader.Until("\"id\":\"5\"");
  CHECK(s.edge.streams == 0);
}

TEST_CASE("a stream goes on from the last event, by header or query") {
  Stage s;
  Reader header(s, "Last-Event-ID: 7-3\r\n", "?last_event_id=6-0");
  header.Until("id: 7-3\n");
  Reader query(s, "", "?last_event_id=6-0");
  query.Until("id: 6-0\n");
  const auto wrong = s.Ask("GET /api/v1/graph/changes", "Last-Event-ID: wrong\r\n");
  CHECK(StatusOf(wrong) == 400);
  CHECK(JsonOf(wrong)["errors"][0]["field"] == "last_event_id");
}

TEST_CASE("an error after the first event is an event, and then the end") {
  Stage s;
  Reader reader(s);
  reader.Until("event: ready");
  s.feed.Nth(0)->End(Unauthenticated("This session has ended."));
  const std::string text = reader.Until("\r\n0\r\n\r\n");
  const auto at = text.find("event: error\ndata: ");
  REQUIRE(at != std::string::npos);
  const auto begin = at + std::string("event: error\ndata: ").size();
  const auto problem = nlohmann::json::parse(text.substr(begin, text.find('\n', begin) - begin));
  CHECK(problem["status"] == 401);
  CHECK(problem["detail"] == "This session has ended.");
  CHECK(problem["instance"] == "/api/v1/graph/changes");
}

TEST_CASE("streams have a bound of their own, and HEAD and other types take none") {
  Stage s({}, 100, {}, 1);
  Reader reader(s);
  reader.Until("event: ready");
  const auto full = s.Ask("GET /api/v1/graph/changes");
  CHECK(StatusOf(full) == 503);
  CHECK(Contains(full, "Retry-After: 5\r\n"));
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5")) == 200);
  CHECK(StatusOf(s.Ask("GET /api/v1/graph/changes", "Accept: application/json\r\n")) == 406);
  reader.Close();
  CHECK(Eventually([&] { return s.edge.streams == 0; }));
  const auto head = s.Ask("HEAD /api/v1/graph/changes", "Accept: text/event-stream\r\n");
  CHECK(StatusOf(head) == 200);
  CHECK(Contains(head, "Content-Type: text/event-stream\r\n"));
  CHECK(head.ends_with("\r\n\r\n"));
  CHECK(Eventually([&] { return s.edge.streams == 0 && s.feed.Nth(1)->over(); }));
}

TEST_CASE("a client that goes ends its call at once, though nothing is sent") {
  Stage s;
  Reader reader(s);
  reader.Until("event: ready");
  const auto outlet = s.feed.Nth(0);
  CHECK_FALSE(outlet->over());
  reader.Close();
  CHECK(Eventually([&] { return outlet->over(); }));
  CHECK(Eventually([&] { return s.edge.streams == 0; }));
}

TEST_CASE("a client that does not read slows the service, and what waits is bounded") {
  http::ServerOptions http;
  http.write_timeout = 500ms;
  Stage s({}, 100, {}, 100, http);
  Reader reader(s);
  reader.Until("event: ready");
  const auto outlet = s.feed.Nth(0);
  const auto large = Removed("2-1", std::string(1 << 20, 'x'));
  int pushed = 0;
  while (outlet->Push(large)) REQUIRE(++pushed < 1000);
  CHECK(Eventually([&] { return outlet->over(); }));  // without progress the connection is closed
  CHECK(Eventually([&] { return s.edge.streams == 0; }));
}

TEST_CASE("time limits of requests do not cut a stream that waits, silence of the service does") {
  http::ServerOptions http;
  http.write_timeout = 600ms;
  http.handler_timeout = 2'500ms;
  Stage s({}, 100, {}, 100, http);
  Reader reader(s);
  reader.Until("event: ready");
  std::this_thread::sleep_for(1'500ms);
  REQUIRE(s.feed.Nth(0)->Push(Removed("2-1", "late")));
  reader.Until("late");
  CHECK(Eventually([&] { return s.feed.Nth(0)->over(); }));
}

TEST_CASE("a gateway that stops ends its streams at once") {
  Stage s;
  Reader reader(s);
  reader.Until("event: ready");
  s.backends.EndStreams();
  reader.Until("event: error");
  reader.Until("\r\n0\r\n\r\n");
  CHECK(StatusOf(s.Ask("GET /api/v1/graph/changes")) == 503);
  CHECK(StatusOf(s.Ask("GET /api/v1/units/5")) == 200);
}
