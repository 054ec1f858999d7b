#include "batch.h"

#include "fixture.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;

namespace {

const Uuid kUnit = Uuid::New(), kOther = Uuid::New(), kOutput = Uuid::New(), kInput = Uuid::New();

}  // namespace

TEST_CASE("a batch keeps every reading in its order and the newest of everything else", "[D1][D3]") {
  Batch batch;
  batch.Add(ReportMaker(kUnit, 1, 5'000)
                .State(R"({"a":1})")
                .Reading(kOutput, 3'000, Number(3))
                .Reading(kOutput, 4'000, Number(4))
                .At(10));
  batch.Add(ReportMaker(kUnit, 2, 6'000)
                .Reading(kOutput, 2'000, Number(2))
                .Delivery(kInput, kOther, 6'000, Number(2))
                .At(12));
  REQUIRE(batch.readings().size() == 3);
  CHECK(batch.readings()[1].stream_seq == 10);
  CHECK(batch.readings()[1].ord == 1);
  CHECK(batch.readings()[2].ord == 0);
  CHECK(batch.last_sequence() == 12);
  CHECK(batch.unreadable() == 0);

  // What was measured later is newer, whenever it was sent.
  CHECK(batch.current().at(kOutput).value->number() == 4);
  // What a link carries waits for the word that it may pass.
  CHECK(batch.current().count(kInput) == 0);
  REQUIRE(batch.deliveries().size() == 1);
  CHECK(batch.deliveries()[0].way.input == kInput);
  CHECK(batch.deliveries()[0].way.target == kOther);
  CHECK(batch.deliveries()[0].way.unit == kUnit);
  CHECK(batch.deliveries()[0].stream_seq == 12);

  const UnitRow& unit = batch.units().at(kUnit);
  CHECK(unit.sequence == 2);
  CHECK(unit.request_tag == "tag2");
  CHECK(unit.state == R"({"a":1})");  // the later report said nothing of it
  CHECK(unit.last_seen_ms == 6'000);
}

TEST_CASE("of an input the later message wins, whatever its clock says", "[S3]") {
  Batch batch;
  batch.Add({"values.0.input.x", InputPayload(kInput, kUnit, 9'000, Number(1)), 1, ""});
  batch.Add({"values.0.input.x", InputPayload(kInput, kUnit, 8'000, Number(2)), 2, ""});
  CHECK(batch.current().at(kInput).value->number() == 2);
  CHECK(batch.current().at(kInput).stream_seq == 2);
}

TEST_CASE("a variable without a log has a current value only", "[D3]") {
  Batch batch;
  batch.Add(ReportMaker(kUnit, 1).Reading(kOutput, 1, Number(1), true).At(1));
  CHECK(batch.readings().empty());
  CHECK(batch.current().count(kOutput) == 1);
}

TEST_CASE("what cannot be read is counted and passed over") {
  Batch batch;
  batch.Add({"values.0.report.x", "\xff\xff\xff", 1, ""});
  batch.Add({"values.0.report.x", "", 2, ""});  // neither a report nor an input
  ReportMaker bad(kUnit, 1);
  bad.report.set_unit_id("short");
  batch.Add(bad.At(3));
  ReportMaker half(kUnit, 1);
  half.Reading(kOutput, 1, Number(1));
  half.report.add_readings()->set_variable_id("short");
  half.report.add_deliveries()->set_input_id("short");
  batch.Add(half.At(4));
  CHECK(batch.unreadable() == 5);
  CHECK(batch.readings().size() == 1);
  CHECK(batch.last_sequence() == 4);
}

TEST_CASE("times outside of 1970 to 2100 are brought inside") {
  Batch batch;
  batch.Add(ReportMaker(kUnit, 1, INT64_MIN)
                .Reading(kOutput, INT64_MIN, Number(1))
                .Reading(kOutput, INT64_MAX, Number(2))
                .At(1));
  CHECK(batch.readings()[0].time_ms == 0);
  CHECK(batch.readings()[1].time_ms == 4'102'444'799'999);
  CHECK(batch.units().at(kUnit).last_seen_ms == 0);
}

TEST_CASE("nothing of what is gone is kept, and the rest is as before", "[U8][U11]") {
  Batch batch;
  batch.Add(ReportMaker(kUnit, 1).Reading(kOutput, 1, Number(1)).At(1));
  batch.Add(ReportMaker(kOther, 1).Reading(kInput, 1, Number(1)).At(2));
  const Batch kept = batch.Without({kOutput, kUnit});
  CHECK(kept.readings().size() == 1);
  CHECK(kept.current().count(kOutput) == 0);
  CHECK(kept.units().count(kUnit) == 0);
  CHECK(kept.units().count(kOther) == 1);
  CHECK(kept.last_sequence() == 2);
  CHECK(batch.readings().size() == 2);
}
