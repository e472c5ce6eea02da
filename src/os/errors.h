// Errors of system calls in words: what was tried, on what, what the system said, what to do about it.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace clew::os {

// "open /data/wal/00000003.wal: Permission denied; give the user that runs clew access to it".
Error system_error(std::string_view action, std::string_view target, int error_number);

}  // namespace clew::os
