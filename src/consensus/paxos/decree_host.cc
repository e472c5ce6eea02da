#include "consensus/paxos/decree_host.h"

#include <algorithm>
#include <utility>

#include "consensus/planted.h"

namespace clew::consensus::paxos {
namespace {

constexpr uint64_t kLogFileBytes = 1u << 20;
constexpr size_t kMaxHeldFrames = 4096;  // beyond it they are dropped: whoever waits for them asks again
// What one input may write: twice a decree's record.
constexpr uint64_t kRoom = 6 * kMaxValueBytes;
// After a change, until the voucher tells of it: so long a loss of the log's end would not be noticed.
constexpr Time kSettle = 500 * kMillisecond;

Result<bool> has_log(env::Disk& disk, const std::string& directory) {
  CLEW_ASSIGN(const auto names, disk.list(directory));
  return std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.ends_with(".wal"); });
}

}  // namespace

Result<std::unique_ptr<DecreeHost>> DecreeHost::open(Ports ports, DecreeFiles files, DecreesOptions options,
                                                     UniqueFunction<void(Status)> on_halt) {
  const uint64_t seed = ports.random.next();
  // No make_unique: the constructor is private.
  std::unique_ptr<DecreeHost> host(new DecreeHost(std::move(ports), options, seed, std::move(on_halt)));
  CLEW_TRY(host->recover(files));
  return host;
}

DecreeHost::DecreeHost(Ports ports, DecreesOptions options, uint64_t seed, UniqueFunction<void(Status)> on_halt)
    : ports_(std::move(ports)), self_(options.self), decrees_(options, seed), on_halt_(std::move(on_halt)) {}

DecreeHost::~DecreeHost() {
  if (timer_ != 0) ports_.loop.cancel(timer_);
  if (settle_timer_ != 0) ports_.loop.cancel(settle_timer_);
  for (Waiter& waiter : waiters_) {
    waiter.done(Error{Code::kUnavailable, "this member is stopping; the value may be chosen all the same"});
  }
}

// --- Start ---

//   voucher      | log on disk                   | then
//   -------------+-------------------------------+------------------------------------------------------------------
//   none         | none, and a first start       | made; the voucher comes before anything leaves
//   none         | none, or no group in it       | lost
//   none         | there                         | taken as it is: nothing has left yet, or an earlier version made it
//   kept         | all that it vouches for       | goes on
//   kept         | less                          | lost
//   lost, broken | any                           | lost
//   any          | damaged                       | abstains while the damage shows: such a log is not written anew
//
// That it was lost is durable before a new log takes its place, or shows by the records that the new one lacks.
Status DecreeHost::recover(const DecreeFiles& files) {
  CLEW_TRY(ports_.disk.make_dirs(files.log));
  CLEW_TRY(ports_.disk.make_dirs(files.voucher));
  voucher_directory_ = files.voucher;
  CLEW_ASSIGN(const auto found, DecreeVoucher::read(ports_.disk, files.voucher));
  if (found && !planted(Bug::kDecreeLossAsFirstStart)) {
    voucher_ = *found;
    vouched_ = true;
  }
  const bool expected = vouched_ || (!files.first_start && !planted(Bug::kDecreeLossAsFirstStart));
  CLEW_ASSIGN(const bool there, has_log(ports_.disk, files.log));
  const bool known = voucher_.lost;
  if (expected && !there && !known) {
    voucher_.lost = true;
    CLEW_TRY(voucher_.write(ports_.disk, files.voucher));
    vouched_ = true;
  }
  CLEW_TRY(recover_log(files, expected));
  decrees_.start(wal_->last_record() + 1);

  if (vouched_ || voucher_.lost || wal_->last_record() > 0) {
    voucher_.records = wal_->last_record();
    voucher_.incarnation = decrees_.incarnation();
    const Status written = voucher_.write(ports_.disk, files.voucher);
    // The older one says nothing that is wrong, but of this incarnation: nothing leaves until it is written.
    const bool can_wait = written.code() == Code::kResourceExhausted && (known || !voucher_.lost);
    if (!written.ok() && !can_wait) return written;
    vouched_ = written.ok();
    if (!vouched_) settle_later();
  }
  turn_soon();
  return {};
}

Status DecreeHost::recover_log(const DecreeFiles& files, bool expected) {
  wal::Options options;
  options.directory = files.log;
  options.file_bytes = kLogFileBytes;
  options.spare_files = 1;
  options.wait_for_company = false;
  options.salt = ports_.random.next();
  wal::ReplayReport report;
  LogSeq first = 0, next = 0;  // 0: nothing read yet
  bool holes = false;
  CLEW_ASSIGN(wal_, wal::Wal::open(
                        ports_.loop, ports_.disk, std::move(options),
                        [&](uint64_t record, uint64_t, std::string_view bytes) -> Status {
                          if (first == 0) first = record;
                          holes = holes || (next != 0 && record != next);
                          next = record + 1;
                          return decrees_.recover(record, bytes);
                        },
                        &report, [this](Status why) { halt(std::move(why)); }));
  CLEW_ASSIGN(const bool there, has_log(ports_.disk, files.log));
  if (!there) {  // it would be taken for a lost one by the next start
    return Error{Code::kResourceExhausted, files.log + ": no room for a log; make some and start again"};
  }
  const LogSeq last = wal_->last_record();
  const bool headless = report.damage.empty() && (first == 0 ? last > 0 : vouched_ && first > voucher_.from);
  const bool too_short = vouched_ && last < voucher_.records;
  if (headless || too_short || (expected && report.files == 0)) voucher_.lost = true;
  if (!vouched_ && first != 0) voucher_.from = first;
  if (voucher_.lost || holes || !report.damage.empty()) {
    // Unknown, without a voucher: one that was not used but by the most unlikely chance.
    if (voucher_.incarnation == 0) voucher_.incarnation = (uint64_t{1} << 32) + (ports_.random.next() >> 32);
    decrees_.recover_gap();
    abstains_ = std::string(voucher_.lost ? "its log of decrees was lost" : "its log of decrees is damaged") + " (" +
                files.log +
                "): it may have promised what it does not know any more, so it votes for no decree; those that need "
                "its vote wait. Replace it by a new member (docs/operations.md)";
  }
  decrees_.recover_incarnation(voucher_.incarnation);
  return {};
}

// --- Inputs ---

// Beside what was fed since the last turn and is not written yet.
bool DecreeHost::room_for(size_t bytes) {
  if (!wal_->reserve(unwritten_bytes_ + bytes).ok()) return false;
  unwritten_bytes_ += bytes;
  return true;
}

void DecreeHost::later(Done done, std::variant<Outcome, Error> answer) {
  ports_.loop.post([done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
}

void DecreeHost::propose(const std::string& decree, std::vector<NodeId> acceptors, std::string wish, Time timeout,
                         Done done) {
  if (halted_) return later(std::move(done), Error{Code::kUnavailable, "this member's log of decrees has failed"});
  if (!room_for(kRoom)) {
    return later(std::move(done), Error{Code::kResourceExhausted, "the disk has no room for a promise; ask again"});
  }
  turn_soon();
  const auto known = decrees_.find(decree);
  const bool under_way = known && known->proposer != nullptr && !known->proposer->idle();
  if (!under_way) {
    if (const Status begun = decrees_.propose(now(), decree, std::move(acceptors), std::move(wish)); !begun.ok()) {
      return later(std::move(done), begun.error());
    }
  }
  waiters_.push_back({decree, now() + timeout, std::move(done)});
}

void DecreeHost::receive(NodeId from, std::string_view frame) {
  if (halted_ || !room_for(kRoom)) return;
  decrees_.receive(now(), from, frame);
  turn_soon();
}

// --- Turns ---

void DecreeHost::turn_soon() {
  if (std::exchange(turn_posted_, true)) return;
  ports_.loop.post([this, alive = Guard(alive_)] {
    if (alive.expired()) return;
    turn_posted_ = false;
    turn();
  });
}

void DecreeHost::turn() {
  if (halted_) return;
  effects_.clear();
  // What is damaged stays, to be seen by the next start, too.
  if (!decrees_.amnesiac() && decrees_.wants_compaction() && room_for(decrees_.compaction_bytes())) decrees_.compact();
  decrees_.collect(effects_);
  tell_observer();
  for (size_t i = 0; i < effects_.records.size(); ++i) {
    const std::string_view pieces[] = {effects_.records[i]};
    Task done;  // the last one stands for all
    if (i + 1 == effects_.records.size()) done = [this] { on_durable(); };
    wal_->append(pieces, std::move(done));
  }
  if (effects_.release_below != 0) {
    release_below_ = effects_.release_below;
    release_after_ = wal_->last_record();
  }
  unwritten_bytes_ = 0;
  if (wal_->wants_rotation()) wal_->rotate();
  for (Send& send : effects_.sends) {
    if (send.after <= speakable()) {
      deliver(send.to, std::move(send.frame));
    } else if (held_.size() < kMaxHeldFrames) {
      held_.push_back({send.after, send.to, std::move(send.frame)});
    }
  }
  wal_->flush();
  answer_waiters();
  arm();
}

void DecreeHost::tell_observer() {
  const std::vector<Decrees::Ended> phases = decrees_.take_phases();
  if (ports_.observer == nullptr) return;
  for (const Fact& fact : effects_.facts) ports_.observer->on_decree_fact(fact);
  for (const auto& [decree, phase] : phases) ports_.observer->on_decree_phase(decree, phase);
}

// What it says to itself comes back by the loop, like what others say.
void DecreeHost::deliver(NodeId to, std::string frame) {
  if (ports_.sent) ports_.sent(to, frame);
  if (to != self_) return ports_.send(to, std::move(frame));
  ports_.loop.post([this, alive = Guard(alive_), frame = std::move(frame)] {
    if (!alive.expired()) receive(self_, frame);
  });
}

void DecreeHost::on_durable() {
  if (halted_) return;
  release_held();
  const bool release = release_below_ != 0 && release_after_ <= wal_->durable_record();
  if (!vouched_ || release) return vouch();
  settle_later();
}

void DecreeHost::release_held() {
  // Frames of one turn wait for one record, and turns come in order.
  while (!held_.empty() && held_.front().after <= speakable()) {
    Held held = std::move(held_.front());
    held_.pop_front();
    deliver(held.to, std::move(held.frame));
  }
}

// --- The voucher ---

// What was durable so far, the end of the log soon so that it shows damage by itself (docs/format/wal.md), and where it
// begins before anything in front of that goes.
void DecreeHost::vouch() {
  if (std::exchange(vouching_, true)) return;
  DecreeVoucher voucher = voucher_;
  voucher.records = wal_->durable_record();
  voucher.incarnation = decrees_.incarnation();
  if (release_below_ != 0 && release_after_ <= voucher.records) voucher.from = release_below_;
  auto status = std::make_shared<Status>();  // shared by the work and its completion
  ports_.loop.offload(
      env::Lane::kFiles,
      [&disk = ports_.disk, directory = voucher_directory_, voucher, status] {
        *status = voucher.write(disk, directory);
      },
      [this, alive = Guard(alive_), voucher, status] {
        if (!alive.expired()) vouched(voucher, std::move(*status));
      });
}

void DecreeHost::vouched(const DecreeVoucher& voucher, Status status) {
  vouching_ = false;
  if (halted_) return;
  if (!status.ok() && status.code() != Code::kResourceExhausted) return halt(std::move(status));
  if (!status.ok()) return settle_later();  // and nothing leaves meanwhile that was never vouched for
  voucher_ = voucher;
  vouched_ = true;
  if (release_below_ != 0 && voucher_.from == release_below_) wal_->release(std::exchange(release_below_, 0) - 1);
  release_held();
  if (voucher_.records < wal_->durable_record()) settle_later();
}

void DecreeHost::settle_later() {
  if (settle_timer_ != 0) return;
  settle_timer_ = ports_.loop.after(kSettle, [this] {
    settle_timer_ = 0;
    if (halted_) return;
    wal_->trim();
    vouch();
  });
}

void DecreeHost::answer_waiters() {
  const Time at = now();
  for (size_t i = 0; i < waiters_.size();) {
    Waiter& waiter = waiters_[i];
    const auto decree = decrees_.find(waiter.decree);
    const bool over = decree && decree->chosen;
    if (!over && waiter.until > at) {
      ++i;
      continue;
    }
    Waiter gone = std::move(waiter);
    waiters_.erase(waiters_.begin() + static_cast<ptrdiff_t>(i));
    if (over) {
      Outcome outcome;
      outcome.chosen = *decree->chosen;
      outcome.acceptors = decree->acceptors;
      if (decree->proposer != nullptr) {
        outcome.attempts = decree->proposer->attempts();
        outcome.attempts_made = decree->proposer->attempts_made();
      }
      later(std::move(gone.done), std::move(outcome));
      continue;
    }
    const bool others =
        std::any_of(waiters_.begin(), waiters_.end(), [&](const Waiter& other) { return other.decree == gone.decree; });
    if (!others) decrees_.give_up(at, gone.decree);
    later(std::move(gone.done), Error{Code::kDeadlineExceeded,
                                      "no quorum of the acceptors answered in time, or other proposers were always "
                                      "ahead; the value may be chosen all the same: ask again"});
  }
}

void DecreeHost::arm() {
  Time first = decrees_.deadline();
  for (const Waiter& waiter : waiters_) first = std::min(first, waiter.until);
  if (timer_ != 0) ports_.loop.cancel(timer_);
  timer_ = 0;
  if (first == kNever) return;
  timer_ = ports_.loop.after(std::max<Time>(first - now(), 0), [this] {
    timer_ = 0;
    if (halted_) return;
    decrees_.tick(now());
    turn_soon();
  });
}

void DecreeHost::halt(Status why) {
  if (std::exchange(halted_, true)) return;
  held_.clear();
  ports_.loop.post([this, alive = Guard(alive_), why = std::move(why)]() mutable {
    if (alive.expired()) return;
    for (Waiter& waiter : std::exchange(waiters_, {})) {
      waiter.done(Error{Code::kUnavailable,
                        "this member's log of decrees has failed; the value may be chosen all the "
                        "same"});
    }
    if (on_halt_) on_halt_(std::move(why));
  });
}

}  // namespace clew::consensus::paxos
