#include "consensus/zab/messages.h"

#include <utility>

#include "base/varint.h"
#include "consensus/message_type.h"
#include "consensus/raft/records.h"

namespace clew::consensus::zab {

using raft::append_entry;
using raft::kMaxNumber;
using raft::parse_entries;

namespace {

template <typename T>
constexpr uint8_t type_of() {
  return message_type<T, Message>();
}

void head(std::string& out, uint8_t type, Epoch epoch) {
  out.push_back(static_cast<char>(kMessageVersion));
  out.push_back(static_cast<char>(type));
  append_varint(out, epoch);
}

void append_flags(std::string& out, bool a, bool b) { out.push_back(static_cast<char>((a ? 1 : 0) | (b ? 2 : 0))); }

void append_zxid(std::string& out, const Zxid& zxid) {
  append_varint(out, zxid.epoch);
  append_varint(out, zxid.counter);
}

void append_point(std::string& out, const Point& point) {
  append_varint(out, point.position);
  append_zxid(out, point.zxid);
}

struct Encoder {
  std::string& out;
  void operator()(const Notification& m) {
    out.push_back(static_cast<char>(static_cast<uint8_t>(m.state) | (m.hears_you ? 4 : 0)));
    append_varint(out, m.round);
    append_varint(out, m.ballot.credentials.current);
    append_zxid(out, m.ballot.credentials.last);
    append_varint(out, m.ballot.rank);
    append_varint(out, number(m.ballot.leader));
  }
  void operator()(const FollowerInfo& m) { append_varint(out, number(m.promised_to)); }
  void operator()(const NewEpoch&) {}
  void operator()(const AckEpoch& m) {
    append_varint(out, m.credentials.current);
    append_zxid(out, m.credentials.last);
    append_varint(out, m.last);
    append_flags(out, m.hole, m.complete);
    append_varint(out, m.ends.size());
    for (const End& end : m.ends) {
      append_varint(out, end.epoch);
      append_varint(out, end.position);
    }
  }
  void operator()(const Trunc& m) { append_point(out, m.to); }
  void operator()(const Snap& m) {
    append_varint(out, m.counter);
    m.meta.append_to(out);
  }
  void operator()(const NewLeader& m) { append_point(out, m.history); }
  void operator()(const UpToDate& m) { append_varint(out, m.commit); }
  void operator()(const Propose&) {}  // append_message_head
  void operator()(const Ack& m) {
    out.push_back(static_cast<char>(m.kind));
    append_varint(out, m.position);
    append_varint(out, m.last);
  }
  void operator()(const Commit& m) { append_varint(out, m.commit); }
  void operator()(const Ping& m) {
    append_flags(out, m.established, m.wants_reply);
    append_varint(out, m.election);
    append_varint(out, m.commit);
    append_varint(out, m.round);
    append_varint(out, m.stamp);
    append_varint(out, m.lease_ns);
  }
  void operator()(const Pong& m) {
    append_varint(out, m.round);
    append_varint(out, m.stamp);
    append_varint(out, m.last);
    append_flags(out, m.hole, m.busy);
  }
  void operator()(const SyncRequest& m) { append_varint(out, m.context); }
  void operator()(const SyncReply& m) {
    append_varint(out, m.context);
    out.push_back(m.ok ? 1 : 0);
    append_varint(out, m.position);
  }
  void operator()(const Handover&) {}
};

Status malformed(std::string_view reason) { return {Code::kInvalidArgument, std::string(reason)}; }

constexpr std::string_view kCutShort = "malformed: cut short";

Zxid read_zxid(ByteReader& in) {
  const Epoch epoch = in.varint();
  return {epoch, in.varint()};
}

Point read_point(ByteReader& in) {
  const Position position = in.varint();
  return {position, read_zxid(in)};
}

Credentials read_credentials(ByteReader& in) {
  const Epoch current = in.varint();
  return {current, read_zxid(in)};
}

// The counter numbers what an epoch has: never more than there is, and 0 only before the first.
bool sound(const Point& p, Epoch epoch) {
  if (p.position > kMaxNumber || p.zxid.epoch > epoch || p.zxid.counter > p.position) return false;
  return (p.position == 0) == (p.zxid.epoch == 0) && (p.position == 0) == (p.zxid.counter == 0);
}

bool sound(const Credentials& c) {
  return c.current <= kMaxNumber && c.last.epoch <= c.current && c.last.counter <= kMaxNumber;
}

Result<Message> decode_notification(ByteReader& in, Epoch epoch) {
  Notification m{epoch};
  const auto flags = in.fixed<uint8_t>();
  if ((flags & 3) > static_cast<uint8_t>(Notification::State::kLeading)) return malformed("malformed: state");
  m.state = Notification::State{static_cast<uint8_t>(flags & 3)};
  m.hears_you = (flags & 4) != 0;
  m.round = in.varint();
  m.ballot.credentials = read_credentials(in);
  m.ballot.rank = in.varint();
  m.ballot.leader = NodeId{in.varint()};
  if (m.round > kMaxNumber || m.ballot.rank > kHandedOver || !sound(m.ballot.credentials)) {
    return malformed("malformed: ballot");
  }
  return Message(m);
}

Result<Message> decode_ack_epoch(ByteReader& in, Epoch epoch) {
  AckEpoch m{epoch};
  m.credentials = read_credentials(in);
  m.last = in.varint();
  const auto flags = in.fixed<uint8_t>();
  m.hole = (flags & 1) != 0;
  m.complete = (flags & 2) != 0;
  const uint64_t count = in.varint();
  if (!in.ok() || count > kMaxEnds || m.last > kMaxNumber || m.credentials.current > epoch || !sound(m.credentials)) {
    return malformed("malformed: history");
  }
  for (uint64_t i = 0; i < count; ++i) {
    End end;
    end.epoch = in.varint();
    end.position = in.varint();
    const bool falls = m.ends.empty() ? end.position <= m.last
                                      : end.position < m.ends.back().position && end.epoch < m.ends.back().epoch;
    if (!in.ok() || !falls || end.position == 0 || end.epoch == 0 || end.epoch > epoch) {
      return malformed("malformed: history");
    }
    m.ends.push_back(end);
  }
  return Message(std::move(m));
}

Result<Message> decode_snap(ByteReader& in, Epoch epoch) {
  Snap m{epoch};
  m.counter = in.varint();
  std::string_view rest = in.bytes(in.remaining());
  Result<SnapshotMeta> meta = SnapshotMeta::parse(rest);
  if (!meta.ok() || meta->epoch == 0 || meta->membership.empty() ||
      !sound(Point{meta->position, {meta->epoch, m.counter}}, epoch)) {
    return malformed("malformed: snapshot");
  }
  m.meta = std::move(*meta);
  in = ByteReader(rest);
  return Message(std::move(m));
}

Result<Message> decode_propose(ByteReader& in, Epoch epoch) {
  Propose m{epoch};
  m.diff = in.fixed<uint8_t>() != 0;
  m.prev = read_point(in);
  m.commit = in.varint();
  const uint64_t count = in.varint();
  if (!in.ok()) return malformed(kCutShort);
  if (!sound(m.prev, epoch) || m.commit > kMaxNumber ||
      !parse_entries(in, count, m.prev.zxid.epoch, epoch, m.entries)) {
    return malformed("malformed: entries");
  }
  return Message(std::move(m));
}

Result<Message> decode_point(ByteReader& in, Epoch epoch, bool trunc) {
  const Point point = read_point(in);
  if (!in.ok()) return malformed(kCutShort);
  if (!sound(point, epoch)) return malformed("malformed: zxid");
  return trunc ? Message(Trunc{epoch, point}) : Message(NewLeader{epoch, point});
}

Result<Message> decode_fields(ByteReader& in, uint8_t type, Epoch epoch) {
  switch (type) {
    case type_of<Notification>():
      return decode_notification(in, epoch);
    case type_of<FollowerInfo>():
      return Message(FollowerInfo{epoch, NodeId{in.varint()}});
    case type_of<NewEpoch>():
      return Message(NewEpoch{epoch});
    case type_of<AckEpoch>():
      return decode_ack_epoch(in, epoch);
    case type_of<Trunc>():
      return decode_point(in, epoch, true);
    case type_of<Snap>():
      return decode_snap(in, epoch);
    case type_of<NewLeader>():
      return decode_point(in, epoch, false);
    case type_of<UpToDate>():
      return Message(UpToDate{epoch, in.varint()});
    case type_of<Propose>():
      return decode_propose(in, epoch);
    case type_of<Ack>(): {
      const auto kind = in.fixed<uint8_t>();
      if (kind > static_cast<uint8_t>(Ack::Kind::kHistory)) return malformed("malformed: kind");
      return Message(Ack{epoch, Ack::Kind{kind}, in.varint(), in.varint()});
    }
    case type_of<Commit>():
      return Message(Commit{epoch, in.varint()});
    case type_of<Ping>(): {
      const auto flags = in.fixed<uint8_t>();
      return Message(Ping{epoch, (flags & 1) != 0, (flags & 2) != 0, in.varint(), in.varint(), in.varint(), in.varint(),
                          in.varint()});
    }
    case type_of<Pong>(): {
      Pong m{epoch, in.varint(), in.varint(), in.varint()};
      const auto flags = in.fixed<uint8_t>();
      m.hole = (flags & 1) != 0;
      m.busy = (flags & 2) != 0;
      return Message(m);
    }
    case type_of<SyncRequest>():
      return Message(SyncRequest{epoch, in.varint()});
    case type_of<SyncReply>():
      return Message(SyncReply{epoch, in.varint(), in.fixed<uint8_t>() != 0, in.varint()});
    case type_of<Handover>():
      return Message(Handover{epoch});
    default:
      return malformed("unknown type");
  }
}

std::string text(uint64_t value) { return std::to_string(value); }
std::string text(const Credentials& c) { return text(c.current) + ":" + to_string(c.last); }

struct Printer {
  std::string operator()(const Notification& m) const {
    static constexpr std::string_view kStates[] = {"looking", "following", "leading"};
    return "notification " + std::string(kStates[static_cast<size_t>(m.state)]) + " round=" + text(m.round) +
           " for=" + text(number(m.ballot.leader)) + " (" + text(m.ballot.credentials) + ")" +
           (m.ballot.rank == kHandedOver ? " handed_over" : "") + (m.hears_you ? "" : " unheard");
  }
  std::string operator()(const FollowerInfo&) const { return "follower_info"; }
  std::string operator()(const NewEpoch&) const { return "new_epoch"; }
  std::string operator()(const AckEpoch& m) const {
    std::string out = "ack_epoch current=" + text(m.credentials.current) + " last=" + to_string(m.credentials.last);
    if (m.hole) out += " whole_to=" + text(m.last);
    out += " ends=[";
    for (size_t i = 0; i < m.ends.size(); ++i) {
      out += (i == 0 ? "" : " ") + text(m.ends[i].position) + "/" + text(m.ends[i].epoch);
    }
    return out + (m.complete ? "]" : " ...]");
  }
  std::string operator()(const Trunc& m) const { return "trunc to=" + to_string(m.to); }
  std::string operator()(const Snap& m) const {
    return "snap " + to_string(Point{m.meta.position, {m.meta.epoch, m.counter}});
  }
  std::string operator()(const NewLeader& m) const { return "new_leader history=" + to_string(m.history); }
  std::string operator()(const UpToDate& m) const { return "up_to_date commit=" + text(m.commit); }
  std::string operator()(const Propose& m) const {
    std::string out = std::string(m.diff ? "diff" : "propose") + " prev=" + to_string(m.prev);
    if (!m.diff) out += " commit=" + text(m.commit);
    out += " [";
    Zxid zxid = m.prev.zxid;
    for (size_t i = 0; i < m.entries.size(); ++i) {
      zxid = {m.entries[i].epoch, m.entries[i].epoch == zxid.epoch ? zxid.counter + 1 : 1};
      out += (i == 0 ? "" : " ") + to_string(Point{m.prev.position + 1 + i, zxid});
    }
    return out + "]";
  }
  std::string operator()(const Ack& m) const {
    switch (m.kind) {
      case Ack::Kind::kHeld:
        return "ack " + text(m.position);
      case Ack::Kind::kRejected:
        return "ack rejected=" + text(m.position) + " last=" + text(m.last);
      case Ack::Kind::kHistory:
        return "ack_new_leader";
    }
    return "ack";
  }
  std::string operator()(const Commit& m) const { return "commit " + text(m.commit); }
  std::string operator()(const Ping& m) const {
    return std::string("ping") + (m.established ? " commit=" + text(m.commit) : " unestablished") +
           (m.round == 0 ? "" : " round=" + text(m.round)) + (m.lease_ns == 0 ? "" : " lease");
  }
  std::string operator()(const Pong& m) const {
    return "pong last=" + text(m.last) + (m.round == 0 ? "" : " round=" + text(m.round)) + (m.hole ? " hole" : "") +
           (m.busy ? " busy" : "");
  }
  std::string operator()(const SyncRequest&) const { return "sync"; }  // contexts begin at random
  std::string operator()(const SyncReply& m) const {
    return m.ok ? "sync_reply position=" + text(m.position) : "sync_reply refused";
  }
  std::string operator()(const Handover&) const { return "handover"; }
};

}  // namespace

std::string encode(const Message& message) {
  std::string out;
  if (const auto* propose = std::get_if<Propose>(&message)) {
    append_message_head(out, *propose, propose->entries.size());
    for (const Entry& entry : propose->entries) append_entry(out, entry, false);
    return out;
  }
  head(out, static_cast<uint8_t>(message.index()), epoch_of(message));
  std::visit(Encoder{out}, message);
  return out;
}

void append_message_head(std::string& out, const Propose& m, size_t count) {
  head(out, type_of<Propose>(), m.epoch);
  out.push_back(m.diff ? 1 : 0);
  append_point(out, m.prev);
  append_varint(out, m.commit);
  append_varint(out, count);
}

Result<Message> decode(std::string_view frame) {
  ByteReader in(frame);
  if (in.fixed<uint8_t>() != kMessageVersion) return malformed("unknown version");
  const auto type = in.fixed<uint8_t>();
  const Epoch epoch = in.varint();
  if (!in.ok()) return malformed(kCutShort);
  if (epoch > kMaxNumber) return malformed("malformed: epoch");
  Result<Message> message = decode_fields(in, type, epoch);
  if (!message.ok()) return message;
  if (!in.ok()) return malformed(kCutShort);
  if (!in.at_end()) return malformed("malformed: trailing bytes");
  return message;
}

bool carries_entries(std::string_view frame) { return frame.size() > 1 && frame[1] == type_of<Propose>(); }

Epoch epoch_of(const Message& message) {
  return std::visit([](const auto& m) { return m.epoch; }, message);
}

std::string to_string(const Message& message) {
  return "epoch=" + std::to_string(epoch_of(message)) + " " + std::visit(Printer{}, message);
}

}  // namespace clew::consensus::zab
