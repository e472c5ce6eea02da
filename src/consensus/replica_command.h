// What a kCommand entry carries: who asked, when, in which session, and the command itself. Part of the log's format:
// docs/format/replica.md. Pure; any thread; O(bytes).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "consensus/session_table.h"
#include "consensus/types.h"

namespace clew::consensus {

enum class CommandKind : uint8_t { kApply = 1, kOpenSession = 2, kCloseSession = 3 };
constexpr uint8_t kMaxCommandKind = 3;

struct CommandHeader {
  CommandKind kind = CommandKind::kApply;
  // Whose client waits: drawn at random by each run of a replica, and its number there. Says who answers, nothing else.
  uint64_t run = 0;
  uint64_t request = 0;
  int64_t proposed_ns = 0;  // the proposer's Replica::time_ns()
  SessionId session = kNoSession;
  uint64_t sequence = 0;
  uint64_t acknowledged_below = 0;
};
constexpr size_t kMaxCommandHeaderBytes = 64;

Payload encode_command(const CommandHeader& header, std::string_view body);

struct DecodedCommand {
  CommandHeader header;
  std::string_view body;  // into the payload
};
// kUnimplemented: of a kind that only a newer version knows. kInvalidArgument: malformed, the same on every node.
Result<DecodedCommand> decode_command(std::string_view payload);

}  // namespace clew::consensus
