// ReplyQuorum: the client's side of a group whose members may lie (PBFT): an answer is handed out when f + 1 members
// gave the same, of which one at least is honest (Castro & Liskov, OSDI 1999, §4.1). docs/decisions/0016.
//
// f is (number of addresses - 1) / 3: whoever asks names all members, and no fewer than four. Nothing that a member
// says about the group changes that. Two addresses behind which the same member answers are one voice.
//
// Changes. Each goes to one gateway, as a numbered command of a session, while f + 1 members, the gateway perhaps among
// them, are asked what they executed under that number (Service::attest). f + 1 that attest this command and the same
// answer prove the answer; the gateway's reply is no vote, only the bytes that have that digest. A gateway that is
// silent, refuses, or is contradicted is left for the next one, under the same number, so that nothing takes effect
// twice. A change without a session gets a number of this object's own session. The first number of a session is drawn
// at random: a gateway that gives one session to two clients cannot make one command out of two.
//
// Reads. f + 1 members are asked for a linearizable read. Equal answers are the truth, as one is honest, and its
// barrier came after the question. Answers that differ because the store moved on are asked for again at the newest
// revision among them, which is as new as an honest member's; who named a revision that the others do not know is not
// asked for one again. Sequential reads are linearizable here: the state of one member is nothing to a client that
// believes none. Reads that have no revision (transactions, leases) are asked again until they agree.
//
// An error is an answer: f + 1 members have to give it. Where nobody is proved right the error names who said what, and
// is uncertain for a change.
//
// What this does not cover: a liar among the members may order commands of its own under any session, and so end
// somebody's session, or take a number away: the client is told an error then, never a false answer. Positions (session
// tokens) are the lowest that one of the f + 1 named.
//
// On the loop. Answers come from later tasks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "control/service.h"
#include "control/session.h"
#include "control/watch_quorum.h"
#include "env/loop.h"

namespace clew::control {

class ReplyQuorum final : public Commands, public std::enable_shared_from_this<ReplyQuorum> {
 public:
  struct Voter {
    std::string name;                           // for people: its address
    std::shared_ptr<Service> service;           // that member and no other; shared so that a test may look at it
    std::function<consensus::NodeId()> member;  // who answers there, as it says; kNobody: nobody has so far
    std::function<uint64_t()> cluster;          // and of which cluster; 0: nobody has said
  };
  struct Options {
    bool fail_fast = false;  // ClientOptions::fail_fast
  };
  struct Stats {
    uint64_t verified = 0;      // answers that f + 1 members gave
    uint64_t contradicted = 0;  // of them, those of which some member said something else
    uint64_t unproven = 0;      // questions of which no f + 1 members said the same in time
  };
  static constexpr size_t kLeastVoters = 4;
  // The own session is left for a new one after so long without a command; groups keep it for an hour.
  static constexpr int64_t kOwnSessionIdle = 600'000'000'000;

  ReplyQuorum(env::Loop& loop, uint64_t seed, std::vector<Voter> voters, Options options);

  // Whether this is a group whose members may lie. Of f + 1 members one says the truth: who says yes is believed, and
  // so are f + 1 that say no. kUnavailable when too few say anything: at the timeout, or at once with fail_fast; it may
  // be asked again. After "no" no voter is needed any more: they are let go, voters() is empty from the next task on,
  // and nothing of what follows but close() and stats() may be called.
  void decide(int64_t timeout_ns, Done<bool> done);
  bool verifies() const { return byzantine_ == true; }  // as was decided

  // kUnavailable: no f + 1 members gave the same answer in time, or too few answered; the message names who said what.
  // It is `uncertain` for a change that somebody may have carried out, and `session_ended` when its members do not
  // remember the number: the next command needs another session. Every other error is what f + 1 members said.
  void execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) override;
  // The lease's time to live in seconds, with which it starts again; 0: there is no such lease. Errors as of a change
  // by execute().
  void keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done);
  // Of the first gateway that gives one; what it says is not proved before the session's first command. One that is
  // silent, refuses, or gives a session that is open here already is left for the next one, until the timeout; then the
  // error is the last one's. With fail_fast each is asked once, when fewer than f + 1 can be reached.
  void open_session(CallOptions options, Done<consensus::SessionId> done) override;
  void close_session(consensus::SessionId session, CallOptions options) override;
  // Hands out what f + 1 members gave; a window and one response of each wait at most. Once it is decided that members
  // may lie.
  std::shared_ptr<WatchQuorum> watch(kv::Space space, uint64_t window_bytes);
  void close();  // whatever is under way ends with kUnavailable, before it returns

  const Stats& stats() const { return stats_; }
  uint64_t cluster() const;  // that f + 1 members name; 0: none so far

  // For WatchQuorum.
  const std::vector<Voter>& voters() const { return voters_; }  // empty when closed, or after decided "no"
  size_t quorum() const { return quorum_; }                     // f + 1
  void note_verified(bool contradicted) { ++stats_.verified, stats_.contradicted += contradicted; }

 private:
  class Question;
  class Change;
  class Look;
  struct Undecided {
    int64_t deadline_ns;
    Done<bool> done;
  };
  int64_t now() const { return loop_.clock().mono_ns(); }
  size_t at(size_t nth) const { return (preferred_ + nth) % voters_.size(); }  // in the order in which they are asked
  void probe();
  void decided(bool byzantine);
  struct Opening {
    CallOptions options;
    int64_t deadline_ns;
    Done<consensus::SessionId> done;
    size_t gateway;    // that is asked
    size_t asked = 0;  // in this round
  };
  void execute_in_own(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done);
  void open_at_gateway(Opening opening);
  void not_opened(Opening opening, CallError error);
  static CallError closed_error();

  env::Loop& loop_;
  Generator random_;
  std::vector<Voter> voters_;
  const size_t quorum_;
  const Options options_;
  Stats stats_;
  bool closed_ = false;
  size_t preferred_ = 0;  // the gateway: at first the one that was named first
  std::optional<bool> byzantine_;
  bool probing_ = false;
  std::vector<Undecided> undecided_;
  std::map<consensus::SessionId, uint64_t> first_number_;  // of the sessions that were opened through here
  std::vector<std::weak_ptr<WatchQuorum>> watches_;
  std::optional<Session> own_;  // until close()
  int64_t own_used_at_ns_ = INT64_MAX / 2;
};

}  // namespace clew::control
