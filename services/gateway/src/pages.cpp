#include "pages.h"

#include "negotiation.h"
#include "pepeunit/base/bytes.h"

namespace pepeunit::gateway {
namespace {

constexpr std::string_view kHome = "/";
constexpr std::string_view kDocs = "/api/docs";

// Nothing but our own files, no inline scripts or styles, no frames: text of the API's descriptions can do nothing.
constexpr char kPagePolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Place {
  std::string_view path, asset, media_type;
};
constexpr Place kPlaces[] = {
    {kDocs, "docs.html", "text/html; charset=utf-8"},
    {"/api/docs/docs.css", "docs.css", "text/css; charset=utf-8"},
    {"/api/docs/docs.js", "docs.js", "text/javascript; charset=utf-8"},
    {"/api/docs/operation.js", "operation.js", "text/javascript; charset=utf-8"},
    {"/api/docs/schema.js", "schema.js", "text/javascript; charset=utf-8"},
    {"/api/docs/icon.svg", "icon.svg", "image/svg+xml"},
    {"/api/oidc/callback", "oidc.html", "text/html; charset=utf-8"},
    {"/api/oidc/oidc.js", "oidc.js", "text/javascript; charset=utf-8"},
    {"/reset-password", "reset.html", "text/html; charset=utf-8"},
    {"/reset-password/reset.js", "reset.js", "text/javascript; charset=utf-8"},
    {"/api/v1/openapi.json", "openapi.json", "application/json"},
};

}  // namespace

Pages::Pages(const std::vector<Asset>& assets) {
  for (const Place& place : kPlaces) {
    for (const Asset& asset : assets) {
      if (asset.name != place.asset) continue;
      const std::string hash = HexEncode(AsBytes(Sha256(AsBytes(asset.content)))).substr(0, 32);
      pages_.push_back({place.path, place.media_type, asset.content, hash});
    }
  }
}

const Pages::Page* Pages::Find(std::string_view path) const {
  for (const Page& page : pages_) {
    if (page.path == path) return &page;
  }
  return nullptr;
}

bool Pages::Has(std::string_view path) const { return path == kHome || Find(path) != nullptr; }

http::Response Pages::Get(std::string_view path, std::string_view if_none_match) const {
  http::Response response;
  response.headers = {{"Content-Security-Policy", kPagePolicy}, {"Cross-Origin-Opener-Policy", "same-origin"}};
  if (path == kHome) {
    response.status = 302;
    response.headers.emplace_back("Location", kDocs);
    return response;
  }
  const Page& page = *Find(path);
  response.headers.emplace_back("ETag", '"' + page.etag + '"');
  response.headers.emplace_back("Cache-Control", "no-cache");
  if (NoneMatchNames(if_none_match, page.etag)) {
    response.status = 304;
    return response;
  }
  response.content_type = page.media_type;
  response.body = page.content;
  return response;
}

}  // namespace pepeunit::gateway
