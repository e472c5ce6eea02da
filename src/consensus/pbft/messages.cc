#include "consensus/pbft/messages.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hex.h"
#include "base/varint.h"
#include "consensus/message_type.h"

namespace clew::consensus::pbft {
namespace {

template <typename T>
constexpr uint8_t type_of() {
  return message_type<T, Message>();
}

Status malformed(std::string_view reason) { return {Code::kInvalidArgument, std::string(reason)}; }
constexpr std::string_view kCutShort = "malformed: cut short";

std::string read_signature(ByteReader& in) {
  const std::string_view bytes = in.prefixed_bytes();
  return std::string(bytes.substr(0, std::min(bytes.size(), kMaxSignatureBytes)));
}

void append_signed(std::string& out, const Signed& one) {
  append_varint(out, number(one.by));
  append_bytes(out, one.signature);
}
Signed read_signed(ByteReader& in) {
  const NodeId by{in.varint()};
  return {by, read_signature(in)};
}

// What a REQUEST signs.
void append_request_body(std::string& out, const Request& request) {
  append_varint(out, number(request.gateway));
  append_varint(out, request.timestamp);
  out.push_back(static_cast<char>(request.kind));
  append_varint(out, request.commands.size());
  for (const Payload& command : request.commands) append_bytes(out, command.view());
}

void append_request(std::string& out, const Request& request) {
  append_request_body(out, request);
  append_bytes(out, request.signature);
}

bool read_request(ByteReader& in, const std::shared_ptr<const std::string>& buffer, Request& request) {
  request.gateway = NodeId{in.varint()};
  request.timestamp = in.varint();
  const auto kind = in.fixed<uint8_t>();
  const uint64_t count = in.varint();
  if (!in.ok() || kind > kMaxEntryKind || request.timestamp == 0 || request.timestamp > kMaxNumber) return false;
  request.kind = EntryKind{kind};
  const uint64_t most = request.kind == EntryKind::kCommand ? kMaxCommandsOfRequest : 1;
  if (count == 0 || count > most || count > in.remaining()) return false;  // each takes a byte at least
  request.commands.reserve(count);
  for (uint64_t i = 0; i < count && in.ok(); ++i) request.commands.emplace_back(buffer, in.prefixed_bytes());
  request.signature = read_signature(in);
  return in.ok();
}

std::string head(uint8_t type) { return {static_cast<char>(kMessageVersion), static_cast<char>(type)}; }

void append_prepared(std::string& out, const Prepared& prepared) {
  append_signed(out, prepared.pre_prepare);
  append_certificate(out, prepared.prepares);
}

// What a VIEW-CHANGE signs.
void append_change_body(std::string& out, const ViewChange& change) {
  append_varint(out, change.view);
  append_varint(out, number(change.sender));
  append_certificate(out, change.stable);
  append_varint(out, change.prepared.size());
  for (const Prepared& prepared : change.prepared) append_prepared(out, prepared);
}

void append_new_view_body(std::string& out, const NewView& message) {
  append_varint(out, message.view);
  append_varint(out, message.changes.size());
  for (const ViewChange& change : message.changes) append_view_change(out, change);
  append_varint(out, message.first);
  append_varint(out, message.order.size());
  for (const auto& [digest, signature] : message.order) {
    out += digest.view();
    append_bytes(out, signature);
  }
}

struct Encoder {
  std::string& out;
  void operator()(const RequestMessage& m) { append_request(out, m.request); }
  void operator()(const PrePrepare& m) {
    append_varint(out, m.view);
    append_varint(out, m.seq);
    append_bytes(out, m.signature);
    out += m.batch->bytes;
  }
  void operator()(const VoteMessage& m) {
    out.push_back(static_cast<char>(m.claim));
    append_varint(out, m.view);
    append_varint(out, m.seq);
    out += m.digest.view();
    append_bytes(out, m.signature);
  }
  void operator()(const ViewChange& m) { append_view_change(out, m); }
  void operator()(const NewView& m) { append_new_view(out, m); }
  void operator()(const StatusReport& m) {
    append_varint(out, m.view);
    out.push_back(static_cast<char>((m.active ? 1 : 0) | (m.asks ? 2 : 0) | (m.suspects ? 4 : 0)));
    append_varint(out, m.stable);
    append_varint(out, m.executed);
    append_varint(out, m.base);
    append_varint(out, m.wants);
  }
  void operator()(const Abdicate& m) {
    append_varint(out, m.view);
    append_varint(out, m.next);
  }
  void operator()(const Committed& m) {
    append_certificate(out, m.commits);
    out += m.batch->bytes;
  }
  void operator()(const FetchBatch& m) {
    append_varint(out, m.seq);
    out += m.digest.view();
  }
  void operator()(const BatchFound& m) {
    append_varint(out, m.seq);
    out += m.batch->bytes;
  }
  void operator()(const Stable& m) { append_certificate(out, m.proof); }
  void operator()(const Offer& m) {
    m.meta.append_to(out);
    m.state.header.append_to(out);
    std::string clients;
    m.state.clients.append_to(clients);
    append_bytes(out, clients);
    append_certificate(out, m.checkpoint);
    append_certificate(out, m.snapshot);
    append_changes(out, m.changes);
  }
  void operator()(const ReadRequest& m) { append_varint(out, m.context); }
  void operator()(const ReadReply& m) {
    append_varint(out, m.context);
    append_varint(out, m.executed);
  }
};

Result<BatchPtr> rest_as_batch(ByteReader& in) { return parse_batch(std::string(in.bytes(in.remaining()))); }

// Reads a value behind the reader's position with a parser that works on views.
template <typename T>
Result<T> read_with(ByteReader& in, Result<T> (*parse)(std::string_view&)) {
  std::string_view rest = in.bytes(in.remaining());
  CLEW_ASSIGN(T value, parse(rest));
  in = ByteReader(rest);
  return value;
}

Result<Message> decode_offer(ByteReader& in) {
  Offer m;
  CLEW_ASSIGN(m.meta, read_with(in, &SnapshotMeta::parse));
  CLEW_ASSIGN(m.state.header, read_with(in, &CheckpointHeader::parse));
  CLEW_ASSIGN(m.state.clients, ClientTable::parse(in.prefixed_bytes()));
  m.checkpoint = read_certificate(in);
  m.snapshot = read_certificate(in);
  m.changes = read_changes(in);
  return Message(std::move(m));
}

}  // namespace

std::string short_hex(const Digest& digest) {
  std::string text;
  append_hex((uint64_t{digest.bytes[0]} << 8) | digest.bytes[1], 4, text);
  return text;
}

// --- Requests and batches ---

uint64_t command_bytes(const Request& request) {
  uint64_t bytes = 0;
  for (const Payload& command : request.commands) bytes += command.size() + kCommandCharge;
  return bytes;
}

size_t Batch::commands() const {
  size_t count = 0;
  for (const Request& request : requests) count += request.commands.size();
  return count;
}

namespace {

std::string bytes_of(Epoch origin, const std::vector<Request>& requests) {
  std::string bytes;
  append_varint(bytes, origin);
  append_varint(bytes, requests.size());
  for (const Request& request : requests) append_request(bytes, request);
  return bytes;
}

}  // namespace

BatchPtr make_batch(Epoch origin, std::vector<Request> requests) {
  auto batch = std::make_shared<Batch>();
  batch->origin = origin;
  batch->bytes = bytes_of(origin, requests);
  batch->requests = std::move(requests);
  batch->digest = sha256(batch->bytes);
  return batch;
}

const BatchPtr& null_batch() {
  static const BatchPtr batch = make_batch(0, {});
  return batch;
}

Result<BatchPtr> parse_batch(std::string bytes) {
  auto batch = std::make_shared<Batch>();
  const auto buffer = std::make_shared<const std::string>(std::move(bytes));  // shared: by the payloads in it
  ByteReader in(*buffer);
  batch->origin = in.varint();
  const uint64_t count = in.varint();
  if (!in.ok() || count > kMaxCommandsOfBatch || batch->origin > kMaxNumber) return malformed("malformed: batch");
  size_t commands = 0;
  for (uint64_t i = 0; i < count; ++i) {
    Request request;
    if (!read_request(in, buffer, request)) return malformed("malformed: batch");
    commands += request.commands.size();
    if (commands > kMaxCommandsOfBatch) return malformed("malformed: batch");
    batch->requests.push_back(std::move(request));
  }
  if (!in.at_end()) return malformed("malformed: batch");
  if (batch->requests.empty() && batch->origin != 0) return malformed("malformed: a null request with a view");
  // One content, one form: what is hashed is made anew, not taken as it came (a varint may be longer than it need be).
  batch->bytes = bytes_of(batch->origin, batch->requests);
  if (batch->bytes != *buffer) return malformed("malformed: not canonical");
  batch->digest = sha256(batch->bytes);
  return BatchPtr(std::move(batch));
}

// --- Statements ---

std::string statement(uint64_t group, Claim claim, Epoch view, Sequence seq, const Digest& digest, NodeId signer) {
  std::string out = "clew pbft";
  out.push_back(static_cast<char>(claim));
  append_fixed(out, group);
  append_fixed(out, view);
  append_fixed(out, seq);
  out += digest.view();
  append_fixed(out, number(signer));
  return out;
}

Digest request_digest(const Request& request) {
  std::string bytes;
  bytes.reserve(command_bytes(request) + 32);
  append_request_body(bytes, request);
  return sha256(bytes);
}

Digest ViewChange::digest() const {
  std::string bytes;
  append_change_body(bytes, *this);
  return sha256(bytes);
}

Digest NewView::digest() const {
  std::string bytes;
  append_new_view_body(bytes, *this);
  return sha256(bytes);
}

bool Offer::of_one_piece() const {
  const CheckpointHeader& header = state.header;
  if (meta.position != header.position || meta.epoch != header.epoch) return false;
  if (!(meta.membership == header.newest_membership())) return false;
  if (header.seq == 0) return header.position == 0 && state.clients == ClientTable();  // before the first batch
  std::string table;
  state.clients.append_to(table);
  return sha256(table) == header.clients;
}

Digest snapshot_digest(const Digest& checkpoint, const SnapshotMeta& meta) {
  std::string bytes(checkpoint.view());
  meta.append_to(bytes);
  return sha256(bytes);
}

// --- Parts ---

void append_certificate(std::string& out, const Certificate& certificate) {
  append_varint(out, certificate.view);
  append_varint(out, certificate.seq);
  out += certificate.digest.view();
  append_varint(out, certificate.signatures.size());
  for (const Signed& one : certificate.signatures) append_signed(out, one);
}

Certificate read_certificate(ByteReader& in) {
  Certificate certificate;
  certificate.view = in.varint();
  certificate.seq = in.varint();
  certificate.digest = read_digest(in);
  uint64_t count = in.varint();
  if (count > kMaxMembers) {
    in.skip(UINT64_MAX);  // fails the reader
    count = 0;
  }
  for (; count > 0 && in.ok(); --count) certificate.signatures.push_back(read_signed(in));
  return certificate;
}

void append_view_change(std::string& out, const ViewChange& change) {
  std::string body;
  append_change_body(body, change);
  append_bytes(body, change.signature);
  append_bytes(out, body);
}

Result<ViewChange> parse_view_change(std::string_view bytes) {
  ByteReader in(bytes);
  ViewChange change;
  change.view = in.varint();
  change.sender = NodeId{in.varint()};
  change.stable = read_certificate(in);
  uint64_t count = in.varint();
  if (!in.ok() || count > 2 * 4'096) return malformed("malformed: view change");
  for (; count > 0 && in.ok(); --count) {
    const Signed pre_prepare = read_signed(in);
    change.prepared.push_back({pre_prepare, read_certificate(in)});
  }
  change.signature = read_signature(in);
  if (!in.ok() || !in.at_end() || change.view > kMaxNumber || change.stable.seq > kMaxNumber) {
    return malformed("malformed: view change");
  }
  Sequence before = change.stable.seq;
  for (const Prepared& prepared : change.prepared) {
    if (prepared.prepares.seq <= before || prepared.prepares.seq > kMaxNumber) {
      return malformed("malformed: view change");
    }
    before = prepared.prepares.seq;
  }
  return change;
}

void append_new_view(std::string& out, const NewView& message) {
  append_new_view_body(out, message);
  append_bytes(out, message.signature);
}

Result<NewView> parse_new_view(std::string_view bytes) {
  ByteReader in(bytes);
  NewView m;
  m.view = in.varint();
  uint64_t count = in.varint();
  if (!in.ok() || count > kMaxMembers) return malformed("malformed: new view");
  NodeId before = kNobody;
  for (; count > 0 && in.ok(); --count) {
    CLEW_ASSIGN(ViewChange change, parse_view_change(in.prefixed_bytes()));
    if (change.sender <= before) return malformed("malformed: new view");  // each of them once
    before = change.sender;
    m.changes.push_back(std::move(change));
  }
  m.first = in.varint();
  count = in.varint();
  if (!in.ok() || count > 2 * 4'096 || m.view > kMaxNumber || m.first > kMaxNumber) {
    return malformed("malformed: new view");
  }
  for (; count > 0 && in.ok(); --count) {
    const Digest digest = read_digest(in);
    m.order.emplace_back(digest, read_signature(in));
  }
  m.signature = read_signature(in);
  if (!in.ok() || !in.at_end()) return malformed("malformed: new view");
  return m;
}

void append_changes(std::string& out, const std::vector<std::pair<CheckpointHeader, Certificate>>& changes) {
  append_varint(out, changes.size());
  for (const auto& [header, proof] : changes) {
    std::string one;
    header.append_to(one);
    append_bytes(out, one);
    append_certificate(out, proof);
  }
}

std::vector<std::pair<CheckpointHeader, Certificate>> read_changes(ByteReader& in) {
  std::vector<std::pair<CheckpointHeader, Certificate>> changes;
  for (uint64_t count = in.varint(); count > 0 && in.ok(); --count) {
    std::string_view one = in.prefixed_bytes();
    auto header = CheckpointHeader::parse(one);
    if (!header.ok() || !one.empty()) {
      in.skip(UINT64_MAX);  // fails the reader
      break;
    }
    changes.emplace_back(std::move(header).value(), read_certificate(in));
  }
  return changes;
}

// --- Frames ---

std::string encode(const Message& message) {
  std::string out = head(static_cast<uint8_t>(message.index()));
  std::visit(Encoder{out}, message);
  return out;
}

Result<Message> decode(std::string_view frame) {
  ByteReader in(frame);
  if (in.fixed<uint8_t>() != kMessageVersion) return malformed("unknown version");
  const auto type = in.fixed<uint8_t>();
  if (!in.ok() || type >= std::variant_size_v<Message>) return malformed("unknown type");
  Message message;
  switch (type) {
    case type_of<RequestMessage>(): {
      RequestMessage m;
      const auto buffer = std::make_shared<const std::string>(in.bytes(in.remaining()));
      in = ByteReader(*buffer);
      if (!read_request(in, buffer, m.request)) return malformed(kCutShort);
      if (!in.at_end()) return malformed("malformed: longer than it says");
      return Message(std::move(m));
    }
    case type_of<PrePrepare>(): {
      PrePrepare m{in.varint(), in.varint(), nullptr, {}};
      m.signature = read_signature(in);
      CLEW_ASSIGN(m.batch, rest_as_batch(in));
      if (m.view > kMaxNumber || m.seq > kMaxNumber) return malformed("malformed: out of range");
      return Message(std::move(m));
    }
    case type_of<VoteMessage>(): {
      VoteMessage m;
      const auto claim = in.fixed<uint8_t>();
      m.claim = Claim{claim};
      m.view = in.varint();
      m.seq = in.varint();
      m.digest = read_digest(in);
      m.signature = read_signature(in);
      const bool known =
          claim >= static_cast<uint8_t>(Claim::kPrepare) && claim <= static_cast<uint8_t>(Claim::kSnapshot);
      const bool of_view = m.claim == Claim::kPrepare || m.claim == Claim::kCommit;
      if (!known || (!of_view && m.view != 0) || m.view > kMaxNumber || m.seq > kMaxNumber) {
        return malformed("malformed: out of range");
      }
      message = std::move(m);
      break;
    }
    case type_of<ViewChange>(): {
      CLEW_ASSIGN(ViewChange m, parse_view_change(in.prefixed_bytes()));
      message = std::move(m);
      break;
    }
    case type_of<NewView>(): {
      CLEW_ASSIGN(NewView m, parse_new_view(in.bytes(in.remaining())));
      message = std::move(m);
      break;
    }
    case type_of<StatusReport>(): {
      StatusReport m;
      m.view = in.varint();
      const auto flags = in.fixed<uint8_t>();
      m.active = (flags & 1) != 0;
      m.asks = (flags & 2) != 0;
      m.suspects = (flags & 4) != 0;
      m.stable = in.varint();
      m.executed = in.varint();
      m.base = in.varint();
      m.wants = in.varint();
      if (std::max({m.view, m.stable, m.executed, m.wants}) > kMaxNumber) return malformed("malformed: out of range");
      message = m;
      break;
    }
    case type_of<Abdicate>():
      message = Abdicate{in.varint(), in.varint()};
      break;
    case type_of<Committed>(): {
      Committed m{read_certificate(in), nullptr};
      CLEW_ASSIGN(m.batch, rest_as_batch(in));
      return Message(std::move(m));
    }
    case type_of<FetchBatch>(): {
      const Sequence seq = in.varint();
      message = FetchBatch{seq, read_digest(in)};
      break;
    }
    case type_of<BatchFound>(): {
      BatchFound m{in.varint(), nullptr};
      CLEW_ASSIGN(m.batch, rest_as_batch(in));
      return Message(std::move(m));
    }
    case type_of<Stable>():
      message = Stable{read_certificate(in)};
      break;
    case type_of<Offer>(): {
      CLEW_ASSIGN(message, decode_offer(in));
      break;
    }
    case type_of<ReadRequest>():
      message = ReadRequest{in.varint()};
      break;
    case type_of<ReadReply>():
      message = ReadReply{in.varint(), in.varint()};
      break;
    default:
      return malformed("unknown type");
  }
  if (!in.ok()) return malformed(kCutShort);
  if (!in.at_end()) return malformed("malformed: longer than it says");
  return message;
}

// --- Text ---

namespace {

std::string at(Epoch view, Sequence seq) { return " v" + std::to_string(view) + " n" + std::to_string(seq); }

// "3.7", or "3.7x5" of five commands.
std::string describe(const Request& request) {
  const size_t count = request.commands.size();
  return std::to_string(number(request.gateway)) + "." + std::to_string(request.timestamp) +
         (count == 1 ? "" : "x" + std::to_string(count));
}

std::string describe(const Batch& batch) {
  if (batch.null()) return " null";
  std::string text = " [";
  for (size_t i = 0; i < batch.requests.size(); ++i) {
    const Request& request = batch.requests[i];
    text += (i == 0 ? "" : " ") + describe(request);
  }
  return text + "] " + short_hex(batch.digest);
}

std::string describe(const Digest& digest) { return digest == null_batch()->digest ? "null" : short_hex(digest); }

struct Describer {
  std::string operator()(const RequestMessage& m) const { return "REQUEST " + describe(m.request); }
  std::string operator()(const PrePrepare& m) const { return "PRE-PREPARE" + at(m.view, m.seq) + describe(*m.batch); }
  std::string operator()(const VoteMessage& m) const {
    static constexpr std::string_view kNames[] = {"PREPARE", "COMMIT", "CHECKPOINT", "SNAPSHOT"};
    const auto name = kNames[static_cast<size_t>(m.claim) - static_cast<size_t>(Claim::kPrepare)];
    const bool of_view = m.claim == Claim::kPrepare || m.claim == Claim::kCommit;
    return std::string(name) + (of_view ? at(m.view, m.seq) : " n" + std::to_string(m.seq)) + " " + describe(m.digest);
  }
  std::string operator()(const ViewChange& m) const {
    std::string text = "VIEW-CHANGE v" + std::to_string(m.view) + " h=" + std::to_string(m.stable.seq) + " P=[";
    for (size_t i = 0; i < m.prepared.size(); ++i) {
      const Certificate& one = m.prepared[i].prepares;
      text += (i == 0 ? "n" : " n") + std::to_string(one.seq) + "/v" + std::to_string(one.view) + " " +
              describe(one.digest);
    }
    return text + "]";
  }
  std::string operator()(const NewView& m) const {
    std::string text = "NEW-VIEW v" + std::to_string(m.view) + " V={";
    for (size_t i = 0; i < m.changes.size(); ++i) {
      text += (i == 0 ? "" : ",") + std::to_string(number(m.changes[i].sender));
    }
    text += "} O=[";
    for (size_t i = 0; i < m.order.size(); ++i) {
      text += (i == 0 ? "n" : " n") + std::to_string(m.first + i) + " " + describe(m.order[i].first);
    }
    return text + "]";
  }
  std::string operator()(const StatusReport& m) const {
    return "STATUS v" + std::to_string(m.view) + (m.active ? "" : "?") + (m.suspects ? " suspects" : "") +
           " h=" + std::to_string(m.stable) + " executed=" + std::to_string(m.executed) +
           (m.wants == 0 ? "" : " wants=" + std::to_string(m.wants)) + (m.asks ? " asks" : "");
  }
  std::string operator()(const Abdicate& m) const {
    return "ABDICATE v" + std::to_string(m.view) + " for v" + std::to_string(m.next);
  }
  std::string operator()(const Committed& m) const {
    return "COMMITTED" + at(m.commits.view, m.commits.seq) + describe(*m.batch);
  }
  std::string operator()(const FetchBatch& m) const {
    return "FETCH n" + std::to_string(m.seq) + " " + describe(m.digest);
  }
  std::string operator()(const BatchFound& m) const { return "BATCH n" + std::to_string(m.seq) + describe(*m.batch); }
  std::string operator()(const Stable& m) const { return "STABLE n" + std::to_string(m.proof.seq); }
  std::string operator()(const Offer& m) const {
    return "STATE n" + std::to_string(m.state.header.seq) + " position=" + std::to_string(m.meta.position) +
           " members=" + m.meta.membership.to_string();
  }
  std::string operator()(const ReadRequest& m) const { return "READ " + std::to_string(m.context & 0xffff); }
  std::string operator()(const ReadReply& m) const {
    return "READ-REPLY " + std::to_string(m.context & 0xffff) + " executed=" + std::to_string(m.executed);
  }
};

}  // namespace

std::string to_string(const Message& message) { return std::visit(Describer{}, message); }

}  // namespace clew::consensus::pbft
