// A check for options that take any 64-bit number, seeds above all: of "-1", and of what does not fit, CLI11 makes the
// largest number there is.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <string>

namespace clew::app {

inline CLI::Validator whole_number() {
  return {[](std::string& text) -> std::string {
            uint64_t number = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
            const bool whole = error == std::errc() && end == text.data() + text.size();
            return whole ? "" : "'" + text + "' is no whole number from 0 to 2^64 - 1";
          },
          "N"};
}

}  // namespace clew::app
