// env::Random from the kernel (getrandom). Any thread. About 0.3 µs a number: for seeds, not for inner loops.
#pragma once

#include "env/random.h"

namespace clew::os {

class OsRandom final : public env::Random {
 public:
  uint64_t next() override;
};

}  // namespace clew::os
