#pragma once

#include "pepeunit/base/uuid.h"

// The one access decision (A0-A4). Pure: no I/O, no state; thread-safe.
//
// A subject has on a node the highest of: what the node's level gives it (private < instance < federated < public),
// what a grant on the node or its parent gives it, and what ownership or administration gives it; but never more than
// the token that speaks for it allows.
namespace pepeunit::access {

enum class Level { kPrivate = 1, kInstance = 2, kFederated = 3, kPublic = 4 };

// Each includes the ones before it.
enum class Role { kNone = 0, kReader = 1, kWriter = 2, kMaintainer = 3, kOwner = 4 };

struct Subject {
  enum class Kind { kAnonymous, kUser, kRemoteUser, kUnit };
  Kind kind = Kind::kAnonymous;
  Uuid id{};                   // of the user or unit; nil for anonymous
  Uuid owner_id{};             // kUnit: the user it belongs to; a unit may what its owner may read
  bool administrator = false;  // kUser only
  Role most = Role::kOwner;    // what the scopes of the token that speaks for it allow at most
};

struct Node {
  Uuid owner_id{};
  Level level = Level::kPrivate;   // of the node itself
  Level ceiling = Level::kPublic;  // of its parent: a child is never more open; kPublic when it has none
  Role granted = Role::kNone;      // the highest grant to the subject on the node or its parent
};

Role RoleOf(const Subject& subject, const Node& node);

// Whether somebody who has `own` on a node may give a grant of `role` on it, or take it away: maintainers let people
// read and write, owners everything.
bool MayGrant(Role own, Role role);

enum class Decision { kAllowed, kForbidden, kUnknown };  // kUnknown: answer as if the node did not exist

Decision Decide(const Subject& subject, const Node& node, Role needed);

}  // namespace pepeunit::access
