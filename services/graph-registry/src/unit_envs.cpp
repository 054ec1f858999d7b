#include "unit_envs.h"

#include <strings.h>

#include <algorithm>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/schema/schema.h"

namespace pepeunit::graph_registry {
namespace {

using nlohmann::ordered_json;

// Values that stay come from samples of 64 KiB each, so many moves could add up.
constexpr std::size_t kMostEnvBytes = 256u << 10;

bool IsFilled(const std::string& key) {
  return std::any_of(std::begin(schema::kFilledKeys), std::end(schema::kFilledKeys),
                     [&](const char* filled) { return key == filled; });
}

bool Contains(const std::vector<std::string>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

}  // namespace

std::vector<std::string> SampleKeys(const ordered_json& env) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : env.items()) {
    if (!IsFilled(key)) keys.push_back(key);
  }
  return keys;
}

absl::StatusOr<SealedEnv> UnitEnvs::Make(const Uuid& unit, ordered_json sample) {
  std::vector<std::string> keys = SampleKeys(sample);
  PEPEUNIT_ASSIGN_OR_RETURN(SealedEnv made, Fill(unit, 1, std::move(sample)));
  made.keys = std::move(keys);
  return made;
}

absl::StatusOr<SealedEnv> UnitEnvs::Reset(const Uuid& unit, const UnitSecrets& now) {
  PEPEUNIT_ASSIGN_OR_RETURN(ordered_json env, Open(unit, now));
  return Fill(unit, now.token_generation + 1, std::move(env));
}

absl::StatusOr<SealedEnv> UnitEnvs::Fill(const Uuid& unit, std::uint32_t generation, ordered_json env) {
  const std::string sync_key = RandomBytes(32);
  PEPEUNIT_ASSIGN_OR_RETURN(const std::string token, secrets_.IssueUnitToken(unit, generation));
  env["PEPEUNIT_URL"] = device_url_;
  env["PEPEUNIT_TOKEN"] = token;
  env["SYNC_ENCRYPT_KEY"] = Base64Encode(AsBytes(sync_key));
  env["SECRET_KEY"] = Base64Encode(AsBytes(RandomBytes(32)));
  SealedEnv made;
  made.token_generation = generation;
  PEPEUNIT_ASSIGN_OR_RETURN(made.sync_key, secrets_.Seal(sync_key, "graph.unit.sync_key:" + unit.ToString()));
  PEPEUNIT_ASSIGN_OR_RETURN(made.env, SealEnv(unit, env));
  return made;
}

absl::StatusOr<EnvChange> UnitEnvs::Compare(const Uuid& unit, const UnitSecrets& now, const ordered_json& sample) {
  std::vector<std::string> before;
  if (now.env_keys) {
    before = *now.env_keys;
  } else {
    PEPEUNIT_ASSIGN_OR_RETURN(const ordered_json env, Open(unit, now));
    before = SampleKeys(env);
  }
  const std::vector<std::string> after = SampleKeys(sample);
  EnvChange change;
  std::copy_if(after.begin(), after.end(), std::back_inserter(change.added),
               [&](const std::string& key) { return !Contains(before, key); });
  std::copy_if(before.begin(), before.end(), std::back_inserter(change.removed),
               [&](const std::string& key) { return !Contains(after, key); });
  return change;
}

absl::StatusOr<std::string> UnitEnvs::Apply(const Uuid& unit, const UnitSecrets& now, const EnvChange& change,
                                            const ordered_json& sample) {
  PEPEUNIT_ASSIGN_OR_RETURN(ordered_json env, Open(unit, now));
  for (const std::string& key : change.removed) env.erase(key);
  for (const std::string& key : change.added) {
    if (!env.contains(key)) env[key] = sample.at(key);
  }
  return SealEnv(unit, env);
}

absl::StatusOr<ordered_json> UnitEnvs::Open(const Uuid& unit, const UnitSecrets& now) {
  PEPEUNIT_ASSIGN_OR_RETURN(std::string text, secrets_.OpenEnv(unit, now.sealed_env));
  ordered_json env = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  ::explicit_bzero(text.data(), text.size());
  if (!env.is_object()) return Internal("the env of a unit is damaged");
  return env;
}

absl::StatusOr<std::string> UnitEnvs::SealEnv(const Uuid& unit, const ordered_json& env) {
  std::string text = env.dump(2) + "\n";
  absl::StatusOr<std::string> sealed =
      Limit("env.json would have more than " + std::to_string(kMostEnvBytes) + " bytes.");
  if (text.size() <= kMostEnvBytes) sealed = secrets_.Seal(text, "graph.unit.env:" + unit.ToString());
  ::explicit_bzero(text.data(), text.size());
  return sealed;
}

}  // namespace pepeunit::graph_registry
