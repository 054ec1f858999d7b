#pragma once

#include <string>

#include "fields.h"
#include "pepeunit/graph/v1/repo_units.pb.h"

// What people say of a remote: where it is, what opens it, and what it must show.
namespace pepeunit::graph_registry {

enum class RemoteKind { kHttp, kSsh };

// Of an address that was checked before; of one that was not, kHttp.
RemoteKind KindOf(const std::string& url);

// libs/ssh knows which addresses there are; no credentials in them, which are stored sealed while an address is shown.
RemoteKind CheckUrl(const std::string& url, Fields* fields);
// They are not tried: whether they open anything, the sync tells.
void CheckCredentials(const graph::v1::RepoCredentials& credentials, RemoteKind kind, Fields* fields);
void CheckHostKey(const std::string& fingerprint, RemoteKind kind, Fields* fields);
// Puts them into the repository, each written as ssh-keygen writes it; absent when there is none.
void TakeSigningKeys(const graph::v1::SigningKeys& keys, graph::v1::RepoUnit* repo, Fields* fields);

}  // namespace pepeunit::graph_registry
