#include "api/otlp_receiver.h"

#include <algorithm>
#include <utility>

#include "otlp/json.h"

namespace clew::api {

OtlpReceiver::OtlpReceiver(cluster::IngestService& service, AdmissionGate& gate, std::shared_ptr<BufferPool> pool,
                           otlp::Limits limits, uint32_t retry_after_ms)
    : service_(service), gate_(gate), pool_(std::move(pool)), limits_(limits), retry_after_ms_(retry_after_ms) {}

Result<AdmissionGate::Lease> OtlpReceiver::admit(uint64_t bytes) {
  if (!ready()) return Error{Code::kUnavailable, "the node is starting or stopping; send the request again"};
  auto lease = gate_.admit(bytes);
  if (!lease) {
    return Error{Code::kUnavailable, "the node holds as many request bytes as it may (" +
                                         std::to_string(gate_.max_bytes()) + "); send the request again"};
  }
  return std::move(*lease);
}

void OtlpReceiver::receive(OtlpRequest request, UniqueFunction<void(OtlpOutcome)> done) {
  counters_->requests.fetch_add(1, std::memory_order_relaxed);
  counters_->received_bytes.fetch_add(request.body->size(), std::memory_order_relaxed);
  const auto fail = [&](Code code, std::string message, uint32_t retry_after_ms) {
    counters_->failed.fetch_add(1, std::memory_order_relaxed);
    request.lease.release();  // before the client can know
    done({Status(code, std::move(message)), 0, {}, retry_after_ms});
  };

  // What a step needs is leased before it is allocated, and given back when the step before it lets go of its bytes.
  const auto busy = [&] {
    return fail(Code::kUnavailable, "the node holds as many request bytes as it may; send the request again",
                retry_after_ms_);
  };
  std::shared_ptr<const std::string> body = std::move(request.body);
  if (request.encoding != otlp::Encoding::kIdentity && !body->empty()) {
    std::string inflated = pool_->take(0);
    uint64_t leased = 0;
    bool refused = false;
    const Status status = otlp::inflate(request.encoding, *body, request.max_bytes, inflated, [&](uint64_t bytes) {
      refused = bytes > leased && !request.lease.grow(bytes - leased);
      if (!refused) leased = std::max(leased, bytes);
      return !refused;
    });
    if (refused) return busy();
    if (!status.ok()) return fail(status.code(), std::string(status.message()), 0);
    request.lease.shrink(leased - std::min(leased, uint64_t{inflated.size()}));
    body = pool_->share(std::move(inflated));
  }
  if (request.format == WireFormat::kJson) {
    static thread_local otlp::JsonReader reader;
    // Protobuf is smaller than the JSON that it was.
    const uint64_t before = body->size();
    if (!request.lease.grow(before)) return busy();
    std::string protobuf = pool_->take(0);
    const Status status = reader.to_protobuf(*body, limits_, protobuf);
    if (!status.ok()) return fail(status.code(), std::string(status.message()), 0);
    if (protobuf.size() > before && !request.lease.grow(protobuf.size() - before)) return busy();
    body = pool_->share(std::move(protobuf));
    request.lease.shrink(before);
  }
  counters_->inflated_bytes.fetch_add(body->size(), std::memory_order_relaxed);
  if (body->empty()) {  // a success
    request.lease.release();
    return done({});
  }

  service_.ingest({std::move(request.tenant), std::move(body)},
                  [counters = counters_, fallback = retry_after_ms_, lease = std::move(request.lease),
                   answer = std::move(done)](cluster::IngestReply reply) mutable {
                    lease.release();
                    if (!reply.status.ok()) counters->failed.fetch_add(1, std::memory_order_relaxed);
                    const bool retry = reply.status.code() == Code::kUnavailable;
                    const uint32_t after = retry && reply.retry_after_ms == 0 ? fallback : reply.retry_after_ms;
                    answer({std::move(reply.status), reply.rejected, std::move(reply.message), after});
                  });
}

OtlpReceiverStats OtlpReceiver::stats() const {
  return {counters_->requests.load(), counters_->received_bytes.load(), counters_->inflated_bytes.load(),
          counters_->failed.load()};
}

}  // namespace clew::api
