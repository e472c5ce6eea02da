#include "api/etcd/execute.h"
#include "api/etcd/kv_wire.h"
#include "api/etcd/methods.h"

namespace clew::api::etcd {
namespace {

using CallPtr = std::shared_ptr<rpc::Call>;

void range(Context& context, const CallPtr& call, std::string_view message) {
  auto range = decode_range(message);
  if (!range.ok()) return call->finish(range.status());
  execute<kv::RangeResponse>(context, call, std::move(range->request), range->serializable, encode_range);
}

void put(Context& context, const CallPtr& call, std::string_view message) {
  auto put = decode_put(message);
  if (!put.ok()) return call->finish(put.status());
  execute<kv::PutResponse>(context, call, std::move(*put), false, encode_put);
}

void delete_range(Context& context, const CallPtr& call, std::string_view message) {
  auto erase = decode_delete_range(message);
  if (!erase.ok()) return call->finish(erase.status());
  execute<kv::DeleteRangeResponse>(context, call, std::move(*erase), false, encode_delete_range);
}

void txn(Context& context, const CallPtr& call, std::string_view message) {
  auto txn = decode_txn(message);
  if (!txn.ok()) return call->finish(txn.status());
  execute<kv::TxnResponse>(context, call, std::move(txn->request), txn->serializable, encode_txn);
}

void compact(Context& context, const CallPtr& call, std::string_view message) {
  auto compact = decode_compact(message);
  if (!compact.ok()) return call->finish(compact.status());
  execute<kv::CompactResponse>(context, call, *compact, false,
                               [](const Header& header, const kv::CompactResponse&) { return answer(header); });
}

}  // namespace

void add_kv(Methods& methods) {
  methods["/etcdserverpb.KV/Range"].unary = range;
  methods["/etcdserverpb.KV/Put"].unary = put;
  methods["/etcdserverpb.KV/DeleteRange"].unary = delete_range;
  methods["/etcdserverpb.KV/Txn"].unary = txn;
  methods["/etcdserverpb.KV/Compact"].unary = compact;
}

}  // namespace clew::api::etcd
