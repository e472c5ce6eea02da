// Mutex with clang's thread-safety annotations (-Wthread-safety): a member says what guards it, and the compiler
// checks. For the few places that several threads share; state owned by one loop needs none.
#pragma once

#include <mutex>

#if defined(__clang__)
#define CLEW_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define CLEW_THREAD_ANNOTATION(x)
#endif
#define CLEW_CAPABILITY(x) CLEW_THREAD_ANNOTATION(capability(x))
#define CLEW_SCOPED_CAPABILITY CLEW_THREAD_ANNOTATION(scoped_lockable)
#define CLEW_GUARDED_BY(x) CLEW_THREAD_ANNOTATION(guarded_by(x))
#define CLEW_REQUIRES(...) CLEW_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define CLEW_ACQUIRE(...) CLEW_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define CLEW_RELEASE(...) CLEW_THREAD_ANNOTATION(release_capability(__VA_ARGS__))

namespace clew {

class CLEW_CAPABILITY("mutex") Mutex {
 public:
  void lock() CLEW_ACQUIRE() { mutex_.lock(); }
  void unlock() CLEW_RELEASE() { mutex_.unlock(); }
  std::mutex& native() { return mutex_; }  // for condition variables

 private:
  std::mutex mutex_;
};

class CLEW_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) CLEW_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() CLEW_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace clew
