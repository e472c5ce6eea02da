#include "sim/groups/multipaxos_family.h"

#include "consensus/multipaxos/multipaxos.h"

namespace clew::sim::groups {
namespace {

std::unique_ptr<consensus::Protocol> make(const Shape& shape, consensus::NodeId self,
                                          const consensus::Membership& founding, const env::Clock&, uint64_t seed) {
  consensus::multipaxos::Options options;
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
  return std::make_unique<consensus::MultiPaxos>(options, seed);
}

Bounds bounds(const Shape& shape) {
  // One entry may always pass, whatever its size. There is no comparison of logs: in the open slots a new leader may
  // find what earlier leaders proposed, each within its own limit and each accepted by another member; it proposes all
  // of that again, and nothing of its own until it is below the limit.
  const uint64_t of_one_leader = shape.limits.max_uncommitted_bytes + shape.replica.max_command_bytes + 4096;
  return {.uncommitted_bytes = shape.nodes * of_one_leader,
          .log_bytes = shape.limits.max_log_bytes + shape.limits.max_message_bytes};
}

}  // namespace

Family multipaxos_family() {
  return {.name = "multipaxos", .make = make, .judge = make_multipaxos_judge, .bounds = bounds};
}

}  // namespace clew::sim::groups
