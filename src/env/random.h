// The port for unpredictable numbers: seeds of hash tables, node incarnations. Any thread.
#pragma once

#include <cstdint>

namespace clew::env {

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t next() = 0;
};

}  // namespace clew::env
