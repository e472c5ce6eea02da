// Certificates for the tests of api/, made when they run: an authority, a server and a client that it signed, a second
// server, and a stranger that signed itself. The files live in a directory that goes with the object.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/check.h"

namespace clew::api::test {

struct Certificate {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

class CertificateMaker {
 public:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Cert = std::unique_ptr<X509, decltype(&X509_free)>;

  explicit CertificateMaker(const char* name)
      : key_(new_key()), cert_(make(name, key_.get(), nullptr, nullptr, true)) {}
  Certificate own() const { return {pem(cert_.get()), pem(key_.get())}; }
  Certificate sign(const char* name) const {
    const Key key = new_key();
    const Cert cert = make(name, key.get(), cert_.get(), key_.get(), false);
    return {pem(cert.get()), pem(key.get())};
  }

 private:
  static Key new_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

  static Cert make(const char* name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key, bool authority) {
    static long serial = 1;
    Cert cert(X509_new(), X509_free);
    X509_set_version(cert.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
    X509_set_pubkey(cert.get(), key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer == nullptr ? cert.get() : issuer));
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer == nullptr ? cert.get() : issuer, cert.get(), nullptr, nullptr, 0);
    const auto extend = [&](int nid, const char* value) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
      CHECK(extension != nullptr);
      X509_add_ext(cert.get(), extension, -1);
      X509_EXTENSION_free(extension);
    };
    extend(NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    CHECK(X509_sign(cert.get(), issuer_key == nullptr ? key : issuer_key, EVP_sha256()) > 0);
    return cert;
  }
  template <typename Write>
  static std::string text(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    CHECK(write(bio.get()) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<size_t>(size)};
  }
  static std::string pem(X509* cert) {
    return text([&](BIO* bio) { return PEM_write_bio_X509(bio, cert); });
  }
  static std::string pem(EVP_PKEY* key) {
    return text([&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
  }

  Key key_;
  Cert cert_;
};

class CertificateFiles {
 public:
  CertificateFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "clew-tls-XXXXXX").string();
    CHECK(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    const CertificateMaker maker("Test Authority"), other("Stranger");
    authority = maker.own();
    server = maker.sign("localhost");
    client = maker.sign("client");
    stranger = other.own();
    renewed = other.sign("localhost");
  }
  ~CertificateFiles() { std::filesystem::remove_all(directory_); }
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = directory_ / name;
    std::ofstream(path, std::ios::trunc) << text;
    return path;
  }
  Certificate authority, server, client, stranger, renewed;  // `renewed`: a server's, signed by the stranger

 private:
  std::filesystem::path directory_;
};

}  // namespace clew::api::test
