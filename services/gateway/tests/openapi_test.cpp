#include "openapi.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "comments.h"
#include "descriptors.h"
#include "pages.h"
#include "router.h"

using namespace pepeunit::gateway;
using nlohmann::json;

namespace {

const json& Document() {
  static const json document = json::parse(*OpenApiOf(ReadDescriptors(PEPEUNIT_DESCRIPTORS), "1.2.3"));
  return document;
}

template <typename Visit>
void Walk(const json& node, Visit visit) {
  visit(node);
  if (node.is_structured()) {
    for (const auto& child : node) Walk(child, visit);
  }
}

template <typename Visit>
void ForEachOperation(Visit visit) {
  for (const auto& [path, verbs] : Document()["paths"].items()) {
    for (const auto& [verb, operation] : verbs.items()) visit(path, verb, operation);
  }
}

}  // namespace

TEST_CASE("the document is whole: OpenAPI 3.1, every reference resolves") {
  CHECK(Document()["openapi"] == "3.1.0");
  CHECK(Document()["info"]["version"] == "1.2.3");
  int references = 0;
  Walk(Document(), [&](const json& node) {
    if (!node.is_object() || !node.contains("$ref")) return;
    const auto target = node["$ref"].get<std::string>();
    CAPTURE(target);
    REQUIRE(target.starts_with("#/"));
    CHECK(Document().contains(json::json_pointer(target.substr(1))));
    ++references;
  });
  CHECK(references > 100);
}

TEST_CASE("operations are unique, described, and declare what their paths name") {
  std::set<std::string> ids, tags;
  for (const auto& tag : Document()["tags"]) {
    CHECK(tags.insert(tag["name"]).second);
    CHECK_FALSE(tag["description"].get<std::string>().empty());
  }
  ForEachOperation([&](const std::string& path, const std::string& verb, const json& operation) {
    CAPTURE(path, verb);
    CHECK(ids.insert(operation["operationId"]).second);
    CHECK(tags.contains(operation["tags"][0]));
    CHECK_FALSE(operation["summary"].get<std::string>().empty());
    CHECK(operation["responses"].contains("default"));
    for (const auto& [status, response] : operation["responses"].items()) {
      CHECK((response.contains("description") || response.contains("$ref")));
    }
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& parameter : operation.value("parameters", json::array())) {
      CHECK(seen.emplace(parameter["in"].get<std::string>(), parameter["name"].get<std::string>()).second);
      CHECK(parameter.contains("schema"));
      if (parameter["in"] == "path") {
        CHECK(parameter["required"] == true);
        CHECK(path.find("{" + parameter["name"].get<std::string>() + "}") != std::string::npos);
      }
    }
    const auto fields = PathTemplate::Parse(path)->Fields();
    for (const auto& field : fields) CHECK(seen.contains({"path", field}));
    if (verb == "get" || verb == "delete") CHECK_FALSE(operation.contains("requestBody"));
  });
}

TEST_CASE("the document has exactly the operations that the gateway serves") {
  std::set<std::string> served, described;
  const auto bindings = LinkedBindings();
  REQUIRE(bindings.ok());
  for (const auto& binding : *bindings) served.insert(binding.verb + " " + binding.path.text());
  ForEachOperation([&](const std::string& path, std::string verb, const json&) {
    for (char& c : verb) c = static_cast<char>(std::toupper(c));
    described.insert(verb + " " + path);
  });
  CHECK(served == described);
}

TEST_CASE("messages become schemas as proto3's JSON shows them") {
  const json& schemas = Document()["components"]["schemas"];
  const json& repo = schemas["RepoUnit"]["properties"];
  CHECK(repo["created_at"]["format"] == "date-time");
  CHECK(repo["sync_period"]["type"] == "string");
  CHECK(repo["level"]["$ref"] == "#/components/schemas/AccessLevel");
  CHECK(schemas["RepoUnitSync"]["properties"]["size_bytes"]["type"] == "string");
  CHECK(schemas["RepoUnitSync"]["properties"]["problems"]["type"] == "array");
  CHECK_FALSE(schemas["VariableValue"]["properties"]["value"].contains("type"));
  CHECK(schemas["UnitState"]["properties"]["state"]["type"] == "object");
  CHECK(schemas["AccessLevel"]["enum"][4] == "ACCESS_LEVEL_PUBLIC");
  CHECK(schemas["RepoUnit"]["required"].size() > 5);
  CHECK_FALSE(schemas["Variable"]["required"].dump().find("minimum") != std::string::npos);
  CHECK_FALSE(schemas["UpdateRepoUnitRequest"]["properties"].contains("id"));
  CHECK_FALSE(schemas["UpdateRepoUnitRequest"].contains("required"));
  CHECK(schemas["VersionChoice"]["maxProperties"] == 1);
  CHECK(schemas["ErrorReason"]["enum"][0] == "INVALID_FIELD");
  const json& archive = Document()["paths"]["/api/v1/units/{unit_id}/archive"]["get"]["responses"]["200"];
  CHECK(archive["content"]["application/octet-stream"]["schema"]["format"] == "binary");
  CHECK(Document()["paths"]["/api/v1/units"]["post"]["responses"]["201"]["headers"].contains("Location"));
  CHECK(Document()["paths"]["/api/v1/units/{id}"]["delete"]["responses"].contains("204"));
}

TEST_CASE("comments keep paragraphs and lose line ends") {
  CHECK(JoinLines(" One\n two.\n\n Three.\n") == "One two.\n\nThree.");
  CHECK(FirstSentence("Like e.g.this, all. Two.") == "Like e.g.this, all");
  CHECK(FirstSentence("None") == "None");
}

TEST_CASE("the pages are embedded whole and refer only to each other") {
  const Pages pages;
  for (const char* path : {"/", "/api/docs", "/api/docs/docs.css", "/api/docs/docs.js", "/api/docs/operation.js",
                           "/api/docs/schema.js", "/api/docs/icon.svg", "/api/oidc/callback", "/api/oidc/oidc.js",
                           "/reset-password", "/reset-password/reset.js", "/api/v1/openapi.json"}) {
    CAPTURE(path);
    CHECK(pages.Has(path));
  }
  CHECK_FALSE(pages.Has("/api/docs/other.js"));
  CHECK(pages.Get("/", "").status == 302);
  const auto page = pages.Get("/api/docs", "");
  CHECK(page.content_type == "text/html; charset=utf-8");
  CHECK(page.body.find("</html>") != std::string::npos);
  CHECK(page.body.find("http://") == std::string::npos);
  CHECK(page.body.find("https://") == std::string::npos);
  CHECK(json::parse(pages.Get("/api/v1/openapi.json", "").body)["paths"] == Document()["paths"]);
  std::string etag;
  for (const auto& [name, value] : page.headers) {
    if (name == "ETag") etag = value;
  }
  CHECK(pages.Get("/api/docs", etag).status == 304);
}

TEST_CASE("a stream of messages is described as events") {
  const json& operation = Document()["paths"]["/api/v1/graph/changes"]["get"];
  const json& good = operation["responses"]["200"];
  CHECK(good["content"].size() == 1);
  CHECK(good["content"]["text/event-stream"]["schema"]["$ref"].get<std::string>().find("GraphChange") !=
        std::string::npos);
  std::set<std::string> parameters;
  for (const auto& parameter : operation["parameters"]) parameters.insert(parameter["name"].get<std::string>());
  CHECK(parameters == std::set<std::string>{"Last-Event-ID", "last_event_id"});
}
