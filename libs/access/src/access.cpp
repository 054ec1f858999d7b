#include "pepeunit/access/access.h"

#include <algorithm>

namespace pepeunit::access {
namespace {

// The lowest level that lets in everybody of this kind.
Level LowestOpenTo(Subject::Kind kind) {
  switch (kind) {
    case Subject::Kind::kUser:
    case Subject::Kind::kUnit:  // a unit sees what its owner sees, and its owner is a user of this instance
      return Level::kInstance;
    case Subject::Kind::kRemoteUser:
      return Level::kFederated;
    case Subject::Kind::kAnonymous:
      return Level::kPublic;
  }
  return Level::kPublic;
}

// A level shows; it never lets anybody change anything.
Role FromLevel(const Subject& subject, const Node& node) {
  const Level effective = std::min(node.level, node.ceiling);
  return effective >= LowestOpenTo(subject.kind) ? Role::kReader : Role::kNone;
}

// Nobody has the nil id, so a field that was left empty never makes an owner.
Role FromOwnership(const Subject& subject, const Node& node) {
  const auto owns = [&](const Uuid& id) { return !id.IsNil() && id == node.owner_id; };
  switch (subject.kind) {
    case Subject::Kind::kUser:
      return subject.administrator || owns(subject.id) ? Role::kOwner : Role::kNone;
    case Subject::Kind::kUnit:
      return owns(subject.owner_id) ? Role::kReader : Role::kNone;
    case Subject::Kind::kRemoteUser:  // nodes belong to users of this instance only, whatever id another one claims
    case Subject::Kind::kAnonymous:
      return Role::kNone;
  }
  return Role::kNone;
}

// A grant names somebody, and the anonymous are nobody.
Role FromGrant(const Subject& subject, const Node& node) {
  return subject.kind == Subject::Kind::kAnonymous ? Role::kNone : node.granted;
}

}  // namespace

Role RoleOf(const Subject& subject, const Node& node) {
  const Role most = std::max({FromLevel(subject, node), FromGrant(subject, node), FromOwnership(subject, node)});
  return std::min(most, subject.most);
}

bool MayGrant(Role own, Role role) {
  return own >= (role > Role::kWriter ? Role::kOwner : Role::kMaintainer) && role != Role::kNone;
}

Decision Decide(const Subject& subject, const Node& node, Role needed) {
  const Role role = RoleOf(subject, node);
  if (role == Role::kNone) return Decision::kUnknown;
  return role >= needed ? Decision::kAllowed : Decision::kForbidden;
}

}  // namespace pepeunit::access
