// CORS (WHATWG Fetch): which browser origins may read the replies and which headers they may send. Credentials are
// never allowed by cookie: clients authenticate by header. Immutable; any thread.
#pragma once

#include <string>
#include <string_view>

#include "api/server_options.h"

namespace clew::api {

class Cors {
 public:
  explicit Cors(CorsOptions options) : options_(std::move(options)) {}
  bool enabled() const { return !options_.allowed_origins.empty(); }
  bool origin_allowed(std::string_view origin) const;
  // Header lines ("Name: value\r\n"...) for an actual reply to `origin`; empty when it is not allowed.
  std::string reply_lines(std::string_view origin) const;
  // The same for a preflight that asks for `requested_headers`.
  std::string preflight_lines(std::string_view origin, std::string_view requested_headers) const;

 private:
  CorsOptions options_;
};

}  // namespace clew::api
