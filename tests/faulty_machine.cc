// A machine with a slow disk and a wrong clock, for one process of a test: preloaded, it reads from the file that
// FAULTY_MACHINE names, at every call, by how much Unix time is shifted and how long each sync takes. The file is
// mapped, so that a test turns the faults on and off while the process runs (tests/faulty_machine.py).
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

constexpr int64_t kSecond = 1'000'000'000;

struct Faults {
  int64_t clock_shift_ns = 0;
  int64_t sync_delay_ns = 0;
};

const volatile Faults& faults() {
  static const Faults none;
  static const Faults* const mapped = []() -> const Faults* {
    const char* const path = std::getenv("FAULTY_MACHINE");
    const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return &none;
    void* const found = ::mmap(nullptr, sizeof(Faults), PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    return found == MAP_FAILED ? &none : static_cast<const Faults*>(found);
  }();
  return *mapped;
}

template <typename F>
F* real(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

int after_waiting(int (*sync)(int), int fd) {
  const int64_t delay = faults().sync_delay_ns;
  timespec left{delay / kSecond, delay % kSecond};
  while (delay > 0 && nanosleep(&left, &left) != 0) {
  }
  return sync(fd);
}

}  // namespace

extern "C" int fdatasync(int fd) {
  static auto* const sync = real<int(int)>("fdatasync");
  return after_waiting(sync, fd);
}
extern "C" int fsync(int fd) {
  static auto* const sync = real<int(int)>("fsync");
  return after_waiting(sync, fd);
}
// What OpenSSL asks.
extern "C" time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
extern "C" int clock_gettime(clockid_t id, timespec* time) noexcept {
  static auto* const read = real<int(clockid_t, timespec*)>("clock_gettime");
  const int result = read(id, time);
  const int64_t shift = id == CLOCK_REALTIME ? int64_t{faults().clock_shift_ns} : 0;
  if (result != 0 || shift == 0) return result;
  const int64_t shifted = int64_t{time->tv_sec} * kSecond + time->tv_nsec + shift;
  *time = {shifted / kSecond, shifted % kSecond};
  return 0;
}
