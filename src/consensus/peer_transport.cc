#include "consensus/peer_transport.h"

#include <algorithm>
#include <utility>

namespace clew::consensus {
namespace {

constexpr Time kFirstBackoff = 20 * kMillisecond;
constexpr Time kSweepEvery = 250 * kMillisecond;

}  // namespace

// Life: waiting (timer) → connecting → greeting (challenge, hello, welcome) → ready → lost, and again.
struct PeerTransport::Link {
  Link(NodeId node, std::string at) : peer(node), address(std::move(at)), reader(kMaxHandshakeBytes) {}

  const NodeId peer;
  std::string address;
  bool member = false;  // else a stranger that is answered
  enum class State : uint8_t { kWaiting, kConnecting, kGreeting, kReady } state = State::kWaiting;
  uint64_t attempt = 0;  // tells callbacks of an earlier connection apart
  std::unique_ptr<env::Stream> stream;
  FrameReader reader;
  std::string outbox;
  bool unflushed = false;
  Time since = 0;       // of the attempt
  Time written_at = 0;  // last time that something was handed over
  Time taken_at = 0;    // last time that nothing waited for the system
  Time backoff = 0;
  env::TimerId timer = 0;
  std::string problem;  // of the last attempt that failed
};

struct PeerTransport::Incoming {
  explicit Incoming(uint64_t id) : number(id), reader(kMaxHandshakeBytes) {}

  const uint64_t number;
  std::unique_ptr<env::Stream> stream;
  FrameReader reader;
  uint64_t nonce = 0;
  bool ready = false;
  NodeId from = kNobody;
  Instance instance = kUnknownInstance;
  Time since = 0;
  Time heard_at = 0;
};

Result<std::unique_ptr<PeerTransport>> PeerTransport::open(env::Loop& loop, env::Network& network, env::Random& random,
                                                           PeerTransportOptions options) {
  CHECK(options.self != kNobody);
  std::unique_ptr<PeerTransport> transport(new PeerTransport(loop, network, random.next(), std::move(options)));
  PeerTransport* const self = transport.get();
  CLEW_ASSIGN(transport->listener_,
              network.listen(loop, self->options_.listen, [self, alive = Guard(self->alive_)](auto stream) {
                if (!alive.expired()) self->accepted(std::move(stream));
              }));
  if (self->advertised_.empty()) {
    const std::string& listen = self->options_.listen;
    self->advertised_ = listen.substr(0, listen.rfind(':') + 1) + std::to_string(transport->listener_->port());
  }
  return transport;
}

PeerTransport::PeerTransport(env::Loop& loop, env::Network& network, uint64_t seed, PeerTransportOptions options)
    : loop_(loop), network_(network), options_(std::move(options)), advertised_(options_.advertised), random_(seed) {}

PeerTransport::~PeerTransport() {
  if (sweep_timer_ != 0) loop_.cancel(sweep_timer_);
  for (const auto& [peer, link] : links_) {
    if (link->timer != 0) loop_.cancel(link->timer);
  }
}

void PeerTransport::start(Handler handler) {
  handler_ = std::move(handler);
  started_ = true;
  swept_at_ = now();
  sweep_timer_ = loop_.after(kSweepEvery, [this] { sweep(); });
}

std::string PeerTransport::unreached(NodeId peer) const {
  const auto it = links_.find(peer);
  return it == links_.end() || it->second->state == Link::State::kReady ? std::string() : it->second->problem;
}

bool PeerTransport::connected(NodeId peer) const {
  const auto it = links_.find(peer);
  return it != links_.end() && it->second->state == Link::State::kReady;
}

// --- Sending ---

void PeerTransport::set_peers(const std::vector<Member>& peers) {
  for (const auto& [peer, link] : links_) link->member = false;
  for (const Member& member : peers) {
    if (member.id == options_.self || member.address.empty()) continue;
    link_to(member.id, member.address).member = true;
  }
  for (auto it = links_.begin(); it != links_.end();) {
    Link& link = *it->second;
    if (link.member || heard(link.peer)) {  // a stranger that speaks is answered
      ++it;
      continue;
    }
    forget(link);
    it = links_.erase(it);
  }
}

void PeerTransport::forget(Link& link) {
  if (link.timer != 0) loop_.cancel(link.timer);
  bury(std::move(link.stream));
  std::erase(unflushed_, &link);
}

bool PeerTransport::heard(NodeId peer) const {
  return std::any_of(incoming_.begin(), incoming_.end(),
                     [&](const auto& item) { return item.second->ready && item.second->from == peer; });
}

PeerTransport::Link& PeerTransport::link_to(NodeId peer, const std::string& address) {
  std::unique_ptr<Link>& link = links_[peer];
  if (link == nullptr) {
    link = std::make_unique<Link>(peer, address);
    connect(*link);
  } else if (link->address != address) {
    link->address = address;
    link_lost(*link);
  }
  return *link;
}

void PeerTransport::send(NodeId to, std::string frame) {
  const auto it = links_.find(to);
  if (it == links_.end() || it->second->state != Link::State::kReady) {
    ++stats_.dropped_unconnected;
    return;
  }
  Link& link = *it->second;
  if (frame.size() > options_.max_frame_bytes || frame.empty()) {
    ++stats_.dropped_too_long;
    return;
  }
  if (link.outbox.size() + link.stream->pending_bytes() + frame.size() > options_.max_queued_bytes) {
    ++stats_.dropped_full;
    return;
  }
  ++stats_.frames_sent;
  append_frame(link.outbox, frame);
  if (std::exchange(link.unflushed, true)) return;
  unflushed_.push_back(&link);
  if (std::exchange(flush_posted_, true)) return;
  loop_.post([this, alive = Guard(alive_)] {
    if (alive.expired()) return;
    flush_posted_ = false;
    flush();
  });
}

void PeerTransport::flush() {
  for (Link* const link : std::exchange(unflushed_, {})) {
    link->unflushed = false;
    if (link->state == Link::State::kReady) write(*link);
  }
}

void PeerTransport::write(Link& link) {
  if (link.outbox.empty()) return;
  ++stats_.writes;
  stats_.bytes_sent += link.outbox.size();
  link.written_at = now();
  if (link.stream->pending_bytes() == 0) link.taken_at = link.written_at;
  link.stream->write(std::exchange(link.outbox, {}));
}

void PeerTransport::connect(Link& link) {
  link.state = Link::State::kConnecting;
  link.since = now();
  network_.connect(loop_, link.address,
                   [this, alive = Guard(alive_), peer = link.peer, attempt = ++link.attempt](auto stream) {
                     if (alive.expired()) return;
                     const auto it = links_.find(peer);
                     if (it != links_.end() && it->second->attempt == attempt)
                       connected(*it->second, std::move(stream));
                   });
}

void PeerTransport::connected(Link& link, Result<std::unique_ptr<env::Stream>> stream) {
  if (!stream.ok()) {
    ++stats_.connect_failures;
    link.problem = stream.error().message;
    return link_lost(link);
  }
  link.stream = std::move(stream).value();
  link.state = Link::State::kGreeting;
  link.since = now();
  link.reader = FrameReader(kMaxHandshakeBytes);
  const auto guarded = [this, alive = Guard(alive_), peer = link.peer, attempt = link.attempt](auto then) {
    return [=, this](auto&&... arguments) {
      if (alive.expired()) return;
      const auto it = links_.find(peer);
      if (it != links_.end() && it->second->attempt == attempt) then(*it->second, arguments...);
    };
  };
  link.stream->start({.on_bytes = guarded([this](Link& l, std::string_view bytes) { on_link_bytes(l, bytes); }),
                      .on_closed = guarded([this](Link& l, const Status& status) {
                        l.problem =
                            status.ok() ? l.address + ": it closed the connection" : std::string(status.message());
                        link_lost(l);
                      }),
                      .on_writable = guarded([this](Link& l) { l.taken_at = now(); })});
}

void PeerTransport::on_link_bytes(Link& link, std::string_view bytes) {
  stats_.bytes_received += bytes.size();
  link.reader.feed(bytes);
  const uint64_t attempt = link.attempt;
  for (std::string_view body;;) {
    switch (link.reader.next(&body)) {
      case FrameReader::Step::kMore:
        return;
      case FrameReader::Step::kFrame:
        on_link_frame(link, body);
        if (link.attempt != attempt || link.state == Link::State::kWaiting) return;
        break;
      case FrameReader::Step::kTooLong:
      case FrameReader::Step::kChecksum:
        ++stats_.connect_failures;
        return link_lost(link);
    }
  }
}

// Challenge, then welcome; afterwards nothing is expected in this direction.
void PeerTransport::on_link_frame(Link& link, std::string_view body) {
  if (link.state == Link::State::kReady) return;
  if (const auto challenge = parse_challenge(body); challenge.ok()) {
    Hello hello;
    hello.version = std::min(challenge->newest, kPeerVersion);
    hello.nonce = challenge->nonce;
    hello.cluster = options_.cluster;
    hello.from = options_.self;
    hello.to = link.peer;
    hello.instance = handler_.instance;
    hello.settings = handler_.settings;
    hello.address = advertised_;
    std::string frame;
    append_frame(frame, encode(hello));
    link.stream->write(std::move(frame));
    return;
  }
  const auto welcome = parse_welcome(body);
  if (welcome.ok() && !welcome->welcome) ++stats_.refused_by_peers[static_cast<size_t>(welcome->refusal)];
  const bool itself = welcome.ok() && welcome->welcome && identity_is(*link.stream, link.peer) &&
                      handler_.admits(link.peer, welcome->instance);
  if (!itself) {
    ++stats_.connect_failures;
    link.problem = link.address + ": " +
                   (welcome.ok() && !welcome->welcome
                        ? "it refuses this member: " + std::string(peer_refusal_name(welcome->refusal))
                    : welcome.ok() ? "another one than the member that is meant answers there"
                                   : "what answers there speaks another protocol");
    return link_lost(link);
  }
  ++stats_.connects;
  link.state = Link::State::kReady;
  link.problem.clear();
  link.backoff = 0;
  link.written_at = link.taken_at = now();
  handler_.on_connection(link.peer, true);
}

void PeerTransport::link_lost(Link& link) {
  const bool was_ready = link.state == Link::State::kReady;
  ++link.attempt;
  bury(std::move(link.stream));
  link.outbox.clear();
  link.state = Link::State::kWaiting;
  link.backoff = std::clamp(2 * link.backoff, kFirstBackoff, options_.max_backoff);
  const Time delay = link.backoff / 2 + static_cast<Time>(random_.below(static_cast<uint64_t>(link.backoff)));
  if (link.timer != 0) loop_.cancel(link.timer);
  link.timer = loop_.after(delay, [this, peer = link.peer] {
    const auto it = links_.find(peer);
    if (it == links_.end()) return;
    it->second->timer = 0;
    connect(*it->second);
  });
  if (was_ready) handler_.on_connection(link.peer, false);
}

// --- Being heard ---

void PeerTransport::accepted(std::unique_ptr<env::Stream> stream) {
  const auto half_open = static_cast<size_t>(
      std::count_if(incoming_.begin(), incoming_.end(), [](const auto& item) { return !item.second->ready; }));
  if (!started_) return bury(std::move(stream));  // the connector tries again
  if (half_open >= options_.max_half_open) {
    ++stats_.refused[static_cast<size_t>(PeerRefusal::kTooMany)];
    return bury(std::move(stream));
  }
  auto incoming = std::make_unique<Incoming>(++last_incoming_);
  incoming->stream = std::move(stream);
  incoming->nonce = random_.next();
  incoming->since = incoming->heard_at = now();
  Incoming& self = *incoming;
  incoming_.emplace(self.number, std::move(incoming));
  const auto guarded = [this, alive = Guard(alive_), id = self.number](auto then) {
    return [=, this](auto&&... arguments) {
      if (alive.expired()) return;
      const auto it = incoming_.find(id);
      if (it != incoming_.end()) then(*it->second, arguments...);
    };
  };
  self.stream->start({.on_bytes = guarded([this](Incoming& i, std::string_view bytes) { on_incoming_bytes(i, bytes); }),
                      .on_closed = guarded([this](Incoming& i, const Status&) {
                        if (!i.ready || i.reader.in_frame()) {
                          ++stats_.refused[static_cast<size_t>(PeerRefusal::kTruncated)];
                        }
                        drop(i, true);
                      }),
                      .on_writable = {}});
  if (!incoming_.contains(last_incoming_)) return;  // it failed at once
  Challenge challenge;
  challenge.nonce = self.nonce;
  std::string frame;
  append_frame(frame, encode(challenge));
  self.stream->write(std::move(frame));
}

void PeerTransport::on_incoming_bytes(Incoming& incoming, std::string_view bytes) {
  stats_.bytes_received += bytes.size();
  incoming.heard_at = now();
  incoming.reader.feed(bytes);
  const uint64_t id = incoming.number;
  for (std::string_view body;;) {
    switch (incoming.reader.next(&body)) {
      case FrameReader::Step::kMore:
        return;
      case FrameReader::Step::kTooLong:
        return refuse(incoming, PeerRefusal::kTooLong);
      case FrameReader::Step::kChecksum:
        return refuse(incoming, incoming.ready ? PeerRefusal::kChecksum : PeerRefusal::kGarbage);
      case FrameReader::Step::kFrame:
        if (!incoming.ready) {
          on_hello(incoming, body);
        } else if (!body.empty()) {
          ++stats_.frames_received;
          handler_.on_frame(incoming.from, incoming.instance, body);
        }
        if (!incoming_.contains(id)) return;
        break;
    }
  }
}

void PeerTransport::on_hello(Incoming& incoming, std::string_view body) {
  const auto hello = parse_hello(body);
  if (!hello.ok()) return refuse(incoming, PeerRefusal::kGarbage);
  if (hello->version < kOldestPeerVersion || hello->version > kPeerVersion) {
    return refuse(incoming, PeerRefusal::kVersion);
  }
  if (hello->nonce != incoming.nonce) return refuse(incoming, PeerRefusal::kReplayed);
  if (hello->cluster != options_.cluster) return refuse(incoming, PeerRefusal::kCluster);
  if (hello->to != options_.self || hello->from == options_.self) return refuse(incoming, PeerRefusal::kWrongNode);
  if (!identity_is(*incoming.stream, hello->from)) return refuse(incoming, PeerRefusal::kIdentity);
  if (hello->settings != handler_.settings) return refuse(incoming, PeerRefusal::kSettings);
  if (!handler_.admits(hello->from, hello->instance)) return refuse(incoming, PeerRefusal::kStaleInstance);
  const auto link = links_.find(hello->from);
  if (link == links_.end()) {
    const auto strangers = static_cast<size_t>(
        std::count_if(links_.begin(), links_.end(), [](const auto& item) { return !item.second->member; }));
    if (strangers >= options_.max_strangers || hello->address.empty()) return refuse(incoming, PeerRefusal::kStranger);
    link_to(hello->from, hello->address);
  } else if (!link->second->member && !hello->address.empty()) {
    link_to(hello->from, hello->address);  // it may have moved
  }
  // The same member again: it was started anew, or lost the connection without this side noticing.
  for (auto it = incoming_.begin(); it != incoming_.end();) {
    Incoming& other = *(it++)->second;
    if (&other == &incoming || !other.ready || other.from != hello->from) continue;
    ++stats_.refused[static_cast<size_t>(PeerRefusal::kReplaced)];
    drop(other, false);
  }
  ++stats_.accepts;
  incoming.ready = true;
  incoming.from = hello->from;
  incoming.instance = hello->instance;
  incoming.reader.set_max_bytes(options_.max_frame_bytes);
  Welcome welcome;
  welcome.welcome = true;
  welcome.instance = handler_.instance;
  std::string frame;
  append_frame(frame, encode(welcome));
  incoming.stream->write(std::move(frame));
  const auto own = links_.find(incoming.from);
  if (own->second->timer != 0) {  // it lives: this is the moment to try it again
    loop_.cancel(std::exchange(own->second->timer, 0));
    own->second->backoff = 0;
    connect(*own->second);
  } else if (own->second->state == Link::State::kReady) {
    handler_.on_connection(incoming.from, true);
  }
}

void PeerTransport::refuse(Incoming& incoming, PeerRefusal why) {
  ++stats_.refused[static_cast<size_t>(why)];
  if (!incoming.ready && why != PeerRefusal::kGarbage) {  // who does not speak this protocol gets no answer
    Welcome welcome;
    welcome.refusal = why;
    std::string frame;
    append_frame(frame, encode(welcome));
    incoming.stream->write(std::move(frame));
  }
  drop(incoming, true);
}

// `tell`: the handler, when it was a member that is not heard any more.
void PeerTransport::drop(Incoming& incoming, bool tell) {
  const bool was_ready = incoming.ready;
  const NodeId from = incoming.from;
  bury(std::move(incoming.stream));
  incoming_.erase(incoming.number);
  if (!was_ready || !tell) return;
  if (const auto link = links_.find(from); link != links_.end() && !link->second->member) {
    forget(*link->second);
    links_.erase(link);
  }
  handler_.on_connection(from, false);
}

bool PeerTransport::identity_is(const env::Stream& stream, NodeId node) const {
  const std::string identity = stream.peer_identity();
  if (identity.empty()) return !options_.require_identity;
  return identity == "node-" + std::to_string(number(node));
}

// --- Time and ends ---

void PeerTransport::sweep() {
  sweep_timer_ = loop_.after(kSweepEvery, [this] { sweep(); });
  const Time at = now();
  if (at - std::exchange(swept_at_, at) > 4 * kSweepEvery) return slept(at);
  for (auto it = incoming_.begin(); it != incoming_.end();) {
    Incoming& incoming = *(it++)->second;
    if (!incoming.ready && at - incoming.since > options_.handshake_timeout) {
      refuse(incoming, PeerRefusal::kSlow);
    } else if (incoming.ready && at - incoming.heard_at > options_.silence_limit) {
      refuse(incoming, PeerRefusal::kSilent);
    }
  }
  for (const auto& [peer, link] : links_) {
    switch (link->state) {
      case Link::State::kWaiting:
        break;
      case Link::State::kConnecting:
      case Link::State::kGreeting:
        if (at - link->since > options_.handshake_timeout) {
          ++stats_.connect_failures;
          link_lost(*link);
        }
        break;
      case Link::State::kReady:
        if (link->stream->pending_bytes() > 0 && at - link->taken_at > options_.silence_limit) {
          ++stats_.refused_by_peers[static_cast<size_t>(PeerRefusal::kSilent)];
          link_lost(*link);
        } else if (at - link->written_at > options_.ping_after && link->stream->pending_bytes() == 0) {
          append_frame(link->outbox, {});
          write(*link);
        }
        break;
    }
  }
}

// This process was stopped for a while: what the others did meanwhile waits in the sockets, so nobody was silent.
void PeerTransport::slept(Time at) {
  for (const auto& [id, incoming] : incoming_) incoming->since = incoming->heard_at = at;
  for (const auto& [peer, link] : links_) link->since = link->taken_at = at;
}

// A stream may be closed from within its own callback, so it dies a little later.
void PeerTransport::bury(std::unique_ptr<env::Stream> stream) {
  if (stream == nullptr) return;
  buried_.push_back(std::move(stream));
  if (buried_.size() > 1) return;
  loop_.post([this, alive = Guard(alive_)] {
    if (!alive.expired()) buried_.clear();
  });
}

}  // namespace clew::consensus
