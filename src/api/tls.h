// TLS: for the servers on our own sockets an OpenSSL context from files, exchanged whole on reload, so that connections
// already open keep the one they began with. At least TLS 1.2; ALPN of the one protocol that the server speaks; with a
// client CA, clients must show a certificate of it. reload() on any thread; current() on any thread.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "api/server_options.h"
#include "base/mutex.h"
#include "base/status.h"

namespace clew::api {

using SslContext = std::shared_ptr<boost::asio::ssl::context>;

enum class Alpn : uint8_t { kHttp11, kH2 };

// Reads and checks the files; the message names the file that is wrong.
Result<SslContext> load_tls(const TlsOptions& options, Alpn protocol = Alpn::kHttp11);

class TlsReloader {
 public:
  explicit TlsReloader(TlsOptions options, Alpn protocol = Alpn::kHttp11)
      : options_(std::move(options)), protocol_(protocol) {}
  // Reads the files again; on an error the former context stays.
  Status reload();
  SslContext current() const;

 private:
  const TlsOptions options_;
  const Alpn protocol_;
  mutable Mutex mutex_;
  SslContext current_ CLEW_GUARDED_BY(mutex_);
};

// For gRPC, which watches files itself, but stops serving when it meets a broken one, or a key whose certificate is not
// there yet: checked copies in memory, under paths that gRPC watches instead. One thread at a time.
class TlsCheckedFiles {
 public:
  TlsCheckedFiles() = default;
  ~TlsCheckedFiles();
  TlsCheckedFiles(const TlsCheckedFiles&) = delete;
  TlsCheckedFiles& operator=(const TlsCheckedFiles&) = delete;

  // Copies the files when they are good together; on an error the former copies stay.
  Status load(const TlsOptions& files);
  TlsOptions paths() const;  // of the copies; after the first load()

 private:
  struct Copy {
    int descriptor = -1;
    std::string path;
  };
  static Status replace(const std::string& content, Copy& copy);
  Copy cert_, key_, client_ca_;
};

}  // namespace clew::api
