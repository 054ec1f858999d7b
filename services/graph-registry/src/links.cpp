#include "links.h"

#include "fields.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kLink[] = "link";

}  // namespace

absl::Status Links::Create(const rpc::Caller& caller, const graph::v1::CreateLinkRequest& request,
                           graph::v1::Link& out) {
  PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
  Fields fields;
  const Uuid output_id = fields.Id("output_id", request.output_id()),
             input_id = fields.Id("input_id", request.input_id());
  if (request.type() != graph::v1::LINK_TYPE_WRITE && request.type() != graph::v1::LINK_TYPE_READ) {
    fields.Fail("type", "must be LINK_TYPE_WRITE or LINK_TYPE_READ");
  }
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  graph::v1::Link link;
  link.set_id(Uuid::New().ToString());
  link.set_type(request.type());
  link.set_output_id(output_id.ToString());
  link.set_input_id(input_id.ToString());
  link.set_creator_id(caller.user_id.ToString());
  PEPEUNIT_ASSIGN_OR_RETURN(const LinkRow row, store_.ImagineLink(link));
  PEPEUNIT_RETURN_IF_ERROR(CheckLink(SubjectOf(caller), row));
  const auto made = store_.CreateLink(ActorOf(caller, request), link, most_links_);
  if (absl::IsAlreadyExists(made.status())) {
    return Error(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", "These two are linked already.");
  }
  if (!made.ok()) return made.status();
  PEPEUNIT_ASSIGN_OR_RETURN(out, store_.GetLink(*made));
  return absl::OkStatus();
}

absl::Status Links::Get(const rpc::Caller& caller, const std::string& id, graph::v1::Link& out) {
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField("id", "is not a UUID");
  PEPEUNIT_ASSIGN_OR_RETURN(graph::v1::Link link, store_.GetLink(*uuid));
  for (const std::string& end : {link.output_id(), link.input_id()}) {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*Uuid::Parse(end), SubjectOf(caller)));
    if (!Check(caller, facts, access::Role::kReader, kLink).ok()) return NotFound(kLink);
  }
  out = std::move(link);
  return absl::OkStatus();
}

absl::Status Links::List(const rpc::Caller& caller, const graph::v1::ListLinksRequest& request,
                         graph::v1::ListLinksResponse& out) {
  Fields fields;
  const Uuid node = request.node_id().empty() ? Uuid{} : fields.Id("node_id", request.node_id());
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::string list = "links " + node.ToString();
  PEPEUNIT_ASSIGN_OR_RETURN(const Page page, ReadPage(list, request.page_size(), request.cursor()));
  PEPEUNIT_ASSIGN_OR_RETURN(LinkPage read, store_.ListLinks(SubjectOf(caller), node, page));
  out.set_next_cursor(CutPage(list, page, &read.links));
  if (out.next_cursor().empty() && !read.read_to.IsNil()) out.set_next_cursor(MakeCursor(list, read.read_to));
  for (auto& link : read.links) *out.add_links() = std::move(link);
  return absl::OkStatus();
}

absl::Status Links::Delete(const rpc::Caller& caller, const std::string& id) {
  graph::v1::Link link;
  PEPEUNIT_RETURN_IF_ERROR(Get(caller, id, link));
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  absl::Status refused;
  for (const std::string& end : {link.output_id(), link.input_id()}) {
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(*Uuid::Parse(end), SubjectOf(caller)));
    refused = Check(caller, facts, access::Role::kMaintainer, kLink);
    if (refused.ok()) return store_.DeleteLink(ActorOf(caller), *Uuid::Parse(id));
  }
  return refused;
}

}  // namespace pepeunit::graph_registry
