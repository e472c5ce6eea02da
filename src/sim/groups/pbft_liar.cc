#include "sim/groups/pbft_liar.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "base/hash.h"
#include "base/random.h"
#include "base/varint.h"
#include "consensus/pbft/messages.h"
#include "consensus/pbft/test_keys.h"
#include "consensus/replica_command.h"
#include "sim/groups/pbft_family.h"

namespace clew::sim::groups {
namespace {

using consensus::Epoch;
using consensus::NodeId;
namespace pbft = consensus::pbft;
using pbft::BatchPtr;
using pbft::Certificate;
using pbft::Claim;
using pbft::Digest;
using pbft::Message;
using pbft::Sequence;

constexpr size_t kKept = 200;

class PbftLiar final : public Liar {
 public:
  // `draws`: its habits, which the options do not name.
  PbftLiar(PbftLiarOptions options, bool draws)
      : self_(options.self),
        present_(std::move(options.present)),
        group_(options.group),
        steadily_(options.habits.steadily),
        signer_(std::move(options.sign)),
        random_(options.seed),
        equivocates_(options.habits.equivocates),
        forges_(options.habits.forges),
        omits_(options.habits.omits),
        replays_(options.habits.replays),
        lies_(options.habits.lies),
        silent_(options.habits.silent),
        mistimes_(options.habits.mistimes) {
    if (draws) {
      for (bool* habit : {&equivocates_, &forges_, &omits_, &replays_, &lies_, &silent_}) *habit = random_.one_in(2);
      if (!equivocates_ && !forges_ && !omits_ && !replays_ && !lies_) equivocates_ = true;
      silent_ = silent_ && random_.one_in(2);
      mistimes_ = random_.one_in(2);
    }
    for (uint64_t i = 1; i <= options.voters; ++i) founding_.push_back(NodeId{i});
    side_ = random_.next();
    while (steadily_ && others_on_the_other_side() != voters().size() - 2) side_ = random_.next();
  }

  std::vector<std::string> twist(NodeId to, std::string_view frame) override {
    std::vector<std::string> out;
    auto decoded = pbft::decode(frame);
    if (!decoded.ok()) return {std::string(frame)};
    Message message = std::move(decoded).value();
    if (silent_ && other_side(to) && (steadily_ || !random_.one_in(8))) return out;
    std::visit([&](auto& m) { change(to, m); }, message);
    out.push_back(pbft::encode(message));
    if (replays_) {
      kept_.emplace_back(frame);
      if (kept_.size() > kKept) kept_.pop_front();
      if (random_.one_in(10)) out.push_back(kept_[random_.below(kept_.size())]);
    }
    if (forges_ && random_.one_in(30)) out.push_back(pbft::encode(own_new_view()));
    if (random_.one_in(20)) out.push_back(out.front());  // a vote that comes twice is one vote
    return out;
  }

  // A chunk of a state with another byte in it, and a checksum that fits (docs/format/peer.md).
  std::string twist_snapshot(std::string_view frame) override {
    std::string out(frame);
    ByteReader in(frame);
    if (!lies_ || random_.one_in(2) || in.fixed<uint8_t>() != 2) return out;
    in.varint();  // position
    in.skip(32);  // digest
    in.varint();  // offset
    in.skip(4);   // checksum
    if (!in.ok() || in.remaining() == 0) return out;
    const size_t begin = frame.size() - in.remaining();
    out[begin + random_.below(in.remaining())] ^= 1;
    const uint32_t checksum = checksum32(std::string_view(out).substr(begin));
    std::memcpy(out.data() + begin - sizeof checksum, &checksum, sizeof checksum);
    return out;
  }

 private:
  std::string sign(Claim claim, Epoch view, Sequence seq, const Digest& digest) const {
    return signer_(pbft::statement(group_, claim, view, seq, digest, self_));
  }
  std::vector<NodeId> voters() const { return present_ ? present_() : founding_; }
  NodeId any_voter() {
    const std::vector<NodeId> all = voters();
    return all[random_.below(all.size())];
  }
  uint64_t others_on_the_other_side() const {
    uint64_t count = 0;
    for (const NodeId id : voters()) count += id != self_ && other_side(id) ? 1 : 0;
    return count;
  }
  bool other_side(NodeId to) const { return (mix64(side_, number(to)) & 1) != 0; }

  // --- Requests ---

  template <typename M>
  void change(NodeId, M&) {}

  void change(NodeId, pbft::RequestMessage& m) {
    mistime(m.request);
    remember(m.request);
  }

  // A command that this gateway signs may say any time of itself: a bit more than is allowed, an hour, for ever; or one
  // that is past, which harms nobody. The same for all whom it is told.
  bool mistime(pbft::Request& request) const {
    if (!mistimes_ || request.gateway != self_ || request.kind != consensus::EntryKind::kCommand) return false;
    constexpr int64_t kAhead[] = {6'000'000'000, 3'600'000'000'000, -3'600'000'000'000, pbft::kMaxNumber / 2};
    const uint64_t draw = mix64(side_, request.timestamp);
    if (draw % 2 == 0) return false;
    for (consensus::Payload& command : request.commands) {
      const auto decoded = consensus::decode_command(command.view());
      if (!decoded.ok()) continue;
      consensus::CommandHeader header = decoded->header;
      header.proposed_ns += kAhead[(draw >> 8) % std::size(kAhead)];
      command = consensus::encode_command(header, decoded->body);
    }
    request.signature = sign(Claim::kRequest, 0, 0, pbft::request_digest(request));
    return true;
  }

  void remember(const pbft::Request& request) {
    requests_.push_back(request);
    if (requests_.size() > kKept) requests_.pop_front();
  }

  // --- Ordering ---

  // The batch that the other side, or all, are shown instead; the same one each time.
  BatchPtr instead_of(Epoch view, Sequence seq, const BatchPtr& batch) {
    BatchPtr& other = instead_[{view, seq}];
    if (other != nullptr) return other;
    std::vector<pbft::Request> requests = batch->requests;
    if (forges_ && random_.one_in(2)) {
      pbft::Request invented{any_voter(), 1'000'000'000 + random_.below(1'000), {}, {}, {}};
      invented.kind = consensus::EntryKind::kCommand;
      invented.commands.push_back(consensus::encode_command(consensus::CommandHeader{}, "invented"));
      invented.signature = signer_("invented");
      requests.push_back(std::move(invented));
    } else if (forges_ && !requests.empty() && requests.front().commands.size() > 1 && random_.one_in(2)) {
      requests.front().commands.pop_back();  // one of several under a signature for all of them
    } else if (replays_ && !requests_.empty()) {
      requests.push_back(requests_[random_.below(requests_.size())]);
    } else if (requests.size() > 1) {
      requests.pop_back();
    } else {
      requests.clear();
    }
    other =
        requests.empty() ? pbft::null_batch() : pbft::make_batch(batch->origin == 0 ? view : batch->origin, requests);
    while (instead_.size() > kKept) instead_.erase(instead_.begin());
    return other;
  }

  void change(NodeId to, pbft::PrePrepare& m) {
    for (const pbft::Request& request : m.batch->requests) remember(request);
    std::vector<pbft::Request> requests = m.batch->requests;
    bool mistimed = false;
    for (pbft::Request& request : requests) mistimed |= mistime(request);
    if (mistimed) {
      m.batch = pbft::make_batch(m.batch->origin, std::move(requests));
      m.signature = sign(Claim::kPrePrepare, m.view, m.seq, m.batch->digest);
    }
    const bool all = (forges_ || replays_) && mix64(side_, m.seq) % 4 == 0;
    const bool some = equivocates_ && other_side(to) && (steadily_ || mix64(side_, m.seq) % 3 != 0);
    if (!all && !some) return;
    m.batch = instead_of(m.view, m.seq, m.batch);
    m.signature = sign(Claim::kPrePrepare, m.view, m.seq, m.batch->digest);
  }

  void change(NodeId to, pbft::VoteMessage& m) {
    const bool of_view = m.claim == Claim::kPrepare || m.claim == Claim::kCommit;
    if (of_view && equivocates_ && other_side(to)) {
      // For whatever the other side was shown; else for something that nobody was.
      const auto other = instead_.find({m.view, m.seq});
      if (other != instead_.end() && other->second != nullptr) {
        m.digest = other->second->digest;
      } else if (random_.one_in(3)) {
        m.digest.bytes[0] ^= 1;
      }
      m.signature = sign(m.claim, m.view, m.seq, m.digest);
    } else if (!of_view && lies_ && random_.one_in(2)) {
      m.digest.bytes[1] ^= 1;
      m.signature = sign(m.claim, 0, m.seq, m.digest);
    } else if (forges_ && random_.one_in(10)) {
      m.seq += 1'000'000;  // far outside of every window
      m.signature = sign(m.claim, m.view, m.seq, m.digest);
    }
  }

  // --- Views ---

  // A certificate that would make a null request of whatever stands there, of a view that trumps all before.
  pbft::Prepared made_up(Epoch view, Sequence seq, bool repeat) const {
    pbft::Prepared one;
    const Digest digest = pbft::null_batch()->digest;
    one.prepares = Certificate{view, seq, digest, {}};
    const std::vector<NodeId> all = voters();
    const NodeId primary = all[(view - 1) % all.size()];
    one.pre_prepare = {primary, sign(Claim::kPrePrepare, view, seq, digest)};
    for (const NodeId voter : all) {
      const NodeId by = repeat ? self_ : voter;
      if (by == primary) continue;
      one.prepares.signatures.push_back({by, sign(Claim::kPrepare, view, seq, digest)});
    }
    return one;
  }

  void change(NodeId, pbft::ViewChange& m) {
    if (omits_) m.prepared.clear();
    if (forges_ && random_.one_in(4)) m.view = pbft::kMaxNumber;  // whoever follows has nowhere to go
    if (forges_ && m.view > 1 && random_.one_in(2)) {
      m.prepared.clear();
      const bool repeat = random_.one_in(2);
      for (Sequence seq = m.stable.seq + 1; seq <= m.stable.seq + 2; ++seq) {
        m.prepared.push_back(made_up(m.view - 1, seq, repeat));
      }
    }
    // In the name of another, whose key it has not.
    if (forges_ && random_.one_in(4)) m.sender = any_voter();
    m.signature = sign(Claim::kViewChange, m.view, 0, m.digest());
    if (forges_ && random_.one_in(4)) m.signature = signer_("nothing");
  }

  void sign_all(pbft::NewView& m) const {
    for (size_t i = 0; i < m.order.size(); ++i) {
      m.order[i].second = sign(Claim::kPrePrepare, m.view, m.first + i, m.order[i].first);
    }
    m.signature = sign(Claim::kNewView, m.view, 0, m.digest());
  }

  void change(NodeId to, pbft::NewView& m) {
    newest_view_ = std::max(newest_view_, m.view);
    if (m.changes.empty() || !(forges_ || omits_ || equivocates_)) return;
    if (equivocates_ && !other_side(to)) return;
    for (auto& [digest, signature] : m.order) digest = pbft::null_batch()->digest;
    if (forges_ && random_.one_in(2)) m.changes.resize(1);
    sign_all(m);
  }

  // Out of nothing, for a view in which it is the primary.
  pbft::NewView own_new_view() {
    pbft::NewView m;
    const std::vector<NodeId> all = voters();
    m.view = newest_view_ + 1;
    while (m.view < newest_view_ + all.size() && all[(m.view - 1) % all.size()] != self_) ++m.view;
    m.first = stable_ + 1;
    for (int i = 0; i < 3; ++i) m.order.emplace_back(pbft::null_batch()->digest, std::string());
    sign_all(m);
    return m;
  }

  // --- The rest ---

  void change(NodeId, pbft::StatusReport& m) {
    newest_view_ = std::max(newest_view_, m.view);
    stable_ = m.stable;
    if (lies_ && random_.one_in(3)) {
      m.executed += random_.below(1'000);
      m.wants = m.stable + random_.below(50);
      m.suspects = random_.one_in(2);
    }
  }
  void change(NodeId, pbft::ReadReply& m) {
    if (lies_) m.executed = random_.one_in(2) ? 0 : m.executed + 1'000;
  }
  void change(NodeId, pbft::Offer& m) {
    if (!lies_) return;
    // The state of another checkpoint, without the memory of what was executed.
    m.state.clients = {};
    std::string clients;
    m.state.clients.append_to(clients);
    m.state.header.clients = sha256(clients);
    m.checkpoint.digest = m.state.header.digest();
    m.snapshot.digest = pbft::snapshot_digest(m.checkpoint.digest, m.meta);
  }
  void change(NodeId, pbft::Committed& m) {
    if (!forges_ || !random_.one_in(4) || m.batch->null()) return;
    m.batch = pbft::null_batch();
    m.commits.digest = m.batch->digest;
    for (pbft::Signed& one : m.commits.signatures) {
      one = {self_, sign(Claim::kCommit, m.commits.view, m.commits.seq, m.commits.digest)};
    }
  }

  const NodeId self_;
  const std::function<std::vector<NodeId>()> present_;
  std::vector<NodeId> founding_;
  const uint64_t group_;
  const bool steadily_;
  const std::function<std::string(std::string_view)> signer_;
  Generator random_;
  bool equivocates_, forges_, omits_, replays_, lies_, silent_, mistimes_;
  uint64_t side_ = 0;
  Epoch newest_view_ = 1;
  Sequence stable_ = 0;
  std::map<std::pair<Epoch, Sequence>, BatchPtr> instead_;
  std::deque<pbft::Request> requests_;
  std::deque<std::string> kept_;
};

}  // namespace

std::unique_ptr<Liar> make_pbft_liar(NodeId self, Present present, uint64_t seed) {
  PbftLiarOptions options;
  options.self = self;
  options.present = [present = std::move(present)] {
    std::vector<NodeId> ids;
    for (const consensus::Member& member : present().members()) {
      if (present().votes(member.id)) ids.push_back(member.id);
    }
    return ids;
  };
  options.seed = seed;
  options.group = kPbftGroup;
  options.sign = [self](std::string_view message) { return pbft::test_signature(self, message); };
  return std::make_unique<PbftLiar>(std::move(options), true);
}

std::unique_ptr<Liar> make_pbft_liar(PbftLiarOptions options) {
  return std::make_unique<PbftLiar>(std::move(options), false);
}

}  // namespace clew::sim::groups
