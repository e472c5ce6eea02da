#include "api/etcd/server.h"

#include <utility>

#include "api/etcd/execute.h"
#include "api/etcd/health.h"
#include "api/etcd/leader_watch.h"
#include "api/etcd/methods.h"

namespace clew::api {

namespace etcd {
namespace {

bool requires_leader(const rpc::CallHead& head) { return !head.metadata.empty() && head.find("hasleader") == "true"; }

// Gives a unary method its one message.
class UnaryCall final : public rpc::Handler {
 public:
  UnaryCall(Context& context, rpc::Call& call, Method::Unary method)
      : context_(context), call_(call), method_(method) {}

  void on_message(std::string_view message) override {
    if (std::exchange(heard_, true)) return;
    if (!requires_leader(call_.head())) return method_(context_, call_.shared_from_this(), message);
    control::CallOptions options;
    options.timeout_ns = call_.head().remaining_ns(context_.timeout_ns());
    options.forward = false;
    context_.service().status(
        options,
        then<control::GroupStatus>(call_.shared_from_this(), [this, kept = std::string(message)](
                                                                 rpc::Call& open, const control::GroupStatus& status) {
          if (status.consensus.leader == consensus::kNobody) return open.finish(errors::no_leader());
          method_(context_, open.shared_from_this(), kept);
        }));
  }
  void on_client_done() override {
    if (!heard_) call_.finish(Error{Code::kInternal, "the call carries no message"});
  }

 private:
  Context& context_;
  rpc::Call& call_;
  const Method::Unary method_;
  bool heard_ = false;
};

class HealthCheck final : public rpc::Handler {
 public:
  HealthCheck(const Health& health, rpc::Call& call) : health_(health), call_(call) {}
  void on_message(std::string_view message) override { health_.check(call_.shared_from_this(), message); }
  void on_client_done() override { call_.finish(Error{Code::kInternal, "the call carries no message"}); }

 private:
  const Health& health_;
  rpc::Call& call_;
};

// As a Go server says it.
Error unknown_method(std::string_view path) {
  path.remove_prefix(path.empty() ? 0 : 1);
  const size_t slash = path.find('/');
  const std::string service(path.substr(0, slash));
  constexpr std::string_view kPackage = "etcdserverpb.";
  if (slash == std::string_view::npos || service.substr(0, kPackage.size()) != kPackage) {
    return {Code::kUnimplemented, "unknown service " + service};
  }
  return {Code::kUnimplemented, "unknown method " + std::string(path.substr(slash + 1)) + " for service " + service};
}

}  // namespace

class Api final : public rpc::Service {
 public:
  Api(std::shared_ptr<Context> context, std::shared_ptr<LeaderWatch> leader, Health& health)
      : context_(std::move(context)), leader_(std::move(leader)), health_(health) {
    add_kv(methods_);
    add_lease(methods_);
    add_watch(methods_);
    add_cluster(methods_);
    add_maintenance(methods_);
    add_auth(methods_);
  }

  Result<rpc::Caller> judge(const rpc::CallHead& head) override {
    if (!context_->tokens_required()) return rpc::Caller::kKnown;
    const auto found = methods_.find(head.path);
    if (found == methods_.end() || found->second.open_to_all) return rpc::Caller::kStranger;
    CLEW_TRY(context_->authorize(head));
    return rpc::Caller::kKnown;
  }
  std::unique_ptr<rpc::Handler> on_call(const std::shared_ptr<rpc::Call>& call) override {
    const auto found = methods_.find(call->head().path);
    if (found == methods_.end()) return other(call);
    const Method& method = found->second;
    if (method.unary != nullptr) return std::make_unique<UnaryCall>(*context_, *call, method.unary);
    if (requires_leader(call->head())) leader_->add(call);
    return method.stream(*context_, *call);
  }
  Error overload() const override { return errors::too_many_requests(); }
  Error too_large(size_t size, size_t most) const override {
    return {Code::kResourceExhausted,
            "grpc: received message larger than max (" + std::to_string(size) + " vs. " + std::to_string(most) + ")"};
  }

 private:
  std::unique_ptr<rpc::Handler> other(const std::shared_ptr<rpc::Call>& call) {
    if (call->head().path == "/grpc.health.v1.Health/Check") return std::make_unique<HealthCheck>(health_, *call);
    if (call->head().path == "/grpc.health.v1.Health/Watch") return health_.watch(call);
    call->finish(unknown_method(call->head().path));
    return nullptr;
  }

  const std::shared_ptr<Context> context_;
  const std::shared_ptr<LeaderWatch> leader_;
  Health& health_;
  Methods methods_;
};

}  // namespace etcd

struct EtcdServer::Impl {
  Impl(EtcdEndpoint options, control::Service& service, const std::vector<boost::asio::io_context*>& loops,
       const std::string& version)
      : context(std::make_shared<etcd::Context>(service, options, version)),
        leader(std::make_shared<etcd::LeaderWatch>(context, *loops.front())),
        api(context, leader, health),
        server("etcd", std::move(options), api, loops) {}

  const std::shared_ptr<etcd::Context> context;
  const std::shared_ptr<etcd::LeaderWatch> leader;
  etcd::Health health;
  etcd::Api api;
  rpc::Server server;
};

EtcdServer::EtcdServer(EtcdEndpoint options, control::Service& service,
                       const std::vector<boost::asio::io_context*>& loops, const std::string& version)
    : impl_(std::make_unique<Impl>(std::move(options), service, loops, version)) {}

EtcdServer::~EtcdServer() { impl_->leader->stop(); }

Status EtcdServer::start() {
  CLEW_TRY(impl_->server.start());
  impl_->leader->start();
  return {};
}

uint16_t EtcdServer::port() const { return impl_->server.port(); }
void EtcdServer::set_ready(bool ready) { impl_->health.set_serving(ready); }

void EtcdServer::drain(uint32_t grace_ms, Task done) {
  set_ready(false);
  impl_->server.drain(grace_ms, std::move(done));
}

Status EtcdServer::reload_tls() { return impl_->server.reload_tls(); }
void EtcdServer::replace_tokens(const AuthOptions& auth) { impl_->context->replace_tokens(auth); }
rpc::ServerStats EtcdServer::stats() const { return impl_->server.stats(); }
size_t EtcdServer::health_watchers() const { return impl_->health.watchers(); }

}  // namespace clew::api
