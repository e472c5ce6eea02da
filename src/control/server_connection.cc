#include "control/server_connection.h"

#include <algorithm>
#include <utility>

namespace clew::control {
namespace {

constexpr int64_t kLifeWhileWorking = 250'000'000;  // a sign of life goes out after that much silence of ours
constexpr int64_t kLifeWhileIdle = 2'000'000'000;
constexpr int64_t kMaxCredit = 64 << 20;
constexpr size_t kPullBytes = 128 << 10;
constexpr uint64_t kAheadBytes = 512 << 10;  // of long answers that are handed to the system

bool may_be_long(const kv::RangeRequest& range) { return !range.range_end.empty() && !range.count_only; }

// Its answer may be longer than a frame.
bool may_be_long(const kv::Request& request) {
  if (const auto* range = std::get_if<kv::RangeRequest>(&request)) return may_be_long(*range);
  if (const auto* txn = std::get_if<kv::TxnRequest>(&request)) {
    const auto is_long = [](const kv::RequestOp& op) {
      const auto* range = std::get_if<kv::RangeRequest>(&op.op);
      return std::holds_alternative<kv::TxnRequest>(op.op) || (range != nullptr && may_be_long(*range));
    };
    return std::any_of(txn->success.begin(), txn->success.end(), is_long) ||
           std::any_of(txn->failure.begin(), txn->failure.end(), is_long);
  }
  const auto* deleted = std::get_if<kv::DeleteRangeRequest>(&request);
  return std::holds_alternative<kv::LeasesRequest>(request) ||
         std::holds_alternative<kv::LeaseTimeToLiveRequest>(request) || (deleted != nullptr && deleted->prev_kv);
}

// Encoding it takes about a millisecond, or more.
bool large(const CallReply& reply) {
  constexpr size_t kLarge = 1u << 20;
  const auto* const range = std::get_if<kv::RangeResponse>(&reply.response);
  if (range == nullptr) return false;
  size_t bytes = 0;
  for (size_t i = 0; i < range->kvs.size() && bytes <= kLarge; ++i) {
    bytes += sizeof(kv::KeyValue) + range->kvs[i].key.size() + range->kvs[i].value.size();
  }
  return bytes > kLarge;
}

// The numbers that answer requests.
NumberBody as_body(int64_t n) { return {n}; }
NumberBody as_body(uint64_t n) { return {static_cast<int64_t>(n)}; }
NumberBody as_body(consensus::SessionId id) { return as_body(static_cast<uint64_t>(id)); }
NumberBody as_body(consensus::NodeId id) { return as_body(consensus::number(id)); }
const CallReply& as_body(const CallReply& reply) { return reply; }
const GroupStatus& as_body(const GroupStatus& status) { return status; }
const Attestation& as_body(const Attestation& told) { return told; }
const consensus::paxos::Outcome& as_body(const consensus::paxos::Outcome& outcome) { return outcome; }

}  // namespace

ServerConnection::ServerConnection(Server& server, uint64_t number, std::unique_ptr<env::Stream> stream)
    : server_(server), loop_(server.loop_), number_(number), stream_(std::move(stream)) {
  since_ = heard_at_ = written_at_ = taken_at_ = loop_.clock().mono_ns();
}

void ServerConnection::start() {
  const auto guarded = [weak = weak_from_this()](auto then) {
    return [=](auto&&... arguments) {
      const auto self = weak.lock();
      if (self != nullptr && !self->closed_) then(*self, arguments...);
    };
  };
  stream_->start({.on_bytes = guarded([](ServerConnection& c, std::string_view bytes) { c.on_bytes(bytes); }),
                  .on_closed = guarded([](ServerConnection& c, const Status&) { c.on_closed(); }),
                  .on_writable = guarded([](ServerConnection& c) {
                    c.make_progress();
                    c.server_.check_drained();
                  })});
}

void ServerConnection::close() {
  if (std::exchange(closed_, true)) return;
  streams_.clear();
  long_answers_.clear();
  waiting_.clear();
  server_.bury(std::move(stream_));
}

void ServerConnection::on_closed() {
  if (!ready_ || reader_.in_frame()) server_.count(Refusal::kTruncated);
  server_.remove(number_);
}

void ServerConnection::refuse(Refusal why) {
  server_.count(why);
  if (!ready_ && why != Refusal::kGarbage) {  // who does not speak this protocol gets no answer
    Welcome welcome;
    welcome.refusal = why;
    welcome.version = kControlVersion;
    welcome.cluster = server_.options_.cluster();
    std::string frame;
    consensus::append_frame(frame, encode(welcome));
    stream_->write(std::move(frame));
  }
  server_.remove(number_);
}

// --- What comes in ---

void ServerConnection::on_bytes(std::string_view bytes) {
  heard_at_ = loop_.clock().mono_ns();
  server_.stats_.bytes_received += bytes.size();
  reader_.feed(bytes);
  for (std::string_view body;;) {
    switch (reader_.next(&body)) {
      case consensus::FrameReader::Step::kMore:
        return;
      case consensus::FrameReader::Step::kTooLong:
        return refuse(ready_ ? Refusal::kTooLong : Refusal::kGarbage);
      case consensus::FrameReader::Step::kChecksum:
        return refuse(ready_ ? Refusal::kChecksum : Refusal::kGarbage);
      case consensus::FrameReader::Step::kFrame:
        if (body.empty()) break;  // a sign of life
        if (!ready_) {
          on_hello(body);
        } else if (full() || !waiting_.empty()) {
          waiting_.emplace_back(body);
          pause(true);
        } else {
          on_frame(body);
        }
        if (closed_) return;
    }
  }
}

void ServerConnection::on_hello(std::string_view body) {
  const auto hello = parse_hello(body);
  if (!hello.ok()) return refuse(Refusal::kGarbage);
  if (hello->newest < kOldestControlVersion || hello->oldest > kControlVersion) return refuse(Refusal::kVersion);
  const ServerOptions& options = server_.options_;
  const uint64_t cluster = options.cluster();
  if (hello->cluster != 0 && cluster != 0 && hello->cluster != cluster) return refuse(Refusal::kCluster);
  if (!server_.admits(*hello, stream_->peer_identity(), &member_)) return refuse(Refusal::kToken);
  ready_ = true;
  ++server_.stats_.accepted;
  reader_.set_max_bytes(kMaxRequestFrameBytes);
  Welcome welcome;
  welcome.welcome = true;
  welcome.version = std::min(hello->newest, kControlVersion);
  welcome.cluster = cluster;
  welcome.node = options.node;
  welcome.max_in_flight = static_cast<uint32_t>(options.max_in_flight);
  welcome.byzantine = options.byzantine;
  std::string frame;
  consensus::append_frame(frame, encode(welcome));
  stream_->write(std::move(frame));
}

void ServerConnection::on_frame(std::string_view body) {
  MessageReader messages(body);
  for (Message message; messages.next(message);) {
    on_message(message);
    if (closed_) return;
    if (full() && !messages.rest().empty()) {
      waiting_.emplace_front(messages.rest());
      return pause(true);
    }
  }
  if (messages.malformed()) refuse(Refusal::kGarbage);
}

void ServerConnection::on_message(const Message& message) {
  if (message.kind >= MessageKind::kWatchOpen && message.kind <= MessageKind::kCloseStream) {
    on_stream_message(message);
  } else {
    on_request(message);
  }
}

void ServerConnection::on_request(const Message& message) {
  ++server_.stats_.requests;
  const uint64_t id = message.id;
  Service& service = server_.service_;
  if (leaving_) return send_error(id, Code::kUnavailable, "this node is stopping; ask another one");
  std::string_view rest = message.body;
  auto options = take_options(rest);
  if (!options.ok()) return send_error(id, options.error().code, options.error().message);
  options->timeout_ns = std::min(options->timeout_ns, server_.options_.max_timeout_ns);
  options->asker = number_;
  const auto read = [&]<typename Body>(Body& body) {
    auto parsed = parse<Body>(rest);
    if (parsed.ok()) {
      body = std::move(*parsed);
    } else {
      send_error(id, parsed.error().code, parsed.error().message);
    }
    return parsed.ok();
  };
  NumberBody number;
  MemberBody member;
  switch (message.kind) {
    case MessageKind::kExecute:
      return execute(id, rest, *options);
    case MessageKind::kKeepAlive:
      if (read(number)) service.keep_alive(kv::LeaseId{number.number}, *options, answer<int64_t>(id));
      return;
    case MessageKind::kOpenSession:
      return service.open_session(*options, answer<consensus::SessionId>(id));
    case MessageKind::kCloseSession: {
      const auto session = parse<NumberBody>(rest);
      if (!session.ok()) return refuse(Refusal::kGarbage);
      return service.close_session(consensus::SessionId{static_cast<uint64_t>(session->number)}, *options);
    }
    case MessageKind::kStatus:
      return service.status(*options, answer<GroupStatus>(id));
    case MessageKind::kAddMember: {
      Service::NewMember added;
      if (read(added)) service.add_member(std::move(added), *options, answer<consensus::NodeId>(id));
      return;
    }
    case MessageKind::kRemoveMember:
      if (read(member)) service.remove_member(member.id, *options, answer<consensus::Position>(id));
      return;
    case MessageKind::kPromoteMember:
      if (read(member)) service.promote_member(member.id, *options, answer<consensus::Position>(id));
      return;
    case MessageKind::kUpdateMember:
      if (read(member)) {
        service.update_member(member.id, std::move(member.address), *options, answer<consensus::Position>(id));
      }
      return;
    case MessageKind::kTransfer:
      if (read(member)) service.transfer_leadership(member.id, *options, answer<consensus::NodeId>(id));
      return;
    case MessageKind::kDecree: {
      DecreeBody decree;
      if (read(decree)) {
        service.propose_decree(std::move(decree.name), std::move(decree.value), *options,
                               answer<consensus::paxos::Outcome>(id));
      }
      return;
    }
    case MessageKind::kAttest: {
      AttestBody which;
      if (read(which)) service.attest(which.session, which.sequence, *options, answer<Attestation>(id));
      return;
    }
    case MessageKind::kAlarm: {
      AlarmBody alarm;
      if (read(alarm)) service.set_alarm(alarm.alarm, alarm.on, *options, answer<consensus::Position>(id));
      return;
    }
    default:
      return send_error(id, Code::kUnimplemented, "client protocol: this node does not know that request; upgrade it");
  }
}

void ServerConnection::execute(uint64_t id, std::string_view bytes, CallOptions options) {
  auto body = parse_execute(bytes);
  if (!body.ok()) return send_error(id, body.error().code, body.error().message);
  if (body->space == kv::Space::kSystem && !member_ && !kv::read_only(body->request)) {
    return send_error(id, Code::kPermissionDenied, "the system space is changed by members only");
  }
  const bool is_long = may_be_long(body->request);
  server_.service_.execute(body->space, std::move(body->request), options, answer<CallReply>(id, is_long));
}

// --- Answers ---

template <typename F>
void ServerConnection::on_loop(F then) {
  if (loop_.on_this_thread()) {
    if (!closed_) then(*this);
    return;
  }
  loop_.post([self = shared_from_this(), then = std::move(then)]() mutable {
    if (!self->closed_) then(*self);
  });
}

template <typename T>
Done<T> ServerConnection::answer(uint64_t id, bool is_long) {
  ++in_flight_;
  if (is_long) ++long_in_flight_;
  return [self = shared_from_this(), id, is_long](std::variant<T, CallError> result) {
    self->on_loop([id, is_long, result = std::move(result)](ServerConnection& c) mutable {
      c.answered(id, is_long, std::move(result));
    });
  };
}

template <typename T>
void ServerConnection::answered(uint64_t id, bool is_long, std::variant<T, CallError> result) {
  if constexpr (std::is_same_v<T, CallReply>) {
    if (auto* const reply = std::get_if<CallReply>(&result); is_long && reply != nullptr && large(*reply)) {
      return encode_elsewhere(id, std::move(*reply));
    }
  }
  --in_flight_;
  if (is_long) --long_in_flight_;
  if (auto* error = std::get_if<CallError>(&result)) {
    ++server_.stats_.errors;
    send(MessageKind::kError, id, *error);
  } else {
    send(MessageKind::kReply, id, as_body(std::get<T>(result)));
  }
  if (paused_) make_progress();
}

// By a worker: the loop has better to do than to copy hundreds of megabytes.
void ServerConnection::encode_elsewhere(uint64_t id, CallReply reply) {
  struct Work {
    CallReply reply;
    std::string bytes;
  };
  auto work = std::make_shared<Work>();  // shared by the worker's task and the one that follows it
  work->reply = std::move(reply);
  loop_.offload(
      env::Lane::kQuery,
      [work] {
        append(work->bytes, work->reply);
        work->reply = {};
      },
      [self = shared_from_this(), id, work] {
        if (self->closed_) return;
        --self->in_flight_;
        --self->long_in_flight_;
        self->send_long(MessageKind::kReply, id, std::move(work->bytes));
        if (self->paused_) self->make_progress();
      });
}

void ServerConnection::send_long(MessageKind kind, uint64_t id, std::string bytes) {
  long_bytes_ += bytes.size();
  long_answers_.push_back({kind, id, std::move(bytes), 0});
  const auto stream = streams_.find(id);
  if (stream != streams_.end()) stream->second.in_parts = true;
  send_parts();
  if (!std::exchange(unflushed_, true)) server_.flush_later(number_);
}

template <typename Body>
void ServerConnection::send(MessageKind kind, uint64_t id, const Body& body) {
  append(batch_.begin(kind, id), body);
  if (batch_.message_bytes() <= kPartBytes) {
    batch_.end();
  } else {
    batch_.abandon();
    std::string bytes;
    append(bytes, body);
    return send_long(kind, id, std::move(bytes));
  }
  if (!std::exchange(unflushed_, true)) server_.flush_later(number_);
}

void ServerConnection::send_error(uint64_t id, Code code, std::string message) {
  ++server_.stats_.errors;
  CallError error;
  error.code = code;
  error.message = std::move(message);
  send(MessageKind::kError, id, error);
}

// As much of the long answers as leaves room for short ones to pass, one part of each in turn.
void ServerConnection::send_parts() {
  while (!long_answers_.empty() && batch_.size() + stream_->pending_bytes() < kAheadBytes) {
    LongAnswer answer = std::move(long_answers_.front());
    long_answers_.pop_front();
    const size_t bytes = std::min(answer.bytes.size() - answer.sent, kPartBytes);
    const bool last = answer.sent + bytes == answer.bytes.size();
    batch_.begin(last ? answer.kind : MessageKind::kPart, answer.id).append(answer.bytes, answer.sent, bytes);
    batch_.end();
    answer.sent += bytes;
    long_bytes_ -= bytes;
    if (!last) {
      long_answers_.push_back(std::move(answer));
      continue;
    }
    const auto stream = streams_.find(answer.id);
    if (stream != streams_.end()) stream->second.in_parts = false;
  }
}

void ServerConnection::flush() {
  unflushed_ = false;
  if (closed_) return;
  send_parts();
  if (batch_.empty()) return;
  std::string bytes = batch_.take();
  ++server_.stats_.writes;
  server_.stats_.bytes_sent += bytes.size();
  written_at_ = loop_.clock().mono_ns();
  if (stream_->pending_bytes() == 0) taken_at_ = written_at_;
  written_bytes_ += bytes.size();
  stream_->write(std::move(bytes));
}

uint64_t ServerConnection::unsent() const {
  return batch_.size() + long_bytes_ + (stream_ == nullptr ? 0 : stream_->pending_bytes());
}

bool ServerConnection::full() const {
  const ServerOptions& options = server_.options_;
  return in_flight_ >= options.max_in_flight || long_in_flight_ >= options.max_long_in_flight ||
         unsent() > options.max_unsent_bytes;
}

void ServerConnection::pause(bool on) {
  if (std::exchange(paused_, on) == on) return;
  if (on) ++server_.stats_.pauses;
  stream_->pause_reading(on);
}

// Room was made: what waits goes on, in its order.
void ServerConnection::make_progress() {
  if (std::exchange(working_, true)) return;
  if (!long_answers_.empty()) {
    send_parts();
    if (!batch_.empty() && !std::exchange(unflushed_, true)) server_.flush_later(number_);
  }
  while (!closed_ && !waiting_.empty() && !full()) {
    const std::string frame = std::move(waiting_.front());
    waiting_.pop_front();
    on_frame(frame);
  }
  if (!closed_ && waiting_.empty() && !full()) {
    pause(false);
    for (auto& [id, stream] : streams_) pull(stream);
  }
  working_ = false;
}

// --- Streams ---

void ServerConnection::on_stream_message(const Message& message) {
  if (message.kind == MessageKind::kWatchOpen || message.kind == MessageKind::kSnapshotOpen) {
    return open_stream(message);
  }
  const auto it = streams_.find(message.id);
  if (it == streams_.end()) return;  // it has ended meanwhile
  Stream& stream = it->second;
  const bool watches = stream.watch != nullptr;
  if (message.kind == MessageKind::kCloseStream) {
    streams_.erase(it);
  } else if (message.kind == MessageKind::kCredit) {
    const auto body = parse<NumberBody>(message.body);
    if (!body.ok() || body->number < 0) return refuse(Refusal::kGarbage);
    stream.credit = std::min(stream.credit + std::min(body->number, kMaxCredit), kMaxCredit);
    pull(stream);
  } else if (watches && message.kind == MessageKind::kWatchCreate) {
    auto body = parse<kv::WatchRequest>(message.body);
    if (!body.ok()) return refuse(Refusal::kGarbage);
    if (++stream.unanswered > server_.options_.max_unanswered_watches) {
      CallError error;
      error.code = Code::kResourceExhausted;
      error.message = "too many new watches whose answers were not taken; read them, or open another stream";
      return end_stream(message.id, error);
    }
    stream.watch->create(std::move(*body));
  } else if (watches && message.kind == MessageKind::kWatchCancel) {
    const auto body = parse<NumberBody>(message.body);
    if (!body.ok()) return refuse(Refusal::kGarbage);
    stream.watch->cancel(body->number);
  } else if (watches && message.kind == MessageKind::kWatchProgress) {
    stream.watch->request_progress();
  } else {
    refuse(Refusal::kGarbage);
  }
}

void ServerConnection::open_stream(const Message& message) {
  if (streams_.contains(message.id)) return refuse(Refusal::kGarbage);
  CallError error;
  error.code = Code::kUnavailable;
  error.message = "this node is stopping; ask another one";
  if (leaving_) return end_stream(message.id, error);
  if (streams_.size() >= server_.options_.max_streams) {
    server_.count(Refusal::kTooManyStreams);
    error.code = Code::kResourceExhausted;
    error.message = "this connection has as many streams as it may have (" +
                    std::to_string(server_.options_.max_streams) + "); close some, or open another client";
    return end_stream(message.id, error);
  }
  Stream stream;
  stream.id = message.id;
  if (message.kind == MessageKind::kSnapshotOpen) {
    stream.snapshot = server_.service_.snapshot();
  } else {
    const auto space = parse<NumberBody>(message.body);
    if (!space.ok() || space->number < 0 || space->number >= static_cast<int64_t>(kv::kSpaces)) {
      return refuse(Refusal::kGarbage);
    }
    stream.watch = server_.service_.watch(static_cast<kv::Space>(space->number));
  }
  streams_.emplace(message.id, std::move(stream));
}

void ServerConnection::pull(Stream& stream) {
  if (stream.asking || stream.in_parts || stream.credit <= 0 || unsent() > server_.options_.max_unsent_bytes) return;
  stream.asking = true;
  const size_t bytes = std::min<size_t>(static_cast<size_t>(stream.credit), kPullBytes);
  const auto then = [self = shared_from_this(), id = stream.id](auto result) {
    self->on_loop([id, result = std::move(result)](ServerConnection& c) mutable { c.pulled(id, std::move(result)); });
  };
  if (stream.watch != nullptr) {
    stream.watch->next(bytes, then);
  } else {
    stream.snapshot->next(bytes, then);
  }
}

void ServerConnection::pulled(uint64_t id, std::variant<std::vector<kv::WatchResponse>, CallError> result) {
  const auto it = streams_.find(id);
  if (it == streams_.end() || it->second.watch == nullptr) return;
  if (const auto* error = std::get_if<CallError>(&result)) return end_stream(id, *error);
  Stream& stream = it->second;
  stream.asking = false;
  WatchResponsesBody body{std::get<0>(std::move(result))};
  for (const kv::WatchResponse& response : body.responses) {
    stream.credit -= static_cast<int64_t>(weight(response));
    if (response.created && stream.unanswered > 0) --stream.unanswered;
  }
  send(MessageKind::kWatchResponses, id, body);
  pull(stream);
}

void ServerConnection::pulled(uint64_t id, std::variant<std::string, CallError> result) {
  const auto it = streams_.find(id);
  if (it == streams_.end() || it->second.snapshot == nullptr) return;
  if (const auto* error = std::get_if<CallError>(&result)) return end_stream(id, *error);
  Stream& stream = it->second;
  stream.asking = false;
  SnapshotBody body{stream.snapshot->total_bytes(), std::get<0>(std::move(result))};
  stream.credit -= static_cast<int64_t>(body.bytes.size());
  send(MessageKind::kSnapshotBytes, id, body);
  if (body.bytes.empty()) {
    streams_.erase(it);
  } else {
    pull(stream);
  }
}

void ServerConnection::end_stream(uint64_t id, const CallError& error) {
  streams_.erase(id);
  send(MessageKind::kStreamEnded, id, error);
}

// --- Time ---

void ServerConnection::sweep(int64_t now) {
  const ServerOptions& options = server_.options_;
  if (!ready_) {
    if (now - since_ > options.handshake_timeout_ns) refuse(Refusal::kSlow);
    return;
  }
  const bool unread = stream_->pending_bytes() > 0;
  const uint64_t taken = written_bytes_ - std::min(written_bytes_, stream_->pending_bytes());
  if (std::exchange(taken_bytes_, taken) != taken) taken_at_ = now;
  if (unread && now - taken_at_ > options.silence_limit_ns) return refuse(Refusal::kSlowReader);
  if (!paused_ && now - heard_at_ > options.silence_limit_ns) return refuse(Refusal::kSilent);
  if (!unread && now - written_at_ > (in_flight_ > 0 || paused_ ? kLifeWhileWorking : kLifeWhileIdle)) {
    written_at_ = now;
    std::string life;
    consensus::append_frame(life, {});
    stream_->write(std::move(life));
  }
}

void ServerConnection::leave() {
  leaving_ = true;
  if (!ready_) return refuse(Refusal::kStopping);
  batch_.begin(MessageKind::kLeaving, 0);
  batch_.end();
  if (!std::exchange(unflushed_, true)) server_.flush_later(number_);
}

}  // namespace clew::control
