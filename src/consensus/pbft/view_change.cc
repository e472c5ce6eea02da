// View changes (PBFT §4.4): a primary that orders nothing is deposed, and what may have been committed under it stays.
#include <algorithm>
#include <utility>

#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::Abdicate;
using pbft::BatchPtr;
using pbft::Certificate;
using pbft::Claim;
using pbft::NewView;
using pbft::Prepared;
using pbft::Slot;
using pbft::ViewChange;

namespace {
constexpr int kMostDoublings = 6;
// A request that others overtake for so many timeouts is being held back.
constexpr int kMostPatience = 8;
// Timeouts that a view lasts before it is given up for one who left it alone.
constexpr int kLeastReign = 16;

// Of a view that is over. At and below the stable checkpoint there are none.
void forget_votes(std::map<pbft::Sequence, Slot>& slots, pbft::Sequence stable) {
  for (auto at = slots.upper_bound(stable); at != slots.end(); ++at) {
    at->second.prepares.clear();
    at->second.commits.clear();
  }
}
}  // namespace

bool Pbft::has_work() const { return !waiting_.empty() || ordered_to_ > executed_; }

Time Pbft::request_deadline() const {
  if (!active_ || !may_vote() || !has_work()) return kNever;
  Time due = progress_at_ + timeout_;
  const Time oldest = oldest_waiting();
  if (oldest != kNever) due = std::min(due, oldest + kMostPatience * timeout_);
  return due;
}

// Who lacks what it prepared must not say that it prepared nothing.
Time Pbft::complaint_deadline() const {
  if (active_) return request_deadline();
  return may_vote() ? change_due_ : kNever;
}

std::string_view Pbft::complaint() const {
  return active_ ? "a request waits too long" : "the new view did not come in time";
}

// The paper's replica leaves its view when its own timer ends. One that was alone with that (a new view or a request
// that only it missed) took no part any more until all followed it, which was as good as crashed: so it asks first, and
// leaves when f + 1 others ask, too (docs/decisions/0014-pbft.md). A primary's own word is enough.
void Pbft::complain() {
  if (is_primary()) return change_view(view_ + 1, complaint());
  if (suspects_) return;
  fact(FactKind::kLeaderSuspected, 0, primary_of(view_), 0, complaint());
  suspects_ = true;
  broadcast(own_status(), After::kNothing);
}

void Pbft::end_reign(std::string_view reason) {
  if (std::exchange(told_leader_, false)) fact(FactKind::kSteppedDown, 0, kNobody, 0, reason);
}

void Pbft::change_view(Epoch view, std::string_view reason) {
  end_reign(reason);
  if (own_change_) fact(FactKind::kElectionLost, 0, kNobody, 0, reason);
  view_ = view;
  active_ = false;
  new_view_.reset();
  change_due_ = kNever;
  suspects_ = false;
  handing_over_.reset();
  ordered_to_ = 0;
  unordered_.clear();
  forget_votes(slots_, stable_.seq);
  ViewChange change;
  change.view = view;
  change.sender = options_.self;
  change.stable = stable_;
  for (auto at = slots_.upper_bound(stable_.seq); at != slots_.end(); ++at) {
    const Slot& here = at->second;
    if (here.prepared && !planted(Bug::kPbftPreparedDropped)) change.prepared.push_back(*here.prepared);
  }
  change.signature = sign(Claim::kViewChange, view, 0, change.digest());
  change_seq_ = out_.record(record_of(header(pbft::RecordKind::kViewChange), change));
  broadcast(change);
  changes_[options_.self] = change;
  own_change_ = std::move(change);
  fact(FactKind::kElectionStarted, stable_.seq, kNobody, 0, reason);
  const NodeId primary = primary_of(view);
  if (primary != options_.self && may_vote()) fact(FactKind::kVoteGranted, 0, primary);
  count_changes();
}

void Pbft::handle(NodeId, ViewChange& message) {
  const NodeId sender = message.sender;
  // The primary itself is done with its view: nothing will be ordered in it, and who has nothing to ask for would not
  // notice. It may lie, as it may be silent; the next view is the next member's, whoever that is.
  const bool gives_up = active_ && may_vote() && sender == primary_of(view_) && message.view == view_ + 1;
  changes_[sender] = std::move(message);
  if (gives_up) change_view(view_ + 1, "the primary gives way");
  join_later_views();
  count_changes();
}

// f + 1 others ask for later views: one of them is honest, and has a reason.
void Pbft::join_later_views() {
  if (!may_vote()) return;
  std::vector<Epoch> later;
  for (const Member& member : governing_.members()) {
    if (member.id == options_.self || !governing_.votes(member.id)) continue;
    Epoch wanted = 0;
    if (const auto change = changes_.find(member.id); change != changes_.end()) wanted = change->second.view;
    const auto peer = peers_.find(member.id);
    const bool suspects =
        peer != peers_.end() && peer->second.status.suspects && now_ - peer->second.heard <= options_.request_timeout;
    if (suspects) wanted = std::max(wanted, peer->second.status.view + 1);
    if (wanted > view_) later.push_back(wanted);
  }
  const size_t enough = planted(Bug::kPbftJoinsOne) ? 1 : weak_quorum();
  if (later.size() < enough) return;
  std::sort(later.begin(), later.end(), std::greater<>());
  change_view(later[enough - 1], handing_over_ ? "handed over" : suspects_ ? complaint() : "others do");
}

void Pbft::count_changes() {
  if (active_) return;
  size_t asking = 0;
  size_t leaving = 0;  // the views before, for this one or a later one
  for (const auto& [sender, change] : changes_) {
    if (!governing_.votes(sender)) continue;
    asking += change.view == view_;
    leaving += change.view >= view_;
  }
  // The paper waits for 2f + 1 who ask for this very view before it goes on to the next. Where one may be ahead for
  // another reason (the primary gave way, members changed) the others would never be enough.
  if (leaving >= quorum() && change_due_ == kNever) {
    change_due_ = now_ + timeout_;
    timeout_ = std::min(2 * timeout_, options_.request_timeout << kMostDoublings);
  }
  if (asking >= quorum() && primary_of(view_) == options_.self && may_vote()) make_new_view();
}

// --- The new view ---

std::pair<Pbft::Sequence, std::vector<Pbft::Digest>> Pbft::order_of(const std::vector<ViewChange>& changes) const {
  Sequence low = 0;
  for (const ViewChange& change : changes) low = std::max(low, change.stable.seq);
  std::map<Sequence, const Certificate*> highest;
  for (const ViewChange& change : changes) {
    for (const Prepared& one : change.prepared) {
      if (one.prepares.seq <= low) continue;
      const Certificate*& best = highest[one.prepares.seq];
      if (best == nullptr || one.prepares.view > best->view) best = &one.prepares;
    }
  }
  std::vector<Digest> order;
  if (!highest.empty()) order.resize(highest.rbegin()->first - low, pbft::null_batch()->digest);
  for (const auto& [seq, certificate] : highest) {
    // One that proves nothing stood in the way of those that do.
    if (planted(Bug::kPbftInvalidMasksValid) && !sound(*certificate, governing_, quorum() - 1)) continue;
    order[seq - low - 1] = certificate->digest;
  }
  return {low + 1, std::move(order)};
}

// The stable checkpoint from which a new view goes on has to be this member's, too. False: it is behind.
bool Pbft::adopt_stable(const std::vector<ViewChange>& changes) {
  const Certificate* highest = nullptr;
  for (const ViewChange& change : changes) {
    if (highest == nullptr || change.stable.seq > highest->seq) highest = &change.stable;
  }
  if (highest == nullptr || highest->seq <= stable_.seq) return true;
  const auto own = checkpoints_.find(highest->seq);
  if (own == checkpoints_.end() || lacks_state_ || !knows_signers(highest->seq)) return false;
  if (own->second.digest != highest->digest) {
    halt("pbft: what this member executed up to " + std::to_string(highest->seq) +
         " differs from the stable checkpoint of a new view; replace it");
    return false;
  }
  if (own->second.state.header.changed) return false;  // that changes the view by itself
  make_stable(*highest);
  return true;
}

void Pbft::make_new_view() {
  NewView message;
  message.view = view_;
  for (const auto& [sender, change] : changes_) {
    if (change.view == view_ && governing_.votes(sender)) message.changes.push_back(change);
  }
  if (!adopt_stable(message.changes)) return;
  const auto [first, order] = order_of(message.changes);
  if (first <= governs_from_) return;
  message.first = first;
  for (size_t i = 0; i < order.size(); ++i) {
    const Slot* const here = slot(first + i);
    if (here != nullptr && here->committed && here->committed->view >= view_) return;  // it has begun, or a later one
    message.order.emplace_back(order[i], sign(Claim::kPrePrepare, view_, first + i, order[i]));
  }
  message.signature = sign(Claim::kNewView, view_, 0, message.digest());
  enter_view(message);
  broadcast(message);
}

void Pbft::handle(NodeId, NewView& message) {
  if (!adopt_stable(message.changes) || out_.halted()) return;
  if (message.view < view_ || (message.view == view_ && active_)) return;
  enter_view(message);
}

void Pbft::enter_view(const NewView& message) {
  if (message.view > view_) {
    end_reign("a later view began");
    if (own_change_) fact(FactKind::kElectionLost, 0, kNobody, 0, "a later view began");
  }
  view_ = message.view;
  active_ = true;
  active_since_ = now_;
  own_change_.reset();
  suspects_ = false;
  handing_over_.reset();
  new_view_ = message;
  change_due_ = kNever;
  progress_at_ = now_;
  ordered_to_ = 0;
  std::erase_if(changes_, [&](const auto& change) { return change.second.view <= view_; });
  forget_votes(slots_, stable_.seq);
  if (may_vote()) top_ = std::max(top_, message.first + message.order.size() - 1);  // it will speak of all of them
  change_seq_ = out_.record(record_of(header(pbft::RecordKind::kNewView), message));
  const NodeId primary = primary_of(view_);
  told_leader_ = primary == options_.self;
  Sequence to_commit = message.first + message.order.size() - 1;
  for (; to_commit >= message.first; --to_commit) {
    const Slot* const here = slot(to_commit);
    if (to_commit > stable_.seq && (here == nullptr || !here->committed)) break;
  }
  fact(told_leader_ ? FactKind::kBecameLeader : FactKind::kBecameFollower, ledger_.position, primary,
       to_commit >= message.first ? to_commit : 0);
  next_sequence_ = std::max(stable_.seq + 1, message.first + message.order.size());
  for (size_t i = 0; i < message.order.size() && !out_.halted() && active_ && view_ == message.view; ++i) {
    const Sequence seq = message.first + i;
    const auto& [digest, signature] = message.order[i];
    if (seq <= stable_.seq) continue;
    const Slot* const here = slot(seq);
    // One committed in a later view is no wonder: this one bound too few. Nor in this view: a primary that lies can
    // make two new views of different changes.
    if (here != nullptr && here->committed && here->committed->view < message.view &&
        here->committed->digest != digest) {
      return halt("pbft: a new view orders another batch at " + std::to_string(seq) +
                  ", where one is committed: more members lie than this group tolerates");
    }
    accept_pre_prepare(seq, digest, find_batch(seq, digest), {primary, signature});
  }
  if (out_.halted() || !active_ || view_ != message.view) return;
  fetch_missing();
  oldest_waiting_.reset();
  for (auto& [key, waiting] : waiting_) {
    waiting.since = now_;  // the new primary has its own chance
    ++waiting.views;
  }
  if (is_primary()) collect_unordered();
  // What came too early may fit now.
  std::map<NodeId, std::deque<std::string>> early;
  early.swap(early_);
  for (const auto& [from, frames] : early) {
    for (const std::string& frame : frames) receive(now_, from, frame);
  }
}

// --- Handing over ---

// Whether a request waits that a whole view did not order, and the next one neither. Then nobody is passed over: of
// seven members two that lie could hand views to each other for ever, and leave out whom they like. (After one view
// nobody is blamed: members may have heard of different requests, and would go to different views.)
bool Pbft::owes() const {
  return std::any_of(waiting_.begin(), waiting_.end(), [](const auto& one) { return one.second.views >= 2; });
}

void Pbft::transfer(Time now, NodeId to) {
  advance_clock(now);
  const auto refuse = [&](std::string_view reason) { fact(FactKind::kLeadershipMoved, 0, to, 0, reason); };
  if (!running() || !is_primary()) return refuse("not the primary");
  Epoch next = view_ + 1;
  while (to != kNobody && next <= view_ + governing_.voters() && primary_of(next) != to) ++next;
  if (next > view_ + governing_.voters() || primary_of(next) == options_.self) return refuse("not a voter");
  if (next > view_ + 1 && owes()) return refuse("requests of earlier views wait");
  hand_over(next);
}

// It goes when others do: alone in a later view, because nobody heard of it, it would be nobody's primary.
void Pbft::hand_over(Epoch next) {
  fact(FactKind::kLeadershipMoved, 0, primary_of(next));
  handing_over_ = Abdicate{view_, next};
  broadcast(*handing_over_, After::kNothing);
}

// A member may have left this view alone all the same: by a hand-over that only it heard of, or as a voter that is one
// no more. It can not come back, as it gave its word, and takes no part: so the others come to it. Not too often,
// as one that lies may ask for it again and again.
void Pbft::follow_who_is_ahead() {
  if (!is_primary() || handing_over_ || now_ - active_since_ < kLeastReign * options_.request_timeout) return;
  Epoch next = pbft::kMaxNumber;
  for (const auto& [member, peer] : peers_) {
    const bool heard = view_members_.contains(member) && now_ - peer.heard <= options_.request_timeout;
    if (heard && !peer.status.active && peer.status.view > view_) next = std::min(next, peer.status.view);
  }
  if (next == pbft::kMaxNumber) return;
  if (primary_of(next) == options_.self) ++next;  // which would be no hand-over: who waits goes there with all
  if (next < view_ + governing_.voters() && !owes()) hand_over(next);
}

void Pbft::handle(NodeId, Abdicate& message) {
  if (may_vote()) change_view(owes() ? view_ + 1 : message.next, "the primary gives way");
}

}  // namespace clew::consensus
