// W3C Trace Context, level 2 (w3.org/TR/trace-context-2): the headers `traceparent` and `tracestate` parsed, propagated
// and written; and what a hop between two services did to them.
//
// A bad traceparent drops the tracestate and restarts the trace; a bad tracestate is dropped alone. Never an error: the
// specification leaves nothing to refuse. Hostile headers cost O(bytes) and at most kMaxStateMembers entries.
// Not for ids in OTLP (either case of hex is fine there, here only lower case is). Pure; any thread; values own their
// text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/ids.h"

namespace clew::otlp {

constexpr uint8_t kFlagSampled = 0x01;
constexpr uint8_t kFlagRandom = 0x02;  // the last 7 bytes of the trace id are random (level 2)
constexpr size_t kMaxStateMembers = 32;
constexpr size_t kMaxStateKey = 256, kMaxStateValue = 256;
constexpr size_t kPropagatedStateChars = 512;  // what every participant must be able to pass on
constexpr size_t kLargeStateMember = 128;      // members beyond this go first when a tracestate is cut

struct TraceParent {
  model::TraceId trace;
  model::SpanId parent;
  uint8_t flags = 0;  // as received: unknown bits are dropped when it is passed on
  friend bool operator==(const TraceParent&, const TraceParent&) = default;
};

// §3.2. Version 00 is exactly 55 characters; of higher versions the first 55 count, if the end or a '-' follows.
// Spaces and tabs around it are ignored. Nothing: malformed, version ff, or a zero id.
std::optional<TraceParent> parse_traceparent(std::string_view header);
// Always as version 00; flags as they stand.
std::string format_traceparent(const TraceParent& parent);

// §3.3: a list of key=value, newest first.
class TraceState {
 public:
  struct Member {
    std::string key, value;
    friend bool operator==(const Member&, const Member&) = default;
  };

  // The headers in order, joined. Empty members are skipped; of a repeated key the first (newest) counts.
  // Nothing: a malformed member, or more than kMaxStateMembers.
  static std::optional<TraceState> parse(std::span<const std::string_view> headers);
  static std::optional<TraceState> parse(std::string_view header) { return parse({&header, 1}); }
  static bool key_valid(std::string_view key);
  static bool value_valid(std::string_view value);

  const std::vector<Member>& members() const { return members_; }
  bool empty() const { return members_.empty(); }
  const std::string* find(std::string_view key) const;
  // Puts key=value in front, as §3.3.1.6 wants of who changes a member; the last member gives way when there is no
  // room. False, and nothing changes, when key or value are not valid.
  bool set(std::string_view key, std::string_view value);
  bool remove(std::string_view key);

  std::string format() const;
  // Cut to whole members: those longer than kLargeStateMember first, then from the right (§3.3.1.5).
  std::string format(size_t max_chars) const;
  friend bool operator==(const TraceState&, const TraceState&) = default;

 private:
  std::vector<Member> members_;
};

struct TraceContext {
  TraceParent parent;
  TraceState state;
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

// The context of a request: its `traceparent` and `tracestate` header values, in order of appearance. Nothing when
// there is no valid traceparent or more than one: the trace restarts, and its tracestate is not to be used.
std::optional<TraceContext> extract(std::span<const std::string_view> traceparents,
                                    std::span<const std::string_view> tracestates);

// What a service sends on, `span` being its own span: same trace, same sampled and random flags, unknown flags cleared.
TraceContext propagate(const TraceContext& received, model::SpanId span);
// The first context of a trace; `trace` is random in its last 7 bytes.
TraceContext start(model::TraceId trace, model::SpanId span, bool sampled);

enum class HopFindingKind : uint8_t {
  kOtherTrace,      // the trace was restarted
  kOtherParent,     // the parent id is not the caller's span id
  kSampledChanged,  // allowed, yet it cuts a trace in two
  kRandomChanged,   // must be passed on unchanged
  kUnknownFlags,    // must be cleared
  kStateLost,       // members are missing though the whole was within kPropagatedStateChars
  kStateCut,        // members are missing from an oversized tracestate, which is allowed
  kStateChanged,    // a value changed and its member did not move to the front
  kStateReordered,  // unchanged members swapped places
};
std::string_view hop_finding_name(HopFindingKind kind);  // "other_trace", ...

struct HopFinding {
  HopFindingKind kind = HopFindingKind::kOtherTrace;
  std::string detail;  // a sentence for people
  friend bool operator==(const HopFinding&, const HopFinding&) = default;
};

// What happened between a caller and what it sent. `parent`: the caller's context, with its own span id in
// parent.parent and the tracestate it received; `child`: the context that its callee received. Empty: the hop kept the
// rules.
std::vector<HopFinding> verify_hop(const TraceContext& parent, const TraceContext& child);

}  // namespace clew::otlp
