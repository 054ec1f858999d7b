#include "pepeunit/unit_client/unit.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "pepeunit/base/bytes.h"
#include "pepeunit/envelope/envelope.h"
#include "unit_folder.h"

namespace pepeunit::unit_client {
namespace {

using nlohmann::json;

constexpr char kUnit[] = "0190163d-8694-739b-aea5-966c26f8ad91";
const std::string kKey(32, 'k');
const std::string kCommit(40, 'c');

enum class Fault { kNone, kNoConnection, kLoseRequest, kLoseAnswer, kChangeAnswer, kOldAnswer };

// An instance in memory. `faults` says what happens to the next requests, `answers` what they are answered with.
class FakeInstance final : public Transport {
 public:
  SocketAnswer Open(const std::string& url, const std::string& token) override {
    CHECK(url == "http://instance/base/v1/socket");
    CHECK(token == "a.b.c");
    ++opened_sockets;
    if (!socket) return {nullptr, "there is none"};
    return {std::move(socket), ""};
  }
  std::unique_ptr<Socket> socket;  // that is opened next
  int opened_sockets = 0;

  HttpAnswer Post(const std::string& url, const std::string& token, std::string_view body, std::size_t) override {
    CHECK(url == "http://instance/base/v1/exchange");
    CHECK(token == "a.b.c");
    bodies.emplace_back(body);
    const Fault fault = Next(&faults, Fault::kNone);
    HttpAnswer answer;
    answer.sent = fault != Fault::kNoConnection;
    answer.status = Next(&statuses, 200);
    if (fault == Fault::kNoConnection || fault == Fault::kLoseRequest) {
      answer.error = "the connection was lost";
      return answer;
    }
    if (answer.status == 401) {
      answer.body = "{\"title\":\"a problem\"}";
      answer.retry_after = std::chrono::seconds(7);
      return answer;
    }
    const auto opened = envelope::OpenRequest(keys, AsBytes(body));
    REQUIRE(opened.ok());
    const json content = answers.empty() ? Exchange(*opened) : Next(&answers, json());
    envelope::SealAnswer(keys, opened->header.unit, opened->header.sequence, opened->tag, content.dump(), &answer.body);
    if (fault == Fault::kChangeAnswer) answer.body[50] = static_cast<char>(answer.body[50] ^ 1);
    if (fault == Fault::kOldAnswer) answer.body = last;
    last = answer.body;
    if (fault != Fault::kLoseAnswer) return answer;
    answer.error = "the connection was lost";
    answer.body.clear();
    return answer;
  }

  json Exchange(const envelope::Opened& request) {
    json answer = {{"world_state", {{"unix_ms", 1'767'323'045'000}}}, {"input_variables", {{"target", 21}}}};
    if (!update.is_null()) answer["update"] = update;
    const auto sequence = request.header.sequence;
    if (sequence == 0) {
      ++hellos;
      answer["next"] = mark + 1;
      return answer;
    }
    if (sequence <= mark) {
      return {{"error", "sequence"}, {"next", mark + 1}, {"accepted", sequence == mark && request.tag == mark_tag}};
    }
    const json content = json::parse(request.plaintext);
    json errors = json::array();
    for (std::size_t i = 0; i < content["output_variables"].size(); ++i) {
      if (content["output_variables"][i]["values"].contains("bad")) {
        errors.push_back({{"field", "output_variables[" + std::to_string(i) + "].values.bad"}, {"detail", "is bad"}});
      }
    }
    if (content["unit_state"].contains("bad")) errors.push_back({{"field", "unit_state.bad"}, {"detail", "is bad"}});
    if (!errors.empty()) return {{"error", "invalid"}, {"errors", errors}};
    mark = sequence;
    mark_tag = request.tag;
    for (const auto& reading : content["output_variables"]) {
      stored.push_back(reading["values"]);
      ages.push_back(reading["age_ms"]);
    }
    state = content["unit_state"];
    if (content.contains("update")) reports.push_back(content["update"]);
    return answer;
  }

  template <typename T, typename Queue>
  static T Next(Queue* queue, T otherwise) {
    if (queue->empty()) return otherwise;
    T value = queue->front();
    queue->pop_front();
    return value;
  }

  const envelope::Keys keys = envelope::Keys::Derive(AsBytes(kKey));
  std::deque<Fault> faults;
  std::deque<int> statuses;
  std::deque<json> answers;
  std::vector<std::string> bodies;
  std::string last;
  std::uint64_t mark = 0;
  envelope::Tag mark_tag{};
  int hellos = 0;
  json update, state, stored = json::array(), reports = json::array();
  std::vector<std::int64_t> ages;
};

json Env() {
  return {{"PEPEUNIT_URL", "http://instance/base/"},
          {"PEPEUNIT_TOKEN", "a.b.c"},
          {"SYNC_ENCRYPT_KEY", Base64Encode(AsBytes(kKey))}};
}

json Schema() {
  return {{"input_variables", {{"target", {{"default", 20}}}, {"other", json::object()}}},
          {"output_variables", {"t", "bad"}},
          {"pepeunit", {{"unit", kUnit}, {"commit", kCommit}}}};
}

struct Tested : testing::UnitFolder {
  Tested() {
    Put("env.json", Env().dump());
    Put("schema.json", Schema().dump());
    options.folder = folder();
    options.now_ms = [this] { return now; };
    options.log = [this](std::string_view line) { said.emplace_back(line); };
  }
  Unit& Open() {
    auto opened = Unit::Open(options, &instance, nullptr);
    REQUIRE(opened.ok());
    unit = *std::move(opened);
    return *unit;
  }

  std::int64_t now = 1'000'000;
  std::vector<std::string> said;
  UnitOptions options;
  FakeInstance instance;
  std::unique_ptr<Unit> unit;
};

TEST_CASE("a unit says hello, tells its commit and readings, and takes time and inputs", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  CHECK(unit.inputs().at("target") == 20);
  CHECK(unit.inputs().at("other") == nullptr);
  unit.Report({{"t", 1.5}});
  one.now += 250;
  REQUIRE(unit.Exchange());
  CHECK(one.instance.hellos == 1);
  CHECK(one.instance.stored == json::parse(R"([{"t":1.5}])"));
  CHECK(one.instance.ages == std::vector<std::int64_t>{250});
  CHECK(one.instance.state == json{{"commit", kCommit}});
  CHECK(unit.inputs().at("target") == 21);
  one.now += 1000;
  CHECK(unit.utc_ms() == 1'767'323'046'000);
  CHECK(unit.waiting() == 0);
  REQUIRE(unit.Exchange());  // without news: a hello
  CHECK(one.instance.hellos == 2);
  CHECK(one.instance.mark == 1);
}

TEST_CASE("a request that may have arrived is sent again byte for byte, and stored once", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  REQUIRE(unit.Exchange());
  const Fault fault = GENERATE(Fault::kLoseRequest, Fault::kLoseAnswer, Fault::kChangeAnswer, Fault::kOldAnswer);
  one.instance.faults = {fault};
  unit.Report({{"t", 1}});
  CHECK(!unit.Exchange());
  CHECK(unit.wait_ms() >= 500);
  CHECK(unit.wait_ms() <= 1000);
  unit.Report({{"t", 2}});
  one.now += unit.wait_ms();
  REQUIRE(unit.Exchange());
  const auto& bodies = one.instance.bodies;
  REQUIRE(bodies.size() >= 4);
  CHECK(bodies[2] == bodies[3]);
  while (unit.waiting() > 0) REQUIRE(unit.Exchange());
  CHECK(one.instance.stored == json::parse(R"([{"t":1},{"t":2}])"));
}

TEST_CASE("a request of which nothing left is sealed anew, with true ages", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  REQUIRE(unit.Exchange());
  one.instance.faults = {Fault::kNoConnection};
  unit.Report({{"t", 1}});
  CHECK(!unit.Exchange());
  one.now += 5000;
  REQUIRE(unit.Exchange());
  CHECK(one.instance.ages == std::vector<std::int64_t>{5000});
}

TEST_CASE("a sequence that was used: sealed again under the next", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  REQUIRE(unit.Exchange());
  one.instance.mark = 41;  // somebody restored the instance, or runs the unit twice
  unit.Report({{"t", 1}});
  REQUIRE(unit.Exchange());
  CHECK(one.instance.mark == 42);
  CHECK(one.instance.stored.size() == 1);
}

TEST_CASE("what the instance refuses is taken out, and the rest goes on", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  unit.State("bad", 1);
  unit.State("good", 2);
  unit.Report({{"t", 1}});
  unit.Report({{"t", 2}, {"bad", 2}});
  unit.Report({{"bad", 3}});
  REQUIRE(unit.Exchange());
  CHECK(one.instance.stored == json::parse(R"([{"t":1},{"t":2}])"));
  CHECK(one.instance.state == json{{"commit", kCommit}, {"good", 2}});
  CHECK(unit.dropped() == 2);
  unit.State("bad", 5);  // not again
  CHECK(unit.waiting() == 0);
  CHECK(unit.idle());
}

TEST_CASE("a refusal that names nothing drops the request, so that nothing is held up", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  REQUIRE(unit.Exchange());
  const json errors = GENERATE(json::array(), json::parse(R"([{"field":"output_variables[9].values.t"}])"),
                               json::parse(R"([{"field":"body"}])"), json::parse(R"([7,{}])"));
  one.instance.answers = {json{{"error", "invalid"}, {"detail", "no"}, {"errors", errors}}};
  unit.Report({{"t", 1}});
  REQUIRE(unit.Exchange());
  CHECK(one.instance.stored.empty());
  CHECK(unit.dropped() == 1);
  unit.Report({{"t", 2}});
  REQUIRE(unit.Exchange());
  CHECK(one.instance.stored.size() == 1);
}

TEST_CASE("busy and 401 wait as long as they say, and drop nothing", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  REQUIRE(unit.Exchange());
  unit.Report({{"t", 1}});
  one.instance.answers = {json{{"error", "busy"}, {"retry_after_ms", 30000}}};
  CHECK(!unit.Exchange());
  CHECK(unit.wait_ms() >= 30000);
  CHECK(unit.wait_ms() <= 45000);
  one.instance.statuses = {401};
  CHECK(!unit.Exchange());
  CHECK(unit.wait_ms() >= 60000);
  CHECK(one.said.back() == "refused: HTTP 401 (is env.json up to date?)");
  REQUIRE(unit.Exchange());
  CHECK(one.instance.stored.size() == 1);
  CHECK(one.instance.bodies[2] == one.instance.bodies[4]);
}

TEST_CASE("a full queue loses its oldest; a batch is bounded", "[U1]") {
  Tested one;
  one.options.max_queue = 100;
  Unit& unit = one.Open();
  for (int i = 0; i < 150; ++i) unit.Report({{"t", i}});
  CHECK(unit.waiting() == 100);
  CHECK(unit.dropped() == 50);
  while (unit.waiting() > 0) REQUIRE(unit.Exchange());
  CHECK(one.instance.stored.size() == 100);
  CHECK(one.instance.stored[0]["t"] == 50);
  for (const auto& body : one.instance.bodies) CHECK(body.size() <= 4096);
}

TEST_CASE("what cannot be sent is dropped with a message", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  const auto [values, message] = GENERATE(table<json, std::string>(
      {{json{{"no", 1}}, "dropped: no is not an output variable of schema.json"},
       {json{{"t", NAN}}, "dropped: t is not a finite number"},
       {json{{"t", {1, {INFINITY}}}}, "dropped: t is not a finite number"},
       {json(7), "dropped: a reading has to be an object of values by name"},
       {json{{"t", std::string(5000, 'x')}}, "dropped: a reading of 5008 bytes is too large"}}));
  unit.Report(values);
  CHECK(unit.waiting() == 0);
  CHECK(unit.dropped() == 1);
  CHECK(one.said == std::vector<std::string>{message});
}

TEST_CASE("answers that are not what they should be do no harm", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  one.instance.answers = {json("text"),
                          json::array(),
                          json{{"next", -1}},
                          json{{"next", "x"}},
                          json{{"next", 1}, {"input_variables", 7}, {"world_state", 7}, {"update", 7}},
                          json{{"next", 1}, {"input_variables", json::object()}, {"update", {{"commit", 7}}}}};
  for (int i = 0; i < 10; ++i) {
    unit.Exchange();
    one.now += unit.wait_ms();
  }
  CHECK(!unit.offer());
  unit.Report({{"t", 1}});
  REQUIRE(unit.Exchange());
  CHECK(one.instance.stored.size() == 1);
}

TEST_CASE("without a guard an offer is refused, and said so once", "[U10]") {
  Tested one;
  Unit& unit = one.Open();
  one.instance.update = {{"commit", std::string(40, 'd')}, {"attempt", 1}};
  for (int i = 0; i < 20; ++i) one.now += unit.Work();
  REQUIRE(one.instance.reports.size() == 1);
  CHECK(one.instance.reports[0]["state"] == "failed");
  CHECK(one.instance.reports[0]["reason"] == "the program is not run under a guard");
  one.instance.update = nullptr;  // withdrawn
  for (int i = 0; i < 20; ++i) one.now += unit.Work();
  CHECK(one.instance.reports.size() == 1);
}

TEST_CASE("Work gathers readings, and asks for inputs now and then", "[U1]") {
  Tested one;
  Unit& unit = one.Open();
  CHECK(unit.Work() == 10000);
  const std::size_t before = one.instance.bodies.size();
  unit.Report({{"t", 1}});
  CHECK(unit.Work() == 1000);
  unit.Report({{"t", 2}});
  one.now += 1000;
  CHECK(unit.Work() == 10000);
  CHECK(one.instance.bodies.size() == before + 1);
  CHECK(one.instance.stored.size() == 2);
  one.now += 10000;
  unit.Work();
  CHECK(one.instance.bodies.size() == before + 2);
}

TEST_CASE("files that are wrong are named", "[U1]") {
  Tested one;
  json env = Env(), schema = Schema();
  std::string expected;
  SECTION("no url") {
    env.erase("PEPEUNIT_URL");
    expected = "PEPEUNIT_URL in env.json has to begin with http:// or https://";
  }
  SECTION("another scheme") {
    env["PEPEUNIT_URL"] = "file:///etc";
    expected = "PEPEUNIT_URL in env.json has to begin with http:// or https://";
  }
  SECTION("no token") {
    env["PEPEUNIT_TOKEN"] = 7;
    expected = "PEPEUNIT_TOKEN in env.json is missing";
  }
  SECTION("a token that would be another header") {
    env["PEPEUNIT_TOKEN"] = "a\r\nX: y";
    expected = "PEPEUNIT_TOKEN in env.json has a line break in it";
  }
  SECTION("a short key") {
    env["SYNC_ENCRYPT_KEY"] = "AAAA";
    expected = "SYNC_ENCRYPT_KEY in env.json is not 32 bytes in base64";
  }
  SECTION("whose unit") {
    schema.erase("pepeunit");
    expected = "schema.json does not say which unit this is: take it from the zip of the unit";
  }
  SECTION("variables") {
    schema["output_variables"] = {1};
    expected = "output_variables in schema.json is no list of names and no object";
  }
  one.Put("env.json", env.dump());
  one.Put("schema.json", schema.dump());
  const auto opened = Unit::Open(one.options, &one.instance, nullptr);
  REQUIRE(!opened.ok());
  CHECK(opened.status().message() == expected);
}

}  // namespace
}  // namespace pepeunit::unit_client
