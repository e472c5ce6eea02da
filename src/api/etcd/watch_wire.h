// The Watch service's messages. Pure; any thread; O(bytes).
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "api/etcd/wire.h"
#include "base/status.h"
#include "kv/watch.h"

namespace clew::api::etcd {

struct CancelWatch {
  kv::WatchId id = 0;
};
struct WatchProgress {};
// monostate: a message that asks for nothing, which etcd ignores.
using WatchCommand = std::variant<std::monostate, kv::WatchRequest, CancelWatch, WatchProgress>;

Result<WatchCommand> decode_watch(std::string_view message);
// The header's revision is the response's.
std::string encode_watch(Header header, const kv::WatchResponse& response);

}  // namespace clew::api::etcd
