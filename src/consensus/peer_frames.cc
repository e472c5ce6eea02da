#include "consensus/peer_frames.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "base/varint.h"
#include "consensus/membership.h"

namespace clew::consensus {
namespace {

constexpr uint64_t kMagic = 0x5245455057454c43;  // "CLEWPEER"
enum class Message : uint8_t { kChallenge = 1, kHello = 2, kWelcome = 3 };

std::string begin(Message message) {
  std::string out;
  append_fixed(out, kMagic);
  out.push_back(static_cast<char>(message));
  return out;
}

bool begins(ByteReader& in, Message message) {
  return in.fixed<uint64_t>() == kMagic && in.fixed<uint8_t>() == static_cast<uint8_t>(message);
}

// Fields that a later version adds stand behind those that are known here, and are passed over.
Error malformed(const char* what) { return {Code::kInvalidArgument, std::string("a malformed ") + what}; }

uint32_t version_of(uint64_t number) { return static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX)); }

}  // namespace

std::string_view peer_refusal_name(PeerRefusal refusal) {
  static constexpr std::string_view kNames[kPeerRefusals] = {
      "garbage",    "checksum", "too_long",       "truncated", "slow",     "too_many", "version",  "cluster",
      "wrong_node", "stranger", "stale_instance", "identity",  "settings", "replayed", "replaced", "silent"};
  const auto index = static_cast<size_t>(refusal);
  return index < kPeerRefusals ? kNames[index] : "unknown";
}

void append_frame(std::string& out, std::string_view body) {
  const size_t begin = out.size();
  out.append(kFrameHeaderBytes, '\0');
  out.append(body);
  seal_frame(out, begin);
}

void seal_frame(std::string& out, size_t begin) {
  char* const header = out.data() + begin;
  const std::string_view body = std::string_view(out).substr(begin + kFrameHeaderBytes);
  const auto size = static_cast<uint32_t>(body.size());
  const uint32_t checksum = checksum32(body);
  std::memcpy(header, &size, sizeof size);
  std::memcpy(header + 4, &checksum, sizeof checksum);
  const uint32_t header_checksum = checksum32({header, 8});
  std::memcpy(header + 8, &header_checksum, sizeof header_checksum);
}

void FrameReader::feed(std::string_view bytes) { incoming_ = bytes; }

FrameReader::Step FrameReader::look(std::string_view header, Header* out) const {
  uint32_t header_checksum;
  std::memcpy(&out->size, header.data(), sizeof out->size);
  std::memcpy(&out->checksum, header.data() + 4, sizeof out->checksum);
  std::memcpy(&header_checksum, header.data() + 8, sizeof header_checksum);
  if (checksum32(header.substr(0, 8)) != header_checksum) return Step::kChecksum;
  return out->size > max_bytes_ ? Step::kTooLong : Step::kFrame;
}

FrameReader::Step FrameReader::next(std::string_view* body) {
  Header header;
  if (kept_.empty() && incoming_.size() >= kFrameHeaderBytes) {  // the usual case: straight out of the buffer
    if (const Step step = look(incoming_, &header); step != Step::kFrame) return step;
    if (incoming_.size() - kFrameHeaderBytes >= header.size) {
      *body = incoming_.substr(kFrameHeaderBytes, header.size);
      incoming_.remove_prefix(kFrameHeaderBytes + header.size);
      return checksum32(*body) == header.checksum ? Step::kFrame : Step::kChecksum;
    }
  }
  const auto take = [&](size_t wanted) {  // as far as it goes
    const size_t bytes = std::min(incoming_.size(), wanted - std::min(wanted, kept_.size()));
    kept_.append(incoming_.substr(0, bytes));
    incoming_.remove_prefix(bytes);
    return kept_.size() >= wanted;
  };
  if (!take(kFrameHeaderBytes)) return Step::kMore;
  if (const Step step = look(kept_, &header); step != Step::kFrame) return step;
  if (!take(kFrameHeaderBytes + header.size)) return Step::kMore;
  whole_.swap(kept_);
  kept_.clear();
  *body = std::string_view(whole_).substr(kFrameHeaderBytes);
  return checksum32(*body) == header.checksum ? Step::kFrame : Step::kChecksum;
}

std::string encode(const Challenge& challenge) {
  std::string out = begin(Message::kChallenge);
  append_varint(out, challenge.oldest);
  append_varint(out, challenge.newest);
  append_fixed(out, challenge.nonce);
  return out;
}

std::string encode(const Hello& hello) {
  std::string out = begin(Message::kHello);
  append_varint(out, hello.version);
  append_fixed(out, hello.nonce);
  append_fixed(out, hello.cluster);
  append_varint(out, number(hello.from));
  append_varint(out, number(hello.to));
  append_fixed(out, static_cast<uint64_t>(hello.instance));
  append_fixed(out, hello.settings);
  append_bytes(out, hello.address);
  return out;
}

std::string encode(const Welcome& welcome) {
  std::string out = begin(Message::kWelcome);
  out.push_back(welcome.welcome ? 1 : 0);
  out.push_back(static_cast<char>(welcome.refusal));
  append_fixed(out, static_cast<uint64_t>(welcome.instance));
  return out;
}

Result<Challenge> parse_challenge(std::string_view body) {
  ByteReader in(body);
  Challenge challenge;
  if (!begins(in, Message::kChallenge)) return malformed("challenge");
  challenge.oldest = version_of(in.varint());
  challenge.newest = version_of(in.varint());
  challenge.nonce = in.fixed<uint64_t>();
  if (!in.ok() || challenge.oldest > challenge.newest) return malformed("challenge");
  return challenge;
}

Result<Hello> parse_hello(std::string_view body) {
  ByteReader in(body);
  Hello hello;
  if (!begins(in, Message::kHello)) return malformed("hello");
  hello.version = version_of(in.varint());
  hello.nonce = in.fixed<uint64_t>();
  hello.cluster = in.fixed<uint64_t>();
  hello.from = NodeId{in.varint()};
  hello.to = NodeId{in.varint()};
  hello.instance = Instance{in.fixed<uint64_t>()};
  hello.settings = in.fixed<uint64_t>();
  const std::string_view address = in.prefixed_bytes();
  if (!in.ok() || address.size() > kMaxAddressBytes || hello.from == kNobody || hello.instance == kUnknownInstance) {
    return malformed("hello");
  }
  hello.address = std::string(address);
  return hello;
}

Result<Welcome> parse_welcome(std::string_view body) {
  ByteReader in(body);
  Welcome welcome;
  if (!begins(in, Message::kWelcome)) return malformed("welcome");
  const uint8_t answer = in.fixed<uint8_t>();
  const uint8_t refusal = in.fixed<uint8_t>();
  welcome.instance = Instance{in.fixed<uint64_t>()};
  if (!in.ok() || answer > 1 || (answer == 1 && welcome.instance == kUnknownInstance)) return malformed("welcome");
  welcome.welcome = answer == 1;
  welcome.refusal = refusal < kPeerRefusals ? static_cast<PeerRefusal>(refusal) : PeerRefusal::kGarbage;
  return welcome;
}

}  // namespace clew::consensus
