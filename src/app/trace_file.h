// TraceFileReader: a file of OTLP traces as a stream of protobuf request bodies (ExportTraceServiceRequest), in bounded
// memory. For `clew verify` and `clew import`.
//
// What it reads, told apart by its first bytes:
//   JSON        objects with resourceSpans, one a line (the Collector's file exporter) or spread over lines; transcoded
//   protobuf    plain (one request or TracesData, cut between its ResourceSpans), or messages each behind a length: 4
//   bytes
//               big-endian (the Collector's file exporter) or a varint
//   zstd        of any of these, several frames, windows up to 128 MiB (`--long=27`)
// "-" is standard input. Not for untrusted uploads at speed: api/ has its own path. Files are read where they are
// needed, at the program's edge, by blocking calls: never on a loop. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "otlp/envelope.h"

namespace clew::app {

class TraceFileReader {
 public:
  struct Options {
    otlp::Limits limits;
    uint64_t max_body_bytes = 64ull << 20;  // of one request, decompressed
  };
  // kNotFound, kPermissionDenied with the path and what to do.
  static Result<std::unique_ptr<TraceFileReader>> open(const std::string& path, Options options);
  ~TraceFileReader();

  // The next body, valid until the next call; false at the end. kInvalidArgument: this request does not parse, and the
  // message says where; for JSON lines reading may go on with the next line (`can_continue`). kDataLoss: a damaged or
  // cut zstd stream. After other errors reading is over.
  Result<bool> next(std::string_view& body);
  bool can_continue() const;

  uint64_t bytes_read() const;   // of the file as it is stored, for a progress bar
  uint64_t total_bytes() const;  // 0 when unknown (standard input)
  uint64_t bodies() const;       // yielded so far

 private:
  struct Impl;
  explicit TraceFileReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::app
