// Outbox: what a protocol core has for its host at the end of a turn, and what of it has to wait for the disk ("persist
// before you speak"). Every core has one, and hands it over in collect().
//
// It numbers the records as the host's log will, knows which of them are durable, and turns what a message rests on
// into the number of a record: a core says After, not when. A core that halts hands over its facts and the reason, and
// nothing else, for good.
//
// Pure; one thread; room is kept between turns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consensus/effects.h"
#include "consensus/fact.h"
#include "consensus/types.h"

namespace clew::consensus {

// What has to be durable here before a message leaves.
enum class After : uint8_t {
  kNothing,
  kState,       // the record that made the present term and vote, promise or epochs known: state_in()
  kEverything,  // all records up to the end of this turn
};

class Outbox {
 public:
  // --- The disk ---

  void start(LogSeq next);           // the number of the next record; those before it are durable
  LogSeq record(std::string bytes);  // its number
  LogSeq last_record() const { return next_seq_ - 1; }
  LogSeq durable_seq() const { return durable_seq_; }
  bool durable(LogSeq seq);  // false: that was known
  void state_in(LogSeq seq) { state_seq_ = seq; }
  bool state_durable() const { return state_seq_ <= durable_seq_; }
  // Records below are not needed any more. Less than was said before changes nothing.
  void release_below(LogSeq seq);
  LogSeq released_below() const { return released_below_; }

  // --- Messages ---

  // `seq`: a record that the message rests on beside what `after` says; 0: none.
  void send(NodeId to, std::string frame, After after, LogSeq seq = 0) {
    messages_.push_back({to, after, seq, std::move(frame)});
  }

  // --- What needs no disk ---

  void placed(ProposalId id, Position position) { ready_.placed.push_back({id, position}); }
  void refused(ProposalId id, Refusal why, NodeId leader) { ready_.refused.push_back({id, why, leader}); }
  void read(ReadId id, Position position) { ready_.reads.push_back({id, position}); }
  void read_refused(ReadId id, Refusal why, NodeId leader) { ready_.reads_refused.push_back({id, why, leader}); }
  void verify(VerifyRequest request) { ready_.verifications.push_back(std::move(request)); }
  void fact(const Fact& fact) { ready_.facts.push_back(fact); }

  // --- Snapshots ---

  void fetch(FetchSnapshot what);
  void cancel_fetch();
  void fetched() { ready_.fetch.reset(); }  // it is there
  void install(SnapshotMeta meta);          // after all that was recorded so far

  void halt(std::string why);  // only the first reason counts
  bool halted() const { return halt_.has_value(); }

  // Adds it all to `to`.
  void collect(Effects& to);

 private:
  struct Message {
    NodeId to;
    After after;
    LogSeq seq;
    std::string frame;
  };
  LogSeq next_seq_ = 1;
  LogSeq durable_seq_ = 0;
  LogSeq state_seq_ = 0;
  LogSeq released_below_ = 1;
  std::vector<Message> messages_;
  Effects ready_;
  std::optional<std::string> halt_;
};

}  // namespace clew::consensus
