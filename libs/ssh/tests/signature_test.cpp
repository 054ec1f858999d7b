#include "pepeunit/ssh/signature.h"

#include <catch2/catch.hpp>

#include "keygen.h"
#include "pepeunit/base/bytes.h"

using namespace pepeunit;
using namespace pepeunit::ssh;

namespace {

const std::string kMessage = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nfirst\n";

std::vector<PublicKey> Keys(const std::string& line) { return {*ParsePublicKey(line)}; }

// The bytes between the armor's lines, and back.
std::string Open(const std::string& armored) {
  std::string text;
  for (std::size_t at = armored.find('\n'); at + 1 < armored.rfind("-----END"); ++at) {
    if (armored[at] != '\n') text += armored[at];
  }
  return *Base64Decode(text.substr(0, text.find_last_not_of("-") + 1));
}
std::string Close(const std::string& bytes) {
  std::string text = Base64Encode(AsBytes(bytes)), lines;
  for (std::size_t at = 0; at < text.size(); at += 70) lines += text.substr(at, 70) + '\n';
  return std::string(kSignatureBegin) + '\n' + lines + "-----END SSH SIGNATURE-----\n";
}

}  // namespace

TEST_CASE("signatures of each kind of key hold for what was signed, and for nothing else", "[R3]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const Keygen keygen;
  const std::string stranger = keygen.Make("stranger", "-t ed25519");
  int number = 0;
  for (const char* kind :
       {"-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521", "-t rsa -b 2048", "-t rsa -b 4096"}) {
    CAPTURE(kind);
    const std::string name = "key" + std::to_string(++number);
    const std::string line = keygen.Make(name, kind);
    const std::string fingerprint = FingerprintOf(Keys(line)[0].blob);
    for (const char* hash : {"-n git", "-n git -O hashalg=sha256"}) {
      const std::string signature = keygen.Sign(name, kMessage, hash);
      CHECK(CheckSignature(signature, kMessage, kGitNamespace, Keys(line)).signed_by == fingerprint);
      CHECK(CheckSignature(Close(Open(signature)), kMessage, kGitNamespace, Keys(line)).signed_by == fingerprint);
      const auto changed = CheckSignature(signature, kMessage + '\n', kGitNamespace, Keys(line));
      CHECK(changed.signed_by == "");
      CHECK(changed.problem == "has a broken signature: it was changed after it was signed by " + fingerprint);
      CHECK(CheckSignature(signature, kMessage, kGitNamespace, Keys(stranger)).problem ==
            "is signed by a key that is not listed, " + fingerprint);
      CHECK(CheckSignature(signature, kMessage, kGitNamespace, {}).signed_by == "");
    }
    CHECK(CheckSignature(keygen.Sign(name, kMessage, "-n file"), kMessage, kGitNamespace, Keys(line)).problem ==
          "has a signature that was made for something else than git");
  }
}

TEST_CASE("many signatures hold, whatever the length of their numbers", "[R3]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const Keygen keygen;
  for (const char* bits : {"256", "521"}) {
    const std::string name = std::string("key") + bits;
    const auto keys = Keys(keygen.Make(name, std::string("-t ecdsa -b ") + bits));
    for (int i = 0; i < 40; ++i) {
      const std::string message = kMessage + std::to_string(i);
      CHECK(CheckSignature(keygen.Sign(name, message), message, kGitNamespace, keys).problem == "");
    }
  }
}

TEST_CASE("a signature with a byte changed does not hold, as ssh-keygen says", "[R3]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const Keygen keygen;
  for (const char* kind : {"-t ed25519", "-t ecdsa -b 256", "-t rsa -b 2048"}) {
    CAPTURE(kind);
    const std::string name = std::string(kind).substr(3, 3);
    const std::string line = keygen.Make(name, kind);
    const std::string bytes = Open(keygen.Sign(name, kMessage));
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const char bit : {'\x01', '\x80'}) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ bit);
        CAPTURE(at);
        CHECK(CheckSignature(Close(changed), kMessage, kGitNamespace, Keys(line)).signed_by == "");
        if (at % 16 == 0) CHECK_FALSE(keygen.Verifies(line, Close(changed), kMessage));
      }
      CHECK(CheckSignature(Close(bytes.substr(0, at)), kMessage, kGitNamespace, Keys(line)).signed_by == "");
    }
    CHECK(CheckSignature(Close(bytes + '\0'), kMessage, kGitNamespace, Keys(line)).signed_by == "");
    CHECK(keygen.Verifies(line, Close(bytes), kMessage));
  }
}

TEST_CASE("what is no signature is told", "[R3]") {
  for (const std::string& text :
       {std::string(), std::string("x"), std::string(kSignatureBegin),
        std::string(kSignatureBegin) + "\n=\n" + kSignatureBegin, Close(""), Close("SSHSIG"),
        Close(std::string("SSHSIG\0\0\0\1\xFF\xFF\xFF\xFF", 14)), Close(std::string(20'000, 'x')),
        std::string("-----BEGIN PGP SIGNATURE-----\n\n=\n-----END PGP SIGNATURE-----\n")}) {
    CAPTURE(text);
    CHECK(CheckSignature(text, kMessage, kGitNamespace, {}).problem == "has a signature that cannot be read");
  }
}
