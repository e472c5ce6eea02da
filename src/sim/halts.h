// Which halts of a replica a disk may bring about; every other one is a broken promise.
#pragma once

#include <string_view>

#include "sim/disk.h"

namespace clew::sim {

// `reason` is that of the fact kHalted (consensus/replica_impl.h).
inline bool disk_halts(const SimDisk& disk, std::string_view reason) {
  if (reason == "a write or sync of the log failed") return true;
  return reason == "a fetched snapshot that cannot be read" && disk.ever_spoilt();
}

}  // namespace clew::sim
