// The type of a message on the wire: the place of its struct among the alternatives of a protocol's variant of
// messages, which therefore are append only. Constant; nothing to call at run time.
#pragma once

#include <cstdint>
#include <type_traits>
#include <variant>

namespace clew::consensus {

template <typename T, typename... Ts>
constexpr uint8_t place_among(const std::variant<Ts...>*) {
  const bool same[] = {std::is_same_v<T, Ts>...};
  uint8_t place = 0;
  while (!same[place]) ++place;  // does not compile when T is none of them
  return place;
}

// Of T among the alternatives of Message.
template <typename T, typename Message>
constexpr uint8_t message_type() {
  return place_among<T>(static_cast<const Message*>(nullptr));
}

}  // namespace clew::consensus
