#include "sim/groups/raft_family.h"

#include "consensus/raft/raft.h"

namespace clew::sim::groups {
namespace {

std::unique_ptr<consensus::Protocol> make(const Shape& shape, consensus::NodeId self,
                                          const consensus::Membership& founding, const env::Clock&, uint64_t seed) {
  consensus::raft::Options options;
  options.self = self;
  options.founding = founding;
  options.heartbeat = shape.limits.heartbeat;
  options.election_min = shape.limits.election_min;
  options.election_max = shape.limits.election_max;
  options.leases = shape.limits.leases;
  options.clock_error_ppm = shape.limits.clock_error_ppm;
  options.max_message_bytes = shape.limits.max_message_bytes;
  options.window = shape.limits.window;
  options.max_uncommitted_bytes = shape.limits.max_uncommitted_bytes;
  options.max_log_bytes = shape.limits.max_log_bytes;
  options.keep_tail_bytes = shape.limits.keep_tail_bytes;
  options.max_delivery_bytes = shape.limits.max_delivery_bytes;
  options.witness_log_entries = shape.limits.witness_log_entries;
  return std::make_unique<consensus::Raft>(options, seed);
}

Bounds bounds(const Shape& shape) {
  return {// One entry may always pass, whatever its size.
          .uncommitted_bytes = shape.limits.max_uncommitted_bytes + shape.replica.max_command_bytes + 4096,
          .log_bytes = shape.limits.max_log_bytes + shape.limits.max_message_bytes};
}

}  // namespace

Family raft_family() { return {.name = "raft", .make = make, .judge = make_raft_judge, .bounds = bounds}; }

}  // namespace clew::sim::groups
