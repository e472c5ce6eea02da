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

std::shared_ptr<const Authenticator::Entries> Authenticator::entries_of(const AuthOptions& options) {
  auto entries = std::make_shared<Entries>();
  entries->reserve(options.bearer_tokens.size());
  for (const BearerToken& token : options.bearer_tokens) entries->push_back({digest_of(token.token), token.tenant});
  return entries;
}

Authenticator::Authenticator(const AuthOptions& options) : tokens_(entries_of(options)) {}

void Authenticator::replace(const AuthOptions& options) {
  auto entries = entries_of(options);
  const MutexLock lock(mutex_);
  tokens_ = std::move(entries);
}

std::shared_ptr<const Authenticator::Entries> Authenticator::tokens() const {
  const MutexLock lock(mutex_);
  return tokens_;
}

Result<std::string> Authenticator::tenant(std::string_view authorization, std::string_view tenant_header) const {
  CLEW_ASSIGN(Identity found, identify(authorization, tenant_header));
  return std::move(found.tenant);
}

Result<Authenticator::Identity> Authenticator::identify(std::string_view authorization,
                                                        std::string_view tenant_header) const {
  const auto known = tokens();
  const Entry* found = nullptr;
  if (!known->empty()) {
    constexpr std::string_view kScheme = "Bearer ";
    authorization = trim(authorization);
    if (authorization.size() <= kScheme.size() ||
        !equals_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) {
      return Error{Code::kUnauthenticated, "no bearer token; send the header 'Authorization: Bearer <token>'"};
    }
    const Digest digest = digest_of(trim(authorization.substr(kScheme.size())));
    for (const Entry& entry : *known) {  // no early end: every request costs the same
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
    return Identity{found->tenant, true};
  }
  return Identity{std::string(tenant_header.empty() ? model::kDefaultTenant : tenant_header), false};
}

}  // namespace clew::api
