// What only Raft owes, judged from outside of its cores: from the records that they write, the frames that leave and
// what they know as committed. The image of a member is what its durable records say: the last thing that a crash
// leaves.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "consensus/quorum.h"
#include "consensus/raft/invariants.h"
#include "consensus/raft/messages.h"
#include "consensus/raft/raft.h"
#include "consensus/raft/records.h"
#include "sim/groups/raft_family.h"

namespace clew::sim::groups {
namespace {

using consensus::EntryId;
using consensus::Epoch;
using consensus::LogSeq;
using consensus::Membership;
using consensus::NodeId;
using consensus::Position;
using consensus::Protocol;
using consensus::Raft;
namespace raft = consensus::raft;

constexpr uint64_t kNoCommand = 0;  // hash of an entry without its command, as a witness holds it

// What a record adds.
struct Written {
  LogSeq seq = 0;
  Epoch term = 0;
  NodeId vote = consensus::kNobody;
  bool base = false;
  bool truncates = false;
  Position first = 0;  // of the entries; of a base its position
  Epoch base_epoch = 0;
  std::vector<EntryId> entries;
};

struct Image {
  Epoch term = 0;
  NodeId vote = consensus::kNobody;
  Position base = 0;
  std::map<Position, EntryId> entries;  // above the base; with gaps where the log has holes

  void take(const Written& written) {
    term = written.term;
    vote = written.vote;
    if (written.base) {
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
    return found != entries.end() && found->second.epoch == id.epoch &&
           (found->second.hash == id.hash || found->second.hash == kNoCommand);
  }
};

// What a frame told the world, to be covered by the image before it left.
struct Claim {
  enum class Kind : uint8_t { kVote, kCandidacy, kMatch } kind;
  NodeId to;
  Epoch term;
  Position match;
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
  bool leading = false;
  Epoch term = 0;
  consensus::Time lease_until = 0;
  Position commit = 0;
  Membership membership;
};

std::string who(NodeId id) { return "node " + std::to_string(number(id)); }

class RaftJudge final : public Judge {
 public:
  explicit RaftJudge(Clocks clocks) : clocks_(std::move(clocks)) {}
  Status started(NodeId id, const Protocol& core, Position state, bool damaged) override;
  void on_record(NodeId id, LogSeq seq, std::string_view record) override;
  void on_sent(NodeId id, NodeId to, std::string_view frame) override;
  Status after_event(NodeId id, const Protocol& core) override;
  void stopped(NodeId id, const Protocol& core) override;
  Scope cost_of(NodeId id, const Protocol& core, const std::vector<LogSeq>& lost) const override;

 private:
  static const Raft& raft_of(const Protocol& core) { return static_cast<const Raft&>(core); }
  void become_durable(Node& node, LogSeq durable);
  Status check_claims(NodeId id, Node& node);
  Status check_commit(NodeId id, Node& node, const raft::State& state, const Raft& core);

  Status check_leases(NodeId id, const raft::State& state) const;

  const Clocks clocks_;
  std::map<NodeId, Node> nodes_;
  raft::GroupCheck group_;
};

void RaftJudge::become_durable(Node& node, LogSeq durable) {
  node.durable = durable;
  while (!node.written.empty() && node.written.front().seq <= durable) {
    node.image.take(node.written.front());
    node.written.pop_front();
  }
}

Status RaftJudge::started(NodeId id, const Protocol& protocol, Position restored, bool damaged) {
  const Raft& core = raft_of(protocol);
  const raft::State state = core.state();
  Node& node = nodes_[id];
  const Image& image = node.image;
  const auto lost = [&](const std::string& what) {
    return Status(Code::kInternal, "durable state: " + who(id) + " restarted and " + what);
  };
  if (state.term < image.term) {
    return lost("its term fell from " + std::to_string(image.term) + " to " + std::to_string(state.term));
  }
  if (state.term == image.term && image.vote != consensus::kNobody && state.vote != image.vote) {
    return lost("forgot whom it had voted for in term " + std::to_string(image.term));
  }
  // A snapshot whose file is damaged: what it stood for has to come again.
  const bool lost_snapshot = core.recovered_snapshot().position > restored;
  // Records that were not known to be durable may have survived, and cut the log.
  bool may_be_cut = lost_snapshot;
  for (const Written& written : node.written) may_be_cut = may_be_cut || written.truncates || written.base;
  const consensus::Report report = core.report();
  // Damage takes entries, never how far the log went: votes are judged by it (raft.h).
  if (!may_be_cut && !image.entries.empty()) {
    const auto& [last, entry] = *image.entries.rbegin();
    const Position now = core.log().true_last();
    if (now < last || (now == last && core.log().true_last_epoch() != entry.epoch)) {
      return lost("knows of a log up to " + std::to_string(now) + ", and had one up to " + std::to_string(last));
    }
  }
  may_be_cut = may_be_cut || damaged;
  if (!may_be_cut) {
    if (report.snapshot.position < image.base) return lost("lost its snapshot");
    for (const auto& [position, entry] : image.entries) {
      if (position <= report.snapshot.position) continue;
      const auto found = core.entry_at(position);
      if (!found || found->epoch != entry.epoch) return lost("lost the entry at " + std::to_string(position));
    }
  }
  std::map<LogSeq, Span> spans = std::move(node.spans);
  node = Node();
  node.spans = std::move(spans);
  node.image.term = state.term;
  node.image.vote = state.vote;
  node.image.base = lost_snapshot ? 0 : report.snapshot.position;
  const Position last = core.log().true_last();
  for (Position p = report.snapshot.position + 1; p <= last; ++p) {
    auto entry = core.entry_at(p);
    if (!entry) continue;
    // What a witness recovers has no command in it.
    if (entry->hash == consensus::identity({entry->epoch, consensus::EntryKind::kCommand, {}}).hash)
      entry->hash = kNoCommand;
    node.image.entries[p] = *entry;
  }
  node.durable = state.durable_seq;
  return {};
}

void RaftJudge::on_record(NodeId id, LogSeq seq, std::string_view record) {
  auto parsed = raft::parse_record(record);
  if (!parsed.ok()) return;  // its recovery will tell
  Written written;
  written.seq = seq;
  written.term = parsed->header.term;
  written.vote = parsed->header.vote;
  if (parsed->header.kind == raft::RecordKind::kBase) {
    written.base = true;
    written.first = parsed->meta.position;
    written.base_epoch = parsed->meta.epoch;
  } else if (parsed->header.kind == raft::RecordKind::kAppend) {
    written.truncates = parsed->truncates;
    written.first = parsed->first;
    for (const consensus::Entry& entry : parsed->entries) {
      EntryId identity = consensus::identity(entry);
      if (parsed->metadata_only && entry.kind == consensus::EntryKind::kCommand) identity.hash = kNoCommand;
      written.entries.push_back(identity);
    }
  }
  if (written.base || !written.entries.empty() || written.truncates) {
    nodes_[id].spans[seq] = {written.first, written.base};
  }
  nodes_[id].written.push_back(std::move(written));
}

void RaftJudge::on_sent(NodeId id, NodeId to, std::string_view frame) {
  // Entries make up most of the bytes, and claim nothing.
  if (raft::carries_entries(frame)) return;
  auto message = raft::decode(frame);
  CHECK(message.ok());  // it comes from a core of this very build; otherwise nothing would ever be judged here
  std::vector<Claim>& claims = nodes_[id].claims;
  if (const auto* reply = std::get_if<raft::VoteReply>(&*message)) {
    if (reply->granted && !reply->pre) claims.push_back({Claim::Kind::kVote, to, reply->term, 0});
  } else if (const auto* request = std::get_if<raft::VoteRequest>(&*message)) {
    if (!request->pre) claims.push_back({Claim::Kind::kCandidacy, id, request->term, 0});
  } else if (const auto* appended = std::get_if<raft::AppendReply>(&*message)) {
    if (appended->outcome == raft::AppendReply::Outcome::kAccepted) {
      claims.push_back({Claim::Kind::kMatch, to, appended->term, appended->match});
    }
  }
}

Status RaftJudge::check_claims(NodeId id, Node& node) {
  const Image& image = node.image;
  for (const Claim& claim : node.claims) {
    if (image.term > claim.term) continue;  // a later record, durable at the same time
    const std::string sent = "sent before durable: " + who(id) + " ";
    if (claim.kind == Claim::Kind::kMatch) {
      if (image.term < claim.term || !image.holds(claim.match)) {
        return {Code::kInternal, sent + "acknowledged position " + std::to_string(claim.match) + " in term " +
                                     std::to_string(claim.term) + ", which its disk does not hold"};
      }
    } else if (image.term < claim.term || image.vote != claim.to) {
      return {Code::kInternal, sent + (claim.kind == Claim::Kind::kVote ? "gave a vote to " : "campaigned as ") +
                                   who(claim.to) + " in term " + std::to_string(claim.term) +
                                   ", which its disk does not know"};
    }
  }
  node.claims.clear();
  return {};
}

// A leader may count an entry as committed when a quorum of durable images holds it, and an entry of its own term only
// (Raft §5.4.2).
Status RaftJudge::check_commit(NodeId id, Node& node, const raft::State& state, const Raft& core) {
  const Position position = state.commit;
  const auto entry = core.entry_at(position);
  if (!entry) return {};
  if (entry->epoch != state.term) {
    return {Code::kInternal, "commit rule: " + who(id) + " leads term " + std::to_string(state.term) +
                                 " and committed position " + std::to_string(position) + " of term " +
                                 std::to_string(entry->epoch) + " by counting"};
  }
  const auto held = [&](NodeId member) {
    const auto found = nodes_.find(member);
    return found != nodes_.end() && found->second.image.holds(position, *entry);
  };
  if (has_quorum(core.membership(), held) || has_quorum(node.membership, held)) return {};
  std::string holders;
  for (const auto& [member, other] : nodes_) {
    if (other.image.holds(position, *entry)) holders += (holders.empty() ? "" : ", ") + std::to_string(number(member));
  }
  return {Code::kInternal, "commit without a quorum of durable copies: " + who(id) + " committed position " +
                               std::to_string(position) + ", which only {" + holders + "} of " +
                               core.membership().to_string() + " hold"};
}

// Nobody is elected while another leader may answer reads by its lease (thesis §6.4.1): whoever may vote has promised
// not to, or the lease was given up before.
Status RaftJudge::check_leases(NodeId id, const raft::State& state) const {
  for (const auto& [other, node] : nodes_) {
    if (other == id || !node.leading || node.term >= state.term || node.lease_until == 0) continue;
    const consensus::Time left = node.lease_until - clocks_(other);
    if (left <= 0) continue;
    return {Code::kInternal, "lease: " + who(id) + " was elected in term " + std::to_string(state.term) + " while " +
                                 who(other) + " of term " + std::to_string(node.term) + " may read by its lease for " +
                                 std::to_string(left / 1'000) + " us more"};
  }
  return {};
}

Status RaftJudge::after_event(NodeId id, const Protocol& protocol) {
  const Raft& core = raft_of(protocol);
  Node& node = nodes_[id];
  const raft::State state = core.state();
  become_durable(node, state.durable_seq);
  if (!node.claims.empty()) CLEW_TRY(check_claims(id, node));
  CLEW_TRY(group_.check(id, core));
  if (state.leading && node.leading && state.term == node.term && state.commit > node.commit) {
    CLEW_TRY(check_commit(id, node, state, core));
  }
  if (state.leading && !(node.leading && node.term == state.term)) CLEW_TRY(check_leases(id, state));
  node.leading = state.leading;
  node.term = state.term;
  node.lease_until = state.lease_until;
  node.commit = state.commit;
  if (state.leading && !(node.membership == core.membership())) node.membership = core.membership();
  return {};
}

void RaftJudge::stopped(NodeId id, const Protocol& core) {
  Node& node = nodes_[id];
  become_durable(node, raft_of(core).state().durable_seq);
  node.claims.clear();
  node.leading = false;
  group_.crashed(id);
}

Scope RaftJudge::cost_of(NodeId id, const Protocol& protocol, const std::vector<LogSeq>& lost) const {
  const Raft& core = raft_of(protocol);
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

std::unique_ptr<Judge> make_raft_judge(Clocks clocks) { return std::make_unique<RaftJudge>(std::move(clocks)); }

}  // namespace clew::sim::groups
