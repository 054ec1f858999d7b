#include "values.h"

#include <google/protobuf/util/time_util.h>

#include <charconv>
#include <chrono>
#include <thread>

#include "absl/strings/str_split.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/values/values.h"

namespace pepeunit::state_logger {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int kDefaultPage = 1'000, kMostPage = 10'000;
constexpr int kChunk = 1'001;                    // rows asked for at once, so that memory stays small
constexpr std::size_t kMostPageBytes = 2 << 20;  // half of what a gRPC answer may hold; a longer page ends early
constexpr std::int64_t kDayUs = 86'400'000'000;

// Which readings come next, and of which list: `variable:to_us:time_us:stream_seq:ord`.
struct Cursor {
  std::int64_t to_us = 0;
  ReadingKey after;
};

std::string WriteCursor(const std::string& variable, const Cursor& c) {
  return Base64UrlEncode(AsBytes(variable + ':' + std::to_string(c.to_us) + ':' + std::to_string(c.after.time_us) +
                                 ':' + std::to_string(c.after.stream_seq) + ':' + std::to_string(c.after.ord)));
}

template <typename Number>
bool ReadNumber(const std::string& text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

// What PostgreSQL and RFC 3339 can both say.
bool IsTime(std::int64_t us) {
  return us >= TimeUtil::kTimestampMinSeconds * 1'000'000 - kDayUs &&
         us <= (TimeUtil::kTimestampMaxSeconds + 1) * 1'000'000;
}

absl::StatusOr<Cursor> ReadCursor(const std::string& variable, const std::string& text) {
  const auto raw = Base64UrlDecode(text);
  if (!raw) return InvalidCursor();
  const std::vector<std::string> parts = absl::StrSplit(*raw, ':');
  Cursor c;
  if (parts.size() != 5 || parts[0] != variable || !ReadNumber(parts[1], &c.to_us) ||
      !ReadNumber(parts[2], &c.after.time_us) || !ReadNumber(parts[3], &c.after.stream_seq) ||
      !ReadNumber(parts[4], &c.after.ord) || c.after.stream_seq > INT64_MAX || !IsTime(c.to_us) ||
      !IsTime(c.after.time_us)) {
    return InvalidCursor();
  }
  return c;
}

absl::StatusOr<Cursor> FirstCursor(const log::v1::ListReadingsRequest& request) {
  std::vector<FieldViolation> wrong;
  const auto read = [&](const char* field, const google::protobuf::Timestamp& time) -> std::int64_t {
    if (time.seconds() < TimeUtil::kTimestampMinSeconds || time.seconds() > TimeUtil::kTimestampMaxSeconds) {
      wrong.push_back({field, "must be a time in RFC 3339, for example 2026-01-02T03:04:05Z"});
      return 0;
    }
    return TimeUtil::TimestampToMicroseconds(time);
  };
  Cursor c;
  c.to_us = request.has_to() ? read("to", request.to()) : (NowMs() + 1) * 1000;
  c.after.time_us = request.has_from() ? read("from", request.from()) : c.to_us - kDayUs;
  c.after.stream_seq = 0;
  if (wrong.empty() && c.after.time_us >= c.to_us) wrong.push_back({"from", "must be before `to`"});
  if (!wrong.empty()) return InvalidFields(std::move(wrong));
  return c;
}

absl::Status NeedUuid(const std::string& field, const std::string& text) {
  return Uuid::Parse(text) ? absl::OkStatus() : InvalidField(field, "is not a UUID");
}

}  // namespace

absl::StatusOr<graph::v1::AuthorizeResponse> GraphRights::Authorize(const rpc::Caller& caller, const std::string& node,
                                                                    graph::v1::Permission permission) {
  graph::v1::AuthorizeRequest request;
  request.set_node_id(node);
  request.set_permission(permission);
  return rpc::Call<graph::v1::AuthorizeResponse>(channel_, caller, std::chrono::seconds(5),
                                                 [&](auto* c, auto* r) { return stub_->Authorize(c, request, r); });
}

absl::Status GraphRights::MaySeeLink(const rpc::Caller& caller, const std::string& link) {
  graph::v1::AuthorizeLinkRequest request;
  request.set_link_id(link);
  return rpc::Call<graph::v1::AuthorizeLinkResponse>(
             channel_, caller, std::chrono::seconds(5),
             [&](auto* c, auto* r) { return stub_->AuthorizeLink(c, request, r); })
      .status();
}

absl::StatusOr<graph::v1::FindOutputsResponse> GraphRights::FindOutputs(const rpc::Caller& caller,
                                                                        const graph::v1::FindOutputsRequest& filter) {
  return rpc::Call<graph::v1::FindOutputsResponse>(channel_, caller, std::chrono::seconds(10),
                                                   [&](auto* c, auto* r) { return stub_->FindOutputs(c, filter, r); });
}

absl::Status Rights::Admit(const rpc::Caller& caller) {
  if (!caller.signed_in()) return absl::OkStatus();
  graph::v1::FindOutputsRequest nothing;
  nothing.set_repo_unit_id(Uuid{}.ToString());
  nothing.set_limit(1);
  return FindOutputs(caller, nothing).status();
}

absl::Status Values::Get(const rpc::Caller& caller, const log::v1::GetVariableValueRequest& request,
                         log::v1::VariableValue& out) {
  PEPEUNIT_RETURN_IF_ERROR(NeedUuid("variable_id", request.variable_id()));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto node, rights_.MayRead(caller, request.variable_id()));
  if (!node.has_variable()) return NotFound("variable");
  PEPEUNIT_ASSIGN_OR_RETURN(const auto stored, store_.CurrentValue(*Uuid::Parse(request.variable_id())));
  out.set_variable_id(request.variable_id());
  if (stored) {
    values::ToValue(values::ToJson(stored->value), out.mutable_value());
    *out.mutable_time() = TimeUtil::MillisecondsToTimestamp(stored->time_ms);
  } else if (node.variable().has_default_value()) {
    *out.mutable_value() = node.variable().default_value();
  } else {
    out.mutable_value()->set_null_value(google::protobuf::NULL_VALUE);
  }
  return absl::OkStatus();
}

absl::Status Values::List(const rpc::Caller& caller, const log::v1::ListReadingsRequest& request,
                          log::v1::ListReadingsResponse& out) {
  PEPEUNIT_RETURN_IF_ERROR(NeedUuid("variable_id", request.variable_id()));
  if (request.page_size() < 0 || request.page_size() > kMostPage)
    return InvalidField("page_size", "must be from 1 to 10000");
  PEPEUNIT_ASSIGN_OR_RETURN(Cursor cursor, request.cursor().empty()
                                               ? FirstCursor(request)
                                               : ReadCursor(request.variable_id(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto node, rights_.MayRead(caller, request.variable_id()));
  if (!node.has_variable()) return NotFound("variable");
  if (node.variable().kind() != graph::v1::VARIABLE_KIND_OUTPUT)
    return InvalidField("variable_id", "is an input; only outputs have a history");
  const Uuid variable = *Uuid::Parse(request.variable_id());
  const int limit = request.page_size() == 0 ? kDefaultPage : request.page_size();
  std::size_t bytes = 0;
  for (bool more = true; more;) {
    const int want = std::min(kChunk, limit - out.readings_size() + 1);
    PEPEUNIT_ASSIGN_OR_RETURN(const auto rows, store_.Readings(variable, cursor.after, cursor.to_us, want));
    more = rows.size() == static_cast<std::size_t>(want);
    for (const StoredReading& row : rows) {
      if (out.readings_size() == limit || bytes >= kMostPageBytes) {
        out.set_next_cursor(WriteCursor(request.variable_id(), cursor));
        return absl::OkStatus();
      }
      auto* point = out.add_readings();
      *point->mutable_time() = TimeUtil::MicrosecondsToTimestamp(row.key.time_us);
      values::ToValue(values::ToJson(row.value), point->mutable_value());
      bytes += point->ByteSizeLong();
      cursor.after = row.key;
    }
  }
  return absl::OkStatus();
}

absl::Status Values::State(const rpc::Caller& caller, const log::v1::GetUnitStateRequest& request,
                           log::v1::UnitState& out) {
  PEPEUNIT_RETURN_IF_ERROR(NeedUuid("unit_id", request.unit_id()));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto node, rights_.MayRead(caller, request.unit_id()));
  if (node.node_type() != graph::v1::NODE_TYPE_UNIT) return NotFound("unit");
  out.set_unit_id(request.unit_id());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto stored, store_.UnitState(*Uuid::Parse(request.unit_id())));
  if (!stored) return absl::OkStatus();
  *out.mutable_last_seen() = TimeUtil::MillisecondsToTimestamp(stored->last_seen_ms);
  const auto json = nlohmann::json::parse(stored->state, nullptr, false);
  if (!json.is_object()) return absl::OkStatus();
  google::protobuf::Value value;
  values::ToValue(json, &value);
  *out.mutable_state() = value.struct_value();
  return absl::OkStatus();
}

absl::Status Values::Link(const rpc::Caller& caller, const log::v1::GetLinkStatisticsRequest& request,
                          log::v1::LinkStatistics& out) {
  PEPEUNIT_RETURN_IF_ERROR(NeedUuid("link_id", request.link_id()));
  PEPEUNIT_RETURN_IF_ERROR(rights_.MaySeeLink(caller, request.link_id()));
  out.set_link_id(request.link_id());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto state, store_.GetLink(*Uuid::Parse(request.link_id())));
  if (!state) return absl::OkStatus();
  out.set_carried(state->carried);
  out.set_limited(state->limited);
  out.set_unfit(state->unfit);
  out.set_beyond_fan_out(state->beyond_fan_out);
  out.set_holding(state->held.has_value());
  using TimeOf = google::protobuf::Timestamp* (log::v1::LinkStatistics::*)();
  for (const auto& [time, ms] :
       {std::pair<TimeOf, std::int64_t>(&log::v1::LinkStatistics::mutable_last_carried, state->carried_ms),
        std::pair<TimeOf, std::int64_t>(&log::v1::LinkStatistics::mutable_last_limited, state->limited_ms),
        std::pair<TimeOf, std::int64_t>(&log::v1::LinkStatistics::mutable_last_refused, state->refused_ms)}) {
    if (ms > 0) *(out.*time)() = TimeUtil::MillisecondsToTimestamp(ms);
  }
  return absl::OkStatus();
}

absl::Status Snapshots::CatchUp() {
  const std::int64_t deadline = MonotonicMs() + 2'000;
  for (std::uint32_t p = 0; p < partitions_; ++p) {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto last,
                              bus_.GetLastMessage(bus::kValuesStream, "values." + std::to_string(p) + ".>"));
    if (!last) continue;
    for (int wait_ms = 2;; wait_ms = std::min(wait_ms * 2, 50)) {
      PEPEUNIT_ASSIGN_OR_RETURN(const std::uint64_t applied, store_.Applied(p));
      if (applied >= last->stream_sequence) break;
      if (MonotonicMs() >= deadline) return Unavailable("Values are still being stored; try again shortly.");
      std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
    }
  }
  return absl::OkStatus();
}

absl::Status Snapshots::Get(const rpc::Caller& caller, const log::v1::GetUnitSnapshotRequest& request,
                            log::v1::UnitSnapshot& out) {
  if (caller.kind != rpc::Caller::Kind::kService) return Forbidden("Only services may ask this.");
  const auto unit = Uuid::Parse(request.unit_id());
  if (!unit) return InvalidField("unit_id", "is not a UUID");
  PEPEUNIT_RETURN_IF_ERROR(CatchUp());
  PEPEUNIT_ASSIGN_OR_RETURN(
      const auto last,
      bus_.GetLastMessage(bus::kValuesStream, bus::ReportSubject(PartitionOf(*unit, partitions_), unit->ToString())));
  PEPEUNIT_ASSIGN_OR_RETURN(const Mark mark, store_.GetMark(*unit));
  out.set_sequence(mark.sequence);
  out.set_request_tag(mark.request_tag);
  out.set_report_stream_sequence(last ? last->stream_sequence : 0);
  bus::v1::ValueMessage newest;
  // A report that came after we caught up is newer than the tables.
  if (last && newest.ParseFromString(last->payload) && newest.report().sequence() > mark.sequence) {
    out.set_sequence(newest.report().sequence());
    out.set_request_tag(newest.report().request_tag());
  }
  for (const auto& input : mark.inputs) *out.add_inputs() = input;
  return absl::OkStatus();
}

}  // namespace pepeunit::state_logger
