// Decrees: all agreements of single-decree Paxos that one member takes part in, each under a name: an acceptor and a
// learner for each, and a proposer where a client of this member proposes. What they owe beside the paper: every
// promise and vote is durable before it is told (Send::after, as for every protocol of consensus/effects.h), and the
// incarnation of the ballots, counted up at each start, is durable before the first of them is used.
//
// A decree is agreed on among one fixed set of acceptors, which the first who speaks of it names; who names another set
// is refused. Whoever decides who they are must decide it once (control/decree_desk.h does it in the control group).
//
// Unlike consensus/protocol.h there is no order of entries, no leader and no read: a decree is one value for ever.
// When not to use it: for a sequence of values, or more than some thousand names; nothing of a decree is ever
// forgotten.
//
// Pure; one thread at a time. Life: construct → recover()/recover_gap() for each record in order → start() → inputs and
// collect(). It speaks to itself through the host: sends to `self` have to come back as receive().
//
// Record: version:u8 kind:u8 body, each with the whole state of what it is about:
//   life   = incarnation                                                     (varints)
//   decree = length name acceptors ballot proposal proposal                  (the promise; accepted; known as chosen)
// A lost record may hold a promise, or a ballot, that nobody else knows: a member with a gap in its log does not vote
// any more. It proposes only when it was told which incarnations are used up (recover_incarnation), and it learns.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "consensus/effects.h"
#include "consensus/paxos/acceptor.h"
#include "consensus/paxos/learner.h"
#include "consensus/paxos/proposer.h"

namespace clew::consensus::paxos {

// Who tells the learners: §2.3.
enum class Telling : uint8_t {
  kDistinguished,  // the proposer, which hears from the acceptors anyway
  kAcceptors,      // every acceptor every learner: a step less, n² messages
};

struct DecreesOptions {
  NodeId self = kNobody;
  size_t max_decrees = 1024;
  Telling telling = Telling::kDistinguished;
  Time answer_within = 200 * kMillisecond;  // ProposerOptions has the meaning of these
  Time pause_min = 10 * kMillisecond;
  Time pause_max = 50 * kMillisecond;
  bool random_pauses = true;
};

class Decrees {
 public:
  Decrees(DecreesOptions options, uint64_t seed) : options_(options), random_(seed) {}

  // --- Recovery ---
  Status recover(LogSeq seq, std::string_view record);  // kDataLoss: intact, and yet it makes no sense here
  void recover_gap() { amnesiac_ = true; }
  // Told from elsewhere: none above it has been used.
  void recover_incarnation(uint64_t used) {
    incarnation_ = std::max(incarnation_, used);
    incarnation_known_ = true;
  }
  void start(LogSeq next);  // the number that the next record will get

  // --- Inputs ---
  // kInvalidArgument, kResourceExhausted (max_decrees), kFailedPrecondition (begun among other acceptors; or this
  // member proposes under that name already).
  Status propose(Time now, const std::string& decree, std::vector<NodeId> acceptors, std::string wish);
  // The client gave up. What was proposed may be chosen all the same.
  void give_up(Time now, const std::string& decree);
  void receive(Time now, NodeId from, std::string_view frame);
  void tick(Time now);

  // --- Outputs ---
  void collect(Effects& effects);  // records, sends, release_below, facts
  struct Ended {
    std::string decree;
    PhaseEnd phase;
  };
  std::vector<Ended> take_phases() {
    return std::exchange(ended_, {});
  }  // of this member's ballots, since the last call
  // The log holds so much more than it has to that it should be written anew: with compact() before the next collect(),
  // when there is room for that many bytes; then what stands before it may go (Effects::release_below).
  bool wants_compaction() const;
  size_t compaction_bytes() const;
  void compact();
  Time deadline() const;
  struct View {  // valid until the next input
    const std::vector<NodeId>& acceptors;
    const Acceptor::State& acceptor;
    const std::optional<Proposal>& chosen;
    const Proposer* proposer;  // null: this member did not propose in this life
  };
  std::optional<View> find(const std::string& decree) const;
  std::vector<std::string> names() const;
  uint64_t incarnation() const { return incarnation_; }
  bool amnesiac() const { return amnesiac_; }
  Status check_invariants() const;

 private:
  struct Decree {
    explicit Decree(std::vector<NodeId> among);
    std::vector<NodeId> acceptors;
    Acceptor acceptor;
    Learner learner;
    std::optional<Proposer> proposer;
    bool learned = false;  // the record of it was made
  };
  using Entry = std::map<std::string, Decree>::value_type;

  Decree* open(const std::string& name, const std::vector<NodeId>& acceptors);
  void answer(Time now, Entry& entry, NodeId to, const Acceptor::State& before, Message message);
  void send(const Entry& entry, NodeId to, Message message);
  static Message verdict(const Decree& decree);
  void remember(const Entry& entry);
  void remember_life();
  void look_at(Time now, Entry& entry);
  void refuse(Time now, FactKind kind, NodeId from, std::string_view why);

  const DecreesOptions options_;
  Generator random_;
  uint64_t incarnation_ = 0;
  bool life_remembered_ = false;    // this one's incarnation is in the log
  bool incarnation_known_ = false;  // whatever the log has lost
  bool amnesiac_ = false;
  LogSeq last_ = 0;  // of the records so far
  uint64_t records_since_compaction_ = 0;
  std::map<std::string, Decree> decrees_;
  Effects out_;  // until collect()
  std::vector<Ended> ended_;
};

}  // namespace clew::consensus::paxos
