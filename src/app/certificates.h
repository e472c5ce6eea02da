// Certificates for a cluster, made with OpenSSL: an authority, and what it signs. Keys are EC P-256.
//
// Any thread; blocks. Files of keys are readable by their owner only; nothing that exists is overwritten.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace clew::app {

struct Pem {
  std::string certificate;
  std::string key;
};

// `valid_days` from now (a day earlier, for clocks that are behind).
Result<Pem> make_authority(const std::string& name, uint32_t valid_days);

struct CertificateRequest {
  std::string common_name;             // "node-3", "operator"
  std::vector<std::string> dns_names;  // subject alternative names
  std::vector<std::string> ip_addresses;
  bool server = false;  // may be shown by who listens, too
  uint32_t valid_days = 825;
};
Result<Pem> sign(const Pem& authority, const CertificateRequest& request);

// kAlreadyExists rather than overwriting. `secret`: mode 0600.
Status write_new_file(const std::string& path, const std::string& bytes, bool secret);
Result<std::string> read_whole_file(const std::string& path);

}  // namespace clew::app
