#include "pepeunit/postgres/pool.h"

#include <sys/socket.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::postgres {
namespace {

constexpr int kMostTries = 4;  // of a transaction that conflicts with others

// A connection with what is prepared on it.
struct Session {
  std::unique_ptr<pqxx::connection> connection;
  std::unordered_map<std::string, std::string> prepared{};  // names by text
  std::size_t names = 0;

  // Forgetting all at once is enough: texts are few, and each comes back with its next use.
  const std::string& Prepare(const std::string& text) {
    if (const auto at = prepared.find(text); at != prepared.end()) return at->second;
    if (prepared.size() >= Pool::kPlans) {
      for (const auto& [_, name] : prepared) connection->unprepare(name);
      prepared.clear();
    }
    const std::string name = "q" + std::to_string(++names);
    connection->prepare(name, text);
    return prepared.emplace(text, name).first->second;
  }
};

// libpqxx 6 makes a lost connection anew at the next use, without our settings and in the middle of what was assumed
// to be one session. Inhibited, it throws instead, and the pool makes a fresh one.
std::unique_ptr<pqxx::connection> Open(const PoolOptions& options) {
  auto connection = std::make_unique<pqxx::connection>(options.dsn);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // deprecated because version 7 never reconnects
  connection->inhibit_reactivation(true);
#pragma GCC diagnostic pop
  pqxx::nontransaction setup(*connection);
  setup.exec("SET search_path TO " + setup.quote_name(options.schema));
  setup.exec("SET statement_timeout TO " + std::to_string(options.statement_timeout.count()));
  setup.exec("SET idle_in_transaction_session_timeout TO 60000");
  // The server too gives up a client that vanished, and with it the locks that it held.
  setup.exec("SET tcp_keepalives_idle TO 10; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 3");
  setup.exec("SET client_encoding TO 'UTF8'");
  // What is read is found by indexes: compiling such queries takes longer than running them, and neither in memory nor
  // on an SSD or SD card is a page four times as dear because it is not the next one.
  setup.exec("SET jit TO off; SET random_page_cost TO 1.1");
  if (options.generic_plans) setup.exec("SET plan_cache_mode TO force_generic_plan");
  setup.exec("SET timezone TO 'UTC'");
  setup.exec("SET application_name TO " + setup.quote("pepeunit-" + options.schema));
  return connection;
}

// Whether the server hung up, without asking it: an idle session has nothing to read, so bytes or an end mean that it
// was terminated. Costs no round trip.
bool IsDead(const pqxx::connection& connection) {
  char byte = 0;
  const ssize_t got = ::recv(connection.sock(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

// A server that vanished without a word (its machine lost power, a cable was pulled) is noticed within seconds, unless
// the operator said otherwise. Unix sockets ignore all but the first.
std::string WithTimeouts(std::string dsn) {
  const bool url = dsn.starts_with("postgres://") || dsn.starts_with("postgresql://");
  constexpr std::pair<const char*, const char*> kDefaults[] = {{"connect_timeout", "3"},
                                                               {"keepalives_idle", "10"},
                                                               {"keepalives_interval", "5"},
                                                               {"keepalives_count", "3"},
                                                               {"tcp_user_timeout", "20000"}};
  for (const auto& [name, value] : kDefaults) {
    if (dsn.find(name) != std::string::npos) continue;
    dsn += url ? (dsn.find('?') == std::string::npos ? "?" : "&") : " ";
    dsn += std::string(name) + "=" + value;
  }
  return dsn;
}

}  // namespace

PoolOptions PoolOptionsFrom(Config& config, const std::string& schema) {
  PoolOptions options;
  options.dsn = config.Secret("PEPEUNIT_DATABASE_URL",
                              "PostgreSQL, as libpq's connection string or URL, in the role of this service");
  options.schema = schema;
  options.max_connections = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_DATABASE_CONNECTIONS", 4, 1, 100, "most connections to PostgreSQL, opened when needed"));
  return options;
}

struct Pool::Impl {
  struct Idle {
    Session session;
    std::int64_t since_ms;
  };

  // For one transaction or query. Given back by Release, or dropped when its use failed.
  absl::Status Acquire(const char* name, Session* out) {
    std::unique_lock lock(mutex);
    const auto free = [this] { return !idle.empty() || open < options.max_connections; };
    if (!released.wait_for(lock, options.acquire_timeout, free)) {
      return Unavailable("The database is busy; try again shortly.");
    }
    CloseOld();
    while (!idle.empty()) {
      *out = std::move(idle.back().session);
      idle.pop_back();
      if (!IsDead(*out->connection)) return absl::OkStatus();
      *out = {};
      --open;
    }
    ++open;
    lock.unlock();
    try {
      out->connection = Open(options);
      return absl::OkStatus();
    } catch (...) {
      const absl::Status status = FromException(name);
      Drop();
      return status.code() == absl::StatusCode::kUnavailable
                 ? status
                 : Unavailable("The database does not answer; try again shortly.");
    }
  }

  void Release(Session session) {
    {
      std::lock_guard lock(mutex);
      idle.push_back({std::move(session), MonotonicMs()});
    }
    released.notify_one();
  }

  void Drop() {
    {
      std::lock_guard lock(mutex);
      --open;
    }
    released.notify_one();
  }

  // The oldest lie in front, for the last given back is taken first.
  void CloseOld() {
    while (idle.size() > 1 && MonotonicMs() - idle.front().since_ms > options.idle_close.count()) {
      idle.pop_front();
      --open;
    }
  }

  // One try; `conflict` says that another may succeed.
  absl::Status Try(const char* name, const std::function<absl::Status(Session&)>& use, bool* conflict) {
    Session session;
    PEPEUNIT_RETURN_IF_ERROR(Acquire(name, &session));
    try {
      const absl::Status status = use(session);
      Release(std::move(session));
      return status;
    } catch (const pqxx::transaction_rollback&) {
      *conflict = true;
      const absl::Status status = FromException(name);
      Release(std::move(session));
      return status;
    } catch (const pqxx::sql_error& e) {
      const absl::Status status = FromException(name);
      // The session is good when the server itself refused the statement.
      if (!e.sqlstate().empty() && !e.sqlstate().starts_with("57") && session.connection->is_open()) {
        Release(std::move(session));
      } else {
        session = {};
        Drop();
      }
      return status;
    } catch (...) {
      const absl::Status status = FromException(name);
      session = {};
      Drop();
      return status;
    }
  }

  absl::Status Use(const char* name, const std::function<absl::Status(Session&)>& use) {
    absl::Status status;
    for (int tries = 0; tries < kMostTries; ++tries) {
      bool conflict = false;
      status = Try(name, use, &conflict);
      if (!conflict) return status;
    }
    return status;
  }

  PoolOptions options;
  std::mutex mutex;
  std::condition_variable released;
  std::deque<Idle> idle;
  std::size_t open = 0;  // idle and in use
};

Pool::Pool(PoolOptions options) : impl_(std::make_unique<Impl>()) {
  options.dsn = WithTimeouts(std::move(options.dsn));
  impl_->options = std::move(options);
}

Pool::~Pool() = default;

absl::Status Pool::Transact(const char* name, const std::function<absl::Status(pqxx::work&)>& body) {
  return impl_->Use(name, [&](Session& session) {
    pqxx::work tx(*session.connection);
    absl::Status status = body(tx);
    if (status.ok()) tx.commit();
    return status;
  });
}

absl::Status Pool::Select(const char* name, const std::string& text, const Params& params,
                          const std::function<absl::Status(const pqxx::result&)>& read) {
  return impl_->Use(name, [&](Session& session) {
    const std::string& prepared = session.Prepare(text);
    pqxx::nontransaction tx(*session.connection);
    return read(tx.exec_prepared(prepared, pqxx::prepare::make_dynamic_params(params.values())));
  });
}

absl::Status Pool::Ping() {
  return Transact("ping", [](pqxx::work& tx) {
    tx.exec("SELECT 1");
    return absl::OkStatus();
  });
}

std::unique_ptr<pqxx::connection> Pool::Connect(absl::Status* status) {
  try {
    *status = absl::OkStatus();
    return Open(impl_->options);
  } catch (...) {
    *status = FromException("connect");
    return nullptr;
  }
}

}  // namespace pepeunit::postgres
