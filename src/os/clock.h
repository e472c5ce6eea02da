// env::Clock on the system's clocks (CLOCK_REALTIME, CLOCK_MONOTONIC). Any thread.
#pragma once

#include "env/loop.h"

namespace clew::os {

class OsClock final : public env::Clock {
 public:
  int64_t wall_ns() const override;
  int64_t mono_ns() const override;
};

}  // namespace clew::os
