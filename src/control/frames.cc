#include "control/frames.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace clew::control {
namespace {

constexpr uint64_t kMagic = 0x4c52544357454c43;  // "CLEWCTRL"
enum class Greeting : uint8_t { kHello = 1, kWelcome = 2 };

std::string greet(Greeting greeting) {
  std::string out;
  append_fixed(out, kMagic);
  out.push_back(static_cast<char>(greeting));
  return out;
}

bool greets(ByteReader& in, Greeting greeting) {
  return in.fixed<uint64_t>() == kMagic && in.fixed<uint8_t>() == static_cast<uint8_t>(greeting);
}

// Fields that a later version adds stand behind those that are known here, and are passed over.
Error malformed(const char* what) { return {Code::kInvalidArgument, std::string("a malformed ") + what}; }

uint32_t bounded(uint64_t number) { return static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX)); }

}  // namespace

std::string_view refusal_name(Refusal refusal) {
  static constexpr std::string_view kNames[kRefusals] = {
      "garbage", "checksum", "too_long",    "truncated",        "slow",    "too_many", "version", "cluster",
      "token",   "silent",   "slow_reader", "too_many_streams", "stopping"};
  const auto index = static_cast<size_t>(refusal);
  return index < kRefusals ? kNames[index] : "unknown";
}

std::string encode(const Hello& hello) {
  std::string out = greet(Greeting::kHello);
  append_varint(out, hello.oldest);
  append_varint(out, hello.newest);
  append_fixed(out, hello.cluster);
  append_bytes(out, hello.token);
  return out;
}

std::string encode(const Welcome& welcome) {
  std::string out = greet(Greeting::kWelcome);
  out.push_back(welcome.welcome ? 1 : 0);
  out.push_back(static_cast<char>(welcome.refusal));
  append_varint(out, welcome.version);
  append_fixed(out, welcome.cluster);
  append_varint(out, consensus::number(welcome.node));
  append_varint(out, welcome.max_in_flight);
  out.push_back(welcome.byzantine ? 1 : 0);
  return out;
}

Result<Hello> parse_hello(std::string_view body) {
  ByteReader in(body);
  Hello hello;
  if (!greets(in, Greeting::kHello)) return malformed("hello");
  hello.oldest = bounded(in.varint());
  hello.newest = bounded(in.varint());
  hello.cluster = in.fixed<uint64_t>();
  const std::string_view token = in.prefixed_bytes();
  if (!in.ok() || token.size() > kMaxTokenBytes || hello.oldest > hello.newest) return malformed("hello");
  hello.token = std::string(token);
  return hello;
}

Result<Welcome> parse_welcome(std::string_view body) {
  ByteReader in(body);
  Welcome welcome;
  if (!greets(in, Greeting::kWelcome)) return malformed("welcome");
  const auto answer = in.fixed<uint8_t>();
  const auto refusal = in.fixed<uint8_t>();
  welcome.version = bounded(in.varint());
  welcome.cluster = in.fixed<uint64_t>();
  welcome.node = consensus::NodeId{in.varint()};
  welcome.max_in_flight = bounded(in.varint());
  const uint8_t byzantine = in.at_end() ? 0 : in.fixed<uint8_t>();  // the first releases say nothing
  if (!in.ok() || answer > 1 || byzantine > 1) return malformed("welcome");
  welcome.byzantine = byzantine == 1;
  welcome.welcome = answer == 1;
  welcome.refusal = refusal < kRefusals ? static_cast<Refusal>(refusal) : Refusal::kGarbage;
  return welcome;
}

void Batch::end() {
  const auto size = static_cast<uint32_t>(out_.size() - message_ - sizeof(uint32_t));
  std::memcpy(out_.data() + message_, &size, sizeof size);
  if (out_.size() - frame_ < kFullFrameBytes) return;
  consensus::seal_frame(out_, std::exchange(frame_, kNoFrame));
}

std::string Batch::take() {
  if (frame_ != kNoFrame) consensus::seal_frame(out_, frame_);
  frame_ = kNoFrame;
  return std::exchange(out_, {});
}

bool MessageReader::next(Message& message) {
  if (malformed_ || in_.at_end()) return false;
  const auto size = in_.fixed<uint32_t>();
  const std::string_view bytes = in_.bytes(size);
  ByteReader inside(bytes);
  message.kind = static_cast<MessageKind>(inside.fixed<uint8_t>());
  message.id = inside.varint();
  malformed_ = !in_.ok() || !inside.ok();
  message.body = bytes.substr(bytes.size() - inside.remaining());
  return !malformed_;
}

}  // namespace clew::control
