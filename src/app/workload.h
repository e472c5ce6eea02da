// Workload: made-up but lifelike OTLP requests, for load and for tests that must know what they sent.
//
// A shop of a dozen services: traces of 4 to 12 spans with HTTP, RPC, database and messaging attributes, an event on
// every fourth span, a few errors, about 430 bytes a span. Bodies are built once and patched: ids, times and the digits
// of high-cardinality values change with the request number, so a request costs a copy and a few hundred stores.
// Deterministic: the same options, number and time give the same bytes on every machine; protobuf and JSON hold the
// same spans. Not a model of any real system's distribution of errors or latencies. const methods: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/ids.h"

namespace clew::app {

enum class BodyFormat { kProtobuf, kJson };

struct WorkloadOptions {
  uint64_t seed = 1;
  uint32_t spans_per_request = 256;
  uint32_t templates = 16;
  BodyFormat format = BodyFormat::kProtobuf;
};

class Workload {
 public:
  explicit Workload(WorkloadOptions options);
  ~Workload();

  // The body of request `number`; its newest span ends at about `now_ns`. `out` is replaced.
  void body(uint64_t number, int64_t now_ns, std::string& out) const;

  struct Trace {
    model::TraceId id;
    std::vector<model::SpanId> spans;  // the root first
  };
  // What body(number) holds: whole traces, each in this request only.
  std::vector<Trace> traces(uint64_t number) const;
  double bytes_per_span() const;

 private:
  struct Template;
  const Template& template_of(uint64_t number) const;

  WorkloadOptions options_;
  std::vector<Template> templates_;
};

}  // namespace clew::app
