// OwnTraces: spans about the control plane (consensus/telemetry.h) into this node's own ingest, as OTLP, like any
// client's. In batches, at most kMaxWaiting spans; more are dropped and counted. The ingest of spans is not traced, so
// nothing here traces itself.
//
// add() and flush() on the plane's loop; the ingest service outlives it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cluster/services.h"
#include "consensus/telemetry.h"

namespace clew::app {

// One OTLP request, as protobuf: attributes term, index, peer, count, result, reason.
std::string encode_spans(const std::vector<consensus::SpanValue>& spans, const std::string& node_name,
                         std::string_view version);

class OwnTraces {
 public:
  static constexpr size_t kMaxWaiting = 4'096;

  OwnTraces(cluster::IngestService& ingest, std::string node_name, std::string version)
      : ingest_(ingest), node_name_(std::move(node_name)), version_(std::move(version)) {}

  void add(consensus::SpanValue span) {
    if (waiting_.size() < kMaxWaiting) {
      waiting_.push_back(std::move(span));
    } else {
      ++dropped_;
    }
  }
  void flush();
  uint64_t dropped() const { return dropped_; }

 private:
  cluster::IngestService& ingest_;
  const std::string node_name_, version_;
  std::vector<consensus::SpanValue> waiting_;
  uint64_t dropped_ = 0;
};

}  // namespace clew::app
