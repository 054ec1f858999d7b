#include "openid_provider.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"

namespace pepeunit::graph_registry {
namespace {

using nlohmann::json;

constexpr std::int64_t kKeepPublishedMs = 3'600'000;
constexpr std::int64_t kKeysAgainMs = 30'000;
constexpr std::int64_t kFailedMs = 2'000;  // so long it is not asked again when it did not answer

std::string StringIn(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool ListHas(const json& object, const char* name, const char* value) {
  const auto found = object.find(name);
  return found != object.end() && found->is_array() && std::find(found->begin(), found->end(), value) != found->end();
}

}  // namespace

OpenIdProvider::OpenIdProvider(OidcProviderSettings settings, std::string redirect_url, Web& web, Clock clock)
    : settings_(std::move(settings)),
      redirect_url_(std::move(redirect_url)),
      web_(web),
      now_ms_(clock ? std::move(clock) : Clock(&NowMs)) {}

graph::v1::OidcProvider OpenIdProvider::Description() const {
  graph::v1::OidcProvider description;
  description.set_name(settings_.name);
  description.set_title(settings_.title);
  description.set_issuer(settings_.issuer);
  return description;
}

absl::Status OpenIdProvider::Away(const std::string& why) const {
  log::Warning("an OpenID provider does not answer as it should", {{"provider", settings_.name}, {"cause", why}});
  return Unavailable("The provider does not answer as it should; try again later.");
}

absl::StatusOr<std::string> OpenIdProvider::Get(const std::string& url) {
  if (now_ms_() - failed_ms_ < kFailedMs) return Unavailable("The provider does not answer; try again later.");
  auto answer = web_.Fetch({.url = url});
  if (answer.ok() && answer->status == 200) return std::move(answer->body);
  failed_ms_ = now_ms_();
  return answer.ok() ? Away("status " + std::to_string(answer->status)) : answer.status();
}

absl::StatusOr<OpenIdProvider::Published> OpenIdProvider::ReadPublished(const std::string& body) const {
  const json document = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return Away("no JSON object");
  if (StringIn(document, "issuer") != settings_.issuer) return Away("it names another issuer");
  Published published{.authorization_endpoint = StringIn(document, "authorization_endpoint"),
                      .token_endpoint = StringIn(document, "token_endpoint"),
                      .jwks_uri = StringIn(document, "jwks_uri")};
  for (const auto& url : {published.authorization_endpoint, published.token_endpoint, published.jwks_uri}) {
    if (!IsSafeUrl(url)) return Away("an endpoint is missing or not safe");
  }
  constexpr char kPkce[] = "code_challenge_methods_supported", kAuth[] = "token_endpoint_auth_methods_supported";
  if (document.contains(kPkce) && !ListHas(document, kPkce, "S256")) return Away("it does not know PKCE with S256");
  published.basic = !document.contains(kAuth) || ListHas(document, kAuth, "client_secret_basic");
  published.names_iss = document.value("authorization_response_iss_parameter_supported", json(false)) == true;
  return published;
}

absl::StatusOr<OpenIdProvider::Published> OpenIdProvider::Discover() {
  std::lock_guard lock(mutex_);
  if (published_ && now_ms_() - published_ms_ < kKeepPublishedMs) return *published_;
  std::string base = settings_.issuer;
  while (base.ends_with('/')) base.pop_back();
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string body, Get(base + "/.well-known/openid-configuration"));
  auto published = ReadPublished(body);
  (published.ok() ? published_ms_ : failed_ms_) = now_ms_();
  if (published.ok()) published_ = *published;
  return published;
}

absl::StatusOr<KeySet> OpenIdProvider::Keys(bool again) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Published published, Discover());
  std::lock_guard lock(mutex_);
  const std::int64_t age = now_ms_() - keys_ms_;
  if (keys_ && age < (again ? kKeysAgainMs : kKeepPublishedMs)) return *keys_;
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string body, Get(published.jwks_uri));
  auto keys = KeySet::Parse(body);
  if (!keys.ok()) return Away("its keys are no key set");
  keys_ = *std::move(keys);
  keys_ms_ = now_ms_();
  return *keys_;
}

absl::StatusOr<std::string> OpenIdProvider::AuthorizationUrl(const OidcSecrets& secrets) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Published published, Discover());
  std::string url = published.authorization_endpoint;
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  const auto add = [&](const char* name, const std::string& value) {
    url += separator + std::string(name) + '=' + PercentEncode(value);
    separator = '&';
  };
  add("response_type", "code");
  add("client_id", settings_.client_id);
  add("redirect_uri", redirect_url_);
  add("scope", settings_.scopes);
  add("state", secrets.state);
  add("nonce", secrets.nonce);
  add("code_challenge", Base64UrlEncode(AsBytes(Sha256(AsBytes(secrets.verifier)))));
  add("code_challenge_method", "S256");
  return url;
}

absl::StatusOr<std::string> OpenIdProvider::FetchToken(const Published& published, const std::string& code,
                                                       const std::string& verifier) {
  WebRequest request{.url = published.token_endpoint};
  request.form = "grant_type=authorization_code&code=" + PercentEncode(code) +
                 "&redirect_uri=" + PercentEncode(redirect_url_) + "&code_verifier=" + PercentEncode(verifier);
  if (!settings_.client_secret.empty() && published.basic) {
    // RFC 6749, section 2.3.1: both are encoded first.
    request.user = PercentEncode(settings_.client_id);
    request.secret = PercentEncode(settings_.client_secret);
  } else {
    request.form += "&client_id=" + PercentEncode(settings_.client_id);
    if (!settings_.client_secret.empty()) request.form += "&client_secret=" + PercentEncode(settings_.client_secret);
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const WebAnswer answer, web_.Fetch(request));
  const json body = json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (answer.status == 400 && body.is_object() && StringIn(body, "error") == "invalid_grant") {
    return Unauthenticated("The provider does not know this sign-in; begin again.");
  }
  if (answer.status != 200 || !body.is_object()) return Away("status " + std::to_string(answer.status) + " for a code");
  return StringIn(body, "id_token");
}

absl::StatusOr<OidcPerson> OpenIdProvider::Redeem(const OidcAnswer& answer, const OidcSecrets& secrets) {
  PEPEUNIT_ASSIGN_OR_RETURN(const Published published, Discover());
  if (answer.iss.empty() ? published.names_iss : answer.iss != settings_.issuer) {
    return Unauthenticated("The answer is another provider's; begin again.");
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string token, FetchToken(published, answer.code, secrets.verifier));
  const IdTokenRules rules{
      .issuer = settings_.issuer, .client_id = settings_.client_id, .nonce = secrets.nonce, .now_s = now_ms_() / 1000};
  PEPEUNIT_ASSIGN_OR_RETURN(KeySet keys, Keys(false));
  auto claims = VerifyIdToken(token, keys, rules);
  if (absl::IsNotFound(claims.status())) {
    PEPEUNIT_ASSIGN_OR_RETURN(keys, Keys(true));
    claims = VerifyIdToken(token, keys, rules);
  }
  if (!claims.ok()) {
    log::Warning("an ID token was refused", {{"provider", settings_.name}, {"status", claims.status()}});
    return Unauthenticated("The provider's answer cannot be trusted; begin again.");
  }
  return OidcPerson{.issuer = settings_.issuer, .subject = claims->subject, .name = claims->preferred_username};
}

Oidc::Providers OpenIdProviders(const OidcSettings& settings, Web& web) {
  Oidc::Providers providers;
  for (const OidcProviderSettings& each : settings.providers) {
    providers.push_back(std::make_unique<OpenIdProvider>(each, settings.redirect_url, web));
  }
  return providers;
}

}  // namespace pepeunit::graph_registry
