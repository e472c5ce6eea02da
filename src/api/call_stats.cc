#include "api/call_stats.h"

#include <algorithm>
#include <cmath>

namespace clew::api {
namespace {

std::string_view service_of(const model::Span& span) {
  return span.resource == nullptr ? std::string_view() : span.resource->service_name;
}

}  // namespace

void visit_calls(const model::TraceData& trace, const std::function<void(const Call&)>& visit) {
  // Sorted, not hashed: ids are strangers' choice.
  std::vector<std::pair<uint64_t, const model::Span*>> by_id;
  by_id.reserve(trace.spans.size());
  for (const model::Span& span : trace.spans) by_id.emplace_back(span.id.value, &span);
  std::stable_sort(by_id.begin(), by_id.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto holders = [&](model::SpanId id) {
    const auto less = [](const auto& a, const auto& b) { return a.first < b.first; };
    return std::equal_range(by_id.begin(), by_id.end(), std::pair<uint64_t, const model::Span*>(id.value, nullptr),
                            less);
  };
  for (const model::Span& span : trace.spans) {
    Call call;
    call.service = service_of(span);
    bool inside = false;  // a span of the same service is its parent
    if (span.kind == model::SpanKind::kServer) {
      const auto [first, last] = holders(span.id);
      for (auto other = first; other != last; ++other) {
        if (other->second->kind == model::SpanKind::kClient && service_of(*other->second) != call.service)
          call.caller = service_of(*other->second);
      }
    }
    if (call.caller.empty() && span.parent.valid()) {
      const auto [first, last] = holders(span.parent);
      for (auto parent = first; parent != last; ++parent) {
        if (parent->second == &span) continue;
        inside = inside || service_of(*parent->second) == call.service;
        if (call.caller.empty() || parent->second->kind == model::SpanKind::kServer)
          call.caller = service_of(*parent->second);
      }
    }
    if (inside) continue;
    call.operation = span.name;
    call.start_ns = span.start_ns;
    int64_t duration = 0;
    if (!__builtin_sub_overflow(span.end_ns, span.start_ns, &duration))
      call.duration_ns = std::max<int64_t>(0, duration);
    call.failed = span.status == model::StatusCode::kError;
    visit(call);
  }
}

int64_t CallStats::quantile_ns(double q) {
  if (durations_.empty()) return 0;
  const double rank = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(durations_.size()));
  const size_t index = rank < 1 ? 0 : std::min(durations_.size(), static_cast<size_t>(rank)) - 1;
  const auto at = durations_.begin() + static_cast<ptrdiff_t>(index);
  std::nth_element(durations_.begin(), at, durations_.end());
  return *at;
}

}  // namespace clew::api
