// The port for byte streams between nodes (peers, the cluster protocols). api/'s own sockets (HTTP, gRPC) do not use
// it: they are the one declared exception.
//
// All calls and callbacks are on the loop that is passed in. Streams are ordered and reliable until they fail; after
// `on_closed` no callback comes. os/ implements it on TCP, sim/ on a simulated network.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/function.h"
#include "base/status.h"
#include "env/loop.h"

namespace clew::env {

class Stream {
 public:
  virtual ~Stream() = default;  // closes at once, without on_closed
  struct Handler {
    UniqueFunction<void(std::string_view)> on_bytes;  // borrowed for the call
    UniqueFunction<void(Status)> on_closed;           // ok: the peer closed in order
    UniqueFunction<void()> on_writable;               // pending_bytes() fell to zero
  };
  virtual void start(Handler handler) = 0;
  virtual void write(std::string bytes) = 0;  // queued without limit: watch pending_bytes()
  virtual uint64_t pending_bytes() const = 0;
  // Back-pressure: while paused no on_bytes comes, and what the peer writes stays pending with it once the system's
  // buffers are full. That the peer is gone may be noticed only after reading goes on.
  virtual void pause_reading(bool paused) = 0;
  virtual std::string peer() const = 0;  // "10.0.0.2:4330"
  // The name that the peer's certificate proves; empty where there are no certificates.
  virtual std::string peer_identity() const { return {}; }
};

class Listener {
 public:
  virtual ~Listener() = default;  // stops listening
  virtual uint16_t port() const = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  virtual void connect(Loop& loop, const std::string& address,
                       UniqueFunction<void(Result<std::unique_ptr<Stream>>)> done) = 0;
  virtual Result<std::unique_ptr<Listener>> listen(Loop& loop, const std::string& address,
                                                   UniqueFunction<void(std::unique_ptr<Stream>)> on_accept) = 0;
};

}  // namespace clew::env
