#include <catch2/catch.hpp>

#include "pepeunit/graph/v1/units.pb.h"
#include "router.h"

using namespace pepeunit::gateway;

TEST_CASE("path templates match whole segments and verbs") {
  struct {
    const char *pattern, *path;
    bool matches;
    Captures captures;
  } const cases[] = {
      {"/api/v1/units", "/api/v1/units", true, {}},
      {"/api/v1/units", "/api/v1/units/", false, {}},
      {"/api/v1/units", "/api/v1/unit", false, {}},
      {"/api/v1/units/{id}", "/api/v1/units/7", true, {{"id", "7"}}},
      {"/api/v1/units/{id}", "/api/v1/units/a%2Fb%3A", true, {{"id", "a/b:"}}},
      {"/api/v1/units/{id}", "/api/v1/units/", false, {}},
      {"/api/v1/units/{id}", "/api/v1/units/7:sync", false, {}},
      {"/api/v1/units/{id}", "/api/v1/units/%zz", false, {}},
      {"/api/v1/units/{id}", "/api/v1/units/%00", false, {}},
      {"/api/v1/units/{id}:sync", "/api/v1/units/7:sync", true, {{"id", "7"}}},
      {"/api/v1/units/{id}:sync", "/api/v1/units/7", false, {}},
      {"/api/v1/units/{unit_id}/state", "/api/v1/units/7/state", true, {{"unit_id", "7"}}},
      {"/api/v1/units/{unit_id}/state", "/api/v1/units/7/8/state", false, {}},
      {"/api/v1/units", "//api/v1/units", false, {}},
      {"/api/v1/units", "", false, {}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.pattern, c.path);
    const auto parsed = PathTemplate::Parse(c.pattern);
    REQUIRE(parsed.ok());
    const auto found = parsed->Match(c.path);
    CHECK(found.has_value() == c.matches);
    if (found) CHECK(*found == c.captures);
  }
  for (const char* bad : {"", "units", "/a//b", "/{name=shelves/*}", "/a/{b", "/x{id}"}) {
    CAPTURE(bad);
    CHECK_FALSE(PathTemplate::Parse(bad).ok());
  }
}

TEST_CASE("the API's own bindings make a router") {
  const auto router = LinkedRouter();
  REQUIRE(router.ok());
  CHECK(router->bindings().size() >= 25);

  const auto me = router->Find("GET", "/api/v1/users/me");
  REQUIRE(me.binding != nullptr);
  CHECK(me.binding->method->name() == "GetCurrentUser");

  const auto sync = router->Find("POST", "/api/v1/repo-units/7:sync");
  REQUIRE(sync.binding != nullptr);
  CHECK(sync.binding->method->name() == "SyncRepoUnit");

  const auto head = router->Find("HEAD", "/api/v1/units/7");
  REQUIRE(head.binding != nullptr);
  CHECK(head.binding->method->name() == "GetUnit");

  const auto wrong = router->Find("PUT", "/api/v1/units/7");
  CHECK(wrong.binding == nullptr);
  CHECK(wrong.allowed == std::vector<std::string>{"DELETE", "GET", "PATCH"});
  CHECK(router->Find("GET", "/api/v1/nothing").allowed.empty());
}

TEST_CASE("two operations at one place are an error") {
  auto bindings = BindingsOf(*pepeunit::graph::v1::Unit::descriptor()->file());
  REQUIRE(bindings.ok());
  auto twice = *bindings;
  twice.insert(twice.end(), bindings->begin(), bindings->end());
  CHECK(Router::Of(*bindings).ok());
  CHECK_FALSE(Router::Of(twice).ok());
}
