#include <algorithm>
#include <utility>

#include "consensus/planted.h"
#include "consensus/planted_disk.h"
#include "consensus/replica_impl.h"
#include "consensus/replica_records.h"

namespace clew::consensus {
namespace {

constexpr uint64_t kNobodyWaits = uint64_t{1} << 63;  // ids of proposals without a request

}  // namespace

// --- Start ---

Result<std::unique_ptr<Replica>> Replica::open(Ports ports, ReplicaOptions options, ProtocolFactory factory,
                                               UniqueFunction<void(Status)> on_halt) {
  CHECK(options.self != kNobody && options.max_pending < (1u << 24));
  std::unique_ptr<Protocol> core = factory(ports.random.next());
  Identity identity;
  identity.cluster = options.cluster;
  identity.node = options.self;
  identity.protocol = std::string(core->name());
  identity.sessions = options.sessions;
  CLEW_ASSIGN(ReplicaDirectory directory, ReplicaDirectory::open(ports.disk, options.directory, std::move(identity),
                                                                 options.bootstrap, ports.random));
  auto replica = std::make_unique<ReplicaImpl>(ports, std::move(options), std::move(directory), std::move(core),
                                               std::move(on_halt));
  CLEW_TRY(replica->recover());
  return std::unique_ptr<Replica>(std::move(replica));
}

ReplicaImpl::ReplicaImpl(Ports ports, ReplicaOptions options, ReplicaDirectory directory,
                         std::unique_ptr<Protocol> core, UniqueFunction<void(Status)> on_halt)
    : ports_(ports),
      options_(std::move(options)),
      run_(ports.random.next()),
      directory_(std::move(directory)),
      core_(std::move(core)),
      on_halt_(std::move(on_halt)),
      applier_(ports.machine, options_.sessions, ports.loop.clock()),
      time_(ports.loop.clock()),
      requests_(options_.max_pending),
      exchange_(ports.loop, ports.disk,
                {.directory = directory_.snapshots(), .chunk_bytes = options_.snapshot_chunk_bytes},
                {.send = [this](NodeId to, std::string frame) { send_snapshot_frame(to, std::move(frame)); },
                 .fetched = [this](const SnapshotMeta& meta, const Status& status) { on_fetched(meta, status); },
                 .damaged = [this](Position) { take_snapshot(); }}) {}

ReplicaImpl::~ReplicaImpl() {
  if (tick_timer_ != 0) ports_.loop.cancel(tick_timer_);
  if (request_timer_ != 0) ports_.loop.cancel(request_timer_);
  if (idle_timer_ != 0) ports_.loop.cancel(idle_timer_);
  if (backlog_timer_ != 0) ports_.loop.cancel(backlog_timer_);
}

Status ReplicaImpl::recover() {
  CLEW_TRY(recover_log());
  CLEW_TRY(directory_.complete());
  CLEW_TRY(recover_state());
  ports_.loop.post([this, alive = Guard(alive_)] {
    if (!alive.expired()) begin();
  });
  return {};
}

// What a gap between two records means is the protocol's to say; that there is one, the numbers say.
Status ReplicaImpl::recover_log() {
  wal::Options options;
  options.directory = directory_.log();
  options.file_bytes = options_.log_file_bytes;
  options.wait_for_company = false;
  options.salt = ports_.random.next();
  LogSeq next = 0;  // 0: nothing read yet
  bool cut = false;
  if (planted(Bug::kSyncErrorRetried)) planted_disk_ = std::make_unique<SyncRetryingDisk>(ports_.disk);
  auto opened = wal::Wal::open(
      ports_.loop, planted_disk_ != nullptr ? *planted_disk_ : ports_.disk, std::move(options),
      [&](uint64_t record, uint64_t, std::string_view bytes) -> Status {
        // A log whose head was let go of begins anywhere; with damage in front of its first record something is lost.
        const LogSeq expected = next != 0 ? next : recovery_.damage.empty() ? record : 1;
        if (record > expected) {
          cut |= planted(Bug::kCorruptMiddleCut);
          if (!cut) CLEW_TRY(core_->recover_gap(expected, record - 1));
        }
        next = record + 1;
        if (cut) return {};
        CLEW_ASSIGN(const std::string_view body, parse_record(record, bytes));
        return core_->recover(record, body);
      },
      &recovery_, [this](Status status) { halt(std::move(status), "a write or sync of the log failed"); });
  if (!opened.ok()) return opened.error();
  wal_ = std::move(opened).value();
  if (planted(Bug::kTornTailRefused) && recovery_.torn_tail_bytes > 0) {
    return Error{Code::kDataLoss, "the end of the log is damaged"};
  }
  durable_ = wal_->durable_record();
  const LogSeq first_lost = next != 0 ? next : recovery_.damage.empty() ? durable_ + 1 : 1;
  if (first_lost <= durable_ && !cut) CLEW_TRY(core_->recover_gap(first_lost, durable_));
  return {};
}

Status ReplicaImpl::recover_state() {
  const SnapshotMeta meta = core_->recovered_snapshot();
  base_ = previous_base_ = meta.position;
  CLEW_ASSIGN(const auto found, find_snapshots(ports_.disk, directory_.snapshots()));
  for (const Position position : found) {
    if (position < meta.position) previous_base_ = position;
  }
  // Newer ones were written or fetched, but the log does not know them.
  CLEW_TRY(keep_snapshots(ports_.disk, directory_.snapshots(), previous_base_, meta.position));
  if (meta.position == 0) {
    have_snapshot_ = true;
    applier_.start_from(meta.membership);
    return {};
  }
  auto reader = SnapshotReader::open(ports_.disk, directory_.snapshots(), meta.position);
  if (!reader.ok() || (*reader)->meta() != meta || !(*reader)->verify().ok()) return {};  // the protocol gets it anew
  have_snapshot_ = true;
  if (const Status restored = applier_.restore(meta, **reader); !restored.ok()) {
    return Error{restored.code(), directory_.path() + ": restore the snapshot of position " +
                                      std::to_string(meta.position) + ": " + std::string(restored.message())};
  }
  time_.applied(applier_.time_ns());
  return {};
}

void ReplicaImpl::begin() {
  if (halted_) return;
  started_ = true;
  ports_.transport.start(
      {.instance = instance(),
       .settings = directory_.identity().settings(),
       .on_frame = [this](NodeId from, Instance instance, std::string_view frame) { on_frame(from, instance, frame); },
       .on_connection =
           [this](NodeId peer, bool up) {
             if (!running()) return;
             core_->connection(now(), peer, up);
             if (up) exchange_.connected(peer);
             turn_soon();
           },
       .admits = [this](NodeId peer, Instance instance) { return admits(peer, instance); }});
  core_->start(now(), wal_->last_record() + 1, have_snapshot_);
  turn();
}

ReplicaStats ReplicaImpl::stats() const {
  stats_.syncs = wal_->sync_count();
  stats_.pending = requests_.size();
  return stats_;
}

// --- Requests ---

template <typename T>
void ReplicaImpl::refuse(Answer<T> done, RequestError error) {
  ports_.loop.post([done = std::move(done), error = std::move(error), alive = Guard(alive_)]() mutable {
    if (!alive.expired()) done(std::move(error));
  });
}

template <typename T>
bool ReplicaImpl::may_ask(Answer<T>& done) {
  if (!running()) {
    refuse(std::move(done),
           {Code::kUnavailable, halted_ ? "this replica has stopped; see why in its log" : "this replica is starting",
            kNobody});
    return false;
  }
  if (requests_.full()) {
    refuse(std::move(done),
           {Code::kResourceExhausted,
            std::to_string(requests_.size()) + " requests wait for an answer; ask again later", kNobody});
    return false;
  }
  return true;
}

uint64_t ReplicaImpl::remember(Request request) {
  const uint64_t id = requests_.add(std::move(request), now() + options_.request_timeout_ns);
  if (request_timer_ == 0) arm_request_timer();
  return id;
}

void ReplicaImpl::propose(CommandHeader header, uint64_t id, std::string body) {
  const Status room = turn_is_full() ? Status(Code::kUnavailable, "the next turn will take it")
                                     : room_for(body.size() + kMaxCommandHeaderBytes + kRoomForSmallFrames);
  if (room.ok()) return feed(header, id, body);
  if (room.code() == Code::kUnavailable && backlog_bytes_ + body.size() <= kMaxBacklogBytes) {
    return wait_for_room({.header = header, .id = id, .bytes = std::move(body)});
  }
  ports_.loop.post([this, alive = Guard(alive_), id, room] {
    if (!alive.expired()) fail(id, {Code::kResourceExhausted, std::string(room.message()), kNobody});
  });
}

void ReplicaImpl::feed(CommandHeader header, uint64_t id, std::string_view body) {
  header.run = run_;
  header.request = id;
  if (core_->leader_keeps_time()) {
    header.proposed_ns = time_.propose_ns();
  } else if (const Request* const request = requests_.find(id); request != nullptr && request->sets_time) {
    header.proposed_ns = time_.now_ns();  // no other command follows it before it is agreed on
  } else {
    header.proposed_ns = time_.followed_ns(options_.most_ahead_ns);
  }
  Payload payload = encode_command(header, body);
  unflushed_bytes_ += payload.size() + kMaxCommandHeaderBytes;
  core_->propose(now(), ProposalId{id}, std::move(payload));
  turn_soon();
}

void ReplicaImpl::submit(Command command, Answer<Reply> done) {
  if (command.body.size() > options_.max_command_bytes || (command.session != kNoSession && command.sequence == 0)) {
    return refuse(std::move(done), {Code::kInvalidArgument,
                                    command.body.size() > options_.max_command_bytes
                                        ? "a command of " + std::to_string(command.body.size()) + " bytes; at most " +
                                              std::to_string(options_.max_command_bytes) + " are taken"
                                        : "the commands of a session are numbered from 1",
                                    kNobody});
  }
  if (!may_ask(done)) return;
  CommandHeader header;
  header.session = command.session;
  header.sequence = command.sequence;
  header.acknowledged_below = command.acknowledged_below;
  Request request;
  request.answer = std::move(done);
  request.sets_time = command.sets_time;
  propose(header, remember(std::move(request)), std::move(command.body));
}

void ReplicaImpl::open_session(Answer<SessionId> done) {
  if (!may_ask(done)) return;
  CommandHeader header;
  header.kind = CommandKind::kOpenSession;
  Request request;
  request.answer = std::move(done);
  propose(header, remember(std::move(request)), {});
}

void ReplicaImpl::close_session(SessionId session) {
  if (!running()) return;  // it ends by idling, too
  CommandHeader header;
  header.kind = CommandKind::kCloseSession;
  header.session = session;
  propose(header, kNobodyWaits | ++unanswered_, {});
}

void ReplicaImpl::reconfigure(const Membership& target, Answer<Position> done) {
  std::string encoded;
  target.append_to(encoded);
  if (!may_ask(done)) return;
  if (const Status possible = core_->accepts(target); !possible.ok()) {
    return refuse(std::move(done), {possible.code(), std::string(possible.message()), kNobody});
  }
  if (const Status room = room_for(2 * encoded.size()); !room.ok()) {
    return refuse(std::move(done), {Code::kResourceExhausted, std::string(room.message()), kNobody});
  }
  unflushed_bytes_ += 2 * encoded.size();
  Request request;
  request.answer = std::move(done);
  request.target = target;
  core_->reconfigure(now(), ProposalId{remember(std::move(request))}, target);
  turn_soon();
}

void ReplicaImpl::transfer(NodeId to) {
  if (!running()) return;
  core_->transfer(now(), to);
  turn_soon();
}

void ReplicaImpl::query(Query query, Answer<Reply> done) {
  if (!may_ask(done)) return;
  Request request;
  request.answer = std::move(done);
  request.read = true;
  request.query = std::move(query.body);
  request.placed = query.at_least;
  const uint64_t id = remember(std::move(request));
  if (query.level != ReadLevel::kLocal) {
    core_->read(now(), ReadId{id}, query.level == ReadLevel::kLease ? ReadBarrier::kLease : ReadBarrier::kQuorum);
    return turn_soon();
  }
  waiting_reads_.emplace(query.at_least, id);
  if (query.at_least <= applied()) turn_soon();
}

void ReplicaImpl::answer_read(uint64_t id) {
  auto request = requests_.take(id);
  if (!request) return;
  std::get<Answer<Reply>>(request->answer)(Reply{applied(), ports_.machine.query(request->query)});
}

void ReplicaImpl::serve_waiting_reads() {
  if (install_) return;  // the state is about to be replaced, and may be behind what was promised
  while (!waiting_reads_.empty() && waiting_reads_.begin()->first <= applied()) {
    const uint64_t id = waiting_reads_.begin()->second;
    waiting_reads_.erase(waiting_reads_.begin());
    answer_read(id);
  }
}

void ReplicaImpl::fail(uint64_t id, RequestError error) {
  auto request = requests_.take(id);
  if (!request) return;
  if (request->read) {
    const auto [begin, end] = waiting_reads_.equal_range(request->placed);
    const auto waits = std::find_if(begin, end, [&](const auto& item) { return item.second == id; });
    if (waits != end) waiting_reads_.erase(waits);
  }
  request->fail(std::move(error));
}

void ReplicaImpl::fail_refused(uint64_t id, Refusal why, NodeId leader) {
  RequestError error{Code::kUnavailable, "", leader};
  switch (why) {
    case Refusal::kNotLeader:
      error.message = leader == kNobody ? "no leader is known; ask again later"
                                        : "not the leader; ask node " + std::to_string(number(leader));
      break;
    case Refusal::kOverloaded:
      error.code = Code::kResourceExhausted;
      error.message = "too much is under way; ask again later";
      break;
    case Refusal::kNotReady:
      error.message = "not ready for this yet; ask again";
      break;
    case Refusal::kInvalid:
      error.code = Code::kInvalidArgument;
      error.message = "this can never be done in this group";
      break;
    case Refusal::kLost:
      error.message = "another leader took over before it was agreed on; ask again";
      break;
  }
  fail(id, std::move(error));
}

void ReplicaImpl::arm_request_timer() {
  const Time deadline = requests_.next_deadline();
  if (deadline == kNever) return;
  request_timer_ = ports_.loop.after(deadline - now(), [this] {
    request_timer_ = 0;
    on_request_timer();
  });
}

void ReplicaImpl::on_request_timer() {
  const Time at = now();
  while (const auto id = requests_.expired(at)) {
    fail(*id, {Code::kDeadlineExceeded, "no answer in time; it may still take effect", core_->report().leader});
  }
  if (request_timer_ == 0) arm_request_timer();
}

}  // namespace clew::consensus
