#include "os/tls_network.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "os/asio_stream.h"
#include "os/tls_errors.h"

namespace clew::os {
namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using TlsSocket = ssl::stream<tcp::socket>;

namespace {

constexpr std::string_view kNode = "node-";
constexpr std::string_view kScheme = "clew:";

std::string text_of(const ASN1_STRING* string) {
  const auto* const bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(string));
  return {bytes, static_cast<size_t>(ASN1_STRING_length(string))};
}

// "node-3", or the common name whatever it is: the user compares.
std::string identity_of(SSL* ssl) {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl), X509_free);
  if (certificate == nullptr) return {};
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      std::string text = text_of(name->d.dNSName);
      if (text.starts_with(kNode)) return text;
    } else if (name->type == GEN_URI) {
      const std::string text = text_of(name->d.uniformResourceIdentifier);
      if (text.starts_with(kScheme) && text.substr(kScheme.size()).starts_with(kNode)) {
        return text.substr(kScheme.size());
      }
    }
  }
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return {};
  return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

Error file_error(const char* what, const std::string& file, const error_code& error) {
  return {Code::kInvalidArgument, std::string("read the ") + what + " " + (file.empty() ? "(not set)" : file) + ": " +
                                      error.message() + "; give a PEM file that this process may read"};
}

}  // namespace

Result<TlsNetwork::Context> TlsNetwork::load() const {
  error_code error;
  auto context = std::make_shared<ssl::context>(ssl::context::tls);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_num_tickets(native, 0);  // connections between nodes are few and long
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  context->use_certificate_chain_file(options_.cert_file, error);
  if (error) return file_error("certificate", options_.cert_file, error);
  context->use_private_key_file(options_.key_file, ssl::context::pem, error);
  if (error) return file_error("key", options_.key_file, error);
  if (SSL_CTX_check_private_key(native) != 1) {
    return Error{Code::kInvalidArgument,
                 "the key " + options_.key_file + " does not belong to the certificate " + options_.cert_file};
  }
  context->load_verify_file(options_.ca_file, error);
  if (error) return file_error("authority", options_.ca_file, error);
  context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  return context;
}

Result<std::unique_ptr<TlsNetwork>> TlsNetwork::make(TlsNetworkOptions options) {
  std::unique_ptr<TlsNetwork> network(new TlsNetwork(std::move(options)));
  CLEW_TRY(network->reload());
  return network;
}

Status TlsNetwork::reload() {
  CLEW_ASSIGN(Context fresh, load());
  const MutexLock lock(mutex_);
  context_ = std::move(fresh);
  return {};
}

TlsNetwork::Context TlsNetwork::context() const {
  const MutexLock lock(mutex_);
  return context_;
}

TlsNetworkStats TlsNetwork::stats() const {
  return {counters_->handshakes,
          counters_->no_certificate,
          counters_->foreign_certificate,
          counters_->expired_certificate,
          counters_->garbage,
          counters_->slow,
          counters_->too_many};
}

// One handshake, from either side; alive until its last handler has run.
struct TlsNetwork::Handshake : std::enable_shared_from_this<Handshake> {
  using Done = UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)>;

  Handshake(Context with, tcp::socket from, std::shared_ptr<Counters> shared_counters, Done then)
      : context(std::move(with)),
        socket(std::move(from), *context),
        timer(socket.get_executor()),
        counters(std::move(shared_counters)),
        done(std::move(then)) {
    error_code ignored;
    const auto remote = socket.lowest_layer().remote_endpoint(ignored);
    if (!ignored) peer = to_string(remote);
  }

  void run(ssl::stream_base::handshake_type side, uint32_t timeout_ms) {
    timer.expires_after(std::chrono::milliseconds(timeout_ms));
    timer.async_wait([self = shared_from_this()](error_code error) {
      if (error) return;
      self->late = true;
      error_code ignored;
      self->socket.lowest_layer().close(ignored);
    });
    socket.async_handshake(side, [self = shared_from_this()](error_code error) { self->finished(error); });
  }

  void finished(error_code error) {
    timer.cancel();
    if (!error) {
      ++counters->handshakes;
      std::string identity = identity_of(socket.native_handle());
      return done(std::unique_ptr<env::Stream>(new AsioStream<TlsSocket>(std::move(socket), std::move(identity))));
    }
    done(explain(error));
  }

  // Counts it, too.
  Error explain(error_code error) {
    const int reason = error.category() == asio::error::get_ssl_category()
                           ? ERR_GET_REASON(static_cast<unsigned long>(error.value()))
                           : 0;
    constexpr const char* kAction = "agree on TLS with";
    if (late) {
      ++counters->slow;
      return {Code::kUnavailable, std::string(kAction) + " " + peer + ": no answer in time; does it speak TLS?"};
    }
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
      const long result = SSL_get_verify_result(socket.native_handle());
      const bool time = result == X509_V_ERR_CERT_HAS_EXPIRED || result == X509_V_ERR_CERT_NOT_YET_VALID;
      ++(time ? counters->expired_certificate : counters->foreign_certificate);
      return {Code::kUnavailable, std::string(kAction) + " " + peer + ": " + certificate_words(result)};
    }
    ++(reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ? counters->no_certificate : counters->garbage);
    return network_error(kAction, peer, error);
  }

  const Context context;  // shared with the network, which may load another one meanwhile
  TlsSocket socket;
  asio::steady_timer timer;
  const std::shared_ptr<Counters> counters;
  Done done;
  std::string peer = "a peer";
  bool late = false;
};

void TlsNetwork::connect(env::Loop& loop, const std::string& address,
                         UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> done) {
  connect_tcp(os_loop(loop), address,
              [context = context(), counters = counters_, timeout_ms = options_.handshake_timeout_ms,
               done = std::move(done)](Result<tcp::socket> socket) mutable {
                if (!socket.ok()) return done(socket.error());
                auto handshake =
                    std::make_shared<Handshake>(context, std::move(socket).value(), counters, std::move(done));
                handshake->run(ssl::stream_base::client, timeout_ms);
              });
}

Result<std::unique_ptr<env::Listener>> TlsNetwork::listen(
    env::Loop& loop, const std::string& address, UniqueFunction<void(std::unique_ptr<env::Stream>)> on_accept) {
  struct Door {
    UniqueFunction<void(std::unique_ptr<env::Stream>)> on_accept;
    uint32_t half_open = 0;
  };
  auto door = std::make_shared<Door>();  // owned by the listener; handshakes ask whether it is still there
  door->on_accept = std::move(on_accept);
  CLEW_ASSIGN(auto listener, TcpListener::listen(os_loop(loop), address, [this, door](tcp::socket socket) {
                if (door->half_open >= options_.max_half_open) {
                  ++counters_->too_many;
                  return;
                }
                ++door->half_open;
                auto handshake = std::make_shared<Handshake>(
                    context(), std::move(socket), counters_,
                    [listening = std::weak_ptr(door)](Result<std::unique_ptr<env::Stream>> stream) {
                      const auto still = listening.lock();
                      if (still == nullptr) return;
                      --still->half_open;
                      if (stream.ok()) still->on_accept(std::move(stream).value());
                    });
                handshake->run(ssl::stream_base::server, options_.handshake_timeout_ms);
              }));
  return std::unique_ptr<env::Listener>(std::move(listener));
}

}  // namespace clew::os
