// What only Multi-Paxos owes, judged from outside of its cores: from the records that they write, the frames that leave
// and what they know as chosen. The image of a member is what its durable records say: the last thing that a crash
// leaves. One value a slot, one leader a ballot and what a new leader proposes again: multipaxos/invariants.h.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "consensus/multipaxos/invariants.h"
#include "consensus/multipaxos/messages.h"
#include "consensus/multipaxos/multipaxos.h"
#include "consensus/multipaxos/records.h"
#include "consensus/quorum.h"
#include "sim/groups/multipaxos_family.h"

namespace clew::sim::groups {
namespace {

using consensus::EntryId;
using consensus::LogSeq;
using consensus::Membership;
using consensus::MultiPaxos;
using consensus::NodeId;
using consensus::Position;
using consensus::Protocol;
namespace multipaxos = consensus::multipaxos;
using multipaxos::Ballot;

struct Told {
  Ballot ballot;
  EntryId value;
  bool bare = false;  // as a witness holds it
};

// What a record adds.
struct Written {
  LogSeq seq = 0;
  Ballot promise;
  Position commit = 0;
  bool base = false;
  Position position = 0;  // of a base
  std::vector<std::pair<Position, Told>> votes;
};

struct Image {
  Ballot promise;
  Position base = 0;
  std::map<Position, Told> votes;  // above the base

  void take(const Written& written) {
    promise = written.promise;
    if (written.base) {
      if (written.position < base) votes.clear();  // a lost snapshot, and everything with it
      base = written.position;
      votes.erase(votes.begin(), votes.upper_bound(base));
    }
    for (const auto& [position, told] : written.votes) {
      if (position > base) votes[position] = told;
    }
  }
  bool holds(Position position) const { return position <= base || votes.contains(position); }
};

// What a frame told the world, to be covered by the image before it left.
struct Claim {
  enum class Kind : uint8_t { kPromise, kProposer, kAccepted } kind;
  Ballot ballot;
  Position upto;
};

struct Span {
  Position first;
  bool base;
};

// The newest prepare on its way from one member to another.
struct Asked {
  Ballot ballot;
  Position from = 0;
  std::vector<multipaxos::Prepare::Held> held;
};

struct Node {
  Image image;
  std::map<Position, Ballot> cast;  // every durable vote above the base; damage takes none of them back
  std::map<LogSeq, Span> spans;     // from where on a record's loss may cost votes
  Position noted = 0;               // watermark of the newest record
  Position known_chosen = 0;        // chosen, as its disk knew it at any time
  std::deque<Written> written;      // not known to be durable
  std::vector<Claim> claims;        // of this event
  LogSeq durable = 0;
  bool leading = false;
  bool sure = false;
  Ballot ballot;
  consensus::Time lease_until = 0;
  Position commit = 0;
  Membership governing;
  // Who governs as it knows in this run, and the change of voters that it has not delivered; 0: none.
  bool begun = false;
  Position membership_at = 0;
  Membership known;
  Position undelivered = 0;

  // Whether it voted for that value under the ballot, or a later one, and its disk knew it. Damage may have taken the
  // vote: it was cast all the same, and whoever forgot it makes no promise before it knows what was chosen there.
  bool voted(Position position, const EntryId& value, const Ballot& under) const {
    if (position <= image.base) return true;
    const auto found = image.votes.find(position);
    if (found == image.votes.end()) {
      const auto forgotten = cast.find(position);
      return forgotten != cast.end() && forgotten->second >= under;
    }
    const Told& told = found->second;
    return told.ballot >= under && told.value.epoch == value.epoch && (told.bare || told.value.hash == value.hash);
  }
};

std::string who(NodeId id) { return "node " + std::to_string(number(id)); }

class MultiPaxosJudge final : public Judge {
 public:
  explicit MultiPaxosJudge(Clocks clocks) : clocks_(std::move(clocks)) {}
  Status started(NodeId id, const Protocol& core, Position state, bool damaged) override;
  void on_record(NodeId id, LogSeq seq, std::string_view record) override;
  void on_sent(NodeId id, NodeId to, std::string_view frame) override;
  Status after_event(NodeId id, const Protocol& core) override;
  void stopped(NodeId id, const Protocol& core) override;
  Scope cost_of(NodeId id, const Protocol& core, const std::vector<LogSeq>& lost) const override;

 private:
  static const MultiPaxos& paxos_of(const Protocol& core) { return static_cast<const MultiPaxos&>(core); }
  void become_durable(Node& node, LogSeq durable);
  Status check_claims(NodeId id, Node& node);
  Status check_chosen(NodeId id, const Node& node, Position first, const multipaxos::State& state,
                      const MultiPaxos& core) const;
  Status check_leases(NodeId id, const multipaxos::State& state) const;
  Status check_delivered(NodeId id, Node& node, const multipaxos::State& state, const MultiPaxos& core) const;

  void check_promise(NodeId id, NodeId to, const multipaxos::Promise& promise);

  const Clocks clocks_;
  std::map<NodeId, Node> nodes_;
  std::map<std::pair<NodeId, NodeId>, Asked> asked_;  // by proposer and acceptor
  Status promises_;                                   // the first one that kept a vote to itself
  multipaxos::GroupCheck group_;
};

void MultiPaxosJudge::become_durable(Node& node, LogSeq durable) {
  node.durable = durable;
  while (!node.written.empty() && node.written.front().seq <= durable) {
    const Written& written = node.written.front();
    node.image.take(written);
    node.known_chosen = std::max({node.known_chosen, written.commit, node.image.base});
    for (const auto& [position, told] : written.votes) {
      Ballot& cast = node.cast[position];
      cast = std::max(cast, told.ballot);
    }
    node.cast.erase(node.cast.begin(), node.cast.upper_bound(node.image.base));
    node.written.pop_front();
  }
}

// What was promised and voted is there again after a restart, whatever happened to the process.
Status MultiPaxosJudge::started(NodeId id, const Protocol& protocol, Position restored, bool damaged) {
  const MultiPaxos& core = paxos_of(protocol);
  const multipaxos::State state = core.state();
  Node& node = nodes_[id];
  const Image& image = node.image;
  const auto lost = [&](const std::string& what) {
    return Status(Code::kInternal, "durable state: " + who(id) + " restarted and " + what);
  };
  if (state.promise < image.promise) {
    return lost("its promise fell from " + to_string(image.promise) + " to " + to_string(state.promise));
  }
  // A snapshot whose file is damaged: what it stood for has to come again.
  const bool lost_snapshot = state.snapshot < image.base || core.recovered_snapshot().position > restored;
  if (lost_snapshot && !damaged && core.recovered_snapshot().position <= restored) {
    return lost("lost its snapshot");
  }
  if (!damaged && !lost_snapshot) {
    for (const auto& [position, told] : image.votes) {
      if (position <= state.snapshot) continue;
      const multipaxos::Acceptance* const vote = core.slots().find(position);
      if (vote == nullptr || vote->ballot < told.ballot) {
        return lost("forgot its vote in slot " + std::to_string(position));
      }
    }
  }
  std::map<LogSeq, Span> spans = std::move(node.spans);
  std::map<Position, Ballot> cast = std::move(node.cast);
  const Position noted = node.noted;
  const Position known_chosen = node.known_chosen;
  node = Node();
  node.noted = noted;
  node.known_chosen = known_chosen;
  node.spans = std::move(spans);
  node.cast = std::move(cast);
  node.image.promise = state.promise;
  // Without its snapshot it starts from nothing, and writes so in a record that may be on the disk before anybody
  // knows.
  if (!lost_snapshot) {
    node.image.base = state.snapshot;
    for (Position p = state.snapshot + 1; p <= core.slots().high(); ++p) {
      const multipaxos::Acceptance* const vote = core.slots().find(p);
      if (vote != nullptr) node.image.votes[p] = Told{vote->ballot, identity(vote->entry), vote->bare};
    }
  }
  node.durable = state.durable_seq;
  return {};
}

void MultiPaxosJudge::on_record(NodeId id, LogSeq seq, std::string_view record) {
  auto parsed = multipaxos::parse_record(record);
  if (!parsed.ok()) return;  // its recovery will tell
  Written written;
  written.seq = seq;
  written.promise = parsed->header.promise;
  written.commit = parsed->header.commit;
  Position first = UINT64_MAX;
  if (parsed->header.kind == multipaxos::RecordKind::kBase) {
    written.base = true;
    written.position = first = parsed->meta.position;
  }
  for (const multipaxos::VoteRun& run : parsed->runs) {
    first = std::min(first, run.first);
    for (size_t i = 0; i < run.votes.size(); ++i) {
      const multipaxos::Acceptance& vote = run.votes[i];
      written.votes.emplace_back(run.first + i, Told{vote.ballot, identity(vote.entry), vote.bare});
    }
  }
  // Whatever stood above the watermark of the record before may have been voted on again in it.
  Node& node = nodes_[id];
  node.spans[seq] = {std::min(first, node.noted + 1), written.base};
  node.noted = parsed->header.commit;
  node.written.push_back(std::move(written));
}

// A promise tells of every vote that was ever cast in the slots that it speaks of (PMS §2.2, P1b), but for those that
// the proposer said it has.
void MultiPaxosJudge::check_promise(NodeId id, NodeId to, const multipaxos::Promise& promise) {
  const auto asked = asked_.find({to, id});
  if (asked == asked_.end() || asked->second.ballot != promise.ballot || asked->second.from != promise.from) return;
  const std::map<Position, Ballot>& cast = nodes_[id].cast;
  for (auto vote = cast.lower_bound(std::max(promise.from, promise.floor + 1));
       vote != cast.end() && vote->first <= promise.upto; ++vote) {
    const auto& [position, ballot] = *vote;
    const bool told = std::any_of(promise.votes.begin(), promise.votes.end(),
                                  [&, p = vote->first](const auto& item) { return item.first == p; });
    const bool known = std::any_of(asked->second.held.begin(), asked->second.held.end(),
                                   [&, p = vote->first, b = vote->second](const multipaxos::Prepare::Held& held) {
                                     return held.first <= p && p <= held.last && b <= held.ballot;
                                   });
    if (told || known || !promises_.ok()) continue;
    promises_ = {Code::kInternal, "a promise tells of every vote: " + who(id) + " promised ballot " +
                                      to_string(promise.ballot) + " and kept its vote of ballot " + to_string(ballot) +
                                      " in slot " + std::to_string(position) + " to itself"};
  }
}

void MultiPaxosJudge::on_sent(NodeId id, NodeId to, std::string_view frame) {
  // Values make up most of the bytes, and claim nothing.
  if (multipaxos::carries_values(frame)) return;
  auto message = multipaxos::decode(frame);
  CHECK(message.ok());  // it comes from a core of this very build; otherwise nothing would ever be judged here
  std::vector<Claim>& claims = nodes_[id].claims;
  if (const auto* promise = std::get_if<multipaxos::Promise>(&*message)) {
    if (promise->pre) return;
    claims.push_back({Claim::Kind::kPromise, promise->ballot, 0});
    check_promise(id, to, *promise);
  } else if (const auto* prepare = std::get_if<multipaxos::Prepare>(&*message)) {
    if (prepare->pre) return;
    claims.push_back({Claim::Kind::kProposer, prepare->ballot, 0});
    asked_[{id, to}] = {prepare->ballot, prepare->from, prepare->held};
  } else if (const auto* accepted = std::get_if<multipaxos::Accepted>(&*message)) {
    claims.push_back({Claim::Kind::kAccepted, accepted->ballot, accepted->upto});
  }
}

Status MultiPaxosJudge::check_claims(NodeId id, Node& node) {
  const Image& image = node.image;
  for (const Claim& claim : node.claims) {
    const std::string sent = "sent before durable: " + who(id) + " ";
    if (image.promise < claim.ballot) {
      return {Code::kInternal, sent +
                                   (claim.kind == Claim::Kind::kPromise    ? "promised"
                                    : claim.kind == Claim::Kind::kProposer ? "proposed under"
                                                                           : "accepted under") +
                                   " ballot " + to_string(claim.ballot) + ", which its disk does not know"};
    }
    if (claim.kind == Claim::Kind::kAccepted && image.promise == claim.ballot && !image.holds(claim.upto)) {
      return {Code::kInternal, sent + "acknowledged slot " + std::to_string(claim.upto) + " under ballot " +
                                   to_string(claim.ballot) + ", which its disk does not hold"};
    }
  }
  node.claims.clear();
  return {};
}

// A leader may call chosen what a majority, of the members that governed the slot, voted for under its ballot (PMS
// §2.2), durably. `first`: what was chosen before, in whosever reign, needs no votes again.
Status MultiPaxosJudge::check_chosen(NodeId id, const Node& node, Position first, const multipaxos::State& state,
                                     const MultiPaxos& core) const {
  for (Position position = first; position <= state.commit; ++position) {
    const auto value = core.entry_at(position);
    if (!value) continue;
    const auto voted = [&](NodeId member) {
      const auto found = nodes_.find(member);
      return found != nodes_.end() && found->second.voted(position, *value, state.promise);
    };
    if (has_quorum(node.governing, voted)) continue;
    std::string voters;
    for (const auto& [member, other] : nodes_) {
      if (!other.voted(position, *value, state.promise)) continue;
      voters += (voters.empty() ? "" : ", ") + std::to_string(number(member));
    }
    return {Code::kInternal, "chosen without a quorum of durable votes: " + who(id) + " calls slot " +
                                 std::to_string(position) + " chosen, for whose value only {" + voters + "} of " +
                                 node.governing.to_string() + " voted under ballot " + to_string(state.promise)};
  }
  return {};
}

// Nothing new is chosen, and nobody else reads, while a leader may answer reads by its lease: whoever may promise has
// promised not to, or the lease was given up before. (One that is elected by members of a configuration that is over
// may call itself leader: it chooses nothing but the stop-sign that is chosen already.)
Status MultiPaxosJudge::check_leases(NodeId id, const multipaxos::State& state) const {
  for (const auto& [other, node] : nodes_) {
    if (other == id || !node.leading || node.ballot >= state.promise || node.lease_until == 0) continue;
    const consensus::Time left = node.lease_until - clocks_(other);
    if (left <= 0) continue;
    return {Code::kInternal, "lease: " + who(id) + " goes on under ballot " + to_string(state.promise) + " while " +
                                 who(other) + " of ballot " + to_string(node.ballot) + " may read by its lease for " +
                                 std::to_string(left / 1'000) + " us more"};
  }
  return {};
}

// Who delivers a change of the voters may answer the operator, who switches off then whom it removed: a majority of
// those who come has to know that it was chosen, durably. (A witness answers nobody, nor does who installs a state, or
// has started since.)
Status MultiPaxosJudge::check_delivered(NodeId id, Node& node, const multipaxos::State& state,
                                        const MultiPaxos& core) const {
  if (!std::exchange(node.begun, true)) {
    node.membership_at = state.membership_position;
    node.known = core.governing();
  }
  while (node.membership_at < state.membership_position) {
    const multipaxos::Acceptance* const vote = core.slots().find(++node.membership_at);
    if (vote == nullptr || vote->entry.kind != consensus::EntryKind::kMembership) continue;
    Membership next = Membership::parse(vote->entry.payload.view()).value();
    if (!node.known.empty() && node.known.enter_joint(next).joint()) node.undelivered = node.membership_at;
    node.known = std::move(next);
  }
  if (!(node.known == core.governing())) node.known = core.governing();  // with a snapshot
  if (node.undelivered == 0) return {};
  const consensus::Report report = core.report();
  if (report.delivered < node.undelivered) return {};
  const Position change = std::exchange(node.undelivered, 0);
  if (state.snapshot >= change || report.standing == consensus::Standing::kWitness) return {};
  const bool enough = has_quorum(node.known, [&](NodeId member) {
    const auto found = nodes_.find(member);
    return found != nodes_.end() && found->second.known_chosen >= change;
  });
  if (enough) return {};
  return {Code::kInternal, "delivered a change too early: " + who(id) + " delivers the membership of slot " +
                               std::to_string(change) + ", " + node.known.to_string() +
                               ", of whom no majority knows that it was chosen"};
}

Status MultiPaxosJudge::after_event(NodeId id, const Protocol& protocol) {
  const MultiPaxos& core = paxos_of(protocol);
  Node& node = nodes_[id];
  const multipaxos::State state = core.state();
  become_durable(node, state.durable_seq);
  if (!node.claims.empty()) CLEW_TRY(check_claims(id, node));
  CLEW_TRY(promises_);
  const Position chosen = group_.committed();
  CLEW_TRY(group_.check(id, core));
  const bool same_reign = state.leading && node.leading && state.promise == node.ballot;
  if (same_reign) CLEW_TRY(check_chosen(id, node, std::max(node.commit, chosen) + 1, state, core));
  const bool news = state.sure && !(same_reign && node.sure);
  if (state.leading && (news || group_.committed() > chosen)) CLEW_TRY(check_leases(id, state));
  CLEW_TRY(check_delivered(id, node, state, core));
  node.leading = state.leading;
  node.sure = state.sure;
  node.ballot = state.promise;
  node.lease_until = state.lease_until;
  node.commit = state.commit;
  if (state.leading && !(node.governing == core.governing())) node.governing = core.governing();
  return {};
}

void MultiPaxosJudge::stopped(NodeId id, const Protocol& core) {
  Node& node = nodes_[id];
  become_durable(node, paxos_of(core).state().durable_seq);
  node.claims.clear();
  node.leading = false;
  group_.crashed(id);
}

Scope MultiPaxosJudge::cost_of(NodeId id, const Protocol& protocol, const std::vector<LogSeq>& lost) const {
  const MultiPaxos& core = paxos_of(protocol);
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
  if (first == UINT64_MAX) return nothing;
  // What stands behind counts as forgotten, too: see MultiPaxos. Votes for what nobody knows as chosen may go: whoever
  // lost them makes no promise, and a quorum of the others has one of those who voted for what was chosen after all.
  const Position last = std::max(core.report().last, core.slots().high());
  return {.kind = Scope::Kind::kItems, .items = {first, last}, .owed_to = group_.committed()};
}

}  // namespace

std::unique_ptr<Judge> make_multipaxos_judge(Clocks clocks) {
  return std::make_unique<MultiPaxosJudge>(std::move(clocks));
}

}  // namespace clew::sim::groups
