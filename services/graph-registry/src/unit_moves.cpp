#include <algorithm>
#include <map>
#include <set>

#include "fields.h"
#include "pepeunit/schema/reconcile.h"
#include "pepeunit/values/values.h"
#include "rights.h"
#include "units.h"
#include "version_choice.h"

namespace pepeunit::graph_registry {
namespace {

static_assert(static_cast<int>(schema::Change::kKept) + 1 == graph::v1::VARIABLE_CHANGE_KIND_KEPT &&
              static_cast<int>(schema::Change::kChanged) + 1 == graph::v1::VARIABLE_CHANGE_KIND_CHANGED &&
              static_cast<int>(schema::Change::kAdded) + 1 == graph::v1::VARIABLE_CHANGE_KIND_ADDED &&
              static_cast<int>(schema::Change::kRemoved) + 1 == graph::v1::VARIABLE_CHANGE_KIND_REMOVED &&
              static_cast<int>(schema::Change::kReplaced) + 1 == graph::v1::VARIABLE_CHANGE_KIND_REPLACED);

graph::v1::VariableKind KindOf(schema::Direction direction) {
  return direction == schema::Direction::kInput ? graph::v1::VARIABLE_KIND_INPUT : graph::v1::VARIABLE_KIND_OUTPUT;
}

// As it is read back from what is stored, so that what is the same compares equal.
schema::Declared AsStored(schema::Direction direction, const schema::Variable& variable) {
  graph::v1::Variable stored;
  values::FromDefinition(variable, KindOf(direction), &stored);
  return {direction, values::ToDefinition(stored)};
}

std::vector<schema::Declared> DeclaredBy(const schema::Schema& schema) {
  std::vector<schema::Declared> declared;
  for (const auto& input : schema.inputs) declared.push_back(AsStored(schema::Direction::kInput, input));
  for (const auto& output : schema.outputs) declared.push_back(AsStored(schema::Direction::kOutput, output));
  return declared;
}

std::vector<schema::Declared> DeclaredBy(const std::vector<VariableRow>& rows) {
  std::vector<schema::Declared> declared;
  for (const auto& row : rows) {
    const bool input = row.variable.kind() == graph::v1::VARIABLE_KIND_INPUT;
    auto& one = declared.emplace_back(schema::Declared{input ? schema::Direction::kInput : schema::Direction::kOutput,
                                                       values::ToDefinition(row.variable)});
    // As declared, whatever a maintainer made of it.
    one.variable.logging = row.schema_logging;
    if (!input) continue;
    one.variable.people_may_write = row.schema_lets_people;
    one.variable.links_may_write = row.schema_lets_links;
  }
  return declared;
}

// What the move writes, and what it tells.
void Plan(const std::vector<VariableRow>& rows, const schema::Schema& schema, MoveWrite* write,
          graph::v1::UnitMove* told) {
  const auto before = DeclaredBy(rows), after = DeclaredBy(schema);
  for (const schema::Step& step : schema::Reconcile(before, after)) {
    const bool stays = step.change == schema::Change::kKept || step.change == schema::Change::kChanged;
    auto* change = told->add_variables();
    change->set_change(static_cast<graph::v1::VariableChangeKind>(static_cast<int>(step.change) + 1));
    change->set_name(step.name);
    change->mutable_keys()->Assign(step.keys.begin(), step.keys.end());
    if (step.before) change->set_variable_id(rows[*step.before].variable.id());
    if (step.before && !stays) write->removed.push_back(rows[*step.before].variable.id());
    if (!step.after) continue;
    auto& variable = write->variables.emplace_back();
    values::FromDefinition(after[*step.after].variable, KindOf(after[*step.after].direction), &variable);
    variable.set_id(stays ? rows[*step.before].variable.id() : Uuid::New().ToString());
    variable.set_unit_id(write->unit.ToString());
    if (!stays) write->added.push_back(variable.id());
  }
}

bool SameVersion(const graph::v1::UnitVersion& a, const graph::v1::UnitVersion& b) {
  return a.commit() == b.commit() && a.tag() == b.tag() && a.branch() == b.branch() && a.follow() == b.follow();
}

}  // namespace

absl::Status Units::Move(const rpc::Caller& caller, const graph::v1::MoveUnitRequest& request,
                         graph::v1::UnitMove& out) {
  return ReadAndUpdate(caller, [&] { return MoveOnce(caller, request, out); });
}

absl::Status Units::MoveOnce(const rpc::Caller& caller, const graph::v1::MoveUnitRequest& request,
                             graph::v1::UnitMove& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckUnit(caller, "id", request.id(), access::Role::kMaintainer));
  Fields fields;
  if (request.has_pin() == request.follow()) fields.Fail("pin", "must be there, or else `follow` true");
  if (request.has_pin()) CheckPin(request.pin(), &fields);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::Unit unit, store_.GetUnit(facts.id));
  const Uuid repo_id = *Uuid::Parse(unit.version().repo_unit_id());
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts repo_facts, store_.GetFacts(repo_id, SubjectOf(caller)));
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, repo_facts, access::Role::kReader, "repository"));
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::RepoUnit repo, store_.GetRepoUnit(repo_id));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto resolved, choices_.Choose(repo, request.pin()));
  PEPEUNIT_ASSIGN_OR_RETURN(const VersionFiles files, ReadVersionFiles(resolved));

  MoveWrite write;
  write.unit = facts.id;
  PEPEUNIT_ASSIGN_OR_RETURN(write.expected_version, ExpectedVersion(caller, unit.etag()));
  write.version = VersionOf(resolved, repo, request.follow());
  out.Clear();
  out.set_unit_id(unit.id());
  *out.mutable_from() = unit.version();
  *out.mutable_to() = write.version;
  out.set_preview(request.preview());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto rows, store_.ListVariables(facts.id, SubjectOf(caller)));
  Plan(rows, files.schema, &write, &out);
  PEPEUNIT_ASSIGN_OR_RETURN(const EnvChange env, PlanEnv(files, request.preview(), &write));
  *out.mutable_env_added() = {env.added.begin(), env.added.end()};
  *out.mutable_env_removed() = {env.removed.begin(), env.removed.end()};
  PEPEUNIT_RETURN_IF_ERROR(TellLosses(rows, write, &out));
  if (request.preview()) PEPEUNIT_RETURN_IF_ERROR(TellUnfit(write, &out));
  if (SameVersion(unit.version(), write.version)) return absl::OkStatus();
  write.preview = request.preview();
  const Actor actor =
      ActorOf(caller, {{facts.id, access::Role::kMaintainer, "unit"}, {repo_id, access::Role::kReader, "repository"}});
  return store_.MoveUnit(actor, write);
}

// What the variables that go take with them, and what becomes of the links of those that stay.
absl::Status Units::TellLosses(const std::vector<VariableRow>& rows, const MoveWrite& write,
                               graph::v1::UnitMove* told) {
  PEPEUNIT_ASSIGN_OR_RETURN(auto links, store_.LinksAt(write.unit));
  std::map<std::string, int> ends;
  for (const LinkRow& row : links) {
    for (const std::string& end : {row.link.output_id(), row.link.input_id()}) ++ends[end];
  }
  std::set<std::string> gone;
  for (auto& change : *told->mutable_variables()) {
    const bool goes = change.change() == graph::v1::VARIABLE_CHANGE_KIND_REMOVED ||
                      change.change() == graph::v1::VARIABLE_CHANGE_KIND_REPLACED;
    if (!goes) continue;
    gone.insert(change.variable_id());
    change.set_links(ends[change.variable_id()]);
  }
  if (!gone.empty()) {
    PEPEUNIT_ASSIGN_OR_RETURN(auto grants, store_.CountVariableGrants(write.unit));
    for (auto& change : *told->mutable_variables()) {
      if (gone.contains(change.variable_id())) change.set_grants(grants[change.variable_id()]);
    }
  }
  std::map<std::string, VariableRow> after;
  for (const VariableRow& row : rows) after.emplace(row.variable.id(), row);
  for (const graph::v1::Variable& variable : write.variables) {
    const auto row = after.find(variable.id());
    if (row == after.end()) continue;
    row->second.Declare(variable, row->second.choices);
  }
  std::erase_if(links, [&](const LinkRow& row) {
    return gone.contains(row.link.output_id()) || gone.contains(row.link.input_id());
  });
  const LinkDifference difference = CompareLinks(std::move(links), [&](VariableRow* end) {
    const auto row = after.find(end->variable.id());
    if (row != after.end()) end->variable = row->second.variable;
  });
  told->mutable_suspended_link_ids()->Assign(difference.suspended.begin(), difference.suspended.end());
  told->mutable_resumed_link_ids()->Assign(difference.resumed.begin(), difference.resumed.end());
  return absl::OkStatus();
}

// The inputs that hold what the new version would let nobody write.
absl::Status Units::TellUnfit(const MoveWrite& write, graph::v1::UnitMove* told) {
  std::map<std::string, const graph::v1::Variable*> inputs;
  for (const graph::v1::Variable& variable : write.variables) {
    if (variable.kind() == graph::v1::VARIABLE_KIND_INPUT) inputs[variable.id()] = &variable;
  }
  std::vector<graph::v1::VariableChange*> changed;
  for (auto& change : *told->mutable_variables()) {
    if (change.change() == graph::v1::VARIABLE_CHANGE_KIND_CHANGED && inputs.contains(change.variable_id()))
      changed.push_back(&change);
  }
  if (changed.empty()) return absl::OkStatus();
  PEPEUNIT_ASSIGN_OR_RETURN(const auto held, inputs_.Of(write.unit));
  for (graph::v1::VariableChange* change : changed) {
    const auto value = held.find(*Uuid::Parse(change->variable_id()));
    if (value == held.end()) continue;
    const auto definition = values::ToDefinition(*inputs[change->variable_id()]);
    change->set_held_value_unfit(!schema::CheckValue(definition, values::ToJson(value->second), "value").ok());
  }
  return absl::OkStatus();
}

// Of the version that the unit had when `write` was begun: another one since then is a VERSION_MISMATCH at its end.
absl::StatusOr<EnvChange> Units::PlanEnv(const VersionFiles& files, bool preview, MoveWrite* write) {
  PEPEUNIT_ASSIGN_OR_RETURN(const UnitSecrets now, store_.GetUnitSecrets(write->unit));
  PEPEUNIT_ASSIGN_OR_RETURN(EnvChange change, envs_.Compare(write->unit, now, files.env));
  write->env_keys = SampleKeys(files.env);
  if (preview || change.empty()) return change;
  PEPEUNIT_ASSIGN_OR_RETURN(write->sealed_env, envs_.Apply(write->unit, now, change, files.env));
  return change;
}

absl::Status Units::Foresee(const Uuid& unit, const VersionFiles& files, graph::v1::VersionStep* out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto rows, store_.ListVariables(unit, {}));
  MoveWrite write;
  graph::v1::UnitMove told;
  Plan(rows, files.schema, &write, &told);
  out->mutable_variables()->Swap(told.mutable_variables());
  for (auto& variable : *out->mutable_variables()) variable.clear_variable_id();
  return absl::OkStatus();
}

absl::Status Units::MoveTo(const Actor& actor, const Uuid& id, const graph::v1::UnitVersion& to,
                           const VersionFiles& files, const MayMove& may) {
  constexpr int kMostTries = 5;
  absl::Status status;
  for (int tries = 0; tries < kMostTries; ++tries) {
    PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::Unit unit, store_.GetUnit(id));
    if (!may(unit) || SameVersion(unit.version(), to)) return absl::OkStatus();
    PEPEUNIT_ASSIGN_OR_RETURN(const auto rows, store_.ListVariables(id, {}));
    MoveWrite write;
    write.unit = id;
    PEPEUNIT_ASSIGN_OR_RETURN(write.expected_version, ExpectedVersion({}, unit.etag()));
    write.version = to;
    graph::v1::UnitMove told;
    Plan(rows, files.schema, &write, &told);
    PEPEUNIT_RETURN_IF_ERROR(PlanEnv(files, false, &write).status());
    status = store_.MoveUnit(actor, write);
    if (InfoOf(status).reason != "VERSION_MISMATCH") return status;
  }
  return status;
}

}  // namespace pepeunit::graph_registry
