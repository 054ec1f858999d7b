#include "pepeunit/ssh/public_key.h"

#include <catch2/catch.hpp>

#include "keygen.h"

using namespace pepeunit;
using namespace pepeunit::ssh;

namespace {

const std::string kLine =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO3Hr3QwPeJYPw9TB1kAPwOGyVYVvsoVtpYgbMqO1zvd ada@example.org";

}  // namespace

TEST_CASE("public keys of each kind have the fingerprint that ssh-keygen prints", "[R1]") {
  PEPEUNIT_NEEDS_KEYGEN();
  const Keygen keygen;
  for (const char* kind : {"-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521", "-t rsa -b 2048"}) {
    CAPTURE(kind);
    const std::string name = "key" + std::to_string(std::hash<std::string>()(kind));
    const std::string line = keygen.Make(name, kind);
    const auto key = ParsePublicKey(line);
    REQUIRE(key.ok());
    CHECK(LineOf(*key) == line);
    CHECK(key->comment == "key of ada");
    const std::string printed = Output("ssh-keygen -l -f " + keygen.path(name) + ".pub");
    const std::string fingerprint = FingerprintOf(key->blob);
    CHECK(printed.find(' ' + fingerprint + ' ') != std::string::npos);
    CHECK(IsFingerprint(fingerprint));
  }
  keygen.Make("weak", "-t rsa -b 1024");
  CHECK(std::string(ParsePublicKey(keygen.Read("weak.pub")).status().message()) == "must have 2048 to 16384 bits");
}

TEST_CASE("what is no public key is refused with what is wrong", "[R1]") {
  REQUIRE(ParsePublicKey(kLine).ok());
  CHECK(ParsePublicKey("  " + kLine).ok());
  const std::string type = kLine.substr(0, 12), text = kLine.substr(12, 68);
  struct Case {
    std::string line, told;
  };
  for (const Case& c :
       {Case{"", "must begin with"}, Case{"ssh-dss " + text, "must begin with"},
        Case{"sk-ssh-ed25519@openssh.com " + text, "must begin with"},
        Case{"command=\"x\" " + kLine, "must begin with"}, Case{"-----BEGIN OPENSSH PRIVATE KEY-----", "private"},
        Case{kLine + "\nssh-ed25519 x", "one line"}, Case{type, "base64"}, Case{type + text.substr(1), "base64"},
        Case{"ssh-rsa " + text, "is not a whole key of type ssh-rsa"},
        Case{type + text.substr(0, 64), "is not a whole key"}, Case{type + text + "AAAA", "is not a whole key"},
        Case{std::string(5000, 'a'), "4096"}}) {
    CAPTURE(c.line);
    const auto key = ParsePublicKey(c.line);
    REQUIRE_FALSE(key.ok());
    CHECK(std::string(key.status().message()).find(c.told) != std::string::npos);
  }
}

TEST_CASE("fingerprints are SHA256 in base64 without padding", "[R1]") {
  CHECK(IsFingerprint("SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"));
  CHECK(FingerprintOf("") == "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
  for (const char* text :
       {"",
        "SHA256:", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu*U"}) {
    CAPTURE(text);
    CHECK_FALSE(IsFingerprint(text));
  }
}
