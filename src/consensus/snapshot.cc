#include "consensus/snapshot.h"

#include "base/varint.h"

namespace clew::consensus {

void SnapshotMeta::append_to(std::string& out) const {
  std::string body;
  append_varint(body, position);
  append_varint(body, epoch);
  append_varint(body, bytes);
  append_fixed(body, checksum.lo);
  append_fixed(body, checksum.hi);
  membership.append_to(body);
  append_bytes(out, body);
}

Result<SnapshotMeta> SnapshotMeta::parse(std::string_view& in) {
  ByteReader outer(in);
  const std::string_view body = outer.prefixed_bytes();
  ByteReader reader(body);
  SnapshotMeta meta;
  meta.position = reader.varint();
  meta.epoch = reader.varint();
  meta.bytes = reader.varint();
  meta.checksum.lo = reader.fixed<uint64_t>();
  meta.checksum.hi = reader.fixed<uint64_t>();
  if (!outer.ok() || !reader.ok()) return Error{Code::kInvalidArgument, "snapshot description: truncated"};
  CLEW_ASSIGN(meta.membership, Membership::parse({reader.position(), reader.remaining()}));
  in = {outer.position(), outer.remaining()};
  return meta;
}

}  // namespace clew::consensus
