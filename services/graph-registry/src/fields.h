#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/uuid.h"
#include "store.h"

// Checks of what callers send, which collect every problem before they refuse.
namespace pepeunit::graph_registry {

struct LifeBounds {
  std::int64_t least_s = 0, most_s = 0, usual_s = 0;
};

class Fields {
 public:
  void Fail(const std::string& field, const std::string& what) { violations_.push_back({field, what}); }
  // A UUID that must be there.
  Uuid Id(const std::string& field, const std::string& text);
  // A node's name: 1 to 128 characters of valid UTF-8, trimmed of ASCII white space: at least one visible, and none
  // that controls the text around it, as line breaks and overrides of direction do.
  std::string Name(const std::string& field, const std::string& text);
  // `fallback` when it is not said.
  common::v1::AccessLevel Level(const std::string& field, common::v1::AccessLevel level,
                                common::v1::AccessLevel fallback);
  // How long something lives, in ms: the usual time when it is not said, whole seconds.
  std::int64_t LifeMs(const std::string& field, bool said, const google::protobuf::Duration& life,
                      const LifeBounds& bounds);
  absl::Status Finish() const;

 private:
  std::vector<FieldViolation> violations_;
};

struct PageSizes {
  int usual = 50, most = 200;
};
// Reads page_size and cursor. `list` names the list and its filter: a cursor of another one is INVALID_CURSOR.
absl::StatusOr<Page> ReadPage(const std::string& list, int page_size, const std::string& cursor,
                              const PageSizes& sizes = {});
std::string MakeCursor(const std::string& list, const Uuid& last);

template <typename Row>
Uuid IdOf(const Row& row) {
  return *Uuid::Parse(row.id());
}
inline Uuid IdOf(const Uuid& id) { return id; }
inline Uuid IdOf(const SeenLink& seen) { return *Uuid::Parse(seen.row.link.id()); }

// Cuts the one row too many that tells of a next page, and returns its cursor, or nothing.
template <typename Row>
std::string CutPage(const std::string& list, const Page& page, std::vector<Row>* rows) {
  if (rows->size() <= static_cast<std::size_t>(page.limit)) return "";
  rows->resize(static_cast<std::size_t>(page.limit));
  return MakeCursor(list, IdOf(rows->back()));
}

std::string Fold(std::string login);  // ASCII to lower case, as logins are kept

std::size_t CountCharacters(std::string_view utf8);  // SIZE_MAX when it is not valid UTF-8

}  // namespace pepeunit::graph_registry
