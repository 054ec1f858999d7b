#include "postgres_identities.h"

#include "ask_again.h"
#include "pepeunit/base/errors.h"
#include "postgres_accounts.h"
#include "rows.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

absl::StatusOr<Uuid> OwnerOf(pqxx::work& tx, const std::string& issuer, const std::string& subject) {
  const auto rows = tx.exec_params("SELECT user_id FROM identity WHERE issuer = $1 AND subject = $2", issuer, subject);
  if (rows.empty()) return NotFound("identity");
  return ReadUuid(rows[0][0]);
}

// Whoever comes with the same identity waits until this transaction ends.
void LockIdentity(pqxx::work& tx, const IdentityRow& row) {
  tx.exec_params("SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))", row.identity.issuer(),
                 row.subject);
}

nlohmann::json DetailsOf(const std::string& id, const std::string& provider, const std::string& issuer) {
  return {{"identity_id", id}, {"provider", provider}, {"issuer", issuer}};
}

void InsertIdentity(pqxx::work& tx, const Actor& actor, const IdentityRow& row) {
  const auto& identity = row.identity;
  const std::string user = actor.user.ToString();
  tx.exec_params("INSERT INTO identity (id, user_id, provider, issuer, subject, name) VALUES ($1, $2, $3, $4, $5, $6)",
                 identity.id(), user, identity.provider(), identity.issuer(), row.subject, identity.name());
  Audit(tx, actor, "identity.create", user, DetailsOf(identity.id(), identity.provider(), identity.issuer()));
}

}  // namespace

absl::Status PostgresIdentities::CreateFlow(const OidcFlowRow& flow, std::int64_t most_of_address, std::int64_t most) {
  return pool_.Transact("create oidc flow", [&](pqxx::work& tx) -> absl::Status {
    tx.exec("DELETE FROM oidc_flow WHERE expires_at <= now()");
    const auto count = tx.exec_params1("SELECT count(*) FROM oidc_flow WHERE client_address = $1", flow.client_address);
    if (count[0].as<std::int64_t>() >= most_of_address) {
      return Limit("Too many sign-ins from this address are not finished; wait.", 60'000);
    }
    tx.exec_params(
        "DELETE FROM oidc_flow WHERE state_hash IN (SELECT state_hash FROM oidc_flow ORDER BY expires_at DESC OFFSET "
        "$1)",
        most - 1);
    tx.exec_params(
        "INSERT INTO oidc_flow (state_hash, secret_hash, provider, salt, user_id, client_address, expires_at,"
        " invitation_hash) VALUES ($1, $2, $3, $4, nullif($5, $6)::uuid, $7, to_timestamp($8 / 1000.0), $9)",
        pqxx::binarystring(flow.state_hash), pqxx::binarystring(flow.secret_hash), flow.provider,
        pqxx::binarystring(flow.salt), flow.user.ToString(), Uuid().ToString(), flow.client_address, flow.expires_at_ms,
        pqxx::binarystring(flow.invitation_hash));
    return absl::OkStatus();
  });
}

absl::StatusOr<OidcFlowRow> PostgresIdentities::TakeFlow(const std::string& state_hash, const std::string& secret_hash,
                                                         const Uuid& user) {
  return pool_.Query<OidcFlowRow>("take oidc flow", [&](pqxx::work& tx) -> absl::StatusOr<OidcFlowRow> {
    const auto rows = tx.exec_params(
        "DELETE FROM oidc_flow WHERE state_hash = $1 AND secret_hash = $2 AND expires_at > now()"
        " AND user_id IS NOT DISTINCT FROM nullif($3, $4)::uuid RETURNING provider, salt, client_address, " +
            MsOf("expires_at") + ", invitation_hash",
        pqxx::binarystring(state_hash), pqxx::binarystring(secret_hash), user.ToString(), Uuid().ToString());
    if (rows.empty()) return NotFound("flow");
    return OidcFlowRow{.state_hash = state_hash,
                       .secret_hash = secret_hash,
                       .provider = rows[0][0].c_str(),
                       .salt = ReadBytes(rows[0][1]),
                       .user = user,
                       .client_address = rows[0][2].c_str(),
                       .expires_at_ms = rows[0][3].as<std::int64_t>(),
                       .invitation_hash = ReadBytes(rows[0][4])};
  });
}

absl::StatusOr<Uuid> PostgresIdentities::FindIdentity(const std::string& issuer, const std::string& subject) {
  return pool_.Query<Uuid>("find identity", [&](pqxx::work& tx) { return OwnerOf(tx, issuer, subject); });
}

absl::StatusOr<Uuid> PostgresIdentities::CreateAccountWith(const Actor& actor, const IdentityRow& row,
                                                           const Account& account) {
  return pool_.Query<Uuid>("create account with identity", [&](pqxx::work& tx) -> absl::StatusOr<Uuid> {
    LockIdentity(tx, row);
    auto owner = OwnerOf(tx, row.identity.issuer(), row.subject);
    if (!absl::IsNotFound(owner.status())) return owner;
    PEPEUNIT_RETURN_IF_ERROR(InsertAccount(tx, actor, account, row.invitation_hash));
    InsertIdentity(tx, actor, row);
    return actor.user;
  });
}

absl::Status PostgresIdentities::CreateIdentity(const Actor& actor, const IdentityRow& row, std::int64_t most) {
  return pool_.Transact("create identity", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));  // holds his account, which makes the count exact
    const std::string user = actor.user.ToString();
    LockIdentity(tx, row);
    if (OwnerOf(tx, row.identity.issuer(), row.subject).ok()) {
      return Error(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", "This account is linked to a user already.");
    }
    const auto count = tx.exec_params1("SELECT count(*) FROM identity WHERE user_id = $1", user);
    if (count[0].as<std::int64_t>() >= most) {
      return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
                   "At most " + std::to_string(most) + " accounts elsewhere can be linked; unlink some first.");
    }
    InsertIdentity(tx, actor, row);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<graph::v1::Identity>> PostgresIdentities::ListIdentities(const Uuid& user,
                                                                                    const Page& page) {
  using Rows = std::vector<graph::v1::Identity>;
  return pool_.Query<Rows>("list identities", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const auto result = tx.exec_params("SELECT id, provider, issuer, name, " + MsOf("created_at") +
                                           " FROM identity WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                                       user.ToString(), page.after.ToString(), page.limit + 1);
    Rows rows;
    for (const auto& row : result) {
      auto& identity = rows.emplace_back();
      identity.set_id(row[0].c_str());
      identity.set_provider(row[1].c_str());
      identity.set_issuer(row[2].c_str());
      identity.set_name(row[3].c_str());
      ReadTime(row[4], identity.mutable_created_at());
    }
    return rows;
  });
}

absl::Status PostgresIdentities::DeleteIdentity(const Actor& actor, const Uuid& id) {
  return pool_.Transact("delete identity", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const std::string user = actor.user.ToString();
    const auto account = tx.exec_params1("SELECT password_hash = '' FROM account WHERE id = $1", user);
    const auto deleted = tx.exec_params(
        "DELETE FROM identity WHERE id = $1 AND user_id = $2 RETURNING provider, issuer", id.ToString(), user);
    if (deleted.empty()) return NotFound("identity");
    if (account[0].as<bool>() && tx.exec_params("SELECT 1 FROM identity WHERE user_id = $1", user).empty()) {
      return Error(absl::StatusCode::kFailedPrecondition, "LAST_SIGN_IN",
                   "Without it and without a password you could not sign in any more.");
    }
    Audit(tx, actor, "identity.delete", user, DetailsOf(id.ToString(), deleted[0][0].c_str(), deleted[0][1].c_str()));
    return absl::OkStatus();
  });
}

}  // namespace pepeunit::graph_registry
