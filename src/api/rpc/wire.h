// What gRPC writes into HTTP/2's headers and in front of its messages ("gRPC over HTTP2"). Pure; any thread; O(bytes).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clew::api::rpc {

// grpc-message: percent-encoded outside of printable ASCII, cut to what a head may hold.
std::string escape_message(std::string_view text);
// grpc-timeout: "5S", "100m": at most eight digits and a unit. Nothing else is a time.
std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text);
// Of the message behind the five bytes at `prefix`.
size_t message_size(const uint8_t* prefix);

}  // namespace clew::api::rpc
