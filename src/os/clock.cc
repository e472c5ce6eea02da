#include "os/clock.h"

#include <ctime>

namespace clew::os {
namespace {
int64_t read_clock(clockid_t id) {
  timespec time{};
  clock_gettime(id, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}
}  // namespace

int64_t OsClock::wall_ns() const { return read_clock(CLOCK_REALTIME); }
int64_t OsClock::mono_ns() const { return read_clock(CLOCK_MONOTONIC); }

}  // namespace clew::os
