// CHECK: always on, in a release too, for programmer errors only. Never on bytes that came from outside.
// Failing prints file, line and expression and aborts, so that a node stops rather than continues on a broken
// invariant.
#pragma once

namespace clew {
[[noreturn]] void check_failed(const char* file, int line, const char* expression);
}  // namespace clew

#define CHECK(condition)                                                                         \
  do {                                                                                           \
    if (__builtin_expect(!(condition), 0)) ::clew::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
