#include "api/etcd/context.h"

#include <algorithm>
#include <charconv>

namespace clew::api::etcd {
namespace {

template <typename T>
void raise_to(std::atomic<T>& value, T at_least) {
  T seen = value.load(std::memory_order_relaxed);
  while (seen < at_least && !value.compare_exchange_weak(seen, at_least, std::memory_order_relaxed)) {
  }
}

}  // namespace

Header Context::header(kv::Revision revision, consensus::Epoch epoch) {
  raise_to(revision_, revision);
  raise_to(epoch_, epoch);
  return {cluster_.load(std::memory_order_relaxed), member_.load(std::memory_order_relaxed), revision, epoch};
}

Header Context::header() const {
  return {cluster_.load(std::memory_order_relaxed), member_.load(std::memory_order_relaxed),
          revision_.load(std::memory_order_relaxed), epoch_.load(std::memory_order_relaxed)};
}

void Context::learn(const control::GroupStatus& status) {
  member_.store(consensus::number(status.self), std::memory_order_relaxed);
  cluster_.store(status.cluster, std::memory_order_relaxed);
  raise_to(epoch_, status.consensus.epoch);
}

Status Context::authorize(const rpc::CallHead& head) const {
  if (!auth_.required()) return {};
  std::string credentials(head.find("authorization"));
  // What etcd's clients send after Authenticate, whose answer was the password: the bearer token.
  if (const std::string_view token = head.find("token"); credentials.empty() && !token.empty()) {
    credentials = "Bearer " + std::string(token);
  }
  if (credentials.empty()) return errors::no_user();
  return judge(credentials);
}

Status Context::judge(const std::string& authorization) const {
  // The group's keys belong to no tenant: a token that is bound to one may not name this.
  constexpr std::string_view kNoTenants = "clew:control";
  const auto tenant = auth_.tenant(authorization, kNoTenants);
  if (tenant.ok()) return {};
  return tenant.error().code == Code::kPermissionDenied ? errors::permission_denied() : errors::invalid_token();
}

Result<control::CallOptions> Context::call_options(const rpc::CallHead& head, bool serializable) const {
  control::CallOptions options;
  options.timeout_ns = head.remaining_ns(timeout_ns_);
  if (serializable) options.consistency = control::Consistency::kSequential;
  if (head.metadata.empty()) return options;
  if (const std::string_view name = head.find(kConsistencyKey); !name.empty()) {
    const auto level = control::parse_consistency(name);
    if (!level.has_value()) {
      return Error{Code::kInvalidArgument,
                   std::string(kConsistencyKey) + ": " + std::string(name) + "; use linearizable, lease or sequential"};
    }
    options.consistency = *level;
  }
  if (const std::string_view token = head.find(kSessionTokenKey); !token.empty()) {
    const auto parsed = std::from_chars(token.data(), token.data() + token.size(), options.at_least);
    if (parsed.ec != std::errc() || parsed.ptr != token.data() + token.size()) {
      return Error{Code::kInvalidArgument,
                   std::string(kSessionTokenKey) + " is not one; send back what an answer's trailers held"};
    }
  }
  return options;
}

bool wants_session_token(const rpc::CallHead& head) {
  return !head.metadata.empty() && (!head.find(kConsistencyKey).empty() || !head.find(kSessionTokenKey).empty());
}

}  // namespace clew::api::etcd
