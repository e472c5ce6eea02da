#include "api/http_router.h"

#include <algorithm>

#include "base/check.h"

namespace clew::api {

std::vector<std::string_view> HttpRouter::split(std::string_view path) {
  std::vector<std::string_view> parts;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return parts;
  for (;;) {
    const size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

std::vector<std::string> HttpRouter::decode(const std::vector<std::string_view>& raw) {
  std::vector<std::string> decoded;
  decoded.reserve(raw.size());
  for (std::string_view part : raw) decoded.push_back(url_decode(part, false));
  return decoded;
}

void HttpRouter::add(std::string_view method, std::string_view pattern, HttpHandler handler, Access access) {
  Route route;
  route.method = method;
  route.access = access;
  for (std::string_view part : split(pattern)) {
    const bool variable = part.size() > 2 && part.front() == '{' && part.back() == '}';
    route.segments.push_back({std::string(variable ? part.substr(1, part.size() - 2) : part), variable});
  }
  route.handler = std::make_shared<HttpHandler>(std::move(handler));
  for (const Route& known : routes_) {
    const bool same = known.method == route.method &&
                      std::equal(known.segments.begin(), known.segments.end(), route.segments.begin(),
                                 route.segments.end(), [](const Segment& a, const Segment& b) {
                                   return a.variable == b.variable && (a.variable || a.text == b.text);
                                 });
    CHECK(!same);
  }
  routes_.push_back(std::move(route));
}

bool HttpRouter::fits(const Route& route, const std::vector<std::string_view>& raw,
                      const std::vector<std::string>& decoded) {
  if (route.segments.size() != raw.size()) return false;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (route.segments[i].variable ? decoded[i].empty() : route.segments[i].text != decoded[i]) return false;
  }
  return true;
}

bool HttpRouter::more_literal(const Route& a, const Route& b) {
  for (size_t i = 0; i < a.segments.size(); ++i) {
    if (a.segments[i].variable != b.segments[i].variable) return b.segments[i].variable;
  }
  return false;
}

void HttpRouter::dispatch(std::shared_ptr<HttpRequest> request, HttpDone done) const {
  const std::vector<std::string_view> raw = split(request->path());
  std::vector<std::string> decoded = decode(raw);

  const std::string_view method =
      request->method == "HEAD" ? std::string_view("GET") : std::string_view(request->method);
  const Route* best = nullptr;
  std::vector<std::string_view> allowed;
  for (const Route& route : routes_) {
    if (!fits(route, raw, decoded)) continue;
    allowed.push_back(route.method);
    if (route.method == method && (!best || more_literal(route, *best))) best = &route;
  }
  if (best) {
    request->segments.clear();
    for (size_t i = 0; i < raw.size(); ++i) {
      if (best->segments[i].variable) request->segments.emplace_back(best->segments[i].text, std::move(decoded[i]));
    }
    (*best->handler)(std::move(request), std::move(done));
    return;
  }
  HttpResponse response;
  response.content_type = "text/plain; charset=utf-8";
  if (allowed.empty()) {
    response.status = 404;
    response.body = "no such path\n";
    done(std::move(response));
    return;
  }
  if (std::find(allowed.begin(), allowed.end(), "GET") != allowed.end()) allowed.push_back("HEAD");
  allowed.push_back("OPTIONS");
  std::sort(allowed.begin(), allowed.end());
  allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
  std::string allow;
  for (std::string_view name : allowed) {
    if (!allow.empty()) allow += ", ";
    allow += name;
  }
  if (request->method == "OPTIONS") {
    response.status = 204;
  } else {
    response.status = 405;
    response.body = "this path takes " + allow + "\n";
  }
  response.headers.emplace_back("Allow", allow);
  done(std::move(response));
}

bool HttpRouter::open_to_anyone(std::string_view path) const {
  const std::vector<std::string_view> raw = split(path);
  const std::vector<std::string> decoded = decode(raw);
  bool known = false;
  for (const Route& route : routes_) {
    if (!fits(route, raw, decoded)) continue;
    if (route.access != Access::kAnyone) return false;
    known = true;
  }
  return known;
}

bool HttpRouter::knows(std::string_view path) const {
  const std::vector<std::string_view> raw = split(path);
  const std::vector<std::string> decoded = decode(raw);
  return std::any_of(routes_.begin(), routes_.end(), [&](const Route& route) { return fits(route, raw, decoded); });
}

}  // namespace clew::api
