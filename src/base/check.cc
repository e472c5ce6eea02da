#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace clew {

void check_failed(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "clew: broken invariant at %s:%d: %s\n", file, line, expression);
  std::abort();
}

}  // namespace clew
