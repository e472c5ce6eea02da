// What only PBFT owes, judged from outside of its cores: from the records that they write, the frames that leave and
// what they know as committed. A member that lies does so behind its core (family.h), so all cores are judged alike.
//
// Beyond the invariants of pbft::GroupCheck: no member says two different things about one (view, n), in all its lives;
// nothing is said before it is durable; what is committed is prepared on the disks of f + 1 members at least; a restart
// takes nothing back.
#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "consensus/pbft/invariants.h"
#include "consensus/pbft/messages.h"
#include "consensus/pbft/pbft.h"
#include "consensus/pbft/records.h"
#include "consensus/pbft/test_keys.h"
#include "consensus/quorum.h"
#include "sim/groups/pbft_family.h"

namespace clew::sim::groups {
namespace {

using consensus::Epoch;
using consensus::LogSeq;
using consensus::NodeId;
using consensus::Pbft;
using consensus::Position;
using consensus::Protocol;
namespace pbft = consensus::pbft;
using pbft::Claim;
using pbft::Digest;
using pbft::RecordKind;
using pbft::Sequence;

using Place = std::pair<Epoch, Sequence>;

// What the durable records of a member say.
struct Image {
  Epoch view = 1;
  Sequence top = 0;
  Sequence stable = 0;
  uint64_t reserved = 0;
  std::map<Place, Digest> accepted;
  std::map<Sequence, std::map<Epoch, Digest>> prepared;
  std::set<Epoch> changes;
};

struct Written {
  LogSeq seq;
  pbft::RecordHeader header;
  Epoch view = 0;
  Sequence n = 0;
  Digest digest;
};

struct Node {
  Image image;
  std::deque<Written> written;  // not known to be durable
  std::map<std::pair<Claim, Place>, Digest> said;
  std::deque<std::pair<Claim, std::pair<Place, Digest>>> claims;  // of this event
  std::set<LogSeq> bases;
  Sequence executed = 0;
};

std::string who(NodeId id) { return "node " + std::to_string(number(id)); }
std::string at(const Place& place) {
  return "(view " + std::to_string(place.first) + ", n " + std::to_string(place.second) + ")";
}

class PbftJudge final : public Judge {
 public:
  Status started(NodeId id, const Protocol& core, Position state, bool damaged) override;
  void on_record(NodeId id, LogSeq seq, std::string_view record) override;
  void on_sent(NodeId id, NodeId to, std::string_view frame) override;
  Status after_event(NodeId id, const Protocol& core) override;
  void stopped(NodeId id, const Protocol& core) override;
  Scope cost_of(NodeId id, const Protocol& core, const std::vector<LogSeq>& lost) const override;

 private:
  static const Pbft& pbft_of(const Protocol& core) { return static_cast<const Pbft&>(core); }
  void become_durable(Node& node, LogSeq durable);
  Status check_claims(NodeId id, Node& node);
  Status check_committed(NodeId id, Node& node, const Pbft& core);

  std::map<NodeId, Node> nodes_;
  pbft::GroupCheck group_;
  Epoch highest_view_ = 1;  // that any core was in or asked for
  Status passed_on_;        // the first of an honest member's certificates that others would refuse
};

void PbftJudge::become_durable(Node& node, LogSeq durable) {
  Image& image = node.image;
  for (; !node.written.empty() && node.written.front().seq <= durable; node.written.pop_front()) {
    const Written& one = node.written.front();
    image.view = one.header.view;
    image.top = one.header.top;
    image.reserved = one.header.reserved;
    image.stable = one.header.stable;
    if (one.header.kind == RecordKind::kAccepted) image.accepted[{one.view, one.n}] = one.digest;
    if (one.header.kind == RecordKind::kPrepared) image.prepared[one.n][one.view] = one.digest;
    if (one.header.kind == RecordKind::kViewChange) image.changes.insert(one.header.view);
  }
}

Status PbftJudge::started(NodeId id, const Protocol& protocol, Position, bool damaged) {
  const Pbft& core = pbft_of(protocol);
  const pbft::State state = core.state();
  Node& node = nodes_[id];
  const Image& image = node.image;
  const auto lost = [&](const std::string& what) {
    return Status(Code::kInternal, "durable state: " + who(id) + " restarted and " + what);
  };
  if (state.view < image.view) return lost("went back to view " + std::to_string(state.view));
  if (state.top < image.top) return lost("takes back its word about n " + std::to_string(image.top));
  if (state.reserved < image.reserved) return lost("may use timestamps again");
  if (!damaged && state.stable < image.stable) return lost("its stable checkpoint fell");
  if (!damaged && node.written.empty()) {
    for (const auto& [place, digest] : image.accepted) {
      if (place.second <= state.stable || place.first != state.view) continue;
      const pbft::Slot* const slot = core.slot(place.second);
      if (slot == nullptr || slot->view != place.first || slot->digest != digest) {
        return lost("forgot what it accepted at " + at(place));
      }
    }
  }
  // Records that were not known to be durable may have survived.
  for (Sequence seq = state.base + 1; seq <= state.highest_slot; ++seq) {
    const pbft::Slot* const slot = core.slot(seq);
    if (slot == nullptr) continue;
    if (slot->accepted_seq != 0) node.image.accepted[{slot->view, seq}] = slot->digest;
    if (!slot->prepared) continue;
    const pbft::Certificate& proof = slot->prepared->prepares;
    node.image.prepared[seq][proof.view] = proof.digest;
  }
  if (!state.active) node.image.changes.insert(state.view);
  node.image.view = state.view;
  node.image.top = state.top;
  node.written.clear();
  node.claims.clear();
  node.executed = state.executed;
  return {};
}

void PbftJudge::on_record(NodeId id, LogSeq seq, std::string_view record) {
  auto parsed = pbft::parse_record(record);
  if (!parsed.ok()) return;  // its recovery will tell
  Node& node = nodes_[id];
  Written written{seq, parsed->header, 0, 0, {}};
  if (written.header.kind == RecordKind::kAccepted) {
    written.view = parsed->accepted.view;
    written.n = parsed->accepted.seq;
    written.digest = parsed->accepted.batch->digest;
  } else if (written.header.kind == RecordKind::kPrepared) {
    written.view = parsed->certificate.view;
    written.n = parsed->certificate.seq;
    written.digest = parsed->certificate.digest;
  } else if (written.header.kind == RecordKind::kBase) {
    node.bases.insert(seq);
  }
  node.written.push_back(written);
}

void PbftJudge::on_sent(NodeId id, NodeId, std::string_view frame) {
  auto message = pbft::decode(frame);
  CHECK(message.ok());  // it comes from a core of this very build; otherwise nothing would ever be judged here
  Node& node = nodes_[id];
  if (const auto* vote = std::get_if<pbft::VoteMessage>(&*message)) {
    node.claims.push_back({vote->claim, {{vote->view, vote->seq}, vote->digest}});
  } else if (const auto* proposal = std::get_if<pbft::PrePrepare>(&*message)) {
    node.claims.push_back({Claim::kPrePrepare, {{proposal->view, proposal->seq}, proposal->batch->digest}});
  } else if (const auto* change = std::get_if<pbft::ViewChange>(&*message)) {
    node.claims.push_back({Claim::kViewChange, {{change->view, 0}, Digest{}}});
  } else if (const auto* view = std::get_if<pbft::NewView>(&*message)) {
    for (const pbft::ViewChange& one : view->changes) {
      const std::string text = pbft::statement(kPbftGroup, Claim::kViewChange, one.view, 0, one.digest(), one.sender);
      if (pbft::test_signature_holds(one.sender, text, one.signature) || !passed_on_.ok()) continue;
      passed_on_ = {Code::kInternal, "authenticity: the new view " + std::to_string(view->view) + " of " + who(id) +
                                         " rests on a view change that " + who(one.sender) + " did not sign"};
    }
  }
}

Status PbftJudge::check_claims(NodeId id, Node& node) {
  const Image& image = node.image;
  for (; !node.claims.empty(); node.claims.pop_front()) {
    const auto& [claim, what] = node.claims.front();
    const auto& [place, digest] = what;
    const auto [before, first] = node.said.try_emplace({claim, place}, digest);
    if (!first && before->second != digest) {
      return {Code::kInternal, "equivocation: " + who(id) + " says two things about " + at(place)};
    }
    const std::string sent = "sent before durable: " + who(id) + " ";
    const auto accepted = image.accepted.find(place);
    if ((claim == Claim::kPrepare || claim == Claim::kPrePrepare) &&
        (accepted == image.accepted.end() || accepted->second != digest)) {
      return {Code::kInternal, sent + "ordered or prepared at " + at(place) + " what its disk does not hold"};
    }
    if (claim == Claim::kCommit) {
      const auto prepared = image.prepared.find(place.second);
      const bool held = prepared != image.prepared.end() && prepared->second.contains(place.first) &&
                        prepared->second.at(place.first) == digest;
      if (!held) return {Code::kInternal, sent + "committed at " + at(place) + " what its disk has not as prepared"};
    }
    if (claim == Claim::kViewChange && !image.changes.contains(place.first)) {
      return {Code::kInternal, sent + "asked for view " + std::to_string(place.first)};
    }
  }
  return {};
}

// Of 2f + 1 who committed f at most lie, and the others had it prepared on their disks.
Status PbftJudge::check_committed(NodeId id, Node& node, const Pbft& core) {
  const pbft::State state = core.state();
  while (node.executed < state.executed) {
    const Sequence seq = ++node.executed;
    const pbft::Slot* const slot = core.slot(seq);
    if (slot == nullptr || !slot->committed) continue;
    size_t holders = 0;
    for (const auto& [member, other] : nodes_) {
      const auto prepared = other.image.prepared.find(seq);
      if (prepared == other.image.prepared.end()) continue;
      holders += std::any_of(prepared->second.begin(), prepared->second.end(),
                             [&](const auto& one) { return one.second == slot->committed->digest; });
    }
    const size_t least = consensus::byzantine_weak_quorum(4);  // of the smallest group
    if (holders < least) {
      return {Code::kInternal, "commit without durable certificates: " + who(id) + " executed n " +
                                   std::to_string(seq) + ", which only " + std::to_string(holders) +
                                   " disks have as prepared"};
    }
  }
  return {};
}

Status PbftJudge::after_event(NodeId id, const Protocol& protocol) {
  const Pbft& core = pbft_of(protocol);
  Node& node = nodes_[id];
  become_durable(node, core.state().durable_seq);
  CLEW_TRY(passed_on_);
  CLEW_TRY(check_claims(id, node));
  // Nobody goes further than a step of its own, or than f + 1 ask for, of whom one has come that far honestly.
  const Epoch view = core.state().view;
  if (view > highest_view_ + consensus::kMaxMembers) {
    return {Code::kInternal, "views: " + who(id) + " went to view " + std::to_string(view) + ", though " +
                                 std::to_string(highest_view_) + " was the latest of all"};
  }
  highest_view_ = std::max(highest_view_, view);
  CLEW_TRY(group_.check(id, core));
  return check_committed(id, node, core);
}

void PbftJudge::stopped(NodeId id, const Protocol& core) {
  Node& node = nodes_[id];
  become_durable(node, pbft_of(core).state().durable_seq);
  node.claims.clear();
  group_.crashed(id);
}

Scope PbftJudge::cost_of(NodeId id, const Protocol& protocol, const std::vector<LogSeq>& lost) const {
  if (lost.empty()) return {.kind = Scope::Kind::kNothing, .items = {}};
  const Pbft& core = pbft_of(protocol);
  // Without an intact and durable record behind it a gap looks like the end of the log; and a log has to begin.
  const auto found = nodes_.find(id);
  const bool base =
      std::any_of(lost.begin(), lost.end(), [&](LogSeq seq) { return found->second.bases.contains(seq); });
  if (lost.back() >= core.state().durable_seq || base) return {};
  // Also where no entry goes, its word does: about numbers in agreement, which it knows to have lost.
  const Position last = core.report().last;
  return {.kind = Scope::Kind::kItems, .items = {1, last + 1}, .owed_to = last};
}

}  // namespace

std::unique_ptr<Judge> make_pbft_judge() { return std::make_unique<PbftJudge>(); }

}  // namespace clew::sim::groups
