// What the messages of the client protocol carry, as values, and their bytes: docs/format/control.md has the grammar.
//
// append() writes a body behind what is there; parse() reads one that a stranger may have written: kInvalidArgument
// when it makes no sense. It allocates no more than a constant times the input. Bytes behind the known fields belong to
// a later version and are passed over, except behind a key-value request or response, whose own codec allows none.
//
// Pure; any thread; O(bytes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/service.h"

namespace clew::control {

// Every request begins with its options, and these with one byte of flags, so that a client can ask again with
// another answer to "may it be forwarded?" without encoding anew.
void append_options(std::string& out, const CallOptions& options);
Result<CallOptions> take_options(std::string_view& body);  // moves `body` behind them
void set_forward(std::string& body, bool forward);         // of an encoded request

// What follows the options of kExecute.
struct ExecuteBody {
  kv::Space space = kv::Space::kUser;
  kv::Request request;
};
void append_execute(std::string& out, kv::Space space, const kv::Request& request);
Result<ExecuteBody> parse_execute(std::string_view body);

// One number: a session, a position, a node, a credit, a lease, a time to live, a space, a watch's id.
struct NumberBody {
  int64_t number = 0;
};
struct MemberBody {  // of removing, promoting, updating, transferring
  consensus::NodeId id = consensus::kNobody;
  std::string address;
};
struct AlarmBody {
  Alarm alarm;
  bool on = false;
};
struct DecreeBody {  // what is proposed
  std::string name;
  std::string value;
};
struct AttestBody {
  consensus::SessionId session = consensus::kNoSession;
  uint64_t sequence = 0;
};
struct SnapshotBody {  // the rest of the message is the bytes
  uint64_t total = 0;
  std::string bytes;
};
struct WatchResponsesBody {
  std::vector<kv::WatchResponse> responses;
};

// `Body` is one of NumberBody, MemberBody, AlarmBody, DecreeBody, AttestBody, SnapshotBody,
// WatchResponsesBody, Service::NewMember, kv::WatchRequest, CallReply, CallError, GroupStatus, Attestation,
// consensus::paxos::Outcome.
template <typename Body>
void append(std::string& out, const Body& body);
template <typename Body>
Result<Body> parse(std::string_view body);

// About how much memory a response costs, and about how long its bytes are: for credit.
size_t weight(const kv::Event& event);
size_t weight(const kv::WatchResponse& response);

}  // namespace clew::control
