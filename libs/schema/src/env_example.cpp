#include <algorithm>

#include "document.h"
#include "pepeunit/schema/schema.h"

namespace pepeunit::schema {
namespace {

constexpr char kEnvFile[] = "env_example.json";
constexpr std::size_t kEnvMaxBytes = 64u << 10;
constexpr std::size_t kMaxKeys = 256;

bool IsKey(const std::string& key) {
  if (key.empty() || key.size() > 64 || (key[0] >= '0' && key[0] <= '9')) return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

EnvResult ParseEnvExample(std::string_view text) {
  EnvResult result;
  const Document document = ReadDocument(kEnvFile, text, kEnvMaxBytes);
  result.problems = document.problems;
  if (!result.ok()) return result;
  const auto fail = [&](const std::string& field, const std::string& message) {
    result.problems.push_back({kEnvFile, document.LineOf(field), field, message, false});
  };
  if (document.json.size() > kMaxKeys) fail("", "has more than " + std::to_string(kMaxKeys) + " keys");
  for (const auto& [key, value] : document.json.items()) {
    if (!IsKey(key)) fail(key, "a key has 1 to 64 of A-Z, a-z, 0-9 and '_', and does not begin with a digit");
    if (value.is_object() || value.is_array()) fail(key, "must be a string, number, boolean or null: the file is flat");
    if (value.is_string() && value.get_ref<const std::string&>().size() > 4096) fail(key, "has more than 4096 bytes");
  }
  if (result.ok()) result.env = document.json;
  return result;
}

}  // namespace pepeunit::schema
