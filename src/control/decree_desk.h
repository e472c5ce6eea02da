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
// On the plane's loop. Dies before the replica.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "consensus/paxos/decree_host.h"
#include "consensus/replica.h"
#include "control/service.h"

namespace clew::control {

class DecreeDesk {
 public:
  struct Ports {
    env::Loop& loop;
    env::Disk& disk;
    env::Random& random;
    consensus::Replica& replica;
    // Of the system space.
    UniqueFunction<void(kv::Request, CallOptions, Done<CallReply>)> execute;
  };
  // Blocking. `on_halt`: the log of decrees failed.
  static Result<std::unique_ptr<DecreeDesk>> open(Ports ports, std::string directory, consensus::NodeId self,
                                                  UniqueFunction<void(Status)> on_halt);
  ~DecreeDesk();

  // Service::propose_decree.
  void propose(std::string name, std::string value, CallOptions options, Done<consensus::paxos::Outcome> done);

 private:
  DecreeDesk(Ports ports, consensus::NodeId self) : ports_(std::move(ports)), self_(self) {}
  void among(const std::string& acceptors, std::string name, std::string value, consensus::Time deadline,
             Done<consensus::paxos::Outcome> done);

  Ports ports_;
  const consensus::NodeId self_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: answers ask whether `this` lives
  std::unique_ptr<consensus::paxos::DecreeHost> host_;
};

}  // namespace clew::control
