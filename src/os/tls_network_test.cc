#include "os/tls_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>

#include "base/check.h"
#include "os/loop.h"
#include "os/network.h"
#include "os/workers.h"

namespace clew::os {
namespace {

// An authority and what it signs, as files of a directory that goes with the object.
class Certificates {
 public:
  Certificates() {
    std::string pattern = (std::filesystem::temp_directory_path() / "clew-tls-XXXXXX").string();
    CHECK(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
  }
  ~Certificates() { std::filesystem::remove_all(directory_); }

  // Signs `name`, with `alternative` names ("DNS:node-3"), by authority `by`; without one, by itself.
  void make(const std::string& name, const std::string& common_name, const char* alternative, const std::string& by) {
    Pair pair{Key(EVP_EC_gen("P-256"), EVP_PKEY_free), Cert(X509_new(), X509_free)};
    X509* const cert = pair.cert.get();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), static_cast<long>(++serial_));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, pair.key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    const Pair& issuer = by.empty() ? pair : pairs_.at(by);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer.cert.get()));
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer.cert.get(), cert, nullptr, nullptr, 0);
    const auto extend = [&](int nid, const char* value) {
      X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
      CHECK(extension != nullptr);
      X509_add_ext(cert, extension, -1);
      X509_EXTENSION_free(extension);
    };
    extend(NID_basic_constraints, by.empty() ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (alternative != nullptr) extend(NID_subject_alt_name, alternative);
    CHECK(X509_sign(cert, issuer.key.get(), EVP_sha256()) > 0);
    write(name + ".pem", [&](BIO* bio) { return PEM_write_bio_X509(bio, cert); });
    write(name + ".key", [&](BIO* bio) {
      return PEM_write_bio_PrivateKey(bio, pair.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    pairs_.emplace(name, std::move(pair));
  }
  std::string path(const std::string& file) const { return directory_ / file; }
  TlsNetworkOptions options(const std::string& name, const std::string& authority) const {
    TlsNetworkOptions options;
    options.cert_file = path(name + ".pem");
    options.key_file = path(name + ".key");
    options.ca_file = path(authority + ".pem");
    return options;
  }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Cert = std::unique_ptr<X509, decltype(&X509_free)>;
  struct Pair {
    Key key;
    Cert cert;
  };
  void write(const std::string& file, const std::function<int(BIO*)>& content) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_file(path(file).c_str(), "w"), BIO_free);
    CHECK(bio != nullptr && content(bio.get()) == 1);
  }
  std::filesystem::path directory_;
  std::map<std::string, Pair> pairs_;
  uint64_t serial_ = 0;
};

class TlsNetworkTest : public testing::Test {
 protected:
  TlsNetworkTest() {
    certificates_.make("ca", "authority", nullptr, "");
    certificates_.make("other-ca", "other authority", nullptr, "");
    certificates_.make("one", "first", "DNS:node-1", "ca");
    certificates_.make("two", "second", "DNS:elsewhere,URI:clew:node-2", "ca");
    certificates_.make("three", "node-3", nullptr, "ca");
    certificates_.make("foreign", "node-1", nullptr, "other-ca");
    certificates_.make("self", "node-1", nullptr, "");
  }
  void TearDown() override {
    on_loop([&] {
      client_.reset();
      server_.reset();
      listener_.reset();
    });
  }
  template <typename F>
  std::invoke_result_t<F> on_loop(F function) {
    std::promise<std::invoke_result_t<F>> result;
    loop_.post([&] {
      if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
        function();
        result.set_value();
      } else {
        result.set_value(function());
      }
    });
    return result.get_future().get();
  }
  void listen(const TlsNetworkOptions& options) {
    network_ = TlsNetwork::make(options).value();
    on_loop([&] {
      auto listening = network_->listen(loop_, "127.0.0.1:0", [&](std::unique_ptr<env::Stream> stream) {
        server_ = std::move(stream);
        server_->start({.on_bytes =
                            [&](std::string_view bytes) {
                              if (on_server_bytes_) return on_server_bytes_(bytes);
                              server_->write("heard");  // then both ends have been handed over
                            },
                        .on_closed = {},
                        .on_writable = {}});
      });
      CHECK(listening.ok());
      listener_ = std::move(listening).value();
    });
  }
  // "ok" and the identities of both ends, or "refused": by the handshake itself or, as TLS 1.3 has it, right after it;
  // why_ says it in words then.
  std::string connect(env::Network& network) {
    std::promise<std::string> outcome;
    bool told = false;
    const auto tell = [&](std::string text) {
      if (!std::exchange(told, true)) outcome.set_value(std::move(text));
    };
    on_loop([&] {
      network.connect(loop_, "127.0.0.1:" + std::to_string(listener_->port()), [&, tell](auto stream) {
        if (!stream.ok()) {
          why_ = stream.error().message;
          return tell("refused");
        }
        client_ = std::move(stream).value();
        client_->start({.on_bytes =
                            [&, tell](std::string_view) {
                              tell("ok " + client_->peer_identity() + " " + server_->peer_identity());
                            },
                        .on_closed =
                            [this, tell](const Status& status) {
                              why_ = status.message();
                              tell("refused");
                            },
                        .on_writable = {}});
        client_->write("hello");
      });
    });
    return outcome.get_future().get();
  }
  std::string connect_as(const std::string& name, const std::string& authority) {
    const auto client = TlsNetwork::make(certificates_.options(name, authority)).value();
    return connect(*client);
  }

  Certificates certificates_;
  Workers workers_;
  OsLoop loop_{"test", workers_};
  std::unique_ptr<TlsNetwork> network_;
  std::unique_ptr<env::Listener> listener_;
  std::unique_ptr<env::Stream> client_, server_;
  std::function<void(std::string_view)> on_server_bytes_;
  std::string why_;
};

TEST_F(TlsNetworkTest, bothEndsLearnWhomTheCertificateNames) {
  listen(certificates_.options("one", "ca"));
  EXPECT_EQ(connect_as("two", "ca"), "ok node-1 node-2");
  EXPECT_EQ(connect_as("three", "ca"), "ok node-1 node-3");
  EXPECT_EQ(network_->stats().handshakes, 2u);
}

TEST_F(TlsNetworkTest, aForeignCertificateIsRefusedOnEitherEnd) {
  listen(certificates_.options("one", "ca"));
  EXPECT_EQ(connect_as("foreign", "ca"), "refused");
  EXPECT_THAT(why_, testing::HasSubstr("it refuses this side's certificate, which another authority signed"));
  EXPECT_EQ(connect_as("self", "ca"), "refused");
  EXPECT_EQ(network_->stats().foreign_certificate, 2u);
  EXPECT_EQ(connect_as("two", "other-ca"), "refused");  // the client does not believe the listener
  EXPECT_THAT(why_, testing::HasSubstr("another authority signed its certificate"));
  EXPECT_EQ(network_->stats().handshakes, 0u);
}

TEST_F(TlsNetworkTest, withoutTlsNothingIsHandedOver) {
  listen(certificates_.options("one", "ca"));
  OsNetwork plain;
  EXPECT_EQ(connect(plain), "refused");
  EXPECT_EQ(network_->stats().garbage, 1u);
  EXPECT_EQ(server_, nullptr);
}

TEST_F(TlsNetworkTest, aHandshakeThatTakesTooLongEndsAndTooManyAreNotTaken) {
  TlsNetworkOptions options = certificates_.options("one", "ca");
  options.handshake_timeout_ms = 200;
  options.max_half_open = 2;
  listen(options);
  OsNetwork plain;
  std::vector<std::unique_ptr<env::Stream>> silent;
  std::promise<void> all_closed;
  int closed = 0;
  on_loop([&] {
    for (int i = 0; i < 3; ++i) {
      plain.connect(loop_, "127.0.0.1:" + std::to_string(listener_->port()), [&](auto stream) {
        silent.push_back(std::move(stream).value());
        silent.back()->start({.on_bytes = {},
                              .on_closed =
                                  [&](const Status&) {
                                    if (++closed == 3) all_closed.set_value();
                                  },
                              .on_writable = {}});
      });
    }
  });
  all_closed.get_future().wait();
  EXPECT_EQ(network_->stats().slow, 2u);
  EXPECT_EQ(network_->stats().too_many, 1u);
  EXPECT_EQ(connect_as("two", "ca"), "ok node-1 node-2");
  on_loop([&] { silent.clear(); });
}

TEST_F(TlsNetworkTest, largeWritesArriveWholeAndInOrder) {
  listen(certificates_.options("one", "ca"));
  const auto client = TlsNetwork::make(certificates_.options("two", "ca")).value();
  const size_t size = 3 << 20;
  std::string got;
  std::promise<void> all;
  ASSERT_EQ(connect(*client), "ok node-1 node-2");
  on_loop([&] {
    on_server_bytes_ = [&](std::string_view bytes) {
      got += bytes;
      if (got.size() == size) all.set_value();
    };
  });
  std::string sent(size, '\0');
  for (size_t i = 0; i < size; ++i) sent[i] = static_cast<char>(i * 31 + i / 253);
  on_loop([&] {
    for (size_t at = 0; at < size; at += 10'000) client_->write(sent.substr(at, 10'000));
  });
  all.get_future().wait();
  EXPECT_TRUE(got == sent);
}

TEST_F(TlsNetworkTest, filesThatDoNotFitAreRefusedWithTheirNames) {
  TlsNetworkOptions options = certificates_.options("one", "ca");
  options.key_file = certificates_.path("two.key");
  EXPECT_EQ(TlsNetwork::make(options).status().code(), Code::kInvalidArgument);
  options = certificates_.options("one", "ca");
  options.ca_file = "/nowhere.pem";
  EXPECT_NE(TlsNetwork::make(options).status().message().find("/nowhere.pem"), std::string_view::npos);
}

TEST_F(TlsNetworkTest, newFilesServeNewConnectionsAndBrokenOnesChangeNothing) {
  listen(certificates_.options("one", "ca"));
  std::filesystem::copy_file(certificates_.path("three.pem"), certificates_.path("one.pem"),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(network_->reload().ok());  // the key is still the old one's
  EXPECT_EQ(connect_as("two", "ca"), "ok node-1 node-2");
  std::filesystem::copy_file(certificates_.path("three.key"), certificates_.path("one.key"),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(network_->reload().ok());
  EXPECT_EQ(connect_as("two", "ca"), "ok node-3 node-2");
}

}  // namespace
}  // namespace clew::os
