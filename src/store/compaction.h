// Compaction: many small segments become one, late parts join their traces. Merge does it in steps, so that sealing,
// which shares the background lane, never waits for a whole merge. Nothing changes for readers until the owner swaps
// the segments. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "env/disk.h"
#include "store/segment.h"
#include "store/segment_rows.h"
#include "store/segment_writer.h"

namespace clew::store {

// Writes a segment to `path` by way of `path`.tmp: after finish() it is whole and durable (its name too); whatever goes
// wrong before, nothing is left behind.
class SegmentFile {
 public:
  static Result<std::unique_ptr<SegmentFile>> create(env::Disk& disk, std::string directory, std::string name,
                                                     uint64_t hash_seed);
  ~SegmentFile();
  SegmentWriter& writer() { return *writer_; }
  Status finish();

 private:
  SegmentFile(env::Disk& disk, std::string directory, std::string name);
  Status flush();

  env::Disk& disk_;
  const std::string directory_, name_;
  std::unique_ptr<env::File> file_;
  std::unique_ptr<SegmentWriter> writer_;
  std::string buffer_;
  uint64_t written_ = 0;
  bool done_ = false;
};

// Which segments to merge next: at least kMergeWidth of one size class, oldest arrivals first, so that every span is
// copied a few times at most. Empty: nothing worth doing. Segments of `large` spans and more are left alone.
constexpr size_t kMergeWidth = 8;
std::vector<std::shared_ptr<const Segment>> choose_merge(const std::vector<std::shared_ptr<const Segment>>& segments,
                                                         uint32_t large);

class Merge {
 public:
  // The output's file name is `name` in `directory`.
  static Result<std::unique_ptr<Merge>> start(const SegmentEnvironment& environment,
                                              std::vector<std::shared_ptr<const Segment>> inputs, std::string directory,
                                              std::string name, uint64_t number);
  // Copies about `spans` spans; true when all are written and durable. Traces that cannot be read any more are left out
  // (and were reported).
  Result<bool> step(uint32_t spans);
  bool finished() const { return finished_; }  // step() said true; it goes on saying so
  const std::vector<std::shared_ptr<const Segment>>& inputs() const { return inputs_; }
  uint64_t number() const { return number_; }

 private:
  Merge() = default;
  Status copy_trace(uint32_t& spans);

  std::vector<std::shared_ptr<const Segment>> inputs_;
  std::vector<uint32_t> next_;                               // per input, the next trace
  std::vector<std::shared_ptr<const Segment::Page>> pages_;  // per input, the page of the next trace
  std::unique_ptr<SegmentFile> file_;
  uint64_t number_ = 0;
  bool finished_ = false;
  std::vector<std::shared_ptr<const SegmentNames>> keep_;  // dictionaries live as long as the writer
};

}  // namespace clew::store
