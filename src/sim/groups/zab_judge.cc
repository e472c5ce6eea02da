// What only ZAB owes, judged from outside of its cores: from the records that they write, the frames that leave and
// what they know as committed (Junqueira et al. 2011, §3: integrity, total order, agreement, local and global primary
// order, primary integrity). The image of a member is what its durable records say: the last thing that a crash leaves.
#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "consensus/quorum.h"
#include "consensus/raft/invariants.h"
#include "consensus/zab/messages.h"
#include "consensus/zab/records.h"
#include "consensus/zab/zab.h"
#include "sim/groups/zab_family.h"

namespace clew::sim::groups {
namespace {

using consensus::EntryId;
using consensus::Epoch;
using consensus::LogSeq;
using consensus::Membership;
using consensus::NodeId;
using consensus::Position;
using consensus::Protocol;
using consensus::Zab;
namespace zab = consensus::zab;

// What a record adds.
struct Written {
  LogSeq seq = 0;
  zab::RecordHeader header;
  bool truncates = false;
  Position first = 0;  // of the entries; of a base its position
  Epoch base_epoch = 0;
  std::vector<EntryId> entries;
  bool base() const { return header.kind == zab::RecordKind::kBase; }
};

struct Image {
  Epoch accepted = 0;
  NodeId promised_to = consensus::kNobody;
  Epoch current = 0;
  Position base = 0;
  std::map<Position, EntryId> entries;  // above the base; with gaps where the log has holes

  void take(const Written& written) {
    accepted = written.header.accepted;
    promised_to = written.header.promised_to;
    current = written.header.current;
    if (written.base()) {
      if (written.first <= base) return;
      const auto at = entries.find(written.first);
      if (at != entries.end() && at->second.epoch != written.base_epoch) entries.clear();
      entries.erase(entries.begin(), entries.upper_bound(written.first));
      // It was a hole: what stands behind stays, unless its epoch says that it cannot follow.
      if (!entries.empty() && entries.begin()->second.epoch < written.base_epoch) entries.clear();
      base = written.first;
      return;
    }
    if (written.truncates) entries.erase(entries.lower_bound(written.first), entries.end());
    for (size_t i = 0; i < written.entries.size(); ++i) entries[written.first + i] = written.entries[i];
  }
  bool holds(Position position) const { return position <= base || entries.contains(position); }
  bool holds(Position position, const EntryId& id) const {
    if (position <= base) return true;
    const auto found = entries.find(position);
    return found != entries.end() && found->second == id;
  }
};

// What a frame told the world, to be covered by the image before it left.
struct Claim {
  enum class Kind : uint8_t { kPromise, kHistory, kHeld } kind;
  NodeId to;
  Epoch epoch;
  Position position;
};

struct Span {
  Position first;
  bool base;
};

struct Node {
  Image image;
  std::map<LogSeq, Span> spans;  // what the records hold that hold entries or a snapshot
  std::deque<Written> written;   // not known to be durable
  std::vector<Claim> claims;     // of this event
  LogSeq durable = 0;
  zab::Point last;  // of the newest record
  bool established = false;
  Epoch reign = 0;
  consensus::Time lease_until = 0;
  Position commit = 0;
};

std::string who(NodeId id) { return "node " + std::to_string(number(id)); }

class ZabJudge final : public Judge {
 public:
  explicit ZabJudge(Clocks clocks) : clocks_(std::move(clocks)) {}
  Status started(NodeId id, const Protocol& core, Position state, bool damaged) override;
  void on_record(NodeId id, LogSeq seq, std::string_view record) override;
  void on_sent(NodeId id, NodeId to, std::string_view frame) override;
  Status after_event(NodeId id, const Protocol& core) override;
  void stopped(NodeId id, const Protocol& core) override;
  Scope cost_of(NodeId id, const Protocol& core, const std::vector<LogSeq>& lost) const override;

 private:
  static const Zab& zab_of(const Protocol& core) { return static_cast<const Zab&>(core); }
  void become_durable(Node& node, LogSeq durable);
  Status check_claims(NodeId id, Node& node);
  Status check_commit(NodeId id, Node& node, const zab::State& state, const Zab& core) const;
  void note_memberships(const Node& node, const zab::State& state, const Zab& core);
  Status check_leases(NodeId id, const zab::State& state) const;

  const Clocks clocks_;
  std::map<NodeId, Node> nodes_;
  consensus::raft::GroupCheck group_;
  std::map<Position, Membership> committed_;  // memberships that somebody knew to be committed, by where they stand
  Status order_;                              // the first break of the primary order
};

void ZabJudge::become_durable(Node& node, LogSeq durable) {
  node.durable = durable;
  while (!node.written.empty() && node.written.front().seq <= durable) {
    node.image.take(node.written.front());
    node.written.pop_front();
  }
}

Status ZabJudge::started(NodeId id, const Protocol& protocol, Position restored, bool damaged) {
  const Zab& core = zab_of(protocol);
  const zab::State state = core.state();
  Node& node = nodes_[id];
  const Image& image = node.image;
  const auto lost = [&](const std::string& what) {
    return Status(Code::kInternal, "durable state: " + who(id) + " restarted and " + what);
  };
  if (state.accepted < image.accepted) {
    return lost("its accepted epoch fell from " + std::to_string(image.accepted) + " to " +
                std::to_string(state.accepted));
  }
  if (state.accepted == image.accepted && state.promised_to != image.promised_to) {
    return lost("forgot whom it had promised epoch " + std::to_string(state.accepted));
  }
  if (state.current < image.current) return lost("its current epoch fell");
  // A snapshot whose file is damaged: what it stood for has to come again.
  const bool lost_snapshot = core.recovered_snapshot().position > restored;
  // Records that were not known to be durable may have survived, and cut the log.
  bool may_be_cut = damaged || lost_snapshot;
  for (const Written& written : node.written) may_be_cut = may_be_cut || written.truncates || written.base();
  const consensus::Report report = core.report();
  if (!may_be_cut) {
    if (report.snapshot.position < image.base) return lost("lost its snapshot");
    for (const auto& [position, entry] : image.entries) {
      if (position <= report.snapshot.position) continue;
      const auto found = core.entry_at(position);
      if (!found || *found != entry) return lost("lost the transaction at " + std::to_string(position));
    }
  }
  std::map<LogSeq, Span> spans = std::move(node.spans);
  node = Node();
  node.spans = std::move(spans);
  node.image.accepted = state.accepted;
  node.image.promised_to = state.promised_to;
  node.image.current = state.current;
  node.image.base = lost_snapshot ? 0 : report.snapshot.position;
  for (Position p = report.snapshot.position + 1; p <= core.log().true_last(); ++p) {
    if (const auto entry = core.entry_at(p)) node.image.entries[p] = *entry;
  }
  node.durable = state.durable_seq;
  node.last = state.last;
  return {};
}

void ZabJudge::on_record(NodeId id, LogSeq seq, std::string_view record) {
  auto parsed = zab::parse_record(record);
  if (!parsed.ok()) return;  // its recovery will tell
  Node& node = nodes_[id];
  Written written;
  written.seq = seq;
  written.header = parsed->header;
  if (written.base()) {
    written.first = parsed->meta.position;
    written.base_epoch = parsed->meta.epoch;
  } else if (written.header.kind == zab::RecordKind::kAppend) {
    written.truncates = parsed->truncates;
    written.first = parsed->first;
    for (const consensus::Entry& entry : parsed->entries) written.entries.push_back(consensus::identity(entry));
  }
  // Zxids rise along a history, and the counter of an epoch by one (local primary order).
  const zab::Point& last = written.header.last;
  const zab::Point before = std::exchange(node.last, last);
  const bool longer = last.position > before.position && !written.truncates && !written.base();
  const uint64_t steps = last.position - before.position;
  if (longer &&
      (last.zxid <= before.zxid ||
       (last.zxid.epoch == before.zxid.epoch && last.zxid.counter != before.zxid.counter + steps)) &&
      order_.ok()) {
    order_ = {Code::kInternal,
              "primary order: " + who(id) + " has " + to_string(last) + " behind " + to_string(before)};
  }
  if (written.base() || !written.entries.empty() || written.truncates) {
    node.spans[seq] = {written.first, written.base()};
  }
  node.written.push_back(std::move(written));
}

void ZabJudge::on_sent(NodeId id, NodeId to, std::string_view frame) {
  // Entries make up most of the bytes, and claim nothing.
  if (zab::carries_entries(frame)) return;
  auto message = zab::decode(frame);
  CHECK(message.ok());  // it comes from a core of this very build; otherwise nothing would ever be judged here
  std::vector<Claim>& claims = nodes_[id].claims;
  if (const auto* promise = std::get_if<zab::AckEpoch>(&*message)) {
    claims.push_back({Claim::Kind::kPromise, to, promise->epoch, 0});
  } else if (const auto* own = std::get_if<zab::NewEpoch>(&*message)) {
    claims.push_back({Claim::Kind::kPromise, id, own->epoch, 0});
  } else if (const auto* ack = std::get_if<zab::Ack>(&*message)) {
    if (ack->kind == zab::Ack::Kind::kRejected) return;
    const bool history = ack->kind == zab::Ack::Kind::kHistory;
    claims.push_back({history ? Claim::Kind::kHistory : Claim::Kind::kHeld, to, ack->epoch, ack->position});
  }
}

Status ZabJudge::check_claims(NodeId id, Node& node) {
  const Image& image = node.image;
  for (const Claim& claim : node.claims) {
    if (image.accepted > claim.epoch) continue;  // a later record, durable at the same time
    const std::string sent = "sent before durable: " + who(id) + " ";
    const std::string epoch = std::to_string(claim.epoch);
    if (image.accepted < claim.epoch || image.promised_to != claim.to) {
      return {Code::kInternal,
              sent + "promised epoch " + epoch + " to " + who(claim.to) + ", of which its disk does not know"};
    }
    if (claim.kind == Claim::Kind::kPromise) continue;
    if (claim.kind == Claim::Kind::kHistory && image.current < claim.epoch) {
      return {Code::kInternal,
              sent + "acknowledged the history of epoch " + epoch + ", which is not the current one on its disk"};
    }
    if (!image.holds(claim.position)) {
      return {Code::kInternal, sent + "acknowledged position " + std::to_string(claim.position) + " in epoch " + epoch +
                                   ", which its disk does not hold"};
    }
  }
  node.claims.clear();
  return {};
}

// A leader may take for committed what quorums of durable images hold under its epoch: of the membership that was
// committed before, and of one that is open or becomes committed by this.
Status ZabJudge::check_commit(NodeId id, Node& node, const zab::State& state, const Zab& core) const {
  const Position position = state.commit;
  const auto entry = core.entry_at(position);
  if (!entry) return {};
  const auto held = [&](NodeId member) {
    const auto found = nodes_.find(member);
    return found != nodes_.end() && found->second.image.current >= state.reign &&
           found->second.image.holds(position, *entry);
  };
  // Its own knowledge may be older than its history: a second membership there says that the first one was committed.
  const auto newer = committed_.lower_bound(state.membership_position);
  const bool open = state.membership_position > node.commit && newer != committed_.begin();
  const Membership before = open ? std::prev(newer)->second : Membership();
  if (has_quorum(core.membership(), held) && (!open || has_quorum(before, held))) return {};
  std::string holders;
  for (const auto& [member, other] : nodes_) {
    if (held(member)) holders += (holders.empty() ? "" : ", ") + std::to_string(number(member));
  }
  return {Code::kInternal, "commit without a quorum of durable copies: " + who(id) + " committed position " +
                               std::to_string(position) + " in epoch " + std::to_string(state.reign) +
                               ", which only {" + holders + "} of " + (open ? before.to_string() + " and " : "") +
                               core.membership().to_string() + " hold"};
}

void ZabJudge::note_memberships(const Node& node, const zab::State& state, const Zab& core) {
  const consensus::SnapshotMeta snapshot = core.report().snapshot;
  if (!snapshot.membership.empty()) committed_.emplace(snapshot.position, snapshot.membership);
  for (Position p = std::max(node.commit, core.log().base()) + 1; p <= state.commit; ++p) {
    const consensus::Entry* const entry = core.log().find(p);
    if (entry == nullptr || entry->kind != consensus::EntryKind::kMembership) continue;
    if (auto membership = Membership::parse(entry->payload.view()); membership.ok()) {
      committed_.emplace(p, std::move(membership).value());
    }
  }
}

// Nobody is established while another leader may answer reads by its lease: whoever makes a quorum has promised not to
// promise, or the lease was given up before.
Status ZabJudge::check_leases(NodeId id, const zab::State& state) const {
  for (const auto& [other, node] : nodes_) {
    if (other == id || !node.established || node.reign >= state.reign || node.lease_until == 0) continue;
    const consensus::Time left = node.lease_until - clocks_(other);
    if (left <= 0) continue;
    return {Code::kInternal, "lease: " + who(id) + " was established in epoch " + std::to_string(state.reign) +
                                 " while " + who(other) + " of epoch " + std::to_string(node.reign) +
                                 " may read by its lease for " + std::to_string(left / 1'000) + " us more"};
  }
  return {};
}

Status ZabJudge::after_event(NodeId id, const Protocol& protocol) {
  const Zab& core = zab_of(protocol);
  Node& node = nodes_[id];
  const zab::State state = core.state();
  become_durable(node, state.durable_seq);
  CLEW_TRY(order_);
  if (!node.claims.empty()) CLEW_TRY(check_claims(id, node));
  CLEW_TRY(group_.check(id, core));
  if (state.established && state.commit > node.commit) CLEW_TRY(check_commit(id, node, state, core));
  if (state.established && !(node.established && node.reign == state.reign)) CLEW_TRY(check_leases(id, state));
  node.established = state.established;
  node.reign = state.reign;
  node.lease_until = state.lease_until;
  if (state.commit > node.commit || node.commit == 0) note_memberships(node, state, core);
  node.commit = state.commit;
  return {};
}

void ZabJudge::stopped(NodeId id, const Protocol& core) {
  Node& node = nodes_[id];
  become_durable(node, zab_of(core).state().durable_seq);
  node.claims.clear();
  node.established = false;
  group_.crashed(id);
}

Scope ZabJudge::cost_of(NodeId id, const Protocol& protocol, const std::vector<LogSeq>& lost) const {
  const Zab& core = zab_of(protocol);
  const Scope nothing{.kind = Scope::Kind::kNothing, .items = {}};
  if (lost.empty()) return nothing;
  // Without an intact and durable record behind it a gap looks like the end of the log.
  if (lost.back() >= core.state().durable_seq) return {};
  const auto found = nodes_.find(id);
  Position first = UINT64_MAX;
  for (const LogSeq seq : lost) {
    const auto span = found->second.spans.find(seq);
    if (span == found->second.spans.end()) continue;
    first = std::min(first, span->second.base ? 1 : span->second.first);
  }
  // What stands behind may have been cut off within the gap, as far as its owner can tell: it counts as lost, too.
  return first == UINT64_MAX ? nothing : Scope{.kind = Scope::Kind::kItems, .items = {first, core.report().last}};
}

}  // namespace

std::unique_ptr<Judge> make_zab_judge(Clocks clocks) { return std::make_unique<ZabJudge>(std::move(clocks)); }

}  // namespace clew::sim::groups
