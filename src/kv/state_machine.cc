#include "kv/state_machine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/varint.h"
#include "consensus/planted.h"
#include "kv/executor.h"
#include "kv/long_read.h"
#include "kv/snapshot.h"
#include "kv/validate.h"

namespace clew::kv {
namespace {

constexpr uint8_t kMarkFormat = 1;
// Kept results that one command clears away: more than the one it adds, so that they become fewer.
constexpr uint64_t kResultsClearedPerCommand = 4;

void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "key-value engine: %s; this member stops: mend or replace its disk, then start it again\n",
               status.to_string().c_str());
  std::abort();
}

template <typename T>
Result<Response> lifted(Result<T> result) {
  if (!result.ok()) return result.error();
  return Response(std::move(result).value());
}

Error not_a_command() {
  return {Code::kInvalidArgument, "key-value command: this request only reads; send it as a query"};
}
Error not_a_query() {
  return {Code::kInvalidArgument, "key-value query: this request changes something; send it as a command"};
}
Error not_reigning() {
  return {Code::kFailedPrecondition, "key-value command: leases are extended by a reign that has not begun"};
}

}  // namespace

KvStateMachine::KvStateMachine(Engine& engine, const CustomRegistry& registry)
    : registry_(registry), entries_(engine), leases_(entries_), store_(entries_, leases_) {}

Result<std::unique_ptr<KvStateMachine>> KvStateMachine::open(Engine& engine, const CustomRegistry& registry) {
  std::unique_ptr<KvStateMachine> machine(new KvStateMachine(engine, registry));
  // Entries without a mark are what a restore left that did not end.
  if (engine.mark().position == 0) CLEW_TRY(engine.reset());
  CLEW_TRY(machine->load());
  return machine;
}

Status KvStateMachine::load() {
  const EngineMark& mark = entries_.engine().mark();
  Store::Position at;
  time_ns_ = 0;
  reign_ = 0;
  if (!mark.state.empty()) {
    ByteReader in(mark.state);
    const auto format = in.fixed<uint8_t>();
    at.revision = in.fixed<int64_t>();
    at.compact_revision = in.fixed<int64_t>();
    at.swept.main = in.fixed<int64_t>();
    at.swept.sub = in.fixed<uint32_t>();
    time_ns_ = in.fixed<int64_t>();
    reign_ = in.fixed<uint64_t>();
    if (format != kMarkFormat || !in.ok() || !in.at_end() || at.revision < kFirstRevision ||
        at.compact_revision > at.revision || at.compact_revision < kNeverCompacted) {
      return {Code::kDataLoss, "key-value store: the engine's mark makes no sense; restore this member from another"};
    }
  }
  frozen_at_ = 0;
  results_superfluous_below_ = 0;
  results_from_ = mark.position + 1;
  if (entries_.engine().persistent()) {
    CLEW_TRY(entries_.engine().scan(result_key(0), kStateBegin, [&](std::string_view key, std::string_view) {
      for (results_from_ = 0; const char byte : key.substr(1)) {
        results_from_ = results_from_ << 8 | static_cast<unsigned char>(byte);
      }
      return false;
    }));
  }
  return store_.open(at);
}

void KvStateMachine::append_mark_state(std::string& out) const {
  const Store::Position& at = store_.position();
  append_fixed(out, kMarkFormat);
  append_fixed(out, at.revision);
  append_fixed(out, at.compact_revision);
  append_fixed(out, at.swept.main);
  append_fixed(out, at.swept.sub);
  append_fixed(out, time_ns_);
  append_fixed(out, reign_);
}

Hash128 KvStateMachine::digest() const {
  const Hash128 root = entries_.digest().root();
  std::string bytes;
  append_mark_state(bytes);
  append_fixed(bytes, root.lo);
  append_fixed(bytes, root.hi);
  return stable_hash128(bytes);
}

std::string KvStateMachine::apply(const consensus::Applied& at, std::string_view command) {
  Engine& engine = entries_.engine();
  if (engine.persistent() && at.position <= applied()) {
    std::string kept;
    must(engine.get(result_key(at.position), kept));
    return kept;
  }
  CHECK(at.position > applied());
  time_ns_ = std::max(time_ns_, at.time_ns);
  const Revision before = store_.revision();
  std::string result = encode(execute(at, command));
  store_.sweep(kSweepPerCommand);
  if (engine.persistent()) keep_result(at.position, result);
  mark_.position = at.position;
  mark_.state.clear();
  append_mark_state(mark_.state);
  must(engine.commit(entries_.batch(), mark_));
  store_.committed();
  if (store_.revision() != before && on_commit_) on_commit_();
  return result;
}

void KvStateMachine::keep_result(consensus::Position position, const std::string& result) {
  EngineBatch& batch = entries_.batch();
  for (uint64_t n = 0; n < kResultsClearedPerCommand && results_from_ < results_superfluous_below_; n++) {
    batch.erase(result_key(results_from_++));
  }
  batch.put(result_key(position), result);
}

Result<Response> KvStateMachine::execute(const consensus::Applied& at, std::string_view command) {
  if (command.size() > kMaxRequestBytes) return errors::request_too_large();
  CLEW_ASSIGN(const Request request, decode_request(command));
  CLEW_TRY(validate(request));
  return change(at, request);
}

Result<Response> KvStateMachine::change(const consensus::Applied& at, const Request& request) {
  const auto in_transaction = [&](auto&& perform) {
    store_.begin();
    Result<Response> response = lifted(perform());
    store_.end();
    return response;
  };
  if (const auto* put = std::get_if<PutRequest>(&request)) {
    return in_transaction([&] { return kv::execute(store_, leases_, *put); });
  }
  if (const auto* erase = std::get_if<DeleteRangeRequest>(&request)) {
    return in_transaction([&] { return kv::execute(store_, *erase); });
  }
  if (const auto* txn = std::get_if<TxnRequest>(&request)) {
    return in_transaction([&] { return kv::execute(store_, leases_, *txn); });
  }
  if (const auto* append = std::get_if<AppendRequest>(&request)) {
    return in_transaction([&] { return kv::execute(store_, *append); });
  }
  if (const auto* swap = std::get_if<CompareAndSetRequest>(&request)) {
    return in_transaction([&] { return kv::execute(store_, leases_, *swap); });
  }
  if (const auto* custom = std::get_if<CustomRequest>(&request)) {
    return in_transaction([&] { return kv::execute(store_, time_ns_, registry_, *custom); });
  }
  if (const auto* compact = std::get_if<CompactRequest>(&request)) {
    CLEW_TRY(store_.check_compact(compact->revision));
    store_.compact(compact->revision);
    return Response(CompactResponse{store_.revision()});
  }
  if (const auto* grant = std::get_if<LeaseGrantRequest>(&request)) {
    LeaseId id = grant->id;
    for (uint64_t n = 0; id == kNoLease || (grant->id == kNoLease && leases_.find(id) != nullptr); n++) {
      id = LeaseId{static_cast<int64_t>(mix64(at.position, n) >> 1)};
    }
    CLEW_ASSIGN(const int64_t ttl_s, leases_.grant(id, grant->ttl_s, time_ns_));
    return Response(LeaseGrantResponse{store_.revision(), id, ttl_s});
  }
  if (const auto* revoked = std::get_if<LeaseRevokeRequest>(&request)) {
    if (leases_.find(revoked->id) == nullptr) return errors::lease_not_found();
    revoke(revoked->id);
    return Response(LeaseRevokeResponse{store_.revision()});
  }
  if (const auto* keep = std::get_if<LeaseKeepAliveRequest>(&request)) {
    LeaseKeepAliveResponse response{store_.revision(), {}};
    for (LeaseId id : keep->ids) response.ttl_s.push_back(leases_.keep_alive(id, time_ns_).value_or(0));
    return Response(std::move(response));
  }
  if (const auto* extend = std::get_if<LeaseExtendRequest>(&request)) {
    // One that has not begun is a liar's: were it believed, no leader's expiries would count any more.
    if (extend->reign > at.epoch) return not_reigning();
    // An older reign's, too: where that is still agreed on (PBFT), it may have taken replicated time along.
    reign_ = std::max(reign_, extend->reign);
    leases_.extend_all(time_ns_);
    return Response(LeaseExtendResponse{store_.revision()});
  }
  if (const auto* due = std::get_if<LeaseExpireRequest>(&request)) return Response(expire(*due));
  // What only reads may come as a command, when it must not be a query: a transaction of ranges did so above.
  if (const auto* range = std::get_if<RangeRequest>(&request)) return lifted(kv::execute(store_, *range));
  return not_a_command();
}

// A revision each, in the order of their keys, as etcd revokes.
void KvStateMachine::revoke(LeaseId id) {
  store_.begin();
  const std::set<std::string, std::less<>> keys = leases_.find(id)->keys;
  for (const std::string& key : keys) store_.erase({key, {}});
  store_.end();
  leases_.remove(id);
}

LeaseExpireResponse KvStateMachine::expire(const LeaseExpireRequest& request) {
  LeaseExpireResponse response;
  if (request.reign == reign_) {
    const int64_t now_ns = std::min(time_ns_, request.as_of_ns);
    const int64_t early_ns = consensus::planted(consensus::Bug::kLeaseEndsEarly) ? 1'000'000'000 : 0;
    response.revoked = leases_.due(now_ns + early_ns, kMaxExpiredPerCommand);
    for (LeaseId id : response.revoked) revoke(id);
    response.more = leases_.next_deadline_ns().value_or(INT64_MAX) <= now_ns;
  }
  response.revision = store_.revision();
  return response;
}

Result<Response> KvStateMachine::read(const Request& request) const {
  if (!LongRead::takes(request)) return read_at_once(request);
  LongRead read(*this, request);
  size_t effort = SIZE_MAX;
  CHECK(read.step(effort));
  return read.finish();
}

Result<Response> KvStateMachine::read_at_once(const Request& request) const {
  if (!read_only(request)) return not_a_query();
  if (const auto* range = std::get_if<RangeRequest>(&request)) return lifted(kv::execute(store_, *range));
  if (const auto* txn = std::get_if<TxnRequest>(&request)) return lifted(execute_read_only(store_, leases_, *txn));
  if (const auto* time_left = std::get_if<LeaseTimeToLiveRequest>(&request)) {
    return Response(kv::execute(store_, leases_, time_ns_, *time_left));
  }
  CHECK(std::holds_alternative<LeasesRequest>(request));
  return Response(LeasesResponse{store_.revision(), leases_.by_deadline()});
}

std::string KvStateMachine::query(std::string_view request) const {
  const auto decoded = decode_request(request);
  if (!decoded.ok()) return encode(Result<Response>(decoded.error()));
  if (const Status good = validate(*decoded); !good.ok()) return encode(Result<Response>(good.error()));
  return encode(read(*decoded));
}

UniqueFunction<Status(consensus::SnapshotSink&)> KvStateMachine::freeze() {
  results_superfluous_below_ = frozen_at_;
  frozen_at_ = applied();
  return [view = entries_.engine().view()](consensus::SnapshotSink& sink) { return write_snapshot(*view, sink); };
}

Status KvStateMachine::restore(consensus::SnapshotSource& source) {
  CLEW_TRY(read_snapshot(source, entries_.engine()));
  CLEW_TRY(load());
  if (on_restore_) on_restore_();
  return {};
}

}  // namespace clew::kv
