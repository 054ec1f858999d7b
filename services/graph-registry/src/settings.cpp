#include "settings.h"

#include <sstream>

#include "pepeunit/rpc/client.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kStandard[] = "PEPEUNIT_STANDARD_REPOSITORIES";

std::vector<graph::v1::StandardRepository> ReadStandard(const std::string& text, absl::Status* problem) {
  std::vector<graph::v1::StandardRepository> list;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      *problem = absl::InvalidArgumentError(std::string(kStandard) + ": '" + word + "' is not `name=url`");
      continue;
    }
    auto& repository = list.emplace_back();
    repository.set_name(word.substr(0, equals));
    repository.set_url(word.substr(equals + 1));
  }
  return list;
}

graph::v1::Registration ReadRegistration(const std::string& text) {
  if (text == "open") return graph::v1::REGISTRATION_OPEN;
  if (text == "invitation") return graph::v1::REGISTRATION_INVITATION;
  return text == "closed" ? graph::v1::REGISTRATION_CLOSED : graph::v1::REGISTRATION_UNSPECIFIED;
}

// Of each name in PEPEUNIT_OIDC_PROVIDERS.
OidcSettings ReadOidc(Config& config, absl::Status* problem) {
  OidcSettings s;
  std::istringstream names(config.String("PEPEUNIT_OIDC_PROVIDERS", "",
                                         "names of OpenID providers to sign in with, separated by spaces; of each, "
                                         "named here <NAME> in upper case, the variables below"));
  for (std::string name; names >> name;) {
    std::string key = "PEPEUNIT_OIDC_";
    for (const char c : name) {
      const bool letter = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
      if (!letter && !digit && c != '-') *problem = absl::InvalidArgumentError("PEPEUNIT_OIDC_PROVIDERS: use a-z, 0-9");
      key += letter ? static_cast<char>(c - 32) : c == '-' ? '_' : c;
    }
    auto& provider = s.providers.emplace_back();
    provider.name = name;
    provider.title = config.String(key + "_TITLE", name, "what people read on its button");
    provider.issuer = config.Required(key + "_ISSUER", "its issuer identifier, an https address");
    provider.client_id = config.Required(key + "_CLIENT_ID", "as which it knows this instance");
    provider.client_secret = config.Secret(key + "_CLIENT_SECRET", "that of the client; none for a public one", true);
    provider.scopes = config.String(key + "_SCOPES", "openid profile", "what is asked for; `openid` must be in it");
    if (!IsSafeUrl(provider.issuer) || provider.issuer.find('?') != std::string::npos) {
      *problem = absl::InvalidArgumentError(key + "_ISSUER must be an https address");
    }
    if ((' ' + provider.scopes + ' ').find(" openid ") == std::string::npos) {
      *problem = absl::InvalidArgumentError(key + "_SCOPES must have openid");
    }
  }
  constexpr char kRedirect[] = "PEPEUNIT_OIDC_REDIRECT_URL";
  s.redirect_url = config.String(kRedirect, "",
                                 "where providers send people back to: the gateway's address as browsers reach it, and "
                                 "/api/oidc/callback; required with providers");
  if (!s.providers.empty() && !s.redirect_url.starts_with("http")) {
    *problem = absl::InvalidArgumentError(std::string(kRedirect) + " must be the address of the gateway's callback");
  }
  return s;
}

// What the service says of itself when a value is of the right type and still none it can use.
absl::Status CheckValues(const Settings& s) {
  if (!s.device_url.starts_with("http://") && !s.device_url.starts_with("https://")) {
    return absl::InvalidArgumentError("PEPEUNIT_DEVICE_URL must begin with http:// or https://");
  }
  if (s.accounts.registration == graph::v1::REGISTRATION_UNSPECIFIED) {
    return absl::InvalidArgumentError("PEPEUNIT_REGISTRATION must be open, invitation or closed");
  }
  if (s.accounts.access_lifetime_s < 1 || s.accounts.access_lifetime_s > 3600) {
    return absl::InvalidArgumentError("PEPEUNIT_ACCESS_TOKEN_LIFETIME must be from 1s to 1h");
  }
  return absl::OkStatus();
}

}  // namespace

Settings Settings::From(Config& config) {
  Settings s;
  s.runtime = runtime::RuntimeSettings::From(config, "graph-registry", 9102);
  s.server = rpc::ServerOptionsFrom(config, 7002);
  s.pool = postgres::PoolOptionsFrom(config, "graph");
  s.pool.generic_plans = true;
  s.bus = bus::BusOptionsFrom(config, "graph-registry");
  s.crypto_target = rpc::TargetFrom(config, "PEPEUNIT_CRYPTO_TARGET", 7001, "crypto");
  s.log_target = rpc::TargetFrom(config, "PEPEUNIT_LOG_TARGET", 7005, "state-logger");
  s.repo_target = rpc::TargetFrom(config, "PEPEUNIT_REPO_TARGET", 7003, "repo-sync");
  s.device_url = config.Required("PEPEUNIT_DEVICE_URL",
                                 "base URL of unit-ingest as devices reach it; goes into env.json as PEPEUNIT_URL");
  while (s.device_url.ends_with('/')) s.device_url.pop_back();
  s.partitions = static_cast<std::uint32_t>(config.Integer(
      "PEPEUNIT_PARTITIONS", 1, 1, 256, "partitions of the stream VALUES; the same in unit-ingest and state-logger"));
  s.values_max_bytes = config.Integer("PEPEUNIT_VALUES_MAX_BYTES", 1LL << 30, 1 << 20, 1LL << 50,
                                      "bound of the stream VALUES; when it is full, values are refused");
  s.stream_replicas =
      static_cast<int>(config.Integer("PEPEUNIT_STREAM_REPLICAS", 1, 1, 5, "replicas of the JetStream streams"));
  s.accounts.registration = ReadRegistration(config.String(
      "PEPEUNIT_REGISTRATION", "open", "open, invitation or closed: whether people may sign up themselves"));
  s.accounts.free_failures_of_address = static_cast<int>(
      config.Integer("PEPEUNIT_FAILURES_PER_ADDRESS", 50, 1, 1'000'000,
                     "wrong passwords and secrets, and sign-ups, from one address that are answered without a wait"));
  s.accounts.access_lifetime_s = static_cast<std::int32_t>(
      config.Duration("PEPEUNIT_ACCESS_TOKEN_LIFETIME", std::chrono::minutes(15), "life of an access token, 1s to 1h")
          .count() /
      1000);
  s.accounts.refresh_lifetime_ms = config
                                       .Duration("PEPEUNIT_REFRESH_TOKEN_LIFETIME", std::chrono::hours(24 * 30),
                                                 "life of a session without a refresh")
                                       .count();
  s.link_bounds.from_unit =
      config.Integer("PEPEUNIT_LINKS_PER_UNIT", 1000, 1, kMostLinksFromUnit,
                     "links that may leave the outputs of one unit; one more is RESOURCE_EXHAUSTED");
  s.link_bounds.into_input = config.Integer("PEPEUNIT_LINKS_PER_INPUT", 100, 1, 10'000,
                                            "links that may meet in one input; one more is RESOURCE_EXHAUSTED");
  s.quotas.repo_units = config.Integer("PEPEUNIT_REPO_UNITS_PER_USER", 100, 1, 1'000'000,
                                       "repositories that a user may have who is no administrator");
  s.quotas.units = config.Integer("PEPEUNIT_UNITS_PER_USER", 1000, 1, 1'000'000,
                                  "units that a user may have who is no administrator");
  s.quotas.variables = config.Integer("PEPEUNIT_VARIABLES_PER_USER", 20'000, 1, 100'000'000,
                                      "variables of all units that a user may have who is no administrator");
  s.update_timeouts.silence_ms =
      config
          .Duration("PEPEUNIT_UPDATE_TIMEOUT", std::chrono::hours(1),
                    "how long a device may be silent in the middle of an update until that counts as timed out")
          .count();
  s.update_timeouts.deadline_ms = config
                                      .Duration("PEPEUNIT_UPDATE_DEADLINE", std::chrono::hours(168),
                                                "how long a device may take to come for a version it is offered")
                                      .count();
  s.audit_days = static_cast<int>(
      config.Integer("PEPEUNIT_AUDIT_DAYS", 365, 30, 36'500, "days that a record of the audit is kept"));
  s.feed.watchers = static_cast<std::size_t>(config.Integer(
      "PEPEUNIT_FEED_WATCHERS", 1000, 1, 100'000, "who may watch the graph at once; one more is RESOURCE_EXHAUSTED"));
  s.feed.each = static_cast<std::size_t>(
      config.Integer("PEPEUNIT_FEED_WATCHERS_EACH", 16, 1, 10'000, "the same of one user, or of one address without"));
  s.feed_hours = static_cast<int>(
      config.Integer("PEPEUNIT_FEED_HOURS", 24, 1, 8'760, "hours that a change of the graph is kept for who watches"));
  s.admin_login = config.String("PEPEUNIT_ADMIN_LOGIN", "admin", "login of the first administrator");
  s.admin_password = config.Secret("PEPEUNIT_ADMIN_PASSWORD",
                                   "its password; with it the administrator is made at start when there is none", true);
  s.web_server = s.server;
  s.web_server.threads = 2;
  s.web_server.queue = 32;
  s.download_server = s.server;
  s.download_server.threads = 8;
  s.download_server.queue = 32;
  s.download_server.share = 2;  // a receiver who takes his time holds a thread
  s.password_server = s.server;
  s.password_server.threads = 2;
  s.password_server.queue = 64;
  s.problem = CheckValues(s);
  s.oidc = ReadOidc(config, &s.problem);
  s.standard = ReadStandard(
      config.String(kStandard, "",
                    "repositories that are offered ready to add: `name=url`, separated by spaces or new lines"),
      &s.problem);
  return s;
}

}  // namespace pepeunit::graph_registry
