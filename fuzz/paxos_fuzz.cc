// A member of single-decree Paxos under any bytes, as frames and as records: what is read is written the same again,
// and no input breaks an invariant. The first byte says how long each piece is.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "consensus/paxos/decrees.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clew;
  namespace paxos = consensus::paxos;
  if (size < 2) return 0;
  const size_t piece = 1 + data[0];
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (const auto frame = paxos::parse_frame(rest); frame.ok()) {
    const auto again = paxos::parse_frame(paxos::encode(*frame));
    CHECK(again.ok() && *again == *frame);
  }
  paxos::Decrees member({.self = consensus::NodeId{1}, .max_decrees = 8}, 1);
  const bool recovered = member.recover(1, rest).ok();
  member.start(recovered ? 2 : 1);
  consensus::Time now = 0;
  (void)member.propose(now, "decree", {consensus::NodeId{1}, consensus::NodeId{2}, consensus::NodeId{3}}, "value");
  while (!rest.empty()) {
    const std::string_view frame = rest.substr(0, piece);
    rest.remove_prefix(frame.size());
    ++now;
    member.receive(now, consensus::NodeId{1 + static_cast<uint64_t>(now) % 3}, frame);
    consensus::Effects effects;
    member.collect(effects);
    for (const consensus::Send& send : effects.sends) CHECK(paxos::parse_frame(send.frame).ok());
    CHECK(member.check_invariants().ok());
  }
  return 0;
}
