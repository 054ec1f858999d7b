#include <catch2/catch.hpp>

#include "graph_player.h"
#include "pepeunit/values/values.h"

// The operations of a player that are about rights and links, and what everybody sees after each.
namespace pepeunit::graph_registry {

using model::StatusCode;

StatusCode Player::SetLevel() {
  const std::string id = NextNode();
  const int level = 1 + static_cast<int>(Next(4));
  const bool with_variables = Next(3) == 0, preview = Next(4) == 0, match = NextIfMatch(id);
  graph::v1::SetNodeLevelRequest request;
  request.set_id(id);
  request.set_level(static_cast<common::v1::AccessLevel>(level));
  request.set_with_variables(with_variables);
  request.set_preview(preview);
  StatusCode expected = m_.Need(viewer_, id, model::kMaintainer);
  if (expected == StatusCode::kOk && !match) expected = StatusCode::kFailedPrecondition;
  if (expected == StatusCode::kOk) expected = m_.CanSetLevel(viewer_, id, level, with_variables);
  graph::v1::LevelChange told;
  const absl::Status status = w_.nodes.SetLevel(caller_, request, told);
  told_ += " of " + id + " to " + std::to_string(level) + (with_variables ? " with variables" : "") +
           (preview ? ", preview" : "");
  Expect(expected, status);
  if (!status.ok()) return status.code();
  // It says what it does, as far as the caller may see it.
  model::Graph after = m_;
  after.SetLevel(id, level, with_variables);
  std::set<std::string> stop, resume;
  for (const auto& [link, ends] : m_.links) {
    if (!m_.Sees(viewer_, ends.output) || !m_.Sees(viewer_, ends.input)) continue;
    if (m_.Carries(ends) && !after.Carries(ends)) stop.insert(link);
    if (!m_.Carries(ends) && after.Carries(ends)) resume.insert(link);
  }
  if (std::set<std::string>(told.suspended_link_ids().begin(), told.suspended_link_ids().end()) != stop ||
      std::set<std::string>(told.resumed_link_ids().begin(), told.resumed_link_ids().end()) != resume)
    Wrong("it says that other links stop or resume than do");
  std::set<std::string> changed, want;
  for (const auto& variable : told.variables()) changed.insert(variable.variable_id());
  for (const std::string& variable : m_.VariablesOf(id)) {
    if (after.nodes.at(variable).level != m_.nodes.at(variable).level) want.insert(variable);
  }
  if (changed != want) Wrong("it says that other variables change than do");
  if (preview) return status.code();
  m_ = std::move(after);
  m_.Log(viewer_, "node.set-level", id);
  return status.code();
}

StatusCode Player::PutGrant() {
  const std::string node = NextNode();
  const unsigned number = Next(8);
  const int kind = number < 5 ? model::kToUser : number < 7 ? model::kToUnit : model::kToRemoteUser;
  const std::string subject = NextOf(kind == model::kToUnit ? model::kUnit : model::kUser);
  const int role = 1 + static_cast<int>(Next(4));
  graph::v1::PutGrantRequest request;
  request.set_node_id(node);
  request.set_subject_kind(static_cast<graph::v1::SubjectKind>(kind));
  request.set_subject_id(subject);
  request.set_role(static_cast<graph::v1::Role>(role));
  const StatusCode expected = m_.CanPutGrant(viewer_, node, kind, subject, role);
  graph::v1::Grant grant;
  const absl::Status status = w_.nodes.PutGrant(caller_, request, grant);
  told_ += " on " + node + " to " + std::to_string(kind) + ' ' + subject + ": " + std::to_string(role);
  Expect(expected, status);
  if (!status.ok()) return status.code();
  m_.grants[{node, kind, subject}] = role;
  m_.Log(viewer_, "grant.put", node);
  return status.code();
}

StatusCode Player::DeleteGrant() {
  std::string node = NextNode(), subject = NextOf(model::kUser);
  int kind = model::kToUser;
  if (const unsigned number = Next(1u << 20); !m_.grants.empty() && number % 8 != 0) {
    const auto grant = std::next(m_.grants.begin(), static_cast<std::ptrdiff_t>((number / 8) % m_.grants.size()));
    std::tie(node, kind, subject) = grant->first;
  }
  graph::v1::DeleteGrantRequest request;
  request.set_node_id(node);
  request.set_subject_kind(static_cast<graph::v1::SubjectKind>(kind));
  request.set_subject_id(subject);
  const absl::Status status = w_.nodes.DeleteGrant(caller_, request);
  told_ += " on " + node + " to " + std::to_string(kind) + ' ' + subject;
  Expect(m_.CanDeleteGrant(viewer_, node, kind, subject), status);
  if (!status.ok()) return status.code();
  m_.grants.erase({node, kind, subject});
  m_.Log(viewer_, "grant.delete", node);
  return status.code();
}

StatusCode Player::Draw() {
  model::Link link{static_cast<int>(Next(2)), NextOf(model::kOutput), NextOf(model::kInput), viewer_.id};
  graph::v1::CreateLinkRequest request;
  request.set_type(link.type == model::kWrite ? graph::v1::LINK_TYPE_WRITE : graph::v1::LINK_TYPE_READ);
  request.set_output_id(link.output);
  request.set_input_id(link.input);
  const StatusCode expected = m_.CanDraw(viewer_, link);
  graph::v1::Link made;
  const absl::Status status = w_.links.Create(caller_, request, made);
  told_ += " of type " + std::to_string(link.type) + " from " + link.output + " to " + link.input;
  Expect(expected, status);
  if (!status.ok()) return status.code();
  m_.links[made.id()] = link;
  m_.Log(viewer_, "link.create", link.output);
  m_.Log(viewer_, "link.create", link.input);
  return status.code();
}

StatusCode Player::DeleteLink() {
  std::string id = NextNode();
  if (const unsigned number = Next(1u << 20); !m_.links.empty() && number % 8 != 0)
    id = std::next(m_.links.begin(), static_cast<std::ptrdiff_t>((number / 8) % m_.links.size()))->first;
  const absl::Status status = w_.links.Delete(caller_, id);
  told_ += " of " + id;
  Expect(m_.CanDeleteLink(viewer_, id), status);
  if (!status.ok()) return status.code();
  m_.Log(viewer_, "link.delete", m_.links.at(id).output);
  m_.Log(viewer_, "link.delete", m_.links.at(id).input);
  m_.links.erase(id);
  return status.code();
}

StatusCode Player::UpdateVariable() {
  const std::string id = NextOf(Next(8) == 0 ? model::kOutput : model::kInput);
  const unsigned number = Next(8);
  const bool say_people = number % 4 != 1, say_links = number % 4 != 2, match = NextIfMatch(id);
  const bool people = Next(2) == 0, links = Next(2) == 0;
  graph::v1::UpdateVariableRequest request;
  request.set_id(id);
  if (say_people) request.set_accepts_people(people);
  if (say_links) request.set_accepts_links(links);
  StatusCode expected = m_.CanUpdateVariable(viewer_, id, say_people && people, say_links && links);
  if (!match && (expected == StatusCode::kOk || expected == StatusCode::kInvalidArgument))
    expected = StatusCode::kFailedPrecondition;
  graph::v1::Variable variable;
  const absl::Status status = w_.units.UpdateVariable(caller_, request, variable);
  told_ += " of " + id;
  Expect(expected, status);
  if (!status.ok()) return status.code();
  if (say_people) m_.variables.at(id).people = people;
  if (say_links) m_.variables.at(id).links = links;
  ++m_.nodes.at(id).version;
  m_.Log(viewer_, "variable.update", id);
  return status.code();
}

StatusCode Player::SetValue() {
  const std::string id = NextOf(Next(8) == 0 ? model::kOutput : model::kInput);
  const auto found = m_.variables.find(id);
  const std::string type = found == m_.variables.end() ? "number" : found->second.declared.type;
  graph::v1::SetVariableValueRequest request;
  request.set_id(id);
  if (type == "string") {
    request.mutable_value()->set_string_value("on");
  } else if (type == "boolean") {
    request.mutable_value()->set_bool_value(true);
  } else {
    request.mutable_value()->set_number_value(5);
  }
  const StatusCode expected = m_.CanSetValue(viewer_, id);
  graph::v1::SetVariableValueResponse set;
  w_.values.writes.clear();
  const absl::Status status = w_.units.SetValue(caller_, request, set);
  told_ += " of " + id;
  Expect(expected, status);
  if (status.ok() != (w_.values.writes.size() == 1))
    Wrong("values on the stream: " + std::to_string(w_.values.writes.size()));
  return status.code();
}

StatusCode Player::Look() {
  const std::string id = NextNode();
  graph::v1::Node node;
  const absl::Status status = w_.nodes.Get(caller_, id, node);
  told_ += " at " + id;
  Expect(m_.Need(viewer_, id, model::kReader), status);
  if (status.ok() && node.role() != m_.RoleOf(viewer_, id)) Wrong("the role: " + std::to_string(node.role()));
  CompareAuditOf(id);
  return status.code();
}

// Owners read the audit of their nodes, also of what was theirs, and administrators all of it; nobody learns by it
// whether a node is there.
void Player::CompareAuditOf(const std::string& node) {
  graph::v1::ListAuditRecordsRequest request;
  request.set_node_id(node);
  request.set_page_size(200);
  graph::v1::ListAuditRecordsResponse page;
  const absl::Status status = w_.nodes.ListAudit(caller_, request, page);
  Expect(viewer_.id.empty() ? StatusCode::kUnauthenticated : StatusCode::kOk, status);
  if (!status.ok()) return;
  // Reading is all that it takes of a token's scopes.
  const bool all = viewer_.admin || m_.RoleOf({viewer_.id, false}, node) == model::kOwner;
  std::multiset<model::Record> records, want;
  for (const auto& record : page.records())
    records.insert({record.actor_id(), record.action(), record.node_id(), record.owner_id()});
  for (const auto& record : m_.audit) {
    if (record.node == node && (all || record.owner == viewer_.id)) want.insert(record);
  }
  if (want.size() <= 200 && records != want)
    Wrong("audit of the node: " + std::to_string(records.size()) + " records of " + std::to_string(want.size()));
}

void Player::CompareLists() {
  const Who& who = who_[Next(static_cast<unsigned>(who_.size()))];
  if (!who.lives) return;
  const auto caller = callers_.Admit(who.caller);
  if (!caller.ok()) return Wrong("not admitted");
  const auto compare = [&](const char* what, const std::set<std::string>& got, const std::set<std::string>& want) {
    if (got != want)
      Wrong(std::string(what) + " for " + (who.viewer.id.empty() ? "nobody" : who.viewer.id) + ": " +
            std::to_string(got.size()) + " of " + std::to_string(want.size()));
  };
  const auto seen = [&](int type) {
    std::set<std::string> ids;
    for (const auto& [id, node] : m_.nodes) {
      if (node.type == type && m_.Sees(who.viewer, id)) ids.insert(id);
    }
    return ids;
  };
  std::set<std::string> units, repos, links, linked;
  graph::v1::ListUnitsRequest list_units;
  do {
    list_units.set_page_size(3);
    graph::v1::ListUnitsResponse page;
    Expect(StatusCode::kOk, w_.units.List(*caller, list_units, page));
    for (const auto& unit : page.units()) units.insert(unit.id());
    list_units.set_cursor(page.next_cursor());
  } while (!list_units.cursor().empty());
  compare("units", units, seen(model::kUnit));
  graph::v1::ListRepoUnitsRequest list_repos;
  do {
    list_repos.set_page_size(3);
    graph::v1::ListRepoUnitsResponse page;
    Expect(StatusCode::kOk, w_.repo_units.List(*caller, list_repos, page));
    for (const auto& repo : page.repo_units()) repos.insert(repo.id());
    list_repos.set_cursor(page.next_cursor());
  } while (!list_repos.cursor().empty());
  compare("repositories", repos, seen(model::kRepo));
  graph::v1::ListLinksRequest list_links;
  do {
    list_links.set_page_size(3);
    graph::v1::ListLinksResponse page;
    Expect(StatusCode::kOk, w_.links.List(*caller, list_links, page));
    for (const auto& link : page.links()) {
      links.insert(link.id());
      const auto found = m_.links.find(link.id());
      if (found == m_.links.end()) continue;
      const bool output = m_.Sees(who.viewer, found->second.output), input = m_.Sees(who.viewer, found->second.input);
      if ((link.state() == graph::v1::LINK_STATE_ACTIVE) != m_.Carries(found->second))
        Wrong("link " + link.id() + " is told to be " + graph::v1::LinkState_Name(link.state()));
      if (link.output_id() != (output ? found->second.output : "") ||
          link.input_id() != (input ? found->second.input : "") ||
          link.creator_id() != (output && input ? found->second.creator : ""))
        Wrong("link " + link.id() + " tells more or less than it may");
    }
    list_links.set_cursor(page.next_cursor());
  } while (!list_links.cursor().empty());
  for (const auto& [id, link] : m_.links) {
    if (m_.SeesLink(who.viewer, id)) linked.insert(id);
  }
  compare("links", links, linked);
  const std::string unit = NextOf(model::kUnit);
  std::set<std::string> variables, want;
  graph::v1::ListUnitVariablesResponse page;
  Expect(m_.NeedOf(model::kUnit, who.viewer, unit, model::kReader), w_.units.ListVariables(*caller, unit, page));
  for (const auto& variable : page.variables()) variables.insert(variable.id());
  for (const std::string& id : m_.VariablesOf(unit)) {
    if (m_.units.contains(unit) && m_.Sees(who.viewer, unit) && m_.Sees(who.viewer, id)) want.insert(id);
  }
  compare("variables", variables, want);
}

}  // namespace pepeunit::graph_registry
