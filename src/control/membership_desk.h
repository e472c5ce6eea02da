// MembershipDesk: changes of who belongs to the group, as a leader makes them, one at a time: etcd's checks and words,
// then the protocol's reconfiguration. Ids come from a counter in the system space, so that none is ever given away
// twice. A new voter is a learner first; the wish that it become a voter stands in the system space and outlives the
// leader that was asked.
//
// Each method answers kUnavailable, without any effect, when another change is under way or the leader is not ready:
// ask again. On the plane's loop, while it leads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "consensus/replica.h"
#include "control/service.h"
#include "control/system_space.h"
#include "kv/spaces.h"

namespace clew::control {

class MembershipDesk {
 public:
  using Propose = UniqueFunction<void(kv::Request, Done<CallReply>)>;  // on the system space
  MembershipDesk(SystemView& system, Propose propose) : system_(system), propose_(std::move(propose)) {}

  void start(consensus::Replica& replica) { replica_ = &replica; }

  void add(Service::NewMember member, Done<consensus::NodeId> done);
  void remove(consensus::NodeId id, Done<consensus::Position> done);
  void promote(consensus::NodeId id, Done<consensus::Position> done);
  void update(consensus::NodeId id, std::string address, Done<consensus::Position> done);
  // Promotes whom it was wished for and who has caught up; clears wishes that are void.
  void tick();

 private:
  const consensus::Membership& membership() const { return replica_->protocol().membership(); }
  // At most one change at a time; `done` ends it.
  template <typename T>
  bool begin(Done<T>& done);
  template <typename T>
  Done<T> ending(Done<T> done);
  void added(consensus::NodeId id, const Service::NewMember& member, Done<consensus::NodeId> done);
  // The members, with this one under that id.
  std::vector<consensus::Member> with(consensus::NodeId id, const Service::NewMember& member) const;
  void reconfigure(std::vector<consensus::Member> members, Done<consensus::Position> done);
  void forget(consensus::NodeId id, bool record);
  bool decides(const std::vector<consensus::Member>& rest) const;
  uint64_t next_id();  // the least that was never given away, as far as the counter knows; 0: nobody was ever added
  bool caught_up(consensus::NodeId id) const;

  SystemView& system_;
  Propose propose_;
  consensus::Replica* replica_ = nullptr;
  bool busy_ = false;
  bool clearing_ = false;
};

}  // namespace clew::control
