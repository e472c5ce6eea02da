#include "kv/custom.h"

#include <utility>

#include "base/check.h"
#include "base/varint.h"

namespace clew::kv {

void CustomRegistry::add(std::string name, uint32_t version, CustomFunction function) {
  CHECK(!name.empty() && function != nullptr);
  CHECK(functions_.emplace(std::pair(std::move(name), version), std::move(function)).second);
}

const CustomFunction* CustomRegistry::find(std::string_view name, uint32_t version) const {
  auto at = functions_.find(std::pair(std::string(name), version));
  return at == functions_.end() ? nullptr : &at->second;
}

Hash128 CustomRegistry::fingerprint() const {
  std::string bytes;
  for (const auto& [id, function] : functions_) {
    append_bytes(bytes, id.first);
    append_varint(bytes, id.second);
  }
  return stable_hash128(bytes);
}

}  // namespace clew::kv
