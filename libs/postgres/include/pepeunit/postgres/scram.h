#pragma once

#include <string>

#include "pepeunit/base/bytes.h"

namespace pepeunit::postgres {

// What PostgreSQL keeps of a password (SCRAM-SHA-256: RFC 5803, RFC 7677; as pg_authid.rolpassword has it), so that the
// password itself is in no statement. `password` is ASCII; `salt` 16 random bytes.
std::string ScramVerifier(const std::string& password, ByteView salt, int iterations = 4096);

}  // namespace pepeunit::postgres
