// A PBFT core under any bytes: fuzz/core_input.h; and its frames by themselves: what is decoded has one form, and that
// form is decoded again. The second bit of the first byte makes every signature hold, as if all the others lied: then
// the core may halt, and not more than that. Without it the core takes what the corpus signed, or what nobody has to
// sign.
#include <memory>

#include "consensus/pbft/pbft.h"
#include "consensus/pbft/test_keys.h"
#include "core_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clew::consensus;
  const auto frame = pbft::decode({reinterpret_cast<const char*>(data), size});
  if (frame.ok()) {
    const std::string form = pbft::encode(*frame);
    const auto again = pbft::decode(form);
    CHECK(again.ok() && pbft::encode(*again) == form);
  }
  pbft::Options options;
  options.self = NodeId{1};
  options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}});
  options.signer = std::make_shared<pbft::TestSigner>(options.self);
  options.checkpoint_every = 2;
  const bool all_hold = size > 0 && (data[0] & 2) != 0;
  clew::fuzz::feed_core<Pbft>(data, size, options, [all_hold](const VerifyRequest& one) {
    return all_hold || pbft::test_signature_holds(one);
  });
  return 0;
}
