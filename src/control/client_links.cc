// Connections of a client: one that is in use, at most one that is being made, and old ones with answers still due.
#include <algorithm>

#include "consensus/planted.h"
#include "control/client_core.h"
#include "control/client_streams.h"

namespace clew::control {
namespace {

constexpr int64_t kFirstBackoff = 20'000'000;
constexpr size_t kMaxRedirects = 4;
constexpr int64_t kPingAfter = 5'000'000'000;
// How long a leader that does not answer is given, before the member that names it is asked to forward: by then there
// is another leader, or this one cannot be reached from here.
constexpr int64_t kSuspicion = 2'000'000'000;
// How long a member that knows no leader is stayed with, at first: most elections take less.
constexpr int64_t kLeaderless = 500'000'000;

std::string words_for(Refusal refusal) {
  switch (refusal) {
    case Refusal::kToken:
      return "the token was refused, or none was given: pass the cluster's token";
    case Refusal::kCluster:
      return "it belongs to another cluster; check the address";
    case Refusal::kVersion:
      return "it speaks no version of the client protocol that this program knows; upgrade one of the two";
    case Refusal::kStopping:
      return "it is stopping";
    case Refusal::kTooMany:
      return "it has as many connections as it may have";
    default:
      return "it refused the connection: " + std::string(refusal_name(refusal));
  }
}

}  // namespace

ClientCore::Link* ClientCore::active() {
  const auto it = links_.find(active_);
  return it == links_.end() ? nullptr : it->second.get();
}

consensus::NodeId ClientCore::connected_to() const {
  const auto it = links_.find(active_);
  return it == links_.end() ? consensus::kNobody : it->second->node;
}

// --- Making one ---

void ClientCore::connect_next() {
  if (closed_ || attempt_ != 0 || connect_timer_ != 0) return;
  const size_t addresses = options_.addresses.size();
  const auto go = [this] {
    connect_timer_ = 0;
    if (attempt_ == 0) connect_to(options_.addresses[cursor_++ % options_.addresses.size()], consensus::kNobody);
  };
  if (failures_ < addresses) return go();
  const size_t rounds = std::min<size_t>(failures_ / addresses - 1, 20);
  const int64_t backoff = std::min(kFirstBackoff << rounds, options_.max_backoff_ns);
  const int64_t delay = backoff / 2 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(backoff)));
  connect_timer_ = loop_.after(delay, go);
}

void ClientCore::connect_to(const std::string& address, consensus::NodeId expected) {
  auto made = std::make_unique<Link>();
  Link& link = *made;
  link.number = attempt_ = ++last_link_;
  link.address = address;
  link.expected = expected;
  link.since_ns = link.heard_ns = link.written_ns = loop_.clock().mono_ns();
  attempt_is_leader_ = expected != consensus::kNobody;
  links_.emplace(link.number, std::move(made));
  arm();
  network_.connect(loop_, address, [weak = weak_from_this(), number = link.number](auto stream) {
    const auto self = weak.lock();
    if (self == nullptr || self->closed_) return;
    const auto it = self->links_.find(number);
    if (it != self->links_.end()) self->connected(*it->second, std::move(stream));
  });
}

void ClientCore::connected(Link& link, Result<std::unique_ptr<env::Stream>> stream) {
  if (!stream.ok()) return attempt_failed(link, stream.error().message);
  const std::string identity = (*stream)->peer_identity();
  // Users have certificates of the same authority: theirs must not pass for a member's.
  const bool member = link.expected == consensus::kNobody
                          ? identity.starts_with("node-")
                          : identity == "node-" + std::to_string(consensus::number(link.expected));
  if (!identity.empty() && !member) return attempt_failed(link, "its certificate is of \"" + identity + "\"");
  link.stream = std::move(stream).value();
  link.state = Link::State::kGreeting;
  const auto guarded = [weak = weak_from_this(), number = link.number](auto then) {
    return [=](auto&&... arguments) {
      const auto self = weak.lock();
      if (self != nullptr && !self->closed_ && self->links_.contains(number)) then(*self, number, arguments...);
    };
  };
  link.stream->start(
      {.on_bytes = guarded([](ClientCore& c, uint64_t n, std::string_view bytes) { c.on_bytes(n, bytes); }),
       .on_closed = guarded([](ClientCore& c, uint64_t n, const Status& status) {
         c.lost(n, status.ok() ? "" : std::string(status.message()), false);
       }),
       .on_writable = {}});
  Hello hello;
  hello.cluster = cluster_;
  hello.token = options_.token;
  std::string frame;
  consensus::append_frame(frame, encode(hello));
  link.stream->write(std::move(frame));
}

void ClientCore::attempt_failed(Link& link, const std::string& problem) {
  ++stats.connect_failures;
  ++failures_;
  problem_ = "no member answers; " + link.address + ": " + problem;
  if (attempt_is_leader_) suspects_[link.address] = loop_.clock().mono_ns();
  attempt_ = 0;
  attempt_is_leader_ = false;
  drop(link.number);
  for (const uint64_t id : std::exchange(held_, {})) retry_later(id);
  if (active() != nullptr) {
    if (elsewhere_) connect_next();
    return dispatch();
  }
  if (options_.fail_fast && failures_ >= options_.addresses.size()) fail_waiting(Code::kUnavailable, problem_);
  if (!closed_ && (live_calls_ > 0 || !streams_.empty())) connect_next();
}

void ClientCore::welcomed(Link& link, const Welcome& welcome) {
  if (!welcome.welcome) {
    const std::string why = words_for(welcome.refusal);
    const bool for_good = welcome.refusal == Refusal::kToken || welcome.refusal == Refusal::kVersion;
    const std::string address = link.address;
    attempt_failed(link, why);
    if (for_good && active() == nullptr) fail_waiting(Code::kUnauthenticated, address + ": " + why);
    return;
  }
  if (cluster_ != 0 && welcome.cluster != 0 && welcome.cluster != cluster_) {
    return attempt_failed(link, words_for(Refusal::kCluster));
  }
  if (link.expected != consensus::kNobody && link.expected != welcome.node) {
    return attempt_failed(link, "another member than the leader answers there");
  }
  ++stats.connects;
  if (link.expected != consensus::kNobody) ++stats.redirects;
  if (cluster_ == 0) cluster_ = welcome.cluster;
  failures_ = 0;
  attempt_ = 0;
  elsewhere_ = false;
  attempt_is_leader_ = false;
  suspects_.erase(link.address);
  link.node = welcome.node;
  link.byzantine = welcome.byzantine;
  link.max_in_flight = std::max<size_t>(welcome.max_in_flight, 1);
  link.state = Link::State::kReady;
  link.reader.set_max_bytes(kMaxReplyFrameBytes);
  // The old one stays until what was asked there is answered; streams move.
  if (Link* old = active(); old != nullptr) {
    for (const auto& [id, stream] : streams_) {
      old->batch.begin(MessageKind::kCloseStream, id);
      old->batch.end();
    }
    flush_later(*old);
    old->retiring = true;
    if (old->outstanding == 0) drop(old->number);
  }
  active_ = link.number;
  stream_parts_.clear();
  for (const auto& [id, stream] : streams_) open_stream(*stream, link);
  std::vector<uint64_t> held = std::exchange(held_, {});
  waiting_.insert(waiting_.begin(), held.begin(), held.end());
  dispatch();
}

// `id` was refused, without effect, by a member that names the leader.
void ClientCore::follow(consensus::NodeId leader, const std::string& address, uint64_t id) {
  if (attempt_is_leader_) {
    held_.push_back(id);
    return;
  }
  const auto suspect = suspects_.find(address);
  if (suspect != suspects_.end()) {
    if (loop_.clock().mono_ns() - suspect->second > kSuspicion) {
      if (Link* link = active(); link != nullptr) link->forwarding = true;
    }
    return retry_later(id);
  }
  if (Link* link = active(); link != nullptr && link->node == leader) return retry_later(id);  // we are there already
  if (++redirects_in_a_row_ > kMaxRedirects) {  // two that name each other
    redirects_in_a_row_ = 0;
    return retry_later(id);
  }
  held_.push_back(id);
  if (attempt_ != 0) drop(std::exchange(attempt_, 0));
  if (connect_timer_ != 0) loop_.cancel(std::exchange(connect_timer_, 0));
  connect_to(address, leader);
}

// The member may be cut off from the others, who have a leader: ours is not to wait with it.
void ClientCore::no_leader_here() {
  const int64_t now = loop_.clock().mono_ns();
  if (leaderless_since_ns_ == 0) leaderless_since_ns_ = now;
  const int64_t patience = kLeaderless << std::min<size_t>(leaderless_moves_ / options_.addresses.size(), 4);
  if (options_.addresses.size() == 1 || now - leaderless_since_ns_ < patience) return;
  leaderless_since_ns_ = 0;
  ++leaderless_moves_;
  elsewhere();
}

void ClientCore::elsewhere() {
  const Link* const link = active();
  if (link == nullptr) return;
  elsewhere_ = true;
  if (attempt_ != 0) return;  // perhaps it leads there already; should it fail, another one follows
  if (options_.addresses[cursor_ % options_.addresses.size()] == link->address) ++cursor_;
  failures_ = std::max(failures_, options_.addresses.size());  // with a pause
  connect_next();
}

// --- Using one ---

void ClientCore::on_bytes(uint64_t number, std::string_view bytes) {
  Link* link = links_.find(number)->second.get();
  link->heard_ns = loop_.clock().mono_ns();
  link->reader.feed(bytes);
  for (std::string_view body;;) {
    switch (link->reader.next(&body)) {
      case consensus::FrameReader::Step::kMore:
        return dispatch();  // answers made room
      case consensus::FrameReader::Step::kTooLong:
      case consensus::FrameReader::Step::kChecksum:
        return lost(number, "what came is damaged, or not the client protocol", false);
      case consensus::FrameReader::Step::kFrame:
        break;
    }
    if (link->state == Link::State::kGreeting) {
      const auto welcome = parse_welcome(body);
      if (!welcome.ok()) return lost(number, "it does not speak the client protocol; is it the right port?", false);
      welcomed(*link, *welcome);
    } else {
      MessageReader messages(body);
      for (Message message; messages.next(message);) {
        on_message(*link, message);
        const auto it = links_.find(number);  // an answer may end the connection, or the client
        if (closed_ || it == links_.end()) return;
      }
      if (messages.malformed()) return lost(number, "a malformed message came", false);
    }
    const auto it = links_.find(number);
    if (closed_ || it == links_.end()) return;
  }
}

void ClientCore::on_message(Link& link, const Message& message) {
  const uint64_t number = link.number;
  if (message.kind == MessageKind::kLeaving) {
    if (number == active_) elsewhere();
    return;
  }
  if ((message.id & kStreamBit) != 0) {
    const auto it = streams_.find(message.id);
    if (it == streams_.end() || number != active_) return;
    const std::shared_ptr<ClientStream> stream = it->second;
    if (stream->over()) return;
    if (message.kind != MessageKind::kStreamEnded && !stream->may_send()) return overrun(message.id, *stream, link);
    std::string& parts = stream_parts_[message.id];
    if (message.kind == MessageKind::kPart) {
      parts += message.body;
      if (parts.size() > options_.max_answer_bytes) lost(number, "an answer is too long", false);
      return;
    }
    std::string whole = std::move(parts);
    stream_parts_.erase(message.id);
    if (message.kind == MessageKind::kStreamEnded) whole.clear();
    if (!whole.empty()) whole += message.body;
    const bool understood = stream->on_message(message.kind, whole.empty() ? message.body : whole);
    if (!understood && !closed_ && links_.contains(number)) lost(number, "a malformed message came", false);
    return;
  }
  Call* const call = find(message.id);
  if (call == nullptr || call->link != number) return;  // given up meanwhile
  switch (message.kind) {
    case MessageKind::kPart:
      call->parts += message.body;
      if (call->parts.size() > options_.max_answer_bytes) {
        CallError error;
        error.code = Code::kResourceExhausted;
        error.message = "the answer is longer than this client takes; ask for less, or with a limit";
        error.uncertain = true;
        fail(message.id, std::move(error));
      }
      return;
    case MessageKind::kReply:
      redirects_in_a_row_ = 0;
      if (call->ask.leader) {
        leaderless_since_ns_ = 0;
        leaderless_moves_ = 0;
      }
      return finish(message.id, message.body);
    case MessageKind::kError: {
      auto error = parse<CallError>(message.body);
      if (!error.ok() || error->code == Code::kOk) return lost(number, "a malformed message came", false);
      return on_call_error(message.id, std::move(*error));
    }
    default:
      return lost(number, "an answer of an unknown kind came", false);
  }
}

// It would fill the memory of a client that it may lie to. The connection stays: what else it answers may be of use.
void ClientCore::overrun(uint64_t id, ClientStream& stream, const Link& link) {
  CallError error;
  error.code = Code::kDataLoss;
  error.message = "the member at " + link.address +
                  " sent more on this stream than it was granted; it does not keep to " + "the protocol, or lies";
  stream_parts_.erase(id);
  stream.end(error);
  stream_send(MessageKind::kCloseStream, id, [](std::string&) {});
}

void ClientCore::flush_later(Link& link) {
  if (std::exchange(link.unflushed, true)) return;
  unflushed_.push_back(link.number);
  if (std::exchange(flush_posted_, true)) return;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr && !self->closed_) self->flush();
  });
}

void ClientCore::flush() {
  flush_posted_ = false;
  for (const uint64_t number : std::exchange(unflushed_, {})) {
    const auto it = links_.find(number);
    if (it == links_.end()) continue;
    Link& link = *it->second;
    link.unflushed = false;
    if (link.stream == nullptr || link.batch.empty()) continue;
    ++stats.writes;
    link.written_ns = loop_.clock().mono_ns();
    link.stream->write(link.batch.take());
  }
}

// --- Losing one ---

void ClientCore::lost(uint64_t number, const std::string& why, bool silent) {
  const auto it = links_.find(number);
  if (it == links_.end()) return;
  Link& link = *it->second;
  if (link.state != Link::State::kReady) {
    // A port with TLS ends what is no TLS without a word.
    return attempt_failed(link, why.empty() ? "it closes the connection; does it want TLS (certificates)?" : why);
  }
  ++stats.losses;
  const std::string address = link.address;
  const bool was_active = number == active_;
  problem_ = "the connection to " + address + " was lost: " + (why.empty() ? "it was closed" : why);
  if (silent) suspects_[address] = loop_.clock().mono_ns();
  if (was_active) {
    active_ = 0;
    elsewhere_ = false;
    const auto at = std::find(options_.addresses.begin(), options_.addresses.end(), address);
    if (at != options_.addresses.end()) cursor_ = static_cast<size_t>(at - options_.addresses.begin()) + 1;
  }
  drop(number);
  std::vector<uint64_t> failed;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    Call& call = slots_[slot];
    if (!call.live || call.link != number) continue;
    call.link = 0;
    call.parts.clear();
    if (!call.ask.repeatable || !call.ask.follow) {
      failed.push_back(id_of(call, slot));
    } else {
      if (!call.ask.read) call.uncertain = true;
      waiting_.push_back(id_of(call, slot));
    }
  }
  if (was_active) {
    stream_parts_.clear();
    const auto streams = streams_;  // one may end, and be removed
    for (const auto& [id, stream] : streams) stream->lost(problem_);
  }
  for (const uint64_t id : failed) {
    CallError error;
    error.code = Code::kUnavailable;
    error.message = problem_;
    error.uncertain = !consensus::planted(consensus::Bug::kLostAnswerIsCertain);
    fail(id, std::move(error));
  }
  if (!closed_ && active() == nullptr && (live_calls_ > 0 || !streams_.empty())) connect_next();
}

void ClientCore::drop(uint64_t number) {
  const auto it = links_.find(number);
  if (it == links_.end()) return;
  const std::unique_ptr<Link> dropped = std::move(it->second);
  links_.erase(it);
}

void ClientCore::check_links(int64_t now) {
  std::vector<uint64_t> silent;
  for (const auto& [number, link] : links_) {
    const int64_t waited = now - std::max(link->since_ns, link->heard_ns);
    if (link->state != Link::State::kReady) {
      if (now - link->since_ns > options_.connect_timeout_ns) silent.push_back(number);
    } else if (waited > (link->outstanding > 0 ? options_.silence_limit_ns : options_.idle_silence_limit_ns)) {
      silent.push_back(number);
    } else if (now - link->written_ns > kPingAfter && link->stream->pending_bytes() == 0) {
      link->written_ns = now;
      std::string life;
      consensus::append_frame(life, {});
      link->stream->write(std::move(life));
    }
  }
  for (const uint64_t number : silent) lost(number, "it says nothing", true);
}

}  // namespace clew::control
