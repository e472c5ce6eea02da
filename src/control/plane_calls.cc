// Requests to the spaces: where each is carried out, and what happens when that fails.
#include <algorithm>
#include <utility>

#include "consensus/planted.h"
#include "control/plane.h"
#include "kv/validate.h"

namespace clew::control {
namespace {

using consensus::Position;
using consensus::ReadLevel;
using consensus::RequestError;
using kv::Space;

constexpr char kNoLeader[] = "etcdserver: no leader";
constexpr char kTimedOut[] = "etcdserver: request timed out";

// About what a request keeps in memory; every one is charged something.
uint64_t bytes_of(const kv::RequestOp& op);
uint64_t bytes_of(const kv::TxnRequest& txn) {
  uint64_t bytes = 0;
  for (const kv::Compare& compare : txn.compare) {
    bytes += sizeof(compare) + compare.key.size() + compare.range_end.size() + compare.value.size();
  }
  for (const kv::RequestOp& op : txn.success) bytes += bytes_of(op);
  for (const kv::RequestOp& op : txn.failure) bytes += bytes_of(op);
  return bytes;
}
uint64_t bytes_of(const kv::RequestOp& op) {
  uint64_t bytes = sizeof(op);
  if (const auto* range = std::get_if<kv::RangeRequest>(&op.op)) bytes += range->key.size() + range->range_end.size();
  if (const auto* put = std::get_if<kv::PutRequest>(&op.op)) bytes += put->key.size() + put->value.size();
  if (const auto* erase = std::get_if<kv::DeleteRangeRequest>(&op.op)) {
    bytes += erase->key.size() + erase->range_end.size();
  }
  if (const auto* txn = std::get_if<kv::TxnRequest>(&op.op)) bytes += bytes_of(*txn);
  return bytes;
}
uint64_t bytes_of(const kv::Request& request) {
  uint64_t bytes = sizeof(Call);
  if (const auto* put = std::get_if<kv::PutRequest>(&request)) bytes += put->key.size() + put->value.size();
  if (const auto* range = std::get_if<kv::RangeRequest>(&request)) bytes += range->key.size() + range->range_end.size();
  if (const auto* erase = std::get_if<kv::DeleteRangeRequest>(&request)) {
    bytes += erase->key.size() + erase->range_end.size();
  }
  if (const auto* txn = std::get_if<kv::TxnRequest>(&request)) bytes += bytes_of(*txn);
  if (const auto* append = std::get_if<kv::AppendRequest>(&request))
    bytes += append->key.size() + append->suffix.size();
  if (const auto* swap = std::get_if<kv::CompareAndSetRequest>(&request)) {
    bytes += swap->key.size() + swap->expected_value.size() + swap->value.size();
  }
  if (const auto* custom = std::get_if<kv::CustomRequest>(&request)) {
    bytes += custom->name.size() + custom->arguments.size();
  }
  if (const auto* keep = std::get_if<kv::LeaseKeepAliveRequest>(&request)) bytes += 8 * keep->ids.size();
  return bytes;
}

bool puts(const kv::TxnRequest& txn) {
  const auto any = [](const std::vector<kv::RequestOp>& ops) {
    return std::any_of(ops.begin(), ops.end(), [](const kv::RequestOp& op) {
      const auto* inner = std::get_if<kv::TxnRequest>(&op.op);
      return std::holds_alternative<kv::PutRequest>(op.op) || (inner != nullptr && puts(*inner));
    });
  };
  return any(txn.success) || any(txn.failure);
}
// What a full store refuses; deletions and the compaction go on, as they make room.
bool grows(const kv::Request& request) {
  if (const auto* txn = std::get_if<kv::TxnRequest>(&request)) return puts(*txn);
  return std::holds_alternative<kv::PutRequest>(request) || std::holds_alternative<kv::AppendRequest>(request) ||
         std::holds_alternative<kv::CompareAndSetRequest>(request) ||
         std::holds_alternative<kv::CustomRequest>(request) || std::holds_alternative<kv::LeaseGrantRequest>(request);
}

ReadLevel level_of(Consistency consistency) {
  return consistency == Consistency::kLease ? ReadLevel::kLease : ReadLevel::kLinearizable;
}

}  // namespace

CallError Plane::error(Code code, std::string message, bool uncertain) {
  return {code, std::move(message), uncertain, leader_, leader_address()};
}

std::string Plane::leader_address() {
  if (leader_ == consensus::kNobody) return {};
  if (leader_ == record_.id) return record_.client_address;
  const auto& records = system_.now().records;
  const auto at = records.find(leader_);
  return at == records.end() ? std::string() : at->second.client_address;
}

Forwarder::Reached Plane::leader_service() {
  if (leader_ != record_.id) {
    if (auto leader = forwarder_.to(leader_address(), now())) return leader;
  }
  if (!witness_ || options_.seeds.empty()) return {};
  return forwarder_.to(options_.seeds[seed_++ % options_.seeds.size()], now());
}

void Plane::start(Space space, kv::Request request, CallOptions options, Done<CallReply> done) {
  if (!halted_.empty()) return done(error(Code::kUnavailable, halted_, false));
  if (const Status good = kv::validate(request); !good.ok()) {
    return done(error(good.code(), std::string(good.message()), false));
  }
  const bool reads = kv::read_only(request);
  const uint64_t bytes = bytes_of(request);
  ++(reads ? stats_.reads : stats_.changes);
  // Not left to the leader: a message that is longer than any good one ends the connection that it is passed on by.
  if (bytes > kv::kMaxRequestBytes && kv::Spaces::command(space, request).size() > kv::kMaxRequestBytes) {
    return done(error(kv::errors::request_too_large().code, kv::errors::request_too_large().message, false));
  }
  if (calls_.full(bytes)) {
    ++stats_.refused;
    return done(error(Code::kResourceExhausted, "etcdserver: too many requests", false));
  }
  auto [id, call] = calls_.add(bytes, now() + std::max<int64_t>(options.timeout_ns, 1));
  call.reads = reads;
  call.space = space;
  call.request = std::move(request);
  call.options = options;
  call.done = std::move(done);
  dispatch(id);
}

void Plane::dispatch(uint64_t id) {
  Call* const call = calls_.find(id);
  if (call == nullptr) return;
  if (!halted_.empty()) return fail(id, Code::kUnavailable, halted_);
  if (call->reads && !witness_) return read_soon(id, *call);
  if (proposes_) return submit(id, *call);
  if (!call->options.forward) {
    return fail(id, Code::kUnavailable,
                leader_ == consensus::kNobody ? kNoLeader : "this member does not lead; ask the leader");
  }
  forward(id, *call);
}

// --- Changes ---

// By the leader's state, just before it proposes: approximate under load, as what is under way is not counted.
std::optional<CallError> Plane::refused_by_state(const Call& call) {
  if (std::holds_alternative<kv::CustomRequest>(call.request)) {
    if (std::string why = refuses_custom(); !why.empty()) {
      return error(Code::kFailedPrecondition, std::move(why), call.maybe);
    }
  }
  if (call.space != Space::kUser) return std::nullopt;
  const SystemView::State& system = system_.now();
  if (system.corrupt) return error(Code::kDataLoss, "etcdserver: corrupt cluster", call.maybe);
  if (!grows(call.request)) return std::nullopt;
  const bool over = spaces_->bytes() + call.bytes > options_.quota_bytes;
  if (over && !system.no_space) raise_no_space();
  if (!over && !system.no_space) return std::nullopt;
  ++stats_.refused;
  return error(Code::kResourceExhausted, "etcdserver: mvcc: database space exceeded", call.maybe);
}

void Plane::submit(uint64_t id, Call& call) {
  if (auto refused = refused_by_state(call)) return finish(id, std::move(*refused));
  const bool duty = std::holds_alternative<kv::LeaseExtendRequest>(call.request) ||
                    std::holds_alternative<kv::LeaseExpireRequest>(call.request);
  if (duty && !call.duty) return fail(id, Code::kInvalidArgument, "this is the leader's to propose, not a client's");
  consensus::Command command;
  command.session = call.options.session;
  command.sequence = call.options.sequence;
  command.acknowledged_below = call.options.acknowledged_below;
  command.body = kv::Spaces::command(call.space, call.request);
  // One command for both: time does not go ahead without the leases that are extended by it. Clients have them in the
  // user space only.
  command.sets_time = call.space == Space::kUser && std::holds_alternative<kv::LeaseExtendRequest>(call.request);
  call.under_way = true;
  replica_->submit(std::move(command), [this, id](std::variant<consensus::Reply, RequestError> answer) {
    submitted(id, std::move(answer));
  });
}

void Plane::submitted(uint64_t id, std::variant<consensus::Reply, RequestError> answer) {
  Call* const call = calls_.find(id);
  if (call == nullptr) return;  // given up meanwhile
  call->under_way = false;
  if (auto* const reply = std::get_if<consensus::Reply>(&answer)) {
    auto response = kv::decode_response(reply->result);
    if (!response.ok()) {
      return finish(id, error(response.error().code, response.error().message, false));
    }
    return finish(id, CallReply{std::move(*response), reply->position, epoch_});
  }
  RequestError& refused = std::get<RequestError>(answer);
  const bool has_session = call->options.session != consensus::kNoSession;
  switch (refused.code) {
    case Code::kUnavailable:
      if (!call->options.forward) break;
      return park(id, *call, std::move(refused.message));
    case Code::kDeadlineExceeded:
      call->maybe = true;
      if (has_session && call->options.forward) return park(id, *call, std::move(refused.message));
      refused.message = kTimedOut;
      break;
    case Code::kFailedPrecondition:  // an earlier try of the client's may have had an effect
      call->maybe = true;
      call->session_ended = true;
      break;
    default:
      break;
  }
  fail(id, refused.code, std::move(refused.message));
}

// --- By another member ---

void Plane::forward(uint64_t id, Call& call) {
  const Forwarder::Reached leader = leader_service();
  if (!leader) {
    return park(id, call,
                leader_ == consensus::kNobody ? kNoLeader : "the leader's address is not known here yet; ask again");
  }
  CallOptions once = call.options;
  once.forward = witness_ && leader_address().empty();  // it was passed to some member with data
  once.timeout_ns = std::max<int64_t>(call.deadline - now(), 1);
  if (consensus::planted(consensus::Bug::kForwardDropsSession)) once.session = consensus::kNoSession;
  call.under_way = true;
  ++stats_.forwarded;
  leader->execute(call.space, call.request, once,
                  [this, id, use = leader.use, alive = std::weak_ptr<char>(alive_)](Answered answer) {
                    if (!alive.expired()) forwarded(id, std::move(answer));
                  });
}

void Plane::forwarded(uint64_t id, Answered answer) {
  Call* const call = calls_.find(id);
  if (call == nullptr) return;
  call->under_way = false;
  CallError* const error = std::get_if<CallError>(&answer);
  if (error == nullptr) return finish(id, std::move(answer));
  call->maybe |= error->uncertain && !call->reads && !consensus::planted(consensus::Bug::kForwardRetriesUncertain);
  const bool safe = !call->maybe || call->options.session != consensus::kNoSession;
  // To a session that has ended every further try is answered alike.
  if (safe && !error->session_ended && (error->code == Code::kUnavailable || error->uncertain))
    return park(id, *call, std::move(error->message));
  error->uncertain = call->maybe;
  finish(id, std::move(answer));
}

// --- Reads ---

void Plane::read_soon(uint64_t id, const Call& call) {
  const bool asks = !consensus::planted(consensus::Bug::kReadWithoutBarrier);
  switch (asks ? call.options.consistency : Consistency::kSequential) {
    case Consistency::kLinearizable:
      return linear_reads_.push_back(id);
    case Consistency::kLease:
      return lease_reads_.push_back(id);
    case Consistency::kSequential:
      if (call.options.at_least <= replica_->applied() || consensus::planted(consensus::Bug::kSequentialIgnoresToken)) {
        return local_reads_.push_back(id);
      }
      return ask_barrier(ReadLevel::kLocal, call.options.at_least, {id});
  }
}

void Plane::flush_reads() {
  if (!linear_reads_.empty()) {
    ask_barrier(level_of(Consistency::kLinearizable), 0, std::exchange(linear_reads_, {}));
  }
  if (!lease_reads_.empty()) ask_barrier(level_of(Consistency::kLease), 0, std::exchange(lease_reads_, {}));
  if (!local_reads_.empty()) ask_barrier(ReadLevel::kLocal, 0, std::exchange(local_reads_, {}));
}

// One for all reads that arrived before it.
void Plane::ask_barrier(ReadLevel level, Position at_least, std::vector<uint64_t> ids) {
  ++stats_.read_barriers;
  replica_->query({.level = level, .at_least = at_least, .body = {}},
                  [this, ids = std::move(ids)](std::variant<consensus::Reply, RequestError> answer) {
                    const auto* const refused = std::get_if<RequestError>(&answer);
                    for (const uint64_t id : ids) {
                      if (refused == nullptr) {
                        read(id);
                        continue;
                      }
                      Call* const call = calls_.find(id);
                      if (call == nullptr) continue;
                      if (refused->code == Code::kUnavailable && call->options.forward) {
                        park(id, *call, refused->message);
                      } else {
                        fail(id, refused->code,
                             refused->code == Code::kDeadlineExceeded ? kTimedOut : refused->message);
                      }
                    }
                  });
}

void Plane::read(uint64_t id) {
  Call* const call = calls_.find(id);
  if (call == nullptr) return;
  if (call->space == Space::kUser && system_.now().corrupt) {
    return fail(id, Code::kDataLoss, "etcdserver: corrupt cluster");
  }
  if (auto* const left = std::get_if<kv::LeaseTimeToLiveRequest>(&call->request);
      left != nullptr && left->now_ns == 0) {
    left->now_ns = replica_->time_ns();
  }
  reads_.read(id, call->space, std::move(call->request));
}

// --- Keep-alives ---

void Plane::flush_keep_alives() {
  while (!keep_alives_.empty()) {
    std::vector<KeepAlive> batch;
    if (keep_alives_.size() <= kv::kMaxKeepAlives) {
      batch.swap(keep_alives_);
    } else {
      const auto end = keep_alives_.begin() + kv::kMaxKeepAlives;
      batch.assign(std::make_move_iterator(keep_alives_.begin()), std::make_move_iterator(end));
      keep_alives_.erase(keep_alives_.begin(), end);
    }
    stats_.keep_alives += batch.size();
    kv::LeaseKeepAliveRequest request;
    CallOptions options;
    options.timeout_ns = 1;
    for (const KeepAlive& one : batch) {
      request.ids.push_back(one.lease);
      options.timeout_ns = std::max(options.timeout_ns, one.deadline - now());
    }
    start(Space::kUser, std::move(request), options, [batch = std::move(batch)](Answered answer) mutable {
      const auto* const reply = std::get_if<CallReply>(&answer);
      for (size_t i = 0; i < batch.size(); ++i) {
        if (reply == nullptr) {
          batch[i].done(std::get<CallError>(answer));
        } else {
          batch[i].done(std::get<kv::LeaseKeepAliveResponse>(reply->response).ttl_s[i]);
        }
      }
    });
  }
}

// --- Ends ---

// Tried again when something about leadership changes, and at each tick.
void Plane::park(uint64_t id, Call& call, std::string why) {
  ++stats_.retried;
  call.waits_for = std::move(why);
  parked_.push_back(id);
}

void Plane::finish(uint64_t id, Answered answer) {
  if (auto done = calls_.take(id)) done(std::move(answer));
}

void Plane::fail(uint64_t id, Code code, std::string message) {
  const Call* const call = calls_.find(id);
  if (call == nullptr) return;
  CallError answer = error(code, std::move(message), !call->reads && (call->maybe || call->under_way));
  answer.session_ended = call->session_ended;
  finish(id, std::move(answer));
}

}  // namespace clew::control
