#include "values.h"

#include <google/protobuf/util/time_util.h>

#include "fixture.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"

using namespace pepeunit;
using namespace pepeunit::state_logger;
using google::protobuf::util::TimeUtil;

namespace {

// One unit with an output and an input, open to whoever is signed in.
struct OneUnit final : Rights {
  const Uuid unit = Uuid::New(), output = Uuid::New(), input = Uuid::New();

  absl::StatusOr<graph::v1::AuthorizeResponse> Authorize(const rpc::Caller& caller, const std::string& node,
                                                         graph::v1::Permission) override {
    graph::v1::AuthorizeResponse response;
    if (!caller.signed_in()) return NotFound("node");
    if (node == unit.ToString()) {
      response.set_node_type(graph::v1::NODE_TYPE_UNIT);
    } else if (node == output.ToString() || node == input.ToString()) {
      const bool is_input = node == input.ToString();
      response.set_node_type(is_input ? graph::v1::NODE_TYPE_INPUT_VARIABLE : graph::v1::NODE_TYPE_OUTPUT_VARIABLE);
      response.mutable_variable()->set_kind(is_input ? graph::v1::VARIABLE_KIND_INPUT
                                                     : graph::v1::VARIABLE_KIND_OUTPUT);
      if (is_input) response.mutable_variable()->mutable_default_value()->set_number_value(21);
    } else {
      return NotFound("node");
    }
    return response;
  }
  absl::Status MaySeeLink(const rpc::Caller& caller, const std::string&) override {
    return caller.signed_in() ? absl::OkStatus() : NotFound("link");
  }
  absl::StatusOr<graph::v1::FindOutputsResponse> FindOutputs(const rpc::Caller&,
                                                             const graph::v1::FindOutputsRequest&) override {
    return graph::v1::FindOutputsResponse();
  }
};

struct Asking : Tables {
  OneUnit rights;
  Values values{store, rights};
  rpc::Caller user{.kind = rpc::Caller::Kind::kUser};

  Asking() {
    REQUIRE(
        store.Resume(0, Now({.messages = 0, .bytes = 0, .first_sequence = 1, .last_sequence = 1'000, .created_ns = 1}))
            .ok());
  }
  // `count` readings, one each second up to now.
  void Store(int count, const bus::v1::Scalar& value) {
    ReportMaker report(rights.unit, 1, NowMs());
    for (int i = count; i > 0; --i) report.Reading(rights.output, NowMs() - i * 1'000, value);
    report.State(R"({"free":3,"name":"x"})");
    Batch batch;
    batch.Add(report.At(1));
    REQUIRE(store.Apply(0, 0, batch, [](const Batch&) { return absl::OkStatus(); }).ok());
  }
  log::v1::ListReadingsRequest Of(const Uuid& variable) const {
    log::v1::ListReadingsRequest request;
    request.set_variable_id(variable.ToString());
    return request;
  }
  std::string FieldOf(const log::v1::ListReadingsRequest& request) {
    log::v1::ListReadingsResponse response;
    const auto info = InfoOf(values.List(user, request, response));
    return info.violations.empty() ? "" : info.violations[0].field;
  }
};

}  // namespace

TEST_CASE("a variable's value, an input's default, and nothing", "[S3][S4]") {
  Asking a;
  log::v1::GetVariableValueRequest request;
  request.set_variable_id(a.rights.input.ToString());
  log::v1::VariableValue value;
  REQUIRE(a.values.Get(a.user, request, value).ok());
  CHECK(value.value().number_value() == 21);
  CHECK_FALSE(value.has_time());
  request.set_variable_id(a.rights.output.ToString());
  value.Clear();
  REQUIRE(a.values.Get(a.user, request, value).ok());
  CHECK(value.value().has_null_value());
  a.Store(2, Number(1.5));
  REQUIRE(a.values.Get(a.user, request, value).ok());
  CHECK(value.value().number_value() == 1.5);
  CHECK(value.has_time());
}

TEST_CASE("a unit's state is what it last told", "[S2]") {
  Asking a;
  log::v1::GetUnitStateRequest request;
  request.set_unit_id(a.rights.unit.ToString());
  log::v1::UnitState state;
  REQUIRE(a.values.State(a.user, request, state).ok());
  CHECK_FALSE(state.has_last_seen());
  a.Store(1, Number(1));
  REQUIRE(a.values.State(a.user, request, state).ok());
  CHECK(state.has_last_seen());
  CHECK(state.state().fields().at("free").number_value() == 3);
}

TEST_CASE("unknown and forbidden answer alike, and a node of another type is unknown", "[A4]") {
  Asking a;
  const auto answer = [&](const rpc::Caller& caller, const Uuid& id) {
    log::v1::ListReadingsResponse readings;
    log::v1::VariableValue value;
    log::v1::GetVariableValueRequest one;
    one.set_variable_id(id.ToString());
    CHECK(a.values.Get(caller, one, value).code() == absl::StatusCode::kNotFound);
    CHECK(a.values.List(caller, a.Of(id), readings).code() == absl::StatusCode::kNotFound);
  };
  answer(rpc::Caller{}, a.rights.output);
  answer(a.user, Uuid::New());
  answer(a.user, a.rights.unit);
  log::v1::GetUnitStateRequest request;
  log::v1::UnitState state;
  request.set_unit_id(a.rights.output.ToString());
  CHECK(a.values.State(a.user, request, state).code() == absl::StatusCode::kNotFound);
}

TEST_CASE("a period comes in pages, whole and in order", "[D1]") {
  Asking a;
  a.Store(2'500, Number(1));
  auto request = a.Of(a.rights.output);
  std::vector<std::int64_t> times;
  int pages = 0;
  do {
    log::v1::ListReadingsResponse response;
    REQUIRE(a.values.List(a.user, request, response).ok());
    for (const auto& point : response.readings()) times.push_back(TimeUtil::TimestampToMilliseconds(point.time()));
    request.set_cursor(response.next_cursor());
    ++pages;
  } while (!request.cursor().empty());
  CHECK(times.size() == 2'500);
  CHECK(pages == 3);
  CHECK(std::is_sorted(times.begin(), times.end()));

  request.set_page_size(2'500);  // exactly the last page: no cursor to an empty one
  log::v1::ListReadingsResponse all;
  REQUIRE(a.values.List(a.user, request, all).ok());
  CHECK(all.next_cursor().empty());
  CHECK(all.readings_size() == 2'500);

  *request.mutable_from() = TimeUtil::MillisecondsToTimestamp(times[10]);
  *request.mutable_to() = TimeUtil::MillisecondsToTimestamp(times[20]);
  log::v1::ListReadingsResponse some;
  REQUIRE(a.values.List(a.user, request, some).ok());
  CHECK(some.readings_size() == 10);
}

TEST_CASE("a page of long texts ends early, within what an answer may hold", "[D1]") {
  Asking a;
  a.Store(500, Text(std::string(10'000, 'x')));
  auto request = a.Of(a.rights.output);
  request.set_page_size(10'000);
  int readings = 0, pages = 0;
  do {
    log::v1::ListReadingsResponse response;
    REQUIRE(a.values.List(a.user, request, response).ok());
    CHECK(response.ByteSizeLong() < (3 << 20));
    readings += response.readings_size();
    request.set_cursor(response.next_cursor());
    ++pages;
  } while (!request.cursor().empty());
  CHECK(readings == 500);
  CHECK(pages == 3);
}

TEST_CASE("bad requests name their field, bad cursors are refused", "[D1]") {
  Asking a;
  a.Store(3, Number(1));
  auto good = a.Of(a.rights.output);
  good.set_page_size(1);
  log::v1::ListReadingsResponse response;
  REQUIRE(a.values.List(a.user, good, response).ok());

  auto request = a.Of(a.rights.output);
  request.set_variable_id("not a uuid");
  CHECK(a.FieldOf(request) == "variable_id");
  CHECK(a.FieldOf(a.Of(a.rights.input)) == "variable_id");
  for (const int size : {-1, 10'001}) {
    request = a.Of(a.rights.output);
    request.set_page_size(size);
    CHECK(a.FieldOf(request) == "page_size");
  }
  request = a.Of(a.rights.output);
  *request.mutable_from() = TimeUtil::SecondsToTimestamp(20);
  *request.mutable_to() = TimeUtil::SecondsToTimestamp(20);
  CHECK(a.FieldOf(request) == "from");
  request.mutable_to()->set_seconds(INT64_MAX);
  CHECK(a.FieldOf(request) == "to");

  const std::string id = a.rights.output.ToString();
  const auto cursor = [](const std::string& text) { return Base64UrlEncode(AsBytes(text)); };
  for (const std::string& bad :
       {std::string("%"), std::string("x"), response.next_cursor() + "A", cursor(":"), cursor(id + ":1:1:1"),
        cursor(id + ":1:1:1:1:1"), cursor(id + ":1:1:-1:1"), cursor(id + ":9223372036854775807:1:1:1"),
        cursor(id + ":1:-9223372036854775808:1:1"), cursor(id + ":1:1:9223372036854775808:1"), cursor(id + ": 1:1:1:1"),
        cursor(Uuid::New().ToString() + ":1:1:1:1")}) {
    request = a.Of(a.rights.output);
    request.set_cursor(bad);
    log::v1::ListReadingsResponse page;
    CHECK(InfoOf(a.values.List(a.user, request, page)).reason == "INVALID_CURSOR");
    CHECK(page.readings_size() == 0);
  }
}

TEST_CASE("what a link carried is told to who sees it", "[G5]") {
  Asking a;
  const Uuid link = Uuid::New();
  Batch batch;
  for (std::uint64_t i = 1; i <= 22; ++i)
    batch.Add(
        ReportMaker(a.rights.unit, i, 5'000).Delivery(a.rights.input, a.rights.unit, 1'000, Number(1), link).At(i));
  REQUIRE(a.store.Apply(0, 0, batch, [](const Batch&) { return absl::OkStatus(); }).ok());
  log::v1::GetLinkStatisticsRequest request;
  log::v1::LinkStatistics seen;
  request.set_link_id("x");
  CHECK(InfoOf(a.values.Link(a.user, request, seen)).violations.at(0).field == "link_id");
  request.set_link_id(link.ToString());
  CHECK(absl::IsNotFound(a.values.Link({}, request, seen)));
  REQUIRE(a.values.Link(a.user, request, seen).ok());
  CHECK(seen.carried() == 20);
  CHECK(seen.limited() == 2);
  CHECK(seen.holding());
  CHECK(TimeUtil::TimestampToMilliseconds(seen.last_carried()) == 5'000);
  CHECK_FALSE(seen.has_last_refused());
  request.set_link_id(Uuid::New().ToString());
  seen.Clear();
  REQUIRE(a.values.Link(a.user, request, seen).ok());  // it never carried
  CHECK(seen.carried() == 0);
}
