#include "internals.h"

#include <set>

#include "fields.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

// What a link may take in a profile: the choices of its input, and ids, names and bounds. With the unit's own
// variables, which schema.json bounds, all links fit into what other services take in one message.
constexpr std::size_t kMostProfileLink = kMostLinkedChoices + 512, kMostProfile = 16u << 20, kOwnVariables = 2u << 20;
static_assert(kMostProfileLink * kMostLinksFromUnit + kOwnVariables <= kMostProfile);

static_assert(static_cast<int>(access::Role::kReader) == graph::v1::PERMISSION_READ &&
              static_cast<int>(access::Role::kWriter) == graph::v1::PERMISSION_WRITE &&
              static_cast<int>(access::Role::kMaintainer) == graph::v1::PERMISSION_MAINTAIN &&
              static_cast<int>(access::Role::kOwner) == graph::v1::PERMISSION_OWN);

// With what a value is checked against, and without what is for people only.
void AddLink(const LinkRow& row, graph::v1::UnitProfile* out) {
  auto* link = out->add_links();
  link->set_link_id(row.link.id());
  link->set_output_id(row.link.output_id());
  *link->mutable_input() = row.input.variable;
  link->mutable_input()->clear_etag();
  link->mutable_input()->clear_description();
  link->mutable_input()->clear_unit_of_measure();
  link->mutable_input()->clear_default_value();
  link->set_of_others(row.link.creator_id() != row.output.facts.access.owner_id.ToString());
}

}  // namespace

absl::Status Internals::Authorize(const rpc::Caller& caller, const graph::v1::AuthorizeRequest& request,
                                  graph::v1::AuthorizeResponse& out) {
  const auto id = Uuid::Parse(request.node_id());
  if (!id) return InvalidField("node_id", "is not a UUID");
  if (request.permission() == graph::v1::PERMISSION_UNSPECIFIED ||
      !graph::v1::Permission_IsValid(request.permission())) {
    return InvalidField("permission", "must be READ, WRITE, MAINTAIN or OWN");
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*id, SubjectOf(caller)));
  PEPEUNIT_RETURN_IF_ERROR(Check(SubjectOf(caller), facts, static_cast<access::Role>(request.permission()), "node"));
  out.set_node_type(facts.type);
  if (facts.type == graph::v1::NODE_TYPE_INPUT_VARIABLE || facts.type == graph::v1::NODE_TYPE_OUTPUT_VARIABLE) {
    PEPEUNIT_ASSIGN_OR_RETURN(VariableRow row, store_.GetVariable(*id, SubjectOf(caller)));
    out.set_unit_id(facts.parent_id.ToString());
    *out.mutable_variable() = std::move(row.variable);
  }
  if (facts.type == graph::v1::NODE_TYPE_REPO_UNIT) {
    PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::RepoUnit repo, store_.GetRepoUnit(*id));
    *out.mutable_signing_keys() = repo.signing_keys().keys();
  }
  return absl::OkStatus();
}

absl::Status Internals::AuthorizeLink(const rpc::Caller& caller, const std::string& link) {
  const auto id = Uuid::Parse(link);
  if (!id) return InvalidField("link_id", "is not a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(const SeenLink seen, store_.GetLink(*id, SubjectOf(caller)));
  return seen.output && seen.input ? absl::OkStatus() : NotFound("link");
}

absl::Status Internals::UnitProfile(const rpc::Caller& caller, const std::string& unit, graph::v1::UnitProfile& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireService(caller));
  const auto id = Uuid::Parse(unit);
  if (!id) return InvalidField("unit_id", "is not a UUID");
  // The version first: a profile must never be older than what it calls itself.
  PEPEUNIT_ASSIGN_OR_RETURN(const UnitSecrets secrets, store_.GetUnitSecrets(*id));
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::Unit node, store_.GetUnit(*id));
  if (secrets.stopped) return NotFound("unit");
  PEPEUNIT_ASSIGN_OR_RETURN(auto variables, store_.ListVariables(*id, SubjectOf(caller)));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto links, store_.LinksFrom(*id));
  out.set_unit_id(node.id());
  out.set_token_generation(secrets.token_generation);
  out.set_version(secrets.profile_version);
  out.set_sealed_sync_key(secrets.sealed_sync_key);
  out.set_repo_unit_id(node.version().repo_unit_id());
  out.set_target_commit(node.version().commit());
  out.set_update_attempt(secrets.update_attempt);
  for (auto& row : variables) *out.add_variables() = std::move(row.variable);
  for (const LinkRow& row : links) {
    if (CheckLink(row).ok()) AddLink(row, &out);  // it lives as long as its creator's rights do
  }
  return absl::OkStatus();
}

absl::Status Internals::UnitPackage(const rpc::Caller& caller, const std::string& unit, graph::v1::UnitPackage& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, FindNode(store_, caller, "unit_id", unit, access::Role::kMaintainer,
                                                            "unit", graph::v1::NODE_TYPE_UNIT));
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::Unit node, store_.GetUnit(facts.id));
  PEPEUNIT_ASSIGN_OR_RETURN(const UnitSecrets secrets, store_.GetUnitSecrets(facts.id));
  out.set_unit_id(node.id());
  out.set_unit_name(node.name());
  out.set_repo_unit_id(node.version().repo_unit_id());
  out.set_commit(node.version().commit());
  out.set_sealed_env(secrets.sealed_env);
  return absl::OkStatus();
}

absl::Status Internals::RepositoriesToKeep(const rpc::Caller& caller, const std::string& cursor,
                                           graph::v1::ListRepositoriesToKeepResponse& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireService(caller));
  constexpr char kList[] = "repositories-to-keep";
  PEPEUNIT_ASSIGN_OR_RETURN(Page page, ReadPage(kList, 0, cursor));
  page.limit = 1000;
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListRepositoriesToKeep(page));
  if (rows.size() > static_cast<std::size_t>(page.limit)) {
    rows.pop_back();
    out.set_next_cursor(MakeCursor(kList, *Uuid::Parse(rows.back().repo_unit_id())));
  }
  for (auto& row : rows) *out.add_repositories() = std::move(row);
  return absl::OkStatus();
}

absl::Status Internals::FindOutputs(const rpc::Caller& caller, const graph::v1::FindOutputsRequest& request,
                                    graph::v1::FindOutputsResponse& out) {
  constexpr int kMostFilters = 1'000, kMostOutputs = 10'000;
  Fields fields;
  for (const auto& [name, ids] :
       {std::pair("variable_id", &request.variable_ids()), std::pair("unit_id", &request.unit_ids())}) {
    if (ids->size() > kMostFilters) fields.Fail(name, "may be given 1000 times");
    for (const auto& id : *ids) (void)fields.Id(name, id);
  }
  if (!request.repo_unit_id().empty()) (void)fields.Id("repo_unit_id", request.repo_unit_id());
  if (request.names_size() > kMostFilters) fields.Fail("name", "may be given 1000 times");
  for (const auto& name : request.names()) {
    if (CountCharacters(name) > 64) fields.Fail("name", "must have at most 64 characters");
  }
  if (request.limit() < 1 || request.limit() > kMostOutputs) fields.Fail("limit", "must be from 1 to 10000");
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  for (const auto& unit : request.unit_ids()) {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*Uuid::Parse(unit), SubjectOf(caller)));
    PEPEUNIT_RETURN_IF_ERROR(Check(SubjectOf(caller), facts, access::Role::kReader, "node"));
  }
  PEPEUNIT_ASSIGN_OR_RETURN(auto found, store_.FindOutputs(request, SubjectOf(caller)));
  if (found.size() > static_cast<std::size_t>(request.limit()))
    return Limit("More than " + std::to_string(request.limit()) + " outputs match; narrow the filter.");
  std::set<std::string> seen;
  for (auto& output : found) {
    seen.insert(output.variable().id());
    *out.add_outputs() = std::move(output);
  }
  for (const auto& id : request.variable_ids()) {
    if (seen.contains(Uuid::Parse(id)->ToString())) continue;
    // Told apart only for who may see it: an input, or an output that another condition left out.
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*Uuid::Parse(id), SubjectOf(caller)));
    PEPEUNIT_RETURN_IF_ERROR(Check(SubjectOf(caller), facts, access::Role::kReader, "node"));
    if (facts.type != graph::v1::NODE_TYPE_OUTPUT_VARIABLE &&
        !(request.inputs() && facts.type == graph::v1::NODE_TYPE_INPUT_VARIABLE))
      return InvalidField("variable_id", "is not an output; only outputs have a history");
  }
  return absl::OkStatus();
}

absl::Status Internals::Histories(const rpc::Caller& caller, const std::string& cursor,
                                  graph::v1::ListHistoriesResponse& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireService(caller));
  constexpr char kList[] = "histories";
  PEPEUNIT_ASSIGN_OR_RETURN(Page page, ReadPage(kList, 0, cursor));
  page.limit = 1000;
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListHistories(page));
  if (rows.size() > static_cast<std::size_t>(page.limit)) {
    rows.pop_back();
    out.set_next_cursor(MakeCursor(kList, *Uuid::Parse(rows.back().variable_id())));
  }
  for (auto& row : rows) *out.add_histories() = std::move(row);
  return absl::OkStatus();
}

absl::Status Internals::OpenToken(const rpc::Caller& caller, const std::string& hash,
                                  graph::v1::OpenedPersonalToken& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireService(caller));
  if (hash.size() != 32) return InvalidField("sha256", "must have 32 bytes");
  PEPEUNIT_ASSIGN_OR_RETURN(out, tokens_.OpenToken(hash));
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
