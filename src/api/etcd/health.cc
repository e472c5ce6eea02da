#include "api/etcd/health.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "api/etcd/execute.h"

namespace clew::api::etcd {
namespace {

bool known(std::string_view service) {
  constexpr std::array<std::string_view, 7> kServices = {"",
                                                         "etcdserverpb.KV",
                                                         "etcdserverpb.Lease",
                                                         "etcdserverpb.Watch",
                                                         "etcdserverpb.Cluster",
                                                         "etcdserverpb.Maintenance",
                                                         "etcdserverpb.Auth"};
  return std::find(kServices.begin(), kServices.end(), service) != kServices.end();
}

}  // namespace

void Health::check(const std::shared_ptr<rpc::Call>& call, std::string_view message) const {
  const auto service = decode_text(message);
  if (!service.ok()) return call->finish(service.status());
  if (!known(*service)) return call->finish(Error{Code::kNotFound, "unknown service"});
  answer_with(*call, encode_health(now()));
}

class Health::Watch final : public rpc::Handler {
 public:
  Watch(Health& health, rpc::Call& call) : health_(health), call_(call) {}
  ~Watch() override {
    if (number_ == 0) return;
    const MutexLock lock(health_.mutex_);
    health_.watchers_.erase(number_);
  }
  void on_message(std::string_view message) override {
    if (heard_) return;
    heard_ = true;
    const auto service = decode_text(message);
    if (!service.ok()) return call_.finish(service.status());
    if (!known(*service)) return call_.send(encode_health(Serving::kServiceUnknown));
    const MutexLock lock(health_.mutex_);
    number_ = ++health_.last_watcher_;
    health_.watchers_.emplace(number_, call_.weak_from_this());
    call_.send(encode_health(health_.now()));
  }
  void on_drain() override { call_.finish(errors::stopped()); }

 private:
  Health& health_;
  rpc::Call& call_;
  bool heard_ = false;
  uint64_t number_ = 0;  // among the watchers; 0: not there
};

std::unique_ptr<rpc::Handler> Health::watch(const std::shared_ptr<rpc::Call>& call) {
  return std::make_unique<Watch>(*this, *call);
}

void Health::set_serving(bool serving) {
  std::vector<std::shared_ptr<rpc::Call>> told;
  {
    const MutexLock lock(mutex_);
    if (serving_.exchange(serving) == serving) return;
    for (const auto& [number, one] : watchers_) {
      if (auto call = one.lock()) told.push_back(std::move(call));
    }
  }
  for (const auto& call : told) {
    call->run(
        [serving](rpc::Call& open) { open.send(encode_health(serving ? Serving::kServing : Serving::kNotServing)); });
  }
}

}  // namespace clew::api::etcd
