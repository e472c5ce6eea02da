// Durations as Go writes them, which all the APIs speak. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace clew::api {

// "100ms", "1h2m3.5s", "-2us": Go's durations, with days. Nothing when it is not one; a bare number is not one, but 0
// is.
std::optional<int64_t> parse_duration_ns(std::string_view text);

}  // namespace clew::api
