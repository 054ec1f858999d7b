#include "openapi.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <map>

#include "bindings.h"
#include "comments.h"
#include "pepeunit/base/errors.h"
#include "schemas.h"

namespace pepeunit::gateway {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr char kDescription[] =
    "Firmware from git repositories, devices made from it, and the wires between them.\n\n"
    "Sign in with `POST /api/v1/sessions` and send the access token as `Authorization: Bearer ...`; what is public "
    "needs none. Errors are problem documents (RFC 9457): `reason` is for programs, `detail` for people. Lists come in "
    "pages: send `next_cursor` as `cursor` for the next one. Send a resource's ETag in If-Match to change only what "
    "you have read. 64-bit integers are strings, times are RFC 3339 in UTC, durations are seconds such as `86400s`.";

struct ProblemCase {
  const char *status, *name, *description;
};
constexpr ProblemCase kProblems[] = {
    {"400", "BadRequest", "The request is not valid; `errors` names each field at fault."},
    {"401", "Unauthorized", "A signed-in user is needed, or the access token is expired or not valid."},
    {"403", "Forbidden", "The caller may see it but not do this."},
    {"404", "NotFound", "There is none, or the caller may not know that there is."},
    {"409", "Conflict", "It conflicts with what is there; `reason` says how."},
    {"412", "PreconditionFailed", "It is no longer the version named in If-Match."},
    {"429", "TooManyRequests", "A limit was hit; Retry-After says when to try again."},
    {"503", "Unavailable", "A part of the instance does not answer now; try again."},
    {"default", "Problem", "Any other error."},
};

// RepoUnitService -> Repo unit
std::string TagOf(const ServiceDescriptor& service) {
  constexpr std::string_view kSuffix = "Service";
  std::string name = service.name(), tag;
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  for (char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !tag.empty()) tag += ' ';
    tag += upper && !tag.empty() ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return tag;
}

Json ProblemSchema() {
  const Json text = {{"type", "string"}};
  return {
      {"type", "object"},
      {"description", "An error (RFC 9457)."},
      {"properties",
       {{"type", {{"type", "string"}, {"format", "uri-reference"}, {"description", "Names the kind of problem."}}},
        {"title", {{"type", "string"}, {"description", "The kind of problem in words."}}},
        {"status", {{"type", "integer"}, {"description", "The HTTP status."}}},
        {"detail", {{"type", "string"}, {"description", "What is wrong with this request, for people."}}},
        {"reason", SchemaRef("ErrorReason")},
        {"instance", {{"type", "string"}, {"description", "The path of the request."}}},
        {"trace_id", {{"type", "string"}, {"description", "Finds the request in the instance's logs."}}},
        {"errors",
         {{"type", "array"},
          {"description", "The fields at fault."},
          {"items",
           {{"type", "object"},
            {"properties", {{"field", text}, {"detail", text}}},
            {"required", {"field", "detail"}}}}}}}},
      {"required", {"type", "title", "status", "detail"}},
  };
}

// In problems the reasons stand without the prefix that proto needs.
Json ReasonSchema(const EnumDescriptor* reasons) {
  Json schema = {{"type", "string"}, {"description", "The machine-readable cause."}};
  if (reasons == nullptr) return schema;
  constexpr std::string_view kPrefix = "ERROR_REASON_";
  std::string text = CommentOf(*reasons);
  for (int i = 1; i < reasons->value_count(); ++i) {
    std::string name = reasons->value(i)->name();
    if (name.starts_with(kPrefix)) name = name.substr(kPrefix.size());
    schema["enum"].push_back(name);
    text += (i == 1 ? "\n\n- `" : "\n- `") + name + "`: " + CommentOf(*reasons->value(i));
  }
  schema["description"] = text;
  return schema;
}

bool HasRange(const Binding& binding) {
  const auto& request = *binding.method->input_type();
  for (int i = 0; i < request.field_count(); ++i) {
    if (IsRange(*request.field(i))) return true;
  }
  return false;
}

bool HasEtag(const MethodDescriptor& method) { return method.output_type()->FindFieldByName("etag") != nullptr; }

class Document {
 public:
  void AddFile(const FileDescriptor& file, const std::vector<Binding>& bindings) {
    for (int s = 0; s < file.service_count(); ++s) {
      const ServiceDescriptor& service = *file.service(s);
      bool bound = false;
      for (const Binding& binding : bindings) {
        if (binding.method->service() != &service) continue;
        bound = true;
        paths_[binding.path.text()][Lower(binding.verb)] = Operation(binding);
      }
      if (bound) tags_.push_back({{"name", TagOf(service)}, {"description", CommentOf(service)}});
    }
  }

  std::string Print(const std::string& version, const EnumDescriptor* reasons) {
    schemas_.Add("Problem", ProblemSchema());
    schemas_.Add("ErrorReason", ReasonSchema(reasons));
    Json responses;
    for (const ProblemCase& problem : kProblems) {
      responses[problem.name] = {{"description", problem.description},
                                 {"content", {{"application/problem+json", {{"schema", SchemaRef("Problem")}}}}}};
    }
    responses["TooManyRequests"]["headers"] = RetryAfter();
    responses["Unavailable"]["headers"] = RetryAfter();
    std::sort(tags_.begin(), tags_.end(), [](const Json& a, const Json& b) { return a["name"] < b["name"]; });
    Json document = {{"openapi", "3.1.0"},
                     {"info",
                      {{"title", "Pepeunit"},
                       {"version", version},
                       {"description", kDescription},
                       {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
                     {"servers", Json::array({{{"url", "/"}}})},
                     {"security", Json::array({Json::object(), {{"bearer", Json::array()}}})},
                     {"tags", tags_},
                     {"paths", paths_}};
    document["components"] = {{"securitySchemes",
                               {{"bearer",
                                 {{"type", "http"},
                                  {"scheme", "bearer"},
                                  {"description",
                                   "The access token of a session (a JWT), or a personal access token "
                                   "(`pepeunit_pat_...`), which does what its scopes say."}}}}},
                              {"responses", responses},
                              {"schemas", schemas_.Take()}};
    return document.dump(1) + "\n";
  }

 private:
  static std::string Lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return text;
  }

  static Json RetryAfter() {
    return {{"Retry-After", {{"description", "Seconds to wait."}, {"schema", {{"type", "integer"}}}}}};
  }

  Json Operation(const Binding& binding) {
    const MethodDescriptor& method = *binding.method;
    const std::string text = CommentOf(method);
    Json operation = {{"operationId", OperationId(method.name())},
                      {"tags", Json::array({TagOf(*method.service())})},
                      {"summary", FirstSentence(text)},
                      {"description", text},
                      {"parameters", Parameters(binding)}};
    if (operation["parameters"].empty()) operation.erase("parameters");
    if (Json body = RequestBody(binding); !body.is_null()) operation["requestBody"] = std::move(body);
    operation["responses"] = Responses(binding);
    return operation;
  }

  std::string OperationId(const std::string& name) {
    const int count = ++operation_ids_[name];
    return count == 1 ? name : name + std::to_string(count);
  }

  Json Parameter(const FieldDescriptor& field, const std::string& name, const char* in) {
    Json schema = schemas_.OfField(field, Schemas::Use::kRequest);
    Json parameter = {{"name", name}, {"in", in}};
    if (std::string(in) == "path") parameter["required"] = true;
    if (schema.contains("description")) {
      parameter["description"] = schema["description"];
      schema.erase("description");
    }
    parameter["schema"] = std::move(schema);
    return parameter;
  }

  Json Parameters(const Binding& binding) {
    const auto& request = *binding.method->input_type();
    Json parameters = Json::array();
    std::set<std::string> in_path;
    for (const std::string& path : binding.path.Fields()) {
      in_path.insert(path);
      parameters.push_back(Parameter(*FindFieldPath(request, path), path, "path"));
    }
    for (int i = 0; i < request.field_count() && binding.body != "*"; ++i) {
      const FieldDescriptor& field = *request.field(i);
      const bool text_form = field.message_type() == nullptr ||
                             field.message_type()->full_name() == "google.protobuf.Timestamp" ||
                             field.message_type()->full_name() == "google.protobuf.Duration";
      if (in_path.contains(field.name()) || field.name() == binding.body || !text_form) continue;
      parameters.push_back(Parameter(field, field.name(), "query"));
    }
    if (binding.events && request.FindFieldByName("last_event_id") != nullptr) {
      parameters.push_back({{"name", "Last-Event-ID"},
                            {"in", "header"},
                            {"description", "The id of the last event that was received, as browsers send it."},
                            {"schema", {{"type", "string"}}}});
    }
    if (HasRange(binding)) {
      parameters.push_back({{"name", "Range"},
                            {"in", "header"},
                            {"description", "One range of bytes, as `bytes=1000-` to go on with a download."},
                            {"schema", {{"type", "string"}}}});
      parameters.push_back(
          {{"name", "If-Range"},
           {"in", "header"},
           {"description", "The ETag of the file that the range is of: of another one all bytes are sent."},
           {"schema", {{"type", "string"}}}});
    }
    if (binding.idempotency_key) {
      parameters.push_back(
          {{"name", "Idempotency-Key"},
           {"in", "header"},
           {"description",
            "1 to 128 visible ASCII characters: the same request with the same key, within a day, gets "
            "what the first one made. Other operations refuse the header."},
           {"schema", {{"type", "string"}, {"maxLength", 128}}}});
    }
    if (binding.if_match) {
      parameters.push_back(
          {{"name", "If-Match"},
           {"in", "header"},
           {"description",
            "The ETag of the version to change; any other is refused with 412. Other operations refuse the "
            "header."},
           {"schema", {{"type", "string"}}}});
    }
    return parameters;
  }

  Json RequestBody(const Binding& binding) {
    if (binding.body.empty()) return nullptr;
    const auto& request = *binding.method->input_type();
    Json schema;
    if (binding.body == "*") {
      const auto in_path = binding.path.Fields();
      const std::set<std::string> without(in_path.begin(), in_path.end());
      if (static_cast<int>(without.size()) == request.field_count()) return nullptr;
      schema = schemas_.Reference(request, Schemas::Use::kRequest, without);
    } else {
      schema = schemas_.OfField(*request.FindFieldByName(binding.body), Schemas::Use::kRequest);
    }
    const char* type = binding.prometheus ? "application/x-www-form-urlencoded" : "application/json";
    return {{"required", !binding.prometheus}, {"content", {{type, {{"schema", std::move(schema)}}}}}};
  }

  Json Responses(const Binding& binding) {
    const MethodDescriptor& method = *binding.method;
    const bool created = binding.verb == "POST" && Creates(method);
    const bool empty = method.output_type()->full_name() == "google.protobuf.Empty";
    Json good;
    if (binding.file) {
      good = {{"description", "The file."},
              {"headers", {{"Content-Disposition", Header("The name to save it under.")}}},
              {"content", Json::object()}};
      const Formats formats = FormatsOf(*method.input_type());
      for (const auto& format : formats.formats) good["content"][format.media_type] = Json::object();
      if (binding.prometheus) {
        good["content"]["application/json"] = Json::object();
        good["headers"] = Json::object();
      } else if (formats.field == nullptr)
        good["content"]["application/octet-stream"] = {{"schema", {{"type", "string"}, {"format", "binary"}}}};
    } else if (binding.events) {
      good = {
          {"description", "Server-sent events: the data of each is this message."},
          {"content",
           {{"text/event-stream", {{"schema", schemas_.Reference(*method.output_type(), Schemas::Use::kResponse)}}}}}};
    } else if (empty) {
      good = {{"description", "Done."}};
    } else {
      good["description"] = created ? "Created." : "Done.";
      if (created) good["headers"]["Location"] = Header("Where it is.");
      if (HasEtag(method)) good["headers"]["ETag"] = Header("Its version, for If-Match.");
      good["content"] = {
          {"application/json", {{"schema", schemas_.Reference(*method.output_type(), Schemas::Use::kResponse)}}}};
    }
    if (HasRange(binding))
      good["headers"]["ETag"] = Header("Another one for other bytes; for If-None-Match and If-Range.");
    Json responses = {{created ? "201" : empty ? "204" : "200", good}};
    if (HasRange(binding)) {
      responses["206"] = {{"description", "The range that was asked for."}, {"content", good["content"]}};
      responses["304"] = {{"description", "The file is the one that the caller has."}};
      responses["416"] = {{"description", "The file has no byte of that range."}};
    }
    for (const ProblemCase& problem : kProblems) {
      if (std::string(problem.status) == "412" && !binding.if_match) continue;
      responses[problem.status] = {{"$ref", std::string("#/components/responses/") + problem.name}};
    }
    return responses;
  }

  static Json Header(const char* description) {
    return {{"description", description}, {"schema", {{"type", "string"}}}};
  }

  Schemas schemas_;
  Json tags_ = Json::array(), paths_ = Json::object();
  std::map<std::string, int> operation_ids_;
};

}  // namespace

absl::StatusOr<std::string> OpenApiOf(const google::protobuf::FileDescriptorSet& files, const std::string& version) {
  DescriptorPool pool;
  Document document;
  for (const auto& proto : files.file()) {
    const FileDescriptor* file = pool.BuildFile(proto);
    if (file == nullptr) return absl::InvalidArgumentError("the descriptors of " + proto.name() + " are malformed");
    PEPEUNIT_ASSIGN_OR_RETURN(const auto bindings, BindingsOf(*file));
    document.AddFile(*file, bindings);
  }
  return document.Print(version, pool.FindEnumTypeByName("pepeunit.common.v1.ErrorReason"));
}

}  // namespace pepeunit::gateway
