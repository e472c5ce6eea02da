#include "api/ui.h"

#include <algorithm>
#include <string>

#include "api/query_common.h"
#include "api/text.h"
#include "otlp/inflate.h"

namespace clew::api {
namespace {

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

bool names_tag(std::string_view if_none_match, std::string_view tag) {
  std::string_view member;
  while (next_list_member(if_none_match, member)) {
    if (member.starts_with("W/")) member.remove_prefix(2);
    if (member == "*" || member == tag) return true;
  }
  return false;
}

HttpResponse serve(const UiFile& file, const HttpRequest& request, std::string_view cache_control) {
  HttpResponse response;
  response.content_type = file.content_type;
  const std::string_view accepted = request.header("accept-encoding");
  std::string_view coding, bytes;
  if (accepts_coding(accepted, "br")) {
    coding = "br";
    bytes = file.brotli;
  } else if (accepts_gzip(accepted)) {
    coding = "gzip";
    bytes = file.gzip;
  }
  // One tag a coding: a cache must not mix them up.
  std::string tag = "\"" + std::string(file.hash) + (coding.empty() ? "" : "-" + std::string(coding)) + "\"";
  const bool known = names_tag(request.header("if-none-match"), tag);
  response.headers = {{"ETag", std::move(tag)},
                      {"Cache-Control", std::string(cache_control)},
                      {"Vary", "Accept-Encoding"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Content-Security-Policy", std::string(kPolicy)},
                      {"Cross-Origin-Opener-Policy", "same-origin"},
                      {"Referrer-Policy", "no-referrer"}};
  if (known) {
    response.status = 304;
    return response;
  }
  if (!coding.empty()) {
    response.headers.emplace_back("Content-Encoding", std::string(coding));
    response.body = bytes;
  } else if (const Status status = otlp::inflate(otlp::Encoding::kGzip, file.gzip, file.size, response.body);
             !status.ok()) {
    return text_response("the program's own copy of this file is damaged: install clew anew\n", 500);
  }
  return response;
}

const UiFile* find(std::span<const UiFile> files, std::string_view name) {
  const auto at = std::find_if(files.begin(), files.end(), [&](const UiFile& file) { return file.name == name; });
  return at == files.end() ? nullptr : &*at;
}

HttpResponse sent_on(std::string location) {
  HttpResponse response = text_response("moved\n", 302);
  response.headers.emplace_back("Location", std::move(location));
  return response;
}

}  // namespace

void add_ui_routes(HttpRouter& router, std::span<const UiFile> files) {
  if (files.empty()) {
    router.add(
        "GET", "/",
        [](const RequestPtr&, HttpDone done) {
          done(text_response(
              "this clew was built without its page (-DCLEW_UI=OFF, or npm could not install its packages); the APIs "
              "are at /clew/v1, /jaeger and /tempo\n",
              404));
        },
        Access::kAnyone);
    return;
  }
  router.add(
      "GET", "/",
      [files](const RequestPtr& request, HttpDone done) {
        const UiFile* page = find(files, "index.html");
        done(page == nullptr ? text_response("no page\n", 404) : serve(*page, *request, "no-cache"));
      },
      Access::kAnyone);
  router.add(
      "GET", "/assets/{file}",
      [files](const RequestPtr& request, HttpDone done) {
        const UiFile* file = find(files, "assets/" + std::string(request->segment("file")));
        done(file == nullptr ? text_response("no such file\n", 404)
                             : serve(*file, *request, "public, max-age=31536000, immutable"));
      },
      Access::kAnyone);
  router.add(
      "GET", "/trace/{id}",
      [](const RequestPtr& request, HttpDone done) {
        const auto id = trace_id_segment(*request);
        const bool slash = request->path().ends_with('/');  // the router passes over it, relative addresses do not
        done(id.ok() ? sent_on((slash ? "../../#/trace/" : "../#/trace/") + id->hex())
                     : text_response(id.error().message + "\n", 400));
      },
      Access::kAnyone);
  router.add(
      "GET", "/search",
      [](const RequestPtr& request, HttpDone done) {
        done(sent_on(request->path().ends_with('/') ? "../#/search" : "./#/search"));
      },
      Access::kAnyone);
}

}  // namespace clew::api
