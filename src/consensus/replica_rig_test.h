// For the tests of the replica: a group of one with a protocol that is as simple as can be, a state machine that
// remembers its commands, and a transport that remembers its frames, all on simulated time and disk.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/varint.h"
#include "consensus/replica.h"
#include "sim/disk.h"
#include "sim/loop.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace clew::consensus {

// Appends every command to a list; answers with how many there are. Reads: "count", "last".
class ListMachine final : public StateMachine {
 public:
  std::string apply(const Applied& at, std::string_view command) override {
    list.emplace_back(command);
    times.push_back(at.time_ns);
    digest_ = mix64(digest_, stable_hash64(command));
    return std::to_string(list.size());
  }
  std::string query(std::string_view request) const override {
    if (request == "last") return list.empty() ? "" : list.back();
    return std::to_string(list.size());
  }
  UniqueFunction<Status(SnapshotSink&)> freeze() override {
    return [copy = list](SnapshotSink& sink) -> Status {
      for (const std::string& command : copy) {
        std::string item;
        append_bytes(item, command);
        CLEW_TRY(sink.write(item));
      }
      return {};
    };
  }
  Status restore(SnapshotSource& source) override {
    std::string all;
    for (;;) {
      CLEW_ASSIGN(const std::string_view bytes, source.read());
      if (bytes.empty()) break;
      all.append(bytes);
    }
    list.clear();
    times.clear();
    digest_ = 0;
    ByteReader in(all);
    while (!in.at_end()) {
      const std::string_view command = in.prefixed_bytes();
      if (!in.ok()) return Error{Code::kDataLoss, "a list that ends in the middle"};
      list.emplace_back(command);
      digest_ = mix64(digest_, stable_hash64(command));
    }
    return {};
  }
  Hash128 digest() const override { return {digest_, list.size()}; }

  std::vector<std::string> list;
  std::vector<int64_t> times;  // of those applied by this run

 private:
  uint64_t digest_ = 0;
};

// A group of one. An entry is committed when its record is durable; each also makes a frame to node 2 that may leave
// only then. Records: 'E' position entry, 'S' snapshot.
class SoloProtocol final : public Protocol {
 public:
  struct Script {
    std::vector<Membership> unused;
    bool in_force = true;  // what was delivered last
    bool leads = true;     // else every request is refused with node 7 as the leader
    std::string frame_to_peer = "written";
  };
  explicit SoloProtocol(std::shared_ptr<Script> script) : script_(std::move(script)) {
    membership_ = Membership::of_voters({NodeId{1}});
    base_.membership = membership_;
  }

  std::string_view name() const override { return "solo"; }
  Status recover(LogSeq seq, std::string_view record) override {
    if (record.empty()) return Error{Code::kDataLoss, "an empty record"};
    std::string_view rest = record.substr(1);
    if (record[0] == 'S') {
      CLEW_ASSIGN(base_, SnapshotMeta::parse(rest));
      std::erase_if(log_, [&](const auto& item) { return item.first <= base_.position; });
      return {};
    }
    ByteReader in(rest);
    const Position position = in.varint();
    const auto kind = static_cast<EntryKind>(in.fixed<uint8_t>());
    if (position > base_.position) {
      log_[position] = {seq, {1, kind, Payload(std::string(in.bytes(in.remaining())))}};
    }
    return {};
  }
  Status recover_gap(LogSeq first, LogSeq last) override {
    gaps.emplace_back(first, last);
    return {};
  }
  SnapshotMeta recovered_snapshot() const override { return base_; }
  void start(Time, LogSeq next, bool have_snapshot) override {
    next_ = next;
    had_snapshot = have_snapshot;
    durable_ = next - 1;
    delivered_ = have_snapshot ? base_.position : 0;
    last_ = std::max(base_.position, log_.empty() ? 0 : log_.rbegin()->first);
  }

  void tick(Time now) override {
    ++ticks;
    deadline_ = now + kSecond;
  }
  void receive(Time, NodeId from, std::string_view frame) override {
    received.emplace_back(from, std::string(frame));
    if (frame.substr(0, 5) == "write") add(EntryKind::kNoop, Payload(std::string(frame)), {});
  }
  void propose(Time, ProposalId id, Payload command) override {
    if (!script_->leads) return refused_.push_back({id, Refusal::kNotLeader, NodeId{7}});
    add(EntryKind::kCommand, std::move(command), id);
  }
  void read(Time, ReadId id, ReadBarrier) override {
    if (!script_->leads) return reads_refused_.push_back({id, Refusal::kNotLeader, NodeId{7}});
    reads_.push_back({id, last_});
  }
  void reconfigure(Time, ProposalId id, const Membership& target) override {
    std::string encoded;
    target.append_to(encoded);
    add(EntryKind::kMembership, Payload(std::move(encoded)), id);
    membership_ = target;
  }
  void transfer(Time, NodeId) override {}
  void durable(Time, LogSeq seq) override { durable_ = seq; }
  void snapshot_saved(Time, const SnapshotMeta& meta) override {
    saved.push_back(meta);
    base_ = meta;
    std::string record = "S";
    meta.append_to(record);
    records_.push_back(std::move(record));
    std::erase_if(log_, [&](const auto& item) { return item.first <= meta.position; });
    release_ = true;
  }
  void snapshot_fetched(Time, const SnapshotMeta& meta, bool ok) override {
    fetched.emplace_back(meta, ok);
    if (ok) install_ = meta;
  }
  void connection(Time, NodeId, bool) override {}
  void verified(Time, VerifyId, bool) override {}

  void collect(Time now, Effects& effects) override {
    const LogSeq first = next_;
    for (std::string& record : records_) {
      effects.records.push_back(std::move(record));
      ++next_;
    }
    records_.clear();
    for (const auto& [position, index] : unnumbered_) {
      if (const auto it = log_.find(position); it != log_.end()) it->second.first = first + index;
      effects.sends.push_back({NodeId{2}, first + index, script_->frame_to_peer + " " + std::to_string(position)});
    }
    unnumbered_.clear();
    if (release_) {
      effects.release_below = log_.empty() ? next_ - 1 : log_.begin()->second.first;
      release_ = false;
    }
    if (wanted) effects.fetch = std::exchange(wanted, {});
    if (install_) {
      base_ = *install_;
      std::string record = "S";
      base_.append_to(record);
      effects.records.push_back(std::move(record));
      effects.install = InstallSnapshot{*install_, next_++};
      delivered_ = last_ = base_.position;
      log_.clear();
      install_.reset();
    }
    while (true) {
      const auto it = log_.find(delivered_ + 1);
      if (it == log_.end() || it->second.first > durable_) break;
      effects.deliveries.push_back({++delivered_, it->second.second});
    }
    std::swap(effects.placed, placed_);
    std::swap(effects.refused, refused_);
    std::swap(effects.reads, reads_);
    std::swap(effects.reads_refused, reads_refused_);
    placed_.clear();
    refused_.clear();
    reads_.clear();
    reads_refused_.clear();
    if (deadline_ == kNever) deadline_ = now + kSecond;
  }
  Time deadline() const override { return deadline_; }
  Report report() const override {
    Report report;
    report.standing = Standing::kLeader;
    report.leader = script_->leads ? NodeId{1} : NodeId{7};
    report.last = last_;
    report.committed = report.delivered = report.durable_position = delivered_;
    report.snapshot = base_;
    return report;
  }
  const Membership& membership() const override { return membership_; }
  bool in_force(const Membership& delivered) const override { return script_->in_force && delivered == membership_; }
  std::optional<EntryId> entry_at(Position) const override { return {}; }
  Status check_invariants() const override { return {}; }

  // What happened, for tests.
  std::vector<std::pair<LogSeq, LogSeq>> gaps;
  std::vector<std::pair<NodeId, std::string>> received;
  std::vector<SnapshotMeta> saved;
  std::vector<std::pair<SnapshotMeta, bool>> fetched;
  bool had_snapshot = false;
  int ticks = 0;
  std::optional<FetchSnapshot> wanted;  // asked for by the next collect()

 private:
  void add(EntryKind kind, Payload payload, std::optional<ProposalId> id) {
    const Position position = ++last_;
    std::string record = "E";
    append_varint(record, position);
    record.push_back(static_cast<char>(kind));
    record.append(payload.view());
    unnumbered_.emplace_back(position, records_.size());
    records_.push_back(std::move(record));
    log_[position] = {UINT64_MAX, {1, kind, std::move(payload)}};
    if (id) placed_.push_back({*id, position});
  }

  std::shared_ptr<Script> script_;
  Membership membership_;
  SnapshotMeta base_;
  std::map<Position, std::pair<LogSeq, Entry>> log_;
  std::vector<std::string> records_;
  std::vector<std::pair<Position, size_t>> unnumbered_;
  LogSeq next_ = 1;
  LogSeq durable_ = 0;
  Position last_ = 0;
  Position delivered_ = 0;
  Time deadline_ = kNever;
  bool release_ = false;
  std::optional<SnapshotMeta> install_;
  std::vector<ProposalPlaced> placed_;
  std::vector<ProposalRefused> refused_;
  std::vector<ReadReady> reads_;
  std::vector<ReadRefused> reads_refused_;
};

class RecordingTransport final : public Transport {
 public:
  void start(Handler h) override { handler = std::move(h); }
  void set_peers(const std::vector<Member>& members) override { peers = members; }
  void send(NodeId to, std::string frame) override {
    sent.emplace_back(to, frame);
    if (on_send) on_send(to, frame);
  }

  Handler handler;
  std::vector<Member> peers;
  std::vector<std::pair<NodeId, std::string>> sent;
  UniqueFunction<void(NodeId, const std::string&)> on_send;
};

// The protocol's frames have one byte of kind behind them: replica_records.h.
inline std::string protocol_frame(std::string body) {
  body.push_back(1);
  return body;
}

// One life of a replica. Its death is the destructor; what the disk then holds is the disk's business.
class Life {
 public:
  Life(env::Disk& disk, ReplicaOptions options, uint64_t seed = 1,
       std::shared_ptr<SoloProtocol::Script> solo = std::make_shared<SoloProtocol::Script>())
      : loop(scheduler), random(seed), script(std::move(solo)) {
    auto opened = Replica::open(
        {loop, disk, random, transport, machine}, std::move(options),
        [this](uint64_t) {
          auto made = std::make_unique<SoloProtocol>(script);
          protocol = made.get();
          return made;
        },
        [this](Status status) { halts.push_back(std::move(status)); });
    open_status = opened.status();
    if (opened.ok()) replica = std::move(opened).value();
    if (replica != nullptr) scheduler.run_for(0);
  }

  // What a request came to, as text: "3" or "RESOURCE_EXHAUSTED".
  struct Outcome {
    std::string text = "nothing";
    RequestError error;
    Position position = 0;
  };
  std::shared_ptr<Outcome> submit(std::string body, SessionId session = kNoSession, uint64_t sequence = 0,
                                  uint64_t acknowledged_below = 0) {
    auto outcome = std::make_shared<Outcome>();
    replica->submit({session, sequence, acknowledged_below, std::move(body)}, answer_into(outcome));
    return outcome;
  }
  std::shared_ptr<Outcome> query(Query query) {
    auto outcome = std::make_shared<Outcome>();
    replica->query(std::move(query), answer_into(outcome));
    return outcome;
  }
  std::optional<SessionId> open_session() {
    auto id = std::make_shared<std::optional<SessionId>>();
    replica->open_session([id](std::variant<SessionId, RequestError> answer) {
      if (auto* const opened = std::get_if<SessionId>(&answer)) *id = *opened;
    });
    settle();
    return *id;
  }
  void settle() { scheduler.run_for(50 * kMillisecond); }

  sim::Scheduler scheduler;
  sim::SimLoop loop;
  sim::SimRandom random;
  RecordingTransport transport;
  ListMachine machine;
  std::shared_ptr<SoloProtocol::Script> script;
  SoloProtocol* protocol = nullptr;
  std::vector<Status> halts;
  Status open_status;
  std::unique_ptr<Replica> replica;

 private:
  static Answer<Reply> answer_into(std::shared_ptr<Outcome> outcome) {
    return [outcome = std::move(outcome)](std::variant<Reply, RequestError> answer) {
      if (auto* const reply = std::get_if<Reply>(&answer)) {
        outcome->text = reply->result;
        outcome->position = reply->position;
      } else {
        outcome->error = std::get<RequestError>(answer);
        outcome->text = std::string(code_name(outcome->error.code));
      }
    };
  }
};

inline ReplicaOptions solo_options() {
  ReplicaOptions options;
  options.cluster = 0xc1e3;
  options.self = NodeId{1};
  options.directory = "/data";
  options.bootstrap = true;
  options.log_file_bytes = 256 << 10;
  options.request_timeout_ns = 1 * kSecond;
  return options;
}

}  // namespace clew::consensus
