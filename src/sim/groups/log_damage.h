// What damage to a log on a simulated disk costs its owner: for Process::scope_of; and how a disk is mended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consensus/types.h"
#include "sim/disk.h"

namespace clew::sim::groups {

// Records of the log in `directory` that a start would not find any more, were these bytes of one of its files
// unreadable; nothing when it would refuse the log as a whole. O(bytes of the log).
std::optional<std::vector<consensus::LogSeq>> records_lost_with(const SimDisk& disk, const std::string& directory,
                                                                const std::string& path, uint64_t offset,
                                                                uint64_t size);

// What the operator does with a disk whose sectors cannot be read: the directory goes to a sound one.
void see_to(SimDisk& disk);

}  // namespace clew::sim::groups
