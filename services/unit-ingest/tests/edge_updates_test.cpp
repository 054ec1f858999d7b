#include "edge_fixture.h"

using namespace pepeunit;
using namespace pepeunit::unit_ingest;
using nlohmann::json;

namespace {

const std::string kRuns(40, 'b'), kTarget(40, 'a');

// A question about an update, and its answer.
struct Asked {
  int status = 0;
  json content;       // unless these are bytes of a file
  std::string bytes;  // of a file
  bool sealed = false;
};

Asked AskUpdate(Fixture& f, const std::string& plain, std::uint64_t sequence = 0,
                envelope::Kind kind = envelope::Kind::kUpdateRequest) {
  std::string body;
  envelope::SealRequest(f.source.profile->keys, f.source.profile->unit, sequence, plain, &body, kind);
  auto http = std::make_shared<FakeHttp>("good", body);
  http->path_ = "/v1/update";
  f.edge->Handle(http);
  const http::Response response = http->Wait();
  f.Settle();
  Asked asked{response.status, {}, "", response.content_type == "application/octet-stream"};
  if (!asked.sealed) {
    asked.content = json::parse(response.body);
    return asked;
  }
  envelope::Tag tag;
  std::copy(body.end() - envelope::kTagBytes, body.end(), tag.begin());
  const auto header = envelope::Peek(AsBytes(response.body));
  REQUIRE(header.ok());
  const auto opened = envelope::OpenAnswer(f.source.profile->keys, tag, AsBytes(response.body), header->kind);
  REQUIRE(opened.ok());
  if (header->kind == envelope::Kind::kFileBytes) {
    asked.bytes = opened->plaintext;
  } else {
    CHECK(header->kind == envelope::Kind::kUpdateAnswer);
    asked.content = json::parse(opened->plaintext);
  }
  return asked;
}

Asked AskFile(Fixture& f, const std::string& path, std::int64_t offset, std::int64_t length) {
  return AskUpdate(
      f, json{{"ask", "file"}, {"commit", kTarget}, {"path", path}, {"offset", offset}, {"length", length}}.dump());
}

}  // namespace

TEST_CASE("a device that runs another version is offered the one to run, until an attempt is pointless", "[U10]") {
  Fixture f;
  const json offer = {{"commit", kTarget}, {"attempt", 1}};
  CHECK_FALSE(f.Send(1, "{}").content.contains("update"));  // nobody knows what it runs
  CHECK(f.Send(2, R"({"unit_state":{"commit":")" + kRuns + "\"}}").content["update"] == offer);
  CHECK(f.Send(3, "{}").content["update"] == offer);  // it said so last time
  f.source.profile = std::make_shared<Profile>(*f.source.profile);
  f.source.profile->update_attempt = 0;
  f.edge->UnitChanged(f.source.profile->unit);
  CHECK_FALSE(f.Send(4, "{}").content.contains("update"));
  f.source.profile->update_attempt = 2;
  f.edge->UnitChanged(f.source.profile->unit);
  CHECK(f.Send(5, "{}").content["update"]["attempt"] == 2);
  CHECK_FALSE(f.Send(6, R"({"unit_state":{"commit":")" + kTarget + "\"}}").content.contains("update"));
}

TEST_CASE("the other services are told of a version that is news, before the report counts", "[U10][U13]") {
  Fixture f;
  const std::string runs = R"({"unit_state":{"commit":")" + kRuns + "\"}}";
  const auto told = [&](const char* state, int done, int attempt = 1) {
    return json{{"update", {{"commit", kTarget}, {"attempt", attempt}, {"state", state}, {"done", done}, {"total", 9}}}}
        .dump();
  };
  f.sink.events_away = true;
  CHECK(f.Send(1, runs).status == 503);
  CHECK(f.sink.published.empty());
  f.sink.events_away = false;
  CHECK(f.Send(1, runs).status == 200);
  CHECK(f.Send(2, runs).status == 200);  // no news
  REQUIRE(f.sink.told.size() == 1);
  CHECK(f.sink.told[0].commit() == kRuns);
  CHECK(f.sink.told[0].sequence() == 1);
  CHECK(f.sink.told[0].unit_id() == f.source.profile->unit.ToString());
  CHECK_FALSE(f.sink.told[0].has_update());

  CHECK(f.Send(3, told("downloading", 0)).status == 200);
  CHECK(f.Send(4, told("downloading", 5)).status == 200);  // so soon after the last, that is kept to itself
  CHECK(f.Send(5, told("restarting", 9)).status == 200);
  CHECK(f.Send(6, told("rolled_back", 9)).status == 200);
  CHECK(f.Send(7, told("downloading", 0, 2)).status == 200);
  REQUIRE(f.sink.told.size() == 5);
  CHECK(f.sink.told[1].update().state() == bus::v1::DEVICE_UPDATE_STATE_DOWNLOADING);
  CHECK(f.sink.told[2].update().done_bytes() == 9);
  CHECK(f.sink.told[3].update().state() == bus::v1::DEVICE_UPDATE_STATE_ROLLED_BACK);
  CHECK(f.sink.told[4].update().attempt() == 2);
  CHECK(f.sink.published.size() == 7);
}

TEST_CASE("what a device says of its update is checked, and uses up no sequence", "[U13]") {
  Fixture f;
  const json good = {{"commit", kTarget}, {"attempt", 1}, {"state", "failed"}, {"reason", "no room"}};
  const auto [field, change] = GENERATE(table<std::string, json>({
      {"update.commit", {{"commit", "abc"}}},
      {"update.commit", {{"commit", 7}}},
      {"update.attempt", {{"attempt", -1}}},
      {"update.attempt", {{"attempt", "1"}}},
      {"update.state", {{"state", "happy"}}},
      {"update.done", {{"done", 1.5}}},
      {"update.total", {{"total", 1LL << 53}}},
      {"update.reason", {{"reason", std::string(513, 'x')}}},
  }));
  json update = good;
  update.update(change);
  const Answer answer = f.Send(1, json{{"update", update}}.dump());
  CHECK(answer.status == 422);
  CHECK(answer.content["errors"][0]["field"] == field);
  CHECK(f.Send(1, R"({"update":[]})").content["errors"][0]["field"] == "update");
  CHECK(f.sink.told.empty());
  CHECK(f.Send(1, json{{"update", good}}.dump()).status == 200);
  CHECK(f.sink.told[0].update().reason() == "no room");
}

TEST_CASE("the manifest comes in pages that the device can hold", "[U13]") {
  Fixture f;
  const json ask = {{"ask", "manifest"}, {"commit", kTarget}, {"have", kRuns}};
  Asked asked = AskUpdate(f, ask.dump());
  CHECK(asked.status == 200);
  CHECK(f.firmware.last_have == kRuns);
  CHECK(asked.content["count"] == 3);
  CHECK(asked.content["bytes"] == 123);
  CHECK(asked.content["files"][0] == json{{"path", "dir/\"file\" 0"}, {"size", 0}, {"sha256", [] {
                                                                                      std::string hex;
                                                                                      for (int i = 0; i < 32; ++i)
                                                                                        hex += "ab";
                                                                                      return hex;
                                                                                    }()}});
  CHECK(asked.content["files"][1] == json{{"path", "dir/\"file\" 1"}, {"delete", true}});
  CHECK(asked.content["files"][2]["executable"] == true);
  CHECK_FALSE(asked.content.contains("next"));

  f.firmware.entries = 40;
  std::size_t seen = 0;
  for (json page = {{"next", 0}}; page.contains("next");) {
    json next = ask;
    next.update({{"from", page["next"]}, {"max_answer_bytes", 512}});
    asked = AskUpdate(f, next.dump());
    REQUIRE(asked.status == 200);
    CHECK(asked.content.dump().size() <= 512);
    CHECK(asked.content["from"] == seen);
    seen += asked.content["files"].size();
    page = asked.content;
  }
  CHECK(seen == 40);
  CHECK(f.sink.published.empty());
}

TEST_CASE("pieces of files come as they are asked for, and the common ones are fetched once", "[U13]") {
  Fixture f;
  for (int i = 0; i < 200'000; ++i) f.firmware.content += static_cast<char>(i * 31 >> 3);
  const auto& content = f.firmware.content;
  const auto [offset, length] = GENERATE(table<std::int64_t, std::int64_t>({{0, 1},
                                                                            {0, 65'536},
                                                                            {65'535, 2},
                                                                            {65'536, 65'536},
                                                                            {100, 65'536},
                                                                            {131'071, 1024},
                                                                            {199'999, 1024},
                                                                            {200'000, 5},
                                                                            {300'000, 5}}));
  const auto want = offset >= 200'000
                        ? std::string()
                        : content.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
  for (const char* path : {"a.py", "schema.json", "a.py"}) {
    const Asked asked = AskFile(f, path, offset, length);
    CHECK(asked.status == 200);
    CHECK(asked.bytes == want);
  }
  const int reads = f.firmware.reads;
  CHECK(AskFile(f, "a.py", offset, length).bytes == want);
  CHECK(f.firmware.reads == reads);
  f.firmware.away = true;
  CHECK(AskFile(f, "a.py", offset, length).bytes == want);
  CHECK(AskFile(f, "schema.json", offset, length).status == 503);
}

TEST_CASE("only the version that is offered can be asked for, by the device alone", "[U10][U13]") {
  Fixture f;
  f.firmware.content = "x";
  Asked asked = AskUpdate(f, json{{"ask", "manifest"}, {"commit", kRuns}}.dump());
  CHECK(asked.status == 409);
  CHECK(asked.content == json{{"error", "version"}, {"commit", kTarget}, {"attempt", 1}});
  CHECK(AskUpdate(f, json{{"ask", "manifest"}, {"commit", kTarget}}.dump(), 1).content["errors"][0]["field"] ==
        "sequence");
  // An exchange passed off as a question, and the other way round.
  asked = AskUpdate(f, "{}", 0, envelope::Kind::kRequest);
  CHECK(asked.status == 400);
  CHECK_FALSE(asked.sealed);
  std::string body;
  envelope::SealRequest(f.source.profile->keys, f.source.profile->unit, 1, kReport, &body,
                        envelope::Kind::kUpdateRequest);
  CHECK(f.Send(body).status == 400);
  CHECK(f.sink.published.empty());
  asked = AskFile(f, "b.py", 0, 1);
  CHECK(asked.status == 422);
  CHECK(asked.content["error"] == "invalid");
  f.source.profile = std::make_shared<Profile>(*f.source.profile);
  f.source.profile->update_attempt = 0;
  f.edge->UnitChanged(f.source.profile->unit);
  CHECK(AskFile(f, "a.py", 0, 1).content == json{{"error", "version"}});
}

TEST_CASE("a question that is wrong names its fields", "[U13]") {
  Fixture f;
  const json file = {{"ask", "file"}, {"commit", kTarget}, {"path", "a.py"}, {"offset", 0}, {"length", 1}};
  const auto [field, change] = GENERATE(table<std::string, json>({
      {"ask", {{"ask", "env"}}},
      {"ask", {{"ask", nullptr}}},
      {"commit", {{"commit", std::string(40, 'x')}}},
      {"path", {{"path", ""}}},
      {"path", {{"path", std::string(1025, 'x')}}},
      {"offset", {{"offset", -1}}},
      {"length", {{"length", 0}}},
      {"length", {{"length", 65'537}}},
      {"have", {{"ask", "manifest"}, {"have", "master"}}},
      {"from", {{"ask", "manifest"}, {"from", -1}}},
      {"max_answer_bytes", {{"ask", "manifest"}, {"max_answer_bytes", 100}}},
  }));
  json ask = file;
  ask.update(change);
  const Asked asked = AskUpdate(f, ask.dump());
  CHECK(asked.status == 422);
  CHECK(asked.content["errors"][0]["field"] == field);
  CHECK(AskUpdate(f, "[").content["error"] == "invalid");
  CHECK(f.firmware.reads == 0);
}

TEST_CASE("questions have a rate of their own, and take nothing from the device's reports", "[U13]") {
  Fixture f([](Fixture& x) {
    x.settings.update_rate = 0.001;
    x.settings.update_burst = 2;
  });
  f.firmware.content = "x";
  CHECK(AskFile(f, "a.py", 0, 1).status == 200);
  CHECK(AskFile(f, "a.py", 0, 1).status == 200);
  const Asked asked = AskFile(f, "a.py", 0, 1);
  CHECK(asked.status == 429);
  CHECK(asked.content["error"] == "busy");
  CHECK(f.Send(1, kReport).status == 200);
}
