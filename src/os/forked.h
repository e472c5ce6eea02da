// Work in child processes: a function over numbered tasks, several at a time, each in a fork of this process.
//
// For deterministic work that only computes and that may end in a failed CHECK: a child that dies takes its task with
// it and nothing else. When not to use it: once this process has threads, as a fork has only the calling one of them;
// for anything that needs its result soon.
//
// Children end with this process, however it ends. Blocking; one thread. Linux.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/status.h"

namespace clew::os {

struct ForkedOutcome {
  uint64_t task = 0;
  int signal = 0;      // that killed the child while it was at this task; 0: `output` is what the work returned
  std::string output;  // empty when it was killed
};

// Hands each outcome to `done`, in the order in which they end. `done` returning false: no further task is begun, and
// those under way are given up. The error is the system's, which gives no more processes or pipes.
Status run_forked(std::span<const uint64_t> tasks, size_t processes, const std::function<std::string(uint64_t)>& work,
                  const std::function<bool(ForkedOutcome)>& done);

}  // namespace clew::os
