#include "graph_model.h"

#include <algorithm>

namespace pepeunit::graph_registry::model {

int Graph::Granted(const std::string& node, int kind, const std::string& subject) const {
  int role = kNone;
  for (const std::string& at : {node, nodes.at(node).parent}) {
    const auto found = grants.find({at, kind, subject});
    if (found != grants.end()) role = std::max(role, found->second);
  }
  return role;
}

int Graph::RoleOf(const Viewer& viewer, const std::string& id) const {
  const auto found = nodes.find(id);
  if (found == nodes.end()) return kNone;
  const Node& node = found->second;
  const int level = node.parent.empty() ? node.level : std::min(node.level, nodes.at(node.parent).level);
  if (viewer.id.empty()) return level == kPublic ? kReader : kNone;
  if (viewer.admin || node.owner == viewer.id) return viewer.cap;
  return std::min(viewer.cap, std::max<int>(level >= kInstance ? kReader : kNone, Granted(id, kToUser, viewer.id)));
}

StatusCode Graph::Need(const Viewer& viewer, const std::string& node, int role) const {
  const int has = RoleOf(viewer, node);
  if (has == kNone) return StatusCode::kNotFound;
  if (has >= role) return StatusCode::kOk;
  return viewer.id.empty() ? StatusCode::kUnauthenticated : StatusCode::kPermissionDenied;
}

StatusCode Graph::NeedOf(int type, const Viewer& viewer, const std::string& node, int role) const {
  const auto found = nodes.find(node);
  if (found == nodes.end() || found->second.type != type) return StatusCode::kNotFound;
  return Need(viewer, node, role);
}

StatusCode Graph::NeedMaker(const Viewer& viewer) {
  if (viewer.id.empty()) return StatusCode::kUnauthenticated;
  return viewer.cap >= kMaintainer ? StatusCode::kOk : StatusCode::kPermissionDenied;
}

StatusCode Graph::CanPutGrant(const Viewer& viewer, const std::string& node, int kind, const std::string& subject,
                              int role) const {
  if (const auto may = Need(viewer, node, kMaintainer); may != StatusCode::kOk) return may;
  if (nodes.at(node).type == kUser && role > kReader) return StatusCode::kInvalidArgument;
  if (kind != kToRemoteUser && NeedOf(kind == kToUser ? kUser : kUnit, viewer, subject, kReader) != StatusCode::kOk)
    return StatusCode::kInvalidArgument;
  const auto before = grants.find({node, kind, subject});
  const int highest = std::max(role, before == grants.end() ? kNone : before->second);
  if (highest > kWriter && RoleOf(viewer, node) < kOwner) return StatusCode::kPermissionDenied;
  for (const int other : {kToUser, kToUnit, kToRemoteUser}) {
    if (other != kind && grants.contains({node, other, subject})) return StatusCode::kInvalidArgument;
  }
  return StatusCode::kOk;
}

StatusCode Graph::CanDeleteGrant(const Viewer& viewer, const std::string& node, int kind,
                                 const std::string& subject) const {
  if (!Sees(viewer, node)) return StatusCode::kNotFound;
  if (const auto may = NeedMaker(viewer); may != StatusCode::kOk) return may;
  const bool own = kind == kToUser && subject == viewer.id;
  if (!own && RoleOf(viewer, node) < kMaintainer) return StatusCode::kPermissionDenied;
  const auto grant = grants.find({node, kind, subject});
  if (grant == grants.end()) return StatusCode::kNotFound;
  return !own && grant->second > kWriter && RoleOf(viewer, node) < kOwner ? StatusCode::kPermissionDenied
                                                                          : StatusCode::kOk;
}

StatusCode Graph::CanSetLevel(const Viewer& viewer, const std::string& node, int level, bool with_variables) const {
  if (const auto may = Need(viewer, node, kMaintainer); may != StatusCode::kOk) return may;
  const Node& at = nodes.at(node);
  if (!at.parent.empty() && level > nodes.at(at.parent).level) return StatusCode::kInvalidArgument;
  return with_variables && at.type != kUnit ? StatusCode::kInvalidArgument : StatusCode::kOk;
}

StatusCode Graph::CanBlock(const Viewer& viewer, const std::string& user, bool block) const {
  if (const auto may = NeedOf(kUser, viewer, user, kReader); may != StatusCode::kOk) return may;
  if (const auto may = NeedMaker(viewer); may != StatusCode::kOk) return may;
  if (!viewer.admin) return StatusCode::kPermissionDenied;
  return block && user == viewer.id ? StatusCode::kInvalidArgument : StatusCode::kOk;
}

StatusCode Graph::CanGovern(const Viewer& viewer, const std::string& user) const {
  if (const auto may = NeedOf(kUser, viewer, user, kReader); may != StatusCode::kOk) return may;
  if (viewer.id.empty()) return StatusCode::kUnauthenticated;
  return viewer.session && viewer.admin ? StatusCode::kOk : StatusCode::kPermissionDenied;
}

bool Graph::IsLastAdministrator(const std::string& id) const {
  const auto governs = [](const User& user) { return user.admin && !user.blocked; };
  return governs(users.at(id)) &&
         std::count_if(users.begin(), users.end(), [&](const auto& user) { return governs(user.second); }) == 1;
}

std::size_t Graph::UnitsOfOthers(const std::string& user) const {
  return static_cast<std::size_t>(std::count_if(units.begin(), units.end(), [&](const auto& unit) {
    return nodes.at(unit.first).owner != user && nodes.at(unit.second.repo).owner == user;
  }));
}

StatusCode Graph::CanRemove(const Viewer& viewer, const std::string& user, bool transfer, const std::string& heir,
                            bool agreed, bool preview) const {
  if (transfer && (heir == user || NeedOf(kUser, viewer, heir, kReader) != StatusCode::kOk))
    return StatusCode::kInvalidArgument;
  if (IsLastAdministrator(user)) return StatusCode::kFailedPrecondition;
  if (transfer) {
    if (users.at(heir).blocked) return StatusCode::kInvalidArgument;
    return agreed && !grants.contains({heir, kToUser, user}) ? StatusCode::kFailedPrecondition : StatusCode::kOk;
  }
  return !preview && UnitsOfOthers(user) > 0 ? StatusCode::kFailedPrecondition : StatusCode::kOk;
}

StatusCode Graph::CanDeleteRepo(const Viewer& viewer, const std::string& repo) const {
  if (const auto may = NeedOf(kRepo, viewer, repo, kOwner); may != StatusCode::kOk) return may;
  for (const auto& [id, unit] : units) {
    if (unit.repo == repo) return StatusCode::kFailedPrecondition;
  }
  return StatusCode::kOk;
}

StatusCode Graph::CanUseVersion(const std::string& repo, const std::string& branch, const std::string& commit) const {
  std::string tip = commit;
  if (commit.empty()) {
    const std::string& name = branch.empty() ? repos.at(repo) : branch;
    if (!branches.contains(name)) return StatusCode::kInvalidArgument;
    tip = branches.at(name);
  }
  if (!commits.contains(tip)) return StatusCode::kInvalidArgument;
  return commits.at(tip).empty() ? StatusCode::kFailedPrecondition : StatusCode::kOk;
}

StatusCode Graph::CanUpdateVariable(const Viewer& viewer, const std::string& id, bool people, bool with_links) const {
  if (!variables.contains(id)) return StatusCode::kNotFound;
  if (const auto may = Need(viewer, id, kMaintainer); may != StatusCode::kOk) return may;
  const Declared& declared = variables.at(id).declared;
  const bool fits = declared.input && (declared.people || !people) && (declared.links || !with_links);
  return fits ? StatusCode::kOk : StatusCode::kInvalidArgument;
}

StatusCode Graph::CanSetValue(const Viewer& viewer, const std::string& id) const {
  if (!variables.contains(id)) return StatusCode::kNotFound;
  if (const auto may = Need(viewer, id, kWriter); may != StatusCode::kOk) return may;
  const Variable& variable = variables.at(id);
  return variable.declared.input && variable.declared.people && variable.people ? StatusCode::kOk
                                                                                : StatusCode::kFailedPrecondition;
}

StatusCode Graph::CanLink(const Viewer& viewer, const Link& link) const {
  if (!variables.contains(link.output) || !variables.contains(link.input)) return StatusCode::kNotFound;
  const std::string &pushes = nodes.at(link.output).parent, &pulls = nodes.at(link.input).parent;
  // What the unit at his end may, who maintains that end may.
  const bool reads_by_unit = link.type == kRead && RoleOf(viewer, link.input) >= kMaintainer &&
                             Granted(link.output, kToUnit, pulls) >= kReader;
  const bool writes_by_unit = link.type == kWrite && RoleOf(viewer, link.output) >= kMaintainer &&
                              Granted(link.input, kToUnit, pushes) >= kWriter;
  if (!Sees(viewer, link.output) && !reads_by_unit) return StatusCode::kNotFound;
  if (!Sees(viewer, link.input) && !writes_by_unit) return StatusCode::kNotFound;
  const Declared &from = variables.at(link.output).declared, &to = variables.at(link.input).declared;
  const bool number = to.type == "number" || to.type == "integer";
  const bool agree = from.type == to.type || (number && from.type != "string");
  if (from.input || !to.input || !agree) return StatusCode::kInvalidArgument;
  const int needed = link.type == kWrite ? kWriter : kMaintainer;
  if (RoleOf(viewer, link.input) < needed && !writes_by_unit) return StatusCode::kPermissionDenied;
  const bool open = to.links && variables.at(link.input).links;
  return link.type == kWrite && !open ? StatusCode::kFailedPrecondition : StatusCode::kOk;
}

StatusCode Graph::CanDraw(const Viewer& viewer, const Link& link) const {
  if (const auto may = NeedMaker(viewer); may != StatusCode::kOk) return may;
  if (const auto may = CanLink(viewer, link); may != StatusCode::kOk) return may;
  std::size_t from = 0, into = 0, of_others = 0, own = 0;
  bool linked = false;
  const std::string& owner = nodes.at(link.output).owner;
  for (const auto& [id, other] : links) {
    const bool same_unit = nodes.at(other.output).parent == nodes.at(link.output).parent;
    from += same_unit;
    of_others += same_unit && other.creator != owner;
    own += same_unit && other.creator == link.creator;
    into += other.input == link.input;
    linked = linked || (other.output == link.output && other.input == link.input);
  }
  const bool stranger = link.creator != owner;
  if (from >= kLinksFromUnit || into >= kLinksIntoInput) return StatusCode::kResourceExhausted;
  if (stranger && (own >= kLinksOfOneOther || of_others >= kLinksOfOthers)) return StatusCode::kResourceExhausted;
  return linked ? StatusCode::kAlreadyExists : StatusCode::kOk;
}

bool Graph::SeesLink(const Viewer& viewer, const std::string& id) const {
  const auto link = links.find(id);
  return link != links.end() && (Sees(viewer, link->second.output) || Sees(viewer, link->second.input));
}

StatusCode Graph::CanDeleteLink(const Viewer& viewer, const std::string& id) const {
  if (!SeesLink(viewer, id)) return StatusCode::kNotFound;
  if (viewer.id.empty()) return StatusCode::kUnauthenticated;
  const Link& link = links.at(id);
  if (link.creator == viewer.id) return NeedMaker(viewer);
  return std::max(RoleOf(viewer, link.output), RoleOf(viewer, link.input)) >= kMaintainer
             ? StatusCode::kOk
             : StatusCode::kPermissionDenied;
}

bool Graph::Carries(const Link& link) const {
  const auto creator = users.find(link.creator);
  if (creator == users.end() || creator->second.stopped) return false;
  return CanLink({link.creator, creator->second.admin}, link) == StatusCode::kOk;
}

std::set<std::string> Graph::Carrying() const {
  std::set<std::string> carrying;
  for (const auto& [id, link] : links) {
    if (Carries(link)) carrying.insert(id);
  }
  return carrying;
}

void Graph::Log(const Viewer& actor, const std::string& action, const std::string& node) {
  audit.push_back({actor.id, action, node, nodes.at(node).owner});
}

void Graph::SetLevel(const std::string& node, int level, bool with_variables) {
  nodes.at(node).level = level;
  ++nodes.at(node).version;
  for (const std::string& id : VariablesOf(node)) {
    Node& variable = nodes.at(id);
    const int to = with_variables ? level : std::min(level, variable.level);
    if (to != variable.level) ++variable.version;
    variable.level = to;
  }
}

void Graph::Remove(const Viewer& actor, const std::string& user, const std::string& heir) {
  Log(actor, "user.delete", user);
  // Roles on what is others' are told to them.
  for (const auto& [grant, role] : grants) {
    const auto& [on, kind, subject] = grant;
    const bool his_unit = heir.empty() && kind == kToUnit && nodes.at(subject).owner == user;
    if (nodes.at(on).owner != user && (his_unit || (kind == kToUser && subject == user)))
      Log(actor, "grant.delete", on);
  }
  for (const int type : {kUnit, kRepo}) {
    for (const auto& [id, node] : std::map(nodes)) {
      if (node.owner != user || node.type != type) continue;
      if (heir.empty()) {
        Log(actor, type == kUnit ? "unit.delete" : "repo_unit.delete", id);
        Erase(id);
        continue;
      }
      std::vector<std::string> with = VariablesOf(id);
      with.push_back(id);
      for (const std::string& one : with) nodes.at(one).owner = heir, ++nodes.at(one).version;
      Log(actor, "node.transfer", id);
    }
  }
  Erase(user);
  users.erase(user);
}

std::vector<std::string> Graph::VariablesOf(const std::string& unit) const {
  std::vector<std::string> ids;
  for (const auto& [id, node] : nodes) {
    if (node.parent == unit) ids.push_back(id);
  }
  return ids;
}

void Graph::Erase(const std::string& node) {
  for (const std::string& id : VariablesOf(node)) Erase(id);
  std::erase_if(links, [&](const auto& link) { return link.second.output == node || link.second.input == node; });
  // Roles that were given to it go with it.
  std::erase_if(grants, [&](const auto& grant) {
    const auto& [on, kind, subject] = grant.first;
    return on == node || (kind != kToRemoteUser && subject == node);
  });
  repos.erase(node), units.erase(node), variables.erase(node), nodes.erase(node);
}

}  // namespace pepeunit::graph_registry::model
