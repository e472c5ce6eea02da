#include "control/client_streams.h"

#include <algorithm>

#include "consensus/planted.h"

namespace clew::control {
namespace {

constexpr uint64_t kSnapshotWindow = 1 << 20;
constexpr size_t kMaxFruitless = 16;

const auto kNothing = [](std::string&) {};

auto number(int64_t value) {
  return [value](std::string& out) { append(out, NumberBody{value}); };
}

}  // namespace

// --- Watches ---

void ClientWatches::create(kv::WatchRequest request) {
  if (failed()) return;
  const auto wire = name(request);
  if (!wire) return;
  Watch& watch = watches_[*wire];
  watch.request = std::move(request);
  creating_.push_back(*wire);
  send_create(*wire, watch);
}

void ClientWatches::send_create(int64_t wire, const Watch& watch) {
  kv::WatchRequest request = watch.request;
  request.id = wire;
  if (watch.announced) {
    request.start_revision = watch.part_of != 0 ? watch.part_of : watch.next;
    if (watch.part_of == 0) {
      request.start_revision += consensus::planted(consensus::Bug::kWatchResumesLate);
      request.start_revision -= consensus::planted(consensus::Bug::kWatchResumesEarly);
    }
    request.resumes = request.start_revision > watch.request.start_revision;
  }
  core_.stream_send(MessageKind::kWatchCreate, id_, [&](std::string& out) { append(out, request); });
}

void ClientWatches::cancel(kv::WatchId id) {
  const auto wire = named(id);
  if (failed() || !wire) return;
  watches_.at(*wire).cancelling = true;
  core_.stream_send(MessageKind::kWatchCancel, id_, number(*wire));
}

void ClientWatches::request_progress() {
  if (failed()) return;
  progress_wanted_ = true;
  core_.stream_send(MessageKind::kWatchProgress, id_, kNothing);
}

void ClientWatches::open() {
  if (failed()) return;
  core_.stream_send(MessageKind::kWatchOpen, id_, number(static_cast<int64_t>(space_)));
  creating_.clear();
  std::vector<int64_t> over;
  for (auto& [wire, watch] : watches_) {
    if (watch.cancelling) {
      over.push_back(wire);
      continue;
    }
    watch.skip = watch.part_given;
    creating_.push_back(wire);
    send_create(wire, watch);
  }
  for (const int64_t wire : over) {  // it was on its way to a member that is gone
    kv::WatchResponse response;
    response.id = wire;
    response.cancelled = true;
    on_response(std::move(response));
  }
  if (progress_wanted_) core_.stream_send(MessageKind::kWatchProgress, id_, kNothing);
  credit_.restart();
  grant();
}

void ClientWatches::lost(const std::string&) {}  // open() follows

bool ClientWatches::on_message(MessageKind kind, std::string_view body) {
  if (kind == MessageKind::kStreamEnded) {
    auto error = parse<CallError>(body);
    if (!error.ok()) return false;
    if (error->code == Code::kUnavailable && core_.options().addresses.size() > 1 && ++fruitless_ < kMaxFruitless) {
      core_.elsewhere();
    } else {
      end(*error);
    }
    return true;
  }
  if (kind != MessageKind::kWatchResponses) return false;
  auto responses = parse<WatchResponsesBody>(body);
  if (!responses.ok()) return false;
  fruitless_ = 0;
  for (kv::WatchResponse& response : responses->responses) {
    credit_.spend(weight(response));
    on_response(std::move(response));
  }
  grant();
  return true;
}

void ClientWatches::on_response(kv::WatchResponse response) {
  if (response.id == kv::kNoWatch) {
    if (!response.created) {  // progress: everybody has been given everything
      progress_wanted_ = false;
      for (auto& [wire, watch] : watches_) watch.next = std::max(watch.next, response.revision + 1);
      return push(std::move(response));
    }
    if (creating_.empty()) return;
    response.id = creating_.front();  // a refusal: of the oldest that waits
  }
  const auto it = watches_.find(response.id);
  if (it == watches_.end()) return;
  Watch& watch = it->second;
  const kv::WatchId user_id = watch.request.id;
  if (response.created) {
    if (!creating_.empty() && creating_.front() == it->first) creating_.pop_front();
    if (!response.cancelled) {
      if (watch.announced) return;  // the user knows
      watch.announced = true;
      watch.next = watch.request.start_revision == 0 ? response.revision + 1 : watch.request.start_revision;
      response.id = user_id;
      return push(std::move(response));
    }
    response.id = watch.announced ? user_id : kv::kNoWatch;
    response.created = !watch.announced;
  } else {
    response.id = user_id;
  }
  if (response.cancelled) {
    forget(user_id);
    watches_.erase(it);
    return push(std::move(response));
  }
  while (watch.skip > 0 && !response.events.empty() && response.events.front()->kv.mod_revision == watch.part_of) {
    response.events.erase(response.events.begin());
    --watch.skip;
  }
  if (response.fragment) {
    if (response.events.empty()) return;
    const kv::Revision last = response.events.back()->kv.mod_revision;
    const auto of_last =
        static_cast<size_t>(std::count_if(response.events.begin(), response.events.end(),
                                          [&](const auto& event) { return event->kv.mod_revision == last; }));
    watch.part_given = (last == watch.part_of ? watch.part_given : 0) + of_last;
    watch.part_of = last;
    watch.skip = 0;
  } else {
    watch.next = std::max(watch.next, response.revision + 1);
    watch.part_of = 0;
    watch.part_given = watch.skip = 0;
  }
  push(std::move(response));
}

void ClientWatches::grant() {
  if (failed()) return;
  if (const int64_t bytes = credit_.give(queued_bytes()); bytes > 0) {
    core_.stream_send(MessageKind::kCredit, id_, number(bytes));
  }
}

void ClientWatches::end(const CallError& error) { fail(error); }

void ClientWatches::discard() { clear(); }

// --- Snapshots ---

ClientSnapshot::ClientSnapshot(ClientCore& core)
    : ClientStream(kSnapshotWindow), PullStream(core.loop(), core.weak_from_this()), core_(core) {}

void ClientSnapshot::open() {
  if (opened_) return lost("the client went to another member");
  opened_ = true;
  core_.stream_send(MessageKind::kSnapshotOpen, id_, kNothing);
  grant();
}

void ClientSnapshot::lost(const std::string& why) {
  if (finished_) return;
  CallError error;
  error.code = Code::kUnavailable;
  error.message = "the snapshot broke off: " + why + "; take it again";
  end(error);
}

bool ClientSnapshot::on_message(MessageKind kind, std::string_view body) {
  if (kind == MessageKind::kStreamEnded) {
    auto error = parse<CallError>(body);
    if (error.ok()) end(*error);
    return error.ok();
  }
  if (kind != MessageKind::kSnapshotBytes) return false;
  auto piece = parse<SnapshotBody>(body);
  if (!piece.ok()) return false;
  total_bytes = piece->total;
  finished_ = piece->bytes.empty();
  credit_.spend(piece->bytes.size());
  queued_bytes_ += piece->bytes.size();
  queue_.push_back(std::move(piece->bytes));
  deliver();
  return true;
}

// The empty piece that is the end is an answer by itself.
std::string ClientSnapshot::take(size_t max_bytes) {
  std::string bytes = std::move(queue_.front());
  queue_.pop_front();
  while (!bytes.empty() && !queue_.empty() && !queue_.front().empty() &&
         bytes.size() + queue_.front().size() <= max_bytes) {
    bytes += queue_.front();
    queue_.pop_front();
  }
  queued_bytes_ -= bytes.size();
  grant();
  return bytes;
}

void ClientSnapshot::grant() {
  if (over()) return;
  if (const int64_t bytes = credit_.give(queued_bytes_); bytes > 0) {
    core_.stream_send(MessageKind::kCredit, id_, number(bytes));
  }
}

void ClientSnapshot::end(const CallError& error) { fail(error); }

void ClientSnapshot::discard() {
  queue_.clear();
  queued_bytes_ = 0;
}

}  // namespace clew::control
