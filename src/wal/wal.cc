#include "wal/wal.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "wal/files.h"
#include "wal/format.h"
#include "wal/group.h"
#include "wal/recovery.h"

namespace clew::wal {
namespace {

constexpr uint64_t kIdleRoomBytes = 1 << 20;   // stays preallocated after trim(): enough until more is made
constexpr int64_t kRetryDelayNs = 50'000'000;  // for a file that admitted records wait for, on a full disk
constexpr int64_t kCompanyNs = 200'000;        // see waits_for_company(): well below what a sync takes
constexpr uint64_t kWriteAheadBytes = 1 << 20;
constexpr uint64_t kSmallGroupBytes = 32 << 10;  // groups up to this are written over zeros
constexpr size_t kBuffersKept = 2;               // one being written, one being gathered

// Invariants:
//  1. At most one write is in flight, and at most one job that changes files. Groups are written in the order of their
//     records; file jobs run in the order of asking.
//  2. A file takes groups only when its name is durable (files.h) and is let go of only when a later file has a durable
//     group, so that the numbering survives: a restart always finds the last number given out and made durable.
//  3. While a trim cuts the current file no write is in flight, so that it cannot cut a group off.
//  4. No group is written to where zeros are being written (overlaps_zeros()).
//  5. Jobs in the kFiles lane touch no member; what they find out comes back to the loop.
class WalImpl final : public Wal {
 public:
  WalImpl(env::Loop& loop, env::Disk& disk, Options options, Recovered recovered, UniqueFunction<void(Status)> on_halt)
      : loop_(loop),
        disk_(disk),
        options_(std::move(options)),
        slack_bytes_(align_up(
            std::max<uint64_t>(2 * kBlockBytes, std::min(2 * options_.max_group_bytes, options_.file_bytes / 2)))),
        on_halt_(std::move(on_halt)),
        last_record_(recovered.next_record - 1),
        durable_record_(last_record_) {
    for (Recovered::File& file : recovered.files) {
      old_files_.push_back({file.number, std::move(file.path), file.bytes, file.last_record});
    }
    current_ = new_target(recovered.next_file);
  }

  // The first file and its first group. Blocking. On a full disk the log starts all the same and refuses until there is
  // room.
  Status start() {
    auto made = make_file(disk_, options_.directory, current_->number, "", first_allocation(), options_.direct);
    if (made.ok()) {
      *current_ = std::move(made).value();
      Group mark(current_, last_record_ + 1, {});
      mark.seal(0, options_.salt);
      CLEW_TRY(current_->file->write_at(0, mark.bytes()));
      CLEW_TRY(current_->file->sync());
      end_ = mark.bytes_on_disk();
      current_has_group_ = true;
      return {};
    }
    if (made.status().code() != Code::kResourceExhausted) return made.status();
    space_error_ = std::string(made.status().message());
    queue_mark();
    loop_.post([this, alive = std::weak_ptr(alive_)] {  // open() may run elsewhere than on the loop, timers may not
      if (!alive.expired()) retry_current_later();
    });
    return {};
  }

  uint64_t append(std::span<const std::string_view> pieces, Task done) override {
    uint64_t body_bytes = 0;
    for (const std::string_view piece : pieces) body_bytes += piece.size();
    CHECK(body_bytes <= options_.max_record_bytes && body_bytes <= UINT32_MAX);
    const uint64_t number = ++last_record_;
    if (halt_called_) return number;
    at_rest_ = false;
    const uint64_t grown = kRecordHeaderBytes + body_bytes;
    if (gathering_ && gathering_->payload_bytes() + grown + kGroupHeaderBytes > options_.max_group_bytes &&
        gathering_->records() > 0) {
      seal_gathering();
    }
    if (!gathering_) gathering_ = std::make_unique<Group>(current_, number, take_buffer());
    pending_bytes_ += grown;
    if (options_.durability == Durability::kMemory) {
      complete_soon(std::move(done));
      done = nullptr;
    }
    gathering_->add(pieces, static_cast<uint32_t>(body_bytes), options_.salt, std::move(done));
    flush_soon();
    return number;
  }

  void flush() override { pump(); }

  Status reserve(uint64_t bytes) override {
    if (halt_called_)
      return Error{Code::kUnavailable, "the log in " + options_.directory + " has halted after an I/O error"};
    if (pending_bytes_ > 0 && pending_bytes_ + bytes > options_.max_pending_bytes) {
      return Error{Code::kUnavailable, options_.directory + ": the disk is behind, " + std::to_string(pending_bytes_) +
                                           " bytes wait to be written; try again later"};
    }
    // Headers and the padding of the groups that these bytes may be spread over.
    const uint64_t need = align_up(bytes + bytes / 8) + 4 * kBlockBytes;
    const uint64_t room = room_left();
    // Ahead of time, but for a log at rest: a promise for a mere heartbeat would take back what trim() gave.
    if (room < need || (!at_rest_ && room < need + slack_bytes_ / 2)) make_room(need);
    if (room >= need) return {};
    if (!space_error_.empty()) return Error{Code::kResourceExhausted, space_error_};
    return Error{Code::kUnavailable, options_.directory + ": log space is being made; try again"};
  }

  bool wants_rotation() const override {
    return planned_end() >= options_.file_bytes && next_ != nullptr && next_->file != nullptr;
  }

  uint64_t rotate() override {
    seal_gathering();
    old_files_.push_back({current_->number, current_->path, current_->allocated, last_record_});
    leaving_.push_back({current_, end_});
    const bool next_exists = next_ != nullptr;
    current_ = next_exists ? std::move(next_) : new_target(current_->number + 1);
    next_ = nullptr;
    end_ = 0;
    current_has_group_ = false;
    queue_mark();
    if (!next_exists) make_current();
    flush_soon();
    return current_->number;
  }

  uint64_t current_file() const override { return current_->number; }

  void release(uint64_t up_to_record) override {
    released_ = std::max(released_, up_to_record);
    retire_released();
  }

  void trim() override {
    if (halt_called_ || trimming_ || !idle()) return;
    if (last_group_had_records_) {  // puts a group behind the last records, so that they cannot be taken for a torn
                                    // tail
      trim_after_mark_ = true;
      queue_mark();
      flush_soon();
      return;
    }
    trim_now();
  }

  uint64_t last_record() const override { return last_record_; }
  uint64_t durable_record() const override { return durable_record_; }
  uint64_t disk_bytes() const override {
    uint64_t sum = current_->allocated + (next_ ? next_->allocated : 0);
    for (const OldFile& file : old_files_) sum += file.bytes;
    for (const Spare& spare : spares_) sum += spare.bytes;
    return sum;
  }
  uint64_t sync_count() const override { return groups_committed_; }
  bool halted() const override { return halt_called_; }

 private:
  struct OldFile {
    uint64_t number;
    std::string path;
    uint64_t bytes;
    uint64_t last_record;
  };
  struct Spare {
    std::string path;
    uint64_t bytes;
  };
  struct Leaving {  // rotated away from, groups for it may still wait
    std::shared_ptr<LogFile> file;
    uint64_t end;
  };
  struct Job {
    UniqueFunction<Status()> work;      // in the kFiles lane
    UniqueFunction<void(Status)> done;  // on the loop
  };

  uint64_t first_allocation() const { return align_up(options_.file_bytes) + slack_bytes_; }
  uint64_t planned_end() const {
    return end_ + (gathering_ ? align_up(kGroupHeaderBytes + gathering_->payload_bytes()) : 0);
  }
  uint64_t room_left() const {
    if (current_->file == nullptr) return 0;
    const uint64_t end = planned_end();
    return end < current_->allocated ? current_->allocated - end : 0;
  }
  bool idle() const {
    return !write_in_flight_ && queue_.empty() && gathering_ == nullptr && current_->file != nullptr;
  }

  std::shared_ptr<LogFile> new_target(uint64_t number) const {
    auto file = std::make_shared<LogFile>();
    file->number = number;
    file->path = options_.directory + "/" + file_name(number);
    return file;
  }

  env::AlignedBuffer take_buffer() {
    if (buffers_.empty()) return {};
    env::AlignedBuffer buffer = std::move(buffers_.back());
    buffers_.pop_back();
    return buffer;
  }

  // --- Groups ---

  void enqueue(std::unique_ptr<Group> group) {
    group->seal(end_, options_.salt);
    end_ += group->bytes_on_disk();
    queue_.push_back(std::move(group));
  }
  void seal_gathering() {
    if (gathering_ == nullptr) return;
    enqueue(std::move(gathering_));
    if (end_ >= options_.file_bytes / 2) make_next();
  }
  void queue_mark() { enqueue(std::make_unique<Group>(current_, last_record_ + 1, take_buffer())); }

  void flush_soon() {
    if (write_in_flight_ || flush_posted_) return;
    flush_posted_ = true;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      flush_posted_ = false;
      pump();
    });
  }

  void complete_soon(Task done) {
    completed_at_once_.push_back(std::move(done));
    if (completed_at_once_.size() > 1) return;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      std::vector<Task> completions = std::exchange(completed_at_once_, {});
      for (Task& task : completions) {
        if (task && !halt_called_) task();
      }
    });
  }

  void pump() {
    if (halt_called_ || write_in_flight_ || trimming_) return;
    if (queue_.empty()) {
      if (waits_for_company()) return;
      seal_gathering();
    }
    if (queue_.empty() || queue_.front()->target()->file == nullptr || overlaps_zeros(*queue_.front())) return;
    std::unique_ptr<Group> group = std::move(queue_.front());
    queue_.pop_front();
    write_in_flight_ = true;
    env::File& file = *group->target()->file;
    const uint64_t offset = group->offset();
    group->target()->written = std::max(group->target()->written, offset + group->bytes_on_disk());
    write_ahead(*group);
    const std::string_view bytes = group->bytes();
    // The completion owns the group, hence the buffer and the open file, whatever becomes of this log meanwhile.
    file.submit_write(loop_, offset, bytes, options_.durability == Durability::kDisk,
                      [this, alive = std::weak_ptr(alive_), group = std::move(group)](Status status) mutable {
                        if (!alive.expired()) written(std::move(group), std::move(status));
                      });
  }

  // The first write to a preallocated block changes the inode, which the sync has to write, too: a third of what a
  // small group costs. So small groups go where zeros were written, a mebibyte at a time. Recycled files need none.
  void write_ahead(const Group& group) {
    const std::shared_ptr<LogFile>& file = group.target();
    if (file != current_ || zeros_to_ != nullptr || group.records() == 0 || group.bytes_on_disk() > kSmallGroupBytes)
      return;
    const uint64_t begin = align_up(std::max(file->written, end_));
    if (begin > end_ + kWriteAheadBytes / 4) return;
    const uint64_t end = std::min(begin + kWriteAheadBytes, file->allocated / kBlockBytes * kBlockBytes);
    if (begin >= end) return;
    zeros_to_ = file;
    zeros_begin_ = begin;
    zeros_end_ = end;
    run_job(
        [file, begin, end]() -> Status {
          env::AlignedBuffer zeros(end - begin);
          std::fill_n(zeros.data(), end - begin, '\0');
          return file->file->write_at(begin, {zeros.data(), end - begin});
        },
        [this](const Status& status) {  // a disk that fails here fails the next group, which says so
          if (status.ok()) zeros_to_->written = std::max(zeros_to_->written, zeros_end_);
          zeros_to_ = nullptr;
          pump();
        });
  }
  bool overlaps_zeros(const Group& group) const {
    return group.target() == zeros_to_ && group.offset() < zeros_end_ &&
           group.offset() + group.bytes_on_disk() > zeros_begin_;
  }

  // Clients that were answered by one group come back together, a moment apart: without a pause, two halves of them
  // would alternate for ever, each paying a sync of its own. So a group waits until it holds as many records as were on
  // their way when the last one finished, but no longer than kCompanyNs. A lone client never waits.
  bool waits_for_company() {
    const bool full = gathering_ == nullptr || gathering_->records() >= expected_records_ ||
                      gathering_->payload_bytes() >= options_.max_group_bytes / 4;
    if (!options_.wait_for_company || options_.durability != Durability::kDisk || full || company_came_ ||
        current_->file == nullptr) {
      if (company_timer_ != 0) loop_.cancel(std::exchange(company_timer_, 0));
      company_came_ = false;
      return false;
    }
    if (company_timer_ == 0) {
      company_timer_ = loop_.after(kCompanyNs, [this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        company_timer_ = 0;
        company_came_ = true;
        pump();
      });
    }
    return true;
  }

  void written(std::unique_ptr<Group> group, Status status) {
    write_in_flight_ = false;
    if (halt_called_) return;
    if (!status.ok()) return halt(std::move(status));
    pending_bytes_ -= group->payload_bytes();
    durable_record_ = group->next_record() - 1;
    ++groups_committed_;
    last_group_had_records_ = group->records() > 0;
    expected_records_ = group->records() + (gathering_ ? gathering_->records() : 0);
    if (group->target() == current_) current_has_group_ = true;
    leave_files();
    std::vector<Task> completions = group->take_completions();
    if (buffers_.size() < kBuffersKept) {
      env::AlignedBuffer buffer = group->take_buffer();
      if (buffer.capacity() <= 2 * options_.max_group_bytes) buffers_.push_back(std::move(buffer));
    }
    group.reset();
    pump();  // the disk first: what gathered meanwhile is written while the completions run
    for (Task& done : completions) done();
    retire_released();
    if (trim_after_mark_ && idle()) {
      trim_after_mark_ = false;
      if (!trimming_ && !last_group_had_records_) trim_now();
    }
  }

  void halt(Status status) {
    if (halt_called_) return;
    halt_called_ = true;
    queue_.clear();
    gathering_.reset();
    jobs_.clear();
    if (on_halt_) on_halt_(std::move(status));
  }

  // --- Files ---

  void run_job(UniqueFunction<Status()> work, UniqueFunction<void(Status)> done) {
    jobs_.push_back({std::move(work), std::move(done)});
    if (!job_running_) next_job();
  }
  void next_job() {
    if (jobs_.empty()) return;
    job_running_ = true;
    auto job = std::make_shared<Job>(std::move(jobs_.front()));  // shared by the work and its completion
    auto status = std::make_shared<Status>();                    // likewise
    jobs_.pop_front();
    loop_.offload(
        env::Lane::kFiles, [job, status] { *status = job->work(); },
        [this, alive = std::weak_ptr(alive_), job, status] {
          if (alive.expired()) return;
          job_running_ = false;
          if (!halt_called_) job->done(std::move(*status));
          if (!job_running_) next_job();
        });
  }

  // Makes `target`'s file, of a spare if there is one; `done` sees the target ready or the error.
  void make_target(std::shared_ptr<LogFile> target, UniqueFunction<void(Status)> done) {
    std::string spare;
    if (!spares_.empty()) {
      spare = std::move(spares_.back().path);
      spares_.pop_back();
    }
    const uint64_t number = target->number;
    auto made = std::make_shared<LogFile>();  // shared by the work and its completion
    run_job(
        [&disk = disk_, directory = options_.directory, number, spare = std::move(spare), bytes = first_allocation(),
         direct = options_.direct, made]() -> Status {
          auto result = make_file(disk, directory, number, spare, bytes, direct);
          if (!result.ok()) return result.status();
          *made = std::move(result).value();
          return {};
        },
        [this, made, target = std::move(target), done = std::move(done)](Status status) mutable {
          if (status.ok()) {
            *target = std::move(*made);
            space_error_.clear();
          } else {
            space_error_ = std::string(status.message());
          }
          done(std::move(status));
        });
  }

  // The current file when it has to be made while records may wait for it already.
  void make_current() {
    make_target(current_, [this](Status status) {
      if (status.ok()) return pump();
      if (status.code() != Code::kResourceExhausted) return halt(std::move(status));
      retry_current_later();
    });
  }
  void retry_current_later() {
    loop_.after(kRetryDelayNs, [this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired() && !halt_called_) make_current();
    });
  }

  void make_next() {
    if (next_ != nullptr || current_->file == nullptr) return;
    next_ = new_target(current_->number + 1);
    make_target(next_, [this, target = next_](Status status) {
      if (target == current_) {  // a rotation could not wait for it
        if (status.ok()) return pump();
        if (status.code() != Code::kResourceExhausted) return halt(std::move(status));
        return retry_current_later();
      }
      if (!status.ok() && next_ == target) next_ = nullptr;  // asked for again by the next reserve or group
    });
  }

  // More room in the current file for `need` bytes and some to spare.
  void make_room(uint64_t need) {
    if (current_->file == nullptr || extending_) return;
    if (end_ >= options_.file_bytes / 2) make_next();
    extending_ = true;
    const uint64_t size = align_up(std::max(planned_end() + need + slack_bytes_, first_allocation()));
    run_job([file = current_, size] { return file->file->preallocate(size); },
            [this, file = current_, size](const Status& status) {
              extending_ = false;
              space_error_ = std::string(status.message());
              if (status.ok()) file->allocated = std::max(file->allocated, size);
            });
  }

  // Files that were rotated away from and have all their groups: gives back what was allocated behind the end.
  void leave_files() {
    while (!leaving_.empty()) {
      Leaving& first = leaving_.front();
      const bool waits =
          std::any_of(queue_.begin(), queue_.end(), [&](const auto& group) { return group->target() == first.file; });
      if (waits) return;
      // A nearly full one is worth more for recycling as it is.
      if (first.file->allocated > first.end + 2 * slack_bytes_) {
        for (OldFile& old : old_files_) {
          if (old.number == first.file->number) old.bytes = first.end;
        }
        // Failing to give back is no harm: the space goes with the file.
        run_job([file = first.file, end = first.end] { return file->file->truncate(end); }, [](const Status&) {});
      }
      leaving_.pop_front();
    }
  }

  void retire_released() {
    if (retiring_ || halt_called_ || !current_has_group_ || old_files_.empty()) return;
    const OldFile& oldest = old_files_.front();
    if (oldest.last_record > released_ || oldest.last_record > durable_record_ || oldest.number >= current_->number)
      return;
    retiring_ = true;
    const bool keep = spares_.size() < options_.spare_files && oldest.bytes >= options_.file_bytes / 2;
    auto spare_path = std::make_shared<std::string>();  // shared by the work and its completion
    run_job([&disk = disk_, directory = options_.directory, path = oldest.path, keep,
             spare_path] { return retire_file(disk, directory, path, keep ? spare_path.get() : nullptr); },
            [this, keep, spare_path](const Status& status) {
              retiring_ = false;
              // A file that cannot be taken away is tried again with the next release.
              if (!status.ok()) return;
              if (keep) spares_.push_back({*spare_path, old_files_.front().bytes});
              old_files_.pop_front();
              retire_released();
            });
  }

  void trim_now() {
    at_rest_ = true;
    const uint64_t kept = align_up(end_ + std::min(kIdleRoomBytes, slack_bytes_));
    if (spares_.empty() && next_ == nullptr && current_->allocated <= kept) return;
    if (next_ != nullptr && next_->file == nullptr) return;  // being made; the next trim finds it
    trimming_ = true;
    std::vector<std::string> doomed;
    for (Spare& spare : spares_) doomed.push_back(std::move(spare.path));
    spares_.clear();
    if (next_ != nullptr) doomed.push_back(next_->path);
    next_ = nullptr;
    current_->allocated = std::min(current_->allocated, kept);
    current_->written = std::min(current_->written, kept);
    run_job(
        [&disk = disk_, directory = options_.directory, doomed = std::move(doomed), file = current_, kept]() -> Status {
          for (const std::string& path : doomed) CLEW_TRY(disk.remove(path));
          CLEW_ASSIGN(const uint64_t size, file->file->size());
          if (size > kept) CLEW_TRY(file->file->truncate(kept));
          return disk.sync_dir(directory);
        },
        [this](const Status&) {  // what could not be given back now is found at the next start
          trimming_ = false;
          pump();
        });
  }

  env::Loop& loop_;
  env::Disk& disk_;
  const Options options_;
  const uint64_t slack_bytes_;  // allocated behind file_bytes: what is appended before a rotation comes about
  UniqueFunction<void(Status)> on_halt_;
  uint32_t expected_records_ = 0;  // see waits_for_company()
  env::TimerId company_timer_ = 0;
  bool company_came_ = false;
  const std::shared_ptr<char> alive_ =
      std::make_shared<char>();  // shared: tasks of the loop ask it whether `this` lives

  std::shared_ptr<LogFile> current_;   // what gathers now; shared with its groups and jobs
  std::shared_ptr<LogFile> next_;      // made ahead; without a file while being made
  std::shared_ptr<LogFile> zeros_to_;  // zeros are being written to it; shared with the job
  uint64_t zeros_begin_ = 0, zeros_end_ = 0;
  std::deque<Leaving> leaving_;
  std::deque<OldFile> old_files_;
  std::vector<Spare> spares_;
  uint64_t end_ = 0;                // of the sealed groups in current_
  bool current_has_group_ = false;  // a durable one

  std::unique_ptr<Group> gathering_;
  std::deque<std::unique_ptr<Group>> queue_;  // sealed, not yet written
  std::vector<env::AlignedBuffer> buffers_;
  std::vector<Task> completed_at_once_;
  uint64_t pending_bytes_ = 0;
  uint64_t last_record_;
  uint64_t durable_record_;
  uint64_t released_ = 0;
  uint64_t groups_committed_ = 0;
  std::string space_error_;  // of the last attempt to make room; empty when it succeeded

  std::deque<Job> jobs_;
  bool job_running_ = false;
  bool write_in_flight_ = false;
  bool flush_posted_ = false;
  bool last_group_had_records_ = false;
  bool trim_after_mark_ = false;
  bool at_rest_ = false;  // nothing was appended since it was trimmed
  bool trimming_ = false;
  bool extending_ = false;
  bool retiring_ = false;
  bool halt_called_ = false;
};

}  // namespace

Result<std::unique_ptr<Wal>> Wal::open(env::Loop& loop, env::Disk& disk, Options options, ReplayFn replay,
                                       ReplayReport* report, UniqueFunction<void(Status)> on_halt) {
  CHECK(options.file_bytes > 0 && options.max_group_bytes > 0 && options.max_record_bytes <= UINT32_MAX);
  CLEW_TRY(disk.make_dirs(options.directory));
  ReplayReport ignored;
  CLEW_ASSIGN(Recovered recovered, recover(disk, options, replay, report != nullptr ? *report : ignored));
  auto wal = std::make_unique<WalImpl>(loop, disk, std::move(options), std::move(recovered), std::move(on_halt));
  CLEW_TRY(wal->start());
  return std::unique_ptr<Wal>(std::move(wal));
}

}  // namespace clew::wal
