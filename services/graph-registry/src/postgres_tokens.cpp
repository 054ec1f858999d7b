#include "postgres_tokens.h"

#include <google/protobuf/util/time_util.h>

#include "ask_again.h"
#include "pepeunit/base/errors.h"
#include "rows.h"
#include "writes.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;
using Scopes = google::protobuf::RepeatedField<int>;

int BitsOf(const Scopes& scopes) {
  int bits = 0;
  for (const int scope : scopes) bits |= 1 << scope;
  return bits;
}

void ReadScopes(int bits, Scopes* out) {
  for (int scope = graph::v1::TokenScope_MIN; scope <= graph::v1::TokenScope_MAX; ++scope) {
    if ((bits & (1 << scope)) != 0) out->Add(scope);
  }
}

nlohmann::json DetailsOf(const std::string& id, const std::string& name, int bits) {
  Scopes scopes;
  ReadScopes(bits, &scopes);
  nlohmann::json names = nlohmann::json::array();
  for (const int scope : scopes) names.push_back(graph::v1::TokenScope_Name(scope));
  return {{"token_id", id}, {"name", name}, {"scopes", names}};
}

}  // namespace

absl::Status PostgresTokens::CreateToken(const Actor& actor, const graph::v1::PersonalToken& token,
                                         const std::string& hash, std::int64_t most) {
  return pool_.Transact("create token", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));  // holds his account, which makes the count exact
    const std::string user = actor.user.ToString();
    tx.exec_params("DELETE FROM personal_token WHERE user_id = $1 AND expires_at <= now()", user);
    const auto count = tx.exec_params1("SELECT count(*) FROM personal_token WHERE user_id = $1", user);
    if (count[0].as<std::int64_t>() >= most) {
      return Error(absl::StatusCode::kResourceExhausted, "LIMIT",
                   "At most " + std::to_string(most) + " tokens live for one user; delete some first.");
    }
    const int bits = BitsOf(token.scopes());
    tx.exec_params(
        "INSERT INTO personal_token (id, user_id, name, scopes, token_hash, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, to_timestamp($6 / 1000.0), to_timestamp($7 / 1000.0))",
        token.id(), user, token.name(), bits, pqxx::binarystring(hash),
        TimeUtil::TimestampToMilliseconds(token.created_at()), TimeUtil::TimestampToMilliseconds(token.expires_at()));
    auto details = DetailsOf(token.id(), token.name(), bits);
    details["expires_at"] = TimeUtil::ToString(token.expires_at());
    Audit(tx, actor, "token.create", user, details);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<graph::v1::PersonalToken>> PostgresTokens::ListTokens(const Uuid& user, const Page& page) {
  using Rows = std::vector<graph::v1::PersonalToken>;
  return pool_.Query<Rows>("list tokens", [&](pqxx::work& tx) -> absl::StatusOr<Rows> {
    const auto result = tx.exec_params("SELECT id, name, scopes, " + MsOf("created_at") + ", " + MsOf("expires_at") +
                                           ", " + MsOf("last_used_at") +
                                           " FROM personal_token WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                                       user.ToString(), page.after.ToString(), page.limit + 1);
    Rows rows;
    for (const auto& row : result) {
      auto& token = rows.emplace_back();
      token.set_id(row[0].c_str());
      token.set_name(row[1].c_str());
      ReadScopes(row[2].as<int>(), token.mutable_scopes());
      ReadTime(row[3], token.mutable_created_at());
      ReadTime(row[4], token.mutable_expires_at());
      if (!row[5].is_null()) ReadTime(row[5], token.mutable_last_used_at());
    }
    return rows;
  });
}

absl::Status PostgresTokens::DeleteToken(const Actor& actor, const Uuid& id) {
  return pool_.Transact("delete token", [&](pqxx::work& tx) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(AskAgain(tx, actor));
    const std::string user = actor.user.ToString();
    const auto deleted = tx.exec_params(
        "DELETE FROM personal_token WHERE id = $1 AND user_id = $2 RETURNING name, scopes", id.ToString(), user);
    if (deleted.empty()) return NotFound("token");
    Audit(tx, actor, "token.delete", user, DetailsOf(id.ToString(), deleted[0][0].c_str(), deleted[0][1].as<int>()));
    return absl::OkStatus();
  });
}

absl::StatusOr<graph::v1::OpenedPersonalToken> PostgresTokens::OpenToken(const std::string& hash) {
  using Opened = graph::v1::OpenedPersonalToken;
  return pool_.Query<Opened>("open token", [&](pqxx::work& tx) -> absl::StatusOr<Opened> {
    const auto rows =
        tx.exec_params("SELECT t.id, t.user_id, t.scopes, " + MsOf("t.expires_at") +
                           ", a.administrator, coalesce(t.last_used_at < now() - interval '1 minute', true)"
                           " FROM personal_token t JOIN account a ON a.id = t.user_id"
                           " WHERE t.token_hash = $1 AND t.expires_at > now() AND NOT a.blocked",
                       pqxx::binarystring(hash));
    if (rows.empty()) return NotFound("token");
    const auto& row = rows[0];
    Opened opened;
    opened.set_token_id(row[0].c_str());
    opened.set_user_id(row[1].c_str());
    const int hidden = row[4].as<bool>() ? 0 : 1 << graph::v1::TOKEN_SCOPE_ADMIN;
    ReadScopes(row[2].as<int>() & ~hidden, opened.mutable_scopes());
    opened.set_expires_at_ms(row[3].as<std::int64_t>());
    // Replicas of the gateway that ask at once write once: none waits for the row.
    if (row[5].as<bool>()) {
      tx.exec_params(
          "UPDATE personal_token SET last_used_at = now() WHERE id ="
          " (SELECT id FROM personal_token WHERE id = $1 FOR UPDATE SKIP LOCKED)",
          opened.token_id());
    }
    return opened;
  });
}

}  // namespace pepeunit::graph_registry
