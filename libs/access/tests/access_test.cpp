#include "pepeunit/access/access.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace pepeunit;
using namespace pepeunit::access;

namespace {

const Uuid kAlice = *Uuid::Parse("0190163d-8694-739b-aea5-966c26f8ad91");
const Uuid kBob = *Uuid::Parse("0190163d-8694-739b-aea5-966c26f8ad92");
const Uuid kSensor = *Uuid::Parse("0190163d-8694-739b-aea5-966c26f8ad93");

constexpr Level kLevels[] = {Level::kPrivate, Level::kInstance, Level::kFederated, Level::kPublic};
constexpr Role kRoles[] = {Role::kNone, Role::kReader, Role::kWriter, Role::kMaintainer, Role::kOwner};

using Kind = Subject::Kind;

struct Who {
  std::string name;
  Subject subject;
  // What each effective level gives this subject on a node of Alice's without any grant.
  Role on_private, on_instance, on_federated, on_public;
  bool grants_count = true;

  Role On(Level level) const {
    switch (level) {
      case Level::kPrivate:
        return on_private;
      case Level::kInstance:
        return on_instance;
      case Level::kFederated:
        return on_federated;
      case Level::kPublic:
        return on_public;
    }
    return Role::kNone;
  }
};

const std::vector<Who>& Everybody() {
  constexpr Role kNone = Role::kNone, kReader = Role::kReader, kOwner = Role::kOwner;
  static const std::vector<Who> everybody = {
      {"anonymous", {.kind = Kind::kAnonymous}, kNone, kNone, kNone, kReader, false},
      {"anonymous that says it is the owner",
       {.kind = Kind::kAnonymous, .id = kAlice},
       kNone,
       kNone,
       kNone,
       kReader,
       false},
      {"anonymous that says it is an administrator",
       {.kind = Kind::kAnonymous, .administrator = true},
       kNone,
       kNone,
       kNone,
       kReader,
       false},
      {"remote user", {.kind = Kind::kRemoteUser, .id = kBob}, kNone, kNone, kReader, kReader},
      {"remote user with the owner's id", {.kind = Kind::kRemoteUser, .id = kAlice}, kNone, kNone, kReader, kReader},
      {"remote user that says it is an administrator",
       {.kind = Kind::kRemoteUser, .id = kBob, .administrator = true},
       kNone,
       kNone,
       kReader,
       kReader},
      {"user", {.kind = Kind::kUser, .id = kBob}, kNone, kReader, kReader, kReader},
      {"owner", {.kind = Kind::kUser, .id = kAlice}, kOwner, kOwner, kOwner, kOwner},
      {"administrator", {.kind = Kind::kUser, .id = kBob, .administrator = true}, kOwner, kOwner, kOwner, kOwner},
      {"unit of another", {.kind = Kind::kUnit, .id = kSensor, .owner_id = kBob}, kNone, kReader, kReader, kReader},
      {"unit of the owner",
       {.kind = Kind::kUnit, .id = kSensor, .owner_id = kAlice},
       kReader,
       kReader,
       kReader,
       kReader},
      {"unit with the owner's id as its own",
       {.kind = Kind::kUnit, .id = kAlice, .owner_id = kBob},
       kNone,
       kReader,
       kReader,
       kReader},
      {"unit that says it is an administrator",
       {.kind = Kind::kUnit, .id = kSensor, .owner_id = kBob, .administrator = true},
       kNone,
       kReader,
       kReader,
       kReader},
  };
  return everybody;
}

}  // namespace

TEST_CASE("every subject has what its level, grant and ownership give it, and no more", "[A0][A1][A2][A3][A4]") {
  for (const Who& who : Everybody()) {
    for (const Level level : kLevels) {
      for (const Level ceiling : kLevels) {
        for (const Role granted : kRoles) {
          const Node node{.owner_id = kAlice, .level = level, .ceiling = ceiling, .granted = granted};
          const Role by_level = who.On(std::min(level, ceiling));
          const Role expected = who.grants_count ? std::max(by_level, granted) : by_level;
          INFO(who.name << ", level " << int(level) << ", ceiling " << int(ceiling) << ", grant " << int(granted));
          CHECK(RoleOf(who.subject, node) == expected);
          for (const Role needed : kRoles) {
            const Decision decision = expected == Role::kNone ? Decision::kUnknown
                                      : expected >= needed    ? Decision::kAllowed
                                                              : Decision::kForbidden;
            INFO("needs " << int(needed));
            CHECK(Decide(who.subject, node, needed) == decision);
          }
        }
      }
    }
  }
}

TEST_CASE("a token never gives more than its scopes", "[A5]") {
  for (const Who& who : Everybody()) {
    for (const Level level : kLevels) {
      for (const Role most : kRoles) {
        Subject subject = who.subject;
        subject.most = most;
        INFO(who.name << ", level " << int(level) << ", at most " << int(most));
        CHECK(RoleOf(subject, {.owner_id = kAlice, .level = level}) == std::min(who.On(level), most));
      }
    }
  }
}

TEST_CASE("maintainers let people read and write, owners everything", "[A3][A4]") {
  for (const Role own : kRoles) {
    CHECK_FALSE(MayGrant(own, Role::kNone));
    for (const Role role : {Role::kReader, Role::kWriter}) CHECK(MayGrant(own, role) == (own >= Role::kMaintainer));
    for (const Role role : {Role::kMaintainer, Role::kOwner}) CHECK(MayGrant(own, role) == (own == Role::kOwner));
  }
}

TEST_CASE("a child is never more open than its parent", "[A4]") {
  const Subject anonymous{};
  CHECK(RoleOf(anonymous, {.owner_id = kAlice, .level = Level::kPublic, .ceiling = Level::kPublic}) == Role::kReader);
  for (const Level ceiling : {Level::kPrivate, Level::kInstance, Level::kFederated}) {
    const Node child{.owner_id = kAlice, .level = Level::kPublic, .ceiling = ceiling};
    CHECK(Decide(anonymous, child, Role::kReader) == Decision::kUnknown);
  }
}

TEST_CASE("an id that was left empty owns nothing", "[A3]") {
  const Node orphan{.owner_id = {}, .level = Level::kPrivate};
  CHECK(RoleOf({.kind = Kind::kUser}, orphan) == Role::kNone);
  CHECK(RoleOf({.kind = Kind::kUnit, .id = kSensor}, orphan) == Role::kNone);
}
