// What requests do to a store and what they answer: etcd's rules for those that depend on the state. Requests have been
// found good by validate(). A refused one has changed nothing.
//
// Pure functions over the store; its thread. `writes` are to be called between Store::begin() and end().
#pragma once

#include "base/status.h"
#include "kv/command.h"
#include "kv/custom.h"
#include "kv/lease.h"
#include "kv/store.h"

namespace clew::kv {

// Reads; kOutOfRange for revisions that are compacted or in the future, kResourceExhausted for what would fill memory.
Result<RangeResponse> execute(const Store& store, const RangeRequest& request);
// Of ranges only: read_only(request).
Result<TxnResponse> execute_read_only(const Store& store, const LeaseTable& leases, const TxnRequest& request);
LeaseTimeToLiveResponse execute(const Store& store, const LeaseTable& leases, int64_t time_ns,
                                const LeaseTimeToLiveRequest& request);

// Writes.
Result<PutResponse> execute(Store& store, const LeaseTable& leases, const PutRequest& request);
Result<DeleteRangeResponse> execute(Store& store, const DeleteRangeRequest& request);
Result<AppendResponse> execute(Store& store, const AppendRequest& request);
Result<CompareAndSetResponse> execute(Store& store, const LeaseTable& leases, const CompareAndSetRequest& request);
// All comparisons, of inner transactions too, look at the state before the transaction; so do the checks that may
// refuse it. Then the chosen operations run in order, each seeing what those before it did.
Result<TxnResponse> execute(Store& store, const LeaseTable& leases, const TxnRequest& request);
Result<CustomResponse> execute(Store& store, int64_t time_ns, const CustomRegistry& registry,
                               const CustomRequest& request);

}  // namespace clew::kv
