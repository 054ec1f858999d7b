#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"

// The rules of the graph once more, in the simplest form that they can be said in: maps, no storage, and nothing of the
// product's code. The property test holds the product against it.
namespace pepeunit::graph_registry::model {

using absl::StatusCode;

enum Type { kUser = 1, kRepo = 2, kUnit = 3, kInput = 4, kOutput = 5 };
enum Level { kPrivate = 1, kInstance = 2, kFederated = 3, kPublic = 4 };
enum Role { kNone = 0, kReader = 1, kWriter = 2, kMaintainer = 3, kOwner = 4 };
enum Kind { kToUser = 1, kToUnit = 2, kToRemoteUser = 3 };
enum LinkType { kWrite = 0, kRead = 1 };  // of G2

// A variable as schema.json declares it.
struct Declared {
  std::string name, type;
  bool input = false;
  bool people = false, links = false;  // who may write it
  int maximum = 0;                     // 0: none
  bool operator==(const Declared&) const = default;
};
using Version = std::vector<Declared>;  // empty: no unit can be made from it

struct Node {
  int type = 0, level = 0;
  std::string parent, owner;
  std::int64_t version = 1;
};
struct User {
  bool admin = false, blocked = false, stopped = false;
};
struct Unit {
  std::string repo, commit, branch;
  bool follow = false;
};
struct Variable {
  Declared declared;
  bool people = true, links = true;  // what a maintainer left open
};
struct Link {
  int type = kWrite;
  std::string output, input, creator;
};
struct Record {
  std::string actor, action, node, owner;
  auto operator<=>(const Record&) const = default;
};

// Who asks: nobody (no id), or a user by a session or a token, which allows at most `cap`.
struct Viewer {
  std::string id;
  bool admin = false;
  int cap = kOwner;
  bool session = true;  // not by a token
};

class Graph {
 public:
  static constexpr std::size_t kLinksFromUnit = 3, kLinksIntoInput = 2, kLinksOfOthers = 2, kLinksOfOneOther = 2;

  std::map<std::string, Node> nodes;
  std::map<std::string, User> users;
  std::map<std::string, std::string> repos;  // their default branches
  std::map<std::string, Unit> units;
  std::map<std::string, Variable> variables;
  std::map<std::string, Link> links;
  std::map<std::tuple<std::string, int, std::string>, int> grants;
  std::map<std::string, Version> commits;
  std::map<std::string, std::string> branches;  // their tips
  std::vector<Record> audit;

  // What somebody may on a node (A0-A4).
  int RoleOf(const Viewer& viewer, const std::string& node) const;
  bool Sees(const Viewer& viewer, const std::string& node) const { return RoleOf(viewer, node) > kNone; }
  // OK, or how he is refused: unknown and forbidden answer alike.
  StatusCode Need(const Viewer& viewer, const std::string& node, int role) const;
  StatusCode NeedOf(int type, const Viewer& viewer, const std::string& node, int role) const;
  static StatusCode NeedMaker(const Viewer& viewer);

  StatusCode CanPutGrant(const Viewer& viewer, const std::string& node, int kind, const std::string& subject,
                         int role) const;
  StatusCode CanDeleteGrant(const Viewer& viewer, const std::string& node, int kind, const std::string& subject) const;
  StatusCode CanSetLevel(const Viewer& viewer, const std::string& node, int level, bool with_variables) const;
  StatusCode CanBlock(const Viewer& viewer, const std::string& user, bool block) const;
  StatusCode CanGovern(const Viewer& viewer, const std::string& user) const;
  bool IsLastAdministrator(const std::string& user) const;
  // What hinders that his nodes are deleted with him or go to `heir`; `agreed`: whether the heir has to have.
  StatusCode CanRemove(const Viewer& viewer, const std::string& user, bool transfer, const std::string& heir,
                       bool agreed, bool preview) const;
  std::size_t UnitsOfOthers(const std::string& user) const;
  StatusCode CanDeleteRepo(const Viewer& viewer, const std::string& repo) const;
  // `branch` empty and `commit` empty: the default branch.
  StatusCode CanUseVersion(const std::string& repo, const std::string& branch, const std::string& commit) const;
  StatusCode CanUpdateVariable(const Viewer& viewer, const std::string& variable, bool people, bool links) const;
  StatusCode CanSetValue(const Viewer& viewer, const std::string& variable) const;
  StatusCode CanLink(const Viewer& viewer, const Link& link) const;  // without the bounds
  StatusCode CanDraw(const Viewer& viewer, const Link& link) const;
  StatusCode CanDeleteLink(const Viewer& viewer, const std::string& link) const;

  bool SeesLink(const Viewer& viewer, const std::string& link) const;
  // Whether it carries now, by the rights that who drew it has now (G5).
  bool Carries(const Link& link) const;
  std::set<std::string> Carrying() const;

  void Log(const Viewer& actor, const std::string& action, const std::string& node);
  void SetLevel(const std::string& node, int level, bool with_variables);
  // The node, what hangs on it, its links and the roles on it.
  void Erase(const std::string& node);
  // The user, and his nodes, unless `heir` has them from now on.
  void Remove(const Viewer& actor, const std::string& user, const std::string& heir);
  std::vector<std::string> VariablesOf(const std::string& unit) const;

 private:
  int Granted(const std::string& node, int kind, const std::string& subject) const;
};

}  // namespace pepeunit::graph_registry::model
