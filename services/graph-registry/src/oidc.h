#pragma once

#include <memory>
#include <string>
#include <vector>

#include "accounts.h"
#include "identity_store.h"
#include "pepeunit/rpc/caller.h"

namespace pepeunit::graph_registry {

// What ties one sign-in together. All are unguessable and used once.
struct OidcSecrets {
  std::string state, nonce, verifier;
};

// Whom a provider vouches for.
struct OidcPerson {
  std::string issuer, subject;  // together for good
  std::string name;             // preferred_username; may be empty, and anything
};

// What came back from a provider, by way of the browser.
struct OidcAnswer {
  std::string code;
  std::string iss;  // may be empty
};

// The port to an OpenID provider. Thread-safe; calls wait for the network. UNAVAILABLE when it does not answer as it
// should, UNAUTHENTICATED when it vouches for nobody.
class IdentityProvider {
 public:
  virtual ~IdentityProvider() = default;
  virtual graph::v1::OidcProvider Description() const = 0;
  virtual absl::StatusOr<std::string> AuthorizationUrl(const OidcSecrets& secrets) = 0;
  virtual absl::StatusOr<OidcPerson> Redeem(const OidcAnswer& answer, const OidcSecrets& secrets) = 0;
};

// Signing in with accounts elsewhere, and linking them (A5). Thread-safe.
class Oidc {
 public:
  using Providers = std::vector<std::unique_ptr<IdentityProvider>>;

  Oidc(IdentityStore& store, Accounts& accounts, Providers providers)
      : store_(store), accounts_(accounts), providers_(std::move(providers)) {}

  absl::Status List(graph::v1::ListOidcProvidersResponse& out) const;
  absl::Status Begin(const rpc::Caller& caller, const graph::v1::BeginOidcRequest& request, graph::v1::OidcFlow& out);
  absl::Status Finish(const rpc::Caller& caller, const graph::v1::FinishOidcRequest& request, graph::v1::Session& out);

  absl::Status Link(const rpc::Caller& caller, const graph::v1::FinishOidcRequest& request, graph::v1::Identity& out);
  absl::Status ListIdentities(const rpc::Caller& caller, const graph::v1::ListIdentitiesRequest& request,
                              graph::v1::ListIdentitiesResponse& out);
  absl::Status Unlink(const rpc::Caller& caller, const std::string& id);

 private:
  IdentityProvider* Find(const std::string& name) const;
  // Whom the provider vouches for, in a flow that `user` began (nil: nobody).
  absl::StatusOr<IdentityRow> Redeem(const graph::v1::FinishOidcRequest& request, const Uuid& user);
  absl::StatusOr<Uuid> SignUp(const rpc::Caller& caller, const IdentityRow& row);

  IdentityStore& store_;
  Accounts& accounts_;
  const Providers providers_;
};

}  // namespace pepeunit::graph_registry
