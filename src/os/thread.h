// Names and priorities of the process's threads. Linux.
#pragma once

#include <string>

namespace clew::os {

// Names the calling thread, for top, gdb and perf; cut to the 15 bytes that the kernel keeps.
void name_this_thread(const std::string& name);
// Lowers the calling thread to nice `level` (0..19). A refusal is ignored: the work is the same, only less polite.
void make_this_thread_nice(int level);

}  // namespace clew::os
