#include "rights.h"

#include <charconv>

#include "pepeunit/base/errors.h"
#include "pepeunit/schema/schema.h"
#include "pepeunit/values/values.h"

namespace pepeunit::graph_registry {
namespace {

bool HasIfMatch(const rpc::Caller& caller) { return !caller.if_match.empty() && caller.if_match != "*"; }

// 0 when it begins with no version.
std::int64_t VersionIn(const std::string& etag) {
  std::int64_t version = 0;
  const char* end = etag.data() + etag.size();
  const auto [at, error] = std::from_chars(etag.data(), end, version);
  return error == std::errc() && (at == end || *at == '-') ? version : 0;
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
          .administrator = caller.administrator};
}

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
  constexpr int kMostTries = 5;
  absl::Status status;
  for (int tries = 0; tries < kMostTries; ++tries) {
    status = update();
    if (HasIfMatch(caller) || InfoOf(status).reason != "VERSION_MISMATCH") break;
  }
  return status;
}

absl::Status CheckLink(const access::Subject& creator, graph::v1::LinkType type, const VariableRow& output,
                       const VariableRow& input) {
  PEPEUNIT_RETURN_IF_ERROR(Check(creator, output.facts, access::Role::kReader, "variable"));
  PEPEUNIT_RETURN_IF_ERROR(Check(creator, input.facts, access::Role::kReader, "variable"));
  const auto ends = [](const std::string& field, const std::string& what) {
    return WithViolations(Error(absl::StatusCode::kInvalidArgument, "INCOMPATIBLE_ENDS", field + ": " + what),
                          {{field, what}});
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
      Check(creator, input.facts, write ? access::Role::kWriter : access::Role::kMaintainer, "variable"));
  if (write && !input.variable.writable_by_links()) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOT_WRITABLE",
                 "This input does not let links of type WRITE write it.");
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::graph_registry
