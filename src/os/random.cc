#include "os/random.h"

#include <sys/random.h>

#include <cerrno>

#include "base/check.h"

namespace clew::os {

uint64_t OsRandom::next() {
  uint64_t value = 0;
  ssize_t got;
  do {
    got = getrandom(&value, sizeof value, 0);
  } while (got < 0 && errno == EINTR);
  CHECK(got == sizeof value);  // up to 256 bytes never come short once the kernel's pool is up
  return value;
}

}  // namespace clew::os
