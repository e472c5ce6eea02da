#include "consensus/replica_applier.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/varint.h"
#include "consensus/planted.h"

namespace clew::consensus {
namespace {

// state = version:u8  time:varint  length of sessions:u64  sessions  machine
constexpr uint8_t kStateVersion = 1;
constexpr uint64_t kMaxSessionBytes = 8ull << 30;

// What is left of `source` behind bytes that were taken off its front.
class RestOfSource final : public SnapshotSource {
 public:
  explicit RestOfSource(SnapshotSource& source) : source_(source) {}

  // Makes `size` bytes available at the front; kDataLoss when there are not so many.
  Status gather(uint64_t size) {
    while (front_.size() < size) {
      CLEW_ASSIGN(const std::string_view more, source_.read());
      if (more.empty()) return Error{Code::kDataLoss, "the state of this snapshot ends early"};
      front_.append(more);
    }
    return {};
  }
  std::string_view front() const { return front_; }
  void take(uint64_t size) { front_.erase(0, size); }

  Result<std::string_view> read() override {
    if (front_.empty()) return source_.read();
    handed_ = std::exchange(front_, {});
    return std::string_view(handed_);
  }

 private:
  SnapshotSource& source_;
  std::string front_;
  std::string handed_;
};

}  // namespace

Result<Applier::Outcome> Applier::apply(const Delivery& delivery) {
  CHECK(delivery.position == position_ + 1);
  Outcome outcome;
  outcome.kind = delivery.entry.kind;
  const std::string_view payload = delivery.entry.payload.view();
  switch (delivery.entry.kind) {
    case EntryKind::kNoop:
      break;
    case EntryKind::kMembership: {
      CLEW_ASSIGN(membership_, Membership::parse(payload));
      break;
    }
    case EntryKind::kCommand: {
      auto command = decode_command(payload);
      if (command.ok()) {
        outcome = apply_command(delivery.position, delivery.entry.epoch, *command);
      } else if (command.status().code() == Code::kUnimplemented) {
        return Error{Code::kUnimplemented, "at position " + std::to_string(delivery.position) +
                                               " of the log: " + std::string(command.status().message())};
      }  // else malformed, and so on every node: it has no effect
      break;
    }
  }
  position_ = delivery.position;
  epoch_ = delivery.entry.epoch;
  return outcome;
}

Applier::Outcome Applier::apply_command(Position position, Epoch epoch, const DecodedCommand& command) {
  const CommandHeader& header = command.header;
  if (header.proposed_ns > time_ns_) {
    sessions_.pass(header.proposed_ns - time_ns_);
    time_ns_ = header.proposed_ns;
  }
  const Applied at{position, planted(Bug::kSessionByLocalClock) ? clock_.wall_ns() : time_ns_, epoch};
  Outcome outcome;
  outcome.kind = EntryKind::kCommand;
  outcome.command = header.kind;
  outcome.run = header.run;
  outcome.request = header.request;
  switch (header.kind) {
    case CommandKind::kOpenSession:
      sessions_.open(at);
      break;
    case CommandKind::kCloseSession:
      sessions_.close(header.session);
      break;
    case CommandKind::kApply: {
      if (header.session == kNoSession) {
        outcome.result = machine_.apply(at, command.body);
        break;
      }
      std::string_view kept;
      switch (sessions_.check(at, header.session, header.sequence, header.acknowledged_below, &kept)) {
        case SessionTable::Verdict::kApply:
          outcome.result = machine_.apply(at, command.body);
          sessions_.keep(header.session, header.sequence, outcome.result);
          break;
        case SessionTable::Verdict::kRepeated:
          outcome.result = std::string(kept);
          break;
        case SessionTable::Verdict::kForgotten:
          outcome.forgotten = true;
          break;
      }
      break;
    }
  }
  return outcome;
}

Hash128 Applier::digest() const {
  const Hash128 machine = machine_.digest();
  const Hash128 sessions = sessions_.digest();
  const auto time = static_cast<uint64_t>(time_ns_);
  return {mix64(mix64(machine.lo, sessions.lo), time), mix64(mix64(machine.hi, sessions.hi), time)};
}

SnapshotMeta Applier::describe() const {
  SnapshotMeta meta;
  meta.position = position_;
  meta.epoch = epoch_;
  meta.membership = membership_;
  return meta;
}

UniqueFunction<Status(SnapshotSink&)> Applier::freeze() {
  std::string front;
  front.push_back(static_cast<char>(kStateVersion));
  append_varint(front, static_cast<uint64_t>(time_ns_));
  std::string sessions;
  (planted(Bug::kSessionsNotInSnapshot) ? SessionTable({}) : sessions_).save(sessions);
  append_fixed(front, static_cast<uint64_t>(sessions.size()));
  return [front = std::move(front), sessions = std::move(sessions),
          machine = machine_.freeze()](SnapshotSink& sink) mutable -> Status {
    CLEW_TRY(sink.write(front));
    CLEW_TRY(sink.write(sessions));
    return machine(sink);
  };
}

Status Applier::restore(const SnapshotMeta& meta, SnapshotSource& source) {
  RestOfSource rest(source);
  CLEW_TRY(rest.gather(1));
  if (rest.front()[0] != static_cast<char>(kStateVersion)) {
    return Error{Code::kUnimplemented, "this snapshot was written by another version; upgrade this node"};
  }
  rest.take(1);
  // The varint ends somewhere within the shortest possible rest: one byte of it, the length and the sessions' head.
  CLEW_TRY(rest.gather(sizeof(uint64_t) + 1));
  size_t digits = 1;
  while (digits < kMaxVarintBytes && static_cast<uint8_t>(rest.front()[digits - 1]) >= 0x80) {
    ++digits;
    CLEW_TRY(rest.gather(digits));
  }
  CLEW_TRY(rest.gather(digits + sizeof(uint64_t)));
  ByteReader in(rest.front());
  const uint64_t time_ns = in.varint();
  const auto session_bytes = in.fixed<uint64_t>();
  if (!in.ok() || time_ns > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
      session_bytes > kMaxSessionBytes) {
    return Error{Code::kDataLoss, "the head of this snapshot makes no sense"};
  }
  rest.take(digits + sizeof(uint64_t));
  CLEW_TRY(rest.gather(session_bytes));
  CLEW_TRY(sessions_.restore(rest.front().substr(0, session_bytes)));
  rest.take(session_bytes);
  CLEW_TRY(machine_.restore(rest));
  membership_ = meta.membership;
  position_ = meta.position;
  epoch_ = meta.epoch;
  time_ns_ = static_cast<int64_t>(time_ns);
  return {};
}

}  // namespace clew::consensus
