// A Raft core under any bytes: fuzz/core_input.h.
#include "consensus/raft/raft.h"
#include "core_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  clew::fuzz::feed_core<clew::consensus::Raft, clew::consensus::raft::Options>(data, size);
  return 0;
}
