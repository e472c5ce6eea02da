#include "api/etcd/execute.h"
#include "api/etcd/lease_wire.h"
#include "api/etcd/methods.h"

namespace clew::api::etcd {
namespace {

using CallPtr = std::shared_ptr<rpc::Call>;

// Renewals of one stream that are not answered yet, and bytes of answers that were not read; etcd's clients have one or
// a few.
constexpr size_t kMaxRenewals = 4'096;
constexpr size_t kMaxUnreadBytes = 256u << 10;

void grant(Context& context, const CallPtr& call, std::string_view message) {
  auto grant = decode_lease_grant(message);
  if (!grant.ok()) return call->finish(grant.status());
  execute<kv::LeaseGrantResponse>(context, call, *grant, false, encode_lease_grant);
}

void revoke(Context& context, const CallPtr& call, std::string_view message) {
  const auto id = decode_lease_id(message);
  if (!id.ok()) return call->finish(id.status());
  execute<kv::LeaseRevokeResponse>(context, call, kv::LeaseRevokeRequest{*id}, false,
                                   [](const Header& header, const kv::LeaseRevokeResponse&) { return answer(header); });
}

void time_to_live(Context& context, const CallPtr& call, std::string_view message) {
  const auto request = decode_lease_time_to_live(message);
  if (!request.ok()) return call->finish(request.status());
  execute<kv::LeaseTimeToLiveResponse>(context, call, *request, false, encode_lease_time_to_live);
}

void leases(Context& context, const CallPtr& call, std::string_view /*empty*/) {
  execute<kv::LeasesResponse>(context, call, kv::LeasesRequest{}, false, encode_leases);
}

class KeepAlive final : public rpc::Handler {
 public:
  KeepAlive(Context& context, rpc::Call& call) : context_(context), call_(call) {}

  void on_message(std::string_view message) override {
    const auto id = decode_lease_id(message);
    if (!id.ok()) return call_.finish(id.status());
    if (waiting_ >= kMaxRenewals || call_.unsent() > kMaxUnreadBytes || call_.overloaded())
      return call_.finish(errors::too_many_requests());
    waiting_++;
    control::CallOptions options;
    options.timeout_ns = context_.timeout_ns();
    context_.service().keep_alive(
        *id, options, then<int64_t>(call_.shared_from_this(), [this, lease = *id](rpc::Call& call, int64_t ttl_s) {
          call.send(encode_lease_keep_alive(context_.header(), lease, ttl_s));
          waiting_--;
          end_if_over();
        }));
  }
  void on_client_done() override {
    client_done_ = true;
    end_if_over();
  }
  void on_drain() override { call_.finish(errors::stopped()); }

 private:
  void end_if_over() {
    if (client_done_ && waiting_ == 0) call_.finish({});
  }

  Context& context_;
  rpc::Call& call_;
  size_t waiting_ = 0;
  bool client_done_ = false;
};

}  // namespace

void add_lease(Methods& methods) {
  methods["/etcdserverpb.Lease/LeaseGrant"].unary = grant;
  methods["/etcdserverpb.Lease/LeaseRevoke"].unary = revoke;
  methods["/etcdserverpb.Lease/LeaseTimeToLive"].unary = time_to_live;
  methods["/etcdserverpb.Lease/LeaseLeases"].unary = leases;
  methods["/etcdserverpb.Lease/LeaseKeepAlive"].stream = [](Context& context,
                                                            rpc::Call& call) -> std::unique_ptr<rpc::Handler> {
    return std::make_unique<KeepAlive>(context, call);
  };
}

}  // namespace clew::api::etcd
