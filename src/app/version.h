// The version of the program, as CMakeLists.txt has it.
#pragma once

namespace clew::app {
inline constexpr char kVersion[] = "0.1.0";
}  // namespace clew::app
