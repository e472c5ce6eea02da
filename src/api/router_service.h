// RouterService: the query APIs behind an HttpServer. Authenticates, makes the HttpRequest, inflates its body,
// dispatches through an HttpRouter, compresses large replies for clients that accept gzip (on the thread that made the
// reply, not on a loop).
//
// Routes that are open to anyone (probes, the page's own files: Access in http_router.h) need no token. Called on the
// loops; the router and the gate outlive this and every request.
#pragma once

#include "api/admission_gate.h"
#include "api/auth.h"
#include "api/http_router.h"
#include "api/http_service.h"

namespace clew::api {

class RouterService final : public HttpService {
 public:
  RouterService(const HttpRouter& router, AdmissionGate& gate, const HttpEndpoint& endpoint, uint32_t gzip_from_bytes)
      : router_(router),
        gate_(gate),
        auth_(endpoint.auth),
        max_body_bytes_(endpoint.limits.max_request_body_size),
        gzip_from_bytes_(gzip_from_bytes) {}

  Decision on_head(const HttpHead& head) override;
  void replace_tokens(const AuthOptions& auth) { auth_.replace(auth); }  // any thread

 private:
  const HttpRouter& router_;
  AdmissionGate& gate_;
  Authenticator auth_;
  const uint64_t max_body_bytes_;
  const uint32_t gzip_from_bytes_;
};

}  // namespace clew::api
