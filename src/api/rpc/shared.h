// What the connections of one rpc::Server share, and what those of one loop share. Internal to rpc::Server.
//
// Nothing here belongs to a loop (no socket, no timer): whoever lets go last may be on any thread. Shared is constant
// after start() but for its atomics. A Lane is touched on its loop only, except its atomics and the inbox.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <set>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/duration_histogram.h"
#include "api/listener_shared.h"
#include "api/rpc/budget.h"
#include "api/rpc/call.h"
#include "api/server_options.h"
#include "api/tls.h"
#include "base/function.h"
#include "base/mutex.h"

namespace clew::api::rpc {

class Connection;

struct Counters {
  std::atomic<uint64_t> timeouts{0}, tls_failures{0}, protocol_errors{0};
  std::atomic<uint64_t> calls{0};
  Budget budgets[kCallers];
  std::atomic<uint64_t> paused{0};  // connections that are not read from because they take nothing
  std::atomic<uint64_t> by_code[17] = {};
};

struct Delivery {
  std::shared_ptr<Call> call;
  UniqueFunction<void(Call&)> task;
};

struct Lane {
  using Clock = std::chrono::steady_clock;
  explicit Lane(boost::asio::io_context& loop) : io(loop) {}
  boost::asio::io_context& io;
  std::atomic<uint64_t> open{0};
  std::unordered_set<Connection*> connections;
  // Connections with something to write. They are flushed together at the end of a turn, so that replies that become
  // ready together leave in one system call.
  std::vector<std::weak_ptr<Connection>> dirty;
  bool flush_posted = false;
  std::set<std::pair<Clock::time_point, Call*>> deadlines;
  Clock::time_point armed = Clock::time_point::max();  // when the timer fires
  Clock::time_point next_sweep = Clock::time_point::min();

  std::atomic<bool> closed{false};  // the server is gone, the loop perhaps, too
  Mutex mutex;
  std::vector<Delivery> inbox CLEW_GUARDED_BY(mutex);
};

struct Shared : ListenerShared, std::enable_shared_from_this<Shared> {
  Shared(RpcEndpoint endpoint, Service& s) : options(std::move(endpoint)), service(s), tls(options.tls, Alpn::kH2) {}
  const RpcEndpoint options;
  Service& service;
  TlsReloader tls;
  Counters counters;
  std::vector<std::unique_ptr<Lane>> lanes;

  void deliver(Lane& lane, Delivery delivery);  // any thread
  static void run(Delivery& delivery);
  void flush_soon(Lane& lane);
  void flush(Lane& lane);
  void arm(Lane& lane, Lane::Clock::time_point when);
  void on_timer(Lane& lane);
};

}  // namespace clew::api::rpc
