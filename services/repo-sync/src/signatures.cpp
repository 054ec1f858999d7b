#include "signatures.h"

#include <string_view>

#include "git.h"
#include "pepeunit/base/utf8.h"
#include "pepeunit/ssh/signature.h"

namespace pepeunit::repo_sync {
namespace {

constexpr char kTagPrefix[] = "refs/tags/";
constexpr char kUnsigned[] = "is not signed";
constexpr char kPgpBegin[] = "-----BEGIN PGP SIGNATURE-----";
constexpr std::size_t kMostObject = 1u << 20;  // bytes of a commit or tag

struct Buffer : git_buf {
  Buffer() : git_buf(GIT_BUF_INIT) {}
  ~Buffer() { git_buf_dispose(this); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::string_view text() const { return {ptr, size}; }
};

bool IsTooLarge(git_odb* database, const git_oid* id) {
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  return git_odb_read_header(&size, &type, database, id) != 0 || size > kMostObject;
}

SignatureState Problem(std::string what) { return {.signed_by = {}, .tag = {}, .problem = std::move(what)}; }

}  // namespace

Signatures::Signatures(git_repository* repository, const std::vector<std::string>& keys) : repository_(repository) {
  for (const auto& line : keys) {
    if (auto key = ssh::ParsePublicKey(line); key.ok()) keys_.push_back(*std::move(key));
  }
}

SignatureState Signatures::Of(const std::string& commit) { return Find(commit, nullptr); }

SignatureState Signatures::OfRelease(const std::string& commit, const std::string& tag) { return Find(commit, &tag); }

SignatureState Signatures::Find(const std::string& commit, const std::string* only) {
  SignatureState found = OfCommit(commit);
  if (!found.signed_by.empty()) return found;
  if (!tags_) FindTags();
  const auto [begin, end] = tags_->equal_range(commit);
  for (auto tag = begin; tag != end; ++tag) {
    if (only != nullptr && tag->second.first != *only) continue;
    SignatureState of_tag = OfTag(tag->second);
    if (!of_tag.signed_by.empty()) return of_tag;
    // A tag with a signature that does not count says more than a commit without any.
    if (found.problem == kUnsigned && !of_tag.problem.empty())
      found.problem = std::string(kUnsigned) + ", and its tag " + tag->second.first + " " + of_tag.problem;
  }
  return found;
}

SignatureState Signatures::Check(std::string_view signature, std::string_view message) {
  if (signature.starts_with(kPgpBegin)) return Problem("has a PGP signature, and only SSH signatures are checked");
  if (!signature.starts_with(ssh::kSignatureBegin))
    return Problem("has a signature of an unknown kind, and only SSH signatures are checked");
  if (checks_left_-- <= 0) return Problem("has one of more signatures than are checked at once");
  auto check = ssh::CheckSignature(signature, message, ssh::kGitNamespace, keys_);
  return {.signed_by = std::move(check.signed_by), .tag = {}, .problem = std::move(check.problem)};
}

SignatureState Signatures::OfCommit(const std::string& commit) {
  git_oid id;
  git::Database database;
  if (git_oid_fromstr(&id, commit.c_str()) != 0 || git::Take(database, git_repository_odb, repository_) != 0 ||
      IsTooLarge(database.get(), &id))
    return Problem("is too large to be checked");
  Buffer signature, message;
  if (git_commit_extract_signature(&signature, &message, repository_, &id, "gpgsig") != 0) return Problem(kUnsigned);
  return Check(signature.text(), message.text());
}

SignatureState Signatures::OfTag(const Tag& tag) {
  git::Database database;
  git::DatabaseObject object;
  if (git::Take(database, git_repository_odb, repository_) != 0 || IsTooLarge(database.get(), &tag.second) ||
      git::Take(object, git_odb_read, database.get(), &tag.second) != 0)
    return {};
  const std::string_view content(static_cast<const char*>(git_odb_object_data(object.get())),
                                 git_odb_object_size(object.get()));
  for (const std::string_view begin : {std::string_view(ssh::kSignatureBegin), std::string_view(kPgpBegin)}) {
    const std::size_t at = content.rfind(begin);
    if (at == content.npos || at == 0 || content[at - 1] != '\n') continue;
    SignatureState state = Check(content.substr(at), content.substr(0, at));
    if (!state.signed_by.empty()) state.tag = tag.first;
    return state;
  }
  return {};
}

void Signatures::FindTags() {
  tags_.emplace();
  git::References list;
  if (git::Take(list, git_reference_iterator_glob_new, repository_, (std::string(kTagPrefix) + "*").c_str()) != 0)
    return;
  git_reference* raw = nullptr;
  while (git_reference_next(&raw, list.get()) == 0) {
    const git::Reference reference(raw);
    const git_oid* target = git_reference_target(reference.get());
    git::Tag tag;
    if (target == nullptr || git::Take(tag, git_tag_lookup, repository_, target) != 0) continue;
    const std::string name = std::string(git_reference_name(reference.get())).substr(sizeof kTagPrefix - 1);
    if (git_tag_target_type(tag.get()) != GIT_OBJECT_COMMIT || name != git_tag_name(tag.get()) || !IsUtf8(name))
      continue;
    tags_->emplace(git::Hex(git_tag_target_id(tag.get())), Tag(name, *target));
  }
}

}  // namespace pepeunit::repo_sync
