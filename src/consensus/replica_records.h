// One record of a replica's log: a byte of kind in front of what the protocol wrote. Format: docs/format/replica.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/types.h"

namespace clew::consensus {

constexpr char kProtocolRecord = 1;

inline Result<std::string_view> parse_record(LogSeq seq, std::string_view record) {
  if (record.empty() || record[0] != kProtocolRecord) {
    return Error{Code::kUnimplemented, "record " + std::to_string(seq) +
                                           " of the log is of a kind that this version does not know; a newer one "
                                           "wrote it: upgrade this node"};
  }
  return record.substr(1);
}

// Frames between replicas: what the last byte says about the rest.
constexpr char kProtocolFrame = 1;
constexpr char kSnapshotFrame = 2;
constexpr char kAsideFrame = 3;  // Replica::send_aside

}  // namespace clew::consensus
