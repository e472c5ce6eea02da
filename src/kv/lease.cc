#include "kv/lease.h"

#include <algorithm>
#include <limits>

#include "kv/validate.h"

namespace clew::kv {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

// The longest lease reaches beyond what nanoseconds can say: such a one never ends.
int64_t deadline_after(int64_t now_ns, int64_t ttl_s) {
  int64_t ttl_ns = 0;
  int64_t deadline = 0;
  if (__builtin_mul_overflow(ttl_s, kNanosecondsPerSecond, &ttl_ns) ||
      __builtin_add_overflow(now_ns, ttl_ns, &deadline)) {
    return std::numeric_limits<int64_t>::max();
  }
  return deadline;
}

}  // namespace

Result<int64_t> LeaseTable::grant(LeaseId id, int64_t ttl_s, int64_t now_ns) {
  if (id == kNoLease) return errors::lease_not_found();
  if (ttl_s > kMaxLeaseTtlSeconds) return errors::lease_ttl_too_large();
  auto [at, is_new] = leases_.try_emplace(id);
  if (!is_new) return errors::lease_exists();
  Lease& lease = at->second;
  lease.ttl_s = std::max(ttl_s, kMinLeaseTtlSeconds);
  lease.deadline_ns = deadline_after(now_ns, lease.ttl_s);
  by_deadline_.emplace(lease.deadline_ns, id);
  entries_.add(bucket(id), lease_key(id), encode_lease({lease.ttl_s, lease.deadline_ns}));
  return lease.ttl_s;
}

std::optional<int64_t> LeaseTable::keep_alive(LeaseId id, int64_t now_ns) {
  auto at = leases_.find(id);
  if (at == leases_.end()) return std::nullopt;
  renew(id, at->second, now_ns);
  return at->second.ttl_s;
}

void LeaseTable::extend_all(int64_t now_ns) {
  for (auto& [id, lease] : leases_) renew(id, lease, now_ns);
}

void LeaseTable::renew(LeaseId id, Lease& lease, int64_t now_ns) {
  const int64_t deadline = std::max(lease.deadline_ns, deadline_after(now_ns, lease.ttl_s));
  if (deadline == lease.deadline_ns) return;
  entries_.replace(bucket(id), lease_key(id), encode_lease({lease.ttl_s, lease.deadline_ns}),
                   encode_lease({lease.ttl_s, deadline}));
  by_deadline_.erase({lease.deadline_ns, id});
  lease.deadline_ns = deadline;
  by_deadline_.emplace(deadline, id);
}

void LeaseTable::remove(LeaseId id) {
  auto at = leases_.find(id);
  CHECK(at != leases_.end() && at->second.keys.empty());
  entries_.remove(bucket(id), lease_key(id), encode_lease({at->second.ttl_s, at->second.deadline_ns}));
  by_deadline_.erase({at->second.deadline_ns, id});
  leases_.erase(at);
}

const Lease* LeaseTable::find(LeaseId id) const {
  auto at = leases_.find(id);
  return at == leases_.end() ? nullptr : &at->second;
}

std::optional<int64_t> LeaseTable::next_deadline_ns() const {
  if (by_deadline_.empty()) return std::nullopt;
  return by_deadline_.begin()->first;
}

std::vector<LeaseId> LeaseTable::due(int64_t now_ns, size_t limit) const {
  std::vector<LeaseId> result;
  for (const auto& [deadline, id] : by_deadline_) {
    if (deadline > now_ns || result.size() == limit) break;
    result.push_back(id);
  }
  return result;
}

std::vector<LeaseId> LeaseTable::by_deadline() const {
  std::vector<LeaseId> result;
  result.reserve(by_deadline_.size());
  for (const auto& [deadline, id] : by_deadline_) result.push_back(id);
  return result;
}

void LeaseTable::move_key(std::string_view key, LeaseId from, LeaseId to) {
  if (from == to) return;
  if (from != kNoLease) {
    Lease& lease = leases_.at(from);
    auto at = lease.keys.find(key);
    CHECK(at != lease.keys.end());
    lease.keys.erase(at);
  }
  if (to != kNoLease) leases_.at(to).keys.emplace(key);
}

Status LeaseTable::load(std::string_view key, std::string_view value) {
  LeaseId id = kNoLease;
  LeaseRecord record;
  if (!parse_lease_key(key, id) || !parse_lease(value, record) || record.ttl_s > kMaxLeaseTtlSeconds) {
    return {Code::kDataLoss, "key-value store: a lease's entry makes no sense; restore this member from another"};
  }
  Lease& lease = leases_[id];
  lease.ttl_s = record.ttl_s;
  lease.deadline_ns = record.deadline_ns;
  by_deadline_.emplace(record.deadline_ns, id);
  entries_.digest().add(bucket(id), key, value);
  return {};
}

void LeaseTable::clear() {
  leases_.clear();
  by_deadline_.clear();
}

size_t LeaseTable::bucket(LeaseId id) { return DigestTree::bucket_of(lease_key(id)); }

}  // namespace clew::kv
