#include "control/watch_quorum.h"

#include <algorithm>
#include <utility>

#include "control/messages.h"
#include "control/reply_quorum.h"
#include "control/voices.h"

namespace clew::control {
namespace {

constexpr kv::WatchId kAtMember = 1;  // a stream of a member has one watch
constexpr int64_t kLookTimeout = 5'000'000'000;

bool same(const std::vector<std::shared_ptr<const kv::Event>>& a,
          const std::vector<std::shared_ptr<const kv::Event>>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return *x == *y; });
}

}  // namespace

WatchQuorum::WatchQuorum(env::Loop& loop, const std::shared_ptr<ReplyQuorum>& members, kv::Space space,
                         uint64_t window_bytes)
    : WatchQueue(loop, {}),
      loop_(loop),
      members_(members),
      quorum_(members->quorum()),
      space_(space),
      window_bytes_(window_bytes) {}

// --- What the user asks for ---

void WatchQuorum::create(kv::WatchRequest request) {
  if (failed()) return;
  const auto number = name(request);
  if (!number) return;
  watches_[*number].request = std::move(request);
  look(*number);
}

void WatchQuorum::cancel(kv::WatchId id) {
  const auto number = named(id);
  if (failed() || !number) return;
  kv::WatchResponse response;
  response.id = id;
  response.cancelled = true;
  response.revision = watches_.at(*number).floor;
  watches_.erase(*number);
  forget(id);
  push(std::move(response));
  answer_progress();
}

void WatchQuorum::request_progress() {
  if (failed()) return;
  progress_wanted_ = true;
  for (auto& [number, watch] : watches_) {
    for (Feed& feed : watch.feeds) {
      feed.progressed = false;
      if (feed.stream != nullptr) feed.stream->request_progress();
    }
  }
  answer_progress();
}

void WatchQuorum::end(const CallError& error) {
  watches_.clear();
  fail(error);
}

void WatchQuorum::discard() {
  clear();
  end({Code::kCancelled, "the stream was closed", false, {}, {}});
}

// --- The members ---

WatchQuorum::Watch* WatchQuorum::find(Number number) {
  const auto found = watches_.find(number);
  return found == watches_.end() ? nullptr : &found->second;
}

void WatchQuorum::look(Number number) {
  const auto members = members_.lock();
  if (members == nullptr || find(number) == nullptr) return;
  kv::RangeRequest range;  // of no matter which key
  range.key = std::string(1, '\0');
  range.keys_only = true;
  CallOptions options;
  options.timeout_ns = kLookTimeout;
  members->execute(space_, std::move(range), options,
                   [weak = weak(), number](std::variant<CallReply, CallError> answer) {
                     const auto self = weak.lock();
                     Watch* const asked = self == nullptr ? nullptr : self->find(number);
                     if (asked == nullptr) return;
                     if (const auto* error = std::get_if<CallError>(&answer)) {
                       if (!passing(*error)) return self->end(*error);
                       self->loop_.after(kAgain, [weak, number] {
                         if (const auto later = weak.lock()) later->look(number);
                       });
                       return;
                     }
                     const auto& response = std::get<CallReply>(answer).response;
                     if (const auto* found = std::get_if<kv::RangeResponse>(&response)) {
                       self->start(number, *asked, found->revision);
                     }
                   });
}

void WatchQuorum::start(Number number, Watch& watch, kv::Revision present) {
  watch.present = present;
  seen_ = std::max(seen_, present);
  watch.floor = watch.told = watch.request.start_revision == 0 ? present : watch.request.start_revision - 1;
  const auto members = members_.lock();
  if (members == nullptr) return;
  watch.feeds.resize(members->voters().size());
  for (size_t voter = 0; voter < watch.feeds.size(); ++voter) open(number, voter);
}

void WatchQuorum::open(Number number, size_t voter) {
  Watch* const watch = find(number);
  const auto members = members_.lock();
  if (watch == nullptr || members == nullptr) return;
  Feed& feed = watch->feeds[voter];
  feed.stream = members->voters()[voter].service->watch(space_);
  feed.life = ++last_life_;
  feed.asked = feed.progressed = false;
  feed.over.reset();
  feed.changes.clear();
  feed.bytes = 0;
  feed.last = watch->floor;
  feed.given = std::min(feed.given, watch->floor);
  kv::WatchRequest request = watch->request;
  request.id = kAtMember;
  request.start_revision = watch->floor + 1;
  request.resumes = request.start_revision > watch->request.start_revision;
  request.fragment = false;
  feed.stream->create(std::move(request));
  if (progress_wanted_) feed.stream->request_progress();
  pull(number, *watch);
}

void WatchQuorum::open_later(Number number, size_t voter) {
  loop_.after(kAgain, [weak = weak(), number, voter] {
    const auto self = weak.lock();
    const Watch* const watch = self == nullptr ? nullptr : self->find(number);
    if (watch != nullptr && watch->feeds[voter].stream == nullptr) self->open(number, voter);
  });
}

void WatchQuorum::close(Feed& feed) {
  feed.stream.reset();
  feed.life = 0;
}

void WatchQuorum::pull(Number number, Watch& watch) {
  for (size_t voter = 0; voter < watch.feeds.size(); ++voter) {
    Feed& feed = watch.feeds[voter];
    if (feed.stream == nullptr || feed.asked || feed.bytes >= window_bytes_) continue;
    feed.asked = true;
    feed.stream->next(window_bytes_ - feed.bytes, [weak = weak(), number, voter, life = feed.life](
                                                      std::variant<std::vector<kv::WatchResponse>, CallError> said) {
      if (const auto self = weak.lock()) self->heard(number, voter, life, std::move(said));
    });
  }
}

void WatchQuorum::heard(Number number, size_t voter, uint64_t life,
                        std::variant<std::vector<kv::WatchResponse>, CallError> said) {
  Watch* const watch = find(number);
  const auto members = members_.lock();
  if (watch == nullptr || members == nullptr || watch->feeds[voter].life != life) return;
  Feed& feed = watch->feeds[voter];
  feed.asked = false;
  feed.member = members->voters()[voter].member();
  if (const auto* error = std::get_if<CallError>(&said)) {
    ended(number, voter, error->message, passing(*error));
    return judge(number);
  }
  for (kv::WatchResponse& response : std::get<0>(said)) {
    if (take(feed, response)) continue;
    ended(number, voter, "its changes are in no order", false);
    break;
  }
  judge(number);
}

bool WatchQuorum::take(Feed& feed, kv::WatchResponse& response) {
  if (response.fragment) return false;  // nobody asked for pieces
  if (feed.over) return true;           // a stream without a watch is as far as anybody, and says so
  if (response.cancelled) {
    feed.over = std::move(response);
    return true;
  }
  if (response.created) {
    feed.created = true;
    feed.fruitless = 0;
    return true;
  }
  feed.progressed |= response.id == kv::kNoWatch;
  for (auto& event : response.events) {
    const kv::Revision revision = event->kv.mod_revision;
    if (feed.changes.empty() || feed.changes.back().revision != revision) {
      if (revision <= feed.last || revision <= feed.given) return false;
      feed.changes.push_back({revision, {}, 0});
      feed.last = revision;
    }
    Change& change = feed.changes.back();
    const size_t bytes = weight(*event);
    change.bytes += bytes;
    feed.bytes += bytes;
    change.events.push_back(std::move(event));
  }
  if (response.revision < feed.last && !response.events.empty()) return false;
  feed.given = std::max(feed.given, response.revision);
  return true;
}

void WatchQuorum::ended(Number number, size_t voter, std::string why, bool again) {
  Watch& watch = watches_.at(number);
  Feed& feed = watch.feeds[voter];
  feed.said = std::move(why);
  close(feed);
  feed.given_up = !again || ++feed.fruitless >= kMaxFruitless;
  if (!feed.given_up) return open_later(number, voter);
  const auto left = std::count_if(watch.feeds.begin(), watch.feeds.end(), [](const Feed& f) { return !f.given_up; });
  const auto members = members_.lock();
  if (static_cast<size_t>(left) >= quorum_ || members == nullptr) return;
  CallError error;
  error.code = Code::kUnavailable;
  error.message = "too few members give this watch:";
  for (size_t i = 0; i < watch.feeds.size(); ++i) {
    if (watch.feeds[i].given_up) error.message += " " + members->voters()[i].name + ": " + watch.feeds[i].said + ";";
  }
  error.message.pop_back();
  end(error);
}

// --- What they agree on ---

void WatchQuorum::judge(Number number) {
  for (;;) {
    Watch* const watch = find(number);
    if (watch == nullptr || watch->feeds.empty()) return;
    forget_passed(*watch);
    if (!watch->announced &&
        voices(watch->feeds, [](const Feed& feed) { return feed.created && !feed.over; }) >= quorum_) {
      watch->announced = true;
      kv::WatchResponse response;
      response.id = watch->request.id;
      response.created = true;
      response.revision = watch->present;
      push(std::move(response));
    }
    if (watch->announced && queued_bytes() < window_bytes_ && (hand_out_change(*watch) || raise_floor(*watch)))
      continue;
    if (finish(number, *watch)) break;
    if (watch->request.progress_notify && watch->announced && watch->floor > watch->told) {
      watch->told = watch->floor;
      kv::WatchResponse response;
      response.id = watch->request.id;
      response.revision = watch->floor;
      push(std::move(response));
    }
    pull(number, *watch);
    break;
  }
  answer_progress();
}

void WatchQuorum::forget_passed(Watch& watch) {
  for (Feed& feed : watch.feeds) {
    while (!feed.changes.empty() && feed.changes.front().revision <= watch.floor) {
      feed.bytes -= feed.changes.front().bytes;
      feed.changes.pop_front();
    }
  }
}

bool WatchQuorum::hand_out_change(Watch& watch) {
  const auto first_is = [](const Feed& feed, const Change& change) {
    return !feed.changes.empty() && feed.changes.front().revision == change.revision &&
           same(feed.changes.front().events, change.events);
  };
  for (const Feed& candidate : watch.feeds) {
    if (candidate.changes.empty()) continue;
    const Change& change = candidate.changes.front();
    if (voices(watch.feeds, [&](const Feed& feed) { return first_is(feed, change); }) < quorum_) continue;
    const bool denied = std::any_of(watch.feeds.begin(), watch.feeds.end(), [&](const Feed& feed) {
      const bool passed = feed.given >= change.revision || !feed.changes.empty();
      return passed && !first_is(feed, change);
    });
    if (const auto members = members_.lock()) members->note_verified(denied);
    watch.floor = watch.told = change.revision;
    seen_ = std::max(seen_, watch.floor);
    kv::WatchResponse response;
    response.id = watch.request.id;
    response.revision = change.revision;
    response.events = change.events;
    push(std::move(response));
    return true;
  }
  return false;
}

// To the highest revision up to which f + 1 members say that nothing happens.
bool WatchQuorum::raise_floor(Watch& watch) {
  std::map<consensus::NodeId, kv::Revision> quiet;  // by member: what it says, wherever it answers
  for (const Feed& feed : watch.feeds) {
    if (feed.member == consensus::kNobody || !feed.created) continue;
    const kv::Revision upto = feed.changes.empty() ? feed.given : feed.changes.front().revision - 1;
    quiet[feed.member] = std::max(quiet[feed.member], std::min(upto, feed.given));
  }
  if (quiet.size() < quorum_) return false;
  std::vector<kv::Revision> revisions;
  revisions.reserve(quiet.size());
  for (const auto& [member, upto] : quiet) revisions.push_back(upto);
  std::sort(revisions.rbegin(), revisions.rend());
  if (revisions[quorum_ - 1] <= watch.floor) return false;
  watch.floor = revisions[quorum_ - 1];
  seen_ = std::max(seen_, watch.floor);
  return true;
}

// True: the watch is gone.
bool WatchQuorum::finish(Number number, Watch& watch) {
  const auto compacted = [&](const Feed& feed) { return feed.over && feed.over->compact_revision > watch.floor; };
  const auto refused = [&](const Feed& feed) { return feed.over && feed.over->compact_revision == 0; };
  const bool lost = voices(watch.feeds, compacted) >= quorum_;
  if (!lost && voices(watch.feeds, refused) < quorum_) {
    for (size_t voter = 0; voter < watch.feeds.size(); ++voter) {
      Feed& feed = watch.feeds[voter];
      if (!feed.over || feed.stream == nullptr) continue;
      // Its own affair so far: it goes on from where the watch stands by then, and what it said is kept until then.
      close(feed);
      open_later(number, voter);
    }
    return false;
  }
  kv::WatchResponse response;
  response.cancelled = true;
  response.id = watch.announced ? watch.request.id : kv::kNoWatch;
  response.created = !watch.announced;
  response.revision = watch.floor;
  for (const Feed& feed : watch.feeds) {
    if (!(lost ? compacted(feed) : refused(feed))) continue;
    const bool lowest = response.compact_revision == 0 || feed.over->compact_revision < response.compact_revision;
    if (lowest) response.compact_revision = feed.over->compact_revision;
    response.cancel_reason = feed.over->cancel_reason;
  }
  if (lost && !watch.announced) {  // as members have it: a watch is made, and then told that it begins too early
    kv::WatchResponse created;
    created.id = response.id = watch.request.id;
    created.created = true;
    created.revision = watch.present;
    response.created = false;
    push(std::move(created));
  }
  forget(watch.request.id);
  watches_.erase(number);
  push(std::move(response));
  return true;
}

void WatchQuorum::answer_progress() {
  if (!progress_wanted_) return;
  kv::Revision upto = seen_;
  for (const auto& entry : watches_) {
    const Watch& watch = entry.second;
    const auto told = [&](const Feed& feed) { return feed.progressed && feed.given <= watch.floor; };
    if (!watch.announced || voices(watch.feeds, told) < quorum_) return;
    upto = std::min(upto, watch.floor);
  }
  progress_wanted_ = false;
  kv::WatchResponse response;
  response.revision = upto;
  push(std::move(response));
}

// There may be room for what was held back.
void WatchQuorum::taken() {
  std::vector<Number> numbers;
  numbers.reserve(watches_.size());
  for (const auto& [number, watch] : watches_) numbers.push_back(number);
  for (const Number number : numbers) judge(number);
}

}  // namespace clew::control
