#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pepeunit/http/server.h"

namespace pepeunit::gateway {

// A file that is built into the program.
struct Asset {
  std::string_view name;  // "docs.js"
  std::string_view content;
};
extern const std::vector<Asset> kAssets;  // generated from assets/ and the OpenAPI document

// The fixed pages: the OpenAPI document, its browsable form and the redirect to it; the return from a sign-in
// elsewhere; the form for a new password by a one-time link. Immutable.
class Pages {
 public:
  explicit Pages(const std::vector<Asset>& assets = kAssets);

  bool Has(std::string_view path) const;
  // `path` must be one that Has() knows. GET and HEAD only; 304 by If-None-Match.
  http::Response Get(std::string_view path, std::string_view if_none_match) const;

 private:
  struct Page {
    std::string_view path, media_type, content;
    std::string etag;
  };
  const Page* Find(std::string_view path) const;

  std::vector<Page> pages_;
};

}  // namespace pepeunit::gateway
