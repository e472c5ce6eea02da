#include "control/client_core.h"

#include <algorithm>

#include "control/client_streams.h"
#include "kv/validate.h"

namespace clew::control {
namespace {

constexpr int64_t kFastTick = 25'000'000;
constexpr int64_t kSlowTick = 250'000'000;
constexpr int64_t kRetryAfter = 25'000'000;
// The member counts the time, too, and knows better than we do what became of the request: its word is waited for.
constexpr int64_t kGrace = 100'000'000;

}  // namespace

ClientCore::ClientCore(env::Loop& loop, env::Network& network, uint64_t seed, ClientOptions options)
    : loop_(loop), network_(network), random_(seed), options_(std::move(options)), cluster_(options_.cluster) {
  CHECK(!options_.addresses.empty());
  CHECK(options_.max_outstanding < (1u << kSlotBits));
}

ClientCore::Call* ClientCore::find(uint64_t id) {
  const size_t slot = id & ((1u << kSlotBits) - 1);
  if (slot >= slots_.size()) return nullptr;
  Call& call = slots_[slot];
  return call.live && id_of(call, slot) == id ? &call : nullptr;
}

void ClientCore::call(Ask ask, Answer done) {
  // A frame that is too long ends the connection, and what others wait for on it.
  if (ask.body.size() > kMaxRequestFrameBytes - kFullFrameBytes) {
    CallError error;
    error.code = kv::errors::request_too_large().code;
    error.message = kv::errors::request_too_large().message;
    loop_.post([done = std::move(done), error = std::move(error)]() mutable { done(std::move(error)); });
    return;
  }
  if (closed_ || live_calls_ >= options_.max_outstanding) {
    CallError error;
    error.code = closed_ ? Code::kUnavailable : Code::kResourceExhausted;
    error.message = closed_ ? "the client was closed" : "too many requests are under way; wait for answers";
    loop_.post([done = std::move(done), error = std::move(error)]() mutable { done(std::move(error)); });
    return;
  }
  if (free_slots_.empty()) {
    free_slots_.push_back(slots_.size());
    slots_.emplace_back();
  }
  const size_t slot = free_slots_.back();
  free_slots_.pop_back();
  Call& call = slots_[slot];
  ++call.generation;
  call.live = true;
  call.deadline_ns = loop_.clock().mono_ns() + std::min<int64_t>(ask.timeout_ns, INT64_MAX / 4) + kGrace;
  call.ask = std::move(ask);
  call.done = std::move(done);
  call.link = 0;
  call.uncertain = call.sent = false;
  ++live_calls_;
  waiting_.push_back(id_of(call, slot));
  arm();
  dispatch();
}

void ClientCore::dispatch() {
  Link* const link = active();
  if (link == nullptr) return connect_next();
  while (!waiting_.empty() && link->outstanding < link->max_in_flight) {
    const uint64_t id = waiting_.front();
    waiting_.pop_front();
    Call* const call = find(id);
    if (call == nullptr) continue;
    if (call->ask.leader && call->ask.follow && attempt_is_leader_) {
      held_.push_back(id);
    } else {
      send(id, *call, *link);
    }
  }
}

CallError ClientCore::too_few_to_tell() const {
  CallError error;
  error.code = Code::kFailedPrecondition;
  error.message = "members of this group may lie (it runs PBFT), and this client was given " +
                  std::to_string(options_.addresses.size()) +
                  " of their addresses, too few to tell: name all members, or trust this gateway (--trust-gateway)";
  return error;
}

void ClientCore::send(uint64_t id, Call& call, Link& link) {
  if (call.ask.vouched && link.byzantine && !options_.trust_gateway) {
    return loop_.post([weak = weak_from_this(), id, error = too_few_to_tell()]() mutable {
      if (const auto self = weak.lock(); self != nullptr) self->fail(id, std::move(error));
    });
  }
  // Asked without forwarding first: who cannot do it names the leader, and the next ones go there directly.
  if (call.ask.leader && call.ask.follow) set_forward(call.ask.body, link.forwarding);
  link.batch.begin(call.ask.kind, id).append(call.ask.body);
  link.batch.end();
  if (std::exchange(call.sent, true)) ++stats.retries;
  call.link = link.number;
  // Silence is counted from the first request that nothing followed, also when that was given up meanwhile: timeouts
  // may be shorter than the silence that tells a dead member.
  if (link.outstanding++ == 0 && link.heard_ns >= link.since_ns) link.since_ns = loop_.clock().mono_ns();
  flush_later(link);
}

void ClientCore::detach(Call& call) {
  call.parts.clear();
  release(std::exchange(call.link, 0));
}

void ClientCore::release(uint64_t number) {
  const auto it = links_.find(number);
  if (it == links_.end()) return;
  Link& link = *it->second;
  --link.outstanding;
  if (link.retiring && link.outstanding == 0) drop(link.number);
}

void ClientCore::finish(uint64_t id, std::variant<std::string_view, CallError> result) {
  Call* const call = find(id);
  if (call == nullptr) return;
  Answer done = std::move(call->done);
  std::string parts = std::move(call->parts);
  if (auto* last = std::get_if<std::string_view>(&result); last != nullptr && !parts.empty()) {
    parts += *last;
    *last = parts;
  }
  const uint64_t link = std::exchange(call->link, 0);
  call->parts.clear();
  call->live = false;
  call->ask = Ask();
  --live_calls_;
  free_slots_.push_back(id & ((1u << kSlotBits) - 1));
  done(std::move(result));
  release(link);  // behind `done`, which looks at bytes that the connection holds
}

void ClientCore::fail(uint64_t id, CallError error) {
  const Call* const call = find(id);
  if (call == nullptr) return;
  if (call->ask.read) {
    error.uncertain = false;
  } else if (call->uncertain) {
    error.uncertain = true;
  }
  if (error.uncertain) ++stats.uncertain;
  finish(id, std::move(error));
}

void ClientCore::on_call_error(uint64_t id, CallError error) {
  Call* const call = find(id);
  if (call == nullptr) return;
  if (!call->ask.follow) return fail(id, std::move(error));
  const auto link = links_.find(call->link);
  const consensus::NodeId asked = link == links_.end() ? consensus::kNobody : link->second->node;
  if (!error.uncertain && call->ask.leader && error.leader != consensus::kNobody && error.leader != asked &&
      !error.leader_address.empty()) {
    detach(*call);
    return follow(error.leader, error.leader_address, id);
  }
  const bool try_again =
      !error.session_ended && (error.uncertain ? call->ask.repeatable : error.code == Code::kUnavailable);
  if (!try_again || loop_.clock().mono_ns() + kRetryAfter + kGrace > call->deadline_ns)
    return fail(id, std::move(error));
  if (error.uncertain && !call->ask.read) call->uncertain = true;
  problem_ = error.message;
  const bool leaderless = call->link == active_ && call->ask.leader && error.leader == consensus::kNobody;
  detach(*call);
  retry_later(id);
  if (leaderless) no_leader_here();
}

void ClientCore::retry_later(uint64_t id) {
  refused_.push_back(id);
  if (retry_timer_ != 0) return;
  retry_timer_ = loop_.after(kRetryAfter, [this] {
    retry_timer_ = 0;
    for (const uint64_t again : std::exchange(refused_, {})) waiting_.push_back(again);
    dispatch();
  });
}

void ClientCore::fail_waiting(Code code, const std::string& message) {
  std::vector<uint64_t> ids(waiting_.begin(), waiting_.end());
  waiting_.clear();
  for (const uint64_t id : ids) {
    CallError error;
    error.code = code;
    error.message = message;
    fail(id, std::move(error));
  }
}

void ClientCore::arm() {
  const bool fast = live_calls_ > 0;
  if (closed_ || (tick_timer_ != 0 && (tick_fast_ || !fast))) return;
  if (tick_timer_ != 0) loop_.cancel(tick_timer_);
  tick_fast_ = fast;
  if (ticked_ns_ == 0) ticked_ns_ = loop_.clock().mono_ns();
  tick_timer_ = loop_.after(fast ? kFastTick : kSlowTick, [this] { tick(); });
}

void ClientCore::tick() {
  const auto self = shared_from_this();  // an answer may end the client
  tick_timer_ = 0;
  const int64_t now = loop_.clock().mono_ns();
  // This process was stopped for a while: what came meanwhile waits in the sockets, so nobody was silent.
  if (now - std::exchange(ticked_ns_, now) > 4 * kSlowTick) {
    for (const auto& [number, link] : links_) link->since_ns = link->heard_ns = now;
  }
  for (size_t slot = 0; slot < slots_.size() && !closed_; ++slot) {
    const Call& call = slots_[slot];
    if (!call.live || now < call.deadline_ns) continue;
    CallError error;
    error.uncertain = call.link != 0;
    if (call.link != 0 || call.sent) {
      error.code = Code::kDeadlineExceeded;
      error.message = "no answer in time" + (problem_.empty() ? "" : "; the last that was heard: " + problem_);
    } else {
      error.code = Code::kUnavailable;
      error.message = problem_.empty() ? "no member answers" : problem_;
    }
    fail(id_of(call, slot), std::move(error));
  }
  if (closed_) return;
  check_links(now);
  arm();
}

void ClientCore::close() {
  if (closed_) return;
  flush();
  closed_ = true;
  loop_.cancel(tick_timer_);
  loop_.cancel(retry_timer_);
  loop_.cancel(connect_timer_);
  const auto links = std::exchange(links_, {});
  CallError error;
  error.code = Code::kUnavailable;
  error.message = "the client was closed";
  for (const auto& [id, stream] : std::exchange(streams_, {})) stream->end(error);
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot].live) continue;
    error.uncertain = slots_[slot].link != 0;
    fail(id_of(slots_[slot], slot), error);
  }
}

// --- Streams ---

uint64_t ClientCore::add_stream(std::shared_ptr<ClientStream> stream) {
  const uint64_t id = kStreamBit | ++last_stream_;
  if (closed_) {
    CallError error;
    error.code = Code::kUnavailable;
    error.message = "the client was closed";
    stream->end(error);
    return id;
  }
  ClientStream& added = *stream;
  streams_.emplace(id, std::move(stream));
  added.set_id(id);
  arm();
  if (active() != nullptr) {
    open_stream(added, *active());
  } else {
    connect_next();
  }
  return id;
}

void ClientCore::open_stream(ClientStream& stream, const Link& link) {
  if (stream.vouched() && link.byzantine && !options_.trust_gateway) return stream.end(too_few_to_tell());
  stream.open();
}

void ClientCore::remove_stream(uint64_t id) {
  const auto at = streams_.find(id);
  if (at == streams_.end()) return;
  const std::shared_ptr<ClientStream> stream = at->second;
  streams_.erase(at);
  stream->discard();
  stream->end({Code::kCancelled, "the stream was closed", false, {}, {}});
  stream_parts_.erase(id);
  stream_send(MessageKind::kCloseStream, id, [](std::string&) {});
}

}  // namespace clew::control
