// HttpService: what an HttpServer asks while a request arrives. It decides at the head, before a byte of the body is
// read, whether the request is served, and gets the body as one shared buffer, never copied.
//
// This is the seam below HttpRouter (http_message.h): receivers of spans use it directly, because they refuse early and
// hand the body on; query handlers sit behind RouterService (router_service.h). All calls come on the connection's
// loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/http_message.h"

namespace clew::api {

// The head of a request; borrowed for the call.
class HttpHead {
 public:
  virtual std::string_view method() const = 0;
  virtual std::string_view target() const = 0;
  virtual std::string_view header(std::string_view name) const = 0;  // any case; first one; "" when absent
  virtual void each_header(const std::function<void(std::string_view, std::string_view)>& visit) const = 0;
  virtual std::optional<uint64_t> content_length() const = 0;  // absent: chunked, or no body
  virtual const std::string& remote() const = 0;

  std::string_view path() const { return target().substr(0, target().find_first_of("?#")); }

 protected:
  ~HttpHead() = default;
};

// One admitted request, until its body is complete.
class HttpCall {
 public:
  virtual ~HttpCall() = default;
  virtual uint64_t max_body_bytes() const = 0;
  // Before room for `total` bytes of body is taken: once with a Content-Length, in steps for a chunked body. A response
  // refuses.
  virtual std::optional<HttpResponse> reserve(uint64_t total) = 0;
  // The server gives up on this request (413 body too large, 400 malformed, 408 too slow): the reply in the shape that
  // this call's client understands.
  virtual HttpResponse failure(int status, std::string_view message) = 0;
  // The request is complete. `done` may run on any thread, once. `this` is destroyed after the call.
  virtual void run(std::shared_ptr<const std::string> body, HttpDone done) = 0;
};

class HttpService {
 public:
  virtual ~HttpService() = default;
  struct Decision {
    std::unique_ptr<HttpCall> call;  // null: `refusal` is the answer
    HttpResponse refusal;
  };
  virtual Decision on_head(const HttpHead& head) = 0;
};

// A plain refusal for people: {"error":"..."}.
HttpResponse plain_failure(int status, std::string_view message);

}  // namespace clew::api
