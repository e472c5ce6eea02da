// OTLP over HTTP: POST /v1/traces, protobuf or JSON, gzip, deflate, zstd or plain. Everything that can be refused is
// refused at the head, before the body is read: path, method, types, credentials, size, load. Replies and errors
// (google.rpc.Status) have the request's type. The specification: opentelemetry.io/docs/specs/otlp, "OTLP/HTTP".
//
// 400 bad data · 401 · 403 · 404 · 405 · 413 too large before or after inflating · 415 · 429, 503 with Retry-After: try
// again. Called on the loops of its HttpServer.
#pragma once

#include "api/auth.h"
#include "api/http_service.h"
#include "api/otlp_receiver.h"

namespace clew::api {

class OtlpHttpService final : public HttpService {
 public:
  // The receiver outlives this and every request.
  OtlpHttpService(OtlpReceiver& receiver, const HttpEndpoint& endpoint)
      : receiver_(receiver), auth_(endpoint.auth), max_body_bytes_(endpoint.limits.max_request_body_size) {}

  Decision on_head(const HttpHead& head) override;
  void replace_tokens(const AuthOptions& auth) { auth_.replace(auth); }  // any thread

 private:
  OtlpReceiver& receiver_;
  Authenticator auth_;
  const uint64_t max_body_bytes_;
};

}  // namespace clew::api
