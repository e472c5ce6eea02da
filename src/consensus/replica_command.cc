#include "consensus/replica_command.h"

#include <string>

#include "base/varint.h"

namespace clew::consensus {

// command = kind:u8  run:u64  request:varint  proposed_ns:varint  [session sequence acknowledged_below]:varint  body
// Session fields only when the kind is kApply or kCloseSession; sequence and acknowledged_below only with a session.
Payload encode_command(const CommandHeader& header, std::string_view body) {
  char front[kMaxCommandHeaderBytes];
  front[0] = static_cast<char>(header.kind);
  std::memcpy(front + 1, &header.run, sizeof header.run);
  char* at = front + 1 + sizeof header.run;
  at = put_varint(at, header.request);
  at = put_varint(at, static_cast<uint64_t>(header.proposed_ns));
  if (header.kind != CommandKind::kOpenSession) {
    at = put_varint(at, static_cast<uint64_t>(header.session));
    if (header.session != kNoSession) {
      at = put_varint(at, header.sequence);
      at = put_varint(at, header.acknowledged_below);
    }
  }
  std::string bytes;
  bytes.reserve(static_cast<size_t>(at - front) + body.size());
  bytes.append(front, static_cast<size_t>(at - front));
  bytes.append(body);
  return Payload(std::move(bytes));
}

Result<DecodedCommand> decode_command(std::string_view payload) {
  ByteReader in(payload);
  const uint8_t kind = in.fixed<uint8_t>();
  if (kind > kMaxCommandKind) {
    return Error{Code::kUnimplemented,
                 "a command of kind " + std::to_string(kind) +
                     ", which this version does not know; a newer one wrote it: upgrade this node"};
  }
  DecodedCommand command;
  command.header.kind = static_cast<CommandKind>(kind);
  command.header.run = in.fixed<uint64_t>();
  command.header.request = in.varint();
  const uint64_t proposed_ns = in.varint();
  if (command.header.kind != CommandKind::kOpenSession) {
    command.header.session = SessionId{in.varint()};
    if (command.header.session != kNoSession) {
      command.header.sequence = in.varint();
      command.header.acknowledged_below = in.varint();
    }
  }
  if (!in.ok() || kind == 0 || proposed_ns > INT64_MAX) return Error{Code::kInvalidArgument, "a malformed command"};
  command.header.proposed_ns = static_cast<int64_t>(proposed_ns);
  command.body = {in.position(), in.remaining()};
  return command;
}

}  // namespace clew::consensus
