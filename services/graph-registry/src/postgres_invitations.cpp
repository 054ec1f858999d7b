#include "postgres_invitations.h"

#include <google/protobuf/util/time_util.h>

#include "ask_again.h"
#include "rows.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr char kLives[] = " used_by IS NULL AND expires_at > now()";

}  // namespace

absl::Status PostgresInvitations::CreateInvitation(const Actor& actor, const graph::v1::Invitation& invitation,
                                                   const std::string& hash, std::int64_t most) {
  return pool_.Transact("create invitation", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    // Makes the count exact.
    tx.exec("SELECT pg_advisory_xact_lock(hashtext(current_schema() || ' invitations'))");
    const auto count = tx.exec1(std::string("SELECT count(*) FROM invitation WHERE") + kLives);
    if (count[0].as<std::int64_t>() >= most) {
      return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
                   "At most " + std::to_string(most) + " invitations may wait to be used; revoke some first.");
    }
    tx.exec_params(
        "INSERT INTO invitation (id, secret_hash, note, created_by, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, to_timestamp($5 / 1000.0), to_timestamp($6 / 1000.0))",
        invitation.id(), pqxx::binarystring(hash), invitation.note(), invitation.created_by(),
        TimeUtil::TimestampToMilliseconds(invitation.created_at()),
        TimeUtil::TimestampToMilliseconds(invitation.expires_at()));
    Audit(tx, actor, "invitation.create", actor.user.ToString(),
          {{"invitation_id", invitation.id()},
           {"note", invitation.note()},
           {"expires_at", TimeUtil::ToString(invitation.expires_at())}});
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<graph::v1::Invitation>> PostgresInvitations::ListInvitations(const Page& page) {
  using Rows = std::vector<graph::v1::Invitation>;
  return pool_.Query<Rows>("list invitations", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const auto result =
        tx.exec_params("SELECT id, note, created_by, " + MsOf("created_at") + ", " + MsOf("expires_at") +
                           ", used_by, " + MsOf("used_at") + " FROM invitation WHERE id > $1 ORDER BY id LIMIT $2",
                       page.after.ToString(), page.limit + 1);
    Rows rows;
    for (const auto& row : result) {
      auto& invitation = rows.emplace_back();
      invitation.set_id(row[0].c_str());
      invitation.set_note(row[1].c_str());
      invitation.set_created_by(row[2].c_str());
      ReadTime(row[3], invitation.mutable_created_at());
      ReadTime(row[4], invitation.mutable_expires_at());
      if (row[5].is_null()) continue;
      invitation.set_used_by(row[5].c_str());
      ReadTime(row[6], invitation.mutable_used_at());
    }
    return rows;
  });
}

absl::Status PostgresInvitations::DeleteInvitation(const Actor& actor, const Uuid& id) {
  return pool_.Transact("delete invitation", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const auto rows =
        tx.exec_params("SELECT used_by IS NOT NULL, note FROM invitation WHERE id = $1 FOR UPDATE", id.ToString());
    if (rows.empty()) return NotFound("invitation");
    if (rows[0][0].as<bool>()) {
      return Error(absl::StatusCode::kFailedPrecondition, "IN_USE",
                   "Somebody signed up with this invitation; block or delete the user instead.");
    }
    tx.exec_params("DELETE FROM invitation WHERE id = $1", id.ToString());
    Audit(tx, actor, "invitation.delete", actor.user.ToString(),
          {{"invitation_id", id.ToString()}, {"note", rows[0][1].c_str()}});
    return absl::OkStatus();
  });
}

absl::StatusOr<std::int64_t> PostgresInvitations::ForgetInvitations() {
  return pool_.Query<std::int64_t>("forget invitations", [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
    const auto deleted = tx.exec(
        "DELETE FROM invitation WHERE id IN (SELECT id FROM invitation"
        " WHERE expires_at < now() - interval '90 days' LIMIT 5000)");
    return static_cast<std::int64_t>(deleted.affected_rows());
  });
}

bool InvitationLives(pqxx::work& tx, const std::string& hash) {
  return !tx.exec_params(std::string("SELECT 1 FROM invitation WHERE secret_hash = $1 AND") + kLives,
                         pqxx::binarystring(hash))
              .empty();
}

absl::StatusOr<std::string> UseInvitation(pqxx::work& tx, const std::string& hash, const std::string& user) {
  const auto used = tx.exec_params(std::string("UPDATE invitation SET used_by = $2, used_at = now()"
                                               " WHERE secret_hash = $1 AND") +
                                       kLives + " RETURNING id",
                                   pqxx::binarystring(hash), user);
  if (used.empty()) return BadInvitation();
  return std::string(used[0][0].c_str());
}

}  // namespace pepeunit::graph_registry
