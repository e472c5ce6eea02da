// What the core itself costs: three cores in one process, effects handed over by hand, a disk and a network that are
// instant. One iteration commits one batch on all of them; the figures of real processes are in docs/benchmarks.md.
#include <benchmark/benchmark.h>

#include "consensus/raft/raft.h"

namespace clew::consensus {
namespace {

class Ideal {
 public:
  explicit Ideal(uint64_t size) {
    std::vector<NodeId> ids;
    for (uint64_t i = 1; i <= size; ++i) ids.push_back(NodeId{i});
    for (NodeId id : ids) {
      raft::Options options;
      options.self = id;
      options.founding = Membership::of_voters(ids);
      nodes_.push_back({std::make_unique<Raft>(options, number(id)), 0});
      nodes_.back().core->start(now_, 1, true);
    }
    now_ = nodes_[0].core->deadline();
    nodes_[0].core->tick(now_);
    settle();
  }
  bool ready() const { return nodes_[0].core->report().standing == Standing::kLeader; }

  uint64_t commit(const Payload& command, int64_t batch) {
    Raft& leader = *nodes_[0].core;
    for (int64_t i = 0; i < batch; ++i) leader.propose(now_, ProposalId{++proposals_}, command);
    const uint64_t before = delivered_;
    settle();
    if (++batches_ % 64 == 0) compact();
    return delivered_ - before;
  }
  uint64_t frames() const { return frames_; }

 private:
  struct Node {
    std::unique_ptr<Raft> core;
    LogSeq written;
  };
  void settle() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (size_t i = 0; i < nodes_.size(); ++i) {
        Node& node = nodes_[i];
        effects_.clear();
        node.core->collect(now_, effects_);
        if (!effects_.records.empty()) {
          node.written += effects_.records.size();
          node.core->durable(now_, node.written);
          moved = true;
        }
        if (i == 0) delivered_ += effects_.deliveries.size();
        for (const Send& send : effects_.sends) {
          ++frames_;
          moved = true;
          nodes_[number(send.to) - 1].core->receive(now_, NodeId{i + 1}, send.frame);
        }
        moved |= node.core->report().delivered < node.core->report().committed;
      }
    }
  }
  void compact() {
    for (Node& node : nodes_) {
      const Report report = node.core->report();
      node.core->snapshot_saved(now_, {report.delivered, report.epoch, {}, 0, {}});
    }
    settle();
  }

  Time now_ = kSecond;
  std::vector<Node> nodes_;
  Effects effects_;
  uint64_t proposals_ = 0;
  uint64_t delivered_ = 0;
  uint64_t frames_ = 0;
  uint64_t batches_ = 0;
};

void raft_commit(benchmark::State& state) {
  Ideal group(static_cast<uint64_t>(state.range(0)));
  if (!group.ready()) {
    state.SkipWithError("no leader was elected");
    return;
  }
  const Payload command(std::string(static_cast<size_t>(state.range(2)), 'x'));
  uint64_t committed = 0;
  for (auto _ : state) committed += group.commit(command, state.range(1));
  state.SetItemsProcessed(static_cast<int64_t>(committed));
  state.counters["frames/command"] = static_cast<double>(group.frames()) / static_cast<double>(committed);
}
BENCHMARK(raft_commit)
    ->ArgNames({"nodes", "batch", "bytes"})
    ->Args({3, 1, 256})
    ->Args({3, 64, 256})
    ->Args({3, 1000, 256})
    ->Args({5, 64, 256})
    ->Args({7, 64, 256})
    ->Args({3, 64, 4096});

}  // namespace
}  // namespace clew::consensus
