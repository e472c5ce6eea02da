#include "os/signals.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <utility>

namespace clew::os {

struct SignalWatch::State : std::enable_shared_from_this<State> {
  State(OsLoop& loop, UniqueFunction<void(int)> callback) : set(loop.context()), on_signal(std::move(callback)) {}
  void wait() {
    set.async_wait([self = shared_from_this()](boost::system::error_code error, int signal) {
      if (error || self->closed) return;
      self->on_signal(signal);
      if (!self->closed) self->wait();
    });
  }
  boost::asio::signal_set set;
  UniqueFunction<void(int)> on_signal;
  bool closed = false;  // the loop's thread only
};

SignalWatch::SignalWatch(OsLoop& loop, const std::vector<int>& signals, UniqueFunction<void(int)> on_signal)
    : loop_(loop), state_(std::make_shared<State>(loop, std::move(on_signal))) {
  for (const int signal : signals) state_->set.add(signal);
  loop.post([state = state_] {
    if (!state->closed) state->wait();
  });
}

SignalWatch::~SignalWatch() {
  const auto close = [state = state_] {
    state->closed = true;
    boost::system::error_code ignored;
    state->set.clear(ignored);
    state->set.cancel(ignored);
  };
  if (loop_.on_this_thread()) {
    close();
  } else {
    loop_.post(close);
  }
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace clew::os
