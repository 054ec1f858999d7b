#include "remote_fields.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "pepeunit/base/absl_compat.h"
#include "pepeunit/ssh/public_key.h"
#include "pepeunit/ssh/remote_address.h"

namespace pepeunit::graph_registry {
namespace {

constexpr std::size_t kMostPrivateKey = 16u << 10;
constexpr int kMostSigningKeys = 20;

bool HasControl(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

void CheckPassword(const std::string& password, Fields* fields) {
  if (password.empty() || password.size() > 4096 || HasControl(password))
    fields->Fail("credentials.password", "must have 1 to 4096 bytes and no control characters");
}

// PEM's frame (RFC 7468), which OpenSSH's own format has too.
bool IsFramed(const std::string& key) {
  const std::size_t begin = key.find("-----BEGIN "), end = key.find("PRIVATE KEY-----", begin);
  return begin == key.find_first_not_of(" \r\n") && end < key.find('\n', begin) &&
         key.find("-----END ", end) != std::string::npos;
}

void CheckPrivateKey(const graph::v1::RepoCredentials& credentials, Fields* fields) {
  const std::string &key = credentials.private_key(), &passphrase = credentials.passphrase();
  const bool text = std::all_of(key.begin(), key.end(),
                                [](unsigned char c) { return c == '\n' || c == '\r' || (c >= 0x20 && c < 0x7F); });
  if (key.size() > kMostPrivateKey || !text || !IsFramed(key)) {
    fields->Fail("credentials.private_key",
                 "must be a whole private key of at most 16 KiB, from its line -----BEGIN ... PRIVATE KEY----- to its "
                 "line -----END");
  }
  if (passphrase.size() > 1024 || HasControl(passphrase))
    fields->Fail("credentials.passphrase", "must have at most 1024 bytes and no control characters");
}

}  // namespace

RemoteKind KindOf(const std::string& url) {
  const auto address = ssh::ParseRemoteAddress(url);
  return address.ok() && ssh::IsSsh(*address) ? RemoteKind::kSsh : RemoteKind::kHttp;
}

RemoteKind CheckUrl(const std::string& url, Fields* fields) {
  const auto address = ssh::ParseRemoteAddress(url);
  if (!address.ok()) fields->Fail("url", std::string(address.status().message()));
  return KindOf(url);
}

void CheckCredentials(const graph::v1::RepoCredentials& credentials, RemoteKind kind, Fields* fields) {
  const std::string& name = credentials.username();
  if (kind == RemoteKind::kHttp) {
    // As HTTP Basic carries them (RFC 7617).
    if (name.size() > 256 || HasControl(name) || name.find(':') != std::string::npos)
      fields->Fail("credentials.username", "must have at most 256 bytes, no ':' and no control characters");
    if (!credentials.private_key().empty() || !credentials.passphrase().empty())
      fields->Fail("credentials.private_key", "belongs to addresses over SSH only");
    return CheckPassword(credentials.password(), fields);
  }
  if (!name.empty()) fields->Fail("credentials.username", "must be empty over SSH: the address holds the name");
  if (credentials.private_key().empty()) {
    if (!credentials.passphrase().empty())
      fields->Fail("credentials.passphrase", "must not be given without `private_key`");
    return CheckPassword(credentials.password(), fields);
  }
  if (!credentials.password().empty())
    fields->Fail("credentials.password", "must not be given together with `private_key`; its own is `passphrase`");
  CheckPrivateKey(credentials, fields);
}

void CheckHostKey(const std::string& fingerprint, RemoteKind kind, Fields* fields) {
  if (kind != RemoteKind::kSsh) return fields->Fail("ssh_host_key", "belongs to addresses over SSH only");
  if (!ssh::IsFingerprint(fingerprint)) {
    fields->Fail("ssh_host_key",
                 "must be a fingerprint as ssh-keygen -l prints it: SHA256: and 43 characters of base64");
  }
}

void TakeSigningKeys(const graph::v1::SigningKeys& keys, graph::v1::RepoUnit* repo, Fields* fields) {
  repo->clear_signing_keys();
  if (keys.keys_size() > kMostSigningKeys) return fields->Fail("signing_keys.keys", "must have at most 20 keys");
  std::set<std::string> blobs;
  for (int i = 0; i < keys.keys_size(); ++i) {
    const std::string field = "signing_keys.keys[" + std::to_string(i) + "]";
    const auto key = ssh::ParsePublicKey(ToStd(absl::StripTrailingAsciiWhitespace(keys.keys(i))));
    if (!key.ok()) {
      fields->Fail(field, std::string(key.status().message()));
    } else if (!blobs.insert(key->blob).second) {
      fields->Fail(field, "is there twice");
    } else {
      repo->mutable_signing_keys()->add_keys(ssh::LineOf(*key));
    }
  }
}

}  // namespace pepeunit::graph_registry
