#include "consensus/pbft/ledger_state.h"

#include <algorithm>

#include "base/varint.h"

namespace clew::consensus::pbft {

bool ClientTable::executed(NodeId gateway, uint64_t timestamp) const {
  const auto found = clients_.find(gateway);
  if (found == clients_.end()) return timestamp == 0;
  return timestamp <= found->second.floor || found->second.above.contains(timestamp);
}

bool ClientTable::execute(NodeId gateway, uint64_t timestamp, uint64_t window) {
  if (executed(gateway, timestamp)) return false;
  Client& client = clients_[gateway];
  client.above.insert(timestamp);
  while (!client.above.empty() && (*client.above.begin() == client.floor + 1 || client.above.size() > window)) {
    client.floor = *client.above.begin();
    client.above.erase(client.above.begin());
  }
  return true;
}

uint64_t ClientTable::floor(NodeId gateway) const {
  const auto found = clients_.find(gateway);
  return found == clients_.end() ? 0 : found->second.floor;
}

void ClientTable::append_to(std::string& out) const {
  append_varint(out, clients_.size());
  for (const auto& [id, client] : clients_) {
    append_varint(out, number(id));
    append_varint(out, client.floor);
    append_varint(out, client.above.size());
    uint64_t before = client.floor;
    for (const uint64_t timestamp : client.above) {
      append_varint(out, timestamp - before);
      before = timestamp;
    }
  }
}

Result<ClientTable> ClientTable::parse(std::string_view bytes) {
  ByteReader in(bytes);
  ClientTable table;
  uint64_t before_id = 0;
  for (uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    const uint64_t id = in.varint();
    Client client{in.varint(), {}};
    uint64_t timestamp = client.floor;
    for (uint64_t more = in.varint(); more > 0 && in.ok(); --more) {
      const uint64_t step = in.varint();
      if (step == 0 || step > UINT64_MAX - timestamp) return Error{Code::kInvalidArgument, "malformed: client table"};
      timestamp += step;
      client.above.insert(timestamp);
    }
    if (id <= before_id) return Error{Code::kInvalidArgument, "malformed: client table"};
    before_id = id;
    table.clients_.emplace(NodeId{id}, std::move(client));
  }
  if (!in.ok() || !in.at_end()) return Error{Code::kInvalidArgument, "malformed: client table"};
  return table;
}

void CheckpointHeader::append_to(std::string& out) const {
  std::string body;
  append_varint(body, seq);
  append_varint(body, position);
  append_varint(body, epoch);
  body += history.view();
  append_varint(body, since_snapshot);
  body.push_back(static_cast<char>((changed ? 1 : 0) | (snapshot ? 2 : 0)));
  body += clients.view();
  append_varint(body, next_at);
  std::string pending;
  if (next_at != 0) next.append_to(pending);
  append_bytes(body, pending);
  membership.append_to(body);
  append_bytes(out, body);
}

Result<CheckpointHeader> CheckpointHeader::parse(std::string_view& in) {
  ByteReader outer(in);
  ByteReader body(outer.prefixed_bytes());
  CheckpointHeader header;
  header.seq = body.varint();
  header.position = body.varint();
  header.epoch = body.varint();
  header.history = read_digest(body);
  header.since_snapshot = body.varint();
  const auto flags = body.fixed<uint8_t>();
  header.changed = (flags & 1) != 0;
  header.snapshot = (flags & 2) != 0;
  header.clients = read_digest(body);
  header.next_at = body.varint();
  const std::string_view pending = body.prefixed_bytes();
  if (!outer.ok() || !body.ok() || flags > 3) return Error{Code::kInvalidArgument, "malformed: checkpoint"};
  if (header.next_at != 0) {
    CLEW_ASSIGN(header.next, Membership::parse(pending));
  }
  CLEW_ASSIGN(header.membership, Membership::parse({body.position(), body.remaining()}));
  in = {outer.position(), outer.remaining()};
  return header;
}

Digest256 CheckpointHeader::digest() const {
  std::string bytes;
  append_to(bytes);
  return sha256(bytes);
}

}  // namespace clew::consensus::pbft
