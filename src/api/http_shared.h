// What the connections of one HttpServer share, and what those of one loop share. Internal to HttpServer.
//
// Nothing here belongs to a loop (no socket, no timer): the last connection of any loop may be the one that lets go of
// it. HttpShared is constant after start() but for its counters (atomics). An HttpLane is touched on its loop only,
// except `open`, which the listener reads to choose the emptiest loop.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "api/buffer_pool.h"
#include "api/cors.h"
#include "api/duration_histogram.h"
#include "api/http_service.h"
#include "api/listener_shared.h"
#include "api/server_options.h"
#include "api/tls.h"

namespace clew::api {

class HttpConnection;

struct HttpCounters {
  std::atomic<uint64_t> timeouts{0}, tls_failures{0}, requests{0}, bad_requests{0};
  std::atomic<uint64_t> responses[6] = {};
  DurationHistogram durations;
};

struct HttpLane {
  explicit HttpLane(boost::asio::io_context& loop) : io(loop) {}
  boost::asio::io_context& io;
  bool sweeping = false;
  std::unordered_set<HttpConnection*> connections;
  std::atomic<uint64_t> open{0};
};

struct HttpShared : ListenerShared {
  HttpShared(HttpEndpoint endpoint, HttpService& s, std::shared_ptr<BufferPool> p)
      : options(std::move(endpoint)), service(s), cors(options.cors), tls(options.tls), pool(std::move(p)) {}
  const HttpEndpoint options;
  HttpService& service;
  const Cors cors;
  TlsReloader tls;
  const std::shared_ptr<BufferPool> pool;
  HttpCounters counters;
  std::vector<std::unique_ptr<HttpLane>> lanes;
};

}  // namespace clew::api
