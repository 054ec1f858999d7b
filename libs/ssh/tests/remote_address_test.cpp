#include "pepeunit/ssh/remote_address.h"

#include <catch2/catch.hpp>

using namespace pepeunit::ssh;

TEST_CASE("addresses over SSH say who signs in where, and what is asked for there", "[R1]") {
  struct Case {
    const char *url, *user, *host, *port, *path;
  };
  for (const Case& c :
       {Case{"ssh://git@example.org/a/b.git", "git", "example.org", "22", "/a/b.git"},
        Case{"ssh://git@example.org:2222/a", "git", "example.org", "2222", "/a"},
        Case{"ssh://git@[2001:db8::1]:22/a", "git", "2001:db8::1", "22", "/a"},
        Case{"ssh://git@[::1]/a", "git", "::1", "22", "/a"}, Case{"ssh://ada.l@h/~ada/x", "ada.l", "h", "22", "~ada/x"},
        Case{"git@example.org:a/b.git", "git", "example.org", "22", "a/b.git"},
        Case{"git@example.org:/srv/b.git", "git", "example.org", "22", "/srv/b.git"},
        Case{"git@[::1]:b.git", "git", "::1", "22", "b.git"},
        Case{"git@host:2222/b", "git", "host", "22", "2222/b"},  // as git and scp read it
        Case{"git@host:a@b:c", "git", "host", "22", "a@b:c"}}) {
    CAPTURE(c.url);
    const auto address = ParseRemoteAddress(c.url);
    REQUIRE(address.ok());
    CHECK(IsSsh(*address));
    CHECK(address->user == c.user);
    CHECK(address->host == c.host);
    CHECK(address->port == c.port);
    CHECK(address->path == c.path);
  }
}

TEST_CASE("addresses over HTTP keep what is behind the host", "[R1]") {
  const auto https = ParseRemoteAddress("https://example.org/a%20b.git?x=1@2");
  REQUIRE(https.ok());
  CHECK_FALSE(IsSsh(*https));
  CHECK(https->host == "example.org");
  CHECK(https->port == "443");
  CHECK(https->path == "/a%20b.git?x=1@2");
  const auto http = ParseRemoteAddress("http://[::1]:8080/r");
  REQUIRE(http.ok());
  CHECK(http->host == "::1");
  CHECK(http->port == "8080");
  CHECK(ParseRemoteAddress("http://example.org")->port == "80");
}

TEST_CASE("what is no address, or holds a secret, is refused with what is wrong", "[R1][R4]") {
  struct Case {
    const char *url, *told;
  };
  for (const Case& c : {Case{"", "must begin with"},
                        Case{"file:///etc", "must begin with"},
                        Case{"/srv/r.git", "must begin with"},
                        Case{"host:r.git", "must begin with"},
                        Case{"C:/r.git", "must begin with"},
                        Case{"./a@b:c", "must name the user"},
                        Case{"ext::sh -c x", "spaces"},
                        Case{"git+ssh://git@h/x", "must begin with"},
                        Case{"https://", "names no host"},
                        Case{"https://:80/x", "names no host"},
                        Case{"https://u:p@h/x", "credentials"},
                        Case{"https://u@h/x", "credentials"},
                        Case{"https://h:0/x", "port"},
                        Case{"https://h:65536/x", "port"},
                        Case{"https://[::1/x", "]"},
                        Case{"ssh://git:secret@h/x", "credentials"},
                        Case{"git:secret@h:x", "must begin with"},
                        Case{"ssh://h/x", "name the user"},
                        Case{"ssh://-oProxyCommand=x@h/x", "name the user"},
                        Case{"ssh://git@-oProxyCommand=x/x", "names no host"},
                        Case{"ssh://git@/x", "names no host"},
                        Case{"ssh://git@h;id/x", "names no host"},
                        Case{"ssh://git@h", "names no repository"},
                        Case{"ssh://git@h/", "names no repository"},
                        Case{"git@h:", "names no repository"},
                        Case{"git@h:--upload-pack=x", "begins with '-'"},
                        Case{"ssh://git@h/a%2Fb", "'%'"},
                        Case{"ssh://git@h/a\nb", "control characters"},
                        Case{"ssh://git@h/a\\b", "backslashes"}}) {
    CAPTURE(c.url);
    const auto address = ParseRemoteAddress(c.url);
    REQUIRE_FALSE(address.ok());
    CHECK(std::string(address.status().message()).find(c.told) != std::string::npos);
    CHECK(std::string(address.status().message()).find("secret") == std::string::npos);
  }
  CHECK_FALSE(ParseRemoteAddress("ssh://git@h/" + std::string(2048, 'a')).ok());
}
