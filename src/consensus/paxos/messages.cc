#include "consensus/paxos/messages.h"

#include <algorithm>
#include <utility>

#include "consensus/membership.h"
#include "consensus/multipaxos/records.h"

namespace clew::consensus::paxos {
namespace {

constexpr uint8_t kFrameVersion = 1;

// A ballot that somebody speaks under.
bool read_real_ballot(ByteReader& in, Ballot& ballot) {
  ballot = multipaxos::read_ballot(in);
  return in.ok() && !ballot.none() && multipaxos::sound(ballot);
}

bool read_value(ByteReader& in, std::string& value) {
  const std::string_view bytes = in.prefixed_bytes();
  if (!in.ok() || bytes.size() > kMaxValueBytes) return false;
  value = bytes;
  return true;
}

bool read_rest(ByteReader& in, Message& message) {
  switch (message.kind) {
    case MessageKind::kPrepare:
      return true;
    case MessageKind::kPromise:
      // What was accepted is older than what is promised: else the promise contradicts itself.
      return read_proposal(in, message.accepted) && message.accepted.ballot <= message.ballot;
    case MessageKind::kRefusal:
      return read_real_ballot(in, message.promised);
    case MessageKind::kAccept:
    case MessageKind::kAccepted:
    case MessageKind::kChosen:
      return read_value(in, message.value);
  }
  return false;
}

}  // namespace

std::string_view message_name(MessageKind kind) {
  switch (kind) {
    case MessageKind::kPrepare:
      return "prepare";
    case MessageKind::kPromise:
      return "promise";
    case MessageKind::kRefusal:
      return "refusal";
    case MessageKind::kAccept:
      return "accept";
    case MessageKind::kAccepted:
      return "accepted";
    case MessageKind::kChosen:
      return "chosen";
  }
  return "?";
}

std::string ballot_text(const Ballot& ballot) {
  std::string text = multipaxos::to_string(ballot);
  if (ballot.incarnation > 1) text += "(" + std::to_string(ballot.incarnation) + ")";
  return text;
}

std::string to_string(const Message& message) {
  std::string text = std::string(message_name(message.kind)) + " " + ballot_text(message.ballot);
  if (message.kind == MessageKind::kRefusal) text += " promised " + ballot_text(message.promised);
  if (message.kind == MessageKind::kPromise) {
    text += message.accepted.ballot.none()
                ? " accepted nothing"
                : " accepted " + ballot_text(message.accepted.ballot) + " \"" + message.accepted.value + "\"";
  }
  if (message.kind >= MessageKind::kAccept) text += " \"" + message.value + "\"";
  return text;
}

bool sound(const std::vector<NodeId>& acceptors) {
  return !acceptors.empty() && acceptors.size() <= kMaxMembers && acceptors.front() != kNobody &&
         std::adjacent_find(acceptors.begin(), acceptors.end(), std::greater_equal<>()) == acceptors.end();
}

void append_acceptors(std::string& out, const std::vector<NodeId>& acceptors) {
  append_varint(out, acceptors.size());
  for (const NodeId id : acceptors) append_varint(out, number(id));
}

bool read_acceptors(ByteReader& in, std::vector<NodeId>& acceptors) {
  const uint64_t count = in.varint();
  if (!in.ok() || count > kMaxMembers) return false;
  acceptors.clear();
  for (uint64_t i = 0; i < count; ++i) acceptors.push_back(NodeId{in.varint()});
  return in.ok() && sound(acceptors);
}

void append_proposal(std::string& out, const Proposal& proposal) {
  multipaxos::append_ballot(out, proposal.ballot);
  if (!proposal.ballot.none()) append_bytes(out, proposal.value);
}

bool read_proposal(ByteReader& in, Proposal& proposal) {
  proposal.ballot = multipaxos::read_ballot(in);
  if (!in.ok() || !multipaxos::sound(proposal.ballot)) return false;
  return proposal.ballot.none() || read_value(in, proposal.value);
}

std::string encode(const Frame& frame) {
  std::string out;
  out.push_back(static_cast<char>(kFrameVersion));
  out.push_back(static_cast<char>(frame.message.kind));
  append_bytes(out, frame.decree);
  append_acceptors(out, frame.acceptors);
  multipaxos::append_ballot(out, frame.message.ballot);
  switch (frame.message.kind) {
    case MessageKind::kPrepare:
      break;
    case MessageKind::kPromise:
      append_proposal(out, frame.message.accepted);
      break;
    case MessageKind::kRefusal:
      multipaxos::append_ballot(out, frame.message.promised);
      break;
    case MessageKind::kAccept:
    case MessageKind::kAccepted:
    case MessageKind::kChosen:
      append_bytes(out, frame.message.value);
      break;
  }
  return out;
}

Result<Frame> parse_frame(std::string_view bytes) {
  const Error malformed{Code::kInvalidArgument, "not a frame of single-decree Paxos"};
  ByteReader in(bytes);
  const auto version = in.fixed<uint8_t>();
  const auto kind = in.fixed<uint8_t>();
  if (!in.ok() || version != kFrameVersion || kind == 0 || kind > kMaxMessageKind) return malformed;
  Frame frame;
  frame.message.kind = MessageKind{kind};
  const std::string_view decree = in.prefixed_bytes();
  if (!in.ok() || decree.empty() || decree.size() > kMaxDecreeBytes) return malformed;
  frame.decree = decree;
  if (!read_acceptors(in, frame.acceptors) || !read_real_ballot(in, frame.message.ballot)) return malformed;
  if (!read_rest(in, frame.message) || !in.ok() || !in.at_end()) return malformed;
  return frame;
}

}  // namespace clew::consensus::paxos
