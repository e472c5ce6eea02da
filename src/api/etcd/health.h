// grpc.health.v1: whether this member serves, asked once or watched. Any thread; calls are answered on their loops.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

#include "api/etcd/cluster_wire.h"
#include "api/rpc/call.h"
#include "base/mutex.h"

namespace clew::api::etcd {

class Health {
 public:
  void set_serving(bool serving);
  void check(const std::shared_ptr<rpc::Call>& call, std::string_view message) const;
  std::unique_ptr<rpc::Handler> watch(const std::shared_ptr<rpc::Call>& call);
  size_t watchers() const {
    const MutexLock lock(mutex_);
    return watchers_.size();
  }

 private:
  class Watch;
  Serving now() const { return serving_.load() ? Serving::kServing : Serving::kNotServing; }

  std::atomic<bool> serving_{false};
  mutable Mutex mutex_;
  // Those that are there: each leaves when its handler dies. Told in the order in which they came.
  std::map<uint64_t, std::weak_ptr<rpc::Call>> watchers_ CLEW_GUARDED_BY(mutex_);
  uint64_t last_watcher_ CLEW_GUARDED_BY(mutex_) = 0;
};

}  // namespace clew::api::etcd
