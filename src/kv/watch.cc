#include "kv/watch.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/check.h"
#include "consensus/planted.h"
#include "kv/validate.h"

namespace clew::kv {
namespace {

size_t bytes_of(const Event& event) {
  size_t bytes = 64 + event.kv.key.size() + event.kv.value.size();
  if (event.previous) bytes += 64 + event.previous->key.size() + event.previous->value.size();
  return bytes;
}

size_t bytes_of(const WatchResponse& response) {
  size_t bytes = 64 + response.cancel_reason.size();
  for (const auto& event : response.events) bytes += bytes_of(*event);
  return bytes;
}

constexpr size_t kWatcherBytes = 400;  // of one, beside its keys

}  // namespace

struct WatchHub::Watcher {
  Stream& stream;
  uint64_t serial = 0;
  WatchId id = 0;
  std::string key;
  std::string range_end;
  Revision start = 0;  // as asked; 0: from the request on
  Revision next = 0;   // nothing below it is given: it was, or was not asked for
  uint64_t turn = 0;   // 0: synced
  bool no_put = false;
  bool no_delete = false;
  bool prev_kv = false;
  bool progress_notify = false;
  bool fragment = false;
  bool idle = false;  // nothing was given since the last tick
  KeyRange keys() const { return {key, range_end}; }
  // The keys stand here and where those who are interested in a key are found.
  static size_t bytes(std::string_view key, std::string_view range_end) {
    return kWatcherBytes + 2 * (key.size() + range_end.size());
  }
  bool synced() const { return turn == 0; }
};

struct WatchHub::Stream {
  StreamId id{};
  UniqueFunction<void()> ready;
  std::map<WatchId, std::unique_ptr<Watcher>> watchers;
  std::deque<WatchResponse> queue;
  size_t queued_bytes = 0;
  size_t behind = 0;
  WatchId next_id = 0;
};

WatchHub::WatchHub(const Store& store, WatchOptions options)
    : store_(store), options_(options), seen_(store.revision()) {}
WatchHub::~WatchHub() = default;

StreamId WatchHub::open(UniqueFunction<void()> ready) {
  const StreamId id{next_stream_++};
  auto stream = std::make_unique<Stream>();
  stream->id = id;
  stream->ready = std::move(ready);
  streams_.emplace(id, std::move(stream));
  return id;
}

void WatchHub::close(StreamId id) {
  auto at = streams_.find(id);
  if (at == streams_.end()) return;
  while (!at->second->watchers.empty()) drop(*at->second->watchers.begin()->second);
  progress_wanted_.erase(id);
  streams_.erase(at);
}

WatchHub::Watcher* WatchHub::find(StreamId stream, WatchId id) {
  auto at = streams_.find(stream);
  if (at == streams_.end()) return nullptr;
  auto watcher = at->second->watchers.find(id);
  return watcher == at->second->watchers.end() ? nullptr : watcher->second.get();
}

bool WatchHub::full(const Stream& stream) const {
  return stream.queued_bytes >= options_.max_queued_bytes || stream.queue.size() >= options_.max_queued_responses;
}

bool WatchHub::full(StreamId stream) const {
  auto at = streams_.find(stream);
  return at != streams_.end() && full(*at->second);
}

void WatchHub::push(Stream& stream, WatchResponse response) {
  const bool was_empty = stream.queue.empty();
  stream.queued_bytes += bytes_of(response);
  stream.queue.push_back(std::move(response));
  if (was_empty && stream.ready && !draining_) stream.ready();
}

bool WatchHub::next(StreamId id, WatchResponse& out) {
  auto at = streams_.find(id);
  if (at == streams_.end() || at->second->queue.empty()) return false;
  Stream& stream = *at->second;
  out = std::move(stream.queue.front());
  stream.queue.pop_front();
  stream.queued_bytes -= bytes_of(out);
  // There may be room now for what was waiting for it; the caller is about to look.
  draining_ = true;
  answer_progress(stream);
  draining_ = false;
  return true;
}

void WatchHub::refuse(Stream& stream, std::string reason) {
  WatchResponse response;
  response.revision = seen_;
  response.created = true;
  response.cancelled = true;
  response.cancel_reason = std::move(reason);
  push(stream, std::move(response));
}

void WatchHub::create(StreamId id, const WatchRequest& request) {
  auto at = streams_.find(id);
  if (at == streams_.end()) return;
  Stream& stream = *at->second;
  const std::string key = request.key.empty() ? std::string(1, '\0') : request.key;
  const KeyRange keys{key, request.range_end};
  if (request.start_revision < 0) return refuse(stream, errors::compacted().message);
  if (!keys.single() && !keys.unbounded() && keys.end <= keys.begin) {
    return refuse(stream, "mvcc: watcher range is empty");
  }
  if (request.id != 0 && stream.watchers.contains(request.id)) {
    return refuse(stream, "mvcc: duplicate watch ID provided on the WatchStream");
  }
  if (watchers_.size() >= options_.max_watchers) {
    return refuse(stream, "this member has as many watchers as it may have (" + std::to_string(watchers_.size()) +
                              "); watch through another member");
  }
  const size_t bytes = Watcher::bytes(key, request.range_end);
  if (watcher_bytes_ + bytes > options_.max_watcher_bytes) {
    return refuse(stream, "watchers and the keys that they watch take as much memory of this member as they may (" +
                              std::to_string(options_.max_watcher_bytes >> 20) +
                              " MiB); watch shorter keys, or through another member");
  }
  WatchId chosen = request.id;
  if (chosen == 0) {
    while (stream.watchers.contains(stream.next_id)) stream.next_id++;
    chosen = stream.next_id++;
  }
  auto made =
      std::make_unique<Watcher>(Watcher{.stream = stream,
                                        .serial = next_serial_++,
                                        .id = chosen,
                                        .key = key,
                                        .range_end = request.range_end,
                                        .start = request.start_revision - (request.resumes ? 1 : 0),
                                        .next = request.start_revision == 0 ? seen_ + 1 : request.start_revision,
                                        .turn = 0,
                                        .no_put = request.no_put,
                                        .no_delete = request.no_delete,
                                        .prev_kv = request.prev_kv,
                                        .progress_notify = request.progress_notify,
                                        .fragment = request.fragment,
                                        .idle = false});
  Watcher& watcher = *made;
  stream.watchers.emplace(chosen, std::move(made));
  watchers_.emplace(watcher.serial, &watcher);
  watcher_bytes_ += bytes;
  synced_.add(watcher.keys(), watcher.serial);
  WatchResponse response;
  response.id = chosen;
  response.revision = seen_;
  response.created = true;
  push(stream, std::move(response));
  if (watcher.next <= seen_) fall_behind(watcher, watcher.next);
}

void WatchHub::cancel(StreamId stream, WatchId id) {
  Watcher* watcher = find(stream, id);
  if (watcher == nullptr) return;
  WatchResponse response;
  response.id = id;
  response.revision = seen_;
  response.cancelled = true;
  Stream& of = watcher->stream;
  drop(*watcher);
  push(of, std::move(response));
  answer_progress(of);
}

void WatchHub::drop(Watcher& watcher) {
  if (watcher.synced()) {
    synced_.remove(watcher.keys(), watcher.serial);
  } else {
    behind_.erase(watcher.turn);
    watcher.stream.behind--;
  }
  watchers_.erase(watcher.serial);
  watcher_bytes_ -= Watcher::bytes(watcher.key, watcher.range_end);
  const WatchId id = watcher.id;
  watcher.stream.watchers.erase(id);  // destroys it
}

void WatchHub::fall_behind(Watcher& watcher, Revision next) {
  CHECK(watcher.synced());
  synced_.remove(watcher.keys(), watcher.serial);
  watcher.next = std::max(watcher.next, next);
  watcher.turn = next_turn_++;
  behind_.emplace(watcher.turn, &watcher);
  watcher.stream.behind++;
}

void WatchHub::become_synced(Watcher& watcher) {
  CHECK(!watcher.synced() && watcher.next > seen_);
  behind_.erase(watcher.turn);
  watcher.turn = 0;
  watcher.stream.behind--;
  synced_.add(watcher.keys(), watcher.serial);
}

void WatchHub::request_progress(StreamId id) {
  auto at = streams_.find(id);
  if (at == streams_.end()) return;
  progress_wanted_.insert(id);
  answer_progress(*at->second);
}

void WatchHub::answer_progress(Stream& stream) {
  if (!progress_wanted_.contains(stream.id) || stream.behind > 0 || full(stream)) return;
  // Of a watcher that starts in the future there is no progress before.
  for (const auto& [id, watcher] : stream.watchers) {
    if (watcher->start > seen_) return;
  }
  progress_wanted_.erase(stream.id);
  WatchResponse response;
  response.revision = seen_;
  push(stream, std::move(response));
}

void WatchHub::answer_progress() {
  const std::set<StreamId> wanted = progress_wanted_;
  for (const StreamId id : wanted) answer_progress(*streams_.at(id));
}

void WatchHub::tick_progress() {
  answer_progress();
  for (auto& [id, stream] : streams_) {
    for (auto& [watch, watcher] : stream->watchers) {
      if (watcher->progress_notify && watcher->idle && watcher->synced() && watcher->start <= seen_ && !full(*stream)) {
        WatchResponse response;
        response.id = watch;
        response.revision = seen_;
        push(*stream, std::move(response));
      }
      watcher->idle = true;
    }
  }
}

bool WatchHub::wants(const Watcher& watcher, const Handed& change) const {
  return change.id.main >= watcher.next && !(change.record.tombstone ? watcher.no_delete : watcher.no_put);
}

WatchHub::EventPtr WatchHub::event(const Watcher& watcher, Handed& change) const {
  if (change.plain == nullptr) {
    change.plain =
        std::make_shared<const Event>(Event{.type = change.record.tombstone ? Event::Type::kDelete : Event::Type::kPut,
                                            .kv = key_value(change.record, change.id.main),
                                            .previous = std::nullopt});
  }
  const Revision before = change.id.main - 1;
  if (!watcher.prev_kv || change.plain->creates() || before < store_.compact_revision()) return change.plain;
  if (change.with_previous == nullptr) {
    Event with = *change.plain;
    with.previous = store_.get_at(change.record.key, before);
    change.with_previous = std::make_shared<const Event>(std::move(with));
  }
  return change.with_previous;
}

void WatchHub::give(Watcher& watcher, Revision upto, std::vector<EventPtr> events) {
  watcher.idle = false;
  WatchResponse response;
  response.id = watcher.id;
  response.revision = upto;
  size_t bytes = 0;
  for (EventPtr& event : events) {
    const size_t more = bytes_of(*event);
    if (watcher.fragment && bytes > 0 && bytes + more > options_.max_fragment_bytes) {
      WatchResponse part = response;
      part.fragment = true;
      push(watcher.stream, std::move(part));
      response.events.clear();
      bytes = 0;
    }
    bytes += more;
    response.events.push_back(std::move(event));
  }
  push(watcher.stream, std::move(response));
}

void WatchHub::on_commit() {
  const Revision now = store_.revision();
  if (now == seen_) return;
  const Revision from = seen_ + 1;
  if (watchers_.size() > behind_.size()) {
    std::map<uint64_t, std::vector<EventPtr>> given;
    store_.changes(from, [&](RecordId id, const Record& record) {
      Handed change{id, record, nullptr, nullptr};
      synced_.find(record.key, [&](uint64_t serial) {
        const Watcher& watcher = *watchers_.at(serial);
        if (!wants(watcher, change)) return;
        auto at = given.try_emplace(serial).first;
        // Of one that cannot be given it, only that there is something.
        if (!full(watcher.stream)) at->second.push_back(event(watcher, change));
      });
      return true;
    });
    for (auto& [serial, events] : given) {
      Watcher& watcher = *watchers_.at(serial);
      if (full(watcher.stream)) {
        fall_behind(watcher, from);
      } else {
        give(watcher, now, std::move(events));
        watcher.next = now + 1;
      }
    }
  }
  seen_ = now;
  answer_progress();
}

void WatchHub::on_restore() {
  const Revision from = seen_ + 1;
  seen_ = store_.revision();
  if (consensus::planted(consensus::Bug::kWatchSkipsSnapshot)) return;
  for (auto& [serial, watcher] : watchers_) {
    if (watcher->synced() && std::max(watcher->next, from) <= seen_) fall_behind(*watcher, from);
  }
}

void WatchHub::cancel_compacted(Watcher& watcher) {
  WatchResponse response;
  response.id = watcher.id;
  response.revision = seen_;
  response.cancelled = true;
  response.cancel_reason = errors::compacted().message;
  response.compact_revision = store_.compact_revision();
  Stream& stream = watcher.stream;
  drop(watcher);
  push(stream, std::move(response));
  answer_progress(stream);
}

std::vector<WatchHub::Watcher*> WatchHub::choose_behind() {
  std::vector<Watcher*> chosen;
  for (const auto& [turn, watcher] : behind_) {
    if (chosen.size() == options_.pump_watchers) break;
    if (!full(watcher->stream)) chosen.push_back(watcher);
  }
  // Cancelling changes behind_, so it comes after.
  std::erase_if(chosen, [&](Watcher* watcher) {
    if (watcher->next >= store_.compact_revision()) return false;
    cancel_compacted(*watcher);
    return true;
  });
  return chosen;
}

bool WatchHub::pump() {
  const std::vector<Watcher*> chosen = choose_behind();
  if (!chosen.empty()) {
    Revision from = seen_;
    for (const Watcher* watcher : chosen) from = std::min(from, watcher->next);
    std::vector<std::vector<EventPtr>> given(chosen.size());
    Revision upto = seen_;
    size_t records = 0;
    Revision last = 0;
    store_.changes(from, [&](RecordId id, const Record& record) {
      if (records++ >= options_.pump_records && id.main != last) {
        upto = last;
        return false;
      }
      last = id.main;
      Handed change{id, record, nullptr, nullptr};
      for (size_t i = 0; i < chosen.size(); i++) {
        if (wants(*chosen[i], change) && chosen[i]->keys().contains(record.key)) {
          given[i].push_back(event(*chosen[i], change));
        }
      }
      return true;
    });
    for (size_t i = 0; i < chosen.size(); i++) {
      Watcher& watcher = *chosen[i];
      Stream& stream = watcher.stream;
      if (!given[i].empty()) {
        if (full(stream)) continue;  // another watcher of the stream has filled it; this one stays where it is
        give(watcher, upto, std::move(given[i]));
      }
      watcher.next = std::max(watcher.next, upto + 1);
      if (watcher.next > seen_) {
        become_synced(watcher);
        answer_progress(stream);
      } else {  // to the end of the line
        behind_.erase(watcher.turn);
        watcher.turn = next_turn_++;
        behind_.emplace(watcher.turn, &watcher);
      }
    }
  }
  return std::any_of(behind_.begin(), behind_.end(), [&](const auto& at) { return !full(at.second->stream); });
}

void WatchHub::check_invariants() const {
  size_t watchers = 0;
  size_t behind = 0;
  size_t watcher_bytes = 0;
  for (const auto& [id, stream] : streams_) {
    size_t bytes = 0;
    for (const WatchResponse& response : stream->queue) bytes += bytes_of(response);
    CHECK(bytes == stream->queued_bytes);
    size_t stream_behind = 0;
    for (const auto& [watch, watcher] : stream->watchers) {
      CHECK(&watcher->stream == stream.get() && watcher->id == watch);
      CHECK(watchers_.at(watcher->serial) == watcher.get());
      watcher_bytes += Watcher::bytes(watcher->key, watcher->range_end);
      if (watcher->synced()) continue;
      CHECK(behind_.at(watcher->turn) == watcher.get() && watcher->next <= seen_);
      stream_behind++;
    }
    CHECK(stream_behind == stream->behind);
    watchers += stream->watchers.size();
    behind += stream_behind;
  }
  CHECK(watchers == watchers_.size() && behind == behind_.size() && watcher_bytes == watcher_bytes_);
}

}  // namespace clew::kv
