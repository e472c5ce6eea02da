// The methods of the API by the path of their calls, one file a service. A unary method gets its message and answers
// the call, now or later; a streaming method gets a handler. On the call's loop.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>

#include "api/etcd/context.h"
#include "api/rpc/call.h"

namespace clew::api::etcd {

struct Method {
  using Unary = void (*)(Context& context, const std::shared_ptr<rpc::Call>& call, std::string_view message);
  using Stream = std::unique_ptr<rpc::Handler> (*)(Context& context, rpc::Call& call);
  Unary unary = nullptr;
  Stream stream = nullptr;
  bool open_to_all = false;  // credentials are not looked at
};
using Methods = std::unordered_map<std::string_view, Method>;  // looked up only, never walked

void add_kv(Methods& methods);           // kv_api.cc
void add_lease(Methods& methods);        // lease_api.cc
void add_watch(Methods& methods);        // watch_api.cc
void add_cluster(Methods& methods);      // cluster_api.cc
void add_maintenance(Methods& methods);  // maintenance_api.cc, snapshot_api.cc
void add_auth(Methods& methods);         // auth_api.cc

std::unique_ptr<rpc::Handler> snapshot_call(Context& context, rpc::Call& call);

}  // namespace clew::api::etcd
