// TLS for the HTTP servers: an OpenSSL context from files, exchanged whole on reload, so that connections already open keep
// the one they began with. At least TLS 1.2; ALPN http/1.1; with a client CA, clients must show a certificate of it.
// reload() on any thread; current() on any thread.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "api/server_options.h"
#include "base/mutex.h"
#include "base/status.h"

namespace clew::api {

using SslContext = std::shared_ptr<boost::asio::ssl::context>;

// Reads and checks the files; the message names the file that is wrong.
Result<SslContext> load_tls(const TlsOptions& options);

class TlsReloader {
 public:
  explicit TlsReloader(TlsOptions options) : options_(std::move(options)) {}
  // Reads the files again; on an error the former context stays.
  Status reload();
  SslContext current() const;

 private:
  const TlsOptions options_;
  mutable Mutex mutex_;
  SslContext current_ GUARDED_BY(mutex_);
};

}  // namespace clew::api
