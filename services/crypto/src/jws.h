#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pepeunit/base/uuid.h"

// The JSON inside tokens, apart from their cryptography. Pure and thread-safe.
namespace pepeunit::crypto {

// JWT claims of a user (RFC 7519); times in seconds of Unix time.
struct AccessClaims {
  Uuid user;             // sub
  Uuid session;          // sid
  bool administrator;    // adm
  std::int64_t issued;   // iat
  std::int64_t expires;  // exp
};
std::string AccessHeaderJson(const std::string& key_id);
std::string AccessClaimsJson(const AccessClaims& claims);

struct UnitClaims {
  Uuid unit;                 // sub
  std::uint32_t generation;  // gen
  std::int64_t issued;       // iat
};
std::string UnitHeaderJson(const std::string& key_id);
// The `kid`; nullopt unless it is the header of a unit token made by this version: any other `alg`, "none" among
// them, is refused here.
std::optional<std::string> ParseUnitHeader(std::string_view json);
std::string UnitClaimsJson(const UnitClaims& claims);
std::optional<UnitClaims> ParseUnitClaims(std::string_view json);

}  // namespace pepeunit::crypto
