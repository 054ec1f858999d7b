#pragma once

#include "authenticator.h"
#include "backends.h"

namespace pepeunit::gateway {

// Asks crypto, through `backends`, for the keys of access tokens.
Authenticator::Fetch KeysFrom(Backends& backends);

// Asks graph-registry, through `backends`, whose a personal access token is.
PersonalTokens::Open TokensFrom(Backends& backends);

}  // namespace pepeunit::gateway
