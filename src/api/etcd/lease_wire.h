// The Lease service's messages. Pure; any thread; O(bytes).
#pragma once

#include <string>
#include <string_view>

#include "api/etcd/wire.h"
#include "base/status.h"
#include "kv/command.h"

namespace clew::api::etcd {

Result<kv::LeaseGrantRequest> decode_lease_grant(std::string_view message);
Result<kv::LeaseId> decode_lease_id(std::string_view message);  // of LeaseRevokeRequest and LeaseKeepAliveRequest
Result<kv::LeaseTimeToLiveRequest> decode_lease_time_to_live(std::string_view message);

std::string encode_lease_grant(const Header& header, const kv::LeaseGrantResponse& response);
std::string encode_lease_keep_alive(const Header& header, kv::LeaseId id, int64_t ttl_s);
std::string encode_lease_time_to_live(const Header& header, const kv::LeaseTimeToLiveResponse& response);
std::string encode_leases(const Header& header, const kv::LeasesResponse& response);

}  // namespace clew::api::etcd
