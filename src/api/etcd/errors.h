// Failures in etcd's words: its clients compare the texts. The numbers of the codes are gRPC's and ours alike.
// Pure; any thread.
#pragma once

#include "base/status.h"
#include "control/service.h"

namespace clew::api::etcd {

namespace errors {
Error no_leader();
Error timeout();
Error too_many_requests();
Error stopped();
Error member_not_found();
Error peer_url_exists();
Error bad_member_urls();
Error not_learner();
Error learner_not_ready();
Error bad_transferee();
Error auth_not_enabled();
Error auth_failed();
Error invalid_token();
Error permission_denied();
Error no_user();  // a call without credentials where some are needed
Error root_user_missing();
Error user_not_found();
Error role_not_found();
}  // namespace errors

// A failure of control::Service. What already is in etcd's words keeps them; the others get them where etcd has some:
// no leader, a request that timed out (which is UNAVAILABLE in etcd).
Error as_etcd(const control::CallError& error);

}  // namespace clew::api::etcd
