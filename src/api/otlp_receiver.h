// OtlpReceiver: what OTLP/HTTP and OTLP/gRPC do alike with a complete body: inflate it bounded, transcode JSON, hand it
// to the node, and turn the node's reply into an outcome that each protocol then words its way.
//
// Any thread, several at a time. Inflating and transcoding happen in the caller, or, for a body of kOffloadBytes and
// more, wherever `offload` runs them: the caller is a loop, which has others to serve. The lease on the admission gate
// is held until the outcome, and grows by what inflating adds.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
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
  // A body of this many bytes, as it came, may become 64 MiB: tens to hundreds of milliseconds.
  static constexpr size_t kOffloadBytes = 512u << 10;
  // Runs the task once, on some thread that may be kept busy, or drops it when the node stops.
  using Offload = std::function<void(Task)>;

  // The gate outlives this, the service also what was offloaded. Without an `offload` the caller does everything.
  OtlpReceiver(cluster::IngestService& service, AdmissionGate& gate, std::shared_ptr<BufferPool> pool,
               otlp::Limits limits, uint32_t retry_after_ms, Offload offload = {});

  // Whether a request may begin: not while the node starts or stops, and not above the budget. kUnavailable otherwise.
  Result<AdmissionGate::Lease> admit(uint64_t bytes);
  // `done` runs once, on any thread.
  void receive(OtlpRequest request, UniqueFunction<void(OtlpOutcome)> done);

  void set_ready(bool ready) { ready_.store(ready); }
  bool ready() const { return ready_.load(); }
  uint32_t retry_after_ms() const { return work_->retry_after_ms; }
  BufferPool& pool() { return *work_->pool; }
  OtlpReceiverStats stats() const;

 private:
  // What the work on a body needs; shared with work and completions that may come when this is gone.
  struct Work : std::enable_shared_from_this<Work> {
    Work(cluster::IngestService& s, std::shared_ptr<BufferPool> p, otlp::Limits l, uint32_t after)
        : service(s), pool(std::move(p)), limits(l), retry_after_ms(after) {}
    void run(OtlpRequest request, UniqueFunction<void(OtlpOutcome)> done);
    void fail(OtlpRequest& request, UniqueFunction<void(OtlpOutcome)>& done, Status status, uint32_t after_ms = 0);
    // The body as protobuf, not compressed; else the request was answered.
    bool make_ready(OtlpRequest& request, UniqueFunction<void(OtlpOutcome)>& done);

    cluster::IngestService& service;
    const std::shared_ptr<BufferPool> pool;
    const otlp::Limits limits;
    const uint32_t retry_after_ms;
    std::atomic<uint64_t> requests{0}, received_bytes{0}, inflated_bytes{0}, failed{0};
  };
  AdmissionGate& gate_;
  const Offload offload_;
  const std::shared_ptr<Work> work_;
  std::atomic<bool> ready_{true};
};

}  // namespace clew::api
