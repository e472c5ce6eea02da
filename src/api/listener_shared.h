// ListenerShared: what a Listener (listener.h) and the connections that it made have in common: how many there are, and
// that the server is about to end. A server's Shared derives from it. Any thread; nothing here belongs to a loop.
#pragma once

#include <atomic>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>

#include "base/function.h"

namespace clew::api {

using ServerSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;
using ServerTimer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                      boost::asio::io_context::executor_type>;

struct ListenerShared {
  std::atomic<uint64_t> accepted{0}, refused{0}, open{0};  // connections
  std::atomic<bool> draining{false};
  std::atomic<bool> stopped_accepting{false};
  Task drained;  // set before `draining`; run once, by whoever sees the last one go
  std::atomic<bool> drained_told{false};

  void connection_gone() {
    open.fetch_sub(1);
    tell_when_drained();
  }
  void tell_when_drained() {
    if (draining.load() && stopped_accepting.load() && open.load() == 0 && !drained_told.exchange(true) && drained)
      drained();
  }
};

}  // namespace clew::api
