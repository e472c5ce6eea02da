// The words of `clew kv txn`: conditions and operations as people type them.
//
//   value(KEY) = TEXT     mod(KEY) > 5     create(KEY) = 0     version(KEY) != 2     lease(KEY) = 0x1f
//   put KEY VALUE     get KEY     get-prefix KEY     del KEY     del-prefix KEY
//
// Words with spaces stand in single or double quotes. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kv/command.h"

namespace clew::app {

Result<std::vector<std::string>> split_words(std::string_view line);
Result<kv::Compare> parse_condition(std::string_view line);
Result<kv::RequestOp> parse_operation(std::string_view line);

}  // namespace clew::app
