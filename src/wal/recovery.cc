// How recovery decides. A file is walked from group to group; a place where no acceptable header stands is searched in
// steps of 4 KiB for the next one. A header is acceptable when magic and checksum hold, it names this file and its own
// offset, carries the salt of the run that wrote the file, and its record numbers do not go back.
//
//   at the expected place    | acceptable header later?        | then
//   -------------------------+---------------------------------+------------------------------------------------------
//   header, all records good | -                               | replay
//   header, a bad record     | yes, here or in a later file    | damage: report, skip that record, replay the others
//   header, a bad record     | no                              | torn tail: the group is cut, none of it is replayed
//   header, cannot be read   | -                               | damage (an I/O error is never taken for a tail)
//   no header                | yes, in this file               | damage: report, go on there; the numbers tell the loss
//   no header                | no, but a later file goes on    | end of this file; a jump in the numbers is reported
//                            | with the next number            |   as damage, an unbroken sequence is the clean end
//   no header                | no, nothing later               | end of the log
//
// Why a later header is proof: with durability kDisk a group is written only after the one before it was synced. Hence
// only the very last group can be torn, and none of its records was ever reported as done. The start of every file and
// every trim() write a group without records, so the last records of a settled log have such a proof behind them.
// With kOs and kMemory a power cut can lose groups in the middle; they are reported as damage, since that is what they
// are.
#include "wal/recovery.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "wal/format.h"

namespace clew::wal {
namespace {

constexpr uint64_t kWindowBytes = 1 << 20;
// No log gets there; keeps sums of what a header says from overflowing.
constexpr uint64_t kMostRecords = uint64_t{1} << 62;
constexpr uint64_t kMostBytes = uint64_t{1} << 48;

// A read that fails may succeed when it is tried again (unlike a sync, whose second answer tells nothing), and what
// cannot be read at the end of the log would be cut off as a torn tail.
constexpr int kReadTries = 8;

Result<size_t> read_patiently(const env::File& file, uint64_t offset, char* out, size_t size) {
  Result<size_t> got = file.read_at(offset, out, size);
  for (int tries = 1; !got.ok() && tries < kReadTries; ++tries) got = file.read_at(offset, out, size);
  return got;
}

// Reads blocks of a file through a window, block by block where the window cannot be read as a whole.
class BlockReader {
 public:
  BlockReader(const env::File& file, uint64_t size) : file_(file), size_(size), window_(kWindowBytes) {}

  // The block at `offset` (shorter at the end of the file); nothing when the disk refuses it.
  std::optional<std::string_view> block(uint64_t offset) {
    if (offset < begin_ || offset >= end_) {
      if (!load(offset, kWindowBytes) && !load(offset, kBlockBytes)) return {};
    }
    return std::string_view(window_.data() + (offset - begin_), std::min(kBlockBytes, end_ - offset));
  }

 private:
  bool load(uint64_t offset, uint64_t bytes) {
    begin_ = end_ = 0;
    const auto got = read_patiently(file_, offset, window_.data(), std::min(bytes, size_ - offset));
    if (!got.ok() || *got == 0) return false;
    begin_ = offset;
    end_ = offset + *got;
    return true;
  }
  const env::File& file_;
  uint64_t size_;
  env::AlignedBuffer window_;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
};

struct Gap {  // bytes in front of group `before` that are no group
  size_t before = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

struct FileIndex {
  uint64_t number = 0;
  std::string name;
  std::string path;
  uint64_t size = 0;
  std::unique_ptr<env::File> file;
  std::vector<GroupHeader> groups;
  std::vector<Gap> gaps;
  std::optional<uint64_t> unreadable;  // where the device refuses to read, behind the last group

  uint64_t end() const { return groups.empty() ? 0 : groups.back().offset + groups.back().bytes_on_disk(); }
};

// `expected` is the least record number that may follow; raised to what follows this file's groups.
void index_groups(FileIndex& file, uint64_t& expected) {
  BlockReader reader(*file.file, file.size);
  std::optional<uint64_t> salt;
  constexpr uint64_t kNone = UINT64_MAX;
  uint64_t gap_begin = kNone;
  uint64_t at = 0;
  while (at < file.size) {
    const auto block = reader.block(at);
    const auto header = block ? read_group_header(*block) : std::nullopt;
    const bool acceptable = header && header->file == file.number && header->offset == at &&
                            (!salt || *salt == header->salt) && header->first_record >= expected &&
                            header->first_record < kMostRecords && header->payload_bytes < kMostBytes;
    if (!acceptable) {
      if (!block && !file.unreadable) file.unreadable = at;
      if (gap_begin == kNone) gap_begin = at;
      at += kBlockBytes;
      continue;
    }
    if (gap_begin != kNone) file.gaps.push_back({file.groups.size(), gap_begin, at - gap_begin});
    gap_begin = kNone;
    file.unreadable.reset();
    salt = header->salt;
    expected = header->next_record();
    file.groups.push_back(*header);
    at += header->bytes_on_disk();
  }
}

// What the device does not give out at the end of the log may be records that were acknowledged: it is no torn tail.
Status check_end(const std::vector<FileIndex>& files) {
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    if (file->unreadable) {
      return {Code::kDataLoss, file->path + ": I/O error at " + std::to_string(*file->unreadable) +
                                   ", where the log may go on; nothing was changed: copy the directory to a sound "
                                   "disk if it can be read there, else this log has lost its end"};
    }
    if (!file->groups.empty()) break;
  }
  return {};
}

class Replayer {
 public:
  Replayer(const Options& options, ReplayFn& replay, ReplayReport& report)
      : options_(options), replay_(replay), report_(report) {}

  // Whether all of the group is there and intact; nothing when it cannot be read.
  std::optional<bool> intact(const FileIndex& file, const GroupHeader& group) {
    const auto payload = read_payload(file, group);
    if (!payload) return {};
    RecordReader reader(*payload, group.salt, group.first_record);
    std::string_view body;
    for (uint32_t i = 0; i < group.records; ++i) {
      if (reader.next(options_.max_record_bytes, &body) != RecordReader::Outcome::kRecord) return false;
    }
    return payload->size() == group.payload_bytes;
  }

  Status replay_group(const FileIndex& file, const GroupHeader& group) {
    const auto payload = read_payload(file, group);
    if (!payload) {
      damage(file, group.offset, group.bytes_on_disk(), "I/O error; " + lost(group.records));
      return {};
    }
    RecordReader reader(*payload, group.salt, group.first_record);
    std::string_view body;
    BadRecords bad;
    for (uint32_t i = 0; i < group.records; ++i) {
      const uint64_t before = reader.remaining();
      const uint64_t offset = group.offset + kGroupHeaderBytes + (payload->size() - before);
      switch (reader.next(options_.max_record_bytes, &body)) {
        case RecordReader::Outcome::kRecord:
          report_bad(file, bad);
          ++report_.records;
          report_.bytes += body.size();
          CLEW_TRY(replay_(group.first_record + i, file.number, body));
          break;
        case RecordReader::Outcome::kDamaged:
          if (bad.count++ == 0) bad = {offset, 0, group.first_record + i, 1};
          bad.bytes += before - reader.remaining();
          break;
        case RecordReader::Outcome::kLost:
          report_bad(file, bad);
          damage(file, offset, group.offset + group.bytes_on_disk() - offset,
                 "record " + std::to_string(group.first_record + i) + " has an impossible length; " +
                     lost(group.records - i));
          return {};
      }
    }
    report_bad(file, bad);
    return {};
  }

  void damage(const FileIndex& file, uint64_t offset, uint64_t bytes, std::string what) {
    report_.damage.push_back({file.path, offset, bytes, std::move(what)});
  }
  static std::string lost(uint64_t records) {
    return records == 0 ? "no record lost"
                        : std::to_string(records) + (records == 1 ? " record lost" : " records lost");
  }

 private:
  struct BadRecords {  // side by side: reported as one, so that a report stays small whatever a file holds
    uint64_t offset = 0;
    uint64_t bytes = 0;
    uint64_t first = 0;
    uint64_t count = 0;
  };
  void report_bad(const FileIndex& file, BadRecords& bad) {
    if (bad.count == 0) return;
    damage(file, bad.offset, bad.bytes,
           bad.count == 1 ? "record " + std::to_string(bad.first) + " does not match its checksum"
                          : "records " + std::to_string(bad.first) + " to " +
                                std::to_string(bad.first + bad.count - 1) + " do not match their checksums");
    bad = {};
  }

  // Borrowed until the next call. Shorter than the header says where the file ends early.
  std::optional<std::string_view> read_payload(const FileIndex& file, const GroupHeader& group) {
    const uint64_t begin = group.offset + kGroupHeaderBytes;
    const uint64_t there = begin < file.size ? std::min(group.payload_bytes, file.size - begin) : 0;
    if (capacity_ < there) {
      buffer_ = std::make_unique_for_overwrite<char[]>(there);
      capacity_ = there;
    }
    if (there == 0) return std::string_view();
    const auto got = read_patiently(*file.file, begin, buffer_.get(), there);
    if (!got.ok()) return {};
    return std::string_view(buffer_.get(), *got);
  }

  const Options& options_;
  ReplayFn& replay_;
  ReplayReport& report_;
  std::unique_ptr<char[]> buffer_;
  uint64_t capacity_ = 0;
};

Result<std::vector<FileIndex>> open_files(env::Disk& disk, const std::string& directory, uint64_t& next_file) {
  CLEW_ASSIGN(const auto names, disk.list(directory));
  std::vector<FileIndex> files;
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    if (name.ends_with(".spare")) {
      CLEW_TRY(disk.remove(path));  // space set aside by the last run; holds nothing
      continue;
    }
    const auto number = file_number(name);
    if (!number) continue;
    FileIndex file;
    file.number = *number;
    file.name = name;
    file.path = path;
    CLEW_ASSIGN(file.file, disk.open(path, {.writable = true}));
    CLEW_ASSIGN(file.size, file.file->size());
    next_file = std::max(next_file, *number + 1);
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  return files;
}

// The last group may stand in the page cache only: the process was killed before its sync, or the sync failed, after
// which the kernel holds the pages for clean and the next sync says nothing about them (Rebello et al., "Can
// applications recover from fsync failures?", ATC 2020). What is replayed counts as durable from now on, so it is
// written anew and synced. Groups before it were synced before it was written.
Status write_again(FileIndex& file) {
  const GroupHeader& last = file.groups.back();
  const uint64_t bytes = std::min(last.bytes_on_disk(), file.size - last.offset);
  std::string copy(bytes, '\0');
  const auto got = read_patiently(*file.file, last.offset, copy.data(), copy.size());
  if (!got.ok()) return {};  // reported as damage
  copy.resize(*got);
  CLEW_TRY(file.file->write_at(last.offset, copy));
  return file.file->sync();
}

}  // namespace

Result<Recovered> recover(env::Disk& disk, const Options& options, ReplayFn& replay, ReplayReport& report) {
  Recovered recovered;
  CLEW_ASSIGN(std::vector<FileIndex> files, open_files(disk, options.directory, recovered.next_file));

  uint64_t expected = 1;
  for (FileIndex& file : files) index_groups(file, expected);
  CLEW_TRY(check_end(files));

  Replayer replayer(options, replay, report);
  // Only the last group of all can be a torn one.
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    if (file->groups.empty()) continue;
    const GroupHeader& last = file->groups.back();
    if (replayer.intact(*file, last) == false) {
      report.torn_tail_bytes += std::min(last.bytes_on_disk(), file->size - last.offset);
      // A gap in front of it stays a gap: something came after it once.
      while (!file->gaps.empty() && file->gaps.back().before == file->groups.size() - 1) {
        const Gap& gap = file->gaps.back();
        replayer.damage(*file, gap.offset, gap.bytes, "no intact group in front of the torn tail");
        file->gaps.pop_back();
      }
      recovered.next_record = std::max(recovered.next_record, last.first_record);
      file->groups.pop_back();
    }
    break;
  }

  std::optional<uint64_t> next;  // record number that should come now; unknown at the very beginning
  for (const FileIndex& file : files) {
    size_t gap = 0;
    for (size_t i = 0; i < file.groups.size(); ++i) {
      const GroupHeader& group = file.groups[i];
      const uint64_t jump = next ? group.first_record - *next : 0;
      if (gap < file.gaps.size() && file.gaps[gap].before == i) {
        replayer.damage(file, file.gaps[gap].offset, file.gaps[gap].bytes,
                        "no intact group; " + (next ? replayer.lost(jump) : "an unknown number of records lost"));
        ++gap;
      } else if (jump > 0) {
        replayer.damage(file, group.offset, 0, "the groups in front of this one are missing; " + replayer.lost(jump));
      }
      CLEW_TRY(replayer.replay_group(file, group));
      next = group.next_record();
    }
  }
  if (next) recovered.next_record = std::max(recovered.next_record, *next);

  // The cut. It is durable before anything new is written, or the torn group would later look like damage.
  bool removed = false;
  while (!files.empty()) {
    FileIndex& last = files.back();
    if (last.size > last.end()) {
      CLEW_TRY(last.file->truncate(last.end()));
      CLEW_TRY(last.file->sync());
      last.size = last.end();
    }
    if (!last.groups.empty()) break;
    CLEW_TRY(disk.remove(last.path));
    removed = true;
    files.pop_back();
  }
  if (removed) CLEW_TRY(disk.sync_dir(options.directory));
  if (!files.empty()) CLEW_TRY(write_again(files.back()));

  uint64_t last_record = 0;
  for (const FileIndex& file : files) {
    if (!file.groups.empty()) last_record = file.groups.back().next_record() - 1;
    recovered.files.push_back({file.number, file.path, file.size, last_record});
  }
  report.files = recovered.files.size();
  return recovered;
}

}  // namespace clew::wal
