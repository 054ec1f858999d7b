#include "ask_again.h"
#include "pepeunit/base/errors.h"
#include "postgres_accounts.h"
#include "rows.h"
#include "unit_events.h"
#include "visibility.h"
#include "writes.h"

// Users as administrators govern them.
namespace pepeunit::graph_registry {

absl::Status LockAdministrators(pqxx::work& tx, const std::string& user, bool loses) {
  // In the order of their ids, so that two who block each other at once wait for each other, and one is left.
  tx.exec_params("SELECT 1 FROM account WHERE (administrator AND NOT blocked) OR id = $1 ORDER BY id FOR UPDATE", user);
  const auto rows = tx.exec_params("SELECT administrator AND NOT blocked FROM account WHERE id = $1", user);
  if (rows.empty()) return NotFound("user");
  if (!loses || !rows[0][0].as<bool>()) return absl::OkStatus();
  if (tx.exec("SELECT 1 FROM account WHERE administrator AND NOT blocked LIMIT 2").size() == 2) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, "LAST_ADMINISTRATOR",
               "He is the last administrator who can sign in; make another one first.");
}

absl::StatusOr<std::vector<graph::v1::User>> PostgresAccounts::ListUsers(const access::Subject& viewer,
                                                                         const UserFilter& filter, const Page& page) {
  using Rows = std::vector<graph::v1::User>;
  return pool_.Query<Rows>("list users", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    postgres::Params params;
    std::string conditions;
    if (!filter.login.empty()) {
      // Above all that logins are made of.
      conditions += " AND a.login ~>=~ " + tx.quote(filter.login) + " AND a.login ~<~ " + tx.quote(filter.login + '~');
    }
    if (filter.blocked) conditions += std::string(" AND ") + (*filter.blocked ? "" : "NOT ") + "a.blocked";
    if (filter.administrator)
      conditions += std::string(" AND ") + (*filter.administrator ? "" : "NOT ") + "a.administrator";
    const std::string from = conditions.empty()
                                 ? "(" + VisibleIds(params, viewer, graph::v1::NODE_TYPE_USER, page) +
                                       ") page JOIN account a USING (id) JOIN node n USING (id)"
                                 : "account a JOIN node n USING (id) WHERE a.id > " + params.Id(page.after) + " AND " +
                                       VisibleTo(params, viewer, "n", "n") + conditions;
    Rows rows;
    const std::string query =
        "SELECT " + UserColumns() + " FROM " + from + " ORDER BY a.id LIMIT " + std::to_string(page.limit + 1);
    for (const auto& row : postgres::Exec(tx, query, params)) {
      rows.push_back(ReadUser(row));
    }
    return rows;
  });
}

absl::Status PostgresAccounts::SetAdministrator(const Actor& actor, const Uuid& user, bool administrator) {
  return TransactWithEvents(pool_, relay_, gate_, "set administrator", [&](pqxx::work& tx) -> absl::Status {
    const std::string id = user.ToString();
    PEPEUNIT_RETURN_IF_ERROR(LockAdministrators(tx, id, !administrator));
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const auto changed = tx.exec_params("UPDATE account SET administrator = $2 WHERE id = $1 AND administrator <> $2",
                                        id, administrator);
    if (changed.affected_rows() == 0) return absl::OkStatus();
    Audit(tx, actor, "user.set-administrator", id, {{"administrator", administrator}});
    // What he drew by that power.
    AppendCreatorChanged(tx, id);
    return absl::OkStatus();
  });
}

absl::Status PostgresAccounts::SetBlocked(const Actor& actor, const Uuid& user, bool blocked, bool devices_stopped) {
  return TransactWithEvents(pool_, relay_, gate_, "set blocked", [&](pqxx::work& tx) -> absl::Status {
    const std::string id = user.ToString();
    PEPEUNIT_RETURN_IF_ERROR(LockAdministrators(tx, id, blocked));
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const auto before = tx.exec_params1("SELECT devices_stopped FROM account WHERE id = $1", id);
    tx.exec_params("UPDATE account SET blocked = $2, devices_stopped = $3 WHERE id = $1", id, blocked, devices_stopped);
    if (blocked) {
      EndSessions(tx, id, {});
      tx.exec_params("DELETE FROM personal_token WHERE user_id = $1", id);
      tx.exec_params("DELETE FROM password_reset WHERE user_id = $1", id);
    }
    Audit(tx, actor, blocked ? "user.block" : "user.unblock", id, {{"devices_stopped", devices_stopped}});
    if (before[0].as<bool>() != devices_stopped) AppendDevicesStopped(tx, id);
    return absl::OkStatus();
  });
}

absl::Status PostgresAccounts::CreateReset(const Actor& actor, const Uuid& user, const std::string& secret_hash,
                                           std::int64_t expires_at_ms) {
  return pool_.Transact("create reset", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const std::string id = user.ToString();
    // Held until the reset is there, so that a block at the same moment takes it away.
    const auto account = tx.exec_params("SELECT blocked FROM account WHERE id = $1 FOR SHARE", id);
    if (account.empty()) return NotFound("user");
    if (account[0][0].as<bool>()) {
      return Error(absl::StatusCode::kFailedPrecondition, "BLOCKED", "This user is blocked; unblock him first.");
    }
    tx.exec_params(
        "INSERT INTO password_reset (user_id, secret_hash, expires_at) VALUES ($1, $2, to_timestamp($3 / 1000.0))"
        " ON CONFLICT (user_id) DO UPDATE SET secret_hash = excluded.secret_hash, expires_at = excluded.expires_at",
        id, pqxx::binarystring(secret_hash), expires_at_ms);
    Audit(tx, actor, "user.reset-password", id);
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> PostgresAccounts::HasReset(const std::string& secret_hash) {
  return pool_.Query<bool>("has reset", [&](pqxx::work& tx) -> absl::StatusOr<bool> {
    return !tx.exec_params("SELECT 1 FROM password_reset WHERE secret_hash = $1 AND expires_at > now()",
                           pqxx::binarystring(secret_hash))
                .empty();
  });
}

absl::Status PostgresAccounts::RedeemReset(const std::string& secret_hash, const std::string& password_hash,
                                           const std::string& client_address) {
  return pool_.Transact("redeem reset", [&](pqxx::work& tx) -> absl::Status {
    // The account before what hangs on it, as everywhere; so a session that is being made ends too.
    tx.exec_params(
        "SELECT 1 FROM account WHERE id = (SELECT user_id FROM password_reset WHERE secret_hash = $1) FOR UPDATE",
        pqxx::binarystring(secret_hash));
    const auto redeemed =
        tx.exec_params("DELETE FROM password_reset WHERE secret_hash = $1 AND expires_at > now() RETURNING user_id",
                       pqxx::binarystring(secret_hash));
    if (redeemed.empty()) return NotFound("reset");
    const std::string id = redeemed[0][0].c_str();
    const auto login =
        tx.exec_params1("UPDATE account SET password_hash = $2 WHERE id = $1 RETURNING login", id, password_hash);
    EndSessions(tx, id, {});
    tx.exec_params("DELETE FROM personal_token WHERE user_id = $1", id);
    tx.exec_params("DELETE FROM login_failure WHERE login = $1 OR starts_with(login, $1 || ' ')", login[0].c_str());
    Audit(tx, {.user = ReadUuid(redeemed[0][0]), .client_address = client_address}, "user.redeem-reset", id);
    return absl::OkStatus();
  });
}

}  // namespace pepeunit::graph_registry
