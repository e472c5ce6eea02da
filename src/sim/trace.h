// Names of what happens in a simulated world, and the running hash over all of it.
//
// Two runs of one program with one seed must have the same hash; a difference means that something outside the seed was
// looked at: an address, the order of a hash map, a real clock. The hash is 64 bits of mixing, against accidents and
// not against an adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/hash.h"

namespace clew::sim {

// A simulated machine, counted from 0. Not the protocol's id of a member: who adapts a protocol maps the two.
enum class NodeIndex : uint32_t {};
constexpr NodeIndex kNoNode{UINT32_MAX};  // an event of the world itself
constexpr size_t at(NodeIndex node) { return static_cast<size_t>(node); }
constexpr size_t kMaxNodes = 64;
std::string name(NodeIndex node);  // "n3"; "world"

// A set of machines, bit i for machine i.
using NodeMask = uint64_t;
constexpr NodeMask mask_of(NodeIndex node) { return NodeMask{1} << at(node); }
constexpr bool contains(NodeMask set, NodeIndex node) { return (set >> at(node) & 1) != 0; }
constexpr NodeMask all_of(size_t nodes) { return nodes == kMaxNodes ? ~NodeMask{0} : (NodeMask{1} << nodes) - 1; }
std::string names(NodeMask set);  // "{0,2}"

enum class EventKind : uint8_t {
  kTask,     // posted to a loop, or scheduled by a test
  kTimer,    // of a loop
  kOffload,  // work of a worker lane
  kMessage,  // a datagram arrives
  kStream,   // something happens to a byte stream
  kPlan,     // a fault begins or ends, an operation is issued
};
constexpr size_t kEventKinds = 6;

class TraceHash {
 public:
  void add(uint64_t a, uint64_t b) { value_ = mix64(value_ ^ a, b); }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0x636c6577;
};

}  // namespace clew::sim
