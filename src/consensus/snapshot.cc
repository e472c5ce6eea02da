#include "consensus/snapshot.h"

#include "base/varint.h"

namespace clew::consensus {

void SnapshotMeta::append_to(std::string& out) const {
  std::string body;
  append_varint(body, position);
  append_varint(body, epoch);
  append_varint(body, bytes);
  body += digest.view();
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
  meta.digest = read_digest(reader);
  if (!outer.ok() || !reader.ok()) return Error{Code::kInvalidArgument, "snapshot description: truncated"};
  CLEW_ASSIGN(meta.membership, Membership::parse({reader.position(), reader.remaining()}));
  in = {outer.position(), outer.remaining()};
  return meta;
}

}  // namespace clew::consensus
