#include "postgres_accounts.h"

#include <algorithm>

#include "ask_again.h"
#include "pepeunit/base/errors.h"
#include "postgres_invitations.h"
#include "rows.h"
#include "writes.h"

namespace pepeunit::graph_registry {

graph::v1::User ReadUser(const pqxx::row& row) {
  graph::v1::User user;
  user.set_id(row[0].c_str());
  user.set_login(row[1].c_str());
  user.set_administrator(row[2].as<bool>());
  ReadTime(row[3], user.mutable_created_at());
  user.set_blocked(row[4].as<bool>());
  user.set_devices_stopped(row[5].as<bool>());
  return user;
}

std::string UserColumns() {
  return "a.id, a.login, a.administrator, " + MsOf("n.created_at") + ", a.blocked, a.devices_stopped";
}

void EndSessions(pqxx::work& tx, const std::string& user, const Uuid& kept) {
  tx.exec_params("DELETE FROM session WHERE user_id = $1 AND id <> $2", user, kept.ToString());
}

absl::Status InsertAccount(pqxx::work& tx, const Actor& actor, const Account& account,
                           const std::string& invitation_hash) {
  const auto& user = account.user;
  InsertNode(tx, user.id(), graph::v1::NODE_TYPE_USER, "", user.id(), user.login(), common::v1::ACCESS_LEVEL_INSTANCE);
  tx.exec_params("INSERT INTO account (id, login, password_hash, administrator) VALUES ($1, $2, $3, $4)", user.id(),
                 user.login(), account.password_hash, user.administrator());
  nlohmann::json details = {{"login", user.login()}};
  if (!invitation_hash.empty()) {
    PEPEUNIT_ASSIGN_OR_RETURN(details["invitation_id"], UseInvitation(tx, invitation_hash, user.id()));
  }
  Audit(tx, actor, "user.create", user.id(), details);
  return absl::OkStatus();
}

absl::Status PostgresAccounts::CreateAccount(const Actor& actor, const Account& account,
                                             const std::string& invitation_hash) {
  return pool_.Transact("create account", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    return InsertAccount(tx, actor, account, invitation_hash);
  });
}

absl::StatusOr<bool> PostgresAccounts::HasInvitation(const std::string& hash) {
  return pool_.Query<bool>("has invitation",
                           [&](pqxx::work& tx) -> absl::StatusOr<bool> { return InvitationLives(tx, hash); });
}

absl::StatusOr<Account> PostgresAccounts::FindAccount(const std::string& login) {
  return pool_.Query<Account>("find account", [&](pqxx::work& tx) -> absl::StatusOr<Account> {
    const auto rows = tx.exec_params(
        "SELECT " + UserColumns() + ", a.password_hash FROM account a JOIN node n USING (id) WHERE a.login = $1",
        login);
    if (rows.empty()) return NotFound("user");
    return Account{ReadUser(rows[0]), rows[0][kUserColumns].c_str()};
  });
}

absl::StatusOr<graph::v1::User> PostgresAccounts::GetUser(const Uuid& id) {
  return pool_.Query<graph::v1::User>("get user", [&](pqxx::work& tx) -> absl::StatusOr<graph::v1::User> {
    const auto rows = tx.exec_params(
        "SELECT " + UserColumns() + " FROM account a JOIN node n USING (id) WHERE a.id = $1", id.ToString());
    if (rows.empty()) return NotFound("user");
    return ReadUser(rows[0]);
  });
}

absl::StatusOr<bool> PostgresAccounts::HasAdministrator() {
  return pool_.Query<bool>("has administrator", [](pqxx::work& tx) -> absl::StatusOr<bool> {
    return !tx.exec("SELECT 1 FROM account WHERE administrator LIMIT 1").empty();
  });
}

absl::StatusOr<graph::v1::User> PostgresAccounts::FindCaller(const Uuid& user, const Uuid& session) {
  return pool_.Query<graph::v1::User>("find caller", [&](pqxx::work& tx) -> absl::StatusOr<graph::v1::User> {
    const auto rows = tx.exec_params(
        "SELECT " + UserColumns() + " FROM account a JOIN node n USING (id) WHERE a.id = $1 AND " + MayCall("$2"),
        user.ToString(), session.ToString());
    if (rows.empty()) return NotFound("caller");
    return ReadUser(rows[0]);
  });
}

absl::StatusOr<std::map<Uuid, bool>> PostgresAccounts::FindCallers(const std::vector<std::pair<Uuid, Uuid>>& users) {
  using Found = std::map<Uuid, bool>;
  if (users.empty()) return Found{};
  std::vector<Uuid> ids, sessions;
  for (const auto& [id, session] : users) ids.push_back(id), sessions.push_back(session);
  return pool_.Query<Found>("find callers", [&](pqxx::work& tx) -> absl::StatusOr<Found> {
    Found found;
    for (const auto& row :
         tx.exec_params("SELECT DISTINCT c.session, a.administrator FROM unnest($1::uuid[], $2::uuid[]) c (id, session)"
                        " JOIN account a USING (id) WHERE " +
                            MayCall("c.session"),
                        postgres::ArrayOf(ids), postgres::ArrayOf(sessions))) {
      found[ReadUuid(row[0])] = row[1].as<bool>();
    }
    return found;
  });
}

absl::Status PostgresAccounts::CreateSession(const SessionRow& session, const std::string& refresh_hash,
                                             const std::string& password_hash) {
  constexpr int kMostSessions = 100;  // of one user
  return pool_.Transact("create session", [&](pqxx::work& tx) -> absl::Status {
    const std::string user = session.user_id.ToString();
    // Held until the session is there, so that a block or another password at the same moment ends it too.
    const auto account = tx.exec_params("SELECT blocked, password_hash FROM account WHERE id = $1 FOR SHARE", user);
    if (account.empty()) return NotFound("user");
    if (!password_hash.empty() && password_hash != account[0][1].c_str()) return BadCredentials();
    if (account[0][0].as<bool>()) {
      return Error(absl::StatusCode::kPermissionDenied, "BLOCKED",
                   "This user is blocked; an administrator of this instance may unblock him.");
    }
    tx.exec_params("DELETE FROM session WHERE user_id = $1 AND expires_at < now()", user);
    for (const auto& oldest :
         tx.exec_params("DELETE FROM session WHERE id IN (SELECT id FROM session WHERE user_id = $1"
                        " ORDER BY expires_at DESC, id OFFSET $2) RETURNING id",
                        user, kMostSessions - 1)) {
      Audit(tx, {}, "session.end-oldest", user, {{"session_id", oldest[0].c_str()}});
    }
    tx.exec_params(
        "INSERT INTO session (id, user_id, refresh_hash, expires_at, client_address)"
        " VALUES ($1, $2, $3, to_timestamp($4 / 1000.0), $5)",
        session.id.ToString(), user, pqxx::binarystring(refresh_hash), session.expires_at_ms, session.client_address);
    Audit(tx, {.user = session.user_id, .client_address = session.client_address}, "session.create", user);
    return absl::OkStatus();
  });
}

absl::StatusOr<SessionRow> PostgresAccounts::FindSession(const std::string& refresh_hash) {
  return pool_.Query<SessionRow>("find session", [&](pqxx::work& tx) -> absl::StatusOr<SessionRow> {
    const auto rows = tx.exec_params(
        "SELECT id, user_id, " + MsOf("expires_at") + " FROM session WHERE refresh_hash = $1 AND expires_at > now()",
        pqxx::binarystring(refresh_hash));
    if (rows.empty()) return NotFound("session");
    return SessionRow{ReadUuid(rows[0][0]), ReadUuid(rows[0][1]), rows[0][2].as<std::int64_t>()};
  });
}

absl::StatusOr<SessionRow> PostgresAccounts::RotateSession(const std::string& refresh_hash, const std::string& new_hash,
                                                           std::int64_t new_expires_at_ms) {
  // The end of a stolen session has to be committed, so it cannot be an error inside the transaction.
  auto rotated = pool_.Query<std::optional<SessionRow>>(
      "rotate session", [&](pqxx::work& tx) -> absl::StatusOr<std::optional<SessionRow>> {
        const auto rows = tx.exec_params(
            "UPDATE session SET previous_hash = refresh_hash, refresh_hash = $2, last_used_at = now(),"
            " expires_at = to_timestamp($3 / 1000.0)"
            " WHERE refresh_hash = $1 AND expires_at > now() RETURNING id, user_id",
            pqxx::binarystring(refresh_hash), pqxx::binarystring(new_hash), new_expires_at_ms);
        if (!rows.empty())
          return std::optional(SessionRow{ReadUuid(rows[0][0]), ReadUuid(rows[0][1]), new_expires_at_ms});
        for (const auto& stolen : tx.exec_params("DELETE FROM session WHERE previous_hash = $1 RETURNING user_id, id",
                                                 pqxx::binarystring(refresh_hash))) {
          // By nobody who is known: either its user or a thief came second.
          Audit(tx, {}, "session.end-reused", stolen[0].c_str(), {{"session_id", stolen[1].c_str()}});
        }
        return std::optional<SessionRow>();
      });
  if (!rotated.ok()) return rotated.status();
  if (!*rotated) return NotFound("session");
  return **rotated;
}

absl::Status PostgresAccounts::DeleteSession(const Actor& actor, const Uuid& id) {
  return pool_.Transact("delete session", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const std::string user = actor.user.ToString();
    const auto deleted = tx.exec_params("DELETE FROM session WHERE id = $1 AND user_id = $2", id.ToString(), user);
    if (deleted.affected_rows() == 0) return NotFound("session");
    Audit(tx, actor, "session.delete", user, {{"session_id", id.ToString()}});
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<graph::v1::SessionInfo>> PostgresAccounts::ListSessions(const Uuid& user) {
  using Rows = std::vector<graph::v1::SessionInfo>;
  return pool_.Query<Rows>("list sessions", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row :
         tx.exec_params("SELECT id, " + MsOf("created_at") + ", " + MsOf("last_used_at") + ", " + MsOf("expires_at") +
                            ", client_address FROM session WHERE user_id = $1 AND expires_at > now()"
                            " ORDER BY created_at DESC, id",
                        user.ToString())) {
      auto& session = rows.emplace_back();
      session.set_id(row[0].c_str());
      ReadTime(row[1], session.mutable_created_at());
      ReadTime(row[2], session.mutable_last_used_at());
      ReadTime(row[3], session.mutable_expires_at());
      session.set_client_address(row[4].c_str());
    }
    return rows;
  });
}

absl::StatusOr<std::vector<std::string>> PostgresAccounts::AddressesOf(const std::string& login) {
  using Rows = std::vector<std::string>;
  return pool_.Query<Rows>("addresses of login", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    Rows rows;
    for (const auto& row : tx.exec_params("SELECT DISTINCT s.client_address FROM session s JOIN account a"
                                          " ON a.id = s.user_id WHERE a.login = $1 AND s.expires_at > now()",
                                          login)) {
      rows.emplace_back(row[0].c_str());
    }
    return rows;
  });
}

absl::Status PostgresAccounts::DeleteOtherSessions(const Actor& actor, const Uuid& kept) {
  return pool_.Transact("delete other sessions", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    EndSessions(tx, actor.user.ToString(), kept);
    Audit(tx, actor, "session.end-others", actor.user.ToString());
    return absl::OkStatus();
  });
}

absl::Status PostgresAccounts::SetPassword(const Actor& actor, const Uuid& user, const std::string& hash,
                                           const Uuid& kept) {
  return pool_.Transact("set password", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const std::string id = user.ToString();
    if (tx.exec_params("UPDATE account SET password_hash = $2 WHERE id = $1", id, hash).affected_rows() == 0)
      return NotFound("user");
    EndSessions(tx, id, kept);
    Audit(tx, actor, "user.change-password", id);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::int64_t> PostgresAccounts::CountFailure(const std::string& key, const FailureBound& bound) {
  return pool_.Query<std::int64_t>("count failure", [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
    tx.exec("DELETE FROM login_failure WHERE last_at < now() - interval '1 day'");
    const std::string end =
        "f.last_at + make_interval(secs => least(2 * power(2, greatest(0, least(f.failures - $2, 20))), $3)::float8)";
    // One statement, so that guesses that come at once are counted one by one.
    const auto counted = tx.exec_params(
        "INSERT INTO login_failure AS f (login, failures) VALUES ($1, 1) ON CONFLICT (login)"
        " DO UPDATE SET failures = f.failures + 1, last_at = now() WHERE f.failures < $2::int OR " +
            end + " <= now()",
        key, bound.free, bound.longest_wait_s);
    if (counted.affected_rows() == 1) return 0;
    const auto wait = tx.exec_params(
        "SELECT " + MsOf("(" + end + " - now())") + " FROM login_failure f WHERE f.login = $1 AND $2::int >= 0", key,
        bound.free, bound.longest_wait_s);
    return wait.empty() ? 1 : std::max<std::int64_t>(1, wait[0][0].as<std::int64_t>());
  });
}

absl::Status PostgresAccounts::ForgiveFailure(const std::string& key) {
  return pool_.Transact("forgive failure", [&](pqxx::work& tx) {
    tx.exec_params("UPDATE login_failure SET failures = failures - 1 WHERE login = $1 AND failures > 0", key);
    return absl::OkStatus();
  });
}

absl::Status PostgresAccounts::ClearFailures(const std::string& key) {
  return pool_.Transact("clear failures", [&](pqxx::work& tx) {
    tx.exec_params("DELETE FROM login_failure WHERE login = $1", key);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::int64_t> PostgresAccounts::ForgetFailures(std::int64_t most) {
  return pool_.Query<std::int64_t>("forget failures", [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
    const auto deleted = tx.exec_params(
        "DELETE FROM login_failure WHERE login IN"
        " (SELECT login FROM login_failure ORDER BY last_at DESC, login OFFSET $1 LIMIT 5000)",
        most);
    return static_cast<std::int64_t>(deleted.affected_rows());
  });
}

}  // namespace pepeunit::graph_registry
