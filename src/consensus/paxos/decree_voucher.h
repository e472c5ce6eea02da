// DecreeVoucher: what must stand in a member's log of decrees, told by a file that does not stand beside it. A log that
// was lost, as a whole or at one of its ends, looks like that of a member that has not said anything yet; who votes
// again after it helps to choose a second value. So it is durable before the first promise or vote leaves, and goes
// with the identity of the member, in the replica's directory. Format: docs/format/replica.md.
//
// A voucher that is absent says that nothing has ever left this member; of a directory that an earlier version made it
// says nothing. It is behind the log by as much as DecreeHost lets it be. Blocking; for start-up and offloaded work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/types.h"
#include "env/disk.h"

namespace clew::consensus::paxos {

struct DecreeVoucher {
  bool lost = false;         // something of the log is gone for good: this member abstains
  LogSeq from = 1;           // the log begins with it, or before
  LogSeq records = 0;        // it goes at least so far
  uint64_t incarnation = 0;  // the highest one that may have been used in a ballot

  std::string encode() const;
  // Nothing: there is none. One that does not say any more what it was written to say vouches for nothing: lost.
  // Errors: what the disk says, and kFailedPrecondition: a newer version wrote it.
  static Result<std::optional<DecreeVoucher>> read(env::Disk& disk, const std::string& directory);
  Status write(env::Disk& disk, const std::string& directory) const;
  friend bool operator==(const DecreeVoucher&, const DecreeVoucher&) = default;
};

}  // namespace clew::consensus::paxos
