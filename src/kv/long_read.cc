#include "kv/long_read.h"

#include <utility>
#include <variant>

#include "base/check.h"
#include "kv/validate.h"

namespace clew::kv {

bool LongRead::takes(const Request& request) {
  const auto* const range = std::get_if<RangeRequest>(&request);
  return range != nullptr ? !range->range_end.empty() : std::holds_alternative<HashRequest>(request);
}

LongRead::LongRead(const KvStateMachine& machine, Request request) : machine_(&machine), request_(std::move(request)) {
  CHECK(takes(request_));
}

bool LongRead::refuse(Error error) {
  done_.emplace(std::move(error));
  return true;
}

bool LongRead::begin(Revision asked) {
  const Store& store = machine_->store();
  if (asked > 0) {
    if (const Status good = store.check_revision(asked); !good.ok()) {
      refuse(good.error());
      return false;
    }
  }
  ++begun_;
  at_ = asked > 0 ? asked : store.revision();
  compacted_ = store.compact_revision();
  range_ = {};
  range_.at = at_;
  range_.response.revision = store.revision();
  if (std::holds_alternative<HashRequest>(request_)) hash_.emplace();
  return true;
}

bool LongRead::step(size_t& effort) {
  const Store& store = machine_->store();
  const auto* const range = std::get_if<RangeRequest>(&request_);
  const Revision asked = range != nullptr ? range->revision : std::get<HashRequest>(request_).revision;
  // A range can go on while its revision is there; the hash is of what the newest compaction keeps.
  const bool passed = range != nullptr ? store.compact_revision() > at_ : store.compact_revision() != compacted_;
  if (begun_ == 0 || passed) {
    if (begun_ > kMaxRestarts) return refuse(errors::compacted());
    if (!begin(asked)) return true;
  }
  if (range != nullptr) {
    if (!store.range_step(*range, effort, kMaxRangeBytes, range_)) return false;
    return range_.bytes > kMaxRangeBytes ? refuse(errors::range_too_large()) : true;
  }
  if (!store.hash_step(at_, effort, *hash_)) return false;
  done_.emplace(Response(HashResponse{range_.response.revision, compacted_, hash_->digest.root()}));
  return true;
}

bool LongRead::finishing_takes_long() const {
  constexpr size_t kMany = 10'000;
  return !done_.has_value() && range_.response.kvs.size() > kMany;
}

Result<Response> LongRead::finish() {
  if (done_.has_value()) return std::move(*done_);
  Store::finish_range(std::get<RangeRequest>(request_), range_.response);
  return Response(std::move(range_.response));
}

}  // namespace clew::kv
