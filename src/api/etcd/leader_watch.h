// LeaderWatch: asks the service now and then who this member is and whether the group has a leader, for clients that
// said `hasleader`: etcd's streams end with "no leader" rather than wait in silence (clientv3.WithRequireLeader).
//
// It asks until the cluster's id is known, and from then on only while such streams are open. add: any thread. start,
// stop: one thread, not a loop's own; after stop() nothing is asked any more.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "api/etcd/context.h"
#include "api/rpc/call.h"
#include "base/mutex.h"

namespace clew::api::etcd {

class LeaderWatch : public std::enable_shared_from_this<LeaderWatch> {
 public:
  LeaderWatch(std::shared_ptr<Context> context, boost::asio::io_context& loop)
      : context_(std::move(context)), loop_(loop) {}

  void start();
  void stop();
  void add(const std::shared_ptr<rpc::Call>& call);

 private:
  void ask();
  void answered(const control::GroupStatus& status);
  void ask_later();

  const std::shared_ptr<Context> context_;
  boost::asio::io_context& loop_;
  Mutex mutex_;
  std::vector<std::weak_ptr<rpc::Call>> calls_ CLEW_GUARDED_BY(mutex_);
  int without_leader_ CLEW_GUARDED_BY(mutex_) = 0;  // answers in a row that named none
  bool polling_ CLEW_GUARDED_BY(mutex_) = false;    // a question is under way, or the next one waits for its time
  bool stopped_ CLEW_GUARDED_BY(mutex_) = false;
};

}  // namespace clew::api::etcd
