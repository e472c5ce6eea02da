#include "cluster/assembly.h"

#include <gtest/gtest.h>

#include "cluster/test_rows.h"

namespace clew::cluster {
namespace {

constexpr model::TraceId kTrace{1, 2};

TestSpan root() { return {.trace = kTrace, .id = {1}, .name = "root"}; }
TestSpan child() { return {.trace = kTrace, .id = {2}, .parent = {1}, .name = "child"}; }

class AssemblyTest : public ::testing::Test {
 protected:
  void add(const TestSpan& span) {
    TestRequest request("cart");
    request.span(span);
    rows_.add(request);
  }
  void assemble(const model::TraceData* stored = nullptr) {
    assembly_.begin();
    if (stored != nullptr) assembly_.add_stored(*stored);
    for (size_t i = 0; i < rows_.size(); ++i) assembly_.add_row(rows_.dictionary(), rows_[i], {.hlc = 100 + i});
    assembly_.finish(nullptr, true);
  }
  // What a store would give back of the rows so far.
  model::TraceData stored() {
    assemble();
    model::TraceData data;
    for (const store::SealSpan& row : assembly_.new_spans()) {
      EXPECT_TRUE(model::append_span_of_row(*row.dictionary, row.row, row.stamp, data).ok());
    }
    data.summary = assembly_.summary();
    data.history.push_back(assembly_.take_verdict());
    data.history.back().version = 1;
    return data;
  }

  TestRows rows_;
  Assembly assembly_{trace::Policy{}};
};

TEST_F(AssemblyTest, trace_with_its_root_is_whole_whatever_the_order_of_arrival) {
  add(child());
  add(root());
  assemble();
  EXPECT_EQ(assembly_.assessment().verdict.state, model::TraceState::kComplete);
  EXPECT_EQ(assembly_.summary().span_count, 2u);
  EXPECT_EQ(assembly_.summary().root_name, "root");
  EXPECT_EQ(assembly_.summary().root_service, "cart");
  EXPECT_EQ(assembly_.summary().first_arrival_hlc, 100u);
  EXPECT_EQ(assembly_.summary().last_arrival_hlc, 101u);
  ASSERT_EQ(assembly_.new_spans().size(), 2u);
  EXPECT_EQ(assembly_.new_spans()[0].parent, 1);
  EXPECT_EQ(assembly_.new_spans()[1].parent, -1);
}

TEST_F(AssemblyTest, retried_span_counts_once_and_the_first_to_arrive_stays) {
  for (int i = 0; i < 3; ++i) add(root());
  add(child());
  assemble();
  EXPECT_EQ(assembly_.duplicates(), 2u);
  ASSERT_EQ(assembly_.new_spans().size(), 2u);
  EXPECT_EQ(assembly_.new_spans()[0].stamp.hlc, 100u);
}

TEST_F(AssemblyTest, contents_that_alternate_under_one_id_are_kept_once_each) {
  TestSpan other = root();
  other.name = "another";
  for (int i = 0; i < 3; ++i) {
    add(root());
    add(other);
  }
  assemble();
  EXPECT_EQ(assembly_.duplicates(), 4u);
  ASSERT_EQ(assembly_.new_spans().size(), 2u);
  EXPECT_EQ(assembly_.new_spans()[0].stamp.hlc, 100u);
  EXPECT_EQ(assembly_.new_spans()[1].stamp.hlc, 101u);
}

TEST_F(AssemblyTest, span_that_is_stored_already_is_a_duplicate_and_leaves_the_digest_alone) {
  add(root());
  const model::TraceData before = stored();
  assemble(&before);
  EXPECT_EQ(assembly_.duplicates(), 1u);
  EXPECT_TRUE(assembly_.new_spans().empty());
  EXPECT_EQ(assembly_.stored_versions(), 1u);
  EXPECT_EQ(assembly_.summary().span_count, 1u);
  EXPECT_EQ(assembly_.summary().digest.lo, before.summary.digest.lo);
  EXPECT_EQ(assembly_.summary().digest.hi, before.summary.digest.hi);
}

TEST_F(AssemblyTest, late_child_of_a_stored_root_makes_a_delta_whose_parent_is_elsewhere) {
  add(root());
  const model::TraceData before = stored();
  add(child());
  assemble(&before);
  ASSERT_EQ(assembly_.new_spans().size(), 1u);
  EXPECT_EQ(assembly_.new_spans()[0].parent, -2);
  EXPECT_EQ(assembly_.summary().span_count, 2u);
  EXPECT_EQ(assembly_.assessment().verdict.state, model::TraceState::kComplete);
}

TEST_F(AssemblyTest, digest_does_not_depend_on_the_order_of_arrival) {
  add(root());
  add(child());
  assemble();
  const auto digest = assembly_.summary().digest;
  assembly_.begin();
  for (size_t i = rows_.size(); i-- > 0;) assembly_.add_row(rows_.dictionary(), rows_[i], {.hlc = 1});
  assembly_.finish(nullptr, true);
  EXPECT_EQ(assembly_.summary().digest.lo, digest.lo);
  EXPECT_EQ(assembly_.summary().digest.hi, digest.hi);
  EXPECT_NE(digest.lo, 0u);
}

TEST_F(AssemblyTest, malformed_row_is_counted_and_left_out) {
  add(root());
  assembly_.begin();
  assembly_.add_row(rows_.dictionary(), "", {});
  assembly_.add_row(rows_.dictionary(), rows_[0], {});
  assembly_.finish(nullptr, true);
  EXPECT_EQ(assembly_.malformed(), 1u);
  EXPECT_EQ(assembly_.new_spans().size(), 1u);
}

}  // namespace
}  // namespace clew::cluster
