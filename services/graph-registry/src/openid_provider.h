#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "id_token.h"
#include "oidc.h"
#include "web.h"

namespace pepeunit::graph_registry {

struct OidcProviderSettings {
  std::string name, title;
  std::string issuer, client_id;
  std::string client_secret;  // empty: a public client
  std::string scopes;         // with `openid`
};

// An OpenID provider that publishes its endpoints (OpenID Connect Discovery 1.0). What it publishes is kept for an
// hour; its keys are asked for again when a token names an unknown one, at most every 30 s. Thread-safe.
class OpenIdProvider final : public IdentityProvider {
 public:
  using Clock = std::function<std::int64_t()>;  // Unix time in ms

  // `redirect_url` is where it sends people back to.
  OpenIdProvider(OidcProviderSettings settings, std::string redirect_url, Web& web, Clock clock = {});

  graph::v1::OidcProvider Description() const override;
  absl::StatusOr<std::string> AuthorizationUrl(const OidcSecrets& secrets) override;
  absl::StatusOr<OidcPerson> Redeem(const OidcAnswer& answer, const OidcSecrets& secrets) override;

 private:
  struct Published {
    std::string authorization_endpoint, token_endpoint, jwks_uri;
    bool basic = true;       // the client's secret in a header, not in the form
    bool names_iss = false;  // every answer by way of the browser names the issuer (RFC 9207)
  };

  absl::StatusOr<Published> Discover();
  absl::StatusOr<KeySet> Keys(bool again);
  absl::StatusOr<Published> ReadPublished(const std::string& body) const;
  absl::StatusOr<std::string> FetchToken(const Published& published, const std::string& code,
                                         const std::string& verifier);
  absl::StatusOr<std::string> Get(const std::string& url);
  absl::Status Away(const std::string& why) const;

  const OidcProviderSettings settings_;
  const std::string redirect_url_;
  Web& web_;
  const Clock now_ms_;
  std::mutex mutex_;  // held while it is asked: one question at a time
  std::optional<Published> published_;
  std::optional<KeySet> keys_;
  std::int64_t published_ms_ = 0, keys_ms_ = 0, failed_ms_ = 0;
};

struct OidcSettings {
  std::vector<OidcProviderSettings> providers;
  std::string redirect_url;
};
Oidc::Providers OpenIdProviders(const OidcSettings& settings, Web& web);

}  // namespace pepeunit::graph_registry
