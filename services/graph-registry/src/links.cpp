#include "links.h"

#include <cryptopp/aes.h>

#include "fields.h"
#include "pepeunit/base/bytes.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kLink[] = "link";

}  // namespace

graph::v1::Link Show(const SeenLink& seen) {
  graph::v1::Link link = Describe(seen.row);
  if (seen.output && seen.input) return link;
  graph::v1::Link shown;
  shown.set_id(link.id());
  shown.set_type(link.type());
  if (seen.output) shown.set_output_id(link.output_id());
  if (seen.input) shown.set_input_id(link.input_id());
  shown.set_state(link.state());
  shown.set_concealed(true);
  return shown;
}

Links::Links(GraphStore& store, const LinkBounds& bounds, const std::string& secret)
    : store_(store), bounds_(bounds), cursor_key_(Sha256(AsBytes("cursors of links\n" + secret))) {}

Uuid Links::Veil(const Uuid& id) const {
  Uuid out;
  const CryptoPP::AES::Encryption aes(reinterpret_cast<const CryptoPP::byte*>(cursor_key_.data()), cursor_key_.size());
  aes.ProcessBlock(id.bytes.data(), out.bytes.data());
  return out;
}

Uuid Links::Unveil(const Uuid& id) const {
  Uuid out;
  const CryptoPP::AES::Decryption aes(reinterpret_cast<const CryptoPP::byte*>(cursor_key_.data()), cursor_key_.size());
  aes.ProcessBlock(id.bytes.data(), out.bytes.data());
  return out;
}

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
  // Asked before it is asked again in the transaction: who may not holds up nobody.
  const auto may = [&](const LinkRow& row) { return CheckLink(SubjectOf(caller), row).status; };
  PEPEUNIT_ASSIGN_OR_RETURN(const LinkRow row, store_.ImagineLink(link));
  PEPEUNIT_RETURN_IF_ERROR(may(row));
  const auto made = store_.CreateLink(MakerOf(caller, request), link, bounds_, may);
  if (absl::IsAlreadyExists(made.status())) {
    return Error(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", "These two are linked already.");
  }
  if (!made.ok()) return made.status();
  return Get(caller, made->ToString(), out);
}

absl::StatusOr<SeenLink> Links::See(const rpc::Caller& caller, const std::string& id) {
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField("id", "is not a UUID");
  return store_.GetLink(*uuid, SubjectOf(caller));
}

absl::Status Links::Get(const rpc::Caller& caller, const std::string& id, graph::v1::Link& out) {
  PEPEUNIT_ASSIGN_OR_RETURN(const SeenLink seen, See(caller, id));
  out = Show(seen);
  return absl::OkStatus();
}

absl::Status Links::List(const rpc::Caller& caller, const graph::v1::ListLinksRequest& request,
                         graph::v1::ListLinksResponse& out) {
  Fields fields;
  const Uuid node = request.node_id().empty() ? Uuid{} : fields.Id("node_id", request.node_id());
  if (!graph::v1::LinkState_IsValid(request.state())) fields.Fail("state", "must be ACTIVE or SUSPENDED");
  PEPEUNIT_RETURN_IF_ERROR(fields.Finish());
  const std::string list = "links " + node.ToString() + ' ' + std::to_string(request.state());
  PEPEUNIT_ASSIGN_OR_RETURN(Page page, ReadPage(list, request.page_size(), request.cursor()));
  if (!page.after.IsNil()) page.after = Unveil(page.after);
  PEPEUNIT_ASSIGN_OR_RETURN(LinkPage read, store_.ListLinks(SubjectOf(caller), node, page));
  if (!CutPage(list, page, &read.links).empty()) read.read_to = IdOf(read.links.back());
  if (!read.read_to.IsNil()) out.set_next_cursor(MakeCursor(list, Veil(read.read_to)));
  for (const SeenLink& seen : read.links) {
    graph::v1::Link link = Show(seen);
    if (request.state() == graph::v1::LINK_STATE_UNSPECIFIED || request.state() == link.state())
      *out.add_links() = std::move(link);
  }
  return absl::OkStatus();
}

absl::Status Links::Delete(const rpc::Caller& caller, const std::string& id) {
  PEPEUNIT_ASSIGN_OR_RETURN(const SeenLink seen, See(caller, id));
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  if (seen.row.link.creator_id() == caller.user_id.ToString()) {
    PEPEUNIT_RETURN_IF_ERROR(RequireMaker(caller));
    return store_.DeleteLink(ActorOf(caller), *Uuid::Parse(id));
  }
  absl::Status refused;
  for (const VariableRow* end : {&seen.row.output, &seen.row.input}) {
    if (!(end == &seen.row.output ? seen.output : seen.input)) continue;
    PEPEUNIT_ASSIGN_OR_RETURN(const NodeFacts facts, store_.GetFacts(end->facts.id, SubjectOf(caller)));
    refused = Check(caller, facts, access::Role::kMaintainer, kLink);
    if (refused.ok())
      return store_.DeleteLink(ActorOf(caller, {{facts.id, access::Role::kMaintainer, kLink}}), *Uuid::Parse(id));
  }
  return refused;
}

}  // namespace pepeunit::graph_registry
