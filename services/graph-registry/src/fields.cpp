#include "fields.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "pepeunit/base/bytes.h"

namespace pepeunit::graph_registry {
namespace {

// The code point at the front of valid UTF-8, which is taken off it; nullopt when it is not valid.
std::optional<utf8proc_int32_t> TakeCodePoint(std::string_view* text) {
  utf8proc_int32_t code = -1;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text->data()),
                                       static_cast<utf8proc_ssize_t>(text->size()), &code);
  if (length <= 0) return std::nullopt;
  text->remove_prefix(static_cast<std::size_t>(length));
  return code;
}

// Controls, line breaks, and what turns the order of the text around it (https://www.unicode.org/reports/tr36/): names
// stand in lists, logs and sentences.
bool BreaksText(utf8proc_int32_t code) {
  const utf8proc_category_t category = utf8proc_category(code);
  const bool turns = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP ||
         turns;
}

bool IsVisible(utf8proc_int32_t code) {
  const utf8proc_category_t category = utf8proc_category(code);
  return category != UTF8PROC_CATEGORY_ZS && category != UTF8PROC_CATEGORY_CF &&
         utf8proc_get_property(code)->ignorable == 0;
}

}  // namespace

std::string Fold(std::string login) {
  std::transform(login.begin(), login.end(), login.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return login;
}

std::size_t CountCharacters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) {
    if (!TakeCodePoint(&text)) return SIZE_MAX;
  }
  return count;
}

Uuid Fields::Id(const std::string& field, const std::string& text) {
  const auto id = Uuid::Parse(text);
  if (!id) Fail(field, text.empty() ? "is missing; it must be a UUID" : "is not a UUID");
  return id.value_or(Uuid{});
}

std::string Fields::Name(const std::string& field, const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  const std::string name = first == std::string::npos ? "" : text.substr(first, last - first + 1);
  std::size_t count = 0;
  bool good = true, visible = false;
  for (std::string_view left = name; good && !left.empty(); ++count) {
    const auto code = TakeCodePoint(&left);
    good = code && !BreaksText(*code);
    visible = visible || (good && IsVisible(*code));
  }
  if (!good || !visible || count > 128) {
    Fail(field,
         "must have 1 to 128 characters of UTF-8, one of them visible, and none that controls the text around "
         "it (line breaks, directional overrides)");
  }
  return name;
}

common::v1::AccessLevel Fields::Level(const std::string& field, common::v1::AccessLevel level,
                                      common::v1::AccessLevel fallback) {
  if (level == common::v1::ACCESS_LEVEL_UNSPECIFIED) return fallback;
  if (!common::v1::AccessLevel_IsValid(level)) Fail(field, "is not an access level");
  return level;
}

std::int64_t Fields::LifeMs(const std::string& field, bool said, const google::protobuf::Duration& life,
                            const LifeBounds& bounds) {
  if (!said) return bounds.usual_s * 1000;
  if (life.seconds() < bounds.least_s || life.seconds() > bounds.most_s || life.nanos() != 0) {
    Fail(field, "must be whole seconds from " + std::to_string(bounds.least_s) + "s to " +
                    std::to_string(bounds.most_s) + 's');
  }
  return life.seconds() * 1000;
}

absl::Status Fields::Finish() const { return violations_.empty() ? absl::OkStatus() : InvalidFields(violations_); }

absl::StatusOr<Page> ReadPage(const std::string& list, int page_size, const std::string& cursor,
                              const PageSizes& sizes) {
  Page page{.after = {}, .limit = sizes.usual};
  if (page_size < 0 || page_size > sizes.most)
    return InvalidField("page_size", "must be from 1 to " + std::to_string(sizes.most));
  if (page_size > 0) page.limit = page_size;
  if (cursor.empty()) return page;
  const std::string raw = Base64UrlDecode(cursor).value_or("");
  const auto last = Uuid::FromBytes(std::string_view(raw).substr(0, std::min<std::size_t>(raw.size(), 16)));
  if (!last || MakeCursor(list, *last) != cursor) return InvalidCursor();
  page.after = *last;
  return page;
}

// The last id, and a check sum that binds it to its list. It keeps mistakes out; secrets it need not keep, for what a
// page shows is decided anew.
std::string MakeCursor(const std::string& list, const Uuid& last) {
  const std::string id = last.ToBytes();
  return Base64UrlEncode(AsBytes(id + Sha256(AsBytes("cursor\n" + list + '\n' + id)).substr(0, 8)));
}

}  // namespace pepeunit::graph_registry
