// The Auth service. Clew has no users and roles: who may call is said by bearer tokens and client certificates in the
// configuration. Without tokens every answer is that of an etcd whose authentication is off and which has no users;
// with tokens Authenticate takes one as the password, so that `etcdctl --user name:TOKEN` works. What would store a
// user or a role is refused.
#include "api/etcd/cluster_wire.h"
#include "api/etcd/execute.h"
#include "api/etcd/methods.h"

namespace clew::api::etcd {
namespace {

using CallPtr = std::shared_ptr<rpc::Call>;

void authenticate(Context& context, const CallPtr& call, std::string_view message) {
  const auto credentials = decode_credentials(message);
  if (!credentials.ok()) return call->finish(credentials.status());
  if (!context.tokens_required()) return call->finish(errors::auth_not_enabled());
  if (credentials->name.empty() || !context.judge("Bearer " + credentials->password).ok()) {
    return call->finish(errors::auth_failed());
  }
  answer_with(*call, encode_token(context.header(), credentials->password));
}

void status(Context& context, const CallPtr& call, std::string_view /*empty*/) {
  answer_with(*call, encode_auth_status(context.header(), context.tokens_required()));
}

void enable(Context& /*context*/, const CallPtr& call, std::string_view /*empty*/) {
  call->finish(errors::root_user_missing());
}

// Lists that are empty, and the switching off of what is off.
void nothing(Context& context, const CallPtr& call, std::string_view /*message*/) {
  answer_with(*call, answer(context.header()));
}

void disable(Context& context, const CallPtr& call, std::string_view message) {
  if (!context.tokens_required()) return nothing(context, call, message);
  call->finish(Error{Code::kFailedPrecondition,
                     "bearer tokens are part of the configuration; take them out of it and reload the servers"});
}

void no_such_user(Context& /*context*/, const CallPtr& call, std::string_view /*message*/) {
  call->finish(errors::user_not_found());
}
void no_such_role(Context& /*context*/, const CallPtr& call, std::string_view /*message*/) {
  call->finish(errors::role_not_found());
}
void not_kept(Context& /*context*/, const CallPtr& call, std::string_view /*message*/) {
  call->finish(Error{Code::kUnimplemented,
                     "users and roles are not kept here; give bearer tokens or client certificates in the "
                     "configuration (docs/etcd.md)"});
}

}  // namespace

void add_auth(Methods& methods) {
  methods["/etcdserverpb.Auth/Authenticate"] = {.unary = authenticate, .stream = nullptr, .open_to_all = true};
  methods["/etcdserverpb.Auth/AuthStatus"].unary = status;
  methods["/etcdserverpb.Auth/AuthEnable"].unary = enable;
  methods["/etcdserverpb.Auth/AuthDisable"].unary = disable;
  methods["/etcdserverpb.Auth/UserList"].unary = nothing;
  methods["/etcdserverpb.Auth/RoleList"].unary = nothing;
  methods["/etcdserverpb.Auth/UserGet"].unary = no_such_user;
  methods["/etcdserverpb.Auth/UserDelete"].unary = no_such_user;
  methods["/etcdserverpb.Auth/UserChangePassword"].unary = no_such_user;
  methods["/etcdserverpb.Auth/UserGrantRole"].unary = no_such_user;
  methods["/etcdserverpb.Auth/UserRevokeRole"].unary = no_such_user;
  methods["/etcdserverpb.Auth/RoleGet"].unary = no_such_role;
  methods["/etcdserverpb.Auth/RoleDelete"].unary = no_such_role;
  methods["/etcdserverpb.Auth/RoleGrantPermission"].unary = no_such_role;
  methods["/etcdserverpb.Auth/RoleRevokePermission"].unary = no_such_role;
  methods["/etcdserverpb.Auth/UserAdd"].unary = not_kept;
  methods["/etcdserverpb.Auth/RoleAdd"].unary = not_kept;
}

}  // namespace clew::api::etcd
