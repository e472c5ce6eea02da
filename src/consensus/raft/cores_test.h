// Cores: several Raft cores in an ideal loop without disk, network or clock, for tests: messages wait in queues until
// they are delivered, dropped or put in another order; records wait until they are written; a crash loses what was not.
// Everything that happens can be written down as text. After each step the invariants of the core and of the group are
// checked; `failure()` keeps the first that broke.
//
// State machine of the cores: the commands delivered, one after the other, with commas.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "consensus/raft/invariants.h"
#include "consensus/raft/raft.h"

namespace clew::consensus::raft {

class Cores {
 public:
  struct Node {
    Options options;
    std::unique_ptr<Raft> core;  // null: down
    std::map<LogSeq, std::string> disk;
    std::deque<std::pair<LogSeq, std::string>> writing;
    LogSeq next = 1;
    std::set<LogSeq> damaged;
    std::vector<Send> waiting;  // for the disk
    std::optional<InstallSnapshot> install;
    std::map<Position, std::pair<SnapshotMeta, std::string>> snapshots;
    std::optional<FetchSnapshot> fetch;
    std::vector<FetchSnapshot> abandoned;                 // replaced by a newer one, and may end all the same
    std::map<LogSeq, std::pair<Epoch, NodeId>> promised;  // term and vote that stand behind a record
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
  Raft& core(NodeId id) { return *node(id).core; }
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
  ReadId read(NodeId id, ReadBarrier barrier = ReadBarrier::kQuorum);
  ProposalId reconfigure(NodeId id, const Membership& target);
  void transfer(NodeId id, NodeId to);

  // --- Disk and process ---
  void write(NodeId id, size_t records = SIZE_MAX);
  void crash(NodeId id, size_t written = 0);  // that many of the records under way make it
  void start(NodeId id);
  void save_snapshot(NodeId id);
  void finish_fetch(NodeId id, bool ok);
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
  const std::optional<std::string>& failure() const { return failure_; }
  GroupCheck& group() { return group_; }

  // Inputs are given inside; effects are carried out behind it.
  void turn(NodeId id, const std::function<void(Raft&)>& inputs);

 private:
  void carry_out(NodeId id, Node& node, Effects& effects);
  void release(Node& node, NodeId id);
  void complete(NodeId id, const FetchSnapshot& fetch, bool ok);
  void say(NodeId id, const std::string& text);
  void fail(std::string why) {
    if (!failure_) failure_ = std::move(why);
  }

  uint64_t seed_;
  Time now_ = kSecond;
  std::map<NodeId, Node> nodes_;
  std::deque<Frame> network_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  uint64_t next_id_ = 1;
  std::function<void(std::string)> trace_;
  std::optional<std::string> failure_;
  GroupCheck group_;
};

}  // namespace clew::consensus::raft
