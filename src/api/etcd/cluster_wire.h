// The messages of the Cluster and Maintenance services, of health and of Auth. Pure; any thread; O(bytes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/etcd/wire.h"
#include "base/status.h"
#include "control/service.h"

namespace clew::api::etcd {

struct MemberAdd {
  std::vector<std::string> peer_urls;
  bool learner = false;
};
struct MemberUpdate {
  consensus::NodeId id = consensus::kNobody;
  std::vector<std::string> peer_urls;
};
struct AlarmCommand {
  enum class Action : uint8_t { kGet = 0, kActivate = 1, kDeactivate = 2 };
  Action action = Action::kGet;
  uint64_t member = 0;  // 0: all of them
  uint32_t kind = 0;    // AlarmKind's numbers; 0: all kinds
};
struct Credentials {
  std::string name;
  std::string password;
};

Result<MemberAdd> decode_member_add(std::string_view message);
Result<MemberUpdate> decode_member_update(std::string_view message);
Result<AlarmCommand> decode_alarm(std::string_view message);
Result<Credentials> decode_credentials(std::string_view message);
// The one number in field 1, of many messages.
Result<uint64_t> decode_number(std::string_view message);
// The one text in field 1.
Result<std::string> decode_text(std::string_view message);

// Of the answers whose members stand in `field`.
std::string encode_members(const Header& header, const std::vector<control::MemberStatus>& members, uint32_t field = 2);
std::string encode_member_added(const Header& header, const control::MemberStatus& added,
                                const std::vector<control::MemberStatus>& members);
std::string encode_status(const Header& header, const control::GroupStatus& status, std::string_view version);
std::string encode_alarms(const Header& header, const std::vector<control::Alarm>& alarms);
std::string encode_hash(const Header& header, uint32_t hash, kv::Revision compact_revision);
std::string encode_snapshot(const Header& header, uint64_t remaining_bytes, std::string_view blob);
std::string encode_token(const Header& header, std::string_view token);
std::string encode_auth_status(const Header& header, bool enabled);

enum class Serving : uint8_t { kUnknown = 0, kServing = 1, kNotServing = 2, kServiceUnknown = 3 };
std::string encode_health(Serving serving);

}  // namespace clew::api::etcd
