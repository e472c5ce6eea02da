// Whose word is it: what a message must look like before its signatures are worth checking, what it rests on, and
// waiting for the answers. One message is judged as a whole and by itself: a false one says nothing about another one
// of the same sender, or about the one whose place it would like to take (scenario 26).
#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/varint.h"
#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using namespace pbft;  // NOLINT(google-build-using-namespace): this file deals in nothing but its messages

namespace {

constexpr const char* kLate = "";  // no fault of anybody's: dropped without a word
constexpr size_t kMaxRemembered = 16'384;
constexpr Time kSourcePatience = 5 * kSecond;

}  // namespace

NodeId Pbft::primary_of(Epoch view) const {
  const size_t voters = governing_.voters();
  if (voters == 0) return kNobody;
  uint64_t skip = (view - 1) % voters;
  for (const Member& member : governing_.members()) {
    if (governing_.votes(member.id) && skip-- == 0) return member.id;
  }
  return kNobody;
}

std::string Pbft::sign(Claim claim, Epoch view, Sequence seq, const Digest& digest) {
  std::string text = statement(options_.group, claim, view, seq, digest, options_.self);
  std::string signature = options_.signer->sign(text);
  remember_valid(key_of({options_.self, std::move(text), signature}));
  return signature;
}

Digest Pbft::key_of(const Evidence& one) const {
  std::string bytes;
  append_fixed(bytes, number(one.signer));
  append_bytes(bytes, one.signature);
  bytes += one.statement;
  return sha256(bytes);
}

void Pbft::remember_valid(const Digest& key) {
  if (!valid_.insert(key).second) return;
  valid_order_.push_back(key);
  if (valid_order_.size() <= kMaxRemembered) return;
  valid_.erase(valid_order_.front());
  valid_order_.pop_front();
}

// --- What is worth checking ---

// Distinct voters of `members`, enough of them.
bool Pbft::sound(const Certificate& certificate, const Membership& members, size_t least) const {
  if (planted(Bug::kPbftSignerCountedTwice)) return certificate.signatures.size() >= least;
  std::set<NodeId> signers;
  for (const Signed& one : certificate.signatures) {
    if (!members.votes(one.by) || !signers.insert(one.by).second) return false;
  }
  return signers.size() >= least;
}

const char* Pbft::objection(const ViewChange& change) const {
  constexpr const char* kUnsound = "a view change with an unsound proof";
  if (!governing_.votes(change.sender)) return "a view change of a stranger";
  const Sequence stable = change.stable.seq;
  if (stable % options_.checkpoint_every != 0) return kUnsound;
  // The proof of a checkpoint of former members says nothing that this member does not know better.
  if (stable > governs_from_ && !sound(change.stable, governing_, quorum())) return kUnsound;
  for (const Prepared& one : change.prepared) {
    const Certificate& prepares = one.prepares;
    if (prepares.seq <= governs_from_) continue;
    if (stable < governs_from_ || prepares.seq > stable + options_.window_length()) return kUnsound;
    if (prepares.view == 0 || prepares.view >= change.view) return kUnsound;
    if (one.pre_prepare.by != primary_of(prepares.view)) return kUnsound;
    const bool own_prepare = std::any_of(prepares.signatures.begin(), prepares.signatures.end(),
                                         [&](const Signed& s) { return s.by == one.pre_prepare.by; });
    if (own_prepare || (!sound(prepares, governing_, quorum() - 1) && !planted(Bug::kPbftInvalidMasksValid))) {
      return kUnsound;
    }
  }
  return nullptr;
}

const char* Pbft::objection(const NewView& message) const {
  if (message.first <= governs_from_) return kLate;  // of members who did not know that others follow them
  if (message.changes.size() < quorum()) return "a new view of too few";
  for (const ViewChange& change : message.changes) {
    if (change.view != message.view) return "a new view from changes to another";
    if (const char* why = objection(change); why != nullptr) return why;
  }
  if (planted(Bug::kPbftOrderNotChecked)) return nullptr;
  const auto [first, order] = order_of(message.changes);
  if (first != message.first || order.size() != message.order.size()) return "a new view with an order of its own";
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] != message.order[i].first) return "a new view with an order of its own";
  }
  return nullptr;
}

const char* Pbft::objection(const Offer& offer, NodeId from) const {
  constexpr const char* kUnsound = "a state with an unsound proof";
  const CheckpointHeader& header = offer.state.header;
  if (header.seq < base_.state.header.seq || (header.seq <= executed_ && !lacks_state_)) return kLate;
  if (fetching_) {
    const Sequence fetching = fetching_->state.header.seq;
    // The same from another one goes on where the first had come to, which may be slow on purpose.
    const bool in_turn = header.seq == fetching && from != fetching_from_ && now_ - fetching_since_ >= kSourcePatience;
    if (header.seq <= fetching && !in_turn) return kLate;
  }
  if (!offer.of_one_piece()) return kUnsound;
  if (planted(Bug::kPbftStateUnchecked)) return nullptr;
  if (offer.checkpoint.seq != header.seq || offer.checkpoint.digest != header.digest()) return kUnsound;
  if (offer.snapshot.seq != header.seq || offer.snapshot.digest != snapshot_digest(header.digest(), offer.meta)) {
    return kUnsound;
  }
  // From the members that this one knows to those that signed the state.
  const Membership* members = &governing_;
  Sequence at = governs_from_;
  // A member that begins may have been told to trust a later membership than the founding one.
  for (const auto& [change, proof] : offer.changes) {
    if (executed_ == 0 && at == 0 && change.membership == governing_) at = change.seq;
  }
  // Those before lead there, as far as the offer tells who signed them: what is kept is handed on.
  const Membership* before = nullptr;
  Sequence last = 0;
  for (const auto& [change, proof] : offer.changes) {
    if (!change.changed || change.seq <= last || change.seq >= header.seq) return kUnsound;
    if (proof.seq != change.seq || proof.digest != change.digest()) return kUnsound;
    const Membership* const signers = change.seq > at ? members : before;
    if (signers != nullptr && !sound(proof, *signers, byzantine_quorum(signers->voters()))) return kUnsound;
    last = change.seq;
    before = &change.membership;
    if (change.seq > at) {
      members = &change.membership;
      at = change.seq;
    }
  }
  if (!sound(offer.checkpoint, *members, byzantine_quorum(members->voters()))) return kUnsound;
  if (!sound(offer.snapshot, *members, byzantine_weak_quorum(members->voters()))) return kUnsound;
  return nullptr;
}

const char* Pbft::objection(NodeId from, const Message& message) const {
  const auto of_view = [&](Epoch view, Sequence seq) -> const char* {
    if (view != view_ || !active_) return kLate;
    if (seq <= stable_.seq) return kLate;
    const bool outside = seq > limit() && !planted(Bug::kPbftWindowIgnored);
    return outside ? "outside of the window" : nullptr;
  };
  const auto known = [](const std::map<NodeId, VoteMessage>& votes, NodeId voter,
                        const VoteMessage& vote) -> const char* {
    const auto found = votes.find(voter);
    if (found == votes.end()) return nullptr;
    return found->second.digest == vote.digest ? kLate : "two digests for one number";
  };
  return std::visit(
      [&](const auto& m) -> const char* {
        using T = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<T, RequestMessage>) {
          const RequestKey key{m.request.gateway, m.request.timestamp};
          if (!view_members_.contains(m.request.gateway)) return "a request of a stranger";
          if (m.request.kind == EntryKind::kNoop && m.request.commands.front().size() > 0)
            return "a barrier with a payload";
          if (command_bytes(m.request) > kMaxBatchBytes) return "a request that is too long";
          if (clients_.executed(key.first, key.second) || waiting_.contains(key)) return kLate;
          const uint64_t bytes = command_bytes(m.request);
          const auto held = waiting_bytes_.find(key.first);
          if (held != waiting_bytes_.end() && held->second > 0 &&
              held->second + bytes > options_.max_uncommitted_bytes) {
            return "more requests than a gateway may have";
          }
          return nullptr;
        } else if constexpr (std::is_same_v<T, PrePrepare>) {
          if (const char* why = of_view(m.view, m.seq); why != nullptr) return why;
          if (from != primary_of(m.view)) return "a pre-prepare of a backup";
          const Slot* const here = slot(m.seq);
          if (here != nullptr && here->view == m.view) {
            return here->digest == m.batch->digest ? kLate : "two digests for one number";
          }
          if (!m.batch->null() && m.batch->origin != m.view) return "a batch of another view";
          return nullptr;
        } else if constexpr (std::is_same_v<T, VoteMessage>) {
          if (!governing_.votes(from)) return "a vote of a stranger";
          if (m.claim == Claim::kCheckpoint || m.claim == Claim::kSnapshot) {
            const bool checkpoint = m.claim == Claim::kCheckpoint;
            const Sequence floor = checkpoint ? stable_.seq : base_.state.header.seq;
            if (m.seq <= floor) return kLate;
            if (m.seq % options_.checkpoint_every != 0) return "a checkpoint where there is none";
            if (m.seq > std::max(stable_.seq, executed_) + 2 * options_.window_length()) return "outside of the window";
            const auto& all = checkpoint ? checkpoint_votes_ : snapshot_votes_;
            const auto votes = all.find(m.seq);
            return votes == all.end() ? nullptr : known(votes->second, from, m);
          }
          if (const char* why = of_view(m.view, m.seq); why != nullptr) return why;
          if (m.claim == Claim::kPrepare && from == primary_of(m.view)) return "a prepare of the primary";
          const Slot* const here = slot(m.seq);
          if (here == nullptr || planted(Bug::kPbftVotesRepeated)) return nullptr;
          const bool prepare = m.claim == Claim::kPrepare;
          if (const char* why = known(prepare ? here->prepares : here->commits, from, m); why != nullptr) return why;
          // Enough others said so.
          const bool enough = prepare ? here->prepared && here->prepared->prepares.view == m.view
                                      : here->committed.has_value() && !planted(Bug::kPbftExecutesAgain);
          return enough ? kLate : nullptr;
        } else if constexpr (std::is_same_v<T, ViewChange>) {
          if (m.sender != from && !planted(Bug::kPbftSignerUnbound)) return "a view change of somebody else";
          if (m.view < view_ || (m.view == view_ && active_)) return kLate;
          const auto newest = changes_.find(m.sender);
          if (newest != changes_.end() && newest->second.view >= m.view) return kLate;
          return objection(m);
        } else if constexpr (std::is_same_v<T, NewView>) {
          if (m.view < view_ || (m.view == view_ && active_)) return kLate;
          if (from != primary_of(m.view) && !view_members_.contains(from)) return "a new view of a stranger";
          if (planted(Bug::kPbftNewViewByNumber)) return nullptr;
          return objection(m);
        } else if constexpr (std::is_same_v<T, Abdicate>) {
          if (m.view != view_ || !active_) return kLate;
          // To another one: who gave way to itself, again and again, would keep the group busy with that.
          const bool may = from == primary_of(m.view) && from != primary_of(m.next) && m.next > m.view &&
                           m.next < m.view + governing_.voters();
          return may ? nullptr : "an abdication of somebody else";
        } else if constexpr (std::is_same_v<T, Committed>) {
          const Certificate& proof = m.commits;
          if (proof.seq <= executed_ || lacks_state_) return kLate;
          const Slot* const here = slot(proof.seq);
          if (here != nullptr && here->committed) return kLate;
          if (proof.seq > std::min(known_until(), executed_ + options_.window_length()))
            return kLate;  // its members are not known yet
          const bool whole = proof.digest == m.batch->digest && sound(proof, governing_, quorum());
          return whole ? nullptr : "a batch with an unsound proof";
        } else if constexpr (std::is_same_v<T, Stable>) {
          const auto own = checkpoints_.find(m.proof.seq);
          if (m.proof.seq <= stable_.seq || own == checkpoints_.end() || !knows_signers(m.proof.seq)) return kLate;
          const bool whole = sound(m.proof, governing_, quorum());
          return whole ? nullptr : "a checkpoint with an unsound proof";
        } else if constexpr (std::is_same_v<T, Offer>) {
          const auto distrusted = distrusted_.find(from);
          if (distrusted != distrusted_.end() && now_ < distrusted->second.until) return kLate;
          return objection(m, from);
        } else if constexpr (std::is_same_v<T, StatusReport>) {
          return view_members_.contains(from) || !governing_.votes(options_.self) || is_alone() ? nullptr
                                                                                                : "a stranger";
        } else {
          return view_members_.contains(from) ? nullptr : "a stranger";
        }
      },
      message);
}

// --- What it rests on ---

void Pbft::add_evidence(std::vector<Evidence>& out, Claim claim, const Certificate& certificate) const {
  for (const Signed& one : certificate.signatures) {
    out.push_back({one.by,
                   statement(options_.group, claim, certificate.view, certificate.seq, certificate.digest, one.by),
                   one.signature});
  }
}

void Pbft::add_evidence(std::vector<Evidence>& out, const Request& request) const {
  out.push_back({request.gateway,
                 statement(options_.group, Claim::kRequest, 0, 0, request_digest(request), request.gateway),
                 request.signature});
}

void Pbft::add_evidence(std::vector<Evidence>& out, const ViewChange& change, NodeId signer) const {
  if (planted(Bug::kPbftChangeUnverified)) return;
  out.push_back({signer, statement(options_.group, Claim::kViewChange, change.view, 0, change.digest(), signer),
                 change.signature});
  if (change.stable.seq > governs_from_) add_evidence(out, Claim::kCheckpoint, change.stable);
  for (const Prepared& one : change.prepared) {
    const Certificate& prepares = one.prepares;
    if (prepares.seq <= governs_from_) continue;
    if (planted(Bug::kPbftInvalidMasksValid) && !sound(prepares, governing_, quorum() - 1))
      continue;  // order_of() sees
    const NodeId by = one.pre_prepare.by;
    out.push_back({by, statement(options_.group, Claim::kPrePrepare, prepares.view, prepares.seq, prepares.digest, by),
                   one.pre_prepare.signature});
    add_evidence(out, Claim::kPrepare, prepares);
  }
}

std::vector<Pbft::Evidence> Pbft::evidence(NodeId from, const Message& message) const {
  std::vector<Evidence> out;
  std::visit(
      [&](const auto& m) {
        using T = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<T, RequestMessage>) {
          add_evidence(out, m.request);
        } else if constexpr (std::is_same_v<T, PrePrepare>) {
          out.push_back(
              {from, statement(options_.group, Claim::kPrePrepare, m.view, m.seq, m.batch->digest, from), m.signature});
          if (planted(Bug::kPbftRequestsUnverified)) return;
          for (const Request& request : m.batch->requests) add_evidence(out, request);
        } else if constexpr (std::is_same_v<T, VoteMessage>) {
          out.push_back({from, statement(options_.group, m.claim, m.view, m.seq, m.digest, from), m.signature});
        } else if constexpr (std::is_same_v<T, ViewChange>) {
          add_evidence(out, m, planted(Bug::kPbftSignerUnbound) ? from : m.sender);
        } else if constexpr (std::is_same_v<T, NewView>) {
          const NodeId primary = primary_of(m.view);
          out.push_back(
              {primary, statement(options_.group, Claim::kNewView, m.view, 0, m.digest(), primary), m.signature});
          for (const ViewChange& change : m.changes) add_evidence(out, change, change.sender);
          for (size_t i = 0; i < m.order.size(); ++i) {
            const auto& [digest, signature] = m.order[i];
            out.push_back({primary, statement(options_.group, Claim::kPrePrepare, m.view, m.first + i, digest, primary),
                           signature});
          }
        } else if constexpr (std::is_same_v<T, Committed>) {
          add_evidence(out, Claim::kCommit, m.commits);
        } else if constexpr (std::is_same_v<T, Stable>) {
          add_evidence(out, Claim::kCheckpoint, m.proof);
        } else if constexpr (std::is_same_v<T, Offer>) {
          if (planted(Bug::kPbftStateUnchecked)) return;
          for (const auto& [change, proof] : m.changes) {
            if (change.seq > governs_from_) add_evidence(out, Claim::kCheckpoint, proof);
          }
          add_evidence(out, Claim::kCheckpoint, m.checkpoint);
          add_evidence(out, Claim::kSnapshot, m.snapshot);
        }
      },
      message);
  return out;
}

// --- Arrival ---

void Pbft::receive(Time now, NodeId from, std::string_view frame) {
  advance_clock(now);
  if (!running()) return;
  if (from == kNobody || from == options_.self) return refuse_message(from, "from nobody or myself");
  Result<Message> decoded = decode(frame);
  if (!decoded.ok()) {
    static constexpr std::string_view kReasons[] = {"unknown version", "unknown type", "malformed: not canonical"};
    std::string_view reason = "malformed";
    for (std::string_view known : kReasons) {
      if (decoded.error().message == known) reason = known;
    }
    return refuse_message(from, reason);
  }
  Message& message = *decoded;
  Epoch view = 0;
  if (const auto* proposal = std::get_if<PrePrepare>(&message)) view = proposal->view;
  if (const auto* vote = std::get_if<VoteMessage>(&message)) view = vote->view;
  if (view > view_ || (view == view_ && !active_)) {
    // Of a view that this member enters soon, perhaps. What does not fit is sent again when it is asked for.
    constexpr size_t kMostFrames = 64;
    constexpr Epoch kSoon = 1'024;  // views
    if (!governing_.votes(from)) return refuse_message(from, "a vote of a stranger");
    if (view - view_ > kSoon) return refuse_message(from, "of a view in the far future");
    std::deque<std::string>& kept = early_[from];
    if (kept.size() >= kMostFrames || frame.size() > std::max<uint64_t>(options_.max_message_bytes, 64 << 10)) {
      return refuse_message(from, "too much of a later view");
    }
    kept.emplace_back(frame);
    return;
  }
  if (const char* why = objection(from, message); why != nullptr) {
    if (*why != 0) refuse_message(from, why);
    return;
  }
  std::vector<std::pair<Digest, Evidence>> open;
  for (Evidence& one : evidence(from, message)) {
    const Digest key = key_of(one);
    if (!valid_.contains(key)) open.emplace_back(key, std::move(one));
  }
  if (open.empty()) return accept(from, message);
  Load& load = unverified_of_[from];
  if (load.messages >= options_.max_unverified ||
      (load.messages > 0 && (load.bytes + frame.size() > options_.max_unverified_bytes ||
                             load.signatures + open.size() > options_.max_unverified_signatures))) {
    return refuse_message(from, "too many to be checked");
  }
  ++load.messages;
  load.bytes += frame.size();
  load.signatures += open.size();
  const uint64_t id = next_unverified_++;
  Unverified& unverified = unverified_[id];
  unverified.from = from;
  unverified.bytes = frame.size();
  unverified.message = std::move(message);
  unverified.signatures = unverified.left = open.size();
  for (auto& [key, one] : open) {
    // Several say the same, and again, to a member that is behind: it is checked once.
    const auto [asking, is_new] = asking_.try_emplace(key, VerifyId{next_verify_});
    if (is_new) {
      ++next_verify_;
      out_.verify({asking->second, one.signer, std::move(one.statement), std::move(one.signature)});
    }
    Question& question = asked_[asking->second];
    question.key = key;
    question.messages.push_back(id);
  }
}

void Pbft::verified(Time now, VerifyId verify, bool ok) {
  advance_clock(now);
  const auto asked = asked_.find(verify);
  if (asked == asked_.end()) return;
  const Question question = std::move(asked->second);
  asked_.erase(asked);
  asking_.erase(question.key);
  if (ok) remember_valid(question.key);
  for (const uint64_t id : question.messages) {
    Unverified& unverified = unverified_.at(id);
    unverified.bad = unverified.bad || !ok;
    if (--unverified.left == 0) release_unverified(id);
  }
}

void Pbft::release_unverified(uint64_t id) {
  Unverified unverified = std::move(unverified_.at(id));
  unverified_.erase(id);
  Load& load = unverified_of_.at(unverified.from);
  --load.messages;
  load.bytes -= unverified.bytes;
  load.signatures -= unverified.signatures;
  if (!running()) return;
  if (unverified.bad) return refuse_message(unverified.from, "a wrong signature");
  // What it was measured by may have changed meanwhile.
  if (const char* why = objection(unverified.from, unverified.message); why != nullptr) {
    if (*why != 0) refuse_message(unverified.from, why);
    return;
  }
  accept(unverified.from, unverified.message);
}

void Pbft::accept(NodeId from, Message& message) {
  std::visit(
      [&](auto& m) {
        using T = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<T, VoteMessage>) {
          if (m.claim == Claim::kCheckpoint) return handle_checkpoint(from, m);
          if (m.claim == Claim::kSnapshot) return handle_snapshot(from, m);
        }
        handle(from, m);
      },
      message);
}

}  // namespace clew::consensus
