// Any bytes as frames of peers and as records of the log: a core refuses them or takes them, keeps its invariants, and
// never harms itself. The first byte chooses: records to recover from, or frames to receive. Each further piece is one
// length byte, one byte that names the sender, and that many bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "consensus/protocol.h"

namespace clew::fuzz {

// Of the member that `options` describe; `verify` says which signatures hold, to cores that ask.
template <typename Core, typename Options, typename Verify>
void feed_core(const uint8_t* data, size_t size, const Options& options, Verify verify) {
  using namespace clew::consensus;
  if (size == 0) return;
  Core core(options, 1);
  const bool as_records = (data[0] & 1) != 0;
  Time now = kSecond;
  LogSeq next = 1;
  if (!as_records) core.start(now, next, true);
  Effects effects;
  size_t at = 1;
  while (at + 2 <= size) {
    const size_t length = std::min<size_t>(data[at], size - at - 2);
    const NodeId from{data[at + 1] % 5u};
    const std::string_view piece(reinterpret_cast<const char*>(data) + at + 2, length);
    at += 2 + length;
    if (as_records) {
      if (!core.recover(next++, piece).ok()) return;
      continue;
    }
    core.receive(now, from, piece);
    now += kMillisecond;
    core.tick(now);
    effects.clear();
    core.collect(now, effects);
    // A broken group halts; that is an answer too. What is wanted of the disk is done.
    if (effects.halt) return;
    next += effects.records.size();
    if (!effects.records.empty()) core.durable(now, next - 1);
    for (const VerifyRequest& one : effects.verifications) core.verified(now, one.id, verify(one));
    CHECK(core.check_invariants().ok());
  }
  if (as_records) {
    core.start(now, next, true);
    effects.clear();
    core.collect(now, effects);
    if (!effects.halt) CHECK(core.check_invariants().ok());
  }
}

// Of member 1 of a group of three, which signs nothing.
template <typename Core, typename Options>
void feed_core(const uint8_t* data, size_t size) {
  using namespace clew::consensus;
  Options options;
  options.self = NodeId{1};
  options.founding = Membership::of_voters({NodeId{1}, NodeId{2}, NodeId{3}});
  feed_core<Core>(data, size, options, [](const VerifyRequest&) { return false; });
}

}  // namespace clew::fuzz
