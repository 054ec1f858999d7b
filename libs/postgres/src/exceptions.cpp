#include <exception>
#include <string>

#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/postgres/pool.h"

namespace pepeunit::postgres {
namespace {

// The SQLSTATE classes that say "not now" (https://www.postgresql.org/docs/15/errcodes-appendix.html).
bool IsTransient(const std::string& state) {
  return state.starts_with("08") || state.starts_with("53") || state.starts_with("57") || state == "55P03";
}

// PostgreSQL's second line on is DETAIL and CONTEXT: the contents of rows, which may be secret or personal.
std::string Cause(const std::exception& e) {
  const std::string text = e.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

absl::Status FromException(const char* name) {
  try {
    throw;
  } catch (const pqxx::unique_violation&) {
    return Error(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", "It exists already.");
  } catch (const pqxx::serialization_failure& e) {
    log::Warning("transaction conflicts", {{"query", name}, {"cause", Cause(e)}});
    return Unavailable("Others are changing the same; try again.", 100);
  } catch (const pqxx::deadlock_detected& e) {
    log::Warning("transaction deadlocks", {{"query", name}, {"cause", Cause(e)}});
    return Unavailable("Others are changing the same; try again.", 100);
  } catch (const pqxx::integrity_constraint_violation& e) {
    log::Warning("constraint refuses", {{"query", name}, {"cause", Cause(e)}});
    return Error(absl::StatusCode::kFailedPrecondition, "IN_USE", "Something else depends on it.");
  } catch (const pqxx::broken_connection& e) {
    log::Warning("database connection lost", {{"query", name}, {"cause", Cause(e)}});
    return Unavailable("The database does not answer; try again shortly.");
  } catch (const pqxx::in_doubt_error& e) {
    log::Error("commit in doubt", {{"query", name}, {"cause", Cause(e)}});
    return Unavailable("The database went away while it stored the change; look whether it is there.");
  } catch (const pqxx::sql_error& e) {
    log::Error("query failed", {{"query", name}, {"sqlstate", e.sqlstate()}, {"cause", Cause(e)}});
    // A statement whose connection died has no state of its own.
    if (e.sqlstate().empty() || IsTransient(e.sqlstate())) {
      return Unavailable("The database does not answer; try again shortly.");
    }
    return Internal(std::string("query ") + name + " failed with SQLSTATE " + e.sqlstate());
  } catch (const std::exception& e) {
    log::Error("query failed", {{"query", name}, {"cause", Cause(e)}});
    return Internal(std::string("query ") + name + " failed");
  }
}

}  // namespace pepeunit::postgres
