// What stands in the system space (kv/spaces.h) and under which keys: members' records, alarms, the counter of ids, and
// wishes that outlive a leader. Grammar: docs/format/kv.md.
//
//   members/<id>       MemberRecord, put by the member itself
//   next-member        decimal: no id at or above it was ever given away, unless the founders had it
//   promote/<id>       this learner becomes a voter as soon as it has caught up
//   alarms/<id>/<kind>
//   decrees/<name>     ids of the acceptors of a decree of single-decree Paxos, put when its name is first used
//   settings/...       cluster-wide settings of Clew
//
// Pure; any thread, but SystemView: on the loop of the store that it reads.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/service.h"
#include "kv/store.h"

namespace clew::control {

constexpr std::string_view kMembersPrefix = "members/";
constexpr std::string_view kNextMemberKey = "next-member";
constexpr std::string_view kPromotePrefix = "promote/";
constexpr std::string_view kAlarmsPrefix = "alarms/";
constexpr std::string_view kDecreesPrefix = "decrees/";
constexpr std::string_view kSettingsPrefix = "settings/";

std::string member_key(consensus::NodeId id);
std::string promote_key(consensus::NodeId id);
std::string alarm_key(const Alarm& alarm);
// The end of the range of keys that begin with `prefix`, which does not end in 0xff.
std::string prefix_end(std::string_view prefix);

std::string encode(const MemberRecord& record);
Result<MemberRecord> parse_member_record(std::string_view bytes);  // untrusted

// The system space, read once for each of its revisions. What makes no sense in it is passed over.
class SystemView {
 public:
  explicit SystemView(const kv::Store& store) : store_(store) {}

  struct State {
    std::map<consensus::NodeId, MemberRecord> records;
    std::set<consensus::NodeId> promotions;
    std::vector<Alarm> alarms;
    std::string next_member;  // as it stands there
    bool no_space = false;    // one of the alarms
    bool corrupt = false;     // one of the alarms
  };
  const State& now();

 private:
  const kv::Store& store_;
  kv::Revision read_at_ = 0;
  State state_;
};

}  // namespace clew::control
