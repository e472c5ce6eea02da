#include "consensus/multipaxos/messages.h"

#include "base/varint.h"
#include "consensus/message_type.h"
#include "consensus/multipaxos/records.h"

namespace clew::consensus::multipaxos {
namespace {

template <typename T>
constexpr uint8_t type_of() {
  return message_type<T, Message>();
}

// Flags of a heartbeat.
constexpr uint8_t kWantsReply = 1;
constexpr uint8_t kTold = 2;

void head(std::string& out, uint8_t type, const Ballot& ballot) {
  out.push_back(static_cast<char>(kMessageVersion));
  out.push_back(static_cast<char>(type));
  append_ballot(out, ballot);
}

struct Encoder {
  std::string& out;
  void operator()(const Prepare& m) {
    out.push_back(m.pre ? 1 : 0);
    append_ballot(out, m.reign);
    append_varint(out, m.from);
    append_varint(out, m.held.size());
    for (const Prepare::Held& held : m.held) {
      append_varint(out, held.first);
      append_varint(out, held.last);
      append_ballot(out, held.ballot);
    }
  }
  void operator()(const Promise& m) {
    out.push_back(m.pre ? 1 : 0);
    append_varint(out, m.from);
    append_varint(out, m.upto);
    append_varint(out, m.commit);
    append_varint(out, m.floor);
    append_ballot(out, m.floor_ballot);
    append_varint(out, m.votes.size());
    for (const auto& [position, vote] : m.votes) {
      append_run_head(out, vote.ballot, position, 1);
      append_entry(out, vote.entry, vote.bare);
    }
  }
  void operator()(const Refused& m) {
    append_ballot(out, m.asked);
    out.push_back(m.pre ? 1 : 0);
  }
  void operator()(const Accept&) {}  // append_accept_head
  void operator()(const Accepted& m) {
    append_varint(out, m.upto);
    append_varint(out, m.beyond);
    out.push_back(m.lost ? 1 : 0);
  }
  void operator()(const Heartbeat& m) {
    append_varint(out, m.commit);
    append_varint(out, m.known);
    append_varint(out, m.safe);
    append_varint(out, m.round);
    append_varint(out, m.stamp);
    append_varint(out, m.lease_ns);
    out.push_back(static_cast<char>((m.wants_reply ? kWantsReply : 0) | (m.told ? kTold : 0)));
  }
  void operator()(const HeartbeatReply& m) {
    append_varint(out, m.round);
    append_varint(out, m.stamp);
    append_varint(out, m.commit);
  }
  void operator()(const ReadRequest& m) { append_varint(out, m.context); }
  void operator()(const ReadReply& m) {
    append_varint(out, m.context);
    out.push_back(m.ok ? 1 : 0);
    append_varint(out, m.position);
  }
  void operator()(const TimeoutNow&) {}
  void operator()(const SnapshotOffer& m) {
    out.push_back(m.without_commands ? 1 : 0);
    m.meta.append_to(out);
  }
};

Status malformed(std::string_view reason) { return {Code::kInvalidArgument, std::string(reason)}; }

constexpr std::string_view kCutShort = "malformed: cut short";
constexpr size_t kSmallestHeld = 5;
constexpr size_t kSmallestVote = 8;

Result<Message> decode_prepare(ByteReader& in, const Ballot& ballot) {
  Prepare m;
  m.ballot = ballot;
  m.pre = in.fixed<uint8_t>() != 0;
  m.reign = read_ballot(in);
  m.from = in.varint();
  const uint64_t count = in.varint();
  if (!in.ok()) return malformed(kCutShort);
  if (m.from == 0 || m.from > kMaxNumber || !sound(m.reign) || count > kMaxHeldRuns ||
      count > in.remaining() / kSmallestHeld) {
    return malformed("malformed: prepare");
  }
  Position before = m.from - 1;
  for (uint64_t i = 0; i < count; ++i) {
    Prepare::Held held;
    held.first = in.varint();
    held.last = in.varint();
    held.ballot = read_ballot(in);
    if (!in.ok() || held.first <= before || held.last < held.first || held.last > kMaxNumber || !sound(held.ballot) ||
        held.ballot > ballot) {
      return malformed("malformed: prepare");
    }
    before = held.last;
    m.held.push_back(held);
  }
  return Message(std::move(m));
}

Result<Message> decode_promise(ByteReader& in, const Ballot& ballot) {
  Promise m;
  m.ballot = ballot;
  m.pre = in.fixed<uint8_t>() != 0;
  m.from = in.varint();
  m.upto = in.varint();
  m.commit = in.varint();
  m.floor = in.varint();
  m.floor_ballot = read_ballot(in);
  const uint64_t count = in.varint();
  if (!in.ok()) return malformed(kCutShort);
  if (m.from == 0 || m.upto > kMaxNumber || m.upto < m.from || m.commit > kMaxNumber || m.floor > kMaxNumber ||
      !sound(m.floor_ballot) || count > in.remaining() / kSmallestVote) {
    return malformed("malformed: promise");
  }
  const auto buffer = copy_of_rest(in);
  ByteReader copy(*buffer);
  Position before = m.from - 1;
  for (uint64_t i = 0; i < count; ++i) {
    const Ballot voted = read_ballot(copy);
    const Position position = copy.varint();
    const uint64_t one = copy.varint();
    std::vector<Acceptance> vote;
    if (!copy.ok() || voted.none() || !sound(voted) || voted > ballot || position <= before || position > m.upto ||
        one != 1 || !parse_entries(copy, buffer, 1, voted, vote)) {
      return malformed("malformed: votes");
    }
    before = position;
    m.votes.emplace_back(position, std::move(vote.front()));
  }
  in.skip(in.remaining() - copy.remaining());
  return Message(std::move(m));
}

Result<Message> decode_accept(ByteReader& in, const Ballot& ballot) {
  Accept m;
  m.ballot = ballot;
  m.without_commands = in.fixed<uint8_t>() != 0;
  m.first = in.varint();
  m.commit = in.varint();
  const uint64_t count = in.varint();
  if (!in.ok()) return malformed(kCutShort);
  const auto buffer = copy_of_rest(in);
  ByteReader copy(*buffer);
  if (m.first == 0 || m.first > kMaxNumber || m.commit > kMaxNumber || ballot.none() ||
      !parse_entries(copy, buffer, count, ballot, m.values)) {
    return malformed("malformed: values");
  }
  in.skip(in.remaining() - copy.remaining());
  return Message(std::move(m));
}

Result<Message> decode_offer(ByteReader& in, const Ballot& ballot) {
  SnapshotOffer m;
  m.ballot = ballot;
  m.without_commands = in.fixed<uint8_t>() != 0;
  std::string_view rest = in.bytes(in.remaining());
  Result<SnapshotMeta> meta = SnapshotMeta::parse(rest);
  if (!meta.ok() || meta->position == 0 || meta->position > kMaxNumber || meta->epoch > kMaxNumber ||
      meta->membership.empty()) {
    return malformed("malformed: snapshot");
  }
  m.meta = std::move(*meta);
  in = ByteReader(rest);
  return Message(std::move(m));
}

Result<Message> decode_fields(ByteReader& in, uint8_t type, const Ballot& ballot) {
  switch (type) {
    case type_of<Prepare>():
      return decode_prepare(in, ballot);
    case type_of<Promise>():
      return decode_promise(in, ballot);
    case type_of<Refused>(): {
      const Ballot asked = read_ballot(in);
      if (!sound(asked)) return malformed("malformed: ballot");
      return Message(Refused{ballot, asked, in.fixed<uint8_t>() != 0});
    }
    case type_of<Accept>():
      return decode_accept(in, ballot);
    case type_of<Accepted>(): {
      Accepted m{ballot, in.varint(), in.varint(), in.fixed<uint8_t>() != 0};
      if (m.upto > kMaxNumber || (m.beyond != 0 && m.beyond <= m.upto)) return malformed("malformed: accepted");
      return Message(m);
    }
    case type_of<Heartbeat>(): {
      Heartbeat m{ballot, in.varint(), in.varint(), in.varint(), in.varint(), in.varint(), in.varint()};
      const auto flags = in.fixed<uint8_t>();
      m.wants_reply = (flags & kWantsReply) != 0;
      m.told = (flags & kTold) != 0;
      if (m.commit > kMaxNumber || m.known > kMaxNumber) return malformed("malformed: heartbeat");
      return Message(m);
    }
    case type_of<HeartbeatReply>(): {
      const HeartbeatReply m{ballot, in.varint(), in.varint(), in.varint()};
      if (m.commit > kMaxNumber) return malformed("malformed: heartbeat reply");
      return Message(m);
    }
    case type_of<ReadRequest>():
      return Message(ReadRequest{ballot, in.varint()});
    case type_of<ReadReply>():
      return Message(ReadReply{ballot, in.varint(), in.fixed<uint8_t>() != 0, in.varint()});
    case type_of<TimeoutNow>():
      return Message(TimeoutNow{ballot});
    case type_of<SnapshotOffer>():
      return decode_offer(in, ballot);
    default:
      return malformed("unknown type");
  }
}

// "7=3.1": slot and ballot of a vote.
std::string pair(Position position, const Ballot& ballot) { return std::to_string(position) + "=" + to_string(ballot); }

struct Printer {
  std::string operator()(const Prepare& m) const {
    std::string text = std::string(m.pre ? "pre_prepare" : "prepare") + " from=" + std::to_string(m.from);
    for (const Prepare::Held& held : m.held) {
      text += " held=" + std::to_string(held.first) + ".." + std::to_string(held.last) + "@" + to_string(held.ballot);
    }
    return text + (m.reign.none() ? "" : " wished_by=" + to_string(m.reign));
  }
  std::string operator()(const Promise& m) const {
    std::string text = std::string(m.pre ? "pre_promise" : "promise") + " from=" + std::to_string(m.from);
    if (m.upto < kMaxNumber) text += " upto=" + std::to_string(m.upto);
    text += " commit=" + std::to_string(m.commit);
    if (m.floor > 0) text += " floor=" + std::to_string(m.floor);
    text += " [";
    for (size_t i = 0; i < m.votes.size(); ++i) {
      text += (i == 0 ? "" : " ") + pair(m.votes[i].first, m.votes[i].second.ballot);
      if (m.votes[i].second.bare) text += " bare";
    }
    return text + "]";
  }
  std::string operator()(const Refused& m) const {
    return std::string(m.pre ? "pre_refused" : "refused") + " asked=" + to_string(m.asked);
  }
  std::string operator()(const Accept& m) const {
    std::string text = "accept " + std::to_string(m.first) + ".." + std::to_string(m.first + m.values.size() - 1) +
                       " commit=" + std::to_string(m.commit);
    return text + (m.without_commands ? " without_commands" : "");
  }
  std::string operator()(const Accepted& m) const {
    return "accepted upto=" + std::to_string(m.upto) + (m.beyond == 0 ? "" : " beyond=" + std::to_string(m.beyond)) +
           (m.lost ? " lost" : "");
  }
  std::string operator()(const Heartbeat& m) const {
    return "heartbeat commit=" + std::to_string(m.commit) + (m.round == 0 ? "" : " round=" + std::to_string(m.round)) +
           (m.lease_ns == 0 ? "" : " lease") + (m.told ? "" : " untold") + (m.wants_reply ? "" : " notice");
  }
  std::string operator()(const HeartbeatReply& m) const {
    return std::string("heartbeat_reply") + (m.round == 0 ? "" : " round=" + std::to_string(m.round));
  }
  std::string operator()(const ReadRequest&) const { return "read"; }  // contexts begin at random
  std::string operator()(const ReadReply& m) const {
    return m.ok ? "read_reply position=" + std::to_string(m.position) : "read_reply refused";
  }
  std::string operator()(const TimeoutNow&) const { return "timeout_now"; }
  std::string operator()(const SnapshotOffer& m) const {
    return "snapshot_offer " + std::to_string(m.meta.position) + (m.without_commands ? " without_commands" : "");
  }
};

}  // namespace

std::string encode(const Message& message) {
  std::string out;
  if (const auto* accept = std::get_if<Accept>(&message)) {
    append_accept_head(out, *accept, accept->values.size());
    for (const Acceptance& vote : accept->values) append_entry(out, vote.entry, vote.bare || accept->without_commands);
    return out;
  }
  head(out, static_cast<uint8_t>(message.index()), ballot_of(message));
  std::visit(Encoder{out}, message);
  return out;
}

void append_accept_head(std::string& out, const Accept& m, size_t count) {
  head(out, type_of<Accept>(), m.ballot);
  out.push_back(m.without_commands ? 1 : 0);
  append_varint(out, m.first);
  append_varint(out, m.commit);
  append_varint(out, count);
}

Result<Message> decode(std::string_view frame) {
  ByteReader in(frame);
  if (in.fixed<uint8_t>() != kMessageVersion) return malformed("unknown version");
  const auto type = in.fixed<uint8_t>();
  const Ballot ballot = read_ballot(in);
  if (!in.ok()) return malformed(kCutShort);
  if (!sound(ballot)) return malformed("malformed: ballot");
  Result<Message> message = decode_fields(in, type, ballot);
  if (!message.ok()) return message;
  if (!in.ok()) return malformed(kCutShort);
  if (!in.at_end()) return malformed("malformed: trailing bytes");
  return message;
}

bool carries_values(std::string_view frame) { return frame.size() > 1 && frame[1] == type_of<Accept>(); }

const Ballot& ballot_of(const Message& message) {
  return std::visit([](const auto& m) -> const Ballot& { return m.ballot; }, message);
}

std::string to_string(const Message& message) {
  return "b=" + to_string(ballot_of(message)) + " " + std::visit(Printer{}, message);
}

}  // namespace clew::consensus::multipaxos
