#include "api/servers.h"

#include <algorithm>
#include <utility>

namespace clew::api {

Servers::Servers(ServerOptions options, Node node, otlp::Limits limits)
    : options_(std::move(options)),
      node_(std::move(node)),
      gate_(options_.max_in_flight_bytes),
      pool_(BufferPool::create()),
      receiver_(node_.ingest, gate_, pool_, limits, options_.retry_after_ms, node_.offload),
      otlp_service_(receiver_, options_.otlp_http) {
  receiver_.set_ready(false);
  if (node_.add_query_routes) node_.add_query_routes(http_router_, tempo_router_);
  add_admin_routes(http_router_);
  add_admin_routes(tempo_router_);
  http_service_ = std::make_unique<RouterService>(http_router_, gate_, options_.http, options_.gzip_replies_from_bytes);
  tempo_service_ =
      std::make_unique<RouterService>(tempo_router_, gate_, options_.tempo, options_.gzip_replies_from_bytes);
  const auto add = [&](const char* name, const HttpEndpoint& endpoint, HttpService& service) -> HttpServer* {
    if (endpoint.endpoint.empty()) return nullptr;
    http_servers_.emplace_back(name, std::make_unique<HttpServer>(name, endpoint, service, node_.loops, pool_));
    return http_servers_.back().second.get();
  };
  otlp_http_ = add("otlp/http", options_.otlp_http, otlp_service_);
  http_ = add("http", options_.http, *http_service_);
  tempo_ = add("tempo", options_.tempo, *tempo_service_);
  if (!options_.otlp_grpc.endpoint.empty()) grpc_ = std::make_unique<OtlpGrpcServer>(receiver_, options_.otlp_grpc);
}

Servers::~Servers() = default;

// What operators and probes ask of either port.
void Servers::add_admin_routes(HttpRouter& router) {
  const auto text = [](int status, std::string body) {
    HttpResponse response;
    response.status = status;
    response.content_type = "text/plain; charset=utf-8";
    response.body = std::move(body);
    return response;
  };
  router.add(
      "GET", "/ready",
      [this, text](const std::shared_ptr<const HttpRequest>&, HttpDone done) {
        done(ready_.load() ? text(200, "ready\n") : text(503, "starting or stopping\n"));
      },
      Access::kAnyone);
  router.add(
      "GET", "/health", [text](const std::shared_ptr<const HttpRequest>&, HttpDone done) { done(text(200, "ok\n")); },
      Access::kAnyone);
  router.add("GET", "/metrics", [this](const std::shared_ptr<const HttpRequest>&, HttpDone done) {
    node_.queries.stats([this, answer = std::move(done)](Result<cluster::NodeStats> stats) mutable {
      MetricsInput input = collect();
      if (stats.ok()) input.node = *stats;
      HttpResponse response;
      response.content_type = kMetricsContentType;
      response.body = render_metrics(input);
      if (!node_.more_metrics) return answer(std::move(response));
      node_.more_metrics([response = std::move(response), answer = std::move(answer)](const std::string& more) mutable {
        response.body += more;
        answer(std::move(response));
      });
    });
  });
}

MetricsInput Servers::collect() const {
  MetricsInput input;
  for (const auto& [name, server] : http_servers_) input.http.emplace_back(name, server->stats());
  if (grpc_ != nullptr) input.grpc = grpc_->stats();
  input.receiver = receiver_.stats();
  input.in_flight_bytes = gate_.used_bytes();
  input.max_in_flight_bytes = gate_.max_bytes();
  input.admission_refused = gate_.refused();
  if (node_.process) input.process = node_.process();
  input.version = node_.version;
  input.serving = ready_.load();
  return input;
}

Status Servers::start() {
  const uint64_t largest =
      std::max(options_.otlp_http.limits.max_request_body_size, options_.otlp_grpc.max_recv_msg_size);
  if (options_.max_in_flight_bytes < 2 * largest) {
    return Error{Code::kInvalidArgument, "max_in_flight_bytes is " + std::to_string(options_.max_in_flight_bytes) +
                                             ", but a request of the largest size, " + std::to_string(largest) +
                                             " bytes, takes up to twice that: raise it or lower the size limits"};
  }
  for (auto& [name, server] : http_servers_) CLEW_TRY(server->start());
  if (grpc_ != nullptr) CLEW_TRY(grpc_->start());
  return {};
}

Servers::Ports Servers::ports() const {
  const auto port = [](const auto* server) -> uint16_t { return server == nullptr ? 0 : server->port(); };
  return {port(otlp_http_), port(grpc_.get()), port(http_), port(tempo_)};
}

void Servers::set_ready(bool ready) {
  ready_.store(ready);
  receiver_.set_ready(ready);
  if (grpc_ != nullptr) grpc_->set_serving(ready);
}

void Servers::drain(uint32_t grace_ms, Task done) {
  // Requests that are already here are still served: only /ready and gRPC health change before the listeners close.
  ready_.store(false);
  auto remaining = std::make_shared<std::atomic<size_t>>(http_servers_.size() + (grpc_ != nullptr ? 1 : 0));
  auto told = std::make_shared<Task>(std::move(done));
  if (remaining->load() == 0) return (*told)();
  const auto one_less = [remaining, told] {
    if (remaining->fetch_sub(1) == 1) (*told)();
  };
  if (grpc_ != nullptr) grpc_->drain(grace_ms, one_less);
  for (auto& [name, server] : http_servers_) server->drain(grace_ms, one_less);
}

Status Servers::reload_tls() {
  Status first;
  if (grpc_ != nullptr) first = grpc_->reload_tls();
  for (auto& [name, server] : http_servers_) {
    if (Status status = server->reload_tls(); !status.ok() && first.ok()) first = std::move(status);
  }
  return first;
}

void Servers::replace_tokens(const ServerOptions& options) {
  otlp_service_.replace_tokens(options.otlp_http.auth);
  http_service_->replace_tokens(options.http.auth);
  tempo_service_->replace_tokens(options.tempo.auth);
  if (grpc_ != nullptr) grpc_->replace_tokens(options.otlp_grpc.auth);
}

}  // namespace clew::api
