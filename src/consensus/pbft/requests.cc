// Requests: what the clients of each gateway want ordered. The commands of a turn are one request, signed once and
// checked once by each of the others, however many they are. Each goes to all members; who holds one that is not
// executed grows impatient with the primary (view_change.cc).
#include <algorithm>
#include <utility>

#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::Claim;
using pbft::command_bytes;
using pbft::kCommandCharge;
using pbft::kMaxCommandsOfRequest;
using pbft::Request;
using pbft::RequestMessage;

namespace {
// Timestamps are set aside in lots, so that not every request needs a record; a restart skips the rest of the lot.
constexpr uint64_t kLot = 1 << 20;
// Requests sent again at once. Not by max_message_bytes: a group of small messages that lost many would take for ever.
constexpr size_t kMostRepeated = 64;
constexpr uint64_t kMostRepeatedBytes = 4 << 20;
}  // namespace

void Pbft::reserve_timestamps() {
  if (next_timestamp_ < reserved_) return;
  reserved_ = next_timestamp_ + kLot;
  out_.record(record_of(header(pbft::RecordKind::kState)));
}

bool Pbft::has_room(uint64_t bytes) const {
  const auto held = waiting_bytes_.find(options_.self);
  const uint64_t own = gathered_.bytes + (held == waiting_bytes_.end() ? 0 : held->second);
  const auto oldest = waiting_.lower_bound({options_.self, 0});
  const bool spread = oldest != waiting_.end() && oldest->first.first == options_.self &&
                      next_timestamp_ - oldest->first.second >= options_.client_window / 2;
  return (own == 0 || own + bytes + kCommandCharge <= options_.max_uncommitted_bytes) && !spread &&
         log_bytes_ <= options_.max_log_bytes;
}

uint64_t Pbft::submit(EntryKind kind, Payload payload) {
  if (!has_room(payload.size())) return 0;
  send_gathered();
  return sign_and_send(kind, {std::move(payload)});
}

// The turn ends, or they are enough for one signature.
void Pbft::send_gathered() {
  if (gathered_.commands.empty()) return;
  Gathered gathered = std::exchange(gathered_, {});
  const uint64_t timestamp = sign_and_send(EntryKind::kCommand, std::move(gathered.commands));
  proposed_[timestamp] = std::move(gathered.ids);
}

uint64_t Pbft::sign_and_send(EntryKind kind, std::vector<Payload> commands) {
  reserve_timestamps();
  Request request{options_.self, next_timestamp_++, kind, std::move(commands), {}};
  request.signature = sign(Claim::kRequest, 0, 0, request_digest(request));
  broadcast(RequestMessage{request});
  const uint64_t timestamp = request.timestamp;
  add_request(std::move(request));
  return timestamp;
}

void Pbft::propose(Time now, ProposalId id, Payload command) {
  advance_clock(now);
  const NodeId primary = active_ ? primary_of(view_) : kNobody;
  if (!running() || !view_members_.contains(options_.self)) {
    out_.refused(id, Refusal::kNotLeader, primary);
    return;
  }
  if (command.size() + kCommandCharge > pbft::kMaxBatchBytes) {
    out_.refused(id, Refusal::kInvalid, primary);
    return;
  }
  if (!has_room(command.size())) {
    out_.refused(id, Refusal::kOverloaded, primary);
    return;
  }
  if (gathered_.bytes + command.size() + kCommandCharge > options_.max_message_bytes) send_gathered();
  gathered_.bytes += command.size() + kCommandCharge;
  gathered_.commands.push_back(std::move(command));
  gathered_.ids.push_back(id);
  if (gathered_.commands.size() == kMaxCommandsOfRequest) send_gathered();
}

void Pbft::reconfigure(Time now, ProposalId id, const Membership& target) {
  advance_clock(now);
  const auto refuse = [&](Refusal why) { out_.refused(id, why, active_ ? primary_of(view_) : kNobody); };
  if (!running() || !governing_.votes(options_.self)) return refuse(Refusal::kNotLeader);
  if (ledger_.next_at != 0) return refuse(Refusal::kNotReady);
  if (!accepts(target).ok() || !governing_.can_become(target).ok()) return refuse(Refusal::kInvalid);
  std::string bytes;
  target.append_to(bytes);
  const uint64_t timestamp = submit(EntryKind::kMembership, Payload(std::move(bytes)));
  if (timestamp == 0) return refuse(Refusal::kOverloaded);
  proposed_[timestamp] = {id};
}

void Pbft::add_request(Request request) {
  const RequestKey key{request.gateway, request.timestamp};
  if (waiting_.empty()) {
    progress_at_ = std::max(progress_at_, now_);
    oldest_waiting_ = now_;
  }
  waiting_bytes_[key.first] += command_bytes(request);
  Waiting& waiting = waiting_[key];
  waiting.request = std::move(request);
  waiting.since = waiting.sent = now_;
  if (is_primary()) unordered_.push_back(key);
}

void Pbft::forget_request(const RequestKey& key) {
  const auto found = waiting_.find(key);
  if (found == waiting_.end()) return;
  waiting_bytes_[key.first] -= command_bytes(found->second.request);
  if (oldest_waiting_ == found->second.since) oldest_waiting_.reset();
  waiting_.erase(found);
}

// Asked with every event; it changes when the oldest goes.
Time Pbft::oldest_waiting() const {
  if (!oldest_waiting_) {
    Time oldest = kNever;
    for (const auto& [key, waiting] : waiting_) oldest = std::min(oldest, waiting.since);
    oldest_waiting_ = oldest;
  }
  return *oldest_waiting_;
}

// A request that too many of its gateway's later ones have overtaken is never executed: its client is told so. One
// whose gateway is no member any more is dropped in silence: it is executed after all when others keep it until that
// gateway is a member again.
void Pbft::forget_hopeless() {
  oldest_waiting_.reset();
  std::erase_if(waiting_, [&](const auto& one) {
    const RequestKey& key = one.first;
    const bool overtaken = clients_.executed(key.first, key.second);
    if (!overtaken && view_members_.contains(key.first)) return false;
    waiting_bytes_[key.first] -= command_bytes(one.second.request);
    if (key.first != options_.self || !overtaken) return true;
    if (const auto own = proposed_.find(key.second); own != proposed_.end()) {
      for (const ProposalId id : own->second) {
        out_.refused(id, Refusal::kLost, active_ ? primary_of(view_) : kNobody);
      }
      proposed_.erase(own);
    }
    if (const auto reads = ordered_reads_.find(key.second); reads != ordered_reads_.end()) {
      for (const ReadGate::Waiting& read : gate_.confirmed(reads->second)) refuse_read(read.id, Refusal::kOverloaded);
      ordered_reads_.erase(reads);
    }
    return true;
  });
}

void Pbft::handle(NodeId from, RequestMessage& message) {
  if (!admissible(message.request)) return refuse_message(from, "an inadmissible command");
  add_request(std::move(message.request));
}

// Own ones go to all again; others' to the primary, which may not have heard of them.
void Pbft::repeat_requests() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const NodeId gateway = at->first.first;
    repeat_requests_of(gateway);
    at = waiting_.lower_bound({NodeId{number(gateway) + 1}, 0});
  }
}

// Each gateway has an allowance of its own: one that floods this member with requests holds up nobody else's.
void Pbft::repeat_requests_of(NodeId gateway) {
  const bool own = gateway == options_.self;
  const NodeId primary = active_ ? primary_of(view_) : kNobody;
  if (!own && (primary == kNobody || primary == options_.self)) return;
  size_t repeated = 0;
  uint64_t bytes = 0;
  for (auto at = waiting_.lower_bound({gateway, 0}); at != waiting_.end() && at->first.first == gateway; ++at) {
    auto& [key, waiting] = *at;
    if (repeated >= kMostRepeated || bytes > kMostRepeatedBytes) return;
    if (now_ - waiting.sent < 2 * options_.heartbeat) continue;
    waiting.sent = now_;
    if (clients_.executed(key.first, key.second)) continue;
    if (own) {
      broadcast(RequestMessage{waiting.request});
    } else {
      send(primary, RequestMessage{waiting.request});
    }
    ++repeated;
    bytes += command_bytes(waiting.request);
  }
}

}  // namespace clew::consensus
