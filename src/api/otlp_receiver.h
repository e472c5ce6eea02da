// OtlpReceiver: what OTLP/HTTP and OTLP/gRPC do alike with a complete body: inflate it bounded, transcode JSON, hand it
// to the node, and turn the node's reply into an outcome that each protocol then words its way.
//
// Any thread, several at a time; inflating and transcoding happen in the caller. The lease on the admission gate is
// held until the outcome, and grows by what inflating adds.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "api/admission_gate.h"
#include "api/buffer_pool.h"
#include "api/rpc_status.h"
#include "base/function.h"
#include "base/status.h"
#include "cluster/services.h"
#include "otlp/inflate.h"

namespace clew::api {

struct OtlpRequest {
  std::string tenant;
  WireFormat format = WireFormat::kProtobuf;
  otlp::Encoding encoding = otlp::Encoding::kIdentity;
  std::shared_ptr<const std::string> body;
  uint64_t max_bytes = 0;      // after inflating
  AdmissionGate::Lease lease;  // covers the body as it came
};

struct OtlpOutcome {
  // ok; kInvalidArgument: bad data; kResourceExhausted: larger than the limit (never worth a retry); kUnavailable:
  // retry after retry_after_ms. Others as the node says them.
  Status status;
  uint64_t rejected = 0;  // with ok: spans left out
  std::string message;    // with ok: why, or a warning
  uint32_t retry_after_ms = 0;
};

struct OtlpReceiverStats {
  uint64_t requests = 0;        // complete bodies
  uint64_t received_bytes = 0;  // as they came
  uint64_t inflated_bytes = 0;  // as they are decoded
  uint64_t failed = 0;          // outcomes that are not ok
};

class OtlpReceiver {
 public:
  // The service and the gate outlive this.
  OtlpReceiver(cluster::IngestService& service, AdmissionGate& gate, std::shared_ptr<BufferPool> pool,
               otlp::Limits limits, uint32_t retry_after_ms);

  // Whether a request may begin: not while the node starts or stops, and not above the budget. kUnavailable otherwise.
  Result<AdmissionGate::Lease> admit(uint64_t bytes);
  // `done` runs once, on any thread.
  void receive(OtlpRequest request, UniqueFunction<void(OtlpOutcome)> done);

  void set_ready(bool ready) { ready_.store(ready); }
  bool ready() const { return ready_.load(); }
  uint32_t retry_after_ms() const { return retry_after_ms_; }
  BufferPool& pool() { return *pool_; }
  OtlpReceiverStats stats() const;

 private:
  cluster::IngestService& service_;
  AdmissionGate& gate_;
  const std::shared_ptr<BufferPool> pool_;
  const otlp::Limits limits_;
  const uint32_t retry_after_ms_;
  std::atomic<bool> ready_{true};
  struct Counters {
    std::atomic<uint64_t> requests{0}, received_bytes{0}, inflated_bytes{0}, failed{0};
  };
  const std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();  // shared with completions that come late
};

}  // namespace clew::api
