#include "otlp/trace_context.h"

#include <algorithm>

#include "otlp/hex.h"

namespace clew::otlp {
namespace {

constexpr size_t kTraceParentSize = 55;

std::string_view trim(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

// Lower-case hex only: a specification of headers, not of people's typing.
bool read_hex(std::string_view hex, uint64_t& out) {
  out = 0;
  for (const char c : hex) {
    const int digit = c >= 'A' && c <= 'F' ? -1 : hex_value(c);
    if (digit < 0) return false;
    out = out << 4 | static_cast<uint64_t>(digit);
  }
  return true;
}

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

size_t member_size(const TraceState::Member& member) { return member.key.size() + 1 + member.value.size(); }

}  // namespace

std::optional<TraceParent> parse_traceparent(std::string_view header) {
  header = trim(header);
  if (header.size() < kTraceParentSize) return std::nullopt;
  if (header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  uint64_t version = 0, flags = 0;
  TraceParent parent;
  if (!read_hex(header.substr(0, 2), version) || version == 0xff) return std::nullopt;
  if (header.size() > kTraceParentSize && (version == 0 || header[kTraceParentSize] != '-')) return std::nullopt;
  if (!read_hex(header.substr(3, 16), parent.trace.hi) || !read_hex(header.substr(19, 16), parent.trace.lo))
    return std::nullopt;
  if (!read_hex(header.substr(36, 16), parent.parent.value) || !read_hex(header.substr(53, 2), flags))
    return std::nullopt;
  if (!parent.trace.valid() || !parent.parent.valid()) return std::nullopt;
  parent.flags = static_cast<uint8_t>(flags);
  return parent;
}

std::string format_traceparent(const TraceParent& parent) {
  std::string out = "00-";
  out.reserve(kTraceParentSize);
  append_hex(parent.trace, out);
  out += '-';
  append_hex(parent.parent, out);
  out += '-';
  append_hex(parent.flags, 2, out);
  return out;
}

bool TraceState::key_valid(std::string_view key) {
  if (key.empty() || key.size() > kMaxStateKey || !lower_or_digit(key.front())) return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return lower_or_digit(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
  });
}

bool TraceState::value_valid(std::string_view value) {
  if (value.empty() || value.size() > kMaxStateValue || value.back() == ' ') return false;
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

std::optional<TraceState> TraceState::parse(std::span<const std::string_view> headers) {
  TraceState state;
  size_t count = 0;
  for (std::string_view rest : headers) {
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view text = trim(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      if (text.empty()) continue;
      const size_t equals = text.find('=');
      if (equals == std::string_view::npos || ++count > kMaxStateMembers) return std::nullopt;
      const std::string_view key = text.substr(0, equals), value = text.substr(equals + 1);
      if (!key_valid(key) || !value_valid(value)) return std::nullopt;
      if (state.find(key) == nullptr) state.members_.push_back({std::string(key), std::string(value)});
    }
  }
  return state;
}

const std::string* TraceState::find(std::string_view key) const {
  for (const Member& member : members_) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

bool TraceState::set(std::string_view key, std::string_view value) {
  if (!key_valid(key) || !value_valid(value)) return false;
  Member member{std::string(key), std::string(value)};
  remove(member.key);
  if (members_.size() == kMaxStateMembers) members_.pop_back();
  members_.insert(members_.begin(), std::move(member));
  return true;
}

bool TraceState::remove(std::string_view key) {
  return std::erase_if(members_, [&](const Member& member) { return member.key == key; }) > 0;
}

std::string TraceState::format() const {
  std::string out;
  for (const Member& member : members_) {
    if (!out.empty()) out += ',';
    out.append(member.key).append(1, '=').append(member.value);
  }
  return out;
}

std::string TraceState::format(size_t max_chars) const {
  TraceState kept = *this;
  const auto size = [&] {
    size_t sum = kept.members_.empty() ? 0 : kept.members_.size() - 1;
    for (const Member& member : kept.members_) sum += member_size(member);
    return sum;
  };
  while (!kept.empty() && size() > max_chars) {
    const auto large = std::find_if(kept.members_.rbegin(), kept.members_.rend(),
                                    [](const Member& member) { return member_size(member) > kLargeStateMember; });
    kept.members_.erase(large == kept.members_.rend() ? kept.members_.end() - 1 : large.base() - 1);
  }
  return kept.format();
}

std::optional<TraceContext> extract(std::span<const std::string_view> traceparents,
                                    std::span<const std::string_view> tracestates) {
  if (traceparents.size() != 1) return std::nullopt;
  const std::optional<TraceParent> parent = parse_traceparent(traceparents[0]);
  if (!parent) return std::nullopt;
  return TraceContext{*parent, TraceState::parse(tracestates).value_or(TraceState())};
}

TraceContext propagate(const TraceContext& received, model::SpanId span) {
  TraceContext sent = received;
  sent.parent.parent = span;
  sent.parent.flags &= kFlagSampled | kFlagRandom;
  return sent;
}

TraceContext start(model::TraceId trace, model::SpanId span, bool sampled) {
  return {{trace, span, static_cast<uint8_t>(kFlagRandom | (sampled ? kFlagSampled : 0))}, TraceState()};
}

std::string_view hop_finding_name(HopFindingKind kind) {
  switch (kind) {
    case HopFindingKind::kOtherTrace:
      return "other_trace";
    case HopFindingKind::kOtherParent:
      return "other_parent";
    case HopFindingKind::kSampledChanged:
      return "sampled_changed";
    case HopFindingKind::kRandomChanged:
      return "random_changed";
    case HopFindingKind::kUnknownFlags:
      return "unknown_flags";
    case HopFindingKind::kStateLost:
      return "state_lost";
    case HopFindingKind::kStateCut:
      return "state_cut";
    case HopFindingKind::kStateChanged:
      return "state_changed";
    case HopFindingKind::kStateReordered:
      return "state_reordered";
  }
  return "unknown";
}

std::vector<HopFinding> verify_hop(const TraceContext& parent, const TraceContext& child) {
  std::vector<HopFinding> findings;
  const auto add = [&](HopFindingKind kind, std::string detail) { findings.push_back({kind, std::move(detail)}); };
  const std::string sent = format_traceparent(child.parent), had = format_traceparent(parent.parent);
  if (child.parent.trace != parent.parent.trace) {
    // A restarted trace owes nothing to the old one's flags and state.
    add(HopFindingKind::kOtherTrace, "the caller had " + had + " and sent " + sent + ": the trace was restarted");
    return findings;
  }
  if (child.parent.parent != parent.parent.parent)
    add(HopFindingKind::kOtherParent, "the parent id of " + sent + " is not the caller's span of " + had);
  const auto changed = static_cast<uint8_t>(child.parent.flags ^ parent.parent.flags);
  if (changed & kFlagSampled)
    add(HopFindingKind::kSampledChanged, child.parent.flags & kFlagSampled
                                             ? "the caller was not sampled, its callee is"
                                             : "the caller was sampled, its callee is not");
  if (changed & kFlagRandom) add(HopFindingKind::kRandomChanged, "the random flag was not passed on as received");
  if (child.parent.flags & ~(kFlagSampled | kFlagRandom))
    add(HopFindingKind::kUnknownFlags, "flags that version 00 does not define were passed on in " + sent);

  // Members that the caller added or changed stand in front; the rest must follow in the order received.
  const auto& before = parent.state.members();
  const auto& after = child.state.members();
  const auto untouched = [&](const TraceState::Member& member) {
    return std::find(before.begin(), before.end(), member) != before.end();
  };
  const size_t front = static_cast<size_t>(std::find_if(after.begin(), after.end(), untouched) - after.begin());
  std::string lost, altered;
  for (const TraceState::Member& member : before) {
    if (child.state.find(member.key) == nullptr) lost += (lost.empty() ? "" : ", ") + member.key;
  }
  for (size_t i = front; i < after.size(); ++i) {
    if (!untouched(after[i])) altered += (altered.empty() ? "" : ", ") + after[i].key;
  }
  if (!lost.empty()) {
    const bool oversized = parent.state.format().size() > kPropagatedStateChars || before.size() == kMaxStateMembers;
    add(oversized ? HopFindingKind::kStateCut : HopFindingKind::kStateLost, "tracestate members missing: " + lost);
  }
  if (!altered.empty())
    add(HopFindingKind::kStateChanged, "tracestate members changed or added without moving to the front: " + altered);
  size_t place = 0;
  for (const TraceState::Member& member : after) {
    const auto at = std::find(before.begin(), before.end(), member);
    if (at == before.end()) continue;
    const auto index = static_cast<size_t>(at - before.begin());
    if (index < place) {
      add(HopFindingKind::kStateReordered, "tracestate member " + member.key + " moved though it did not change");
      break;
    }
    place = index;
  }
  return findings;
}

}  // namespace clew::otlp
