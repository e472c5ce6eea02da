// Synod: members of single-decree Paxos in an ideal loop without disk, network or clock, for tests: frames wait until
// they are delivered, dropped or put in another order; records wait until they are written; a crash loses what was not.
// Everything that happens can be written down as text, and is judged after each step (invariants.h).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "consensus/paxos/decrees.h"
#include "consensus/paxos/invariants.h"

namespace clew::consensus::paxos {

class Synod {
 public:
  struct Node {
    DecreesOptions options;
    std::unique_ptr<Decrees> core;  // null: down
    std::map<LogSeq, std::string> disk;
    std::deque<std::pair<LogSeq, std::string>> writing;
    std::vector<Send> waiting;  // for the disk
    LogSeq next = 1;
  };
  struct InFlight {
    NodeId from;
    NodeId to;
    std::string bytes;
  };

  explicit Synod(size_t members, DecreesOptions options = {}, uint64_t seed = 1) : seed_(seed) {
    for (uint64_t id = 1; id <= members; ++id) acceptors_.push_back(NodeId{id});
    for (const NodeId id : acceptors_) {
      options.self = id;
      nodes_[id].options = options;
      start(id);
    }
  }

  Node& node(NodeId id) { return nodes_.at(id); }
  std::map<NodeId, Node>& nodes() { return nodes_; }
  const std::vector<NodeId>& acceptors() const { return acceptors_; }
  bool up(NodeId id) { return node(id).core != nullptr; }
  Time now() const { return now_; }
  void advance(Time by) { now_ += by; }
  std::deque<InFlight>& network() { return network_; }
  DecreeCheck& check() { return check_; }
  const std::optional<std::string>& failure() const { return failure_; }
  void trace_to(std::function<void(std::string)> trace) { trace_ = std::move(trace); }

  Status propose(NodeId id, const std::string& decree, const std::string& value) {
    check_.wished(decree, value);
    const Status status = node(id).core->propose(now_, decree, acceptors_, value);
    step(id);
    return status;
  }
  void tick(NodeId id) {
    if (!up(id)) return;
    node(id).core->tick(now_);
    step(id);
  }
  // To the node's own deadline.
  void timeout(NodeId id) {
    if (up(id) && node(id).core->deadline() != kNever) now_ = std::max(now_, node(id).core->deadline());
    tick(id);
  }

  void write(NodeId id, size_t records = SIZE_MAX) {
    Node& n = node(id);
    for (; records > 0 && !n.writing.empty(); --records) {
      n.disk.insert(std::move(n.writing.front()));
      n.writing.pop_front();
    }
    release(id);
  }
  void crash(NodeId id) {
    Node& n = node(id);
    n.core.reset();
    n.waiting.clear();
    n.writing.clear();
    n.next = n.disk.empty() ? 1 : n.disk.rbegin()->first + 1;
    say(id, "crashes");
  }
  void start(NodeId id) {
    Node& n = node(id);
    n.core = std::make_unique<Decrees>(n.options, seed_ * 1'000 + number(id) * 10 + ++starts_);
    for (const auto& [seq, record] : n.disk) judge(n.core->recover(seq, record));
    judge(check_.recovered(id, *n.core));
    n.core->start(n.next);
    step(id);
  }
  void damage(NodeId id) { node(id).core->recover_gap(); }

  void deliver(size_t at) {
    InFlight frame = std::move(network_[at]);
    network_.erase(network_.begin() + static_cast<ptrdiff_t>(at));
    if (!up(frame.to)) return;
    say(frame.to, "hears " + std::to_string(number(frame.from)) + ": " + text(frame.bytes));
    node(frame.to).core->receive(now_, frame.from, frame.bytes);
    step(frame.to);
  }
  // Of one link; kNobody is any. How many there were.
  size_t deliver(NodeId from, NodeId to) {
    return each(from, to, [&](size_t at) { deliver(at); });
  }
  size_t drop(NodeId from, NodeId to) {
    return each(from, to, [&](size_t at) { network_.erase(network_.begin() + static_cast<ptrdiff_t>(at)); });
  }
  // Writes and delivers until nothing moves.
  void settle() {
    for (bool moved = true; moved && !failure_;) {
      moved = false;
      for (auto& [id, n] : nodes_) {
        moved |= !n.writing.empty();
        if (n.core != nullptr) write(id);
      }
      while (!network_.empty() && !failure_) {
        moved = true;
        deliver(size_t{0});
      }
    }
  }

  const std::optional<Proposal>& chosen(NodeId id, const std::string& decree) {
    static const std::optional<Proposal> nothing;
    if (!up(id)) return nothing;
    const auto view = node(id).core->find(decree);
    return view ? view->chosen : nothing;
  }

 private:
  static std::string text(const std::string& bytes) { return to_string(parse_frame(bytes)->message); }

  template <typename F>
  size_t each(NodeId from, NodeId to, F act) {
    size_t count = 0;
    const size_t before = network_.size();
    for (size_t looked = 0, at = 0; looked < before && at < network_.size(); ++looked) {
      const InFlight& frame = network_[at];
      const bool chosen = (from == kNobody || frame.from == from) && (to == kNobody || frame.to == to);
      if (!chosen) {
        ++at;
        continue;
      }
      act(at);
      ++count;
    }
    return count;
  }
  void step(NodeId id) {
    Node& n = node(id);
    Effects effects;
    if (n.core->wants_compaction()) n.core->compact();
    n.core->collect(effects);
    for (std::string& record : effects.records) n.writing.emplace_back(n.next++, std::move(record));
    for (Send& send : effects.sends) n.waiting.push_back(std::move(send));
    for (const Fact& fact : effects.facts) say(id, to_string(fact));
    if (effects.release_below != 0) n.disk.erase(n.disk.begin(), n.disk.lower_bound(effects.release_below));
    release(id);
    judge(check_.after_event(id, *n.core));
  }
  void release(NodeId id) {
    Node& n = node(id);
    const LogSeq durable = n.writing.empty() ? n.next - 1 : n.writing.front().first - 1;
    std::vector<Send> still;
    for (Send& send : n.waiting) {
      if (send.after > durable) {
        still.push_back(std::move(send));
        continue;
      }
      say(id, "tells " + std::to_string(number(send.to)) + ": " + text(send.frame));
      judge(check_.on_sent(id, send.frame));
      network_.push_back({id, send.to, std::move(send.frame)});
    }
    n.waiting = std::move(still);
  }
  void judge(const Status& status) {
    if (!status.ok() && !failure_) failure_ = std::string(status.message());
  }
  void say(NodeId id, const std::string& what) {
    if (trace_) trace_(std::to_string(number(id)) + " " + what);
  }

  uint64_t seed_;
  uint64_t starts_ = 0;
  std::vector<NodeId> acceptors_;
  std::map<NodeId, Node> nodes_;
  std::deque<InFlight> network_;
  Time now_ = 0;
  DecreeCheck check_;
  std::optional<std::string> failure_;
  std::function<void(std::string)> trace_;
};

}  // namespace clew::consensus::paxos
