// Published test vectors, so that a fault of the library or of how it is called shows.
#include <catch2/catch.hpp>

#include "ed25519.h"
#include "gcm.h"
#include "passwords.h"
#include "pepeunit/base/bytes.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

TEST_CASE("scrypt gives what RFC 7914 section 12 says") {
  struct Vector {
    const char *password, *salt;
    ScryptCost cost;
    const char* hash;
  };
  const Vector vectors[] = {
      {"",
       "",
       {4, 1, 1},
       "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d362"
       "8cf35e20c38d18906"},
      {"password",
       "NaCl",
       {10, 8, 16},
       "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6"
       "d8360cbdfa2cc0640"},
      {"pleaseletmein",
       "SodiumChloride",
       {14, 8, 1},
       "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e4"
       "0dfcf017b45575887"},
  };
  for (const Vector& v : vectors) {
    const auto hash = Scrypt(v.password, v.salt, v.cost, 64);
    REQUIRE(hash.ok());
    CHECK(HexEncode(AsBytes(*hash)) == v.hash);
  }
}

TEST_CASE("Ed25519 gives what RFC 8032 section 7.1 says") {
  struct Vector {
    const char *seed, *public_key, *message, *signature;
  };
  const Vector vectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2"
       "4655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302ae"
       "eb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28"
       "dc027beceea1ec40a"},
  };
  for (const Vector& v : vectors) {
    const Secret seed = MakeSecret(*HexDecode(v.seed));
    const std::string public_key = Ed25519PublicKey(seed), message = *HexDecode(v.message);
    CHECK(HexEncode(AsBytes(public_key)) == v.public_key);
    const std::string signature = Ed25519Sign(seed, public_key, message);
    CHECK(HexEncode(AsBytes(signature)) == v.signature);
    CHECK(Ed25519Verify(public_key, message, signature));
    CHECK_FALSE(Ed25519Verify(public_key, message + "x", signature));
    CHECK_FALSE(Ed25519Verify(public_key, message, signature.substr(1)));
    CHECK_FALSE(Ed25519Verify(public_key.substr(1), message, signature));
  }
}

TEST_CASE("an Ed25519 signature has no second form") {
  const Secret seed = MakeSecret(std::string(32, 's'));
  const std::string public_key = Ed25519PublicKey(seed);
  std::string signature = Ed25519Sign(seed, public_key, "message");
  // S + L verifies by the equation alone; RFC 8032 refuses it.
  const std::string order = *HexDecode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  int carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const int sum = static_cast<unsigned char>(signature[32 + i]) + static_cast<unsigned char>(order[i]) + carry;
    signature[32 + i] = static_cast<char>(sum & 0xFF);
    carry = sum >> 8;
  }
  CHECK_FALSE(Ed25519Verify(public_key, "message", signature));
}

TEST_CASE("AES-256-GCM opens the vector of McGrew and Viega, test case 16") {
  const Secret key = MakeSecret(*HexDecode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  const std::string associated = *HexDecode("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const std::string plaintext = *HexDecode(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
      "ba637b39");
  const std::string sealed = *HexDecode(
      "cafebabefacedbaddecaf888"
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
      "bcc9f662"
      "76fc6ece0f4e1768cddf8853bb2d551b");
  const auto opened = GcmOpen(key, associated, sealed);
  REQUIRE(opened);
  CHECK(*opened == plaintext);
  CHECK_FALSE(GcmOpen(key, associated + "x", sealed));
}
