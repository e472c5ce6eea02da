// A slow disk for a process of a test: preloaded, it lets every sync wait for as many milliseconds as SLOW_SYNC_MS
// says.
#include <dlfcn.h>
#include <time.h>

#include <cstdlib>

namespace {

int after_waiting(const char* name, int fd) {
  static const char* const wanted = std::getenv("SLOW_SYNC_MS");
  const long ms = wanted == nullptr ? 0 : std::atol(wanted);
  timespec left{ms / 1'000, ms % 1'000 * 1'000'000};
  while (nanosleep(&left, &left) != 0) {
  }
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(fd);
}

}  // namespace

extern "C" int fdatasync(int fd) { return after_waiting("fdatasync", fd); }
extern "C" int fsync(int fd) { return after_waiting("fsync", fd); }
