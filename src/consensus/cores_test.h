// Cores: several cores of one protocol in an ideal loop without disk, network or clock, for tests: messages wait in
// queues until they are delivered, dropped or put in another order; records wait until they are written; a crash loses
// what was not. Everything that happens can be written down as text. After each step the invariants of the core and of
// the group are checked; `failure()` keeps the first that broke.
//
// `Play` names the protocol: Core, Options, Promise (what a crash must not take back), promise(core), keeps(before,
// after), and how records and frames read as text.
//
// State machine of the cores: the commands delivered, one after the other, with commas.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/sha256.h"
#include "consensus/protocol.h"
#include "consensus/raft/invariants.h"

namespace clew::consensus {

// What an entry says, for transcripts.
inline std::string describe_entry(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::kNoop:
      return "noop";
    case EntryKind::kCommand:
      return "\"" + std::string(entry.payload.view()) + "\"";
    case EntryKind::kMembership: {
      const Result<Membership> membership = Membership::parse(entry.payload.view());
      return "members " + (membership.ok() ? membership->to_string() : "malformed");
    }
  }
  return "?";
}

// What judges the group: Play::Group, or what Raft's papers and ZAB's have in common.
template <typename Play, typename = void>
struct GroupOf {
  using type = raft::GroupCheck;
};
template <typename Play>
struct GroupOf<Play, std::void_t<typename Play::Group>> {
  using type = typename Play::Group;
};

template <typename Play>
class Cores {
 public:
  using Group = typename GroupOf<Play>::type;
  using Core = typename Play::Core;
  using Options = typename Play::Options;
  using Promise = typename Play::Promise;

  struct Node {
    Options options;
    std::unique_ptr<Core> core;  // null: down
    std::map<LogSeq, std::string> disk;
    std::deque<std::pair<LogSeq, std::string>> writing;
    LogSeq next = 1;
    std::set<LogSeq> damaged;
    std::vector<Send> waiting;  // for the disk
    std::optional<InstallSnapshot> install;
    std::map<Position, std::pair<SnapshotMeta, std::string>> snapshots;
    // Effects::snapshot_at: the state as it stood there, until it is saved.
    std::optional<std::pair<SnapshotMeta, std::string>> saving;
    std::deque<VerifyRequest> verifying;
    Membership membership;  // as delivered
    std::optional<FetchSnapshot> fetch;
    std::vector<FetchSnapshot> abandoned;  // replaced by a newer one, and may end all the same
    std::map<LogSeq, Promise> promised;    // what stands behind a record
    std::string state;
    Position applied = 0;
    Epoch applied_epoch = 0;
    uint64_t incarnation = 0;
    std::vector<ReadReady> reads;
    std::vector<ReadRefused> reads_refused;
    std::vector<ProposalPlaced> placed;
    std::vector<ProposalRefused> refused;
    std::optional<std::string> halted;
  };
  struct Frame {
    NodeId from;
    NodeId to;
    std::string bytes;
  };

  explicit Cores(uint64_t seed = 1) : seed_(seed) {}

  // A node that begins with an empty disk.
  void add(Options options);
  Node& node(NodeId id) { return nodes_.at(id); }
  Core& core(NodeId id) { return *node(id).core; }
  std::map<NodeId, Node>& nodes() { return nodes_; }
  bool up(NodeId id) { return node(id).core != nullptr && !node(id).halted; }

  // --- Time ---
  Time now() const { return now_; }
  void advance(Time by) { now_ += by; }
  void tick(NodeId id);
  void timeout(NodeId id);  // to the node's own deadline
  // All nodes in the order of their deadlines, with everything delivered in between.
  void run(Time duration);

  // --- Clients ---
  ProposalId propose(NodeId id, const std::string& command);
  std::vector<ProposalId> propose(NodeId id, const std::vector<std::string>& commands);  // in one turn
  ReadId read(NodeId id, ReadBarrier barrier = ReadBarrier::kQuorum);
  ProposalId reconfigure(NodeId id, const Membership& target);
  void transfer(NodeId id, NodeId to);

  // --- Disk and process ---
  void write(NodeId id, size_t records = SIZE_MAX);
  void crash(NodeId id, size_t written = 0);  // that many of the records under way make it
  void start(NodeId id);
  void save_snapshot(NodeId id);
  void save_wanted_snapshot(NodeId id);  // the one that the core asked for
  void finish_fetch(NodeId id, bool ok);
  void hold_fetches(bool hold) { hold_fetches_ = hold; }  // else settle() finishes them
  // Signatures: the answer to the oldest question, or to all; at once unless a test holds them back.
  void verify(NodeId id, size_t at_most = SIZE_MAX);
  void hold_verifications(bool hold) { hold_verifications_ = hold; }
  void finish_abandoned_fetch(NodeId id);
  void connection(NodeId id, NodeId peer, bool up);

  // --- Network ---
  std::deque<Frame>& network() { return network_; }
  void cut(NodeId a, NodeId b) { cut_.insert({a, b}); }  // one way
  void heal() { cut_.clear(); }
  void deliver(size_t at);  // the frame with this number in the queue
  // Frames of one link; kNobody is any.
  size_t deliver(NodeId from, NodeId to, size_t at_most = SIZE_MAX);
  size_t drop(NodeId from, NodeId to);
  void settle();  // writes, fetches and delivers until nothing moves

  NodeId leader() const;  // the one of the highest term; nobody
  void trace_to(std::function<void(std::string)> trace) { trace_ = std::move(trace); }
  void facts_to(std::function<void(NodeId, const Fact&)> on_fact) { on_fact_ = std::move(on_fact); }
  const std::optional<std::string>& failure() const { return failure_; }
  Group& group() { return group_; }

  // Inputs are given inside; effects are carried out behind it.
  void turn(NodeId id, const std::function<void(Core&)>& inputs);

 private:
  static std::string name(NodeId id) { return std::to_string(number(id)); }
  void carry_out(NodeId id, Node& node, Effects& effects);
  void release(Node& node, NodeId id);
  void complete(NodeId id, const FetchSnapshot& fetch, bool ok);
  void note_snapshot(Node& node, Position wanted);
  void say(NodeId id, const std::string& text);
  void fail(std::string why) {
    if (!failure_) failure_ = std::move(why);
  }

  uint64_t seed_;
  Time now_ = kSecond;
  std::map<NodeId, Node> nodes_;
  std::deque<Frame> network_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  bool hold_fetches_ = false;
  bool hold_verifications_ = false;
  uint64_t next_id_ = 1;
  std::function<void(std::string)> trace_;
  std::function<void(NodeId, const Fact&)> on_fact_;
  std::optional<std::string> failure_;
  Group group_;
};

template <typename Play>
void Cores<Play>::say(NodeId id, const std::string& text) {
  if (trace_) trace_(name(id) + ": " + text);
}

template <typename Play>
void Cores<Play>::add(Options options) {
  const NodeId id = options.self;
  if constexpr (requires { Play::complete(options); }) Play::complete(options);
  nodes_[id].options = std::move(options);
  start(id);
}

template <typename Play>
void Cores<Play>::start(NodeId id) {
  Node& node = nodes_.at(id);
  node.core = std::make_unique<Core>(node.options, seed_ * 1000 + number(id) * 10 + node.incarnation++);
  node.halted.reset();
  LogSeq gap = 0;
  const auto close_gap = [&](LogSeq last) {
    if (gap != 0) CHECK(node.core->recover_gap(gap, last).ok());
    gap = 0;
  };
  for (const auto& [seq, record] : node.disk) {
    if (node.damaged.count(seq) > 0) {
      if (gap == 0) gap = seq;
      continue;
    }
    close_gap(seq - 1);
    if (const Status status = node.core->recover(seq, record); !status.ok()) {
      say(id, "cannot recover: " + std::string(status.message()));
      node.halted = std::string(status.message());
      node.core.reset();
      return;
    }
  }
  close_gap(node.next - 1);
  const SnapshotMeta wanted = node.core->recovered_snapshot();
  const auto found = node.snapshots.find(wanted.position);
  const bool have = wanted.position == 0 || (found != node.snapshots.end() && found->second.first == wanted);
  node.state = have && wanted.position > 0 ? found->second.second : "";
  node.membership = wanted.membership;
  node.applied = have ? wanted.position : 0;
  node.applied_epoch = have ? wanted.epoch : 0;
  turn(id, [&](Core& core) { core.start(now_, node.next, have); });
  if (!up(id) || node.promised.empty()) return;
  // Nothing that was promised is taken back by a crash.
  const Promise& before = node.promised.rbegin()->second;
  const Promise after = Play::promise(*node.core);
  if (!Play::keeps(before, after)) {
    fail("node " + name(id) + " promised " + Play::describe(before) + ", and restarted with " + Play::describe(after));
  }
}

template <typename Play>
void Cores<Play>::turn(NodeId id, const std::function<void(Core&)>& inputs) {
  Node& node = nodes_.at(id);
  if (node.core == nullptr || node.halted) return;
  inputs(*node.core);
  Effects effects;
  node.core->collect(now_, effects);
  carry_out(id, node, effects);
  if (node.core == nullptr || node.halted) return;
  if (const Status status = group_.check(id, *node.core); !status.ok()) {
    say(id, "BROKEN " + std::string(status.message()));
    fail(std::string(status.message()));
  }
  if (!hold_verifications_) verify(id);
}

template <typename Play>
void Cores<Play>::verify(NodeId id, size_t at_most) {
  if constexpr (requires(const VerifyRequest& r) { Play::verify(r); }) {
    Node& node = nodes_.at(id);
    for (; up(id) && at_most > 0 && !node.verifying.empty(); --at_most) {
      const VerifyRequest request = std::move(node.verifying.front());
      node.verifying.pop_front();
      node.core->verified(now_, request.id, Play::verify(request));
      if (at_most == 1 || node.verifying.empty()) {
        turn(id, [](Core&) {});
        return;
      }
    }
  }
}

template <typename Play>
void Cores<Play>::carry_out(NodeId id, Node& node, Effects& effects) {
  for (const Fact& f : effects.facts) {
    say(id, to_string(f));
    if (on_fact_) on_fact_(id, f);
  }
  if (effects.halt) {
    say(id, "HALT " + *effects.halt);
    node.halted = *effects.halt;
    return;
  }
  for (std::string& record : effects.records) {
    say(id, "record " + std::to_string(node.next) + ": " + Play::describe_record(record));
    node.writing.emplace_back(node.next++, std::move(record));
  }
  for (Send& send : effects.sends) {
    say(id, "-> " + name(send.to) + " " + Play::describe_frame(send.frame) +
                (send.after == 0 ? "" : " after record " + std::to_string(send.after)));
    if (send.after >= node.next) fail("node " + name(id) + " waits for a record that is not there");
    node.waiting.push_back(std::move(send));
  }
  if (effects.install) node.install = effects.install;
  if (effects.install) {
    // Deliveries of this turn follow the snapshot; its bytes were fetched.
    const auto& [meta, state] = node.snapshots[effects.install->meta.position];
    if (meta != effects.install->meta) fail("node " + name(id) + " installs a snapshot that it did not fetch");
    if (meta.position < node.applied) fail("node " + name(id) + " went back to an older snapshot");
    node.state = state;
    node.applied = meta.position;
    node.applied_epoch = meta.epoch;
    node.membership = meta.membership;
    say(id, "installs " + std::to_string(meta.position) + " after record " + std::to_string(effects.install->after));
  }
  note_snapshot(node, effects.snapshot_at);
  for (const Delivery& delivery : effects.deliveries) {
    if (delivery.position != node.applied + 1) {
      fail("node " + name(id) + " delivers " + std::to_string(delivery.position) + " after " +
           std::to_string(node.applied));
    }
    node.applied = delivery.position;
    node.applied_epoch = delivery.entry.epoch;
    if (delivery.entry.kind == EntryKind::kCommand) {
      node.state += std::string(delivery.entry.payload.view()) + ",";
    } else if (delivery.entry.kind == EntryKind::kMembership) {
      node.membership = Membership::parse(delivery.entry.payload.view()).value();
    }
    note_snapshot(node, effects.snapshot_at);
    say(id, "applies " + std::to_string(delivery.position) + "/" + std::to_string(delivery.entry.epoch) + " " +
                describe_entry(delivery.entry));
  }
  const auto handle = [](auto proposal) { return "#" + std::to_string(static_cast<uint64_t>(proposal)); };
  for (const ProposalPlaced& placed : effects.placed) {
    say(id, "placed " + handle(placed.id) + " at " + std::to_string(placed.position));
    node.placed.push_back(placed);
  }
  for (const ProposalRefused& refused : effects.refused) {
    say(id, "refused " + handle(refused.id) + " " + std::string(refusal_name(refused.why)) +
                (refused.leader == kNobody ? "" : " leader=" + name(refused.leader)));
    node.refused.push_back(refused);
  }
  for (const ReadReady& read : effects.reads) {
    say(id, "read " + handle(read.id) + " may be answered at " + std::to_string(read.position));
    node.reads.push_back(read);
  }
  for (const ReadRefused& read : effects.reads_refused) {
    say(id, "read " + handle(read.id) + " refused: " + std::string(refusal_name(read.why)));
    node.reads_refused.push_back(read);
  }
  for (VerifyRequest& request : effects.verifications) node.verifying.push_back(std::move(request));
  if (effects.cancel_fetch) {
    say(id, "cancels the fetch");
    node.fetch.reset();
  }
  if (!effects.records.empty()) {
    node.promised[node.next - 1] = Play::promise(*node.core);
  }
  if (effects.fetch) {
    if (node.fetch) node.abandoned.push_back(*node.fetch);
    say(id, "fetches snapshot " + std::to_string(effects.fetch->meta.position) + " from " + name(effects.fetch->from));
    node.fetch = effects.fetch;
  }
  if (effects.release_below > 0) {
    say(id, "releases records below " + std::to_string(effects.release_below));
    node.disk.erase(node.disk.begin(), node.disk.lower_bound(effects.release_below));
  }
  release(node, id);
}

template <typename Play>
void Cores<Play>::release(Node& node, NodeId id) {
  const LogSeq durable = node.writing.empty() ? node.next - 1 : node.writing.front().first - 1;
  std::vector<Send> left;
  for (Send& send : node.waiting) {
    if (send.after > durable) {
      left.push_back(std::move(send));
    } else if (cut_.count({id, send.to}) == 0) {
      network_.push_back({id, send.to, std::move(send.frame)});
    }
  }
  node.waiting = std::move(left);
}

// The core wants the state saved as it is now.
template <typename Play>
void Cores<Play>::note_snapshot(Node& node, Position wanted) {
  if (wanted == 0 || node.applied != wanted || node.saving) return;
  node.saving.emplace(SnapshotMeta{wanted, node.applied_epoch, node.membership, node.state.size(), sha256(node.state)},
                      node.state);
}

template <typename Play>
void Cores<Play>::save_wanted_snapshot(NodeId id) {
  Node& node = nodes_.at(id);
  if (!up(id) || !node.saving || node.core->report().durable_position < node.saving->first.position) return;
  const auto saved = std::move(*node.saving);
  node.saving.reset();
  node.snapshots[saved.first.position] = saved;
  say(id, "has saved the state at " + std::to_string(saved.first.position));
  turn(id, [&](Core& core) { core.snapshot_saved(now_, saved.first); });
}

template <typename Play>
void Cores<Play>::tick(NodeId id) {
  turn(id, [&](Core& core) { core.tick(now_); });
}

template <typename Play>
void Cores<Play>::timeout(NodeId id) {
  now_ = std::max(now_, core(id).deadline());
  tick(id);
}

template <typename Play>
void Cores<Play>::run(Time duration) {
  const Time end = now_ + duration;
  settle();
  while (true) {
    NodeId next = kNobody;
    Time due = end;
    for (auto& [id, node] : nodes_) {
      if (up(id) && node.core->deadline() < due) {
        due = node.core->deadline();
        next = id;
      }
    }
    if (next == kNobody) break;
    now_ = std::max(now_, due);
    tick(next);
    settle();
  }
  now_ = end;
}

template <typename Play>
ProposalId Cores<Play>::propose(NodeId id, const std::string& command) {
  const ProposalId proposal{next_id_++};
  turn(id, [&](Core& core) { core.propose(now_, proposal, Payload(command)); });
  return proposal;
}

template <typename Play>
std::vector<ProposalId> Cores<Play>::propose(NodeId id, const std::vector<std::string>& commands) {
  std::vector<ProposalId> proposals;
  for (size_t i = 0; i < commands.size(); ++i) proposals.push_back(ProposalId{next_id_++});
  turn(id, [&](Core& core) {
    for (size_t i = 0; i < commands.size(); ++i) core.propose(now_, proposals[i], Payload(commands[i]));
  });
  return proposals;
}

template <typename Play>
ReadId Cores<Play>::read(NodeId id, ReadBarrier barrier) {
  const ReadId read{next_id_++};
  turn(id, [&](Core& core) { core.read(now_, read, barrier); });
  return read;
}

template <typename Play>
ProposalId Cores<Play>::reconfigure(NodeId id, const Membership& target) {
  const ProposalId proposal{next_id_++};
  turn(id, [&](Core& core) { core.reconfigure(now_, proposal, target); });
  return proposal;
}

template <typename Play>
void Cores<Play>::transfer(NodeId id, NodeId to) {
  turn(id, [&](Core& core) { core.transfer(now_, to); });
}

template <typename Play>
void Cores<Play>::write(NodeId id, size_t records) {
  Node& node = nodes_.at(id);
  if (!up(id) || node.writing.empty() || records == 0) return;
  LogSeq durable = 0;
  for (size_t i = 0; i < records && !node.writing.empty(); ++i) {
    durable = node.writing.front().first;
    node.disk.insert(std::move(node.writing.front()));
    node.writing.pop_front();
  }
  say(id, "durable " + std::to_string(durable));
  turn(id, [&](Core& core) { core.durable(now_, durable); });
}

template <typename Play>
void Cores<Play>::crash(NodeId id, size_t written) {
  Node& node = nodes_.at(id);
  node.core.reset();
  for (size_t i = 0; i < written && !node.writing.empty(); ++i) {
    node.disk.insert(std::move(node.writing.front()));
    node.writing.pop_front();
  }
  if (!node.writing.empty()) node.next = node.writing.front().first;
  node.writing.clear();
  node.waiting.clear();
  node.install.reset();
  node.saving.reset();
  node.verifying.clear();
  node.fetch.reset();
  node.abandoned.clear();
  node.promised.erase(node.promised.lower_bound(node.next), node.promised.end());
  node.state.clear();
  node.applied = 0;
  group_.crashed(id);
}

template <typename Play>
void Cores<Play>::save_snapshot(NodeId id) {
  Node& node = nodes_.at(id);
  if (!up(id) || node.applied == 0 || node.core->report().durable_position < node.applied) return;
  SnapshotMeta meta;
  meta.position = node.applied;
  meta.epoch = node.applied_epoch;
  meta.bytes = node.state.size();
  meta.digest = sha256(node.state);
  if (node.core->report().snapshot.position >= meta.position) return;
  if constexpr (requires { Play::kChoosesSnapshots; }) return save_wanted_snapshot(id);
  const std::string state = node.state;  // deliveries of the same turn come on top
  turn(id, [&](Core& core) { core.snapshot_saved(now_, meta); });
  // The core completes the description with the membership.
  if (up(id)) node.snapshots[meta.position] = {core(id).report().snapshot, state};
}

template <typename Play>
void Cores<Play>::complete(NodeId id, const FetchSnapshot& fetch, bool ok) {
  Node& node = nodes_.at(id);
  const auto from = nodes_.find(fetch.from);
  if (ok && from != nodes_.end()) {
    const auto found = from->second.snapshots.find(fetch.meta.position);
    ok = found != from->second.snapshots.end() && found->second.first == fetch.meta;
    if (ok) node.snapshots[fetch.meta.position] = found->second;
  }
  turn(id, [&](Core& core) { core.snapshot_fetched(now_, fetch.meta, ok); });
}

template <typename Play>
void Cores<Play>::finish_fetch(NodeId id, bool ok) {
  Node& node = nodes_.at(id);
  if (!up(id) || !node.fetch) return;
  const FetchSnapshot fetch = *node.fetch;
  node.fetch.reset();
  complete(id, fetch, ok);
}

template <typename Play>
void Cores<Play>::finish_abandoned_fetch(NodeId id) {
  Node& node = nodes_.at(id);
  if (!up(id) || node.abandoned.empty()) return;
  const FetchSnapshot fetch = node.abandoned.back();
  node.abandoned.pop_back();
  complete(id, fetch, true);
}

template <typename Play>
void Cores<Play>::connection(NodeId id, NodeId peer, bool is_up) {
  turn(id, [&](Core& core) { core.connection(now_, peer, is_up); });
}

template <typename Play>
void Cores<Play>::deliver(size_t at) {
  const Frame frame = std::move(network_[at]);
  network_.erase(network_.begin() + static_cast<ptrdiff_t>(at));
  if (nodes_.count(frame.to) == 0 || !up(frame.to) || cut_.count({frame.from, frame.to}) > 0) return;
  turn(frame.to, [&](Core& core) { core.receive(now_, frame.from, frame.bytes); });
}

template <typename Play>
size_t Cores<Play>::deliver(NodeId from, NodeId to, size_t at_most) {
  size_t delivered = 0;
  std::vector<size_t> chosen;
  for (size_t i = 0; i < network_.size() && chosen.size() < at_most; ++i) {
    const Frame& frame = network_[i];
    if ((from == kNobody || frame.from == from) && (to == kNobody || frame.to == to)) chosen.push_back(i);
  }
  // Only what was there at the beginning; answers wait.
  for (size_t index : chosen) deliver(index - delivered++);
  return delivered;
}

template <typename Play>
size_t Cores<Play>::drop(NodeId from, NodeId to) {
  return std::erase_if(network_, [&](const Frame& frame) {
    return (from == kNobody || frame.from == from) && (to == kNobody || frame.to == to);
  });
}

template <typename Play>
void Cores<Play>::settle() {
  for (int round = 0; round < 10'000; ++round) {
    bool moved = false;
    for (auto& [id, node] : nodes_) {
      if (!node.writing.empty() && up(id)) {
        write(id);
        moved = true;
      }
      if (node.fetch && up(id) && !hold_fetches_) {
        finish_fetch(id, true);
        moved = true;
      }
      if (node.saving && up(id)) {
        save_wanted_snapshot(id);
        moved = moved || !node.saving;
      }
      if (!node.verifying.empty() && up(id)) {
        verify(id);
        moved = true;
      }
      if (up(id) && node.core->deadline() <= now_ && node.core->report().delivered < node.core->report().committed) {
        tick(id);
        moved = true;
      }
    }
    while (!network_.empty()) {
      deliver(size_t{0});
      moved = true;
    }
    if (!moved) return;
  }
  fail("the cores do not come to rest");
}

template <typename Play>
NodeId Cores<Play>::leader() const {
  NodeId best = kNobody;
  Epoch term = 0;
  for (const auto& [id, node] : nodes_) {
    if (node.core == nullptr || node.halted) continue;
    const Report report = node.core->report();
    if (report.standing == Standing::kLeader && report.epoch > term) {
      best = id;
      term = report.epoch;
    }
  }
  return best;
}

}  // namespace clew::consensus
