// The version of the program: that of the CMake project.
#pragma once

namespace clew::app {
inline constexpr char kVersion[] = CLEW_VERSION;
}  // namespace clew::app
