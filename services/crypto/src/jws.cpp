#include "jws.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace pepeunit::crypto {
namespace {

using nlohmann::json;

constexpr char kAlgorithm[] = "EdDSA";
constexpr char kUnitEncryption[] = "A256GCM";
constexpr char kUnitType[] = "pepeunit-unit";

std::optional<json> ParseObject(std::string_view text) {
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return std::nullopt;
  return parsed;
}

bool Is(const json& object, const char* key, const char* expected) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() && found->get_ref<const std::string&>() == expected;
}

}  // namespace

std::string AccessHeaderJson(const std::string& key_id) {
  return json{{"alg", kAlgorithm}, {"typ", "JWT"}, {"kid", key_id}}.dump();
}

std::string AccessClaimsJson(const AccessClaims& claims) {
  return json{{"iss", "pepeunit"},           {"sub", claims.user.ToString()}, {"sid", claims.session.ToString()},
              {"adm", claims.administrator}, {"iat", claims.issued},          {"exp", claims.expires}}
      .dump();
}

std::string UnitHeaderJson(const std::string& key_id) {
  return json{{"alg", kAlgorithm}, {"enc", kUnitEncryption}, {"kid", key_id}, {"typ", kUnitType}}.dump();
}

std::optional<std::string> ParseUnitHeader(std::string_view text) {
  const std::optional<json> header = ParseObject(text);
  if (!header || !Is(*header, "alg", kAlgorithm) || !Is(*header, "enc", kUnitEncryption) ||
      !Is(*header, "typ", kUnitType)) {
    return std::nullopt;
  }
  const auto kid = header->find("kid");
  if (kid == header->end() || !kid->is_string()) return std::nullopt;
  return kid->get<std::string>();
}

std::string UnitClaimsJson(const UnitClaims& claims) {
  return json{{"sub", claims.unit.ToString()}, {"gen", claims.generation}, {"iat", claims.issued}}.dump();
}

std::optional<UnitClaims> ParseUnitClaims(std::string_view text) {
  const std::optional<json> claims = ParseObject(text);
  if (!claims) return std::nullopt;
  const auto sub = claims->find("sub"), gen = claims->find("gen"), iat = claims->find("iat");
  if (sub == claims->end() || !sub->is_string() || gen == claims->end() || !gen->is_number_unsigned() ||
      gen->get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max() || iat == claims->end() ||
      !iat->is_number_integer()) {
    return std::nullopt;
  }
  const std::optional<Uuid> unit = Uuid::Parse(sub->get_ref<const std::string&>());
  if (!unit) return std::nullopt;
  return UnitClaims{.unit = *unit, .generation = gen->get<std::uint32_t>(), .issued = iat->get<std::int64_t>()};
}

}  // namespace pepeunit::crypto
