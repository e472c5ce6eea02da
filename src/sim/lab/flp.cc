#include "sim/lab/flp.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "consensus/paxos/decrees.h"

namespace clew::sim::lab {

namespace paxos = consensus::paxos;
using consensus::kMillisecond;
using consensus::NodeId;
using consensus::Time;

namespace {

constexpr size_t kMembers = 3;  // the first two propose
constexpr size_t kProposers = 2;
constexpr size_t kMaxLines = 64;
const std::string kDecree = "colour";
constexpr std::array<const char*, kProposers> kWishes = {"blue", "red"};

std::string milliseconds(Time time) {
  char text[32];
  std::snprintf(text, sizeof text, "%6.1f ms", static_cast<double>(time) / kMillisecond);
  return text;
}

class Duel {
 public:
  explicit Duel(const FlpOptions& options) : options_(options) {
    for (uint64_t id = 1; id <= kMembers; ++id) {
      acceptors_.push_back(NodeId{id});
      paxos::DecreesOptions member;
      member.self = NodeId{id};
      member.answer_within = consensus::kSecond;  // nothing is lost: nobody runs out of patience
      member.pause_min = options.pause;
      member.pause_max = options.widest_pause;
      member.random_pauses = options.random_pauses;
      members_.push_back(std::make_unique<paxos::Decrees>(member, options.seed * kMembers + id));
      members_.back()->start(1);
    }
  }

  FlpRun run() {
    propose(0);
    bool second = false;
    for (;;) {
      const Time next = std::min({flight_.empty() ? consensus::kNever : flight_.begin()->first.first, deadline(),
                                  second ? consensus::kNever : options_.second_starts});
      if (next > options_.until) break;
      now_ = next;
      if (!second && next == options_.second_starts) {
        second = true;
        propose(1);
      } else if (!flight_.empty() && flight_.begin()->first.first == next) {
        deliver();
      } else {
        tick();
      }
      if (decided()) break;
    }
    run_.ended_at = run_.decided ? now_ : options_.until;
    for (size_t i = 0; i < kProposers; ++i) run_.ballots += proposer(i) == nullptr ? 0 : proposer(i)->attempts_made();
    return std::move(run_);
  }

 private:
  struct InFlight {
    NodeId from, to;
    std::string bytes;
    Time sent_at;
  };

  const paxos::Proposer* proposer(size_t i) const {
    const auto view = members_[i]->find(kDecree);
    return view ? view->proposer : nullptr;
  }
  Time deadline() const {
    Time first = consensus::kNever;
    for (const auto& member : members_) first = std::min(first, member->deadline());
    return first;
  }
  bool decided() {
    for (const auto& member : members_) {
      const auto view = member->find(kDecree);
      if (!view || !view->chosen) continue;
      run_.decided = true;
      run_.value = view->chosen->value;
      return true;
    }
    return false;
  }

  void propose(size_t i) {
    CHECK(members_[i]->propose(now_, kDecree, acceptors_, kWishes[i]).ok());
    collect(i);
  }
  void tick() {
    for (size_t i = 0; i < kProposers; ++i) {
      const uint64_t before = proposer(i) == nullptr ? 0 : proposer(i)->attempts_made();
      members_[i]->tick(now_);
      collect(i);
      // Looked at when the first proposer begins a ballot: once a cycle.
      if (i == 0 && proposer(0)->attempts_made() != before) look();
    }
  }
  void deliver() {
    auto first = flight_.extract(flight_.begin());
    const InFlight& frame = first.mapped();
    ++run_.messages;
    run_.longest_delay = std::max(run_.longest_delay, now_ - frame.sent_at);
    const size_t to = number(frame.to) - 1;
    if (run_.lines.size() < kMaxLines) {
      run_.lines.push_back(milliseconds(now_) + "  " + std::to_string(number(frame.from)) + " → " +
                           std::to_string(number(frame.to)) + "  " +
                           to_string(paxos::parse_frame(frame.bytes)->message));
    }
    members_[to]->receive(now_, frame.from, frame.bytes);
    collect(to);
  }
  // The disk is not the point here: what is written is durable at once.
  void collect(size_t i) {
    consensus::Effects effects;
    members_[i]->collect(effects);
    for (consensus::Send& send : effects.sends) {
      const bool accept = paxos::parse_frame(send.frame)->message.kind == paxos::MessageKind::kAccept;
      const Time at = now_ + (accept ? options_.accept_delay : options_.delay);
      flight_.emplace(std::pair(at, sequence_++), InFlight{NodeId{i + 1}, send.to, std::move(send.frame), now_});
    }
  }

  // Everything that decides what happens next, as text; times and rounds as differences from now and from the round of
  // the first proposer. Equal texts go on equally: nothing else is looked at by anybody.
  std::string state() const {
    const uint64_t base = proposer(0)->round();
    const auto relative = [&](const paxos::Ballot& ballot) {
      if (ballot.none()) return std::string("-");
      return std::to_string(static_cast<int64_t>(ballot.round - base)) + "." + std::to_string(number(ballot.proposer));
    };
    std::string text;
    for (size_t i = 0; i < kMembers; ++i) {
      const auto view = members_[i]->find(kDecree);
      text += "acceptor " + std::to_string(i + 1) + " promised " + relative(view->acceptor.promised) + " accepted " +
              relative(view->acceptor.accepted.ballot) + "; ";
    }
    for (size_t i = 0; i < kProposers; ++i) {
      const paxos::Attempt& attempt = proposer(i)->attempts().back();
      text += "proposer " + std::to_string(i + 1) + " at " + relative(attempt.ballot) + " (" +
              std::string(attempt_end_name(attempt.end)) + ", promises " + std::to_string(attempt.promised.size()) +
              ", due in " + milliseconds(proposer(i)->deadline() - now_) + "); ";
    }
    for (const auto& [when, frame] : flight_) {
      const paxos::Message message = paxos::parse_frame(frame.bytes)->message;
      text += "in " + milliseconds(when.first - now_) + " " + std::to_string(number(frame.from)) + "→" +
              std::to_string(number(frame.to)) + " " + std::string(message_name(message.kind)) + " " +
              relative(message.ballot) + " " + relative(message.promised) + "; ";
    }
    return text;
  }

  void look() {
    std::string now = state();
    const auto known = seen_.find(now);
    if (known == seen_.end()) {
      run_.cycles = 0;
      seen_.emplace(std::move(now), now_);
      return;
    }
    if (run_.cycles++ == 0) {
      run_.cycle_begins = known->second;
      run_.state = known->first;
    }
    run_.period = now_ - known->second;
    known->second = now_;
  }

  const FlpOptions options_;
  std::vector<NodeId> acceptors_;
  std::vector<std::unique_ptr<paxos::Decrees>> members_;
  std::map<std::pair<Time, uint64_t>, InFlight> flight_;
  std::map<std::string, Time> seen_;
  uint64_t sequence_ = 0;
  Time now_ = 0;
  FlpRun run_;
};

}  // namespace

FlpRun run_flp(const FlpOptions& options) { return Duel(options).run(); }

}  // namespace clew::sim::lab
