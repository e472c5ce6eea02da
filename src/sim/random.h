// env::Random from a seed: a simulated world draws its "unpredictable" numbers reproducibly. Not thread-safe.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "env/random.h"

namespace clew::sim {

class SimRandom final : public env::Random {
 public:
  explicit SimRandom(uint64_t seed) : generator_(seed) {}
  uint64_t next() override { return generator_.next(); }

 private:
  Generator generator_;
};

}  // namespace clew::sim
