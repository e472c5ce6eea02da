#include "consensus/outbox.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace clew::consensus {

void Outbox::start(LogSeq next) {
  next_seq_ = next;
  durable_seq_ = next - 1;
}

LogSeq Outbox::record(std::string bytes) {
  ready_.records.push_back(std::move(bytes));
  return next_seq_++;
}

bool Outbox::durable(LogSeq seq) {
  CHECK(seq < next_seq_);
  if (seq <= durable_seq_) return false;
  durable_seq_ = seq;
  return true;
}

void Outbox::release_below(LogSeq seq) {
  if (seq <= released_below_) return;
  ready_.release_below = released_below_ = seq;
}

void Outbox::fetch(FetchSnapshot what) {
  ready_.fetch = std::move(what);
  ready_.cancel_fetch = false;
}

void Outbox::cancel_fetch() {
  ready_.fetch.reset();
  ready_.cancel_fetch = true;
}

void Outbox::install(SnapshotMeta meta) { ready_.install = InstallSnapshot{std::move(meta), last_record()}; }

void Outbox::halt(std::string why) {
  if (!halt_) halt_ = std::move(why);
}

void Outbox::collect(Effects& to) {
  drain_into(ready_.facts, to.facts);
  if (halt_) {
    to.halt = halt_;
    return;
  }
  drain_into(ready_.records, to.records);
  for (Message& message : messages_) {
    LogSeq after = message.seq;
    if (message.after == After::kState) after = std::max(after, state_seq_);
    if (message.after == After::kEverything) after = last_record();
    to.sends.push_back({message.to, after > durable_seq_ ? after : 0, std::move(message.frame)});
  }
  messages_.clear();
  drain_into(ready_.placed, to.placed);
  drain_into(ready_.refused, to.refused);
  drain_into(ready_.reads, to.reads);
  drain_into(ready_.reads_refused, to.reads_refused);
  drain_into(ready_.verifications, to.verifications);
  to.install = std::exchange(ready_.install, std::nullopt);
  to.fetch = std::exchange(ready_.fetch, std::nullopt);
  to.cancel_fetch = std::exchange(ready_.cancel_fetch, false);
  to.release_below = std::exchange(ready_.release_below, 0);
}

}  // namespace clew::consensus
