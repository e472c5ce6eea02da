// `clew verify FILE…`: is every trace in these files whole, and what is odd about the others?
//
// The same verdicts as a node gives, without one: the end of the last file closes all traces, so what is not complete
// then is incomplete. Spans of a trace may be spread over the files. Which calls usually have a server span is learnt
// from all traces first, then each is judged, so the order of traces in a file does not matter.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "env/loop.h"
#include "model/ids.h"
#include "model/summary.h"
#include "otlp/envelope.h"
#include "trace/assess.h"
#include "trace/defects.h"

namespace clew::app {

struct VerifyOptions {
  std::vector<std::string> files;  // OTLP JSON lines or protobuf, plain or .zst; "-": standard input
  bool json = false;               // the report for programs
  uint32_t examples = 3;           // trace ids per finding, and incomplete traces listed
  otlp::Limits limits;
  uint64_t max_request_bytes = 64ull << 20;
  trace::Policy policy;
};

struct VerifyReport {
  struct Input {
    std::string path;
    uint64_t bytes = 0, requests = 0, spans = 0;
  };
  struct Example {
    model::TraceId trace;
    std::string text;  // the finding's sentence, or the verdict's
  };
  struct FindingTotal {
    model::FindingKind kind = model::FindingKind::kNoRoot;
    model::Severity severity = model::Severity::kInfo;  // the worst seen
    uint64_t traces = 0, count = 0;
    std::vector<Example> examples;
  };
  // Add the offset to times of `host` to read them on the clock of `reference`.
  struct SkewTotal {
    std::string host, reference;
    uint64_t traces = 0, edges = 0;
    int64_t median_ns = 0, low_ns = 0, high_ns = 0;
  };

  std::vector<Input> inputs;
  uint64_t unreadable = 0;          // files and requests
  std::vector<std::string> errors;  // the first kMaxErrors of these, in words
  otlp::RejectCounts rejected{};
  uint64_t rejected_spans = 0;

  uint64_t traces = 0, spans = 0, repeated_spans = 0, services = 0, hosts = 0;
  uint64_t complete = 0, incomplete = 0;
  uint64_t defective = 0;  // traces with a finding above info, complete or not
  std::vector<Example> incomplete_examples;
  std::vector<FindingTotal> findings;  // the worst first
  std::vector<SkewTotal> skew;         // by host and reference
  trace::Defects defects;              // as sent

  // 0: every trace complete and sound. 1: some are incomplete or defective, or spans were rejected. 2: some input could
  // not be read, so that there is no telling.
  int exit_code() const;
};
constexpr size_t kMaxErrors = 20;

// `clock` is for the progress bar alone.
VerifyReport verify_files(const VerifyOptions& options, const env::Clock& clock);
std::string report_text(const VerifyReport& report);
std::string report_json(const VerifyReport& report);  // one object, ends in a line feed

// Verifies, writes the report to standard output and errors to standard error, and returns the exit code.
int run_verify(const VerifyOptions& options, const env::Clock& clock);

}  // namespace clew::app
