// Telemetry: what a replica's facts amount to, as metrics and as spans. An Observer; nothing happens unless somebody
// makes one and asks it, and nothing is traced by itself.
//
// Spans are values: whoever wants them in a trace store encodes them (otlp) and decides about sampling further on. The
// trace of a reign (election, become_leader and what concerns leadership) has an id made of cluster and epoch, that of
// an append of cluster and position, that of a decree of single-decree Paxos of cluster and name: so the spans of all
// members that took part meet in one trace although nothing is propagated; those of a PBFT batch and of a checkpoint
// there have one made of its sequence number. Names of spans and metrics: docs/consensus-metrics.md.
//
// On the replica's loop. O(1) a fact; memory: the counters, and at most `max_open` spans that have not ended.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function.h"
#include "base/hash.h"
#include "consensus/fact.h"
#include "consensus/paxos/decree_observer.h"
#include "consensus/peer_transport.h"
#include "consensus/replica.h"

namespace clew::consensus {

// What a protocol's papers call its operations: spans and their attributes are named so.
struct SpanNames {
  std::string_view protocol;   // Protocol::name()
  std::string_view prefix;     // of what is called alike in all of them: "raft", "paxos"
  std::string_view asking;     // whether an election would be won; raises nothing
  std::string_view election;   // its beginning to its end
  std::string_view append;     // of commands, until they are committed; PBFT: a batch, until it is prepared
  std::string_view committed;  // its result then
  std::string_view epoch;      // attributes
  std::string_view position;   // of entries
  bool ballots = false;        // an epoch is a round of one of several proposers
  // PBFT only, else empty.
  std::string_view sequence = {};  // attribute: of batches
  std::string_view commit = {};    // of a batch: from prepared until committed
  std::string_view entered = {};   // an election's result where it made somebody else the leader; empty: it is lost
};
// Raft's for a protocol that is not known. Static storage.
const SpanNames& span_names(std::string_view protocol);

// One operation of the protocol, from when to when.
struct SpanValue {
  std::string name;  // "raft_election"
  Hash128 trace_id;
  uint64_t span_id = 0;
  int64_t start_ns = 0;  // Unix time
  int64_t end_ns = 0;
  std::string_view epoch_name;  // "term", "ballot", "epoch"; static storage, as position_name
  Epoch epoch = 0;
  std::string ballot;  // "2.3": round and proposer, stands for `epoch` where epochs are ballots; else empty
  std::string decree;  // name of an agreement of single-decree Paxos; empty: of the replicated log
  std::string_view position_name;
  Position position = 0;
  NodeId peer = kNobody;
  uint64_t count = 0;       // entries of an append, votes of an election
  std::string_view result;  // "won", "lost", "committed", "overwritten", "done", "refused", "given up", ...
  std::string_view reason;  // static storage; empty: none
  bool failed = false;
};

enum class MetricType : uint8_t { kCounter, kGauge, kHistogramSum, kHistogramCount, kHistogramBucket };
struct MetricValue {
  std::string_view name;  // "clew_consensus_elections_total"; a histogram's without suffix
  std::string_view help;
  MetricType type = MetricType::kCounter;
  std::string labels;  // result="won"; escaped, empty: none
  double value = 0;
};

// Durations in buckets that double, from 100 µs to 100 s.
struct DurationCounts {
  static constexpr size_t kBuckets = 21;
  std::array<uint64_t, kBuckets + 1> counts{};
  double sum_seconds = 0;
  void add(int64_t ns);
  static double bound_seconds(size_t bucket);
};

struct TelemetryOptions {
  std::string_view protocol = "raft";  // Protocol::name(): see span_names()
  uint64_t cluster = 0;
  NodeId self = kNobody;
  // Of the appends, one in so many becomes a span, chosen by position so that members choose the same; 0: none.
  uint64_t append_one_in = 0;
  size_t max_open = 256;
};

class Telemetry final : public Observer, public paxos::DecreeObserver {
 public:
  using Emit = UniqueFunction<void(SpanValue)>;
  // `emit` gets each span when it ends; empty: no spans.
  Telemetry(const env::Clock& clock, TelemetryOptions options, Emit emit);

  void on_fact(const Fact& fact) override;
  void on_applied(Position position, const Entry& entry, std::string_view result) override;
  void on_decree_fact(const Fact& fact) override;
  void on_decree_phase(const std::string& decree, const paxos::PhaseEnd& phase) override;

  // Everything, together with what replica and transport counted themselves.
  std::vector<MetricValue> metrics(const Replica* replica, const PeerTransportStats* transport) const;

 private:
  struct Open {
    SpanValue span;
    Position until = 0;  // of an append: committed when the commit reaches it
    Time since = 0;
  };
  int64_t wall(Time at) const;
  std::string ballot_of(const Fact& fact) const;
  Hash128 trace_id(uint64_t of) const;
  SpanValue begin(std::string_view name, const Fact& fact, uint64_t trace_of) const;
  void finish(SpanValue span, Time at, std::string_view result, bool failed, std::string_view reason = {});
  std::string named(std::string_view what) const;  // "raft_" in front
  void point(std::string_view what, const Fact& fact, std::string_view result, bool failed);
  void end_election(const Fact& fact, std::string_view result, bool failed);
  void discovering(const Fact& fact);
  void end_discovery(const Fact& fact, std::string_view result, bool failed);
  void appended(const Fact& fact);
  void committed(const Fact& fact);
  void overwritten(const Fact& fact);
  struct Batch {  // PBFT
    Time since = 0;
    std::optional<SpanValue> phase;
  };
  void begin_phase(Batch& batch, std::string_view name, const Fact& fact, uint64_t commands);
  bool end_phase(Batch& batch, const Fact& fact, std::string_view result, bool failed, std::string_view reason = {});
  void pre_prepared(const Fact& fact);
  void prepared(const Fact& fact);
  void committed_local(const Fact& fact);
  void leave_view(const Fact& fact);
  void new_view(const Fact& fact);
  void checkpoint_taken(const Fact& fact);
  void checkpoint_stable(const Fact& fact);
  void synchronising(const Fact& fact);
  void end_synchronisations(const Fact& fact);
  bool pbft() const { return !names_.sequence.empty(); }
  uint64_t count(FactKind kind) const { return facts_[static_cast<size_t>(kind)]; }

  const env::Clock& clock_;
  const TelemetryOptions options_;
  const SpanNames& names_;
  Emit emit_;
  uint64_t spans_ = 0;

  std::array<uint64_t, kMaxFactKind + 1> facts_{};
  std::map<std::string_view, uint64_t> messages_refused_;  // by reason
  std::map<std::string_view, uint64_t> synchronised_by_;   // how it began: diff, trunc, snap
  std::map<std::string_view, uint64_t> decree_refusals_;   // by reason
  std::map<std::pair<paxos::PhaseEnd::Phase, std::string_view>, uint64_t> decree_phases_;  // by result
  uint64_t entries_appended_ = 0;
  uint64_t entries_committed_ = 0;
  uint64_t entries_applied_ = 0;
  uint64_t spans_dropped_ = 0;
  DurationCounts election_seconds_;
  DurationCounts commit_seconds_;

  std::optional<Open> election_;   // until somebody leads
  NodeId proposer_ = kNobody;      // of the epoch that the facts name, where epochs are ballots; nobody: not known yet
  bool election_told_ = false;     // its span has ended: somebody was chosen, who has yet to lead
  std::optional<Open> discovery_;  // ZAB: until the epoch is promised
  std::optional<Open> reign_;      // until the first commit; PBFT: a new view, until what it orders anew is committed
  std::deque<Open> appends_;       // by position
  std::optional<Open> change_;
  std::map<NodeId, Open> synchronisations_;  // of followers with this leader's history
  struct Waiting {
    Position until;
    Time since;
  };
  std::deque<Waiting> waiting_;  // appends whose commit is timed

  // PBFT, by sequence number.
  std::map<Position, Batch> batches_;  // accepted and not committed
  size_t open_phases_ = 0;
  std::map<Position, Open> checkpoints_;  // taken and not stable
};

// The exposition format of Prometheus, for one scrape. Values of one name stand together.
std::string to_prometheus(const std::vector<MetricValue>& metrics);

}  // namespace clew::consensus
