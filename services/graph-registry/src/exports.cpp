#include "exports.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "fields.h"
#include "links.h"
#include "pepeunit/base/clock.h"
#include "rights.h"

namespace pepeunit::graph_registry {
namespace {

constexpr int kPage = 200;
constexpr int kMostAuditPages = 500;
constexpr std::size_t kMostChunkBytes = 64 << 10;

absl::Status Gone() { return Error(absl::StatusCode::kCancelled, "", "The receiver is gone."); }

// A JSON object that is sent while it is written. Not thread-safe.
class Document {
 public:
  Document(const Exports::Write& write, const std::string& filename) : write_(write) {
    chunk_.set_content_type("application/json");
    chunk_.set_filename(filename);
  }

  absl::Status Field(const std::string& name, const std::string& json) {
    return Add((std::exchange(first_field_, false) ? "{\n" : ",\n") + ('"' + name + "\": ") + json);
  }
  absl::Status Field(const std::string& name, const google::protobuf::Message& message) {
    PEPEUNIT_ASSIGN_OR_RETURN(const std::string json, Json(message));
    return Field(name, json);
  }
  // Items follow, until End.
  absl::Status BeginList(const std::string& name) {
    first_item_ = true;
    return Field(name, "[");
  }
  absl::Status Item(const google::protobuf::Message& message) {
    PEPEUNIT_ASSIGN_OR_RETURN(const std::string json, Json(message));
    return Add((std::exchange(first_item_, false) ? "\n" : ",\n") + json);
  }
  absl::Status EndList() { return Add("]"); }
  absl::Status End() {
    text_ += "\n}\n";
    while (!text_.empty()) PEPEUNIT_RETURN_IF_ERROR(Send());
    return absl::OkStatus();
  }

 private:
  static absl::StatusOr<std::string> Json(const google::protobuf::Message& message) {
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    options.always_print_primitive_fields = true;
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok())
      return Internal("a message has no form in JSON");
    return json;
  }
  absl::Status Add(const std::string& text) {
    text_ += text;
    while (text_.size() >= kMostChunkBytes) PEPEUNIT_RETURN_IF_ERROR(Send());
    return absl::OkStatus();
  }
  absl::Status Send() {
    chunk_.set_data(text_.substr(0, kMostChunkBytes));
    text_.erase(0, kMostChunkBytes);
    if (!write_(chunk_)) return Gone();
    chunk_.Clear();
    return absl::OkStatus();
  }

  const Exports::Write& write_;
  common::v1::FileChunk chunk_;
  std::string text_;
  bool first_field_ = true, first_item_ = true;
};

// Hands each row of a list on that `fetch` reads by pages; false when the list is longer than `most_pages`.
template <typename Fetch, typename Each>
absl::StatusOr<bool> ForEach(const Fetch& fetch, const Each& each, int most_pages = 0) {
  Page page{.after = {}, .limit = kPage};
  for (int pages = 1;; ++pages) {
    PEPEUNIT_ASSIGN_OR_RETURN(auto rows, fetch(page));
    const bool more = rows.size() > static_cast<std::size_t>(kPage);
    if (more) rows.pop_back();
    for (const auto& row : rows) PEPEUNIT_RETURN_IF_ERROR(each(row));
    if (!more) return true;
    if (pages == most_pages) return false;
    page.after = IdOf(rows.back());
  }
}

class Writer {
 public:
  Writer(const Exports::Stores& stores, const rpc::Caller& caller, Document& document)
      : stores_(stores), user_(caller.user_id), subject_(SubjectOf(caller)), document_(document) {}

  absl::Status Account() {
    PEPEUNIT_ASSIGN_OR_RETURN(const graph::v1::User user, stores_.people.GetUser(user_));
    PEPEUNIT_RETURN_IF_ERROR(document_.Field("format", "\"pepeunit.user\""));
    PEPEUNIT_RETURN_IF_ERROR(document_.Field("version", "1"));
    PEPEUNIT_RETURN_IF_ERROR(document_.Field("exported_at", '"' + FormatTime(NowMs()) + '"'));
    PEPEUNIT_RETURN_IF_ERROR(document_.Field("user", user));
    PEPEUNIT_RETURN_IF_ERROR(
        List("identities", [&](const Page& page) { return stores_.identities.ListIdentities(user_, page); }));
    PEPEUNIT_ASSIGN_OR_RETURN(const auto sessions, stores_.people.ListSessions(user_));
    PEPEUNIT_RETURN_IF_ERROR(document_.BeginList("sessions"));
    for (const auto& session : sessions) PEPEUNIT_RETURN_IF_ERROR(document_.Item(session));
    PEPEUNIT_RETURN_IF_ERROR(document_.EndList());
    return List("tokens", [&](const Page& page) { return stores_.tokens.ListTokens(user_, page); });
  }

  absl::Status Nodes() {
    PEPEUNIT_RETURN_IF_ERROR(document_.BeginList("repo_units"));
    const auto repo_unit = [&](const Uuid& id) { return Found(stores_.graph.GetRepoUnit(id)); };
    PEPEUNIT_RETURN_IF_ERROR(EachOwn(graph::v1::NODE_TYPE_REPO_UNIT, repo_unit));
    PEPEUNIT_RETURN_IF_ERROR(document_.EndList());
    PEPEUNIT_RETURN_IF_ERROR(document_.BeginList("units"));
    const auto unit = [&](const Uuid& id) { return Found(stores_.graph.GetUnit(id)); };
    PEPEUNIT_RETURN_IF_ERROR(EachOwn(graph::v1::NODE_TYPE_UNIT, unit));
    PEPEUNIT_RETURN_IF_ERROR(document_.EndList());
    PEPEUNIT_RETURN_IF_ERROR(document_.BeginList("variables"));
    const auto variables = [&](const Uuid& id) -> absl::Status {
      PEPEUNIT_ASSIGN_OR_RETURN(const auto rows, stores_.graph.ListVariables(id, subject_));
      for (const VariableRow& row : rows) PEPEUNIT_RETURN_IF_ERROR(document_.Item(row.variable));
      return absl::OkStatus();
    };
    PEPEUNIT_RETURN_IF_ERROR(EachOwn(graph::v1::NODE_TYPE_UNIT, variables));
    return document_.EndList();
  }

  absl::Status Rights() {
    PEPEUNIT_RETURN_IF_ERROR(document_.BeginList("links"));
    PEPEUNIT_RETURN_IF_ERROR(ForEach([&](const Page& page) { return stores_.own.ListOwnLinks(subject_, page); },
                                     [&](const SeenLink& seen) { return document_.Item(Show(seen)); })
                                 .status());
    PEPEUNIT_RETURN_IF_ERROR(document_.EndList());
    PEPEUNIT_RETURN_IF_ERROR(document_.BeginList("grants"));
    graph::v1::Grant after;
    for (bool more = true; more;) {
      PEPEUNIT_ASSIGN_OR_RETURN(const auto grants, stores_.own.ListOwnGrants(user_, after, kPage));
      for (const auto& grant : grants) PEPEUNIT_RETURN_IF_ERROR(document_.Item(grant));
      more = grants.size() == static_cast<std::size_t>(kPage);
      if (more) after = grants.back();
    }
    return document_.EndList();
  }

  absl::Status Audit() {
    AuditFilter filter;
    filter.owner = user_;
    PEPEUNIT_RETURN_IF_ERROR(document_.BeginList("audit_records"));
    PEPEUNIT_ASSIGN_OR_RETURN(
        const bool all,
        ForEach([&](const Page& page) { return stores_.graph.ListAudit(filter, page); },
                [&](const graph::v1::AuditRecord& record) { return document_.Item(record); }, kMostAuditPages));
    PEPEUNIT_RETURN_IF_ERROR(document_.EndList());
    return document_.Field("audit_records_complete", all ? "true" : "false");
  }

 private:
  template <typename Fetch>
  absl::Status List(const std::string& name, const Fetch& fetch) {
    PEPEUNIT_RETURN_IF_ERROR(document_.BeginList(name));
    PEPEUNIT_RETURN_IF_ERROR(ForEach(fetch, [&](const auto& row) { return document_.Item(row); }).status());
    return document_.EndList();
  }
  template <typename Each>
  absl::Status EachOwn(graph::v1::NodeType type, const Each& each) {
    return ForEach([&](const Page& page) { return stores_.own.ListOwn(user_, type, page); }, each).status();
  }
  // What was deleted meanwhile is left out.
  template <typename Message>
  absl::Status Found(const absl::StatusOr<Message>& message) {
    if (absl::IsNotFound(message.status())) return absl::OkStatus();
    return message.ok() ? document_.Item(*message) : message.status();
  }

  const Exports::Stores& stores_;
  const Uuid user_;
  const access::Subject subject_;
  Document& document_;
};

}  // namespace

absl::Status Exports::Current(const rpc::Caller& caller, const Write& write) {
  PEPEUNIT_RETURN_IF_ERROR(RequireSession(caller));
  Document document(write, "pepeunit-" + caller.user_id.ToString() + ".json");
  Writer writer(stores_, caller, document);
  PEPEUNIT_RETURN_IF_ERROR(writer.Account());
  PEPEUNIT_RETURN_IF_ERROR(writer.Nodes());
  PEPEUNIT_RETURN_IF_ERROR(writer.Rights());
  PEPEUNIT_RETURN_IF_ERROR(writer.Audit());
  return document.End();
}

}  // namespace pepeunit::graph_registry
