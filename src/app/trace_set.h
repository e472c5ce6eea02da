// TraceSet: all spans of some files, gathered by trace, as far as verification needs them. For `clew verify`.
//
// Requests go through the same decoder as ingest (envelope, row), so what it accepts, rejects and calls equal is what a
// node does. A span costs about 80 bytes here, attributes are not kept; all of it is in memory until the end, because
// only the end of the last file closes a trace. Single-threaded.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/status.h"
#include "model/ids.h"
#include "otlp/envelope.h"
#include "trace/assess.h"

namespace clew::app {

class TraceSet {
 public:
  explicit TraceSet(otlp::Limits limits = {});
  ~TraceSet();

  // kInvalidArgument, and nothing is added, when the request does not parse.
  Status add_request(std::string_view body);

  uint64_t spans() const;  // duplicates included
  uint64_t traces() const;
  uint64_t services() const;
  uint64_t hosts() const;
  const otlp::RejectCounts& rejected() const;

  // One trace; hosts and services are numbered within it.
  struct View {
    model::TraceId id;
    std::span<const trace::SpanFacts> arrived;   // every span as it came, in order
    std::span<const trace::SpanFacts> distinct;  // without repetitions of the same id and content
    std::span<const std::string_view> names;     // of `distinct`
    trace::Context context;
  };
  // In order of first appearance. What a view borrows lives until the next one.
  void for_each(const std::function<void(const View&)>& visit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::app
