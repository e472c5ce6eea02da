// Histories as JSON lines: docs/format/history.md has the grammar. An event is a line, so that a recorder that is
// killed loses at most the line it was writing, and what had been asked stays known.
//
// HistoryReader takes a file in pieces, in bounded memory per line and for the whole; its errors name the line. It
// takes the bytes of strangers. A last line without its end is what a killed recorder leaves: it is left out, and
// `torn()` says so. The writers give one line each, with its '\n': append it by one write. One thread a reader; writers
// are pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "sim/check/history.h"

namespace clew::sim::check {

class HistoryReader {
 public:
  struct Limits {
    size_t max_line_bytes = 4 << 20;
    uint64_t max_events = 20'000'000;
    uint64_t max_bytes = 2ull << 30;  // of all lines
  };
  HistoryReader();
  explicit HistoryReader(Limits limits);
  ~HistoryReader();

  // After an error reading is over. kInvalidArgument: "line 7: …"; kResourceExhausted: beyond a limit.
  Status feed(std::string_view bytes);
  // The end of the file. kInvalidArgument when there was no header. Once.
  Result<History> finish();
  bool torn() const;  // after finish()

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Result<History> parse_history(std::string_view text);

// Keys with an initial state and accounts are valid UTF-8; all else may be any bytes.
std::string header_line(Workload workload, const std::map<std::string, Output>& initial);
std::string invoke_line(const Operation& operation);
// Of `operation`, whose answer is filled in.
std::string return_line(Workload workload, const Operation& operation);
std::string applied_line(const Applied& applied);
std::string digest_line(const Digest& digest);
// All of it; reading it back gives an equal history.
std::string write_history(const History& history);

}  // namespace clew::sim::check
