#pragma once

#include <memory>
#include <optional>
#include <string>

#include "pepeunit/bus/bus.h"
#include "pepeunit/log/v1/sql.pb.h"
#include "pepeunit/postgres/pool.h"
#include "pepeunit/runtime/turn_thread.h"
#include "values.h"

namespace pepeunit::state_logger {

struct SqlSettings {
  std::string address;  // host and port of the database, as its readers have to be told; may be empty
  std::int64_t most_readers = 100;
};

// Roles of the database that read histories over SQL (proto/pepeunit/log/v1/sql.proto), each for a personal access
// token. What each may see is copied from the graph into `sql_output`, by which the views are bounded: soon after every
// event of the graph, and every minute. Thread-safe; replicas may do it at once.
class SqlReaders {
 public:
  SqlReaders(postgres::Pool& pool, Rights& rights, bus::Bus& bus, SqlSettings settings)
      : pool_(pool), rights_(rights), bus_(bus), settings_(std::move(settings)) {}

  absl::Status Create(const rpc::Caller& caller, log::v1::SqlReader& out);
  absl::Status Get(const rpc::Caller& caller, log::v1::SqlReader& out);
  absl::Status Delete(const rpc::Caller& caller);

  void Start();
  void Stop();

 private:
  absl::StatusOr<std::chrono::milliseconds> Turn();
  // Makes what the reader sees equal to what its caller may see; removes it when its token is void.
  absl::Status Refresh(const std::string& name, const rpc::Caller& caller);
  absl::Status Store(const std::string& name, const graph::v1::FindOutputsResponse& found);
  absl::Status Describe(const std::string& name, log::v1::SqlReader& out);
  absl::Status Drop(const std::string& name);

  postgres::Pool& pool_;
  Rights& rights_;
  bus::Bus& bus_;
  const SqlSettings settings_;
  runtime::TurnThread thread_{"what SQL readers may see", [this] { return Turn(); }};
  std::unique_ptr<bus::Subscription> events_;
};

}  // namespace pepeunit::state_logger
