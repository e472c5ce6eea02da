#include "kv/executor.h"

#include <algorithm>
#include <compare>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "consensus/planted.h"
#include "kv/validate.h"

namespace clew::kv {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

Status check_put(const Store& store, const LeaseTable& leases, const PutRequest& request) {
  if (request.lease != kNoLease && leases.find(request.lease) == nullptr) return errors::lease_not_found();
  if ((request.ignore_value || request.ignore_lease) && !store.exists(request.key)) return errors::key_not_found();
  return {};
}

PutResponse put(Store& store, const PutRequest& request) {
  PutResponse response;
  std::optional<KeyValue> previous;
  if (request.prev_kv || request.ignore_value || request.ignore_lease) previous = store.get(request.key);
  // It may be gone in spite of the check: an operation before this one in the transaction deletes everything from some
  // key on, which validate() lets pass as etcd does. Nothing is then what is kept.
  const bool keeps_value = request.ignore_value && previous;
  const bool keeps_lease = request.ignore_lease && previous;
  store.put(request.key, keeps_value ? previous->value : request.value, keeps_lease ? previous->lease : request.lease);
  response.revision = store.revision();
  if (request.prev_kv) response.prev_kv = std::move(previous);
  return response;
}

DeleteRangeResponse erase(Store& store, const DeleteRangeRequest& request) {
  DeleteRangeResponse response;
  const KeyRange keys{request.key, request.range_end};
  if (request.prev_kv) {
    store.each(keys, [&](const KeyValue& kv) {
      response.prev_kvs.push_back(kv);
      return true;
    });
  }
  response.deleted = store.erase(keys);
  response.revision = store.revision();
  return response;
}

// What the ranges of one request may cost, all together.
class Allowance {
 public:
  explicit Allowance(const Store& store) : store_(store) {}

  Status take(const RangeRequest& request) {
    // Above a bound counting stops, so the sums do not run over.
    const Store::Extent extent = store_.extent(request, {kMaxRangeKeys, kMaxRangeBytes});
    keys_ += extent.keys;
    bytes_ += extent.bytes;
    if (keys_ > kMaxRangeKeys) return errors::too_many_keys();
    if (bytes_ > kMaxRangeBytes) return errors::range_too_large();
    return {};
  }
  Status take(const DeleteRangeRequest& request) {
    if (request.range_end.empty() && !request.prev_kv) return {};
    return take({.key = request.key, .range_end = request.range_end, .count_only = !request.prev_kv});
  }
  Status take(const Compare& compare) {
    if (compare.range_end.empty()) return {};
    return take({.key = compare.key, .range_end = compare.range_end, .count_only = true});
  }

 private:
  const Store& store_;
  size_t keys_ = 0;
  size_t bytes_ = 0;  // that the answer will hold, about
};

bool holds(const Compare& compare, const KeyValue& kv) {
  const auto order = [&]() -> std::strong_ordering {
    switch (compare.target) {
      case Compare::Target::kVersion:
        return kv.version <=> compare.number;
      case Compare::Target::kCreate:
        return kv.create_revision <=> compare.number;
      case Compare::Target::kMod:
        return kv.mod_revision <=> compare.number;
      case Compare::Target::kLease:
        return number(kv.lease) <=> compare.number;
      case Compare::Target::kValue:
        return kv.value <=> compare.value;
    }
    return std::strong_ordering::equal;
  }();
  switch (compare.result) {
    case Compare::Result::kEqual:
      return std::is_eq(order);
    case Compare::Result::kGreater:
      return std::is_gt(order);
    case Compare::Result::kLess:
      return std::is_lt(order);
    case Compare::Result::kNotEqual:
      return std::is_neq(order);
  }
  return false;
}

// Of a key that is not there, revisions, version and lease count as 0; a value is never equal, nor unequal, to nothing.
bool holds(const Store& store, const Compare& compare) {
  bool any = false;
  bool all = true;
  store.each({compare.key, compare.range_end}, [&](const KeyValue& kv) {
    any = true;
    all = holds(compare, kv);
    return all;
  });
  if (any) return all;
  return compare.target != Compare::Target::kValue && holds(compare, KeyValue{});
}

// One run of a transaction: which branch each of it and its inner ones takes is decided first, in the order in which
// they are met again.
class Transaction {
 public:
  Transaction(const Store& store, Store* writer, const LeaseTable& leases)
      : store_(store), writer_(writer), leases_(leases), allowance_(store) {}

  Result<TxnResponse> run(const TxnRequest& request) {
    CLEW_TRY(check_compares(request));
    decide(request);
    CLEW_TRY(check(request));
    met_ = 0;
    TxnResponse response = perform(request);
    response.revision = store_.revision();
    return response;
  }

 private:
  static const std::vector<RequestOp>& branch(const TxnRequest& request, bool succeeds) {
    return succeeds ? request.success : request.failure;
  }

  Status check_compares(const TxnRequest& request) {
    for (const Compare& compare : request.compare) CLEW_TRY(allowance_.take(compare));
    for (const auto* operations : {&request.success, &request.failure}) {
      for (const RequestOp& op : *operations) {
        if (const auto* inner = std::get_if<TxnRequest>(&op.op)) CLEW_TRY(check_compares(*inner));
      }
    }
    return {};
  }

  void decide(const TxnRequest& request) {
    const bool once = consensus::planted(consensus::Bug::kTxnComparesOnce) && request.compare.size() > 1;
    const bool succeeds =
        std::all_of(request.compare.begin(), once ? request.compare.begin() + 1 : request.compare.end(),
                    [&](const Compare& compare) { return holds(store_, compare); });
    succeeds_.push_back(succeeds);
    for (const RequestOp& op : branch(request, succeeds)) {
      if (const auto* inner = std::get_if<TxnRequest>(&op.op)) decide(*inner);
    }
  }

  Status check(const TxnRequest& request) {
    for (const RequestOp& op : branch(request, succeeds_[met_++])) {
      if (const auto* range = std::get_if<RangeRequest>(&op.op)) {
        CLEW_TRY(store_.check_revision(range->revision));
        CLEW_TRY(allowance_.take(*range));
      } else if (const auto* gone = std::get_if<DeleteRangeRequest>(&op.op)) {
        CLEW_TRY(allowance_.take(*gone));
      } else if (const auto* put = std::get_if<PutRequest>(&op.op)) {
        CLEW_TRY(check_put(store_, leases_, *put));
      } else if (const auto* inner = std::get_if<TxnRequest>(&op.op)) {
        CLEW_TRY(check(*inner));
      }
    }
    return {};
  }

  TxnResponse perform(const TxnRequest& request) {
    TxnResponse response;
    response.succeeded = succeeds_[met_++];
    const std::vector<RequestOp>& ops = branch(request, response.succeeded);
    response.responses.reserve(ops.size());
    for (const RequestOp& op : ops) {
      ResponseOp& answer = response.responses.emplace_back();
      if (const auto* range = std::get_if<RangeRequest>(&op.op)) {
        answer.op = store_.range(*range);
        continue;
      }
      CHECK(writer_ != nullptr);
      if (const auto* request_put = std::get_if<PutRequest>(&op.op)) {
        answer.op = put(*writer_, *request_put);
      } else if (const auto* gone = std::get_if<DeleteRangeRequest>(&op.op)) {
        answer.op = erase(*writer_, *gone);
      } else {
        answer.op = perform(std::get<TxnRequest>(op.op));
      }
    }
    return response;
  }

  const Store& store_;
  Store* writer_;
  const LeaseTable& leases_;
  std::vector<bool> succeeds_;
  size_t met_ = 0;
  Allowance allowance_;
};

// Changes of a custom command, kept apart until it has succeeded; then they are one transaction, in the order of keys.
class Overlay final : public CustomContext {
 public:
  Overlay(const Store& store, int64_t time_ns) : store_(store), time_ns_(time_ns) {}

  int64_t time_ns() const override { return time_ns_; }
  std::optional<std::string> get(std::string_view key) const override {
    if (auto at = changes_.find(key); at != changes_.end()) return at->second;
    auto kv = store_.get(key);
    if (!kv) return std::nullopt;
    return std::move(kv->value);
  }
  std::vector<std::pair<std::string, std::string>> range(KeyRange keys, size_t limit) const override {
    std::vector<std::pair<std::string, std::string>> result;
    auto changed = changes_.lower_bound(keys.begin);
    // The changes before `key`, or all that are left in the range.
    const auto take_changes = [&](const std::string* key) {
      for (; changed != changes_.end() && keys.contains(changed->first) && result.size() < limit; ++changed) {
        if (key != nullptr && changed->first >= *key) return;
        if (changed->second) result.emplace_back(changed->first, *changed->second);
      }
    };
    store_.each(keys, [&](const KeyValue& kv) {
      take_changes(&kv.key);
      if (result.size() >= limit) return false;
      if (changed == changes_.end() || changed->first != kv.key) {
        result.emplace_back(kv.key, kv.value);
      } else {
        if (changed->second) result.emplace_back(kv.key, *changed->second);
        ++changed;
      }
      return result.size() < limit;
    });
    take_changes(nullptr);
    return result;
  }
  void put(std::string_view key, std::string_view value) override {
    if (key.empty()) refused_ = errors::empty_key();
    if (key.size() + value.size() > kMaxValueBytes) refused_ = errors::request_too_large();
    changes_.insert_or_assign(std::string(key), std::string(value));
  }
  void erase(std::string_view key) override { changes_.insert_or_assign(std::string(key), std::nullopt); }

  const Status& refused() const { return refused_; }
  void perform(Store& store) const {
    for (const auto& [key, value] : changes_) {
      if (value) {
        const auto kv = store.get(key);
        store.put(key, *value, kv ? kv->lease : kNoLease);
      } else {
        store.erase({key, {}});
      }
    }
  }

 private:
  const Store& store_;
  int64_t time_ns_;
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;
  Status refused_;
};

}  // namespace

Result<RangeResponse> execute(const Store& store, const RangeRequest& request) {
  if (request.revision > 0) CLEW_TRY(store.check_revision(request.revision));
  CLEW_TRY(Allowance(store).take(request));
  return store.range(request);
}

Result<TxnResponse> execute_read_only(const Store& store, const LeaseTable& leases, const TxnRequest& request) {
  CHECK(read_only(request));
  return Transaction(store, nullptr, leases).run(request);
}

LeaseTimeToLiveResponse execute(const Store& store, const LeaseTable& leases, int64_t time_ns,
                                const LeaseTimeToLiveRequest& request) {
  LeaseTimeToLiveResponse response;
  response.revision = store.revision();
  response.id = request.id;
  const Lease* lease = leases.find(request.id);
  if (lease == nullptr) return response;
  const int64_t now_ns = std::max(time_ns, request.now_ns);
  response.ttl_s = lease->deadline_ns > now_ns ? (lease->deadline_ns - now_ns) / kNanosecondsPerSecond : 0;
  response.granted_ttl_s = lease->ttl_s;
  if (request.keys) response.keys.assign(lease->keys.begin(), lease->keys.end());
  return response;
}

Result<PutResponse> execute(Store& store, const LeaseTable& leases, const PutRequest& request) {
  CLEW_TRY(check_put(store, leases, request));
  return put(store, request);
}

Result<DeleteRangeResponse> execute(Store& store, const DeleteRangeRequest& request) {
  CLEW_TRY(Allowance(store).take(request));
  return erase(store, request);
}

Result<AppendResponse> execute(Store& store, const AppendRequest& request) {
  const auto current = store.get(request.key);
  std::string value = current ? current->value : std::string();
  if (value.size() + request.suffix.size() > kMaxValueBytes) return errors::request_too_large();
  value += request.suffix;
  store.put(request.key, value, current ? current->lease : kNoLease);
  return AppendResponse{store.revision(), static_cast<int64_t>(value.size())};
}

Result<CompareAndSetResponse> execute(Store& store, const LeaseTable& leases, const CompareAndSetRequest& request) {
  if (request.lease != kNoLease && leases.find(request.lease) == nullptr) return errors::lease_not_found();
  CompareAndSetResponse response;
  auto current = store.get(request.key);
  switch (request.expect) {
    case CompareAndSetRequest::Expect::kAbsent:
      response.swapped = !current;
      break;
    case CompareAndSetRequest::Expect::kValue:
      response.swapped = current && current->value == request.expected_value;
      break;
    case CompareAndSetRequest::Expect::kModRevision:
      response.swapped = (current ? current->mod_revision : 0) == request.expected_mod_revision;
      break;
  }
  if (response.swapped) {
    store.put(request.key, request.value, request.lease);
  } else {
    response.current = std::move(current);
  }
  response.revision = store.revision();
  return response;
}

Result<TxnResponse> execute(Store& store, const LeaseTable& leases, const TxnRequest& request) {
  return Transaction(store, &store, leases).run(request);
}

Result<CustomResponse> execute(Store& store, int64_t time_ns, const CustomRegistry& registry,
                               const CustomRequest& request) {
  const CustomFunction* function = registry.find(request.name, request.version);
  if (function == nullptr) {
    return Error{Code::kUnimplemented, "custom command " + request.name + " version " +
                                           std::to_string(request.version) +
                                           " is not registered; start all members with a build that has it"};
  }
  Overlay overlay(store, time_ns);
  CLEW_ASSIGN(std::string result, (*function)(overlay, request.arguments));
  CLEW_TRY(Status(overlay.refused()));
  overlay.perform(store);
  return CustomResponse{store.revision(), std::move(result)};
}

}  // namespace clew::kv
