#include "trace/assess.h"

#include <gtest/gtest.h>

namespace clew::trace {
namespace {
TEST(Assessor, aRootWithItsChildrenIsComplete) {
  std::vector<SpanFacts> spans(2);
  spans[0].id = {1};
  spans[1].id = {2};
  spans[1].parent = {1};
  for (auto& s : spans) s.start_ns = s.end_ns = 1'700'000'000'000'000'000;
  Assessor assessor({});
  Assessment out;
  assessor.assess(spans, {}, {}, nullptr, out);
  EXPECT_EQ(out.verdict.state, model::TraceState::kComplete);
}
}  // namespace
}  // namespace clew::trace
