// Decompression: any bytes inflate within the limit or are refused; what is inflated survives a round trip. The first
// byte chooses encoding and limit.
#include <cstdint>
#include <cstdlib>

#include "otlp/inflate.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clew::otlp;
  if (size == 0) return 0;
  const auto encoding = static_cast<Encoding>(data[0] & 3);
  const uint64_t limit = uint64_t{1} << (data[0] >> 2 & 15);
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  static std::string out, packed, again;
  const clew::Status status = inflate(encoding, body, limit, out);
  if (!status.ok()) {
    require(out.empty() && !status.message().empty());
    return 0;
  }
  require(out.size() <= limit);
  require(deflate(encoding, out, packed).ok());
  require(inflate(encoding, packed, limit, again).ok() && again == out);
  return 0;
}
