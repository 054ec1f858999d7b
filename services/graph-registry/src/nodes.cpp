#include "nodes.h"

#include <algorithm>

#include "fields.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kNode[] = "node";
constexpr std::int64_t kMostGrants = 1000;  // on one node

static_assert(static_cast<int>(access::Role::kReader) == graph::v1::ROLE_READER &&
              static_cast<int>(access::Role::kWriter) == graph::v1::ROLE_WRITER &&
              static_cast<int>(access::Role::kMaintainer) == graph::v1::ROLE_MAINTAINER &&
              static_cast<int>(access::Role::kOwner) == graph::v1::ROLE_OWNER);

access::Level LevelOf(common::v1::AccessLevel level) { return static_cast<access::Level>(level); }
common::v1::AccessLevel LevelOf(access::Level level) { return static_cast<common::v1::AccessLevel>(level); }

bool IsVariable(const NodeFacts& facts) {
  return facts.type == graph::v1::NODE_TYPE_INPUT_VARIABLE || facts.type == graph::v1::NODE_TYPE_OUTPUT_VARIABLE;
}

// What a variable's facts are once the change is made.
void Apply(const LevelWrite& write, NodeFacts* facts) {
  if (facts->id == write.node) facts->access.level = write.level;
  if (facts->parent_id != write.node) return;
  facts->access.ceiling = write.level;
  facts->access.level = write.with_variables ? write.level : std::min(facts->access.level, write.level);
}

graph::v1::SubjectKind KindOr(graph::v1::SubjectKind kind) {
  return kind == graph::v1::SUBJECT_KIND_UNSPECIFIED ? graph::v1::SUBJECT_KIND_USER : kind;
}

// A role away from somebody, who may have none.
bool MayTake(access::Role own, access::Role before) {
  return before == access::Role::kNone || access::MayGrant(own, before);
}

void CheckKind(graph::v1::SubjectKind kind, Fields* fields) {
  if (!graph::v1::SubjectKind_IsValid(kind)) fields->Fail("subject_kind", "must be USER, UNIT or REMOTE_USER");
}

}  // namespace

absl::StatusOr<NodeFacts> Nodes::CheckNode(const rpc::Caller& caller, const std::string& field, const std::string& id,
                                           access::Role needed) {
  return FindNode(store_, caller, field, id, needed, kNode);
}

absl::Status Nodes::Get(const rpc::Caller& caller, const std::string& id, graph::v1::Node& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckNode(caller, "id", id, access::Role::kReader));
  PEPEUNIT_ASSIGN_OR_RETURN(out, store_.GetNode(facts.id));
  out.set_role(static_cast<graph::v1::Role>(access::RoleOf(SubjectOf(caller), facts.access)));
  return absl::OkStatus();
}

absl::Status Nodes::SetLevel(const rpc::Caller& caller, const graph::v1::SetNodeLevelRequest& request,
                             graph::v1::LevelChange& out) {
  return ReadAndUpdate(caller, [&] { return SetLevelOnce(caller, request, out); });
}

absl::Status Nodes::SetLevelOnce(const rpc::Caller& caller, const graph::v1::SetNodeLevelRequest& request,
                                 graph::v1::LevelChange& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckNode(caller, "id", request.id(), access::Role::kMaintainer));
  PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t expected, ExpectedVersion(caller, std::to_string(facts.version)));
  Fields fields;
  if (request.level() == common::v1::ACCESS_LEVEL_UNSPECIFIED) fields.Fail("level", "is missing");
  const LevelWrite write{.node = facts.id,
                         .expected_version = expected,
                         .level = LevelOf(fields.Level("level", request.level(), {})),
                         .with_variables = request.with_variables()};
  if (IsVariable(facts) && write.level > facts.access.ceiling) {
    fields.Fail("level", "is above that of its unit, " + common::v1::AccessLevel_Name(LevelOf(facts.access.ceiling)) +
                             "; open the unit first");
  }
  if (request.with_variables() && facts.type != graph::v1::NODE_TYPE_UNIT)
    fields.Fail("with_variables", "is for units only");
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());

  out.Clear();
  out.set_node_id(facts.id.ToString());
  out.set_from(LevelOf(facts.access.level));
  out.set_to(request.level());
  out.set_preview(request.preview());
  const access::Subject subject = SubjectOf(caller);
  if (facts.type == graph::v1::NODE_TYPE_UNIT) {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto variables, store_.ListVariables(facts.id, subject));
    for (const VariableRow& row : variables) {
      NodeFacts after = row.facts;
      Apply(write, &after);
      if (after.access.level == row.facts.access.level) continue;
      auto* change = out.add_variables();
      change->set_variable_id(after.id.ToString());
      change->set_name(after.name);
      change->set_from(LevelOf(row.facts.access.level));
      change->set_to(LevelOf(after.access.level));
    }
  }
  if (facts.type == graph::v1::NODE_TYPE_UNIT || IsVariable(facts)) {
    PEPEUNIT_ASSIGN_OR_RETURN(auto links, store_.LinksAt(facts.id));
    const auto difference = CompareLinks(std::move(links), [&](VariableRow* end) { Apply(write, &end->facts); });
    out.mutable_suspended_link_ids()->Assign(difference.suspended.begin(), difference.suspended.end());
    out.mutable_resumed_link_ids()->Assign(difference.resumed.begin(), difference.resumed.end());
  } else if (facts.type == graph::v1::NODE_TYPE_REPO_UNIT) {
    PEPEUNIT_ASSIGN_OR_RETURN(const auto difference, store_.CompareFollowers(facts.id, write.level));
    out.set_units_that_stop_following(difference.stop);
    out.set_units_that_follow_again(difference.resume);
  }
  return request.preview() ? absl::OkStatus()
                           : store_.SetLevel(ActorOf(caller, {{facts.id, access::Role::kMaintainer, kNode}}), write);
}

absl::Status Nodes::ListGrants(const rpc::Caller& caller, const graph::v1::ListGrantsRequest& request,
                               graph::v1::ListGrantsResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts,
                            CheckNode(caller, "node_id", request.node_id(), access::Role::kMaintainer));
  const std::string list = "grants " + facts.id.ToString();
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListGrants(facts.id, page));
  if (rows.size() > static_cast<std::size_t>(page.limit)) {
    rows.pop_back();
    out.set_next_cursor(MakeCursor(list, *Uuid::Parse(rows.back().subject_id())));
  }
  for (auto& row : rows) *out.add_grants() = std::move(row);
  return absl::OkStatus();
}

// Whom a role is given to has to be there, and the giver has to know of him.
absl::Status Nodes::CheckSubject(const rpc::Caller& caller, const Uuid& subject, graph::v1::SubjectKind kind) {
  if (kind == graph::v1::SUBJECT_KIND_REMOTE_USER)
    return subject.IsNil() ? InvalidField("subject_id", "is nobody's") : absl::OkStatus();
  const bool user = kind == graph::v1::SUBJECT_KIND_USER;
  const auto facts = store_.GetFacts(subject, SubjectOf(caller));
  if (!facts.ok() && !absl::IsNotFound(facts.status())) return facts.status();
  if (facts.ok() && facts->type == (user ? graph::v1::NODE_TYPE_USER : graph::v1::NODE_TYPE_UNIT) &&
      Check(caller, *facts, access::Role::kReader, kNode).ok()) {
    return absl::OkStatus();
  }
  return InvalidField("subject_id", user ? "names no user that you may see" : "names no unit that you may see");
}

absl::Status Nodes::PutGrant(const rpc::Caller& caller, const graph::v1::PutGrantRequest& request,
                             graph::v1::Grant& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts,
                            CheckNode(caller, "node_id", request.node_id(), access::Role::kMaintainer));
  Fields fields;
  const Uuid subject = fields.Id("subject_id", request.subject_id());
  const graph::v1::SubjectKind kind = KindOr(request.subject_kind());
  CheckKind(kind, &fields);
  const bool valid = graph::v1::Role_IsValid(request.role()) && request.role() != graph::v1::ROLE_UNSPECIFIED;
  if (!valid) fields.Fail("role", "must be READER, WRITER, MAINTAINER or OWNER");
  if (valid && request.role() > graph::v1::ROLE_READER && facts.type == graph::v1::NODE_TYPE_USER)
    fields.Fail("role", "must be READER on a user");
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  PEPEUNIT_RETURN_IF_ERROR(CheckSubject(caller, subject, kind));

  graph::v1::Grant grant;
  grant.set_node_id(facts.id.ToString());
  grant.set_subject_kind(kind);
  grant.set_subject_id(subject.ToString());
  grant.set_role(request.role());
  grant.set_granted_by(caller.user_id.ToString());
  const auto may = [&](const NodeFacts& now, access::Role before) -> absl::Status {
    PEPEUNIT_RETURN_IF_ERROR(Check(caller, now, access::Role::kMaintainer, kNode));
    const access::Role own = access::RoleOf(SubjectOf(caller), now.access);
    const bool both = access::MayGrant(own, static_cast<access::Role>(request.role())) && MayTake(own, before);
    return both ? absl::OkStatus() : Forbidden("Only an owner may give or change the roles MAINTAINER and OWNER.");
  };
  PEPEUNIT_ASSIGN_OR_RETURN(out, store_.PutGrant(ActorOf(caller), grant, kMostGrants, may));
  return absl::OkStatus();
}

absl::Status Nodes::DeleteGrant(const rpc::Caller& caller, const graph::v1::DeleteGrantRequest& request) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts,
                            CheckNode(caller, "node_id", request.node_id(), access::Role::kReader));
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  Fields fields;
  const Uuid subject = fields.Id("subject_id", request.subject_id());
  const graph::v1::SubjectKind kind = KindOr(request.subject_kind());
  CheckKind(kind, &fields);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const bool own = kind == graph::v1::SUBJECT_KIND_USER && subject == caller.user_id;
  graph::v1::Grant grant;
  grant.set_node_id(facts.id.ToString());
  grant.set_subject_kind(kind);
  grant.set_subject_id(subject.ToString());
  return store_.DeleteGrant(ActorOf(caller), grant, [&](const NodeFacts& now, access::Role before) -> absl::Status {
    if (own) return absl::OkStatus();
    // Who has which role is told to maintainers only.
    PEPEUNIT_RETURN_IF_ERROR(Check(caller, now, access::Role::kMaintainer, kNode));
    return MayTake(access::RoleOf(SubjectOf(caller), now.access), before)
               ? absl::OkStatus()
               : Forbidden("Only an owner may take away the roles MAINTAINER and OWNER.");
  });
}

absl::Status Nodes::ListAudit(const rpc::Caller& caller, const graph::v1::ListAuditRecordsRequest& request,
                              graph::v1::ListAuditRecordsResponse& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  Fields fields;
  AuditFilter filter;
  if (!request.node_id().empty()) filter.node = fields.Id("node_id", request.node_id());
  if (!request.actor_id().empty()) filter.actor = fields.Id("actor_id", request.actor_id());
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::string list = "audit " + filter.node.ToString() + ' ' + filter.actor.ToString();
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  bool all = caller.administrator;
  if (!all && !filter.node.IsNil()) {
    const auto facts = store_.GetFacts(filter.node, SubjectOf(caller));
    if (!facts.ok() && !absl::IsNotFound(facts.status())) return facts.status();
    // Reading is enough of a scope to read what the owner may read.
    access::Subject subject = SubjectOf(caller);
    subject.most = access::Role::kOwner;
    all = facts.ok() && Check(subject, *facts, access::Role::kOwner, kNode).ok();
  }
  if (!all) filter.owner = caller.user_id;
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListAudit(filter, page));
  out.set_next_cursor(CutPage(list, page, &rows));
  for (auto& row : rows) *out.add_records() = std::move(row);
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
