#include "api/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "api/text.h"
#include "model/ids.h"

namespace clew::api {

Authenticator::Digest Authenticator::digest_of(std::string_view token) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return digest;
}

Authenticator::Authenticator(const AuthOptions& options) {
  for (const BearerToken& token : options.bearer_tokens) tokens_.push_back({digest_of(token.token), token.tenant});
}

Result<std::string> Authenticator::tenant(std::string_view authorization, std::string_view tenant_header) const {
  const Entry* found = nullptr;
  if (!tokens_.empty()) {
    constexpr std::string_view kScheme = "Bearer ";
    authorization = trim(authorization);
    if (authorization.size() <= kScheme.size() ||
        !equals_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) {
      return Error{Code::kUnauthenticated, "no bearer token; send the header 'Authorization: Bearer <token>'"};
    }
    const Digest digest = digest_of(trim(authorization.substr(kScheme.size())));
    for (const Entry& entry : tokens_) {  // no early end: every request costs the same
      if (CRYPTO_memcmp(digest.data(), entry.digest.data(), digest.size()) == 0) found = &entry;
    }
    if (found == nullptr)
      return Error{Code::kUnauthenticated, "the bearer token is not known; check it against the configured tokens"};
  }
  if (!tenant_header.empty() && !model::tenant_name_valid(tenant_header)) {
    return Error{Code::kInvalidArgument,
                 "the header " + std::string(kTenantHeader) +
                     " is not a tenant name; use 1 to 128 characters of letters, digits and _ . : @ -"};
  }
  if (found != nullptr && !found->tenant.empty()) {
    if (!tenant_header.empty() && tenant_header != found->tenant) {
      return Error{Code::kPermissionDenied, "this token belongs to another tenant than the header " +
                                                std::string(kTenantHeader) +
                                                " names; leave the header out or name the token's tenant"};
    }
    return found->tenant;
  }
  return std::string(tenant_header.empty() ? model::kDefaultTenant : tenant_header);
}

}  // namespace clew::api
