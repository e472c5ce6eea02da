// What the literature states of each protocol, as figures that a measurement can be laid beside; and statements that
// circulate and are wrong, each with what it would predict. One entry a protocol in facts.cc: a family without one is
// measured all the same.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace clew::sim::lab {

struct ProtocolFacts {
  std::string_view family;
  bool byzantine = false;          // it survives liars, not only crashes
  double (*messages)(double n);    // a command, without a fault, one at a time
  std::string_view messages_text;  // "2(n-1)"
  double delays = 0;               // message delays until the leader knows that it is committed
  std::string_view source;
  std::string_view leader_change;   // what it takes
  std::string_view change_order;    // of messages, in the size of the group: "O(n)"
  std::string_view change_bits;     // "O(n³)"; empty: nobody states it
  std::string_view change_details;  // with the source
};
// Null: nothing is written down about it.
const ProtocolFacts* facts_of(std::string_view family);

// How many failures n members survive, and why it makes no sense when that is none for a protocol against liars.
size_t survives(const ProtocolFacts* facts, size_t nodes);
std::string senseless(const ProtocolFacts* facts, std::string_view family, size_t nodes);  // empty: it makes sense

}  // namespace clew::sim::lab
