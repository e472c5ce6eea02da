// Progress: what a leader knows of one peer, and how it may send to it.
//
//   probe      where the logs agree is not known, or messages got lost: one at a time, until one is accepted
//   replicate  messages follow each other without waiting (thesis §10.2.1), as far as the window allows
//   snapshot   the peer needs entries that are compacted: it was offered a snapshot, and nothing else goes
//
// `match` is what the peer has acknowledged as durable: only acceptances raise it, never a hint (scenario 3).
// Pure; one thread; O(1).
#pragma once

#include <algorithm>
#include <cstdint>

#include "consensus/in_flight.h"
#include "consensus/types.h"

namespace clew::consensus::raft {

enum class PeerState : uint8_t { kProbe, kReplicate, kSnapshot };

struct Progress {
  Progress(NodeId peer, WindowLimits limits, Position next_position, Time now)
      : id(peer), next(next_position), window(limits), heard(now) {}

  NodeId id;
  PeerState state = PeerState::kProbe;
  Position match = 0;
  Position next;            // first position to send; > match
  bool probe_sent = false;  // probe: an answer is awaited
  Position singly_to = 0;   // up to there one message at a time: see went_back()
  InFlightWindow window;
  Position offered = 0;  // snapshot: the one that it may be fetching, from which the log goes on (catch_up.h)
  Position commit_sent = 0;
  Position match_at_check = 0;  // `match` at `checked`: no progress since means that something was lost
  Time checked = 0;
  Time heard;          // last answer, on this node's clock
  uint64_t round = 0;  // newest read round confirmed
  uint64_t stamp = 0;  // newest heartbeat answered: its sending time

  void probe(Position from) {
    state = PeerState::kProbe;
    probe_sent = false;
    window.clear();
    next = std::max(from, match + 1);
  }
  // A message of those under way was rejected: one before it was lost, or is late. What followed it is going to be
  // rejected as well; would each of those rejections send the window again, to be rejected in its turn, there was no
  // end to it. So what was under way goes again message by message.
  void went_back() { singly_to = next - 1; }
  // True when it tells something new.
  bool accepted(Position position) {
    const bool news = position > match;
    match = std::max(match, position);
    next = std::max(next, match + 1);
    window.acknowledged(position);
    if (state == PeerState::kProbe) {
      // What tells nothing new answers another message than the probe, or repeats: would it let the next probe go, each
      // message that the network doubled would go round and be doubled for ever.
      if (!news && probe_sent) return false;
      probe_sent = false;
      if (match < singly_to) return news;
      state = PeerState::kReplicate;
      window.clear();
      next = match + 1;
    }
    return news;
  }
  // Whether it may be fetching a snapshot: it was offered one, and was heard since `alive`.
  bool fetches(Time alive) const { return state == PeerState::kSnapshot && heard >= alive; }
  // May entries from `next` on be sent now?
  bool may_send() const {
    switch (state) {
      case PeerState::kProbe:
        return !probe_sent;
      case PeerState::kReplicate:
        return !window.full();
      case PeerState::kSnapshot:
        return false;
    }
    return false;
  }
  void sent(Position last, uint64_t bytes) {
    if (state == PeerState::kProbe) {
      probe_sent = true;
    } else {
      window.sent(last, bytes);
      next = last + 1;
    }
  }
};

}  // namespace clew::consensus::raft
