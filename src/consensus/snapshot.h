// What a snapshot stands for: the state after every entry up to `position`. The bytes of the state are the host's
// affair; a core deals in these values only. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/sha256.h"
#include "base/status.h"
#include "consensus/membership.h"
#include "consensus/types.h"

namespace clew::consensus {

struct SnapshotMeta {
  Position position = 0;  // 0: the empty state, of which there is no file
  Epoch epoch = 0;        // of the entry at `position`
  // Committed at or below `position`. Never one that stands above it (scenario 13), and while joint, the joint one.
  Membership membership;
  uint64_t bytes = 0;  // of the encoded state
  // Of the encoded state, over the wire and on disk. Cryptographic: under PBFT it is what f + 1 members sign, and
  // whoever serves the bytes may be a liar.
  Digest256 digest;
  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;

  void append_to(std::string& out) const;
  // Untrusted; takes a length-prefixed meta off the front of `in` and moves `in` behind it.
  static Result<SnapshotMeta> parse(std::string_view& in);
};

}  // namespace clew::consensus
