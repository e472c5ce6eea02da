// HttpRequest and HttpResponse: what the HTTP server (server side) hands to the query APIs (handler side), and back.
// No sockets, no framing, no protocol version here: the simulator and the tests make requests by hand.
//
// A handler gets the request and a completion and returns at once. The completion is called exactly once, on any
// thread; the request lives until then (it is shared). Sizes are bounded by whoever made the request: the target by
// kMaxTargetBytes, the body by the server's limit. Percent-decoding is lazy and never fails: a broken escape stays as
// it is written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function.h"

namespace clew::api {

constexpr size_t kMaxTargetBytes = 64 << 10;

// %XX decoded; '+' too (to a space) where `plus_is_space`: in queries, not in paths.
std::string url_decode(std::string_view text, bool plus_is_space);

// The parameters of a query string, in order, repeated names kept.
class QueryParams {
 public:
  QueryParams() = default;
  explicit QueryParams(std::string_view raw_query);  // without the '?'

  struct Entry {
    std::string name;      // decoded
    std::string_view raw;  // the value as written; borrowed from the query string
  };
  // The first value of the name, decoded; nothing when absent. O(entries).
  std::optional<std::string> get(std::string_view name) const;
  // As written, for times in which an unencoded '+' means itself.
  std::optional<std::string_view> get_raw(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

class HttpRequest {
 public:
  std::string method;                                        // upper case, "GET"
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;                                          // inflated
  std::string tenant;                                        // validated name; authentication is done
  bool tenant_only = false;                                  // whoever asks may ask for that tenant alone
  std::string remote;                                        // "127.0.0.1:51234", for logs

  // "/api/traces/abc?start=1". A fragment is cut off; an absolute form ("http://host/path") loses scheme and host.
  void set_target(std::string_view target);
  const std::string& target() const { return *target_; }
  std::string_view path() const { return path_; }  // as written, without the query
  std::string_view query() const { return query_; }
  const QueryParams& params() const { return params_; }
  // The value of a header by its lower-case name, or "".
  std::string_view header(std::string_view name) const;

  // Filled by the router: the decoded value of a {name} segment of the pattern, or "".
  std::string_view segment(std::string_view name) const;
  std::vector<std::pair<std::string, std::string>> segments;

 private:
  std::unique_ptr<std::string> target_ = std::make_unique<std::string>();  // on the heap: views survive a move
  std::string_view path_, query_;
  QueryParams params_;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // beyond Content-Type and Content-Length
};
std::string_view http_reason(int status);  // "Not Found"

using HttpDone = UniqueFunction<void(HttpResponse)>;
using HttpHandler = UniqueFunction<void(std::shared_ptr<const HttpRequest>, HttpDone)>;

// Whether an Accept header prefers `candidate` ("application/protobuf") to `other`; by q values, then by order. A
// header that names neither, or none, prefers `other`.
bool accept_prefers(std::string_view accept, std::string_view candidate, std::string_view other);

}  // namespace clew::api
