// Delta debugging (Zeller & Hildebrandt, TSE 2002, ddmin): the smallest part of a list that still fails.
//
// Pure. `fails` must be deterministic. Finds a 1-minimal part (leaving out any one more item makes it pass) unless
// `max_tries` runs out; O(n^2) tries at worst, O(log n) for a single cause.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace clew::sim {

struct Shrunk {
  std::vector<uint32_t> items;
  uint64_t tries = 0;
  bool minimal = false;
};
// `items` must fail. The order of items is kept.
Shrunk shrink(std::vector<uint32_t> items, const std::function<bool(const std::vector<uint32_t>&)>& fails,
              uint64_t max_tries);

}  // namespace clew::sim
