#include "app/certificates.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

namespace clew::app {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

Error openssl_error(const char* what) {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return {Code::kInternal, std::string(what) + ": " + text};
}

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<size_t>(size)};
}

Status add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  if (extension == nullptr) return openssl_error(("extension " + value).c_str());
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added ? Status() : Status(openssl_error("add an extension"));
}

Result<Certificate> fresh(EVP_PKEY* key, const std::string& name, uint32_t valid_days) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), 2);  // v3
  // 127 bits at random: never the same twice from one authority.
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return openssl_error("draw a serial number");
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);
  std::unique_ptr<BIGNUM, Deleter<BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  constexpr long kDay = 24L * 3600;
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kDay * static_cast<long>(valid_days));
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.data()),
                                 static_cast<int>(name.size()), -1, 0) != 1) {
    return openssl_error("the name");
  }
  return certificate;
}

Result<Pem> finished(Certificate certificate, EVP_PKEY* key, EVP_PKEY* signer) {
  if (X509_sign(certificate.get(), signer, EVP_sha256()) == 0) return openssl_error("sign");
  const Bio certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_error("write PEM");
  }
  return Pem{text_of(certificate_text.get()), text_of(key_text.get())};
}

}  // namespace

Result<Pem> make_authority(const std::string& name, uint32_t valid_days) {
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return openssl_error("make a key");
  CLEW_ASSIGN(Certificate certificate, fresh(key.get(), name, valid_days));
  X509* const self = certificate.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  CLEW_TRY(add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  CLEW_TRY(add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign"));
  CLEW_TRY(add_extension(self, self, NID_subject_key_identifier, "hash"));
  return finished(std::move(certificate), key.get(), key.get());
}

Result<Pem> sign(const Pem& authority, const CertificateRequest& request) {
  const Bio certificate_text(
      BIO_new_mem_buf(authority.certificate.data(), static_cast<int>(authority.certificate.size())));
  const Bio key_text(BIO_new_mem_buf(authority.key.data(), static_cast<int>(authority.key.size())));
  const Certificate issuer(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  const Key signer(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (issuer == nullptr || signer == nullptr) {
    ERR_clear_error();
    return Error{Code::kInvalidArgument, "the authority's files are no PEM certificate and key"};
  }
  if (X509_check_private_key(issuer.get(), signer.get()) != 1) {
    ERR_clear_error();
    return Error{Code::kInvalidArgument, "the authority's key does not belong to its certificate"};
  }
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return openssl_error("make a key");
  CLEW_ASSIGN(Certificate certificate, fresh(key.get(), request.common_name, request.valid_days));
  X509* const self = certificate.get();
  X509_set_issuer_name(self, X509_get_subject_name(issuer.get()));
  CLEW_TRY(add_extension(self, issuer.get(), NID_basic_constraints, "critical,CA:FALSE"));
  CLEW_TRY(add_extension(self, issuer.get(), NID_key_usage, "critical,digitalSignature"));
  CLEW_TRY(
      add_extension(self, issuer.get(), NID_ext_key_usage, request.server ? "serverAuth,clientAuth" : "clientAuth"));
  CLEW_TRY(add_extension(self, issuer.get(), NID_authority_key_identifier, "keyid"));
  std::string names;
  const auto add = [&](const char* kind, const std::vector<std::string>& values) -> Status {
    for (const std::string& value : values) {
      // Commas and colons would be read as other names, with other meanings.
      if (value.empty() || value.find_first_of(",\n\r") != std::string::npos) {
        return {Code::kInvalidArgument, "\"" + value + "\" is no name for a certificate"};
      }
      names += (names.empty() ? "" : ",") + std::string(kind) + value;
    }
    return {};
  };
  CLEW_TRY(add("DNS:", request.dns_names));
  CLEW_TRY(add("IP:", request.ip_addresses));
  if (!names.empty()) CLEW_TRY(add_extension(self, issuer.get(), NID_subject_alt_name, names));
  return finished(std::move(certificate), key.get(), signer.get());
}

Status write_new_file(const std::string& path, const std::string& bytes, bool secret) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, secret ? 0600 : 0644);
  if (file < 0) {
    if (errno == EEXIST) {
      return {Code::kAlreadyExists, path + " is there already; remove it first if it shall be replaced"};
    }
    return {Code::kPermissionDenied, "make " + path + ": " + std::strerror(errno)};  // NOLINT(concurrency-mt-unsafe)
  }
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t written = ::write(file, bytes.data() + at, bytes.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    at += static_cast<size_t>(written);
  }
  const bool good = at == bytes.size() && ::fsync(file) == 0;
  ::close(file);
  if (good) return {};
  ::unlink(path.c_str());
  return {Code::kResourceExhausted, path + " cannot be written; is the disk full?"};
}

Result<std::string> read_whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{Code::kNotFound, path + " cannot be opened"};
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace clew::app
