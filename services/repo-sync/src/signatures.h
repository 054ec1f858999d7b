#pragma once

#include <git2.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pepeunit/ssh/public_key.h"

namespace pepeunit::repo_sync {

struct SignatureState {
  std::string signed_by;  // fingerprint of the listed key; empty: of none
  std::string tag;        // the annotated tag that holds the signature; empty: the commit itself
  std::string problem;    // else why it does not count, as half a sentence
};

// Whether commits of a copy are signed by one of these keys, with SSH signatures as git makes them: a commit in its
// header `gpgsig` (https://git-scm.com/docs/signature-format), an annotated tag at the end of its message. A tag counts
// for the commit that it names, and only under its own name. At most 2000 signatures are looked at; the others do not
// count. For one thread.
class Signatures {
 public:
  // Lines of public keys; those that cannot be read are no keys. `repository` has to outlive this.
  Signatures(git_repository* repository, const std::vector<std::string>& keys);

  // Of the commit, by 40 hex digits, or of any tag of it.
  SignatureState Of(const std::string& commit);
  // Of the commit, or of this very tag: another tag of the same commit says nothing of this name, so that an old
  // version cannot be passed off as a new release.
  SignatureState OfRelease(const std::string& commit, const std::string& tag);

 private:
  using Tag = std::pair<std::string, git_oid>;  // name of the reference, and the object
  SignatureState Find(const std::string& commit, const std::string* only);
  SignatureState OfCommit(const std::string& commit);
  SignatureState OfTag(const Tag& tag);
  SignatureState Check(std::string_view signature, std::string_view message);
  void FindTags();

  git_repository* const repository_;
  std::vector<ssh::PublicKey> keys_;
  int checks_left_ = 2000;
  std::optional<std::multimap<std::string, Tag>> tags_;  // by commit
};

}  // namespace pepeunit::repo_sync
