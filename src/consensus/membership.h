// Membership: who belongs to a group and how votes count; a value that stands in the log as an entry, in snapshots and
// in records. Two overlapping electorates while a change is under way (joint consensus, Raft thesis §4.3): in Raft's
// log; in the other protocols only as a member's view of whom to count or to speak to meanwhile.
//
// Canonical: members sorted by id, so that equal memberships have equal bytes. Plain value; any thread; O(members),
// which are few (kMaxMembers).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "consensus/types.h"

namespace clew::consensus {

constexpr size_t kMaxMembers = 64;
constexpr size_t kMaxAddressBytes = 256;

enum class Role : uint8_t {
  kVoter = 0,    // votes, stores everything, may lead
  kWitness = 1,  // votes and stores epochs, kinds and memberships, no commands; never leads, cannot restore data
  kLearner = 2,  // stores everything, does not vote
};
constexpr uint8_t kMaxRole = 2;
std::string_view role_name(Role role);  // "voter"

struct Member {
  NodeId id = kNobody;
  Role role = Role::kVoter;
  // In a joint membership: the vote counts in the electorate that is being left / that is being entered. Outside of one
  // `incoming` says whether the member votes and `outgoing` is false. A member with neither is a learner.
  bool outgoing = false;
  bool incoming = true;
  std::string address;  // "host:port" of its peer port; the core only carries it
  friend bool operator==(const Member&, const Member&) = default;
};

class Membership {
 public:
  Membership() = default;
  // Voters only, in any order; for bootstrap and tests. The ids are distinct.
  static Membership of_voters(const std::vector<NodeId>& ids);
  // Distinct ids, roles and flags that agree, at least one voter that is no witness, at most kMaxMembers: else
  // kInvalidArgument with the reason.
  static Result<Membership> make(std::vector<Member> members);

  const std::vector<Member>& members() const { return members_; }
  const Member* find(NodeId id) const;
  bool contains(NodeId id) const { return find(id) != nullptr; }
  bool votes(NodeId id) const;     // in either electorate
  bool may_lead(NodeId id) const;  // votes and is no witness
  bool joint() const { return joint_; }
  bool empty() const { return members_.empty(); }
  size_t voters() const;  // members that vote in either electorate

  // Whether one change leads from this one to `target`: neither is joint, nobody turns into or from a witness.
  Status can_become(const Membership& target) const;
  // The joint membership on the way to `target`, which can_become(): electorates of both; voters that `target` lacks
  // stay until leave_joint(), and one that it makes a learner keeps its old vote until then. Plain `target` when the
  // electorates are equal.
  Membership enter_joint(const Membership& target) const;
  // What a joint membership turns into: the incoming electorate and all learners.
  Membership leave_joint() const;

  void append_to(std::string& out) const;
  static Result<Membership> parse(std::string_view bytes);  // untrusted; all of `bytes`
  std::string to_string() const;                            // "1,2,3", "(1,2,3)->(1,2,4)", "1,2,w3,l4"

  friend bool operator==(const Membership&, const Membership&) = default;

 private:
  std::vector<Member> members_;
  bool joint_ = false;
};

}  // namespace clew::consensus
