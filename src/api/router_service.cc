#include "api/router_service.h"

#include "api/query_common.h"
#include "api/rpc_status.h"
#include "api/text.h"
#include "otlp/inflate.h"

namespace clew::api {
namespace {

// What Jaeger's and Tempo's clients show of an error that no handler made.
HttpResponse error_response(int status, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body = "{\"error\":";
  append_json_text(response.body, message);
  response.body += "}";
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

bool compressible(std::string_view content_type) {
  const std::string_view type = media_type(content_type);
  return type.starts_with("text/") || type == "application/json" || type == "application/protobuf" ||
         type == "application/javascript";
}

void compress_reply(HttpResponse& response) {
  std::string packed;
  if (!otlp::deflate(otlp::Encoding::kGzip, response.body, packed).ok() || packed.size() >= response.body.size())
    return;
  response.body = std::move(packed);
  response.headers.emplace_back("Content-Encoding", "gzip");
}

class RouterCall final : public HttpCall {
 public:
  RouterCall(const HttpRouter& router, AdmissionGate& gate, std::shared_ptr<HttpRequest> request,
             otlp::Encoding encoding, uint64_t max_body_bytes, uint32_t gzip_from_bytes)
      : router_(router),
        gate_(gate),
        request_(std::move(request)),
        encoding_(encoding),
        max_body_bytes_(max_body_bytes),
        gzip_from_bytes_(gzip_from_bytes) {}

  uint64_t max_body_bytes() const override { return max_body_bytes_; }
  std::optional<HttpResponse> reserve(uint64_t total) override {
    if (total <= lease_.bytes()) return std::nullopt;
    auto more = gate_.admit(total);  // the former lease goes with the assignment
    if (!more) return error_response(503, "the server holds as many request bytes as it may; send the request again");
    lease_ = std::move(*more);
    return std::nullopt;
  }
  HttpResponse failure(int status, std::string_view message) override { return error_response(status, message); }

  void run(std::shared_ptr<const std::string> body, HttpDone done) override {
    if (encoding_ == otlp::Encoding::kIdentity) {
      request_->body = *body;
    } else {
      const Status status = otlp::inflate(encoding_, *body, max_body_bytes_, request_->body);
      if (!status.ok())
        return done(error_response(status.code() == Code::kResourceExhausted ? 413 : 400, status.message()));
    }
    const bool gzip = gzip_from_bytes_ > 0 && accepts_gzip(request_->header("accept-encoding"));
    router_.dispatch(std::move(request_), [gzip, from = gzip_from_bytes_, lease = std::move(lease_),
                                           answer = std::move(done)](HttpResponse response) mutable {
      lease.release();
      if (response.body.size() >= from && from > 0 && compressible(response.content_type)) {
        bool encoded = false;
        for (const auto& [name, value] : response.headers)
          encoded = encoded || equals_ignoring_case(name, "Content-Encoding");
        if (!encoded) {
          response.headers.emplace_back("Vary", "Accept-Encoding");
          if (gzip) compress_reply(response);
        }
      }
      answer(std::move(response));
    });
  }

 private:
  const HttpRouter& router_;
  AdmissionGate& gate_;
  std::shared_ptr<HttpRequest> request_;
  const otlp::Encoding encoding_;
  const uint64_t max_body_bytes_;
  const uint32_t gzip_from_bytes_;
  AdmissionGate::Lease lease_;
};

}  // namespace

HttpService::Decision RouterService::on_head(const HttpHead& head) {
  const std::string_view path = head.path();
  auto request = std::make_shared<HttpRequest>();
  if (!router_.open_to_anyone(path)) {
    auto who = auth_.identify(head.header("Authorization"), head.header(kTenantHeader));
    if (!who.ok()) return {nullptr, error_response(http_status_of(who.error().code), who.error().message)};
    request->tenant = std::move(who->tenant);
    request->tenant_only = who->bound;
  }
  auto encoding = otlp::parse_encoding(trim(head.header("Content-Encoding")));
  if (!encoding.ok())
    return {nullptr, error_response(415, "the Content-Encoding is not supported; send gzip, zstd, deflate or none")};
  request->method = head.method();
  request->set_target(head.target());
  request->remote = head.remote();
  head.each_header([&](std::string_view name, std::string_view value) {
    std::string lower(name);
    for (char& c : lower) c = ascii_lower(c);
    request->headers.emplace_back(std::move(lower), std::string(value));
  });
  return {
      std::make_unique<RouterCall>(router_, gate_, std::move(request), *encoding, max_body_bytes_, gzip_from_bytes_),
      {}};
}

}  // namespace clew::api
