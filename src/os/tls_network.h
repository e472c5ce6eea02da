// env::Network over TLS 1.3 with certificates on both sides, for the connections between nodes. Both ends must show a
// certificate that the configured authority signed; the name in it (subject alternative name "DNS:node-3" or
// "URI:clew:node-3", else the common name) is Stream::peer_identity(), and its user compares it with what the peer says
// about itself. A stream is handed over when the handshake is done; refused ones are counted by reason.
//
// Handshakes from outside: at most `max_half_open` at a time, each at most `handshake_timeout_ms` long. Threads and
// lifetimes as os/network.h says; reload() and stats() on any thread. A stream costs about 20 µs of processor time per
// megabyte more than a plain one, and a handshake a millisecond.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "env/network.h"

namespace boost::asio::ssl {
class context;
}

namespace clew::os {

struct TlsNetworkOptions {
  std::string cert_file;  // PEM, with its chain
  std::string key_file;
  std::string ca_file;
  uint32_t max_half_open = 64;  // of one listener
  uint32_t handshake_timeout_ms = 3'000;
};

struct TlsNetworkStats {
  uint64_t handshakes = 0;
  uint64_t no_certificate = 0;
  uint64_t foreign_certificate = 0;  // not signed by the authority
  uint64_t expired_certificate = 0;  // not valid any more, or not yet
  uint64_t garbage = 0;              // no TLS, another version of it, or cut off in the middle
  uint64_t slow = 0;
  uint64_t too_many = 0;
};

class TlsNetwork final : public env::Network {
 public:
  // kInvalidArgument when the files cannot be read or do not belong together.
  static Result<std::unique_ptr<TlsNetwork>> make(TlsNetworkOptions options);

  void connect(env::Loop& loop, const std::string& address,
               UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> done) override;
  Result<std::unique_ptr<env::Listener>> listen(env::Loop& loop, const std::string& address,
                                                UniqueFunction<void(std::unique_ptr<env::Stream>)> on_accept) override;

  // Reads the files again: for new connections. The old ones stay in force when it fails.
  Status reload();
  TlsNetworkStats stats() const;

 private:
  using Context = std::shared_ptr<boost::asio::ssl::context>;  // shared with the streams made from it
  struct Counters {
    std::atomic<uint64_t> handshakes{0}, no_certificate{0}, foreign_certificate{0}, expired_certificate{0}, garbage{0},
        slow{0}, too_many{0};
  };
  struct Handshake;

  explicit TlsNetwork(TlsNetworkOptions options) : options_(std::move(options)) {}
  Result<Context> load() const;
  Context context() const;

  const TlsNetworkOptions options_;
  const std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();  // shared with handshakes under way
  mutable Mutex mutex_;
  Context context_ CLEW_GUARDED_BY(mutex_);
};

}  // namespace clew::os
