// Who asks: bearer tokens and the tenant header to a tenant name. Used by HTTP and gRPC alike.
//
// No tokens configured: everybody is let in, the header names the tenant ("default" without one). With tokens, a
// request needs `Authorization: Bearer <token>`; a token bound to a tenant implies it and refuses another's header.
// Tokens are compared by digest, all of them, in constant time, so that timing tells nothing about them.
// Any thread; O(tokens).
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/server_options.h"
#include "base/mutex.h"
#include "base/status.h"

namespace clew::api {

constexpr std::string_view kTenantHeader = "X-Scope-OrgID";

class Authenticator {
 public:
  explicit Authenticator(const AuthOptions& options);

  // Other tokens for the requests from now on. None: everybody is let in.
  void replace(const AuthOptions& options);
  // Whose the request is. `authorization` and `tenant_header` are the headers' values, empty when absent.
  // kUnauthenticated: no or a wrong token; kPermissionDenied: another tenant than the token's; kInvalidArgument: a
  // tenant name that none can have.
  struct Identity {
    std::string tenant;
    bool bound = false;  // the token is good for that tenant alone
  };
  Result<Identity> identify(std::string_view authorization, std::string_view tenant_header) const;
  Result<std::string> tenant(std::string_view authorization, std::string_view tenant_header) const;  // of identify()
  bool required() const { return !tokens()->empty(); }

 private:
  using Digest = std::array<unsigned char, 32>;
  struct Entry {
    Digest digest;
    std::string tenant;
  };
  using Entries = std::vector<Entry>;
  static Digest digest_of(std::string_view token);
  static std::shared_ptr<const Entries> entries_of(const AuthOptions& options);
  std::shared_ptr<const Entries> tokens() const;

  mutable Mutex mutex_;
  std::shared_ptr<const Entries> tokens_ CLEW_GUARDED_BY(mutex_);  // shared with the requests that are being judged
};

}  // namespace clew::api
