#include "pepeunit/postgres/scram.h"

#include <catch2/catch.hpp>
#include <pqxx/pqxx>

#include "private_postgres.h"

using namespace pepeunit;

TEST_CASE("a verifier is what PostgreSQL itself makes of a password", "[D2]") {
  postgres::PrivatePostgres server;
  pqxx::connection connection(server.dsn());
  pqxx::work tx(connection);
  tx.exec("CREATE ROLE r PASSWORD 'correct horse'");
  const std::string kept = tx.exec1("SELECT rolpassword FROM pg_authid WHERE rolname = 'r'")[0].c_str();
  const auto begin = kept.find(':') + 1;
  const auto salt = Base64Decode(kept.substr(begin, kept.find('$', begin) - begin));
  REQUIRE(salt);
  CHECK(postgres::ScramVerifier("correct horse", AsBytes(*salt)) == kept);
  CHECK(postgres::ScramVerifier("another", AsBytes(*salt)) != kept);
}
