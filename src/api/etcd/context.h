// Context: what every method of the etcd API needs: the service, who this member is, who may call, what a request's
// metadata asks for. Shared by all calls; any thread; methods do not block.
//
// Metadata of Clew's own: `clew-consistency` (linearizable, lease, sequential) instead of what the request says, and
// `clew-session-token`, which a client gets in the trailers of an answer when it sent either, and sends with its next
// request: a sequential read then sees no less than the client has seen, through whichever member.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "api/auth.h"
#include "api/etcd/errors.h"
#include "api/etcd/wire.h"
#include "api/rpc/call.h"
#include "api/server_options.h"
#include "base/status.h"
#include "control/service.h"

namespace clew::api::etcd {

constexpr std::string_view kConsistencyKey = "clew-consistency";
constexpr std::string_view kSessionTokenKey = "clew-session-token";

class Context {
 public:
  // `version` is Clew's. `service` outlives it.
  Context(control::Service& service, const EtcdEndpoint& options, const std::string& version)
      : service_(service),
        auth_(options.auth),
        timeout_ns_(static_cast<int64_t>(options.request_timeout_ms) * 1'000'000),
        version_("3.4.0+clew." + version) {}

  control::Service& service() { return service_; }
  // What the Status call says: the level of the API first, since clients compare it.
  const std::string& version() const { return version_; }

  Header header(kv::Revision revision, consensus::Epoch epoch);
  // Of answers that know neither: the newest that this member has told anybody.
  Header header() const;
  bool identified() const { return cluster_.load(std::memory_order_relaxed) != 0; }
  void learn(const control::GroupStatus& status);

  bool tokens_required() const { return auth_.required(); }
  // Of "Bearer TOKEN": tokens that are bound to a tenant are good for nothing here.
  Status judge(const std::string& authorization) const;
  void replace_tokens(const AuthOptions& auth) { auth_.replace(auth); }
  Status authorize(const rpc::CallHead& head) const;  // etcd's words for strangers
  Result<control::CallOptions> call_options(const rpc::CallHead& head, bool serializable) const;
  int64_t timeout_ns() const { return timeout_ns_; }

 private:
  control::Service& service_;
  Authenticator auth_;
  const int64_t timeout_ns_;
  const std::string version_;
  std::atomic<uint64_t> cluster_{0}, member_{0};
  std::atomic<consensus::Epoch> epoch_{0};
  std::atomic<kv::Revision> revision_{0};
};

bool wants_session_token(const rpc::CallHead& head);

}  // namespace clew::api::etcd
