#include "ack.h"

#include <catch2/catch.hpp>

using namespace pepeunit;

TEST_CASE("acks of JetStream") {
  const auto good = bus::ParseAck(R"({"stream":"VALUES", "seq":42})");
  CHECK(good.status.ok());
  CHECK(good.sequence == 42);
  CHECK_FALSE(good.duplicate);
  CHECK(bus::ParseAck(R"({"stream":"VALUES","seq":42,"duplicate": true})").duplicate);
  const auto wrong = bus::ParseAck(
      R"({"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},"stream":"VALUES","seq":0})");
  CHECK(wrong.sequence_mismatch);
  CHECK(wrong.status.code() == absl::StatusCode::kAborted);
  const auto full = bus::ParseAck(
      R"({"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"V","seq":0})");
  CHECK(full.stream_full);
  CHECK(full.status.code() == absl::StatusCode::kResourceExhausted);
  for (const char* text : {"", "{}", "nonsense", R"({"error":{}})", R"({"seq":"x"})"}) {
    CHECK(bus::ParseAck(text).status.code() == absl::StatusCode::kUnavailable);
  }
}

TEST_CASE("positions in reply subjects") {
  const auto plain = bus::ParseReply("$JS.ACK.VALUES.c1.1.77.5.1700000000000000000.3");
  REQUIRE(plain);
  CHECK(plain->stream_sequence == 77);
  CHECK(plain->consumer_sequence == 5);
  const auto domain = bus::ParseReply("$JS.ACK.hub.acc.VALUES.c1.1.77.5.1700000000000000000.3.random");
  REQUIRE(domain);
  CHECK(domain->stream_sequence == 77);
  CHECK_FALSE(bus::ParseReply("_INBOX.x"));
  CHECK_FALSE(bus::ParseReply("$JS.ACK.VALUES.c1.1.x.5.17.3"));
}
