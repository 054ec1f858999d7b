#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "world.h"

using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

struct Archive : World {
  rpc::Caller anna = User("anna"), berta = User("berta");

  absl::StatusOr<nlohmann::json> Export(const rpc::Caller& who) {
    text.clear();
    pieces = 0;
    const absl::Status status = exports.Current(who, [&](const common::v1::FileChunk& chunk) {
      CHECK(chunk.data().size() <= 65'536);
      CHECK(chunk.content_type() == (pieces == 0 ? "application/json" : ""));
      ++pieces;
      text += chunk.data();
      return true;
    });
    if (!status.ok()) return status;
    auto json = nlohmann::json::parse(text, nullptr, false);
    REQUIRE_FALSE(json.is_discarded());
    return json;
  }
  std::string text;
  int pieces = 0;
};

}  // namespace

TEST_CASE("an export is one JSON document with everything that is one's own, and no secret", "[A5]") {
  Archive w;
  graph::v1::CreateRepoUnitRequest request;
  request.set_name("private \"firmware\" \xE2\x80\x8F");
  request.set_url("https://example.org/private.git");
  request.set_private_(true);
  request.mutable_credentials()->set_username("anna");
  request.mutable_credentials()->set_password("credential-secret");
  graph::v1::RepoUnit hidden;
  REQUIRE(w.repo_units.Create(w.anna, request, hidden) == absl::OkStatus());
  const auto repo = w.Repo(w.anna), bertas_repo = w.Repo(w.berta);
  const auto unit = w.Unit(w.anna, repo), bertas = w.Unit(w.berta, bertas_repo), secret = w.Unit(w.berta, bertas_repo);
  w.Let(w.berta, bertas.id(), w.anna, graph::v1::ROLE_WRITER);
  w.Let(w.anna, unit.id(), w.berta, graph::v1::ROLE_READER);
  const std::string both = w.Draw(w.anna, w.Variable(unit, "measured"), w.Variable(bertas, "wanted"))->id();
  const std::string half = w.Draw(w.berta, w.Variable(unit, "measured"), w.Variable(secret, "wanted"))->id();
  graph::v1::CreatePersonalTokenRequest token;
  token.set_name("thermostat");
  token.add_scopes(graph::v1::TOKEN_SCOPE_READ);
  token.mutable_expires_at()->set_seconds(NowMs() / 1000 + 3600);
  graph::v1::IssuedPersonalToken issued;
  REQUIRE(w.tokens.Create(w.anna, token, issued) == absl::OkStatus());

  const auto json = w.Export(w.anna);
  REQUIRE(json.ok());
  CHECK(json->at("format") == "pepeunit.user");
  CHECK(json->at("version") == 1);
  CHECK(json->at("user").at("login") == "anna");
  CHECK(json->at("sessions").size() == 1);
  CHECK(json->at("tokens").at(0).at("name") == "thermostat");
  CHECK(json->at("identities").empty());
  REQUIRE(json->at("repo_units").size() == 2);
  CHECK(json->at("repo_units").at(0).at("name") == request.name());
  REQUIRE(json->at("units").size() == 1);
  CHECK(json->at("units").at(0).at("id") == unit.id());
  CHECK(json->at("variables").size() == 6);
  CHECK(json->at("grants").size() == 2);
  CHECK(json->at("audit_records_complete") == true);
  CHECK(json->at("audit_records").size() ==
        static_cast<std::size_t>(w.Count("audit WHERE owner_id = '" + w.anna.user_id.ToString() + "'")));
  REQUIRE(json->at("links").size() == 2);
  CHECK(json->at("links").at(0).at("id") == both);
  CHECK(json->at("links").at(1).at("id") == half);
  CHECK(json->at("links").at(1).at("concealed") == true);
  // Nothing of what others hide, and no secret of one's own.
  CHECK(w.text.find(secret.id()) == std::string::npos);
  CHECK(w.text.find(w.Variable(secret, "wanted")) == std::string::npos);
  const auto sealed = w.store.GetUnitSecrets(*Uuid::Parse(unit.id()));
  REQUIRE(sealed.ok());
  for (const std::string& word :
       {std::string("credential-secret"), std::string("hash of"), issued.secret(), std::string("pepeunit_pat_"),
        std::string("SYNC_ENCRYPT_KEY"), std::string("SECRET_KEY"), std::string("WIFI_SSID"), sealed->sealed_sync_key,
        std::string("refresh"), std::string("password_hash")}) {
    CAPTURE(word);
    CHECK(w.text.find(word) == std::string::npos);
  }
}

TEST_CASE("an export of many pages is whole, in pieces", "[A5]") {
  Archive w;
  const auto repo = w.Repo(w.anna);
  const std::string id = "'" + w.anna.user_id.ToString() + "'::uuid";
  w.Sql("WITH made AS (INSERT INTO node (id, type, owner_id, name, level) SELECT gen_random_uuid(), " +
        std::to_string(graph::v1::NODE_TYPE_UNIT) + ", " + id +
        ", repeat('x', 128), 1 FROM generate_series(1, 450) RETURNING id)"
        " INSERT INTO unit (id, repo_unit_id, commit_id, tag, branch, follow, sealed_sync_key, sealed_env)"
        " SELECT id, '" +
        repo.id() + "', '', '', '', true, '', '' FROM made");
  w.Sql(
      "INSERT INTO node_grant (node_id, subject_kind, subject_id, role, node_type, granted_by)"
      " SELECT '" +
      repo.id() + "', 3, gen_random_uuid(), 1, 1, " + id + " FROM generate_series(1, 401)");
  const auto json = w.Export(w.anna);
  REQUIRE(json.ok());
  CHECK(w.pieces > 1);
  CHECK(json->at("units").size() == 450);
  CHECK(json->at("grants").size() == 401);
  std::set<std::string> ids;
  for (const auto& unit : json->at("units")) ids.insert(unit.at("id"));
  CHECK(ids.size() == 450);
}

TEST_CASE("an export is one's own, with a session, and ends when the receiver goes", "[A5]") {
  Archive w;
  w.Unit(w.anna, w.Repo(w.anna));
  const auto bertas = w.Export(w.berta);
  REQUIRE(bertas.ok());
  CHECK(bertas->at("units").empty());
  CHECK(w.text.find(w.anna.user_id.ToString()) == std::string::npos);
  rpc::Caller token = w.anna;
  token.reach = rpc::Caller::Reach::kManage;
  CHECK(Reason(w.Export(token).status()) == "FORBIDDEN");
  CHECK(Reason(w.Export({}).status()) == "UNAUTHENTICATED");
  CHECK(absl::IsCancelled(w.exports.Current(w.anna, [](const common::v1::FileChunk&) { return false; })));
}
