// DecreeDesk: one-shot agreements among the members of the control group by single-decree Paxos: consensus/paxos hosted
// in a node, its frames beside the log's on the peers' connections (Replica::send_aside), its records in a log of its
// own.
//
// Who the acceptors of a name are must be agreed on, too, and once: two electorates may have no member in common. The
// voters of the moment are put into the system space when a name is first used, if it is free; everybody takes what
// stands there. From then on the group's log has no part in it: the acceptors decide without a leader.
//
// A member that left takes its vote along: a decree needs a majority of those it was begun with.
//
// The first decree of a group is its founders' and needs no log: the cluster's id. Each wishes for one that it drew;
// the group's leader proposes first, so that they do not hinder each other, the others when nothing came of it. Members
// that were lost and founded again from the same list and token thereby get another id than they had, which clients
// notice.
//
// On the plane's loop. Dies before the replica.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consensus/paxos/decree_host.h"
#include "consensus/replica.h"
#include "control/service.h"

namespace clew::control {

// Under this name the founders agree on the cluster's id, 16 hexadecimal digits.
constexpr std::string_view kClusterDecree = "cluster-id";

class DecreeDesk {
 public:
  struct Ports {
    env::Loop& loop;
    env::Disk& disk;
    env::Random& random;
    consensus::Replica& replica;
    // Of the system space.
    UniqueFunction<void(kv::Request, CallOptions, Done<CallReply>)> execute;
    consensus::paxos::DecreeObserver* observer = nullptr;
  };
  // Blocking. `on_halt`: the log of decrees failed.
  static Result<std::unique_ptr<DecreeDesk>> open(Ports ports, consensus::paxos::DecreeFiles files,
                                                  consensus::NodeId self, UniqueFunction<void(Status)> on_halt);
  ~DecreeDesk();

  // Founders alone: until it is agreed on, each tick() sees to it. `acceptors`: all founders.
  void found(std::vector<consensus::NodeId> acceptors);
  void tick(bool leads);
  uint64_t cluster() const { return cluster_; }  // 0: not known here
  // Why this member votes for no decree, and what to do; empty: it does.
  const std::string& problem() const { return host_->abstains(); }

  // Service::propose_decree. Who proposes a value for kClusterDecree is told the id.
  void propose(std::string name, std::string value, CallOptions options, Done<consensus::paxos::Outcome> done);

 private:
  DecreeDesk(Ports ports, consensus::NodeId self) : ports_(std::move(ports)), self_(self) {}
  void among(const std::string& acceptors, const std::string& name, std::string value, consensus::Time deadline,
             Done<consensus::paxos::Outcome> done);

  void learn_cluster();

  Ports ports_;
  const consensus::NodeId self_;
  std::vector<consensus::NodeId> founders_;
  consensus::Time wish_at_ = 0;  // when a founder that does not lead proposes
  bool wishing_ = false;
  uint64_t cluster_ = 0;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: answers ask whether `this` lives
  std::unique_ptr<consensus::paxos::DecreeHost> host_;
};

}  // namespace clew::control
