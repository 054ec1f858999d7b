#pragma once

#include <string>
#include <vector>

#include "account_store.h"
#include "pepeunit/graph/v1/oidc.pb.h"

// Where accounts elsewhere are kept, and the sign-ins that are under way. Each call is one transaction, with the audit
// of who made it. Thread-safe. Errors as those of GraphStore.
namespace pepeunit::graph_registry {

// A sign-in that was begun.
struct OidcFlowRow {
  std::string state_hash, secret_hash;  // SHA-256
  std::string provider;
  std::string salt;
  Uuid user;  // whoever links an account; nil: a sign-in
  std::string client_address;
  std::int64_t expires_at_ms = 0;
  std::string invitation_hash{};  // what a new user signs up with; empty: nothing
};

struct IdentityRow {
  graph::v1::Identity identity;
  std::string subject;
  std::string invitation_hash{};  // that of its flow
};

class IdentityStore {
 public:
  virtual ~IdentityStore() = default;

  // RESOURCE_EXHAUSTED when `most_of_address` others of the same address are under way. Beyond `most` in all the oldest
  // is forgotten.
  virtual absl::Status CreateFlow(const OidcFlowRow& flow, std::int64_t most_of_address, std::int64_t most) = 0;
  // The living flow with these hashes that this user began (nil: nobody), which is over with that.
  virtual absl::StatusOr<OidcFlowRow> TakeFlow(const std::string& state_hash, const std::string& secret_hash,
                                               const Uuid& user) = 0;

  virtual absl::StatusOr<Uuid> FindIdentity(const std::string& issuer, const std::string& subject) = 0;  // whose it is
  // The user of an identity that is new: `account`, for whom its invitation is used up if there is one, or whoever came
  // with it at the same moment. ALREADY_EXISTS when the login is taken; PERMISSION_DENIED (BAD_INVITATION).
  virtual absl::StatusOr<Uuid> CreateAccountWith(const Actor& actor, const IdentityRow& row,
                                                 const Account& account) = 0;
  // For the actor. ALREADY_EXISTS; RESOURCE_EXHAUSTED when he has `most` already.
  virtual absl::Status CreateIdentity(const Actor& actor, const IdentityRow& row, std::int64_t most) = 0;
  virtual absl::StatusOr<std::vector<graph::v1::Identity>> ListIdentities(const Uuid& user, const Page& page) = 0;
  // Of the actor's own. FAILED_PRECONDITION (LAST_SIGN_IN) when he could not sign in any more.
  virtual absl::Status DeleteIdentity(const Actor& actor, const Uuid& id) = 0;
};

}  // namespace pepeunit::graph_registry
