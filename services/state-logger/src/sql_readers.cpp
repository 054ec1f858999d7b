#include "sql_readers.h"

#include <google/protobuf/util/time_util.h>

#include <thread>
#include <utility>
#include <vector>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/postgres/scram.h"
#include "stage.h"

namespace pepeunit::state_logger {
namespace {

constexpr std::chrono::milliseconds kEvery{60'000}, kAtLeastApart{500};
constexpr int kMostOutputs = 10'000;

// The role of a token. Its user's administration is left aside, for that may end before the token does.
absl::StatusOr<std::pair<std::string, rpc::Caller>> ReaderOf(Rights& rights, const rpc::Caller& caller) {
  PEPEUNIT_RETURN_IF_ERROR(rights.Admit(caller));
  if (!caller.signed_in()) return Unauthenticated("Sign in with a personal access token.");
  if (caller.reach == rpc::Caller::Reach::kAll) {
    return Error(absl::StatusCode::kFailedPrecondition, "NEEDS_PERSONAL_TOKEN",
                 "A reader belongs to a personal access token: sign this call with one (scope READ is enough).");
  }
  rpc::Caller reader{.kind = rpc::Caller::Kind::kUser,
                     .user_id = caller.user_id,
                     .session_id = caller.session_id,
                     .administrator = false,
                     .reach = rpc::Caller::Reach::kRead};
  return std::pair("pepeunit_reader_" + HexEncode(ByteView(caller.session_id.bytes)), std::move(reader));
}

}  // namespace

absl::Status SqlReaders::Create(const rpc::Caller& caller, log::v1::SqlReader& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto reader, ReaderOf(rights_, caller));
  const auto& [name, on_behalf] = reader;
  const std::string password = Base64UrlEncode(AsBytes(RandomBytes(24)));
  const std::string verifier = postgres::ScramVerifier(password, AsBytes(RandomBytes(16)));
  PEPEUNIT_RETURN_IF_ERROR(
      pool_.Transact("make a reader", [&, n = name, who = on_behalf](pqxx::work& tx) -> absl::Status {
        tx.exec("LOCK TABLE sql_reader IN SHARE ROW EXCLUSIVE MODE");
        if (tx.exec("SELECT FROM pg_proc WHERE oid = to_regproc('make_sql_reader')").empty()) {
          return Error(absl::StatusCode::kUnimplemented, "NOT_SET_UP",
                       "This instance is not set up for readers: see deploy/postgres/sql_readers.sql.");
        }
        const auto count = tx.exec_params1("SELECT count(*) FROM sql_reader WHERE name <> $1", n)[0].as<std::int64_t>();
        if (count >= settings_.most_readers)
          return Limit("The instance has " + std::to_string(count) + " readers, as many as it may.", 0);
        tx.exec_params("INSERT INTO sql_reader (name, caller) VALUES ($1, $2) ON CONFLICT DO NOTHING", n,
                       rpc::FormatCaller(who));
        tx.exec_params("SELECT make_sql_reader($1, $2)", n, verifier);
        return absl::OkStatus();
      }));
  PEPEUNIT_RETURN_IF_ERROR(Refresh(name, on_behalf));
  PEPEUNIT_RETURN_IF_ERROR(Describe(name, out));
  out.set_password(password);
  return absl::OkStatus();
}

absl::Status SqlReaders::Get(const rpc::Caller& caller, log::v1::SqlReader& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto reader, ReaderOf(rights_, caller));
  return Describe(reader.first, out);
}

absl::Status SqlReaders::Describe(const std::string& name, log::v1::SqlReader& out) {
  return pool_.Transact("a reader", [&](pqxx::work& tx) -> absl::Status {
    const auto rows = tx.exec_params(
        "SELECT current_database(), (extract(epoch FROM refreshed_at) * 1000)::bigint,"
        " (SELECT count(*) FROM sql_output WHERE reader = $1) FROM sql_reader WHERE name = $1",
        name);
    if (rows.empty()) return NotFound("reader of this token");
    out.set_user(name);
    out.set_database(rows[0][0].c_str());
    out.set_address(settings_.address);
    out.set_outputs(rows[0][2].as<int>());
    if (!rows[0][1].is_null()) {
      *out.mutable_refreshed_at() =
          google::protobuf::util::TimeUtil::MillisecondsToTimestamp(rows[0][1].as<std::int64_t>());
    }
    return absl::OkStatus();
  });
}

absl::Status SqlReaders::Delete(const rpc::Caller& caller) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto reader, ReaderOf(rights_, caller));
  log::v1::SqlReader there;
  PEPEUNIT_RETURN_IF_ERROR(Describe(reader.first, there));
  return Drop(reader.first);
}

absl::Status SqlReaders::Drop(const std::string& name) {
  return pool_.Transact("drop a reader", [&](pqxx::work& tx) {
    tx.exec_params("DELETE FROM sql_reader WHERE name = $1", name);
    tx.exec_params("SELECT drop_sql_reader($1)", name);
    return absl::OkStatus();
  });
}

absl::Status SqlReaders::Refresh(const std::string& name, const rpc::Caller& caller) {
  graph::v1::FindOutputsRequest filter;
  filter.set_limit(kMostOutputs);
  const auto found = rights_.FindOutputs(caller, filter);
  if (absl::IsUnauthenticated(found.status()) || absl::IsPermissionDenied(found.status())) {
    log::Info("a reader's token is void; the reader is removed", {{"reader", name}});
    return Drop(name);
  }
  if (absl::IsResourceExhausted(found.status())) {
    log::Warning("a reader may see more outputs than one can have, and sees none", {{"reader", name}});
    return Store(name, {});
  }
  if (!found.ok()) return found.status();
  return Store(name, *found);
}

absl::Status SqlReaders::Store(const std::string& name, const graph::v1::FindOutputsResponse& found) {
  // One statement sends them all, and changes only what differs.
  Array ids, variables, units, unit_names, repos, measures;
  for (const auto& output : found.outputs()) {
    ids.Add(output.variable().id());
    variables.AddQuoted(output.variable().name());
    units.Add(output.variable().unit_id());
    unit_names.AddQuoted(output.unit_name());
    repos.Add(output.repo_unit_id());
    measures.AddQuoted(output.variable().unit_of_measure());
  }
  return pool_.Transact("what a reader may see", [&](pqxx::work& tx) {
    if (tx.exec_params("UPDATE sql_reader SET refreshed_at = now() WHERE name = $1", name).affected_rows() == 0)
      return absl::OkStatus();  // removed meanwhile
    tx.exec_params(
        "WITH seen AS (SELECT * FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::uuid[], $7::text[])"
        " AS s (variable_id, variable, unit_id, unit, repo_unit_id, measure)), gone AS (DELETE FROM sql_output o WHERE"
        " reader = $1 AND NOT EXISTS (SELECT FROM seen s WHERE s.variable_id = o.variable_id))"
        " INSERT INTO sql_output AS o (reader, variable_id, variable, unit_id, unit, repo_unit_id, measure)"
        " SELECT $1, s.* FROM seen s ON CONFLICT (reader, variable_id) DO UPDATE SET variable = excluded.variable,"
        " unit_id = excluded.unit_id, unit = excluded.unit, repo_unit_id = excluded.repo_unit_id,"
        " measure = excluded.measure WHERE (o.variable, o.unit_id, o.unit, o.repo_unit_id, o.measure) IS DISTINCT FROM"
        " (excluded.variable, excluded.unit_id, excluded.unit, excluded.repo_unit_id, excluded.measure)",
        name, ids.Finish(), variables.Finish(), units.Finish(), unit_names.Finish(), repos.Finish(), measures.Finish());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::chrono::milliseconds> SqlReaders::Turn() {
  std::vector<std::pair<std::string, std::string>> readers;
  PEPEUNIT_RETURN_IF_ERROR(pool_.Transact("readers", [&](pqxx::work& tx) {
    readers.clear();
    for (const auto& row : tx.exec("SELECT name, caller FROM sql_reader ORDER BY name"))
      readers.emplace_back(row[0].c_str(), row[1].c_str());
    return absl::OkStatus();
  }));
  for (const auto& [name, text] : readers) {
    PEPEUNIT_ASSIGN_OR_RETURN(const rpc::Caller caller, rpc::ParseCaller(text));
    PEPEUNIT_RETURN_IF_ERROR(Refresh(name, caller));
  }
  // Events that come meanwhile are many at once, as a rule.
  std::this_thread::sleep_for(kAtLeastApart);
  return kEvery;
}

void SqlReaders::Start() {
  events_ = bus_.Subscribe("events.graph.>", [this](const bus::Message&) { thread_.Kick(); });
  thread_.Start();
}

void SqlReaders::Stop() {
  events_.reset();
  thread_.Stop();
}

}  // namespace pepeunit::state_logger
