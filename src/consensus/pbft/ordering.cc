// The three phases of the normal case (PBFT §4.2): pre-prepare and prepare order requests within a view, prepare and
// commit order them across views.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::BatchPtr;
using pbft::Certificate;
using pbft::Claim;
using pbft::Prepared;
using pbft::PrePrepare;
using pbft::Request;
using pbft::Signed;
using pbft::VoteMessage;

Pbft::Sequence Pbft::known_until() const {
  if (ledger_.next_at != 0) return ledger_.next_at;
  return switching_at_ != 0 ? switching_at_ : pbft::kMaxNumber;
}

Pbft::Sequence Pbft::limit() const { return std::min(stable_.seq + options_.window_length(), known_until()); }

const Pbft::Slot* Pbft::slot(Sequence seq) const {
  const auto found = slots_.find(seq);
  return found == slots_.end() ? nullptr : &found->second;
}

// --- The primary ---

// What waits in the pool, in the order in which it came, when a primary takes office.
void Pbft::collect_unordered() {
  unordered_.clear();
  std::vector<std::pair<Time, RequestKey>> all;
  for (auto& [key, waiting] : waiting_) all.emplace_back(waiting.since, key);
  std::sort(all.begin(), all.end());
  for (const auto& [since, key] : all) unordered_.push_back(key);
}

// A checkpoint is awaited, and no request leads there.
bool Pbft::fill_wanted() const {
  return next_sequence_ <= fill_to_ || (ledger_.next_at != 0 && next_sequence_ <= ledger_.next_at);
}

// Every batch costs the same signatures, however small it is. No timer: what is in agreement ends, or the view does.
bool Pbft::waits_for_company() const {
  if (next_sequence_ <= executed_ + 1 || fill_wanted()) return false;
  size_t commands = 0;
  uint64_t bytes = 0;
  for (const RequestKey& key : unordered_) {
    const auto found = waiting_.find(key);
    if (found == waiting_.end()) continue;
    commands += found->second.request.commands.size();
    bytes += pbft::command_bytes(found->second.request);
    if (commands >= options_.full_batch || bytes >= options_.max_message_bytes) return false;
  }
  return true;
}

void Pbft::order_waiting() {
  while (is_primary() && next_sequence_ <= limit() && next_sequence_ <= executed_ + options_.window.messages &&
         !waits_for_company()) {
    const Slot* const next = slot(next_sequence_);
    if (next != nullptr && next->committed && next->committed->view > view_) return;  // a later view has begun
    std::vector<Request> requests;
    size_t commands = 0;
    uint64_t bytes = 0;
    std::deque<RequestKey> later;
    while (!unordered_.empty() && log_bytes_ <= options_.max_log_bytes) {
      const auto found = waiting_.find(unordered_.front());
      if (found != waiting_.end() && !clients_.executed(found->first.first, found->first.second)) {
        const Request& request = found->second.request;
        bytes += pbft::command_bytes(request);
        const size_t more = commands + request.commands.size();
        const bool full = bytes > options_.max_message_bytes || more > pbft::kMaxCommandsOfBatch;
        if (full && !requests.empty()) break;
        if (admissible(request)) {
          requests.push_back(request);
          commands = more;
        } else {
          later.push_back(unordered_.front());
        }
      }
      unordered_.pop_front();
    }
    unordered_.insert(unordered_.begin(), later.begin(), later.end());
    if (requests.empty()) {
      if (!fill_wanted()) return;
      pre_prepare(pbft::null_batch());
    } else {
      pre_prepare(pbft::make_batch(view_, std::move(requests)));
    }
  }
}

void Pbft::pre_prepare(const BatchPtr& batch) {
  const Sequence seq = next_sequence_++;
  Signed signature{options_.self, sign(Claim::kPrePrepare, view_, seq, batch->digest)};
  broadcast(PrePrepare{view_, seq, batch, signature.signature});
  accept_pre_prepare(seq, batch->digest, batch, std::move(signature));
}

// --- Pre-prepare and prepare ---

bool Pbft::admissible(const Request& request) const {
  if (!options_.admissible || request.kind != EntryKind::kCommand || planted(Bug::kPbftAnyTime)) return true;
  return std::all_of(request.commands.begin(), request.commands.end(),
                     [&](const Payload& command) { return options_.admissible(command.view()); });
}

void Pbft::handle(NodeId from, PrePrepare& message) {
  const Slot* const here = slot(message.seq);
  if (here != nullptr && here->committed && here->committed->digest != message.batch->digest) {
    return refuse_message(from, "another batch where one is committed");
  }
  const auto& requests = message.batch->requests;
  uint64_t bytes = 0;
  for (const Request& request : requests) bytes += pbft::command_bytes(request);
  if (bytes > pbft::kMaxBatchBytes) return refuse_message(from, "a batch that is too long");
  if (!std::all_of(requests.begin(), requests.end(), [&](const Request& request) { return admissible(request); })) {
    return refuse_message(from, "an inadmissible command");
  }
  accept_pre_prepare(message.seq, message.batch->digest, message.batch, {from, std::move(message.signature)});
}

// `batch`: null when only its digest is known so far.
void Pbft::accept_pre_prepare(Sequence seq, const Digest& digest, BatchPtr batch, Signed signature) {
  Slot& here = slots_[seq];
  if (here.committed && here.committed->digest != digest) return;  // nothing to vote for any more
  if (here.batch != nullptr && !here.committed && here.digest != digest) fact(FactKind::kTruncated, seq);
  here.view = view_;
  here.digest = digest;
  here.batch = std::move(batch);
  here.pre_prepare = std::move(signature);
  ordered_to_ = std::max(ordered_to_, seq);
  if (here.batch != nullptr) batch_here(seq, here);
}

void Pbft::batch_here(Sequence seq, Slot& here) {
  const bool primary = primary_of(view_) == options_.self;
  if (may_vote()) top_ = std::max(top_, seq);
  // Where a batch is committed, its phases are repeated for others.
  if (!here.committed) fact(FactKind::kPrePrepared, seq, here.pre_prepare.by, here.batch->commands());
  const PrePrepare accepted{here.view, seq, here.batch, here.pre_prepare.signature};
  if (!planted(Bug::kPbftForgetsPrepare) || primary) {
    here.accepted_seq = out_.record(record_of(header(pbft::RecordKind::kAccepted), accepted, here.pre_prepare.by));
  }
  if (!primary && may_vote()) cast(Claim::kPrepare, seq, here.digest);
  check_prepared(seq, here);
  check_committed(seq, here);
}

void Pbft::cast(Claim claim, Sequence seq, const Digest& digest) {
  const bool of_view = claim == Claim::kPrepare || claim == Claim::kCommit;
  const Epoch view = of_view ? view_ : 0;
  VoteMessage vote{claim, view, seq, digest, sign(claim, view, seq, digest)};
  broadcast(vote, planted(Bug::kPbftVoteBeforeDurable) ? After::kNothing : After::kEverything);
  switch (claim) {
    case Claim::kPrepare:
      slots_[seq].prepares[options_.self] = std::move(vote);
      return;
    case Claim::kCommit:
      slots_[seq].commits[options_.self] = std::move(vote);
      return;
    case Claim::kCheckpoint:
      checkpoint_votes_[seq][options_.self] = std::move(vote);
      return;
    default:
      snapshot_votes_[seq][options_.self] = std::move(vote);
      return;
  }
}

void Pbft::handle(NodeId from, VoteMessage& message) {
  Slot& here = slots_[message.seq];
  const Sequence seq = message.seq;
  auto& votes = message.claim == Claim::kPrepare ? here.prepares : here.commits;
  NodeId voter = from;
  if (here.view == message.view && here.batch != nullptr && here.digest != message.digest) {
    // The primary showed it something else, or it lies. It counts for what it says, which may be what is agreed on.
    fact(FactKind::kMessageRefused, 0, from, seq, "a vote for another batch");
  }
  while (planted(Bug::kPbftVotesRepeated) && votes.contains(voter)) voter = NodeId{number(voter) + 1'000};
  votes[voter] = std::move(message);
  check_prepared(seq, here);
  check_committed(seq, here);
}

// --- Counting ---

// Of equal statements of those who vote now, each signer once, at most so many. A vote may have come before its sender
// was removed.
Certificate Pbft::gather(const std::map<NodeId, VoteMessage>& votes, Epoch view, Sequence seq, const Digest& digest,
                         NodeId without, size_t at_most) const {
  Certificate certificate{view, seq, digest, {}};
  for (const auto& [voter, vote] : votes) {
    if (certificate.signatures.size() == at_most) break;
    if (voter == without || (vote.digest != digest && !planted(Bug::kPbftDigestIgnored))) continue;
    if (!governing_.votes(voter) && !planted(Bug::kPbftVotesRepeated)) continue;
    certificate.signatures.push_back({voter, vote.signature});
  }
  return certificate;
}

void Pbft::check_prepared(Sequence seq, Slot& here) {
  if (here.view != view_ || here.batch == nullptr || !active_) return;
  if (here.prepared && here.prepared->prepares.view == view_) return;
  const size_t others =
      planted(Bug::kPbftPrepareByOneLess) ? quorum() - 2 : quorum() - 1;  // 2f: the primary's is apart
  Certificate prepares = gather(here.prepares, view_, seq, here.digest, here.pre_prepare.by, others);
  if (prepares.signatures.size() < others) return;
  here.prepared = Prepared{here.pre_prepare, std::move(prepares)};
  here.prepared_batch = here.batch;
  here.prepared_batch_seq = here.accepted_seq;
  here.prepared_seq = out_.record(record_of(header(pbft::RecordKind::kPrepared), here.prepared->prepares));
  if (!here.committed) fact(FactKind::kPrepared, seq);
  if (may_vote()) cast(Claim::kCommit, seq, here.digest);
  check_committed(seq, here);
}

void Pbft::check_committed(Sequence seq, Slot& here) {
  if (planted(Bug::kPbftExecutesAgain) && here.committed && seq == executed_) execute(*here.committed_batch, seq);
  if (here.committed || here.view != view_ || here.batch == nullptr || !active_) return;
  const size_t enough = planted(Bug::kPbftCommitByOneLess) ? quorum() - 1 : quorum();
  Certificate proof = gather(here.commits, view_, seq, here.digest, kNobody, enough);
  if (proof.signatures.size() < enough) return;
  const BatchPtr batch = here.batch;
  commit(here, std::move(proof), batch);
}

void Pbft::commit(Slot& here, Certificate proof, BatchPtr batch) {
  const bool recorded = here.accepted_seq != 0 && here.batch != nullptr && here.digest == proof.digest;
  here.committed_batch_seq = recorded ? here.accepted_seq : 0;
  here.committed_seq =
      out_.record(record_of(header(pbft::RecordKind::kCommitted), proof, recorded ? nullptr : batch.get()));
  here.committed = std::move(proof);
  here.committed_batch = std::move(batch);
  fact(FactKind::kCommittedLocal, here.committed->seq, kNobody, here.committed_batch->commands());
  execute_ready();
}

}  // namespace clew::consensus
