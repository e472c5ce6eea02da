// Transport: frames between the members of one group, as a datagram service: a frame arrives whole and at most once, or
// not at all; frames of one peer usually arrive in order, and nothing may depend on that. consensus/peer_transport.h
// implements it over env::Network, the simulator over a mesh that loses, repeats and reorders.
//
// On the replica's loop only. send() never blocks and never calls back: a full queue of a peer drops the frame
// (counted), as every protocol repeats itself.
//
// A transport asks `admits` when it meets a peer: at each handshake, or, when it has none, before the first frame of
// each instance, and it delivers nothing of a peer that is not admitted. Members should meet even when they have
// nothing to say to each other (a greeting): a wiped disk is recognised by those who knew it before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "consensus/membership.h"
#include "consensus/types.h"

namespace clew::consensus {

class Transport {
 public:
  virtual ~Transport() = default;

  struct Handler {
    Instance instance = kUnknownInstance;  // of this node's own data directory
    // What has to be the same on all members beside the cluster (session limits), as a hash: others are refused.
    uint64_t settings = 0;
    // Borrowed for the call. `instance`: of the sender's data directory, as its handshake said.
    UniqueFunction<void(NodeId from, Instance instance, std::string_view frame)> on_frame;
    // A connection to or from the peer came (true) or went. A hint, which may be repeated. No callback may call
    // set_peers() from within.
    UniqueFunction<void(NodeId peer, bool up)> on_connection;
    // When a peer is met, in either direction; may be asked again. False: this peer is known with another instance, its
    // data directory is not what it was. A member that is met first is remembered.
    UniqueFunction<bool(NodeId peer, Instance instance)> admits;
  };
  virtual void start(Handler handler) = 0;
  // To whom connections are kept; others are closed. Addresses may change.
  virtual void set_peers(const std::vector<Member>& peers) = 0;
  virtual void send(NodeId to, std::string frame) = 0;
  // The end of a turn: what was sent since the last one may go out together now. Frames go out without it too, later.
  virtual void flush() {}
  // Why the newest attempt to connect to the peer failed, for people; empty: it is connected, or nobody knows.
  virtual std::string unreached(NodeId /*peer*/) const { return {}; }
};

}  // namespace clew::consensus
