#include "api/tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace clew::api {
namespace {

// Takes the server's one protocol among what the client offers; a client that lacks it gets a clear alert.
int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                void* own) {
  const auto& offered = *static_cast<const std::string_view*>(own);
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(offered.data()),
                            static_cast<unsigned>(offered.size()), in, in_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Error file_error(const std::string& what, const std::string& file, const boost::system::error_code& error) {
  // OpenSSL's own word for a file that is not there is "asio.ssl error".
  const std::string why = !file.empty() && ::access(file.c_str(), R_OK) != 0 ? std::strerror(errno) : error.message();
  return {Code::kInvalidArgument, "read the " + what + " " + (file.empty() ? "(not set)" : file) + ": " + why +
                                      "; give a PEM file that the server may read"};
}

Status read_text(const std::string& path, std::string& out) {
  std::ifstream file(path, std::ios::binary);
  out.assign(std::istreambuf_iterator<char>(file), {});
  if (!file) return Error{Code::kInvalidArgument, "read " + path + ": " + std::strerror(errno)};
  return {};
}

}  // namespace

Result<SslContext> load_tls(const TlsOptions& options, Alpn protocol) {
  namespace ssl = boost::asio::ssl;
  boost::system::error_code error;
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                           ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 | ssl::context::no_compression,
                       error);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);  // idle connections hold no 34 KB
  context->use_certificate_chain_file(options.cert_file, error);
  if (error) return file_error("TLS certificate (cert_file)", options.cert_file, error);
  context->use_private_key_file(options.key_file, ssl::context::pem, error);
  const bool another = error && ERR_GET_REASON(static_cast<unsigned long>(error.value())) == X509_R_KEY_VALUES_MISMATCH;
  if (error && !another) return file_error("TLS key (key_file)", options.key_file, error);
  if (another || SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return Error{Code::kInvalidArgument,
                 "the TLS key " + options.key_file + " does not belong to the certificate " + options.cert_file};
  }
  if (!options.client_ca_file.empty()) {
    context->load_verify_file(options.client_ca_file, error);
    if (error) return file_error("client CA (client_ca_file)", options.client_ca_file, error);
    context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
    static constexpr unsigned char kSession[] = "clew";  // resumption under client certificates needs a context id
    SSL_CTX_set_session_id_context(context->native_handle(), kSession, sizeof kSession - 1);
  }
  static constexpr std::string_view kHttp11("\x08http/1.1", 9), kH2("\x02h2", 3);
  SSL_CTX_set_alpn_select_cb(context->native_handle(), choose_alpn,
                             const_cast<std::string_view*>(protocol == Alpn::kH2 ? &kH2 : &kHttp11));
  return context;
}

Status TlsReloader::reload() {
  if (!options_.enabled()) return {};
  CLEW_ASSIGN(SslContext fresh, load_tls(options_, protocol_));
  const MutexLock lock(mutex_);
  current_ = std::move(fresh);
  return {};
}

SslContext TlsReloader::current() const {
  const MutexLock lock(mutex_);
  return current_;
}

TlsCheckedFiles::~TlsCheckedFiles() {
  for (const Copy* copy : {&cert_, &key_, &client_ca_}) {
    if (copy->descriptor >= 0) ::close(copy->descriptor);
  }
}

// The new content takes the descriptor's number in one step, so that a reader sees the one or the other.
Status TlsCheckedFiles::replace(const std::string& content, Copy& copy) {
  const int fresh = ::memfd_create("clew-tls", MFD_CLOEXEC);
  if (fresh < 0 || ::write(fresh, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    const int error = errno;
    if (fresh >= 0) ::close(fresh);
    return Error{Code::kUnavailable, std::string("keep a TLS file in memory: ") + std::strerror(error)};
  }
  if (copy.descriptor < 0) {
    copy.descriptor = fresh;
    copy.path = "/proc/self/fd/" + std::to_string(fresh);
    return {};
  }
  const int moved = ::dup3(fresh, copy.descriptor, O_CLOEXEC);
  const int error = errno;
  ::close(fresh);
  if (moved < 0)
    return Error{Code::kUnavailable, std::string("exchange a TLS file in memory: ") + std::strerror(error)};
  return {};
}

Status TlsCheckedFiles::load(const TlsOptions& files) {
  CLEW_TRY(load_tls(files));
  std::string cert, key, client_ca;
  CLEW_TRY(read_text(files.cert_file, cert));
  CLEW_TRY(read_text(files.key_file, key));
  if (!files.client_ca_file.empty()) {
    CLEW_TRY(read_text(files.client_ca_file, client_ca));
    CLEW_TRY(replace(client_ca, client_ca_));
  }
  CLEW_TRY(replace(key, key_));
  return replace(cert, cert_);
}

TlsOptions TlsCheckedFiles::paths() const { return {cert_.path, key_.path, client_ca_.path}; }

}  // namespace clew::api
