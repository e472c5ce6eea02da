// A fuzzer that exists to fail: tests/fuzz_smoke.sh demands that the fault planted here is found, so that a harness
// that finds nothing is known to look. The reader below copies length-delimited fields as protobuf has them, and trusts
// the length of field 5 where it checks every other.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

uint64_t sum_of_fields(const uint8_t* bytes, size_t size) {
  const std::vector<uint8_t> copy(bytes, bytes + size);
  uint64_t sum = 0;
  size_t at = 0;
  while (at + 2 <= copy.size()) {
    const uint8_t field = copy[at] >> 3;
    const size_t length = copy[at + 1];
    at += 2;
    if (field != 5 && length > copy.size() - at) return sum;
    for (size_t i = 0; i < length; ++i) sum += copy.data()[at + i];
    at += length;
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  volatile uint64_t sum = sum_of_fields(bytes, size);
  (void)sum;
  return 0;
}
