#include "control/messages.h"

#include <algorithm>
#include <memory>
#include <type_traits>
#include <utility>

#include "base/varint.h"

namespace clew::control {
namespace {

Error malformed() {
  return {Code::kInvalidArgument, "client protocol: a malformed message; is the sender of another version?"};
}

// One list of fields for each value, walked by a Writer or a Reader, so that the two cannot disagree.
class Writer {
 public:
  static constexpr bool kReads = false;
  explicit Writer(std::string& out) : out_(out) {}
  void operator()(const std::string& bytes) { append_bytes(out_, bytes); }
  void operator()(uint64_t v) { append_varint(out_, v); }
  void operator()(int64_t v) { append_varint(out_, zigzag(v)); }
  void operator()(bool v) { out_.push_back(v ? 1 : 0); }
  void operator()(Hash128 hash) { append_fixed(out_, hash.lo), append_fixed(out_, hash.hi); }
  void operator()(const Digest256& digest) { out_ += digest.view(); }
  template <typename E>
  void choice(E v, E /*largest*/) {
    out_.push_back(static_cast<char>(v));
  }
  template <typename E>
  void number(E v) {
    append_varint(out_, static_cast<uint64_t>(v));
  }
  template <typename T, typename F>
  void list(const std::vector<T>& items, F item) {
    append_varint(out_, items.size());
    for (const T& one : items) item(*this, one);
  }
  template <typename T, typename F>
  void sized(const T& value, F fields) {
    std::string bytes;
    Writer inner(bytes);
    fields(inner, value);
    append_bytes(out_, bytes);
  }
  std::string& out() { return out_; }

 private:
  std::string& out_;
};

// After the first failure nothing more is read, and the values are worthless.
class Reader {
 public:
  static constexpr bool kReads = true;
  explicit Reader(std::string_view bytes) : in_(bytes) {}
  bool ok() const { return ok_ && in_.ok(); }
  void operator()(std::string& bytes) { bytes = in_.prefixed_bytes(); }
  void operator()(uint64_t& v) { v = in_.varint(); }
  void operator()(int64_t& v) { v = in_.zigzag_varint(); }
  void operator()(bool& v) {
    const auto byte = in_.fixed<uint8_t>();
    if (byte > 1) ok_ = false;
    v = byte != 0;
  }
  void operator()(Hash128& hash) {
    hash.lo = in_.fixed<uint64_t>();
    hash.hi = in_.fixed<uint64_t>();
  }
  void operator()(Digest256& digest) { digest = read_digest(in_); }
  template <typename E>
  void choice(E& v, E largest) {
    const auto byte = in_.fixed<uint8_t>();
    if (byte > static_cast<uint8_t>(largest)) ok_ = false;
    if (ok()) v = static_cast<E>(byte);
  }
  template <typename E>
  void number(E& v) {
    v = static_cast<E>(in_.varint());
  }
  // No room is reserved for what a length promises: each item takes a byte at least.
  template <typename T, typename F>
  void list(std::vector<T>& items, F item) {
    const uint64_t count = in_.varint();
    if (count > in_.remaining()) ok_ = false;
    for (uint64_t i = 0; i < count && ok(); i++) item(*this, items.emplace_back());
  }
  template <typename T, typename F>
  void sized(T& value, F fields) {
    Reader inner(in_.prefixed_bytes());
    if (in_.ok()) fields(inner, value);
    if (!inner.ok()) ok_ = false;
  }
  void fail() { ok_ = false; }
  std::string_view rest() { return in_.bytes(in_.remaining()); }

 private:
  ByteReader in_;
  bool ok_ = true;
};

template <typename A, typename T>
constexpr bool kIs = std::is_same_v<std::remove_const_t<A>, T>;

template <typename Archive, typename T>
void fields(Archive& a, T& v);

const auto kFields = [](auto& a, auto& v) { fields(a, v); };
const auto kEach = [](auto& a, auto& v) { a(v); };
const auto kNumber = [](auto& a, auto& v) { a.number(v); };

// Consistency and whether what follows is there, in one byte.
constexpr uint8_t kLevelMask = 3, kHasPosition = 4, kHasSession = 8, kForward = 16, kKnownFlags = 31;

template <typename Archive, typename T>
void options_fields(Archive& a, T& v) {
  uint64_t timeout_us = 0;
  uint64_t flags = 0;  // as a number it takes one byte
  if constexpr (!Archive::kReads) {
    flags = static_cast<uint8_t>(v.consistency);
    if (v.at_least != 0) flags |= kHasPosition;
    if (v.session != consensus::kNoSession) flags |= kHasSession;
    if (v.forward) flags |= kForward;
    timeout_us = static_cast<uint64_t>(std::max<int64_t>(v.timeout_ns, 0)) / 1'000;
  }
  a(flags), a(timeout_us);
  if constexpr (Archive::kReads) {
    if (flags > kKnownFlags || (flags & kLevelMask) > static_cast<uint8_t>(Consistency::kSequential)) return a.fail();
    v.consistency = static_cast<Consistency>(flags & kLevelMask);
    v.forward = (flags & kForward) != 0;
    v.timeout_ns = static_cast<int64_t>(std::min<uint64_t>(timeout_us, INT64_MAX / 1'000)) * 1'000;
  }
  if ((flags & kHasPosition) != 0) a(v.at_least);
  if ((flags & kHasSession) != 0) a.number(v.session), a(v.sequence), a(v.acknowledged_below);
}

template <typename Archive, typename T>
void fields(Archive& a, T& v) {
  using consensus::Standing;
  if constexpr (kIs<T, CallOptions>) {
    options_fields(a, v);
  } else if constexpr (kIs<T, NumberBody>) {
    a(v.number);
  } else if constexpr (kIs<T, MemberBody>) {
    a.number(v.id), a(v.address);
  } else if constexpr (kIs<T, Alarm>) {
    a.number(v.member), a.choice(v.kind, AlarmKind::kCorrupt);
  } else if constexpr (kIs<T, AlarmBody>) {
    fields(a, v.alarm);
    a(v.on);
  } else if constexpr (kIs<T, Service::NewMember>) {
    a(v.peer_address), a.choice(v.role, static_cast<consensus::Role>(consensus::kMaxRole)), a(v.catch_up_first);
    a.number(v.replaces);
  } else if constexpr (kIs<T, kv::WatchRequest>) {
    a(v.key), a(v.range_end), a(v.start_revision), a(v.id);
    a(v.no_put), a(v.no_delete), a(v.prev_kv), a(v.progress_notify), a(v.fragment), a(v.resumes);
  } else if constexpr (kIs<T, kv::KeyValue>) {
    a(v.key), a(v.create_revision), a(v.mod_revision), a(v.version), a.number(v.lease), a(v.value);
  } else if constexpr (kIs<T, kv::Event>) {
    a.choice(v.type, kv::Event::Type::kDelete);
    fields(a, v.kv);
    bool has_previous = v.previous.has_value();
    a(has_previous);
    if constexpr (Archive::kReads) {
      if (has_previous && a.ok()) fields(a, v.previous.emplace());
    } else {
      if (has_previous) fields(a, *v.previous);
    }
  } else if constexpr (kIs<T, kv::WatchResponse>) {
    a(v.id), a(v.revision), a(v.created), a(v.cancelled), a(v.cancel_reason), a(v.compact_revision), a(v.fragment);
    a.list(v.events, [](auto& archive, auto& event) {
      if constexpr (std::remove_reference_t<decltype(archive)>::kReads) {
        auto made = std::make_shared<kv::Event>();
        fields(archive, *made);
        event = std::move(made);
      } else {
        fields(archive, *event);
      }
    });
  } else if constexpr (kIs<T, WatchResponsesBody>) {
    a.list(v.responses, kFields);
  } else if constexpr (kIs<T, CallError>) {
    a.choice(v.code, Code::kUnauthenticated);
    a(v.uncertain), a(v.session_ended), a.number(v.leader), a(v.leader_address), a(v.message);
  } else if constexpr (kIs<T, MemberRecord>) {
    a.number(v.id), a(v.name), a(v.version), a(v.client_address), a.list(v.etcd_urls, kEach), a(v.http_address);
    a.list(v.peer_urls, kEach), a(v.custom_commands);
  } else if constexpr (kIs<T, MemberStatus>) {
    a.sized(v.record, kFields);
    a.choice(v.role, MemberRole::kLearner), a.choice(v.state, MemberState::kError);
    a(v.acknowledged), a(v.behind), a(v.problem);
  } else if constexpr (kIs<T, consensus::Report::Peer>) {
    a.number(v.id), a(v.acknowledged), a(v.recent);
  } else if constexpr (kIs<T, consensus::Report>) {
    a.choice(v.standing, Standing::kRecovering), a(v.epoch), a.number(v.leader), a(v.first), a(v.last), a(v.committed);
    a(v.delivered), a(v.durable_position), a(v.snapshot.position), a(v.log_bytes), a(v.uncommitted_bytes);
    a.list(v.peers, kFields);
  } else if constexpr (kIs<T, AttestBody>) {
    a.number(v.session), a(v.sequence);
  } else if constexpr (kIs<T, Attestation>) {
    a(v.position), a(v.command), a(v.answer);
  } else if constexpr (kIs<T, DecreeBody>) {
    a(v.name), a(v.value);
  } else if constexpr (kIs<T, consensus::paxos::Ballot>) {
    a(v.round), a.number(v.proposer), a(v.incarnation);
  } else if constexpr (kIs<T, consensus::paxos::Proposal>) {
    fields(a, v.ballot), a(v.value);
  } else if constexpr (kIs<T, consensus::paxos::Attempt>) {
    fields(a, v.ballot), a.list(v.promised, kNumber), a.list(v.accepted, kNumber), a.list(v.refused, kNumber);
    fields(a, v.refused_for), fields(a, v.bound_to), a.choice(v.end, consensus::paxos::Attempt::kLastEnd);
  } else if constexpr (kIs<T, consensus::paxos::Outcome>) {
    fields(a, v.chosen), a.list(v.acceptors, kNumber), a.list(v.attempts, kFields), a(v.attempts_made);
  } else {
    static_assert(kIs<T, GroupStatus>, "a value without a list of fields");
    a(v.cluster), a(v.founding), a.number(v.self), a(v.protocol), a.sized(v.consensus, kFields), a(v.applied),
        a(v.state_bytes);
    a(v.quota_bytes), a.list(v.members, [](auto& archive, auto& member) { archive.sized(member, kFields); });
    a(v.changing), a(v.leader_view), a.list(v.alarms, kFields), a.list(v.problems, kEach);
  }
}

}  // namespace

void append_options(std::string& out, const CallOptions& options) {
  Writer writer(out);
  fields(writer, options);
}

Result<CallOptions> take_options(std::string_view& body) {
  Reader in(body);
  CallOptions options;
  fields(in, options);
  if (!in.ok()) return malformed();
  body = in.rest();
  return options;
}

void set_forward(std::string& body, bool forward) {
  const auto flags = static_cast<uint8_t>(body[0]);
  body[0] = static_cast<char>(forward ? flags | kForward : flags & ~kForward);
}

void append_execute(std::string& out, kv::Space space, const kv::Request& request) {
  out.push_back(static_cast<char>(space));
  kv::append_encoded(out, request);
}

Result<ExecuteBody> parse_execute(std::string_view body) {
  Reader in(body);
  ExecuteBody result;
  in.choice(result.space, kv::Space::kSystem);
  if (!in.ok()) return malformed();
  CLEW_ASSIGN(result.request, kv::decode_request(in.rest()));
  return result;
}

template <typename Body>
void append(std::string& out, const Body& body) {
  Writer writer(out);
  if constexpr (std::is_same_v<Body, CallReply>) {
    writer(body.position), writer(body.epoch);
    kv::append_encoded(out, body.response);
  } else if constexpr (std::is_same_v<Body, SnapshotBody>) {
    writer(body.total);
    out += body.bytes;
  } else {
    fields(writer, body);
  }
}

template <typename Body>
Result<Body> parse(std::string_view body) {
  Reader in(body);
  Body result;
  if constexpr (std::is_same_v<Body, CallReply>) {
    in(result.position), in(result.epoch);
    if (!in.ok()) return malformed();
    CLEW_ASSIGN(result.response, kv::decode_response(in.rest()));
  } else if constexpr (std::is_same_v<Body, SnapshotBody>) {
    in(result.total);
    result.bytes = in.rest();
  } else {
    fields(in, result);
  }
  if (!in.ok()) return malformed();
  return result;
}

#define CLEW_BODY(Body)                            \
  template void append(std::string&, const Body&); \
  template Result<Body> parse(std::string_view)
CLEW_BODY(NumberBody);
CLEW_BODY(MemberBody);
CLEW_BODY(AlarmBody);
CLEW_BODY(DecreeBody);
CLEW_BODY(AttestBody);
CLEW_BODY(Attestation);
CLEW_BODY(SnapshotBody);
CLEW_BODY(WatchResponsesBody);
CLEW_BODY(Service::NewMember);
CLEW_BODY(kv::WatchRequest);
CLEW_BODY(CallReply);
CLEW_BODY(CallError);
CLEW_BODY(GroupStatus);
CLEW_BODY(consensus::paxos::Outcome);
#undef CLEW_BODY

namespace {
constexpr size_t kOverhead = 32;
}

size_t weight(const kv::Event& event) {
  size_t bytes = kOverhead + event.kv.key.size() + event.kv.value.size();
  if (event.previous) bytes += kOverhead + event.previous->key.size() + event.previous->value.size();
  return bytes;
}

size_t weight(const kv::WatchResponse& response) {
  size_t bytes = kOverhead + response.cancel_reason.size();
  for (const auto& event : response.events) bytes += weight(*event);
  return bytes;
}

}  // namespace clew::control
