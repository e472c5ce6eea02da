#include "sim/groups/pbft_family.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/random.h"
#include "consensus/pbft/pbft.h"
#include "consensus/pbft/test_keys.h"
#include "consensus/quorum.h"
#include "consensus/time_bound.h"
#include "sim/groups/pbft_liar.h"

namespace clew::sim::groups {
namespace {

class TestVerifier final : public consensus::Verifier {
 public:
  bool verify(consensus::NodeId signer, std::string_view message, std::string_view signature) const override {
    return consensus::pbft::test_signature_holds(signer, message, signature);
  }
};

std::unique_ptr<consensus::Protocol> make(const Shape& shape, consensus::NodeId self,
                                          const consensus::Membership& founding, const env::Clock& clock,
                                          uint64_t seed) {
  consensus::pbft::Options options;
  options.self = self;
  options.founding = founding;
  options.group = kPbftGroup;
  options.signer = shape.signer != nullptr ? shape.signer : std::make_shared<consensus::pbft::TestSigner>(self);
  // A clock that is wrong by more would count among the liars: only where no fault sets clocks.
  if (shape.liars > 0) options.admissible = consensus::TimeBound(clock, consensus::kMostAheadNs);
  options.max_message_bytes = shape.limits.max_message_bytes;
  options.window = shape.limits.window;
  options.max_uncommitted_bytes = shape.limits.max_uncommitted_bytes;
  options.max_log_bytes = shape.limits.max_log_bytes;
  options.max_delivery_bytes = shape.limits.max_delivery_bytes;
  options.snapshot_every_bytes = shape.limits.snapshot_every_bytes;
  if (shape.dice != 0) {
    Generator dice(shape.dice);
    options.checkpoint_every = 2u << dice.below(4);
    options.client_window = 64u << dice.below(4);
    options.full_batch = dice.one_in(2) ? 1 : 2u << dice.below(6);
  }
  return std::make_unique<consensus::Pbft>(options, seed);
}

Bounds bounds(const Shape& shape) {
  return {// One request may always pass, whatever its size.
          .uncommitted_bytes = shape.limits.max_uncommitted_bytes + shape.replica.max_command_bytes + 4096,
          .log_bytes =
              shape.limits.max_log_bytes + 16 * (shape.limits.max_message_bytes + shape.replica.max_command_bytes)};
}

// At least four voters, no witness (consensus/pbft/options.h), no leases; the core chooses when a state is saved.
void fit(Shape& shape) {
  shape.nodes = std::max<size_t>(shape.nodes, 4);
  shape.voters = std::max<size_t>(shape.voters, 4);
  shape.learners = std::min(shape.learners, shape.nodes - shape.voters);
  shape.witness = false;
  if (shape.liars > 0) {
    shape.liars = 1 + Generator(mix64(shape.dice, 0x11a5)).below(consensus::byzantine_faults(shape.voters));
  }
  shape.limits.leases = false;
  shape.limits.snapshot_every_bytes = shape.replica.snapshot_every_bytes;
  shape.replica.snapshot_every_bytes = uint64_t{1} << 50;
}

}  // namespace

Family pbft_family() {
  return {.name = "pbft",
          .make = make,
          .judge = [](const Clocks&) { return make_pbft_judge(); },
          .bounds = bounds,
          .tolerates = consensus::byzantine_faults,
          .least_voters = 4,
          .governs_later = true,
          .joiners_trust = true,
          .verifier = std::make_shared<TestVerifier>(),
          .liar = [](consensus::NodeId self, Present present,
                     uint64_t seed) { return make_pbft_liar(self, std::move(present), seed); },
          .most_ahead_ns = consensus::kMostAheadNs,
          .fit = fit};
}

}  // namespace clew::sim::groups
