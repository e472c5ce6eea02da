// Reading the node's JSON replies: what is absent, or of another type, reads as empty or 0 (a client of a newer or
// older node shows what it can).
#pragma once

#include <simdjson.h>

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "app/client_output.h"

namespace clew::app {

// `path`: a key, or a JSON pointer when it begins with '/'.
inline simdjson::simdjson_result<simdjson::dom::element> at(simdjson::dom::element parent, std::string_view path) {
  return path.starts_with('/') ? parent.at_pointer(path) : parent.at_key(path);
}
inline std::string text(simdjson::dom::element parent, std::string_view path) {
  std::string_view value;
  return at(parent, path).get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
}
// A number, or a string that holds one (64-bit integers cross as strings).
inline int64_t number(simdjson::dom::element parent, std::string_view path) {
  int64_t value = 0;
  if (at(parent, path).get(value) == simdjson::SUCCESS) return value;
  const std::string digits = text(parent, path);
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}
inline std::vector<simdjson::dom::element> items(simdjson::dom::element parent, std::string_view path) {
  simdjson::dom::array array;
  if (at(parent, path).get(array) != simdjson::SUCCESS) return {};
  return {array.begin(), array.end()};
}

inline Paint paint_of_state(std::string_view state) {
  return state == "complete" ? Paint::kGreen : state == "timed_out" ? Paint::kRed : Paint::kYellow;
}

}  // namespace clew::app
