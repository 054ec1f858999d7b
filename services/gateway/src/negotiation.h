#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// Request headers that choose or limit an answer (RFC 9110). Pure functions.
namespace pepeunit::gateway {

// Whether an Accept header admits `media_type` ("application/json"). Weights count only when they are zero.
bool Accepts(std::string_view accept, std::string_view media_type);
// How closely it names it: 3 by its type, 2 by its kind (`text/*`), 1 by anything, 0 when it is not admitted.
int Closeness(std::string_view accept, std::string_view media_type);

// Whether a Content-Type is application/json in UTF-8.
bool IsJson(std::string_view content_type);

// Whether a Content-Type is that of an HTML form, in UTF-8.
bool IsForm(std::string_view content_type);

// The one entity tag of an If-Match header, without its quotes; empty when it is absent or `*`, which any version
// matches. INVALID_ARGUMENT for lists, weak tags and what is no tag at all.
absl::StatusOr<std::string> IfMatchTag(std::string_view if_match);

// The key of an Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): 1 to 128 visible ASCII characters,
// with or without quotes; empty when there is none.
absl::StatusOr<std::string> IdempotencyKey(std::string_view header);

// Whether an If-None-Match header names `tag` (without quotes), by weak comparison.
bool NoneMatchNames(std::string_view if_none_match, std::string_view tag);

// One range of bytes, as a Range header asks for it: from `first` (absent: the last `last` bytes) to `last`, or to the
// end.
struct ByteRange {
  std::optional<std::int64_t> first, last;
};
// nullopt for no header, other units, several ranges, and what is none: all of it is sent then (RFC 9110, 14.2).
std::optional<ByteRange> RangeOf(std::string_view range);

// Content-Disposition for saving under `filename`: quoted ASCII with everything else replaced, and when that loses
// something, also its exact form (RFC 6266, RFC 8187). Folders are cut off.
std::string AttachmentNamed(std::string_view filename);

}  // namespace pepeunit::gateway
