#include "units.h"

#include <google/protobuf/util/time_util.h>

#include "fields.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/values/values.h"
#include "rights.h"
#include "rollout_plan.h"
#include "version_choice.h"

namespace pepeunit::graph_registry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr char kUnit[] = "unit";
constexpr char kVariable[] = "variable";

void AddVariables(const std::vector<schema::Variable>& definitions, graph::v1::VariableKind kind, NewUnit* unit) {
  for (const auto& definition : definitions) {
    auto& variable = unit->variables.emplace_back();
    values::FromDefinition(definition, kind, &variable);
    variable.set_id(Uuid::New().ToString());
    variable.set_unit_id(unit->unit.id());
    variable.set_level(unit->unit.level());
  }
}

// What a person writes into an input, if it takes that.
absl::StatusOr<bus::v1::InputWrite> ReadWrite(const graph::v1::SetVariableValueRequest& request,
                                              const VariableRow& row) {
  if (row.variable.kind() != graph::v1::VARIABLE_KIND_INPUT) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOT_WRITABLE",
                 "This is an output: only its device writes it.");
  }
  if (!row.variable.writable_by_people()) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOT_WRITABLE",
                 row.variable.accepts_people() ? "The device's schema does not let people write this input."
                                               : "A maintainer closed this input to people.");
  }
  if (!request.has_value()) return InvalidField("value", "is missing");
  const schema::Variable definition = values::ToDefinition(row.variable);
  const nlohmann::json value = values::ToJson(request.value());
  PEPEUNIT_RETURN_IF_ERROR(schema::CheckValue(definition, value, "value"));
  bus::v1::InputWrite write;
  write.set_input_id(row.facts.id.ToBytes());
  write.set_unit_id(row.facts.parent_id.ToBytes());
  write.set_time_ms(NowMs());
  values::ToScalar(value, definition.type, write.mutable_value());
  return write;
}

// What a maintainer makes of a variable, within what schema.json allows.
absl::Status Choose(const graph::v1::UpdateVariableRequest& request, VariableRow* row) {
  Fields fields;
  VariableRow::Choices choices = row->choices;
  const bool input = row->variable.kind() == graph::v1::VARIABLE_KIND_INPUT;
  const auto choose = [&](const char* field, bool accepts, bool schema_lets) {
    if (!input) fields.Fail(field, "is for inputs only");
    if (input && accepts && !schema_lets) fields.Fail(field, "is more than schema.json allows");
    return accepts;
  };
  if (request.has_accepts_people())
    choices.accepts_people = choose("accepts_people", request.accepts_people(), row->schema_lets_people);
  if (request.has_accepts_links())
    choices.accepts_links = choose("accepts_links", request.accepts_links(), row->schema_lets_links);
  for (const auto& [field, said] : {std::pair("logging_policy", request.has_logging_policy()),
                                    std::pair("logging_chosen", request.has_logging_chosen())}) {
    if (said && input) fields.Fail(field, "is for outputs only");
  }
  if (request.logging_chosen() && !request.has_logging_policy())
    fields.Fail("logging_policy", "is missing; it says what is chosen");
  if (request.has_logging_chosen() && !request.logging_chosen() && request.has_logging_policy())
    fields.Fail("logging_chosen", "is false, which goes back to schema.json; leave logging_policy out");
  if (request.has_logging_policy()) {
    const auto& policy = request.logging_policy();
    if (policy.mode() == common::v1::LOGGING_MODE_UNSPECIFIED || !common::v1::LoggingMode_IsValid(policy.mode()))
      fields.Fail("logging_policy.mode", "must be OFF, DIRECT, MEAN, MEDIAN, ON_CHANGE or RATE");
    else
      schema::CheckLogging(
          values::ToLogging(policy), values::ToDefinition(row->variable).type,
          [&](const std::string& at, const std::string& what) { fields.Fail("logging_policy." + at, what); });
    choices.logging = policy;
  } else if (request.has_logging_chosen()) {
    choices.logging.reset();
  }
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  graph::v1::Variable definition = row->variable;
  definition.set_writable_by_people(row->schema_lets_people);
  definition.set_writable_by_links(row->schema_lets_links);
  if (!input) values::SetLogging(row->schema_logging, &definition);
  row->Declare(std::move(definition), std::move(choices));
  return absl::OkStatus();
}

}  // namespace

absl::Status Units::Create(const rpc::Caller& caller, const graph::v1::CreateUnitRequest& request,
                           graph::v1::Unit& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  Fields fields;
  const Uuid repo_id = fields.Id("repo_unit_id", request.repo_unit_id());
  NewUnit made;
  const Uuid id = Uuid::New();
  made.unit.set_id(id.ToString());
  made.unit.set_owner_id(caller.user_id.ToString());
  made.unit.set_name(fields.Name("name", request.name()));
  made.unit.set_level(fields.Level("level", request.level(), common::v1::ACCESS_LEVEL_PRIVATE));
  made.unit.set_group(CheckGroup("group", request.group(), &fields));
  if (request.has_pin()) CheckPin(request.pin(), &fields);
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());

  PEPEUNIT_RETURN_IF_ERROR(FindNode(store_, caller, "repo_unit_id", request.repo_unit_id(), access::Role::kReader,
                                    "repository", graph::v1::NODE_TYPE_REPO_UNIT)
                               .status());
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::RepoUnit repo, store_.GetRepoUnit(repo_id));
  PEPEUNIT_RETURN_IF_ERROR(CheckConfigured(repo));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto version, choices_.Choose(repo, request.pin()));
  PEPEUNIT_ASSIGN_OR_RETURN(const VersionFiles files, ReadVersionFiles(version));
  *made.unit.mutable_version() = VersionOf(version, repo, !request.has_pin());
  AddVariables(files.schema.inputs, graph::v1::VARIABLE_KIND_INPUT, &made);
  AddVariables(files.schema.outputs, graph::v1::VARIABLE_KIND_OUTPUT, &made);
  PEPEUNIT_ASSIGN_OR_RETURN(made.env, envs_.Make(id, files.env));
  PEPEUNIT_ASSIGN_OR_RETURN(
      const Uuid stands,
      store_.CreateUnit(MakerOf(caller, request, {{repo_id, access::Role::kReader, "repository"}}), made));
  PEPEUNIT_ASSIGN_OR_RETURN(out, Read(caller, stands));
  return absl::OkStatus();
}

absl::StatusOr<NodeFacts> Units::CheckUnit(const rpc::Caller& caller, const std::string& field, const std::string& id,
                                           access::Role needed) {
  return FindNode(store_, caller, field, id, needed, kUnit, graph::v1::NODE_TYPE_UNIT);
}

absl::Status Units::Get(const rpc::Caller& caller, const std::string& id, graph::v1::Unit& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckUnit(caller, "id", id, access::Role::kReader));
  PEPEUNIT_ASSIGN_OR_RETURN(out, Read(caller, facts.id));
  return absl::OkStatus();
}

absl::StatusOr<graph::v1::Unit> Units::Read(const rpc::Caller& caller, const Uuid& id) {
  PEPEUNIT_ASSIGN_OR_RETURN(graph::v1::Unit unit, store_.GetUnit(id));
  std::map<std::string, bool> repositories;
  PEPEUNIT_RETURN_IF_ERROR(Show(caller, &repositories, &unit));
  return unit;
}

// What is wrong with a repository's files speaks of the repository: it is for who may see that. `repositories` keeps
// what was decided of each.
absl::Status Units::Show(const rpc::Caller& caller, std::map<std::string, bool>* repositories, graph::v1::Unit* unit) {
  if (!unit->has_follow_problem()) return absl::OkStatus();
  const std::string& repo = unit->version().repo_unit_id();
  if (!repositories->contains(repo)) {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*Uuid::Parse(repo), SubjectOf(caller)));
    (*repositories)[repo] = Check(caller, facts, access::Role::kReader, "repository").ok();
  }
  if (repositories->at(repo)) return absl::OkStatus();
  auto* problem = unit->mutable_follow_problem();
  problem->clear_detail();
  problem->clear_problems();
  problem->clear_commit();
  return absl::OkStatus();
}

absl::Status Units::List(const rpc::Caller& caller, const graph::v1::ListUnitsRequest& request,
                         graph::v1::ListUnitsResponse& out) {
  Fields fields;
  const Uuid repo = request.repo_unit_id().empty() ? Uuid{} : fields.Id("repo_unit_id", request.repo_unit_id());
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::string list = "units " + repo.ToString();
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListUnits(SubjectOf(caller), repo, page));
  out.set_next_cursor(CutPage(list, page, &rows));
  std::map<std::string, bool> repositories;
  for (auto& row : rows) {
    PEPEUNIT_RETURN_IF_ERROR(Show(caller, &repositories, &row));
    *out.add_units() = std::move(row);
  }
  return absl::OkStatus();
}

absl::Status Units::Update(const rpc::Caller& caller, const graph::v1::UpdateUnitRequest& request,
                           graph::v1::Unit& out) {
  return ReadAndUpdate(caller, [&]() -> absl::Status {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckUnit(caller, "id", request.id(), access::Role::kMaintainer));
    PEPEUNIT_ASSIGN_OR_RETURN(graph::v1::Unit unit, store_.GetUnit(facts.id));
    PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t expected, ExpectedVersion(caller, unit.etag()));
    Fields fields;
    if (request.has_name()) unit.set_name(fields.Name("name", request.name()));
    if (request.has_level()) unit.set_level(fields.Level("level", request.level(), unit.level()));
    if (request.has_group()) unit.set_group(CheckGroup("group", request.group(), &fields));
    PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
    PEPEUNIT_RETURN_IF_ERROR(
        store_.UpdateUnit(ActorOf(caller, {{facts.id, access::Role::kMaintainer, kUnit}}), unit, expected));
    PEPEUNIT_ASSIGN_OR_RETURN(out, Read(caller, facts.id));
    return absl::OkStatus();
  });
}

absl::Status Units::ResetEnv(const rpc::Caller& caller, const std::string& id, graph::v1::Unit& out) {
  return ReadAndUpdate(caller, [&]() -> absl::Status {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckUnit(caller, "id", id, access::Role::kMaintainer));
    // The version first: what is written must be made from what that version holds.
    PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::Unit unit, store_.GetUnit(facts.id));
    PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t expected, ExpectedVersion(caller, unit.etag()));
    PEPEUNIT_ASSIGN_OR_RETURN(const UnitSecrets now, store_.GetUnitSecrets(facts.id));
    PEPEUNIT_ASSIGN_OR_RETURN(const SealedEnv env, envs_.Reset(facts.id, now));
    PEPEUNIT_RETURN_IF_ERROR(
        store_.ResetEnv(ActorOf(caller, {{facts.id, access::Role::kMaintainer, kUnit}}), facts.id, env, expected));
    PEPEUNIT_ASSIGN_OR_RETURN(out, Read(caller, facts.id));
    return absl::OkStatus();
  });
}

absl::Status Units::Delete(const rpc::Caller& caller, const std::string& id) {
  return ReadAndUpdate(caller, [&]() -> absl::Status {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckUnit(caller, "id", id, access::Role::kOwner));
    PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t expected, ExpectedVersion(caller, std::to_string(facts.version)));
    return store_.DeleteUnit(ActorOf(caller, {{facts.id, access::Role::kOwner, kUnit}}), facts.id, expected);
  });
}

absl::Status Units::ListVariables(const rpc::Caller& caller, const std::string& unit,
                                  graph::v1::ListUnitVariablesResponse& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, CheckUnit(caller, "unit_id", unit, access::Role::kReader));
  PEPEUNIT_ASSIGN_OR_RETURN(auto variables, store_.ListVariables(facts.id, SubjectOf(caller)));
  for (auto& row : variables) {
    // A variable may be less open than its unit.
    if (Check(caller, row.facts, access::Role::kReader, kVariable).ok()) *out.add_variables() = std::move(row.variable);
  }
  return absl::OkStatus();
}

absl::Status Units::GetVariable(const rpc::Caller& caller, const std::string& id, graph::v1::Variable& out) {
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField("id", "is not a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(VariableRow row, store_.GetVariable(*uuid, SubjectOf(caller)));
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, row.facts, access::Role::kReader, kVariable));
  out = std::move(row.variable);
  return absl::OkStatus();
}

absl::Status Units::UpdateVariable(const rpc::Caller& caller, const graph::v1::UpdateVariableRequest& request,
                                   graph::v1::Variable& out) {
  const auto id = Uuid::Parse(request.id());
  if (!id) return InvalidField("id", "is not a UUID");
  return ReadAndUpdate(caller, [&]() -> absl::Status {
    PEPEUNIT_ASSIGN_OR_RETURN(VariableRow row, store_.GetVariable(*id, SubjectOf(caller)));
    PEPEUNIT_RETURN_IF_ERROR(Check(caller, row.facts, access::Role::kMaintainer, kVariable));
    PEPEUNIT_ASSIGN_OR_RETURN(const std::int64_t expected, ExpectedVersion(caller, row.variable.etag()));
    PEPEUNIT_RETURN_IF_ERROR(Choose(request, &row));
    PEPEUNIT_RETURN_IF_ERROR(
        store_.UpdateVariable(ActorOf(caller, {{*id, access::Role::kMaintainer, kVariable}}), row, expected));
    return GetVariable(caller, request.id(), out);
  });
}

absl::Status Units::SetValue(const rpc::Caller& caller, const graph::v1::SetVariableValueRequest& request,
                             graph::v1::SetVariableValueResponse& out) {
  const auto id = Uuid::Parse(request.id());
  if (!id) return InvalidField("id", "is not a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(const VariableRow row, store_.GetVariable(*id, SubjectOf(caller)));
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, row.facts, access::Role::kReader, kVariable));
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, row.facts, access::Role::kWriter, kVariable));
  PEPEUNIT_RETURN_IF_ERROR(ReadWrite(request, row).status());
  bus::v1::InputWrite write;
  // Whoever takes the right away, or closes the input, waits until the value is on the stream.
  PEPEUNIT_RETURN_IF_ERROR(store_.WithVariable(ActorOf(caller, {{*id, access::Role::kWriter, kVariable}}), *id,
                                               [&](const VariableRow& now) -> absl::Status {
                                                 PEPEUNIT_ASSIGN_OR_RETURN(write, ReadWrite(request, now));
                                                 write.set_user_id(caller.user_id.ToBytes());
                                                 return values_.Write(write);
                                               }));
  *out.mutable_value() = request.value();
  *out.mutable_time() = TimeUtil::MillisecondsToTimestamp(write.time_ms());
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
