#include "sim/groups/zab_family.h"

#include "base/random.h"
#include "consensus/zab/zab.h"

namespace clew::sim::groups {
namespace {

std::unique_ptr<consensus::Protocol> make(const Shape& shape, consensus::NodeId self,
                                          const consensus::Membership& founding, const env::Clock&, uint64_t seed) {
  consensus::zab::Options options;
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
  // In half of the worlds epochs are short, so that counters run out under every fault.
  Generator dice(shape.dice);
  if (shape.dice != 0 && dice.one_in(2)) options.max_counter = 50 + dice.below(500);
  return std::make_unique<consensus::Zab>(options, seed);
}

Bounds bounds(const Shape& shape) {
  return {// One transaction may always pass, whatever its size.
          .uncommitted_bytes = shape.limits.max_uncommitted_bytes + shape.replica.max_command_bytes + 4096,
          .log_bytes = shape.limits.max_log_bytes + shape.limits.max_message_bytes};
}

// Witnesses: consensus/zab/options.h.
void fit(Shape& shape) { shape.witness = false; }

}  // namespace

Family zab_family() {
  return {.name = "zab", .make = make, .judge = make_zab_judge, .bounds = bounds, .fit = fit, .unsuited = {}};
}

}  // namespace clew::sim::groups
