#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "bindings.h"

namespace pepeunit::gateway {

// Which operation a request means. Immutable after Of, so thread-safe.
class Router {
 public:
  struct Match {
    const Binding* binding = nullptr;  // null: no such operation
    Captures captures;
    std::vector<std::string> allowed;  // the verbs that the path knows; empty: no such path
  };

  // An error when two bindings answer the same verb and path.
  static absl::StatusOr<Router> Of(std::vector<Binding> bindings);

  // HEAD finds the operation of GET.
  Match Find(std::string_view verb, std::string_view path) const;
  const std::vector<Binding>& bindings() const { return bindings_; }

 private:
  std::vector<Binding> bindings_;
};

// The bindings of all files of the API that are linked into this program.
absl::StatusOr<std::vector<Binding>> LinkedBindings();
absl::StatusOr<Router> LinkedRouter();

}  // namespace pepeunit::gateway
