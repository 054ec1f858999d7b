#include "signatures.h"

#include <catch2/catch.hpp>

#include "../../../libs/ssh/tests/keygen.h"
#include "copies.h"
#include "remote.h"

using namespace pepeunit;
using namespace pepeunit::repo_sync;

namespace {

const Uuid kSignedCopy = *Uuid::Parse(Remote::kName);

// A repository whose commits and tags git signs with keys of ssh-keygen.
struct SignedRemote {
  Remote remote;
  ssh::Keygen keygen;
  std::string ada = keygen.Make("ada", "-t ed25519"), eve = keygen.Make("eve", "-t ed25519");
  std::string fingerprint = ssh::FingerprintOf(ssh::ParsePublicKey(ada)->blob);
  std::string other = ssh::FingerprintOf(ssh::ParsePublicKey(eve)->blob);
  std::string broken = "has a broken signature: it was changed after it was signed by " + fingerprint;
  SigningKeys keys{ada};
  Copies copies{remote.copies()};

  std::string Signed(const std::string& arguments, const std::string& key = "ada") const {
    return remote.Git("-c gpg.format=ssh -c user.signingkey=" + keygen.path(key) + " " + arguments);
  }
  std::string Commit(const std::string& key) const {
    remote.Write("file", std::to_string(++count));
    remote.Git("add -A");
    if (key.empty()) return remote.Commit("unsigned");
    Signed("commit -q -S -m signed", key);
    return remote.Git("rev-parse HEAD");
  }
  SignatureState Of(const std::string& commit, const SigningKeys& by) {
    remote.Push();
    REQUIRE(RunJob(remote.Job()).error == "");
    const auto found = copies.SignaturesOf(kSignedCopy, {commit}, by);
    REQUIRE(found.ok());
    return found->at(0);
  }
  SignatureState Of(const std::string& commit) { return Of(commit, keys); }
  ResolvedVersion Newest(const SigningKeys& by) {
    remote.Push();
    REQUIRE(RunJob(remote.Job()).error == "");
    const auto found = copies.Resolve(kSignedCopy, {Version::Kind::kNewestRelease, ""}, by);
    REQUIRE(found.ok());
    return *found;
  }
  mutable int count = 0;
};

}  // namespace

TEST_CASE_METHOD(SignedRemote, "a commit that a listed key has signed", "[U9]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const std::string commit = Commit("ada");
  auto state = Of(commit);
  CHECK(state.signed_by == fingerprint);
  CHECK(state.tag.empty());
  CHECK(state.problem.empty());
  CHECK(Of(commit, {eve, ada}).signed_by == fingerprint);

  state = Of(commit, {eve});
  CHECK(state.signed_by.empty());
  CHECK(state.problem == "is signed by a key that is not listed, " + fingerprint);
  CHECK(Of(commit, {"no key"}).signed_by.empty());
  CHECK(Of(commit, {}).signed_by.empty());
}

TEST_CASE_METHOD(SignedRemote, "other kinds of keys", "[U9]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const std::string kind = GENERATE("-t rsa -b 2048", "-t ecdsa -b 256", "-t ecdsa -b 521");
  const std::string line = keygen.Make("other", kind);
  CHECK(Of(Commit("other"), {line}).signed_by == ssh::FingerprintOf(ssh::ParsePublicKey(line)->blob));
}

TEST_CASE_METHOD(SignedRemote, "a commit without a signature, and one that was changed after it was signed", "[U9]") {
  PEPEUNIT_NEEDS_KEYGEN();
  CHECK(Of(Commit("")).problem == "is not signed");
  Commit("ada");
  const std::string forged = remote.Git("cat-file commit HEAD | sed 's/^signed$/forged/' | git -C " + remote.work() +
                                        " hash-object -t commit -w --stdin");
  remote.Git("reset -q --hard " + forged);
  const auto state = Of(forged);
  CHECK(state.signed_by.empty());
  CHECK(state.problem == broken);
}

TEST_CASE_METHOD(SignedRemote, "signatures that are none of SSH", "[U9]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const auto [begin, problem] = GENERATE(table<std::string, std::string>(
      {{"-----BEGIN PGP SIGNATURE-----", "has a PGP signature, and only SSH signatures are checked"},
       {"-----BEGIN SIGNED MESSAGE-----", "has a signature of an unknown kind, and only SSH signatures are checked"}}));
  Commit("ada");
  const std::string changed = remote.Git("cat-file commit HEAD | sed 's/-----BEGIN SSH SIGNATURE-----/" + begin +
                                         "/' | git -C " + remote.work() + " hash-object -t commit -w --stdin");
  remote.Git("reset -q --hard " + changed);
  CHECK(Of(changed).problem == problem);
}

TEST_CASE_METHOD(SignedRemote, "an annotated tag signs the commit that it names", "[U9]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const std::string commit = Commit("");
  remote.Git("tag plain");
  remote.Git("tag -a annotated -m unsigned");
  CHECK(Of(commit).problem == "is not signed");
  Signed("tag -s of-eve -m signed", "eve");
  CHECK(Of(commit).problem == "is not signed, and its tag of-eve is signed by a key that is not listed, " + other);
  Signed("tag -s v1.0.0 -m signed");
  const auto state = Of(commit);
  CHECK(state.signed_by == fingerprint);
  CHECK(state.tag == "v1.0.0");

  const std::string next = Commit("");
  CHECK(Of(next).problem == "is not signed");

  // Under another name it would pass an old version off as a new release.
  remote.Git("update-ref refs/tags/v9.0.0 refs/tags/v1.0.0");
  remote.Git("tag -d v1.0.0");
  CHECK(Of(commit).signed_by.empty());

  // Of another commit.
  Signed("tag -s v2.0.0 -m signed " + commit);
  remote.Git("cat-file tag v2.0.0 | sed 's/^object .*/object " + next + "/' > " + remote.work() + "/.git/moved");
  remote.Git("update-ref refs/tags/v2.0.0 $(git -C " + remote.work() + " hash-object -t tag -w " + remote.work() +
             "/.git/moved)");
  CHECK(Of(next).problem == "is not signed, and its tag v2.0.0 " + broken);
}

TEST_CASE_METHOD(SignedRemote, "the newest release that is signed; the newest of all when none is", "[U9]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const std::string first = Commit("");
  remote.Git("tag 1.0.0");
  Commit("");
  remote.Git("tag 2.0.0");
  CHECK(Newest({}).tag == "2.0.0");
  auto newest = Newest(keys);
  CHECK(newest.tag == "2.0.0");
  CHECK(newest.signature.problem == "is not signed");
  Signed("tag -f -s 1.0.0 -m signed 1.0.0");
  newest = Newest(keys);
  CHECK(newest.tag == "1.0.0");
  CHECK(newest.commit == first);
  CHECK(newest.signature.signed_by == fingerprint);
  // Another tag of a commit whose tag is signed does not make it a release of that name.
  remote.Git("tag 9.0.0 1.0.0^{}");
  CHECK(Newest(keys).tag == "1.0.0");
  const std::string third = Commit("ada");
  remote.Git("tag v3.0.0");
  CHECK(Newest(keys).commit == third);
  CHECK(Newest({}).signature.signed_by.empty());
}
