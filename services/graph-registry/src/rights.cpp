#include "rights.h"

#include <charconv>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/schema/schema.h"
#include "pepeunit/values/values.h"

namespace pepeunit::graph_registry {
namespace {

constexpr char kEnd[] = "variable";

access::Role MostOf(rpc::Caller::Reach reach) {
  switch (reach) {
    case rpc::Caller::Reach::kAll:
    case rpc::Caller::Reach::kManage:
      return access::Role::kOwner;
    case rpc::Caller::Reach::kWrite:
      return access::Role::kWriter;
    case rpc::Caller::Reach::kRead:
      break;
  }
  return access::Role::kReader;
}

bool HasIfMatch(const rpc::Caller& caller) { return !caller.if_match.empty() && caller.if_match != "*"; }

// 0 when it begins with no version.
std::int64_t VersionIn(const std::string& etag) {
  std::int64_t version = 0;
  const char* end = etag.data() + etag.size();
  const auto [at, error] = std::from_chars(etag.data(), end, version);
  return error == std::errc() && (at == end || *at == '-') ? version : 0;
}

// Bytes of the values that an input allows.
std::size_t ChoicesBytes(const graph::v1::Variable& input) {
  std::size_t bytes = 0;
  for (const auto& choice : input.choices()) bytes += choice.ByteSizeLong();
  return bytes;
}

// Whether the second can ever take a value of the first, and is small enough to stand in the profile of many a unit.
LinkVerdict CheckEnds(const graph::v1::Variable& output, const graph::v1::Variable& input) {
  const auto wrong = [](const std::string& field, const std::string& what) {
    return LinkVerdict{
        graph::v1::SUSPENDED_REASON_TYPES_DISAGREE,
        WithViolations(Error(absl::StatusCode::kInvalidArgument, "INCOMPATIBLE_ENDS", field + ": " + what),
                       {{field, what}})};
  };
  if (output.kind() != graph::v1::VARIABLE_KIND_OUTPUT) return wrong("output_id", "is not an output variable");
  if (input.kind() != graph::v1::VARIABLE_KIND_INPUT) return wrong("input_id", "is not an input variable");
  const auto from = values::ToDefinition(output), to = values::ToDefinition(input);
  if (!schema::Compatible(from.type, to.type)) {
    return wrong("input_id", std::string("takes ") + schema::TypeName(to.type) + ", which the output's " +
                                 schema::TypeName(from.type) + " can never be");
  }
  if (ChoicesBytes(input) <= kMostLinkedChoices) return {};
  LinkVerdict verdict = wrong("input_id", "allows values (choices) of more than " + std::to_string(kMostLinkedChoices) +
                                              " bytes; links cannot lead there");
  verdict.reason = graph::v1::SUSPENDED_REASON_TOO_MANY_CHOICES;
  return verdict;
}

const char* TextOf(graph::v1::SuspendedReason reason) {
  switch (reason) {
    case graph::v1::SUSPENDED_REASON_CREATOR_LOST_READ:
      return "Who drew it may not read the output any more.";
    case graph::v1::SUSPENDED_REASON_CREATOR_LOST_WRITE:
      return "Who drew it may not write the input any more.";
    case graph::v1::SUSPENDED_REASON_CREATOR_LOST_MAINTAIN:
      return "Who drew it does not maintain the input any more.";
    case graph::v1::SUSPENDED_REASON_INPUT_CLOSED_TO_LINKS:
      return "The input does not let links write it.";
    case graph::v1::SUSPENDED_REASON_TYPES_DISAGREE:
      return "A value of the output can never be one of the input.";
    case graph::v1::SUSPENDED_REASON_TOO_MANY_CHOICES:
      return "The values that the input allows take more than 2,048 bytes.";
    case graph::v1::SUSPENDED_REASON_CREATOR_GONE:
      return "Who drew it has no account any more.";
    case graph::v1::SUSPENDED_REASON_CREATOR_BLOCKED:
      return "Who drew it was blocked.";
    default:
      return "";
  }
}

}  // namespace

absl::Status AdmitPeople(const rpc::Caller& caller) {
  return caller.kind == rpc::Caller::Kind::kService ? Forbidden("Services ask GraphInternalService.")
                                                    : absl::OkStatus();
}

absl::Status AdmitAll(const rpc::Caller&) { return absl::OkStatus(); }

access::Subject SubjectOf(const rpc::Caller& caller) {
  if (!caller.signed_in()) return {};
  return {.kind = access::Subject::Kind::kUser,
          .id = caller.user_id,
          .owner_id = {},
          .administrator = caller.administrator,
          .most = MostOf(caller.reach)};
}

absl::StatusOr<NodeFacts> FindNode(GraphStore& store, const rpc::Caller& caller, const std::string& field,
                                   const std::string& id, access::Role needed, const std::string& what,
                                   std::optional<graph::v1::NodeType> type) {
  const auto uuid = Uuid::Parse(id);
  if (!uuid) return InvalidField(field, "is not a UUID");
  auto facts = store.GetFacts(*uuid, SubjectOf(caller));
  if (absl::IsNotFound(facts.status()) || (facts.ok() && type && facts->type != *type)) return NotFound(what);
  if (!facts.ok()) return facts.status();
  PEPEUNIT_RETURN_IF_ERROR(Check(caller, *facts, needed, what));
  return facts;
}

Actor ActorOf(const rpc::Caller& caller, std::vector<Need> needs) {
  return {.user = caller.user_id,
          .client_address = caller.client_address,
          .token = caller.reach == rpc::Caller::Reach::kAll ? Uuid{} : caller.session_id,
          .session = caller.session_id,
          .subject = SubjectOf(caller),
          .needs = std::move(needs)};
}

Actor MakerOf(const rpc::Caller& caller, const google::protobuf::Message& request, std::vector<Need> needs) {
  Actor actor = ActorOf(caller, std::move(needs));
  actor.idempotency_key = caller.idempotency_key;
  if (!actor.idempotency_key.empty()) {
    actor.request_hash = Sha256(AsBytes(std::string(request.GetTypeName()) + '\n' + request.SerializeAsString()));
  }
  return actor;
}

absl::Status SessionEnded() { return Unauthenticated("This session or token has ended; sign in again."); }

absl::Status Check(const access::Subject& subject, const NodeFacts& facts, access::Role needed,
                   const std::string& what) {
  switch (access::Decide(subject, facts.access, needed)) {
    case access::Decision::kAllowed:
      return absl::OkStatus();
    case access::Decision::kUnknown:
      return NotFound(what);
    case access::Decision::kForbidden:
      break;
  }
  return Forbidden("You may see this " + what + ", but not do this with it.");
}

absl::Status Check(const rpc::Caller& caller, const NodeFacts& facts, access::Role needed, const std::string& what) {
  absl::Status status = Check(SubjectOf(caller), facts, needed, what);
  if (absl::IsPermissionDenied(status) && !caller.signed_in()) return RequireUser(caller);
  return status;
}

absl::Status RequireUser(const rpc::Caller& caller) {
  return caller.signed_in() ? absl::OkStatus() : Unauthenticated("Sign in first: POST /api/v1/sessions.");
}

absl::Status RequireSession(const rpc::Caller& caller) {
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  return caller.reach == rpc::Caller::Reach::kAll
             ? absl::OkStatus()
             : Forbidden("A personal access token may not do this; sign in: POST /api/v1/sessions.");
}

absl::Status RequireAdministrator(const rpc::Caller& caller) {
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  return caller.administrator ? absl::OkStatus() : Forbidden("Only administrators may do this.");
}

absl::Status RequireMaker(const rpc::Caller& caller) {
  PEPEUNIT_RETURN_IF_ERROR(RequireUser(caller));
  return MostOf(caller.reach) >= access::Role::kMaintainer ? absl::OkStatus()
                                                           : Forbidden("The scopes of this token do not allow that.");
}

absl::Status RequireService(const rpc::Caller& caller) {
  return caller.kind == rpc::Caller::Kind::kService ? absl::OkStatus() : Forbidden("Only services may ask this.");
}

absl::Status VersionMismatch() {
  return Error(absl::StatusCode::kFailedPrecondition, "VERSION_MISMATCH",
               "The node has changed since it was read; read it again and repeat the change.");
}

absl::StatusOr<std::int64_t> ExpectedVersion(const rpc::Caller& caller, const std::string& etag) {
  const std::int64_t version = VersionIn(etag);
  if (HasIfMatch(caller) && VersionIn(caller.if_match) != version) return VersionMismatch();
  return version;
}

absl::Status ReadAndUpdate(const rpc::Caller& caller, const std::function<absl::Status()>& update) {
  // Each is lost to somebody else's change that was made.
  constexpr int kMostTries = 50;
  absl::Status status;
  for (int tries = 0; tries < kMostTries; ++tries) {
    status = update();
    if (HasIfMatch(caller) || InfoOf(status).reason != "VERSION_MISMATCH") break;
  }
  return status;
}

LinkVerdict CheckLink(const access::Subject& creator, const LinkRow& row) {
  const VariableRow &output = row.output, &input = row.input;
  const bool write = row.link.type() == graph::v1::LINK_TYPE_WRITE;
  const auto may_on = [&](const VariableRow& end, access::Role needed) {
    return Check(creator, end.facts, needed, kEnd);
  };
  // The unit at the pulling or pushing end speaks for who maintains it, at the other end, and for nobody else: a
  // refusal must not tell others that the other end is there.
  const bool pulls = !write && output.granted_to_peer >= access::Role::kReader;
  const bool peer_reads = pulls && may_on(input, access::Role::kMaintainer).ok();
  const bool peer_writes =
      write && input.granted_to_peer >= access::Role::kWriter && may_on(output, access::Role::kMaintainer).ok();
  const auto lost =
      write ? graph::v1::SUSPENDED_REASON_CREATOR_LOST_WRITE : graph::v1::SUSPENDED_REASON_CREATOR_LOST_MAINTAIN;
  if (!peer_reads) {
    const absl::Status may = may_on(output, access::Role::kReader);
    if (!may.ok()) return {pulls ? lost : graph::v1::SUSPENDED_REASON_CREATOR_LOST_READ, may};
  }
  if (!peer_writes) {
    const absl::Status may = may_on(input, access::Role::kReader);
    if (!may.ok()) return {lost, may};
  }
  if (LinkVerdict agree = CheckEnds(output.variable, input.variable); !agree.ok()) return agree;
  if (!peer_writes) {
    const absl::Status may = may_on(input, write ? access::Role::kWriter : access::Role::kMaintainer);
    if (!may.ok()) return {lost, may};
  }
  if (write && !input.variable.writable_by_links()) {
    return {graph::v1::SUSPENDED_REASON_INPUT_CLOSED_TO_LINKS,
            Error(absl::StatusCode::kFailedPrecondition, "NOT_WRITABLE",
                  "This input does not let links of type WRITE write it.")};
  }
  return {};
}

LinkVerdict CheckLink(const LinkRow& row) {
  if (!row.creator_exists) return {graph::v1::SUSPENDED_REASON_CREATOR_GONE, NotFound("user")};
  if (row.creator_stopped) return {graph::v1::SUSPENDED_REASON_CREATOR_BLOCKED, Forbidden("Who drew it was blocked.")};
  return CheckLink({.kind = access::Subject::Kind::kUser,
                    .id = *Uuid::Parse(row.link.creator_id()),
                    .owner_id = {},
                    .administrator = row.creator_administrator},
                   row);
}

LinkDifference CompareLinks(std::vector<LinkRow> links, const std::function<void(VariableRow*)>& change) {
  LinkDifference difference;
  for (LinkRow& link : links) {
    const bool before = CheckLink(link).ok();
    change(&link.output);
    change(&link.input);
    const bool after = CheckLink(link).ok();
    if (before != after) (before ? difference.suspended : difference.resumed).push_back(link.link.id());
  }
  return difference;
}

graph::v1::Link Describe(const LinkRow& row) {
  graph::v1::Link link = row.link;
  const LinkVerdict verdict = CheckLink(row);
  link.set_state(verdict.ok() ? graph::v1::LINK_STATE_ACTIVE : graph::v1::LINK_STATE_SUSPENDED);
  link.set_suspended_reason(verdict.reason);
  link.set_suspended_detail(TextOf(verdict.reason));
  return link;
}

}  // namespace pepeunit::graph_registry
