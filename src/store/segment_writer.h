// SegmentWriter: turns traces into the bytes of one segment. Memory: about 20 bytes a span plus the dictionaries; the
// column data goes to the sink as it is made.
//
// Rows are read once, straight into columns; nothing is materialised. Codes of the rows' dictionaries become codes of
// the segment by an array per dictionary, so a text is hashed once per dictionary and not once per span.
// Single-threaded, background lane. Any dictionary given must outlive the writer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "store/segment_format.h"
#include "store/span_store.h"

namespace clew::store {

class SegmentWriter {
 public:
  // Receives the file's bytes, front to back. An error ends the writing.
  using Sink = std::function<Status(std::string_view)>;

  SegmentWriter(uint64_t hash_seed, Sink sink);
  ~SegmentWriter();

  // In TraceKey order, keys distinct. kDataLoss: a row is malformed; kResourceExhausted: the segment's dictionary is
  // full; or the sink's error. After an error the writer is useless.
  Status add(const SealTrace& trace);
  // Writes what is left: pages, index, footer.
  Status finish();

  uint64_t spans() const;
  uint64_t bytes() const;  // written so far
  // Bytes per part of the format, for benchmarks.
  struct Part {
    std::string name;
    uint64_t bytes = 0;
  };
  const std::vector<Part>& parts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::store
