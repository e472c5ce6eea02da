// traceparent and tracestate: what is read is written and read again as the same, and stays within the specification's
// bounds. The first line of the input is traceparent; every further line a tracestate header.
#include <cstdint>
#include <cstdlib>

#include "otlp/trace_context.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clew::otlp;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> lines;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    lines.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (lines.empty()) return 0;
  const std::span<const std::string_view> states = std::span(lines).subspan(1);

  if (const auto state = TraceState::parse(states)) {
    require(state->members().size() <= kMaxStateMembers);
    const std::string text = state->format();
    const auto again = TraceState::parse(text);
    require(again && *again == *state && again->format() == text);
    require(state->format(kPropagatedStateChars).size() <= kPropagatedStateChars);
  }
  if (const auto parent = parse_traceparent(lines[0])) {
    const std::string text = format_traceparent(*parent);
    require(text.size() == 55 && parse_traceparent(text) == parent);
  }
  if (const auto context = extract(std::span(lines).first(1), states)) {
    TraceContext caller = propagate(*context, {0x1234});
    require(verify_hop(caller, caller).empty());
    TraceContext changed = caller;
    require(changed.state.set("clew", "1"));
    require(changed.state.members().size() < kMaxStateMembers || changed.state.members().front().key == "clew");
    verify_hop(caller, changed);
  }
  return 0;
}
