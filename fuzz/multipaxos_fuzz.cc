// A Multi-Paxos core under any bytes: fuzz/core_input.h.
#include "consensus/multipaxos/multipaxos.h"
#include "core_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  clew::fuzz::feed_core<clew::consensus::MultiPaxos, clew::consensus::multipaxos::Options>(data, size);
  return 0;
}
