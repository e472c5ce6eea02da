// The page that a person opens, served from files that are part of the program: no directory is read, a path is looked
// up in a table or not found.
//   /               the page; asked for anew each time, a matching ETag answers 304
//   /assets/{file}  its parts; their names hold a hash of their content, so browsers keep them for good
//   /trace/{id}, /search   where links to Jaeger's own page lead: sent on to the same place on this one
// Open to anyone: the files hold no data, and a page that asks for a token must be readable without one. The page may
// load nothing but itself (Content-Security-Policy), names its parts relative to itself and so lives behind any prefix.
// Files are kept compressed; a client that accepts neither brotli nor gzip gets them inflated.
#pragma once

#include <span>
#include <string_view>

#include "api/http_router.h"

namespace clew::api {

struct UiFile {
  std::string_view name;  // "index.html", "assets/index-B3xY.js"
  std::string_view content_type;
  std::string_view hash;  // of the content
  std::string_view gzip, brotli;
  uint32_t size = 0;  // of the content
};

// `files` outlive the router. Without files (a build with -DCLEW_UI=OFF) / says so.
void add_ui_routes(HttpRouter& router, std::span<const UiFile> files);

}  // namespace clew::api
