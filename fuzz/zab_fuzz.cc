// A ZAB core under any bytes: fuzz/core_input.h.
#include "consensus/zab/zab.h"
#include "core_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  clew::fuzz::feed_core<clew::consensus::Zab, clew::consensus::zab::Options>(data, size);
  return 0;
}
