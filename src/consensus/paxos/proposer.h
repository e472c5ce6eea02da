// Proposer of single-decree Paxos (Lamport, "Paxos Made Simple", 2001, §2.2 and §2.4). Phase 1 asks for promises under
// a ballot of its own and learns what may have been chosen before; phase 2 asks to accept the value of the highest
// ballot that the promises told, or the wish of whoever proposes when they told none.
//
// Ballots are never used twice: `incarnation` is another one in each life of the process (the host makes it durable
// before anything is sent), and within a life the round only rises.
//
// Two proposers can hinder each other for ever (§2.4; Fischer, Lynch & Paterson 1985 say that no algorithm is free of
// this). After a refusal a proposer therefore pauses for a random time, in a range that doubles. `clew lab flp` shows
// what happens when the pauses are not random.
//
// Pure; one thread at a time; answers are trusted as far as the transport has checked who sent them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "consensus/paxos/decree_observer.h"
#include "consensus/paxos/messages.h"
#include "consensus/paxos/outcome.h"
#include "consensus/quorum.h"

namespace clew::consensus::paxos {

struct ProposerOptions {
  NodeId self = kNobody;
  uint64_t incarnation = 1;
  std::vector<NodeId> acceptors;  // sound(); itself, too, if it is one
  FlexibleQuorum quorum;          // valid for them
  Time answer_within = 200 * kMillisecond;
  // Before the next ballot. Drawn from [pause_min, pause_max * 2^k] after k ballots in vain; equal without randomness.
  Time pause_min = 10 * kMillisecond;
  Time pause_max = 50 * kMillisecond;
  bool random_pauses = true;
};

// One message to one acceptor.
struct Order {
  NodeId to = kNobody;
  Message message;
};

class Proposer {
 public:
  Proposer(ProposerOptions options, uint64_t seed) : options_(std::move(options)), random_(seed) {}

  // Begins; once. `now` only for the pauses and the patience with silent acceptors.
  void propose(Time now, std::string wish);
  void receive(Time now, NodeId from, const Message& answer);
  void tick(Time now);
  Time deadline() const { return idle() ? kNever : due_; }
  // The agreement is over: this was chosen.
  void stop(Time now, const Proposal& chosen);
  // Whoever asked does not wait any more. What was proposed may be chosen all the same.
  void give_up(Time now);
  // Of this member's proposers of one decree in one life the later ones go on above the rounds of the earlier.
  uint64_t round() const { return round_; }
  void go_on_from(uint64_t round) { round_ = round; }

  std::vector<Order> take_orders() { return std::exchange(orders_, {}); }
  std::vector<PhaseEnd> take_phases() { return std::exchange(phases_, {}); }
  bool idle() const { return phase_ == Phase::kIdle || phase_ == Phase::kDone; }
  const std::string& wish() const { return wish_; }
  const std::optional<Proposal>& chosen() const { return chosen_; }
  // The newest kMaxAttempts of them.
  static constexpr size_t kMaxAttempts = 16;
  const std::vector<Attempt>& attempts() const { return attempts_; }
  uint64_t attempts_made() const { return made_; }

 private:
  enum class Phase : uint8_t { kIdle, kPrepare, kAccept, kPause, kDone };

  void begin_ballot(Time now);
  void begin_accept(Time now);
  void pause(Time now, Attempt::End end);
  void end_phase(Time now, std::string_view result, bool failed);
  void send_all(const Message& message);
  void on_promise(Time now, NodeId from, const Message& promise);
  void on_accepted(Time now, NodeId from, const Message& accepted);

  ProposerOptions options_;
  Generator random_;
  Phase phase_ = Phase::kIdle;
  std::string wish_;
  uint64_t round_ = 0;  // highest one used or heard of
  uint64_t made_ = 0;
  Time due_ = kNever;
  std::string proposed_;  // in phase 2
  std::vector<Attempt> attempts_;
  std::optional<Proposal> chosen_;
  std::vector<Order> orders_;
  Time phase_began_ = 0;
  std::vector<PhaseEnd> phases_;
};

}  // namespace clew::consensus::paxos
