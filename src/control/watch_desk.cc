#include "control/watch_desk.h"

#include <utility>

namespace clew::control {
namespace {

size_t bytes_of(const kv::KeyValue& kv) { return 64 + kv.key.size() + kv.value.size(); }

size_t bytes_of(const kv::WatchResponse& response) {
  size_t bytes = 64 + response.cancel_reason.size();
  for (const auto& event : response.events) {
    bytes += bytes_of(event->kv);
    if (event->previous) bytes += bytes_of(*event->previous);
  }
  return bytes;
}

size_t bytes_of(const WatchDesk::Ask& ask) {
  const auto* request = std::get_if<kv::WatchRequest>(&ask);
  return sizeof(ask) + (request == nullptr ? 0 : request->key.size() + request->range_end.size());
}

}  // namespace

WatchDesk::WatchDesk(env::Loop& loop, kv::Spaces& spaces, kv::WatchOptions options, size_t max_streams)
    : loop_(loop), spaces_(spaces), max_streams_(max_streams) {
  for (size_t i = 0; i < kv::kSpaces; ++i) {
    const auto space = static_cast<kv::Space>(i);
    hubs_[i] = std::make_unique<kv::WatchHub>(spaces.machine(space).store(), options);
    spaces.machine(space).on_commit([this, space] {
      hub(space).on_commit();
      pump_soon(space);
    });
    spaces.machine(space).on_restore([this, space] {
      hub(space).on_restore();
      pump_soon(space);
    });
  }
}

WatchDesk::~WatchDesk() {
  for (size_t i = 0; i < kv::kSpaces; ++i) {
    spaces_.machine(static_cast<kv::Space>(i)).on_commit(nullptr);
    spaces_.machine(static_cast<kv::Space>(i)).on_restore(nullptr);
  }
  for (auto& [key, stream] : streams_) fail(stream, {Code::kUnavailable, "this node is stopping", false, {}, {}});
}

void WatchDesk::open(Key key, kv::Space space) {
  const bool opens = streams_.size() < max_streams_;
  Stream& stream = streams_[key];
  stream.space = space;
  if (!opens) return;
  stream.opened = true;
  stream.id = hub(space).open([this, key] {
    ready_.insert(key);
    serve_soon();
  });
}

void WatchDesk::close(Key key) {
  const auto at = streams_.find(key);
  if (at == streams_.end()) return;
  if (at->second.opened) hub(at->second.space).close(at->second.id);
  fail(at->second, {Code::kCancelled, "the stream was closed", false, {}, {}});
  held_bytes_ -= at->second.held_bytes;
  ready_.erase(key);
  streams_.erase(at);
}

void WatchDesk::ask(Key key, Ask what) {
  const auto at = streams_.find(key);
  if (at == streams_.end() || !at->second.opened || at->second.overrun) return;
  Stream& stream = at->second;
  if (stream.held.empty() && !hub(stream.space).full(stream.id)) {
    perform(stream, what);
    return pump_soon(stream.space);
  }
  const size_t bytes = bytes_of(what);
  if (stream.held.size() < kMaxHeld && held_bytes_ + bytes <= kMaxHeldBytes) {
    stream.held_bytes += bytes;
    held_bytes_ += bytes;
    stream.held.push_back(std::move(what));
    return;
  }
  stream.overrun = true;
  ready_.insert(key);
  serve_soon();
}

void WatchDesk::perform(Stream& stream, Ask& what) {
  if (const auto* request = std::get_if<kv::WatchRequest>(&what)) {
    hub(stream.space).create(stream.id, *request);
  } else if (const auto* id = std::get_if<kv::WatchId>(&what)) {
    hub(stream.space).cancel(stream.id, *id);
  } else {
    hub(stream.space).request_progress(stream.id);
  }
}

void WatchDesk::next(Key key, size_t max_bytes, Done<std::vector<kv::WatchResponse>> done) {
  const auto at = streams_.find(key);
  if (at == streams_.end()) return done(CallError{Code::kCancelled, "the stream was closed", false, {}, {}});
  CHECK(!at->second.waiting);
  at->second.max_bytes = max_bytes;
  at->second.waiting = std::move(done);
  serve(key, at->second);
}

void WatchDesk::serve(Key key, Stream& stream) {
  if (!stream.waiting) return;
  if (refused_) return fail(stream, *refused_);
  if (!stream.opened) {
    return fail(stream, {Code::kResourceExhausted,
                         "this member has as many watch streams as it may have (" + std::to_string(max_streams_) +
                             "); watch through another member",
                         false,
                         {},
                         {}});
  }
  std::vector<kv::WatchResponse> responses;
  size_t bytes = 0;
  kv::WatchHub& from = hub(stream.space);
  for (kv::WatchResponse response; bytes < stream.max_bytes || responses.empty();) {
    if (!from.next(stream.id, response)) {
      ready_.erase(key);
      break;
    }
    bytes += bytes_of(response);
    responses.push_back(std::move(response));
  }
  while (!stream.held.empty() && !from.full(stream.id)) {
    const size_t bytes_held = bytes_of(stream.held.front());
    stream.held_bytes -= bytes_held;
    held_bytes_ -= bytes_held;
    perform(stream, stream.held.front());
    stream.held.pop_front();
  }
  pump_soon(stream.space);  // what was full may be no more
  if (!responses.empty()) return std::exchange(stream.waiting, nullptr)(std::move(responses));
  if (stream.overrun) {
    fail(stream, {Code::kResourceExhausted,
                  "requests of this watch stream came faster than its answers were taken",
                  false,
                  {},
                  {}});
  }
}

void WatchDesk::serve_soon() {
  if (std::exchange(serving_, true)) return;
  loop_.post([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    serving_ = false;
    for (const Key key : std::exchange(ready_, {})) {
      const auto at = streams_.find(key);
      if (at != streams_.end()) serve(key, at->second);
    }
  });
}

void WatchDesk::pump_soon(kv::Space space) {
  bool& pumping = pumping_[static_cast<size_t>(space)];
  if (hub(space).behind() == 0 || std::exchange(pumping, true)) return;
  loop_.post([this, space, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    pumping_[static_cast<size_t>(space)] = false;
    if (hub(space).pump()) pump_soon(space);
  });
}

void WatchDesk::tick_progress() {
  for (auto& hub : hubs_) hub->tick_progress();
}

void WatchDesk::refuse(CallError why) {
  refused_ = std::move(why);
  for (auto& [key, stream] : streams_) ready_.insert(key);
  serve_soon();
}

void WatchDesk::fail(Stream& stream, const CallError& why) {
  if (stream.waiting) std::exchange(stream.waiting, nullptr)(why);
}

size_t WatchDesk::watchers() const {
  size_t sum = 0;
  for (const auto& hub : hubs_) sum += hub->watchers();
  return sum;
}

}  // namespace clew::control
