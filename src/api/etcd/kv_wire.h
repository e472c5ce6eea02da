// The KV service's messages: etcdserverpb.Range…, Put…, DeleteRange…, Txn…, Compaction…. Nothing is judged here but
// what the values of kv/command.h cannot express: an unknown sort (etcd's error), an unknown comparison, transactions
// nested deeper than kv::kMaxTxnDepth. Pure; any thread; O(bytes).
#pragma once

#include <string>
#include <string_view>

#include "api/etcd/wire.h"
#include "base/status.h"
#include "kv/command.h"

namespace clew::api::etcd {

// `serializable`: the client is content with this member's state. Of a transaction: all its reads are, and it has
// nothing but reads.
template <typename T>
struct Decoded {
  T request;
  bool serializable = false;
};

Result<Decoded<kv::RangeRequest>> decode_range(std::string_view message);
Result<kv::PutRequest> decode_put(std::string_view message);
Result<kv::DeleteRangeRequest> decode_delete_range(std::string_view message);
Result<Decoded<kv::TxnRequest>> decode_txn(std::string_view message);
Result<kv::CompactRequest> decode_compact(std::string_view message);

std::string encode_range(const Header& header, const kv::RangeResponse& response);
std::string encode_put(const Header& header, const kv::PutResponse& response);
std::string encode_delete_range(const Header& header, const kv::DeleteRangeResponse& response);
std::string encode_txn(const Header& header, const kv::TxnResponse& response);

void write_key_value(Writer& writer, uint32_t number, const kv::KeyValue& kv);

}  // namespace clew::api::etcd
