#include "consensus/raft/messages.h"

#include <utility>

#include "base/varint.h"
#include "consensus/message_type.h"
#include "consensus/raft/records.h"

namespace clew::consensus::raft {

namespace {

template <typename T>
constexpr uint8_t type_of() {
  return message_type<T, Message>();
}

void head(std::string& out, uint8_t type, Epoch term) {
  out.push_back(static_cast<char>(kMessageVersion));
  out.push_back(static_cast<char>(type));
  append_varint(out, term);
}

struct Encoder {
  std::string& out;
  void operator()(const VoteRequest& m) {
    out.push_back(static_cast<char>((m.pre ? 1 : 0) | (m.transfer ? 2 : 0)));
    append_varint(out, m.last);
    append_varint(out, m.last_epoch);
  }
  void operator()(const VoteReply& m) { out.push_back(static_cast<char>((m.pre ? 1 : 0) | (m.granted ? 2 : 0))); }
  void operator()(const AppendRequest&) {}  // append_message_head
  void operator()(const AppendReply& m) {
    out.push_back(static_cast<char>(m.outcome));
    append_varint(out, m.match);
    append_varint(out, m.hint);
    append_varint(out, m.hint_epoch);
  }
  void operator()(const Heartbeat& m) {
    append_varint(out, m.commit);
    append_varint(out, m.round);
    append_varint(out, m.stamp);
    append_varint(out, m.lease_ns);
    out.push_back(m.wants_reply ? 1 : 0);
  }
  void operator()(const HeartbeatReply& m) {
    append_varint(out, m.round);
    append_varint(out, m.stamp);
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

Result<Message> decode_append(ByteReader& in, Epoch term) {
  AppendRequest m{term};
  m.without_commands = in.fixed<uint8_t>() != 0;
  m.prev = in.varint();
  m.prev_epoch = in.varint();
  m.commit = in.varint();
  const uint64_t count = in.varint();
  if (!in.ok()) return malformed(kCutShort);
  if (m.prev > kMaxNumber || m.commit > kMaxNumber || m.prev_epoch > term ||
      !parse_entries(in, count, m.prev_epoch, term, m.entries)) {
    return malformed("malformed: entries");
  }
  return Message(std::move(m));
}

Result<Message> decode_offer(ByteReader& in, Epoch term) {
  SnapshotOffer m{term};
  m.without_commands = in.fixed<uint8_t>() != 0;
  std::string_view rest = in.bytes(in.remaining());
  Result<SnapshotMeta> meta = SnapshotMeta::parse(rest);
  if (!meta.ok() || meta->position == 0 || meta->position > kMaxNumber || meta->epoch > term ||
      meta->membership.empty()) {
    return malformed("malformed: snapshot");
  }
  m.meta = std::move(*meta);
  in = ByteReader(rest);
  return Message(std::move(m));
}

Result<Message> decode_fields(ByteReader& in, uint8_t type, Epoch term) {
  switch (type) {
    case type_of<VoteRequest>(): {
      const auto flags = in.fixed<uint8_t>();
      return Message(VoteRequest{term, (flags & 1) != 0, (flags & 2) != 0, in.varint(), in.varint()});
    }
    case type_of<VoteReply>(): {
      const auto flags = in.fixed<uint8_t>();
      return Message(VoteReply{term, (flags & 1) != 0, (flags & 2) != 0});
    }
    case type_of<AppendRequest>():
      return decode_append(in, term);
    case type_of<AppendReply>(): {
      const auto outcome = in.fixed<uint8_t>();
      if (outcome > static_cast<uint8_t>(AppendReply::Outcome::kLost)) return malformed("malformed: outcome");
      return Message(AppendReply{term, AppendReply::Outcome{outcome}, in.varint(), in.varint(), in.varint()});
    }
    case type_of<Heartbeat>():
      return Message(Heartbeat{term, in.varint(), in.varint(), in.varint(), in.varint(), in.fixed<uint8_t>() != 0});
    case type_of<HeartbeatReply>():
      return Message(HeartbeatReply{term, in.varint(), in.varint()});
    case type_of<ReadRequest>():
      return Message(ReadRequest{term, in.varint()});
    case type_of<ReadReply>():
      return Message(ReadReply{term, in.varint(), in.fixed<uint8_t>() != 0, in.varint()});
    case type_of<TimeoutNow>():
      return Message(TimeoutNow{term});
    case type_of<SnapshotOffer>():
      return decode_offer(in, term);
    default:
      return malformed("unknown type");
  }
}

std::string pair(Position position, Epoch epoch) { return std::to_string(position) + "/" + std::to_string(epoch); }

struct Printer {
  std::string operator()(const VoteRequest& m) const {
    return std::string(m.pre ? "pre_vote" : "vote") + " last=" + pair(m.last, m.last_epoch) +
           (m.transfer ? " transfer" : "");
  }
  std::string operator()(const VoteReply& m) const {
    return std::string(m.pre ? "pre_vote_reply " : "vote_reply ") + (m.granted ? "granted" : "refused");
  }
  std::string operator()(const AppendRequest& m) const {
    std::string text = "append prev=" + pair(m.prev, m.prev_epoch) + " commit=" + std::to_string(m.commit);
    if (m.without_commands) text += " without_commands";
    text += " [";
    for (size_t i = 0; i < m.entries.size(); ++i) {
      text += (i == 0 ? "" : " ") + pair(m.prev + 1 + i, m.entries[i].epoch);
    }
    return text + "]";
  }
  std::string operator()(const AppendReply& m) const {
    switch (m.outcome) {
      case AppendReply::Outcome::kStale:
        return "append_reply stale";
      case AppendReply::Outcome::kAccepted:
        return "append_reply match=" + std::to_string(m.match);
      case AppendReply::Outcome::kRejected:
        return "append_reply rejected=" + std::to_string(m.match) + " hint=" + pair(m.hint, m.hint_epoch);
      case AppendReply::Outcome::kLost:
        return "append_reply rejected=" + std::to_string(m.match) + " lost_behind=" + pair(m.hint, m.hint_epoch);
    }
    return "append_reply";
  }
  std::string operator()(const Heartbeat& m) const {
    return "heartbeat commit=" + std::to_string(m.commit) + (m.round == 0 ? "" : " round=" + std::to_string(m.round)) +
           (m.lease_ns == 0 ? "" : " lease") + (m.wants_reply ? "" : " notice");
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
    return "snapshot_offer " + pair(m.meta.position, m.meta.epoch) + (m.without_commands ? " without_commands" : "");
  }
};

}  // namespace

std::string encode(const Message& message) {
  std::string out;
  if (const auto* append = std::get_if<AppendRequest>(&message)) {
    append_message_head(out, *append, append->entries.size());
    for (const Entry& entry : append->entries) append_entry(out, entry, append->without_commands);
    return out;
  }
  head(out, static_cast<uint8_t>(message.index()), term_of(message));
  std::visit(Encoder{out}, message);
  return out;
}

void append_message_head(std::string& out, const AppendRequest& m, size_t count) {
  head(out, type_of<AppendRequest>(), m.term);
  out.push_back(m.without_commands ? 1 : 0);
  append_varint(out, m.prev);
  append_varint(out, m.prev_epoch);
  append_varint(out, m.commit);
  append_varint(out, count);
}

Result<Message> decode(std::string_view frame) {
  ByteReader in(frame);
  if (in.fixed<uint8_t>() != kMessageVersion) return malformed("unknown version");
  const auto type = in.fixed<uint8_t>();
  const Epoch term = in.varint();
  if (!in.ok()) return malformed(kCutShort);
  if (term > kMaxNumber) return malformed("malformed: term");
  Result<Message> message = decode_fields(in, type, term);
  if (!message.ok()) return message;
  if (!in.ok()) return malformed(kCutShort);
  if (!in.at_end()) return malformed("malformed: trailing bytes");
  return message;
}

bool carries_entries(std::string_view frame) { return frame.size() > 1 && frame[1] == type_of<AppendRequest>(); }

Epoch term_of(const Message& message) {
  return std::visit([](const auto& m) { return m.term; }, message);
}

std::string to_string(const Message& message) {
  std::string text = std::visit(Printer{}, message);
  return "term=" + std::to_string(term_of(message)) + " " + text;
}

}  // namespace clew::consensus::raft
