// What is refused before it is proposed, and again when it is applied: etcd's checks of a request by itself, with
// etcd's codes and words, so that its clients recognise them. What depends on the state (a missing lease, a future
// revision) is refused where the state is: state_machine.h.
//
// The bounds are constants, not settings: every member must judge a command alike.
// Pure; any thread; O(request), for a transaction O(n log n) of its operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "kv/command.h"

namespace clew::kv {

constexpr size_t kMaxTxnOps = 128;                        // etcd's --max-txn-ops
constexpr size_t kMaxRequestBytes = 3 * 1024 * 1024 / 2;  // etcd's --max-request-bytes, of the encoded command
constexpr size_t kMaxValueBytes = kMaxRequestBytes;       // of what appends may grow
constexpr size_t kMaxRangeBytes = 256u << 20;             // of what one request may read
// That one change, or one transaction, may look at through its ranges: it is carried out at one go, and nothing else is
// meanwhile. Reads of a range are not bound by it (long_read.h).
constexpr size_t kMaxRangeKeys = 100'000;
constexpr size_t kMaxKeepAlives = 65'536;   // leases in one keep-alive
constexpr int64_t kMinLeaseTtlSeconds = 2;  // shorter ones are lengthened
constexpr int64_t kMaxLeaseTtlSeconds = 9'000'000'000;

Status validate(const Request& request);

// The canonical errors. `Error` rather than Status: each is used as a Result as often.
namespace errors {
Error empty_key();
Error key_not_found();
Error value_provided();
Error lease_provided();
Error too_many_ops();
Error duplicate_key();
Error invalid_sort_option();
Error compacted();
Error future_revision();
Error lease_not_found();
Error lease_exists();
Error lease_ttl_too_large();
Error request_too_large();
// Not etcd's, which answers or dies:
Error range_too_large();
Error too_many_keys();
}  // namespace errors

}  // namespace clew::kv
