#include "passwords.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "pepeunit/base/errors.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

TEST_CASE("a password verifies against its hash and no other") {
  Passwords passwords(2);
  const auto hash = passwords.Hash("correct horse battery staple");
  REQUIRE(hash.ok());
  CHECK(hash->starts_with("$scrypt$ln=15,r=8,p=1$"));
  CHECK(hash->size() <= Passwords::kMaxHash);
  CHECK(hash->find("horse") == std::string::npos);
  CHECK(*passwords.Verify("correct horse battery staple", *hash));
  CHECK_FALSE(*passwords.Verify("correct horse battery staplf", *hash));
  CHECK_FALSE(*passwords.Verify("", *hash));
  CHECK(*passwords.Hash("correct horse battery staple") != *hash);
}

TEST_CASE("an empty hash is false and takes its time") {
  Passwords passwords(2);
  const auto time = [&](const std::string& hash) {
    const auto begin = std::chrono::steady_clock::now();
    const auto matches = passwords.Verify("x", hash);
    REQUIRE(matches.ok());
    CHECK_FALSE(*matches);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const std::string hash = *passwords.Hash("another");
  const double real = time(hash), dummy = time("");
  CHECK(dummy > real / 4);
}

TEST_CASE("hashes that are none of ours, or would take too much, are refused") {
  Passwords passwords(2);
  for (const char* hash :
       {"x", "$scrypt$", "$scrypt$ln=15,r=8,p=1$", "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA", "$2b$12$abc",
        "$scrypt$ln=30,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ",
        "$scrypt$ln=15,r=999,p=1$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ",
        "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$!!!!", "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$"}) {
    CHECK(passwords.Verify("x", hash).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK_FALSE(passwords.Verify("x", std::string(257, '$')).ok());
}

TEST_CASE("lengths of passwords are bounded") {
  Passwords passwords(2);
  CHECK(passwords.Hash("").status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(passwords.Hash(std::string(1025, 'x')).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(passwords.Verify(std::string(1025, 'x'), "").status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(passwords.Hash(std::string(1024, 'x')).ok());
}

TEST_CASE("only so many are hashed at once; one more is told to come back") {
  Passwords passwords(1);
  std::atomic<int> hashed = 0, refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto hash = passwords.Hash("password");
      if (hash.ok()) ++hashed;
      if (hash.status().code() == absl::StatusCode::kResourceExhausted && InfoOf(hash.status()).retry_after_ms > 0)
        ++refused;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(hashed >= 1);
  CHECK(hashed + refused == 6);
  CHECK(passwords.Hash("password").ok());
}
