#include "base/marked_section.h"

#include <gtest/gtest.h>

namespace clew {
namespace {

TEST(MarkedSection, WhatStoodBetweenTheMarksGivesWayAndNothingElse) {
  const auto first = with_section("a\n<!-- b -->\nold\n<!-- e -->\nz\n", "<!-- b -->", "<!-- e -->", "new");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, "a\n<!-- b -->\n\nnew\n\n<!-- e -->\nz\n");
  EXPECT_EQ(*with_section(*first, "<!-- b -->", "<!-- e -->", "new\n"), *first);
}

TEST(MarkedSection, WithoutBothMarksNothingIsWritten) {
  EXPECT_EQ(with_section("text", "<b>", "<e>", "new").status().code(), Code::kNotFound);
  EXPECT_EQ(with_section("<e> <b>", "<b>", "<e>", "new").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace clew
