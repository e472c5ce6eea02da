// Frames, turns and effects of a replica.
#include <algorithm>
#include <utility>

#include "consensus/planted.h"
#include "consensus/replica_impl.h"
#include "consensus/replica_records.h"

namespace clew::consensus {
namespace {

constexpr uint64_t kSmallFrameBytes = 1 << 10;
constexpr uint64_t kTickBytes = 4 << 10;  // room for what a tick may write
constexpr size_t kMaxHeldFrames = 65'536;
constexpr size_t kMaxFramesOfUnsavedPeer = 64;
constexpr size_t kMaxKnownPeers = 4 * kMaxMembers;
constexpr uint64_t kApplied = 64;  // bytes that an entry is counted with, beside its payload
constexpr Time kRetryTick = 100 * kMillisecond;
constexpr Time kIdle = 5 * kSecond;
constexpr Time kRoomEvery = 1 * kMillisecond;
constexpr size_t kVerifiedTogether = 8;  // signatures

}  // namespace

// --- Frames ---

void ReplicaImpl::note(FactKind kind, NodeId peer, std::string_view reason) {
  if (ports_.observer == nullptr) return;
  Fact fact;
  fact.kind = kind;
  fact.at = now();
  fact.peer = peer;
  fact.reason = reason;
  ports_.observer->on_fact(fact);
}

void ReplicaImpl::on_frame(NodeId from, Instance instance, std::string_view frame) {
  if (!running() || !known(from, instance, frame)) return;
  handle_frame(from, frame);
}

// Members are remembered when they are met, not only when they speak to this one: two followers may never have had
// anything to say to each other when one of them loses its disk.
bool ReplicaImpl::admits(NodeId peer, Instance instance) {
  if (const auto known = directory_.peers.find(peer); known != directory_.peers.end()) {
    return known->second == instance || planted(Bug::kWipedDiskVotes);
  }
  if (!running() || instance == kUnknownInstance || !core_->membership().contains(peer)) return true;
  directory_.peers[peer] = instance;
  unsaved_peers_[peer];
  if (!saving_peers_) remember_peers();
  return true;
}

// A peer is remembered durably before anything that it says counts: a vote of one data directory must never stand
// beside a vote of its successor.
bool ReplicaImpl::known(NodeId from, Instance instance, std::string_view frame) {
  if (const auto peer = directory_.peers.find(from); peer != directory_.peers.end()) {
    if (peer->second != instance && !planted(Bug::kWipedDiskVotes)) {
      ++stats_.stale_instances;
      note(FactKind::kMessageRefused, from, "stale instance");
      return false;
    }
    const auto unsaved = unsaved_peers_.find(from);
    if (unsaved == unsaved_peers_.end()) return true;
    if (unsaved->second.size() < kMaxFramesOfUnsavedPeer) unsaved->second.emplace_back(frame);
    return false;
  }
  if (instance == kUnknownInstance || directory_.peers.size() >= kMaxKnownPeers) {
    note(FactKind::kMessageRefused, from, instance == kUnknownInstance ? "no instance" : "too many peers");
    return false;
  }
  directory_.peers[from] = instance;
  unsaved_peers_[from].emplace_back(frame);
  if (!saving_peers_) remember_peers();
  return false;
}

void ReplicaImpl::remember_peers() {
  saving_peers_ = true;
  std::vector<NodeId> saved;
  for (const auto& [peer, frames] : unsaved_peers_) saved.push_back(peer);
  auto status = std::make_shared<Status>();  // shared by the work and its completion
  ports_.loop.offload(
      env::Lane::kFiles,
      [&disk = ports_.disk, path = directory_.path(), status,
       encoded = ReplicaDirectory::encode_peers(directory_.peers)] {
        *status = ReplicaDirectory::save_peers(disk, path, encoded);
      },
      [this, alive = Guard(alive_), status, saved = std::move(saved)] {
        if (alive.expired()) return;
        saving_peers_ = false;
        for (const NodeId peer : saved) {
          const std::vector<std::string> frames = std::move(unsaved_peers_[peer]);
          unsaved_peers_.erase(peer);
          if (!status->ok()) {
            directory_.peers.erase(peer);  // a full disk: the next frame tries again
            continue;
          }
          for (const std::string& frame : frames) {
            if (running()) handle_frame(peer, frame);
          }
        }
        if (!unsaved_peers_.empty()) remember_peers();
      });
}

void ReplicaImpl::handle_frame(NodeId from, std::string_view frame) {
  ++stats_.frames_received;
  const char kind = frame.empty() ? 0 : frame.back();
  if (kind == kSnapshotFrame) return exchange_.receive(from, frame.substr(0, frame.size() - 1));
  if (kind == kAsideFrame && aside_) return aside_(from, frame.substr(0, frame.size() - 1));
  if (kind != kProtocolFrame) return note(FactKind::kMessageRefused, from, "unknown kind of frame");
  const std::string_view body = frame.substr(0, frame.size() - 1);
  const bool small = body.size() <= kSmallFrameBytes;
  if (small ? !small_frames_.empty() : turn_is_full()) return wait_or_drop(from, body);
  if (const Status room = room_for(body.size() + (small ? 0 : kRoomForSmallFrames)); !room.ok()) {
    if (room.code() == Code::kUnavailable) return wait_or_drop(from, body);
    ++stats_.frames_without_room;
    return;
  }
  unflushed_bytes_ += body.size();
  core_->receive(now(), from, body);
  turn_soon();
}

// A frame that is dropped costs its sender a heartbeat until it is asked again: a member that drops one whenever its
// log grows never catches up.
void ReplicaImpl::wait_or_drop(NodeId from, std::string_view body) {
  if (backlog_bytes_ + body.size() > kMaxBacklogBytes) {
    ++stats_.frames_without_room;
    return;
  }
  wait_for_room({.from = from, .bytes = std::string(body)});
}

void ReplicaImpl::send_snapshot_frame(NodeId to, std::string frame) {
  if (!running()) return;
  frame.push_back(kSnapshotFrame);
  ++stats_.frames_sent;
  ports_.transport.send(to, std::move(frame));
  ports_.transport.flush();
}

void ReplicaImpl::send_aside(NodeId to, std::string frame) {
  if (!running()) return;
  frame.push_back(kAsideFrame);
  ++stats_.frames_sent;
  ports_.transport.send(to, std::move(frame));
  ports_.transport.flush();
}

// --- Room ---

Status ReplicaImpl::room_for(uint64_t bytes) {
  Status room = wal_->reserve(unflushed_bytes_ + bytes);
  if (room.ok()) {
    if (bytes >= lacks_room_for_) full_since_ = lacks_room_for_ = 0;
  } else if (room.code() == Code::kResourceExhausted) {
    if (full_since_ == 0) full_since_ = now();
    lacks_room_for_ = std::max(lacks_room_for_, bytes);
  }
  return room;
}

void ReplicaImpl::wait_for_room(Waiting waiting) {
  backlog_bytes_ += waiting.bytes.size() + sizeof waiting;
  const bool small = waiting.from != kNobody && waiting.bytes.size() <= kSmallFrameBytes;
  (small ? small_frames_ : backlog_).push_back(std::move(waiting));
  drain_later();
}

void ReplicaImpl::drain_later() {
  if (backlog_timer_ != 0) return;
  backlog_timer_ = ports_.loop.after(kRoomEvery, [this] {
    backlog_timer_ = 0;
    drain_backlogs();
  });
}

// Small frames pass by the rest: nothing may depend on the order of frames.
void ReplicaImpl::drain_backlogs() {
  drain(small_frames_, 0);
  drain(backlog_, kRoomForSmallFrames);
  if (running() && (!small_frames_.empty() || !backlog_.empty())) drain_later();
}

void ReplicaImpl::drain(std::deque<Waiting>& backlog, uint64_t room_to_leave) {
  while (running() && !backlog.empty() && unflushed_bytes_ < kMaxTurnBytes) {
    const Status room = room_for(backlog.front().bytes.size() + room_to_leave);
    if (room.code() == Code::kUnavailable) return;
    Waiting waiting = std::move(backlog.front());
    backlog.pop_front();
    backlog_bytes_ -= waiting.bytes.size() + sizeof waiting;
    if (waiting.from != kNobody) {
      if (room.ok()) {
        unflushed_bytes_ += waiting.bytes.size();
        core_->receive(now(), waiting.from, waiting.bytes);
        turn_soon();
      } else {
        ++stats_.frames_without_room;
      }
    } else if (!room.ok()) {
      fail(waiting.id, {Code::kResourceExhausted, std::string(room.message()), kNobody});
    } else if (requests_.find(waiting.id) != nullptr || waiting.header.kind == CommandKind::kCloseSession) {
      feed(waiting.header, waiting.id, waiting.bytes);
    }
  }
}

// --- Turns ---

void ReplicaImpl::turn_soon() {
  if (std::exchange(turn_posted_, true)) return;
  ports_.loop.post([this, alive = Guard(alive_)] {
    if (alive.expired()) return;
    turn_posted_ = false;
    turn();
  });
}

void ReplicaImpl::turn() {
  if (!running()) return;
  ++stats_.turns;
  effects_.clear();
  core_->collect(now(), effects_);
  unflushed_bytes_ = 0;
  if (ports_.observer != nullptr) {
    for (const Fact& fact : effects_.facts) ports_.observer->on_fact(fact);
  }
  if (effects_.halt) return halt(Error{Code::kInternal, std::move(*effects_.halt)}, "a broken invariant");

  update_peers();
  append_records();
  // The network before the disk: a follower's write takes the longer way.
  for (Send& message : effects_.sends) send(message);
  ports_.transport.flush();
  wal_->flush();

  if (effects_.install) start_install(*effects_.install);
  if (effects_.snapshot_at != 0) snapshot_at_ = effects_.snapshot_at;
  for (const ProposalPlaced& placed : effects_.placed) {
    Request* const request = requests_.find(static_cast<uint64_t>(placed.id));
    if (request != nullptr && !request->read) request->placed = placed.position;
    if (planted(Bug::kSuccessBeforeCommit) && request != nullptr &&
        std::holds_alternative<Answer<Reply>>(request->answer)) {
      std::get<Answer<Reply>>(requests_.take(static_cast<uint64_t>(placed.id))->answer)(Reply{placed.position, ""});
    }
  }
  for (Delivery& delivery : effects_.deliveries) deliveries_.push_back(std::move(delivery));
  deliver();
  if (halted_) return;
  answer_memberships();
  for (const ProposalRefused& refused : effects_.refused) {
    fail_refused(static_cast<uint64_t>(refused.id), refused.why, refused.leader);
  }
  for (const ReadReady& ready : effects_.reads) {
    Request* const request = requests_.find(static_cast<uint64_t>(ready.id));
    if (request == nullptr) continue;
    if (planted(Bug::kReadBeforeApplied)) {
      answer_read(static_cast<uint64_t>(ready.id));
      continue;
    }
    request->placed = ready.position;
    waiting_reads_.emplace(ready.position, static_cast<uint64_t>(ready.id));
  }
  for (const ReadRefused& refused : effects_.reads_refused) {
    fail_refused(static_cast<uint64_t>(refused.id), refused.why, refused.leader);
  }
  serve_waiting_reads();
  verify();
  if (effects_.cancel_fetch) exchange_.cancel();
  if (effects_.fetch) exchange_.fetch(*effects_.fetch);
  if (effects_.release_below != 0) release_soon(effects_.release_below);
  if (bytes_since_snapshot_ >= options_.snapshot_every_bytes) take_snapshot();
  if (!small_frames_.empty() || !backlog_.empty()) drain_backlogs();
  arm_tick();
}

void ReplicaImpl::append_records() {
  const size_t count = effects_.records.size();
  for (size_t i = 0; i < count; ++i) {
    const std::string_view record = effects_.records[i];
    const std::string_view pieces[] = {std::string_view(&kProtocolRecord, 1), record};
    Task done;  // the last one stands for all
    if (i + 1 == count) done = [this] { on_durable(); };
    const LogSeq seq = wal_->append(pieces, std::move(done));
    ++stats_.records;
    stats_.record_bytes += record.size();
    if (ports_.observer != nullptr) ports_.observer->on_record(seq, record);
  }
  if (count == 0) return;
  appended_at_ = now();
  if (idle_timer_ == 0) arm_idle_timer(kIdle);
  if (wal_->wants_rotation()) wal_->rotate();
}

// A log at rest gives back what it does not need, and gets a mark behind its last record, which then cannot be taken
// for a torn tail any more (docs/format/wal.md).
void ReplicaImpl::arm_idle_timer(Time delay) {
  idle_timer_ = ports_.loop.after(delay, [this] {
    idle_timer_ = 0;
    if (!running()) return;
    const Time rested = now() - appended_at_;
    if (rested < kIdle) return arm_idle_timer(kIdle - rested);
    wal_->trim();
  });
}

void ReplicaImpl::send(Send& message) {
  if (ports_.observer != nullptr) ports_.observer->on_send(message.to, message.frame);
  message.frame.push_back(kProtocolFrame);
  CHECK(message.after <= wal_->last_record());
  if (message.after <= durable_ || planted(Bug::kSendBeforeDurable)) {
    ++stats_.frames_sent;
    return ports_.transport.send(message.to, std::move(message.frame));
  }
  if (held_.size() >= kMaxHeldFrames) {
    ++stats_.sends_dropped;
    return;
  }
  auto at = held_.end();
  while (at != held_.begin() && std::prev(at)->after > message.after) --at;
  held_.insert(at, Held{message.after, message.to, std::move(message.frame)});
}

void ReplicaImpl::on_durable() {
  if (!running()) return;
  durable_ = wal_->durable_record();
  while (!held_.empty() && held_.front().after <= durable_) {
    ++stats_.frames_sent;
    ports_.transport.send(held_.front().to, std::move(held_.front().frame));
    held_.pop_front();
  }
  ports_.transport.flush();
  core_->durable(now(), durable_);
  if (install_) try_install();
  if (saved_) report_saved();
  if (release_) release_durable();
  turn_soon();
}

void ReplicaImpl::deliver() {
  save_wanted_state();
  while (!install_ && !halted_ && !deliveries_.empty()) {
    Delivery delivery = std::move(deliveries_.front());
    deliveries_.pop_front();
    if (!apply(delivery)) return;
    save_wanted_state();
  }
}

// A state that others save as well is saved exactly there or not at all.
void ReplicaImpl::save_wanted_state() {
  if (snapshot_at_ == 0 || applied() < snapshot_at_ || install_) return;
  if (applied() == snapshot_at_) take_snapshot();
  snapshot_at_ = 0;
}

bool ReplicaImpl::apply(Delivery& delivery) {
  auto outcome = applier_.apply(delivery);
  if (!outcome.ok()) {
    halt(outcome.status(), "an entry that this version cannot apply");
    return false;
  }
  time_.applied(applier_.time_ns());
  bytes_since_snapshot_ += delivery.entry.payload.size() + kApplied;
  if (ports_.observer != nullptr) {
    ports_.observer->on_applied(delivery.position, delivery.entry, outcome->result);
  }
  if (outcome->kind == EntryKind::kCommand) {
    ++stats_.commands;
    if (outcome->run == run_) answer_command(*outcome, delivery.position);
  } else if (outcome->kind == EntryKind::kMembership) {
    membership_delivered(delivery.position);
  }
  return true;
}

void ReplicaImpl::answer_command(Applier::Outcome& outcome, Position position) {
  auto request = requests_.take(outcome.request);
  if (!request) return;  // given up, or nobody waited
  if (outcome.forgotten) {
    return request->fail({Code::kFailedPrecondition,
                          "the session has ended or has this answer no more; this try had no effect, an earlier one "
                          "may have had",
                          kNobody});
  }
  if (auto* const opened = std::get_if<Answer<SessionId>>(&request->answer)) return (*opened)(SessionId{position});
  std::get<Answer<Reply>>(request->answer)(Reply{position, std::move(outcome.result)});
}

// A change of membership is done when the log holds what was asked for, no longer a joint one on the way there, and the
// members that it names decide: only then may those go whom it removed.
void ReplicaImpl::membership_delivered(Position position) {
  const Membership& delivered = applier_.membership();
  if (delivered.joint()) return;
  for (const uint64_t id : requests_.ids()) {
    Request* const request = requests_.find(id);
    if (!std::holds_alternative<Answer<Position>>(request->answer)) continue;
    const bool there = request->placed != 0 && request->placed <= position && delivered == request->target;
    if (!there) continue;
    request->placed = position;
    memberships_delivered_.push_back(id);
  }
}

void ReplicaImpl::answer_memberships() {
  std::erase_if(memberships_delivered_, [this](uint64_t id) {
    Request* const request = requests_.find(id);
    if (request == nullptr) return true;  // given up
    if (!core_->in_force(request->target)) return false;
    const Position position = request->placed;
    std::get<Answer<Position>>(requests_.take(id)->answer)(position);
    return true;
  });
}

// Some together: a hand-over costs about as much as checking one signature, and other workers want something, too.
void ReplicaImpl::verify() {
  struct Lot {
    std::vector<VerifyRequest> requests;
    std::vector<char> ok;
  };
  auto& all = effects_.verifications;
  for (size_t at = 0; at < all.size(); at += kVerifiedTogether) {
    auto lot = std::make_shared<Lot>();  // shared by the work and its completion
    for (size_t i = at; i < std::min(at + kVerifiedTogether, all.size()); ++i)
      lot->requests.push_back(std::move(all[i]));
    ports_.loop.offload(
        env::Lane::kQuery,
        [verifier = ports_.verifier, lot] {
          for (const VerifyRequest& one : lot->requests) {
            const bool ok = verifier != nullptr && verifier->verify(one.signer, one.message, one.signature);
            lot->ok.push_back(ok ? 1 : 0);
          }
        },
        [this, alive = Guard(alive_), lot] {
          if (alive.expired() || !running()) return;
          for (size_t i = 0; i < lot->ok.size(); ++i) core_->verified(now(), lot->requests[i].id, lot->ok[i] != 0);
          turn_soon();
        });
  }
}

void ReplicaImpl::update_peers() {
  const std::vector<Member>& members = core_->membership().members();
  if (members == peers_) return;
  peers_ = members;
  std::vector<Member> others;
  for (const Member& member : members) {
    if (member.id != options_.self) others.push_back(member);
  }
  ports_.transport.set_peers(others);
}

// The timer may fire early: deadlines move away with nearly every message, and moving the timer each time costs more
// than looking once in vain.
void ReplicaImpl::arm_tick() {
  const Time deadline = core_->deadline();
  if (deadline >= tick_at_) return;
  if (tick_timer_ != 0) ports_.loop.cancel(tick_timer_);
  tick_at_ = deadline;
  tick_timer_ = ports_.loop.after(std::max<Time>(deadline - now(), 0), [this] {
    tick_timer_ = 0;
    tick_at_ = kNever;
    if (!running()) return;
    const Time at = now();
    if (full_since_ != 0 && at >= look_for_room_at_) {
      look_for_room_at_ = at + kRetryTick;
      (void)room_for(lacks_room_for_);
    }
    if (core_->deadline() > at) return arm_tick();
    const Status room = room_for(kTickBytes);
    if (room.ok()) {
      unflushed_bytes_ += kTickBytes;
      core_->tick(at);
      return turn_soon();
    }
    // Mute until there is room: an election would need a record.
    const Time delay = room.code() == Code::kUnavailable ? kRoomEvery : kRetryTick;
    tick_at_ = at + delay;
    tick_timer_ = ports_.loop.after(delay, [this] {
      tick_timer_ = 0;
      tick_at_ = kNever;
      if (running()) arm_tick();
    });
  });
}

void ReplicaImpl::halt(Status why, std::string_view reason) {
  if (std::exchange(halted_, true)) return;
  note(FactKind::kHalted, kNobody, reason);
  held_.clear();
  small_frames_.clear();
  backlog_.clear();
  exchange_.cancel();
  ports_.loop.post([this, alive = Guard(alive_), why = std::move(why)]() mutable {
    if (alive.expired()) return;
    for (const uint64_t id : requests_.ids()) {
      fail(id, {Code::kDeadlineExceeded, "this replica has stopped; it may still take effect", kNobody});
    }
    if (on_halt_) on_halt_(std::move(why));
  });
}

}  // namespace clew::consensus
