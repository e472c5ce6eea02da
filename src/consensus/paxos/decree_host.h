// DecreeHost: runs the decrees of one member (decrees.h) on a loop: their records in a log of their own on disk, their
// frames through whoever carries frames between members, clients' waits and timers. The same object runs in a node and
// in the simulator.
//
// The log is not the replica's, whose records are its protocol's alone: nothing here depends on the order of the two. A
// failed write or sync stops the host for good (on_halt): what was promised may not be durable. A full disk: frames
// that would need room are dropped, clients are refused.
//
// What must stand in the log is vouched for by a file elsewhere (decree_voucher.h): nothing leaves before the first
// voucher is durable, half a second after a change it is written again. A log that holds less than that, or is not
// there though it must be, is damage like any other: the member votes no more (Decrees::recover_gap), for good where
// the evidence is gone. It still proposes, as its incarnation, which the voucher knows of each life, does not go back.
//
// All methods and callbacks on the loop; open() blocks and is for start-up. Callbacks come from later tasks, never from
// inside the call, but the destructor, which tells whoever still waits. Destroying it is like a crash: nothing that was
// said is forgotten.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "consensus/paxos/decree_voucher.h"
#include "consensus/paxos/decrees.h"
#include "env/disk.h"
#include "env/loop.h"
#include "env/random.h"
#include "wal/wal.h"

namespace clew::consensus::paxos {

struct DecreeFiles {
  std::string log;      // directory; made when it is not there
  std::string voucher;  // directory of the voucher: what is lost with the log must not be lost with it
  // This member has never been started to the end: a log that is absent was never made.
  bool first_start = false;
};

class DecreeHost {
 public:
  struct Ports {
    env::Loop& loop;
    env::Disk& disk;
    env::Random& random;
    // To another member; may lose, repeat and reorder. Never calls back from within.
    UniqueFunction<void(NodeId to, std::string frame)> send;
    // Watches what becomes durable and what is said; may be empty. For checkers.
    UniqueFunction<void(NodeId to, std::string_view frame)> sent;
    DecreeObserver* observer = nullptr;  // outlives it
  };
  using Done = UniqueFunction<void(std::variant<Outcome, Error>)>;

  // Errors: kDataLoss, kResourceExhausted (no room for a log, or for what must be remembered of one that was lost), and
  // what the disk says.
  static Result<std::unique_ptr<DecreeHost>> open(Ports ports, DecreeFiles files, DecreesOptions options,
                                                  UniqueFunction<void(Status)> on_halt);
  ~DecreeHost();

  // Whoever asks for a name under which this member proposes already waits for the same outcome. Errors: those of
  // Decrees::propose, kResourceExhausted (the disk is full), and kDeadlineExceeded: no quorum answered in time, or
  // others hindered; the wish may be chosen later all the same.
  void propose(const std::string& decree, std::vector<NodeId> acceptors, std::string wish, Time timeout, Done done);
  void receive(NodeId from, std::string_view frame);

  const Decrees& decrees() const { return decrees_; }
  bool halted() const { return halted_; }
  LogSeq vouched_for() const { return vouched_ ? voucher_.records : 0; }  // a loss of more is noticed, of the rest not
  // Why this member abstains, and what to do; empty: it does not. Of the start.
  const std::string& abstains() const { return abstains_; }

 private:
  struct Waiter {
    std::string decree;
    Time until;
    Done done;
  };
  struct Held {
    LogSeq after;
    NodeId to;
    std::string frame;
  };
  using Guard = std::weak_ptr<char>;

  DecreeHost(Ports ports, DecreesOptions options, uint64_t seed, UniqueFunction<void(Status)> on_halt);
  Status recover(const DecreeFiles& files);
  Status recover_log(const DecreeFiles& files, bool expected);
  Time now() const { return ports_.loop.clock().mono_ns(); }
  bool room_for(size_t bytes);
  void turn_soon();
  void turn();
  void tell_observer();
  void deliver(NodeId to, std::string frame);
  void on_durable();
  LogSeq speakable() const { return vouched_ ? wal_->durable_record() : 0; }
  void release_held();
  void vouch();
  void vouched(const DecreeVoucher& voucher, Status status);
  void settle_later();
  void answer_waiters();
  void arm();
  void halt(Status why);
  void later(Done done, std::variant<Outcome, Error> answer);

  Ports ports_;
  const NodeId self_;
  Decrees decrees_;
  UniqueFunction<void(Status)> on_halt_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: tasks of the loop ask whether `this` lives
  bool halted_ = false;
  bool turn_posted_ = false;
  std::vector<Waiter> waiters_;
  std::deque<Held> held_;         // for the disk, by `after`
  uint64_t unwritten_bytes_ = 0;  // that what was fed since the last turn may come to
  LogSeq release_below_ = 0;
  LogSeq release_after_ = 0;
  env::TimerId timer_ = 0;
  std::string voucher_directory_;
  DecreeVoucher voucher_;  // as it is on disk, once vouched_
  bool vouched_ = false;
  bool vouching_ = false;
  env::TimerId settle_timer_ = 0;
  std::string abstains_;
  Effects effects_;
  std::unique_ptr<wal::Wal> wal_;  // last: its completions refer to the rest
};

}  // namespace clew::consensus::paxos
