#include "plan.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "pepeunit/base/bytes.h"

namespace pepeunit::unit_client {
namespace {

using nlohmann::json;

constexpr std::size_t kIdBytes = 10;

bool IsRefused(const std::string& path) {
  const std::string lower = absl::AsciiStrToLower(path);
  const std::vector<std::string> parts = absl::StrSplit(lower, '/');
  if (lower == "env.json" || parts[0] == ".pepeunit") return true;
  for (const auto& part : parts) {
    // Also . and ..; FAT drops dots and blanks at the end of a name.
    if (part.empty() || part.back() == '.' || part.back() == ' ') return true;
  }
  for (const char letter : path) {
    if (letter == '\\' || letter == ':' || absl::ascii_iscntrl(static_cast<unsigned char>(letter))) return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> TextOf(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<std::int64_t> WholeOf(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  const auto value = found->get<std::int64_t>();  // one of 2^63 and more is negative here
  if (value < 0 || value >= std::int64_t{1} << 53) return std::nullopt;
  return value;
}

std::optional<PlanLine> CheckedLine(const json& line, std::string* why) {
  PlanLine plan;
  if (const auto path = TextOf(line, "path")) {
    plan.path = *path;
  } else {
    *why = "the manifest has a file without path";
    return std::nullopt;
  }
  if (IsRefused(plan.path)) {
    *why = absl::StrCat("the manifest has a path that is refused: ", json(plan.path).dump());
    return std::nullopt;
  }
  plan.remove = line.value("delete", json()) == true;
  if (!plan.remove) {
    const auto size = WholeOf(line, "size");
    const auto digest = TextOf(line, "sha256");
    if (!size || !digest || digest->size() != 64) {
      *why = absl::StrCat("the manifest has no size or hash of ", plan.path);
      return std::nullopt;
    }
    plan.size = *size;
    plan.sha256 = *digest;
    plan.executable = line.value("executable", json()) == true;
  }
  // The same file of another version has the same id, so that it need not be fetched again when the offer changes.
  plan.id = HexEncode(AsBytes(Sha256(AsBytes(absl::StrCat(plan.path, "\n", plan.sha256))))).substr(0, 2 * kIdBytes);
  return plan;
}

bool IsProtected(const std::string& path) {
  const std::string lower = absl::AsciiStrToLower(path);
  return lower == "boot.py" || lower == "pepeunit_guard.py";
}

json ToJson(const PlanLine& line) {
  json made = {{"path", line.path}, {"id", line.id}};
  if (line.remove) {
    made["delete"] = true;
    return made;
  }
  made["size"] = line.size;
  made["sha256"] = line.sha256;
  if (line.executable) made["executable"] = true;
  return made;
}

PlanLine FromJournal(const json& line) {
  PlanLine plan;
  plan.path = line.at("path").get<std::string>();
  plan.id = line.at("id").get<std::string>();
  plan.remove = line.value("delete", false);
  plan.size = line.value("size", std::int64_t{0});
  plan.sha256 = line.value("sha256", "");
  plan.executable = line.value("executable", false);
  return plan;
}

}  // namespace pepeunit::unit_client
