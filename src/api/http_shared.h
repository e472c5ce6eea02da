// What the connections of one HttpServer share, and what those of one loop share. Internal to HttpServer.
//
// Nothing here belongs to a loop (no socket, no timer): the last connection of any loop may be the one that lets go of
// it. HttpShared is constant after start() but for its counters (atomics). An HttpLane is touched on its loop only,
// except `open`, which the listener reads to choose the emptiest loop.
#pragma once

#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "api/buffer_pool.h"
#include "api/cors.h"
#include "api/duration_histogram.h"
#include "api/http_service.h"
#include "api/server_options.h"
#include "api/tls.h"
#include "base/function.h"

namespace clew::api {

class HttpConnection;

struct HttpCounters {
  std::atomic<uint64_t> accepted{0}, refused{0}, open{0}, timeouts{0}, tls_failures{0}, requests{0}, bad_requests{0};
  std::atomic<uint64_t> responses[6] = {};
  DurationHistogram durations;
};

struct HttpLane {
  using Timer =
      boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                        boost::asio::io_context::executor_type>;
  explicit HttpLane(boost::asio::io_context& loop) : io(loop) {}
  boost::asio::io_context& io;
  bool sweeping = false;
  std::unordered_set<HttpConnection*> connections;
  std::atomic<uint64_t> open{0};
};

struct HttpShared {
  HttpShared(HttpEndpoint endpoint, HttpService& s, std::shared_ptr<BufferPool> p)
      : options(std::move(endpoint)), service(s), cors(options.cors), tls(options.tls), pool(std::move(p)) {}
  const HttpEndpoint options;
  HttpService& service;
  const Cors cors;
  TlsReloader tls;
  const std::shared_ptr<BufferPool> pool;
  HttpCounters counters;
  std::atomic<bool> draining{false};
  std::atomic<bool> stopped_accepting{false};
  Task drained;  // set before `draining`; run once, by whoever sees the last one go
  std::atomic<bool> drained_told{false};

  void connection_gone() {
    counters.open.fetch_sub(1);
    tell_when_drained();
  }
  void tell_when_drained() {
    if (draining.load() && stopped_accepting.load() && counters.open.load() == 0 && !drained_told.exchange(true) &&
        drained)
      drained();
  }

  std::vector<std::unique_ptr<HttpLane>> lanes;
};

}  // namespace clew::api
