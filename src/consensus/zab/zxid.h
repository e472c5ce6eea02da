// Zxid: the name of a transaction in ZAB: the epoch of the primary that broadcast it, and its number among that
// primary's own, from 1 (Junqueira et al. 2011, §3). Ordered by epoch, then counter; a history's zxids rise along it.
//
// A zxid stands at the same Position in every history that contains it, and whatever stands before it is the same in
// all of them: one primary an epoch, which extends one initial history without gaps. So comparing zxids and positions
// of one epoch gives the same answer. Plain values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "consensus/types.h"

namespace clew::consensus::zab {

struct Zxid {
  Epoch epoch = 0;
  uint64_t counter = 0;
  friend auto operator<=>(const Zxid&, const Zxid&) = default;  // NOLINT(modernize-use-nullptr)
};

inline std::string to_string(const Zxid& zxid) {
  return std::to_string(zxid.epoch) + "." + std::to_string(zxid.counter);
}

// A place in a history: the transaction there, or 0 and 0.0 before the first.
struct Point {
  Position position = 0;
  Zxid zxid;
  friend bool operator==(const Point&, const Point&) = default;
};

inline std::string to_string(const Point& point) {
  return std::to_string(point.position) + "/" + to_string(point.zxid);
}

// How recent a member's history is: a later current epoch beats a longer history, for the epoch says that its whole
// initial history is there (Medeiros 2012, §2.3). What elections and discovery go by.
struct Credentials {
  Epoch current = 0;
  Zxid last;
  friend auto operator<=>(const Credentials&, const Credentials&) = default;  // NOLINT(modernize-use-nullptr)
};

}  // namespace clew::consensus::zab
