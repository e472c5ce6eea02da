#include "control/read_desk.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

namespace clew::control {
namespace {

// Of a read that is no long one, in looks at a key: a transaction may have ranges.
size_t effort_of(const kv::Request& request) {
  if (const auto* const txn = std::get_if<kv::TxnRequest>(&request)) {
    return kv::Store::kLoadEffort * (1 + txn->compare.size() + std::max(txn->success.size(), txn->failure.size()));
  }
  return kv::Store::kLoadEffort;
}

}  // namespace

void ReadDesk::read(uint64_t id, kv::Space space, kv::Request request) {
  Waiting one{id, space, std::move(request)};
  if (kv::LongRead::takes(one.request)) {
    long_.push_back(std::move(one));
    start_long();
  } else if (short_.empty() && effort_ > 0) {
    answer(one);
  } else {
    short_.push_back(std::move(one));
  }
  if (effort_ < kTurnEffort / 2) turn_soon();
}

void ReadDesk::answer(Waiting& one) {
  effort_ -= std::min(effort_, effort_of(one.request));
  const consensus::Position at = ports_.position();
  ports_.answered(one.id, ports_.spaces.machine(one.space).read_at_once(one.request), at);
}

void ReadDesk::start_long() {
  while (!reading_.has_value() && !long_.empty() && effort_ > 0) {
    Waiting one = std::move(long_.front());
    long_.pop_front();
    reading_.emplace(ports_.spaces.machine(one.space), std::move(one.request));
    id_ = one.id;
    position_ = ports_.position();
    go_on();
  }
}

void ReadDesk::go_on() {
  if (!ports_.wanted(id_)) return reading_.reset();
  if (reading_->step(effort_)) finish();
}

void ReadDesk::finish() {
  if (!reading_->finishing_takes_long()) {
    Result<kv::Response> response = reading_->finish();
    reading_.reset();
    return ports_.answered(id_, std::move(response), position_);
  }
  finishing_ = true;
  struct Work {
    std::optional<kv::LongRead> read;
    std::optional<Result<kv::Response>> response;
  };
  auto work = std::make_shared<Work>();  // shared by the worker's task and the one that follows it
  work->read = std::move(reading_);
  ports_.loop.offload(
      env::Lane::kQuery, [work] { work->response.emplace(work->read->finish()); },
      [this, work, alive = std::weak_ptr<char>(alive_)] {
        if (alive.expired()) return;
        finishing_ = false;
        reading_.reset();
        turn_soon();
        ports_.answered(id_, std::move(*work->response), position_);
      });
}

void ReadDesk::turn_soon() {
  if (std::exchange(turn_posted_, true)) return;
  ports_.loop.post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) turn();
  });
}

// Half of it for short ones, the rest for a long one.
void ReadDesk::turn() {
  turn_posted_ = false;
  effort_ = kTurnEffort;
  while (!short_.empty() && effort_ > kTurnEffort / 2) {
    Waiting one = std::move(short_.front());
    short_.pop_front();
    if (ports_.wanted(one.id)) answer(one);
  }
  if (reading_.has_value() && !finishing_) go_on();
  start_long();
  if (!short_.empty() || (!finishing_ && (reading_.has_value() || !long_.empty()))) turn_soon();
}

}  // namespace clew::control
