#include "stretches.h"

#include <fmt/format.h>

namespace pepeunit::state_logger {
namespace {

constexpr char kOfReadings[] =
    "SELECT r.series, r.time, coalesce(r.stats[1], 1)::bigint AS count, 1 AS rows,"
    " CASE WHEN abs(coalesce(r.stats[2], r.number)) <= 1e290 THEN coalesce(r.stats[2], r.number)"
    " ELSE sign(coalesce(r.stats[2], r.number)) * 1e290 END AS sum,"
    " coalesce(r.stats[3], r.number) AS minimum, r.time AS minimum_at, coalesce(r.stats[4], r.number) AS maximum,"
    " r.time AS maximum_at, coalesce(r.stats[5], r.number) AS last,"
    " CASE WHEN r.stats IS NULL THEN r.time ELSE to_timestamp(r.stats[7] / 1000) END AS last_at,"
    " r.stream_seq AS seq, r.ord FROM ";
constexpr char kOfRollups[] =
    "SELECT r.series, r.time, r.count, r.rows, CASE WHEN abs(r.sum) <= 1e300 THEN r.sum ELSE sign(r.sum) * 1e300"
    " END AS sum, r.minimum, r.minimum_at, r.maximum, r.maximum_at, r.last, r.last_at, 0 AS seq, 0 AS ord FROM ";

constexpr char kSum[] =
    "SELECT series, bucket, count, rows, sum, lowest[1] AS minimum, to_timestamp(lowest[2]) AS minimum_at,"
    " highest[1] AS maximum, to_timestamp(-highest[2]) AS maximum_at, newest[4] AS last,"
    " to_timestamp(newest_at) AS last_at FROM (SELECT r.series, {} AS bucket, sum(r.count)::bigint AS count,"
    " sum(r.rows)::bigint AS rows, sum(r.sum) AS sum,"
    " min(ARRAY[r.minimum, date_part('epoch', r.minimum_at)]) FILTER (WHERE r.minimum IS NOT NULL) AS lowest,"
    " max(ARRAY[r.maximum, -date_part('epoch', r.maximum_at)]) FILTER (WHERE r.maximum IS NOT NULL) AS highest,"
    " max(ARRAY[date_part('epoch', r.last_at), r.seq, r.ord, r.last]) FILTER (WHERE r.last IS NOT NULL)"
    " AS newest, max(date_part('epoch', r.last_at)) AS newest_at FROM ({}) AS r GROUP BY 1, 2) AS b";

}  // namespace

std::string StretchesOf(const std::string& table, const std::string& rest) {
  return (table == "reading" ? kOfReadings : kOfRollups) + rest;
}

std::string SumUp(const std::string& stretches, const std::string& bucket) {
  return fmt::format(kSum, bucket, stretches);
}

}  // namespace pepeunit::state_logger
