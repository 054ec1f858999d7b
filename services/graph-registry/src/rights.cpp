#include "rights.h"

#include <charconv>

#include "pepeunit/base/errors.h"
#include "pepeunit/schema/schema.h"
#include "pepeunit/values/values.h"

namespace pepeunit::graph_registry {
namespace {

absl::Status CheckSubject(const access::Subject& subject, const NodeFacts& facts, access::Role needed,
                          const std::string& what) {
  switch (access::Decide(subject, facts.access, needed)) {
    case access::Decision::kAllowed: return absl::OkStatus();
    case access::Decision::kUnknown: return NotFound(what);
    case access::Decision::kForbidden: break;
  }
  return Forbidden("You may see this " + what + ", but not do this with it.");
}

}  // namespace

access::Subject SubjectOf(const rpc::Caller& caller) {
  if (!caller.signed_in()) return {};
  return {.kind = access::Subject::Kind::kUser, .id = caller.user_id, .owner_id = {}, .administrator = caller.administrator};
}

Viewer ViewerOf(const rpc::Caller& caller) {
  if (!caller.signed_in()) return {};
  return {caller.user_id, caller.administrator};
}

absl::Status Check(const rpc::Caller& caller, const NodeFacts& facts, access::Role needed, const std::string& what) {
  return CheckSubject(SubjectOf(caller), facts, needed, what);
}

absl::Status RequireUser(const rpc::Caller& caller) {
  return caller.signed_in() ? absl::OkStatus() : Unauthenticated("Sign in first: POST /api/v1/sessions.");
}

absl::Status RequireService(const rpc::Caller& caller) {
  return caller.kind == rpc::Caller::Kind::kService ? absl::OkStatus() : Forbidden("Only services may ask this.");
}

absl::StatusOr<std::int64_t> ExpectedVersion(const rpc::Caller& caller) {
  if (caller.if_match.empty() || caller.if_match == "*") return 0;
  std::int64_t version = 0;
  const char* end = caller.if_match.data() + caller.if_match.size();
  const auto [at, error] = std::from_chars(caller.if_match.data(), end, version);
  if (error != std::errc() || at != end || version < 1) {
    return Error(absl::StatusCode::kFailedPrecondition, "VERSION_MISMATCH", "If-Match names no version of this node; read it again.");
  }
  return version;
}

absl::Status CheckLink(const access::Subject& creator, graph::v1::LinkType type, const VariableRow& output,
                       const VariableRow& input) {
  PEPEUNIT_RETURN_IF_ERROR(CheckSubject(creator, output.facts, access::Role::kReader, "variable"));
  PEPEUNIT_RETURN_IF_ERROR(CheckSubject(creator, input.facts, access::Role::kReader, "variable"));
  const auto ends = [](const std::string& field, const std::string& what) {
    return WithViolations(Error(absl::StatusCode::kInvalidArgument, "INCOMPATIBLE_ENDS", field + ": " + what), {{field, what}});
  };
  if (output.variable.kind() != graph::v1::VARIABLE_KIND_OUTPUT) return ends("output_id", "is not an output variable");
  if (input.variable.kind() != graph::v1::VARIABLE_KIND_INPUT) return ends("input_id", "is not an input variable");
  const auto from = values::ToDefinition(output.variable), to = values::ToDefinition(input.variable);
  if (!schema::Compatible(from.type, to.type)) {
    return ends("input_id", std::string("takes ") + schema::TypeName(to.type) + ", which the output's " +
                                schema::TypeName(from.type) + " can never be");
  }
  const bool write = type == graph::v1::LINK_TYPE_WRITE;
  PEPEUNIT_RETURN_IF_ERROR(
      CheckSubject(creator, input.facts, write ? access::Role::kWriter : access::Role::kMaintainer, "variable"));
  if (write && !input.variable.writable_by_links()) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOT_WRITABLE", "This input does not let links of type WRITE write it.");
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
