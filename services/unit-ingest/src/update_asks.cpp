#include "update_asks.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::unit_ingest {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxPath = 1024;
constexpr std::int64_t kMaxOffset = 1LL << 40;

class AskReader {
 public:
  explicit AskReader(const json& body) : body_(body) {}

  std::string Text(const char* field, std::size_t most) {
    const auto found = body_.find(field);
    if (found == body_.end()) return "";
    if (found->is_string() && found->get_ref<const std::string&>().size() <= most) return found->get<std::string>();
    Fail(field, "must be text of at most " + std::to_string(most) + " bytes");
    return "";
  }

  std::string Commit(const char* field) {
    std::string text = Text(field, 40);
    if (text.size() == 40 && HexDecode(text)) return text;
    Fail(field, "must be a commit's 40 hex digits");
    return "";
  }

  std::int64_t Number(const char* field, std::int64_t fallback, std::int64_t least, std::int64_t most) {
    const auto found = body_.find(field);
    if (found == body_.end()) return fallback;
    if (found->is_number_integer() && *found >= least && *found <= most) return found->get<std::int64_t>();
    Fail(field, "must be from " + std::to_string(least) + " to " + std::to_string(most));
    return fallback;
  }

  bool Has(const char* field) const { return body_.contains(field); }
  void Fail(const std::string& field, const std::string& what) { violations_.push_back({field, what}); }
  absl::Status Finish() { return violations_.empty() ? absl::OkStatus() : InvalidFields(std::move(violations_)); }

 private:
  const json& body_;
  std::vector<FieldViolation> violations_;
};

std::string Quoted(const std::string& text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

std::string EntryText(const archive::v1::UpdateFile& file) {
  if (file.deleted()) return "{\"path\":" + Quoted(file.path()) + ",\"delete\":true}";
  return "{\"path\":" + Quoted(file.path()) + ",\"size\":" + std::to_string(file.size()) + ",\"sha256\":\"" +
         HexEncode(AsBytes(file.sha256())) + '"' + (file.executable() ? ",\"executable\":true}" : "}");
}

}  // namespace

absl::StatusOr<UpdateAsk> ParseUpdateAsk(std::string_view plaintext) {
  const json body = json::parse(plaintext, nullptr, false);
  if (!body.is_object()) return InvalidField("body", "must be a JSON object");
  AskReader reader(body);
  UpdateAsk ask;
  const std::string what = reader.Text("ask", 16);
  ask.commit = reader.Commit("commit");
  if (what == "manifest") {
    ManifestAsk manifest;
    if (reader.Has("have")) manifest.have = reader.Commit("have");
    manifest.from = static_cast<int>(reader.Number("from", 0, 0, 1'000'000));
    manifest.max_answer = static_cast<std::size_t>(reader.Number("max_answer_bytes", 4000, 512, kMaxPieceBytes));
    ask.what = std::move(manifest);
  } else if (what == "file") {
    FileAsk file;
    file.path = reader.Text("path", kMaxPath);
    if (file.path.empty()) reader.Fail("path", "must be there");
    file.offset = reader.Number("offset", 0, 0, kMaxOffset);
    file.length = reader.Number("length", 0, 1, kMaxPieceBytes);
    if (!reader.Has("length")) reader.Fail("length", "must be there");
    ask.what = std::move(file);
  } else {
    reader.Fail("ask", "must be `manifest` or `file`");
  }
  PEPEUNIT_RETURN_IF_ERROR(reader.Finish());
  return ask;
}

std::string ManifestAnswer(const std::string& commit, const ManifestAsk& ask,
                           const archive::v1::UpdateManifest& manifest) {
  std::string out = "{\"commit\":\"" + commit + "\",\"count\":" + std::to_string(manifest.count()) +
                    ",\"bytes\":" + std::to_string(manifest.bytes()) + ",\"from\":" + std::to_string(ask.from) +
                    ",\"files\":[";
  constexpr std::size_t kTail = 24;  // `],"next":1000000}`
  int next = ask.from;
  for (const auto& file : manifest.files()) {
    const std::string entry = EntryText(file);
    if (next > ask.from && out.size() + entry.size() + kTail > ask.max_answer) break;
    if (next > ask.from) out += ',';
    out += entry;
    ++next;
  }
  return out + (next < manifest.count() ? "],\"next\":" + std::to_string(next) + "}" : "]}");
}

std::string OtherVersionAnswer(const std::string& commit, std::uint32_t attempt) {
  if (attempt == 0) return "{\"error\":\"version\"}";
  return "{\"error\":\"version\",\"commit\":\"" + commit + "\",\"attempt\":" + std::to_string(attempt) + "}";
}

}  // namespace pepeunit::unit_ingest
