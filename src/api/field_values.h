// Where the values of a field stand, for lists for completion: what Tempo's and Clew's own API share. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/query.h"

namespace clew::api {

// In the store under `field` and `key`; or `fixed`, of a field that has certain words only, or none to choose from.
struct FieldValues {
  store::Field field = store::Field::kAny;
  std::string key;
  std::optional<std::vector<std::string>> fixed;
};
// Of a field as TraceQL writes it: "resource.host.name", ".http.method", "status".
Result<FieldValues> field_values(std::string_view name);

}  // namespace clew::api
