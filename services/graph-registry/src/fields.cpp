#include "fields.h"

#include <algorithm>
#include <cstdint>

#include "pepeunit/base/bytes.h"

namespace pepeunit::graph_registry {
namespace {

// The length of the UTF-8 sequence at the front, 0 when there is none (RFC 3629: no overlong forms, no surrogates).
std::size_t SequenceLength(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  const std::size_t length = lead < 0x80                    ? 1
                             : lead >= 0xC2 && lead <= 0xDF ? 2
                             : (lead & 0xF0) == 0xE0        ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  if (lead == 0xE0 && at(1) < 0xA0) return 0;
  if (lead == 0xED && at(1) > 0x9F) return 0;
  if (lead == 0xF0 && at(1) < 0x90) return 0;
  if (lead == 0xF4 && at(1) > 0x8F) return 0;
  return length;
}

}  // namespace

std::string Fold(std::string login) {
  std::transform(login.begin(), login.end(), login.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return login;
}

std::size_t CountCharacters(std::string_view text) {
  std::size_t count = 0;
  while (!text.empty()) {
    const std::size_t length = SequenceLength(text);
    if (length == 0) return SIZE_MAX;
    text.remove_prefix(length);
    ++count;
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
  const std::size_t count = CountCharacters(name);
  bool control = false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    // C0, DEL, and C1 (U+0080 to U+009F), whose second byte is below 0xA0.
    const bool c1 = c == 0xC2 && i + 1 < name.size() && static_cast<unsigned char>(name[i + 1]) < 0xA0;
    control = control || c < 0x20 || c == 0x7F || c1;
  }
  if (count == 0 || count > 128 || control)
    Fail(field, "must have 1 to 128 characters of UTF-8 and no control characters");
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
