#include "api/cors.h"

#include <algorithm>

#include "api/text.h"

namespace clew::api {
namespace {

bool matches(std::string_view pattern, std::string_view origin) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return equals_ignoring_case(pattern, origin);
  const std::string_view before = pattern.substr(0, star), after = pattern.substr(star + 1);
  return origin.size() >= before.size() + after.size() &&
         equals_ignoring_case(origin.substr(0, before.size()), before) &&
         equals_ignoring_case(origin.substr(origin.size() - after.size()), after);
}

}  // namespace

bool Cors::origin_allowed(std::string_view origin) const {
  if (origin.empty()) return false;
  return std::any_of(options_.allowed_origins.begin(), options_.allowed_origins.end(),
                     [&](const std::string& pattern) { return matches(pattern, origin); });
}

std::string Cors::reply_lines(std::string_view origin) const {
  if (!origin_allowed(origin)) return enabled() ? "Vary: Origin\r\n" : "";
  return "Access-Control-Allow-Origin: " + std::string(origin) + "\r\nVary: Origin\r\n" +
         "Access-Control-Expose-Headers: Retry-After\r\n";
}

std::string Cors::preflight_lines(std::string_view origin, std::string_view requested_headers) const {
  if (!origin_allowed(origin)) return enabled() ? "Vary: Origin\r\n" : "";
  std::string lines = "Access-Control-Allow-Origin: " + std::string(origin) +
                      "\r\nVary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
                      "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\n";
  std::string headers;
  std::string_view asked = requested_headers, name;
  while (next_list_member(asked, name)) {
    if (name.empty()) continue;
    const bool allowed = equals_ignoring_case(name, "content-type") || equals_ignoring_case(name, "accept") ||
                         std::any_of(options_.allowed_headers.begin(), options_.allowed_headers.end(),
                                     [&](const std::string& h) { return h == "*" || equals_ignoring_case(h, name); });
    if (allowed) headers += (headers.empty() ? "" : ", ") + std::string(name);
  }
  if (!headers.empty()) lines += "Access-Control-Allow-Headers: " + headers + "\r\n";
  if (options_.max_age > 0) lines += "Access-Control-Max-Age: " + std::to_string(options_.max_age) + "\r\n";
  return lines;
}

}  // namespace clew::api
