#include "api/otlp_receiver.h"

#include <algorithm>
#include <utility>

#include "otlp/json.h"

namespace clew::api {
namespace {

Status busy() { return {Code::kUnavailable, "the node holds as many request bytes as it may; send the request again"}; }

}  // namespace

OtlpReceiver::OtlpReceiver(cluster::IngestService& service, AdmissionGate& gate, std::shared_ptr<BufferPool> pool,
                           otlp::Limits limits, uint32_t retry_after_ms, Offload offload)
    : gate_(gate),
      offload_(std::move(offload)),
      work_(std::make_shared<Work>(service, std::move(pool), limits, retry_after_ms)) {}

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
  work_->requests.fetch_add(1, std::memory_order_relaxed);
  work_->received_bytes.fetch_add(request.body->size(), std::memory_order_relaxed);
  const bool ready_made = request.encoding == otlp::Encoding::kIdentity && request.format == WireFormat::kProtobuf;
  if (ready_made || !offload_ || request.body->size() < kOffloadBytes) {
    return work_->run(std::move(request), std::move(done));
  }
  offload_([work = work_, request = std::move(request), answer = std::move(done)]() mutable {
    work->run(std::move(request), std::move(answer));
  });
}

void OtlpReceiver::Work::fail(OtlpRequest& request, UniqueFunction<void(OtlpOutcome)>& done, Status status,
                              uint32_t after_ms) {
  failed.fetch_add(1, std::memory_order_relaxed);
  request.lease.release();  // before the client can know
  done({std::move(status), 0, {}, after_ms});
}

// What a step needs is leased before it is allocated, and given back when the step before it lets go of its bytes.
bool OtlpReceiver::Work::make_ready(OtlpRequest& request, UniqueFunction<void(OtlpOutcome)>& done) {
  const auto refuse = [&](Status status, uint32_t after_ms) {
    fail(request, done, std::move(status), after_ms);
    return false;
  };
  std::shared_ptr<const std::string> body = std::move(request.body);
  if (request.encoding != otlp::Encoding::kIdentity && !body->empty()) {
    std::string inflated = pool->take(0);
    uint64_t leased = 0;
    bool refused = false;
    Status status = otlp::inflate(request.encoding, *body, request.max_bytes, inflated, [&](uint64_t bytes) {
      refused = bytes > leased && !request.lease.grow(bytes - leased);
      if (!refused) leased = std::max(leased, bytes);
      return !refused;
    });
    if (refused) return refuse(busy(), retry_after_ms);
    if (!status.ok()) return refuse(std::move(status), 0);
    request.lease.shrink(leased - std::min(leased, uint64_t{inflated.size()}));
    body = pool->share(std::move(inflated));
  }
  if (request.format == WireFormat::kJson) {
    static thread_local otlp::JsonReader reader;
    // Protobuf is smaller than the JSON that it was.
    const uint64_t before = body->size();
    if (!request.lease.grow(before)) return refuse(busy(), retry_after_ms);
    std::string protobuf = pool->take(0);
    Status status = reader.to_protobuf(*body, limits, protobuf);
    if (!status.ok()) return refuse(std::move(status), 0);
    if (protobuf.size() > before && !request.lease.grow(protobuf.size() - before)) {
      return refuse(busy(), retry_after_ms);
    }
    body = pool->share(std::move(protobuf));
    request.lease.shrink(before);
  }
  request.body = std::move(body);
  return true;
}

void OtlpReceiver::Work::run(OtlpRequest request, UniqueFunction<void(OtlpOutcome)> done) {
  if (!make_ready(request, done)) return;
  inflated_bytes.fetch_add(request.body->size(), std::memory_order_relaxed);
  if (request.body->empty()) {  // a success
    request.lease.release();
    return done({});
  }
  service.ingest({std::move(request.tenant), std::move(request.body)},
                 [work = shared_from_this(), lease = std::move(request.lease),
                  answer = std::move(done)](cluster::IngestReply reply) mutable {
                   lease.release();
                   if (!reply.status.ok()) work->failed.fetch_add(1, std::memory_order_relaxed);
                   const bool retry = reply.status.code() == Code::kUnavailable;
                   const uint32_t after =
                       retry && reply.retry_after_ms == 0 ? work->retry_after_ms : reply.retry_after_ms;
                   answer({std::move(reply.status), reply.rejected, std::move(reply.message), after});
                 });
}

OtlpReceiverStats OtlpReceiver::stats() const {
  return {work_->requests.load(), work_->received_bytes.load(), work_->inflated_bytes.load(), work_->failed.load()};
}

}  // namespace clew::api
