#include "kv/validate.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace clew::kv {
namespace errors {

Error empty_key() { return {Code::kInvalidArgument, "etcdserver: key is not provided"}; }
Error key_not_found() { return {Code::kInvalidArgument, "etcdserver: key not found"}; }
Error value_provided() { return {Code::kInvalidArgument, "etcdserver: value is provided"}; }
Error lease_provided() { return {Code::kInvalidArgument, "etcdserver: lease is provided"}; }
Error too_many_ops() { return {Code::kInvalidArgument, "etcdserver: too many operations in txn request"}; }
Error duplicate_key() { return {Code::kInvalidArgument, "etcdserver: duplicate key given in txn request"}; }
Error invalid_sort_option() { return {Code::kInvalidArgument, "etcdserver: invalid sort option"}; }
Error compacted() { return {Code::kOutOfRange, "etcdserver: mvcc: required revision has been compacted"}; }
Error future_revision() { return {Code::kOutOfRange, "etcdserver: mvcc: required revision is a future revision"}; }
Error lease_not_found() { return {Code::kNotFound, "etcdserver: requested lease not found"}; }
Error lease_exists() { return {Code::kFailedPrecondition, "etcdserver: lease already exists"}; }
Error lease_ttl_too_large() { return {Code::kOutOfRange, "etcdserver: too large lease TTL"}; }
Error range_too_large() {
  return {Code::kResourceExhausted, "etcdserver: the range holds more than " + std::to_string(kMaxRangeBytes >> 20) +
                                        " MiB; read it in parts, with a limit and from the last key on"};
}
Error too_many_keys() {
  return {Code::kResourceExhausted, "etcdserver: the ranges of this request hold more than " +
                                        std::to_string(kMaxRangeKeys) +
                                        " keys; use narrower ones, and several requests"};
}
Error request_too_large() { return {Code::kInvalidArgument, "etcdserver: request is too large"}; }

}  // namespace errors

namespace {

// Sorted, disjoint intervals of keys.
class KeySet {
 public:
  // Of a delete as it is written: like etcd, whose check takes the end "\0" for the key of one zero byte, so that
  // deleting everything from a key on conflicts with no put.
  void add(std::string_view begin, std::string_view end) {
    std::string stop = end.empty() ? std::string(begin) + '\0' : std::string(end);
    if (stop <= begin) return;
    std::string start(begin);
    auto at = intervals_.upper_bound(start);
    if (at != intervals_.begin() && std::prev(at)->second >= start) {
      --at;
      start = at->first;
    }
    while (at != intervals_.end() && at->first <= stop) {
      stop = std::max(stop, at->second);
      at = intervals_.erase(at);
    }
    intervals_.emplace(std::move(start), std::move(stop));
  }
  void add(const KeySet& other) {
    for (const auto& [begin, end] : other.intervals_) add(begin, end);
  }
  bool contains(const std::string& key) const {
    auto at = intervals_.upper_bound(key);
    return at != intervals_.begin() && key < std::prev(at)->second;
  }

 private:
  std::map<std::string, std::string> intervals_;  // begin → end
};

struct Touched {
  std::set<std::string> puts;
  KeySet deletes;
};

// A key may be put once in a transaction, and not by the side of a delete that covers it: a put after one is refused
// always, a put before one only when the delete stands at the same level or further out. (That an inner delete after an
// inner put passes is etcd's doing; the order of the operations says what happens.)
Status check_overlaps(const std::vector<RequestOp>& ops, Touched& touched) {
  for (const RequestOp& op : ops) {
    if (const auto* erase = std::get_if<DeleteRangeRequest>(&op.op)) touched.deletes.add(erase->key, erase->range_end);
  }
  for (const RequestOp& op : ops) {
    const auto* txn = std::get_if<TxnRequest>(&op.op);
    if (txn == nullptr) continue;
    Touched success;
    Touched failure;
    CLEW_TRY(check_overlaps(txn->success, success));
    CLEW_TRY(check_overlaps(txn->failure, failure));
    for (const std::string& key : success.puts) {
      if (touched.deletes.contains(key) || !touched.puts.insert(key).second) return errors::duplicate_key();
    }
    for (const std::string& key : failure.puts) {
      // Only one of the two branches runs: they may put the same key.
      if (touched.deletes.contains(key)) return errors::duplicate_key();
      if (!touched.puts.insert(key).second && !success.puts.contains(key)) return errors::duplicate_key();
    }
    touched.deletes.add(success.deletes);
    touched.deletes.add(failure.deletes);
  }
  for (const RequestOp& op : ops) {
    const auto* put = std::get_if<PutRequest>(&op.op);
    if (put == nullptr) continue;
    if (touched.deletes.contains(put->key) || !touched.puts.insert(put->key).second) return errors::duplicate_key();
  }
  return {};
}

// What stands in the log must mean the same to every member, also to those that do not know the flag.
Status uncounted_in_txn() {
  return {Code::kInvalidArgument, "a range within a transaction is counted; ask for an uncounted page by itself"};
}

Status check_key(const std::string& key) { return key.empty() ? Status(errors::empty_key()) : Status(); }

Status check(const RangeRequest& request) { return check_key(request.key); }
Status check(const DeleteRangeRequest& request) { return check_key(request.key); }
Status check(const PutRequest& request) {
  if (request.key.empty()) return errors::empty_key();
  if (request.ignore_value && !request.value.empty()) return errors::value_provided();
  if (request.ignore_lease && request.lease != kNoLease) return errors::lease_provided();
  return {};
}
Status check(const std::monostate& /*nothing*/) { return errors::key_not_found(); }

// An inner transaction has what its outer one left of the operations.
Status check(const TxnRequest& request, size_t max_ops) {
  const size_t ops = std::max({request.compare.size(), request.success.size(), request.failure.size()});
  if (ops > max_ops) return errors::too_many_ops();
  for (const Compare& compare : request.compare) CLEW_TRY(check_key(compare.key));
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const RequestOp& op : *branch) {
      if (const auto* inner = std::get_if<TxnRequest>(&op.op)) {
        CLEW_TRY(check(*inner, max_ops - ops));
      } else {
        CLEW_TRY(std::visit(
            [](const auto& simple) -> Status {
              using Op = std::decay_t<decltype(simple)>;
              if constexpr (std::is_same_v<Op, TxnRequest>) {
                return {};  // handled above
              } else {
                if constexpr (std::is_same_v<Op, RangeRequest>) {
                  if (simple.uncounted) return uncounted_in_txn();
                }
                return check(simple);
              }
            },
            op.op));
      }
    }
  }
  return {};
}

Status check(const TxnRequest& request) {
  CLEW_TRY(check(request, kMaxTxnOps));
  Touched success;
  CLEW_TRY(check_overlaps(request.success, success));
  Touched failure;
  return check_overlaps(request.failure, failure);
}

Status check(const AppendRequest& request) { return check_key(request.key); }
Status check(const CompareAndSetRequest& request) { return check_key(request.key); }
Status check(const LeaseKeepAliveRequest& request) {
  if (request.ids.size() <= kMaxKeepAlives) return {};
  return {Code::kInvalidArgument, "keep-alive of " + std::to_string(request.ids.size()) +
                                      " leases at once; send at most " + std::to_string(kMaxKeepAlives)};
}
Status check(const CustomRequest& request) {
  if (!request.name.empty()) return {};
  return {Code::kInvalidArgument, "custom command without a name"};
}
template <typename T>
Status check(const T& /*nothing can be wrong with it*/) {
  return {};
}

}  // namespace

Status validate(const Request& request) {
  return std::visit([](const auto& kind) { return check(kind); }, request);
}

}  // namespace clew::kv
