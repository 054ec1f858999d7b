#include "links.h"

#include <google/protobuf/util/time_util.h>

#include "fields.h"
#include "pepeunit/base/clock.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kLink[] = "link";

}  // namespace

absl::Status Links::Create(const rpc::Caller& caller, const graph::v1::CreateLinkRequest& request, graph::v1::Link& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  Fields fields;
  const Uuid output_id = fields.Id("output_id", request.output_id()), input_id = fields.Id("input_id", request.input_id());
  if (request.type() != graph::v1::LINK_TYPE_WRITE && request.type() != graph::v1::LINK_TYPE_READ) {
    fields.Fail("type", "must be LINK_TYPE_WRITE or LINK_TYPE_READ");
  }
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  PEPEUNIT_ASSIGN_OR_RETURN(const VariableRow output, store_.GetVariable(output_id));
  PEPEUNIT_ASSIGN_OR_RETURN(const VariableRow input, store_.GetVariable(input_id));
  PEPEUNIT_RETURN_IF_ERROR(CheckLink(SubjectOf(caller), request.type(), output, input));
  graph::v1::Link link;
  link.set_id(Uuid::New().ToString());
  link.set_type(request.type());
  link.set_output_id(output_id.ToString());
  link.set_input_id(input_id.ToString());
  link.set_creator_id(caller.user_id.ToString());
  *link.mutable_created_at() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(NowMs());
  if (const absl::Status status = store_.CreateLink(link); absl::IsAlreadyExists(status)) {
    return Error(status.code(), "ALREADY_EXISTS", "These two are linked already.");
  } else if (!status.ok()) {
    return status;
  }
  out = link;
  return absl::OkStatus();
}

absl::Status Links::Get(const rpc::Caller& caller, const std::string& id, graph::v1::Link& out) {
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField("id", "is not a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(graph::v1::Link link, store_.GetLink(*uuid));
  for (const std::string& end : {link.output_id(), link.input_id()}) {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*Uuid::Parse(end)));
    if (!Check(caller, facts, access::Role::kReader, kLink).ok()) return NotFound(kLink);
  }
  out = std::move(link);
  return absl::OkStatus();
}

absl::Status Links::List(const rpc::Caller& caller, const graph::v1::ListLinksRequest& request, graph::v1::ListLinksResponse& out) {
  Fields fields;
  const Uuid node = request.node_id().empty() ? Uuid{} : fields.Id("node_id", request.node_id());
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::string list = "links " + request.node_id();
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(auto rows, store_.ListLinks(ViewerOf(caller), node, page));
  out.set_next_cursor(CutPage(list, page, &rows));
  for (auto& row : rows) *out.add_links() = std::move(row);
  return absl::OkStatus();
}

absl::Status Links::Delete(const rpc::Caller& caller, const std::string& id) {
  graph::v1::Link link;
  PEPEUNIT_RETURN_IF_ERROR(Get(caller, id, link));
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  absl::Status refused;
  for (const std::string& end : {link.output_id(), link.input_id()}) {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*Uuid::Parse(end)));
    refused = Check(caller, facts, access::Role::kMaintainer, kLink);
    if (refused.ok()) return store_.DeleteLink(*Uuid::Parse(id));
  }
  return refused;
}

absl::Status Internals::Authorize(const rpc::Caller& caller, const graph::v1::AuthorizeRequest& request, graph::v1::AuthorizeResponse& out) {
  const auto id = Uuid::Parse(request.node_id());
  if (!id) return InvalidField("id", "is not a UUID");
  if (request.permission() == graph::v1::PERMISSION_UNSPECIFIED) return InvalidField("permission", "must be said");
  PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*id));
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, facts, static_cast<access::Role>(request.permission()), "node"));
  out.set_node_type(facts.type);
  if (facts.type == graph::v1::NODE_TYPE_INPUT_VARIABLE || facts.type == graph::v1::NODE_TYPE_OUTPUT_VARIABLE) {
    PEPEUNIT_ASSIGN_OR_RETURN(VariableRow row, store_.GetVariable(*id));
    out.set_unit_id(facts.parent_id.ToString());
    *out.mutable_variable() = std::move(row.variable);
  }
  return absl::OkStatus();
}

absl::Status Internals::UnitProfile(const rpc::Caller& caller, const std::string& unit, graph::v1::UnitProfile& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireService(caller));
  const auto id = Uuid::Parse(unit);
  if (!id) return InvalidField("unit_id", "is not a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::Unit node, store_.GetUnit(*id));
  PEPEUNIT_ASSIGN_OR_RETURN(const UnitSecrets secrets, store_.GetUnitSecrets(*id));
  PEPEUNIT_ASSIGN_OR_RETURN(auto variables, store_.ListVariables(*id));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto links, store_.LinksFrom(*id));
  out.set_unit_id(node.id());
  out.set_token_generation(secrets.token_generation);
  out.set_sealed_sync_key(secrets.sealed_sync_key);
  out.set_target_commit(node.version().commit());
  for (auto& variable : variables) *out.add_variables() = std::move(variable);
  for (const LinkRow& row : links) {
    const access::Subject creator{.kind = access::Subject::Kind::kUser, .id = *Uuid::Parse(row.link.creator_id()), .owner_id = {}, .administrator = row.creator_administrator};
    // A link lives as long as its creator's rights do.
    if (!CheckLink(creator, row.link.type(), row.output, row.input).ok()) continue;
    auto* link = out.add_links();
    link->set_link_id(row.link.id());
    link->set_output_id(row.link.output_id());
    *link->mutable_input() = row.input.variable;
  }
  return absl::OkStatus();
}

absl::Status Internals::UnitPackage(const rpc::Caller& caller, const std::string& unit, graph::v1::UnitPackage& out) {
  const auto id = Uuid::Parse(unit);
  if (!id) return InvalidField("unit_id", "is not a UUID");
  const auto facts = store_.GetFacts(*id);
  if (absl::IsNotFound(facts.status()) || (facts.ok() && facts->type != graph::v1::NODE_TYPE_UNIT)) return NotFound("unit");
  if (!facts.ok()) return facts.status();
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, *facts, access::Role::kMaintainer, "unit"));
  PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::Unit node, store_.GetUnit(*id));
  PEPEUNIT_ASSIGN_OR_RETURN(const UnitSecrets secrets, store_.GetUnitSecrets(*id));
  out.set_unit_id(node.id());
  out.set_unit_name(node.name());
  out.set_repo_unit_id(node.version().repo_unit_id());
  out.set_commit(node.version().commit());
  out.set_sealed_env(secrets.sealed_env);
  return absl::OkStatus();
}

absl::Status Internals::RepositoriesToKeep(const rpc::Caller& caller, const std::string& cursor, graph::v1::ListRepositoriesToKeepResponse& out) {
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

}  // namespace pepeunit::graph_registry
