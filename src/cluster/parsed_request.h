// ParsedRequest: a request whose envelope is open, shared (read-only) by the shards that own its spans. The shared_ptr
// is the point: the body lives until the last shard has decoded its part. Never changed once a shard has it, so any
// thread may read it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/ids.h"
#include "otlp/envelope.h"

namespace clew::cluster {

struct ParsedRequest {
  std::shared_ptr<const std::string> body;
  otlp::Envelope envelope;         // borrows from body
  std::vector<uint16_t> shard_of;  // per span of the envelope
  model::TenantId tenant;
  std::string tenant_name;
  model::Stamp stamp;
};

// The outcome of one shard's part.
struct PartReply {
  Status status;  // kUnavailable: nothing of this part was taken
  uint64_t accepted = 0;
  otlp::RejectCounts rejected{};
};

}  // namespace clew::cluster
