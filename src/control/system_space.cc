#include "control/system_space.h"

#include <charconv>
#include <utility>

#include "base/varint.h"

namespace clew::control {
namespace {

constexpr uint8_t kRecordFormat = 1;
constexpr size_t kMaxUrls = 16;

std::string text_of(consensus::NodeId id) { return std::to_string(number(id)); }

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void append_list(std::string& out, const std::vector<std::string>& items) {
  append_varint(out, items.size());
  for (const std::string& item : items) append_bytes(out, item);
}

bool read_list(ByteReader& in, std::vector<std::string>& items) {
  const uint64_t count = in.varint();
  if (count > kMaxUrls) return false;
  for (uint64_t i = 0; i < count; ++i) items.emplace_back(in.prefixed_bytes());
  return true;
}

}  // namespace

std::string member_key(consensus::NodeId id) { return std::string(kMembersPrefix) + text_of(id); }
std::string promote_key(consensus::NodeId id) { return std::string(kPromotePrefix) + text_of(id); }
std::string alarm_key(const Alarm& alarm) {
  return std::string(kAlarmsPrefix) + text_of(alarm.member) + "/" + std::to_string(static_cast<int>(alarm.kind));
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string encode(const MemberRecord& record) {
  std::string out;
  append_fixed(out, kRecordFormat);
  append_varint(out, number(record.id));
  append_bytes(out, record.name);
  append_bytes(out, record.version);
  append_bytes(out, record.client_address);
  append_list(out, record.etcd_urls);
  append_bytes(out, record.http_address);
  append_list(out, record.peer_urls);
  append_fixed(out, record.custom_commands.lo);
  append_fixed(out, record.custom_commands.hi);
  return out;
}

Result<MemberRecord> parse_member_record(std::string_view bytes) {
  ByteReader in(bytes);
  MemberRecord record;
  const auto format = in.fixed<uint8_t>();
  record.id = consensus::NodeId{in.varint()};
  record.name = in.prefixed_bytes();
  record.version = in.prefixed_bytes();
  record.client_address = in.prefixed_bytes();
  bool sound = read_list(in, record.etcd_urls);
  record.http_address = in.prefixed_bytes();
  sound = sound && read_list(in, record.peer_urls);
  record.custom_commands.lo = in.fixed<uint64_t>();
  record.custom_commands.hi = in.fixed<uint64_t>();
  if (format != kRecordFormat || !sound || !in.ok() || !in.at_end()) {
    return Error{Code::kDataLoss,
                 "a member's record in the system space makes no sense; it is written anew when that "
                 "member starts"};
  }
  return record;
}

const SystemView::State& SystemView::now() {
  if (read_at_ == store_.revision()) return state_;
  read_at_ = store_.revision();
  state_ = {};
  store_.each({std::string_view("\0", 1), std::string_view("\0", 1)}, [&](const kv::KeyValue& kv) {
    const std::string_view key = kv.key;
    if (key.starts_with(kMembersPrefix)) {
      auto record = parse_member_record(kv.value);
      if (record.ok()) state_.records[record->id] = std::move(*record);
    } else if (key.starts_with(kPromotePrefix)) {
      if (const auto id = parse_number<uint64_t>(key.substr(kPromotePrefix.size()))) {
        state_.promotions.insert(consensus::NodeId{*id});
      }
    } else if (key.starts_with(kAlarmsPrefix)) {
      const std::string_view rest = key.substr(kAlarmsPrefix.size());
      const size_t slash = rest.find('/');
      const auto id = parse_number<uint64_t>(rest.substr(0, slash));
      const auto kind = slash == std::string_view::npos ? std::nullopt : parse_number<int>(rest.substr(slash + 1));
      if (id && kind && (*kind == 1 || *kind == 2)) {
        state_.alarms.push_back({consensus::NodeId{*id}, static_cast<AlarmKind>(*kind)});
        (*kind == 1 ? state_.no_space : state_.corrupt) = true;
      }
    } else if (key == kNextMemberKey) {
      state_.next_member = kv.value;
    }
    return true;
  });
  return state_;
}

}  // namespace clew::control
