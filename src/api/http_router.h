// HttpRouter: method and path to handler. Patterns are literal segments and {name} for one whole segment, which arrives
// percent-decoded (an encoded slash stays within its segment): "/api/services/{service}/operations".
//
// A literal beats a {name} at the first segment where two patterns differ. Unknown path: 404; known path, other method:
// 405 with Allow. HEAD is answered by the GET handler; the server leaves the body out, Content-Length tells its size.
// OPTIONS is answered with 204 and Allow unless a handler is there (CORS is the server's business). A trailing slash is
// ignored. Built once, then const: dispatch may run on any thread at once, handlers too. Cost: O(routes), a comparison
// each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/http_message.h"

namespace clew::api {

// Who may ask a path: whoever has a token good for a tenant, or anyone (probes, the page's own files).
enum class Access : uint8_t { kTenant, kAnyone };

class HttpRouter {
 public:
  // A pattern added twice for one method is a programmer's error. Handlers are called from any thread, several at a
  // time.
  void add(std::string_view method, std::string_view pattern, HttpHandler handler, Access access = Access::kTenant);
  // Calls the handler, or answers 404, 405 or OPTIONS itself. `done` is called exactly once.
  void dispatch(std::shared_ptr<HttpRequest> request, HttpDone done) const;
  // Whether a route of any method takes the path.
  bool knows(std::string_view path) const;
  // Whether the path needs no token: a route takes it, and each that does is open to anyone.
  bool open_to_anyone(std::string_view path) const;

 private:
  struct Segment {
    std::string text;
    bool variable = false;
  };
  struct Route {
    std::string method;
    std::vector<Segment> segments;
    std::shared_ptr<HttpHandler> handler;
    Access access = Access::kTenant;
  };
  static std::vector<std::string_view> split(std::string_view path);
  static std::vector<std::string> decode(const std::vector<std::string_view>& raw);
  static bool fits(const Route& route, const std::vector<std::string_view>& raw,
                   const std::vector<std::string>& decoded);
  static bool more_literal(const Route& a, const Route& b);

  std::vector<Route> routes_;
};

}  // namespace clew::api
