#include "sim/nodes/watch_audit.h"

#include <algorithm>

namespace clew::sim::nodes {
namespace {

std::string text_of(const kv::Event& event) {
  return std::string(event.type == kv::Event::Type::kPut ? "put" : "delete") + " of " + event.kv.key + " at revision " +
         std::to_string(event.kv.mod_revision);
}

}  // namespace

Status WatchAudit::wrong(const std::string& what) const {
  const kv::KeyRange range{request_.key, request_.range_end};
  return {Code::kInternal, "watch of [" + request_.key + ", " + (range.unbounded() ? "..." : request_.range_end) +
                               ") from revision " + std::to_string(request_.start_revision) + ", given all before " +
                               std::to_string(next_) + ": " + what};
}

bool WatchAudit::wants(const Change& change) const {
  if (change.event.kv.mod_revision < first_) return false;
  const bool put = change.event.type == kv::Event::Type::kPut;
  if (put ? request_.no_put : request_.no_delete) return false;
  return kv::KeyRange{request_.key, request_.range_end}.contains(change.event.kv.key);
}

void WatchAudit::skip(kv::Revision last) {
  const auto& changes = truth_.changes();
  while (cursor_ < changes.size() && changes[cursor_].event.kv.mod_revision <= last && !wants(changes[cursor_])) {
    ++cursor_;
  }
}

bool WatchAudit::has_everything() const {
  if (!announced_) return false;
  const auto& changes = truth_.changes();
  return std::none_of(changes.begin() + static_cast<ptrdiff_t>(cursor_), changes.end(),
                      [&](const Change& change) { return wants(change); });
}

void WatchAudit::resume() {
  if (announced_) {
    request_.start_revision = next_;
    request_.resumes = true;
  }
  announced_ = false;
}

Status WatchAudit::check_previous(const kv::Event& event, const Change& change) const {
  const Change* const before = change.before ? &truth_.changes()[*change.before] : nullptr;
  const bool existed = before != nullptr && before->event.type == kv::Event::Type::kPut;
  if (event.previous && (!request_.prev_kv || !existed || !(*event.previous == before->event.kv))) {
    return wrong("with another state before it than there was: " + text_of(event));
  }
  if (!event.previous && request_.prev_kv && existed && truth_.compacted() < event.kv.mod_revision) {
    return wrong("without the state before it: " + text_of(event));
  }
  return {};
}

Status WatchAudit::take_event(const kv::Event& event) {
  skip(event.kv.mod_revision);
  const auto& changes = truth_.changes();
  if (cursor_ == changes.size()) return wrong("given what nobody applied: " + text_of(event));
  const Change& change = changes[cursor_];
  if (change.event.type != event.type || !(change.event.kv == event.kv)) {
    const bool late = event.kv.mod_revision < change.event.kv.mod_revision;
    return wrong(
        std::string(late ? "given twice, or out of order, or not as it was: " : "left out, or not as it was: ") +
        text_of(late ? event : change.event) + "; what came is a " + text_of(event));
  }
  CLEW_TRY(check_previous(event, change));
  ++cursor_;
  ++events_;
  return {};
}

Status WatchAudit::take(const kv::WatchResponse& response) {
  if (cancelled_) return wrong("something comes after its end");
  if (response.created) {
    if (announced_) return wrong("created twice");
    announced_ = true;
    if (response.cancelled) return wrong("refused: " + response.cancel_reason);
    if (response.revision > truth_.revision()) return wrong("created at a revision that is not there yet");
    next_ = request_.start_revision == 0 ? response.revision + 1 : request_.start_revision;
    first_ = next_;
    cursor_ = truth_.first_at(next_);
    return {};
  }
  // It may be cancelled before it was created anywhere.
  if (!announced_ && !response.cancelled) return wrong("something comes before it was created");
  if (response.cancelled) {
    cancelled_ = true;
    if (response.compact_revision == 0) return {};
    if (response.compact_revision > truth_.compacted() || next_ >= response.compact_revision) {
      return wrong("ended by a compaction at " + std::to_string(response.compact_revision) + "; the newest one is at " +
                   std::to_string(truth_.compacted()));
    }
    return {};
  }
  if (response.revision > truth_.revision()) {
    return wrong("told of revision " + std::to_string(response.revision) + ", which is not there yet");
  }
  for (const auto& event : response.events) {
    if (event->kv.mod_revision > response.revision) return wrong("a change above its response's revision");
    CLEW_TRY(take_event(*event));
  }
  return response.fragment ? Status() : take_progress(response.revision);
}

Status WatchAudit::take_progress(kv::Revision revision) {
  if (!announced_ || cancelled_) return {};
  if (revision > truth_.revision()) return wrong("told of progress to a revision that is not there yet");
  skip(revision);
  const auto& changes = truth_.changes();
  if (cursor_ < changes.size() && changes[cursor_].event.kv.mod_revision <= revision) {
    return wrong("told that it has been given everything up to revision " + std::to_string(revision) +
                 "; left out: " + text_of(changes[cursor_].event));
  }
  next_ = std::max(next_, revision + 1);
  return {};
}

}  // namespace clew::sim::nodes
