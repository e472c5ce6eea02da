#include "api/etcd/errors.h"

#include <string_view>

namespace clew::api::etcd {

namespace errors {
Error no_leader() { return {Code::kUnavailable, "etcdserver: no leader"}; }
Error timeout() { return {Code::kUnavailable, "etcdserver: request timed out"}; }
Error too_many_requests() { return {Code::kResourceExhausted, "etcdserver: too many requests"}; }
Error stopped() { return {Code::kUnavailable, "etcdserver: server stopped"}; }
Error member_not_found() { return {Code::kNotFound, "etcdserver: member not found"}; }
Error peer_url_exists() { return {Code::kFailedPrecondition, "etcdserver: Peer URLs already exists"}; }
Error bad_member_urls() { return {Code::kInvalidArgument, "etcdserver: given member URLs are invalid"}; }
Error not_learner() { return {Code::kFailedPrecondition, "etcdserver: can only promote a learner member"}; }
Error learner_not_ready() {
  return {Code::kFailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader"};
}
Error bad_transferee() { return {Code::kFailedPrecondition, "etcdserver: bad leader transferee"}; }
Error auth_not_enabled() { return {Code::kFailedPrecondition, "etcdserver: authentication is not enabled"}; }
Error auth_failed() {
  return {Code::kInvalidArgument, "etcdserver: authentication failed, invalid user ID or password"};
}
Error invalid_token() { return {Code::kUnauthenticated, "etcdserver: invalid auth token"}; }
Error permission_denied() { return {Code::kPermissionDenied, "etcdserver: permission denied"}; }
Error no_user() { return {Code::kInvalidArgument, "etcdserver: user name is empty"}; }
Error root_user_missing() { return {Code::kFailedPrecondition, "etcdserver: root user does not exist"}; }
Error user_not_found() { return {Code::kFailedPrecondition, "etcdserver: user name not found"}; }
Error role_not_found() { return {Code::kFailedPrecondition, "etcdserver: role name not found"}; }
}  // namespace errors

Error as_etcd(const control::CallError& error) {
  constexpr std::string_view kTheirs = "etcdserver: ";
  const bool theirs = std::string_view(error.message).substr(0, kTheirs.size()) == kTheirs;
  // The time was this member's, or what it waited for never came: only a client's own deadline is exceeded in gRPC's
  // sense, and that ends the call before.
  if (error.code == Code::kDeadlineExceeded)
    return theirs ? Error{Code::kUnavailable, error.message} : errors::timeout();
  if (theirs) return {error.code, error.message};
  if (error.code == Code::kUnavailable && error.leader == consensus::kNobody) return errors::no_leader();
  return {error.code, error.message};
}

}  // namespace clew::api::etcd
