#include "api/otlp_http.h"

#include "api/query_common.h"
#include "api/text.h"

namespace clew::api {
namespace {

// Too large is 413, not the 429 that RESOURCE_EXHAUSTED usually maps to: a retry would meet the same limit.
int http_status(Code code, uint32_t retry_after_ms) {
  if (code == Code::kResourceExhausted && retry_after_ms == 0) return 413;
  return http_status_of(code);
}

Code code_of_http(int status) {
  switch (status) {
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kNotFound;
    case 405:
      return Code::kUnimplemented;
    case 408:
      return Code::kDeadlineExceeded;
    case 413:
      return Code::kResourceExhausted;
    case 503:
      return Code::kUnavailable;
    default:
      return Code::kInvalidArgument;
  }
}

HttpResponse failure_response(WireFormat format, int status, Code code, std::string_view message,
                              uint32_t retry_after_ms = 0) {
  HttpResponse response;
  response.status = status;
  response.content_type = content_type_of(format);
  response.body = encode_rpc_status(format, code, message, retry_after_ms);
  if (retry_after_ms > 0) response.headers.emplace_back("Retry-After", std::to_string((retry_after_ms + 999) / 1000));
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (status == 405) response.headers.emplace_back("Allow", "POST, OPTIONS");
  return response;
}

class OtlpHttpCall final : public HttpCall {
 public:
  OtlpHttpCall(OtlpReceiver& receiver, OtlpRequest request) : receiver_(receiver), request_(std::move(request)) {}

  uint64_t max_body_bytes() const override { return request_.max_bytes; }

  std::optional<HttpResponse> reserve(uint64_t total) override {
    if (request_.lease.bytes() == 0) {
      auto lease = receiver_.admit(total);
      if (!lease.ok()) {
        return failure_response(request_.format, 503, Code::kUnavailable, lease.error().message,
                                receiver_.retry_after_ms());
      }
      request_.lease = std::move(*lease);
      return std::nullopt;
    }
    if (total > request_.lease.bytes() && !request_.lease.grow(total - request_.lease.bytes())) {
      return failure_response(request_.format, 503, Code::kUnavailable,
                              "the node holds as many request bytes as it may; send the request again",
                              receiver_.retry_after_ms());
    }
    return std::nullopt;
  }

  HttpResponse failure(int status, std::string_view message) override {
    return failure_response(request_.format, status, code_of_http(status), message);
  }

  void run(std::shared_ptr<const std::string> body, HttpDone done) override {
    request_.body = std::move(body);
    const WireFormat format = request_.format;
    receiver_.receive(std::move(request_), [format, answer = std::move(done)](const OtlpOutcome& outcome) mutable {
      if (!outcome.status.ok()) {
        const Code code = outcome.status.code();
        return answer(failure_response(format, http_status(code, outcome.retry_after_ms), code,
                                       outcome.status.message(), outcome.retry_after_ms));
      }
      HttpResponse response;
      response.content_type = content_type_of(format);
      response.body = encode_export_response(format, outcome.rejected, outcome.message);
      answer(std::move(response));
    });
  }

 private:
  OtlpReceiver& receiver_;
  OtlpRequest request_;
};

}  // namespace

HttpService::Decision OtlpHttpService::on_head(const HttpHead& head) {
  const std::string_view type = media_type(head.header("Content-Type"));
  const bool json = equals_ignoring_case(type, "application/json");
  const bool protobuf =
      equals_ignoring_case(type, "application/x-protobuf") || equals_ignoring_case(type, "application/protobuf");
  // A request of neither type gets its error in JSON, which people can read.
  const WireFormat format = protobuf ? WireFormat::kProtobuf : WireFormat::kJson;
  const auto refuse = [&](int status, std::string_view message, uint32_t retry_after_ms = 0) {
    return Decision{nullptr, failure_response(format, status, code_of_http(status), message, retry_after_ms)};
  };

  if (head.path() != "/v1/traces" && head.path() != "/v1/traces/") {
    return refuse(404, "there is nothing at this path; traces are taken at POST /v1/traces");
  }
  if (head.method() != "POST") return refuse(405, "traces are sent by POST");
  if (!json && !protobuf)
    return refuse(415, "the Content-Type is not supported; send application/x-protobuf or application/json");
  auto encoding = otlp::parse_encoding(trim(head.header("Content-Encoding")));
  if (!encoding.ok()) return refuse(415, "the Content-Encoding is not supported; send gzip, zstd, deflate or none");
  auto tenant = auth_.tenant(head.header("Authorization"), head.header(kTenantHeader));
  if (!tenant.ok()) return refuse(http_status_of(tenant.error().code), tenant.error().message);

  OtlpRequest request;
  request.tenant = std::move(*tenant);
  request.format = format;
  request.encoding = *encoding;
  request.max_bytes = max_body_bytes_;
  return {std::make_unique<OtlpHttpCall>(receiver_, std::move(request)), {}};
}

}  // namespace clew::api
