// What an rpc::Server holds for its callers, and how much it may: calls that have begun, and bytes of their heads and
// messages. Whoever has shown who he is, or need not, counts apart from strangers (health checks, Authenticate), whose
// share is small: they can crowd out each other, nobody else. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace clew::api::rpc {

enum class Caller : uint8_t { kKnown, kStranger };
constexpr size_t kCallers = 2;
constexpr uint64_t kStrangersShare = 8;  // one part in so many

// What a call costs beside its head and messages: itself, its handler, its stream in the library.
constexpr size_t kCallBytes = 1'024;

struct Budget {
  std::atomic<uint64_t> calls{0};
  std::atomic<uint64_t> bytes{0};
};

// Of a limit for those who are known.
constexpr uint64_t share_of(Caller caller, uint64_t limit) {
  return caller == Caller::kKnown ? limit : limit / kStrangersShare;
}

}  // namespace clew::api::rpc
