#include "control/voices.h"

#include <gtest/gtest.h>

namespace clew::control {
namespace {

using consensus::NodeId;

TEST(Voices, aMemberBehindTwoAddressesIsOne_andNobodyIsNone) {
  struct Said {
    NodeId member;
    bool yes;
  };
  const std::vector<Said> said{
      {NodeId{1}, true}, {NodeId{1}, true}, {NodeId{2}, false}, {NodeId{3}, true}, {consensus::kNobody, true}};
  EXPECT_EQ(voices(said, [](const Said& one) { return one.yes; }), 2);
  EXPECT_EQ(voices(said, [](const Said& one) { return !one.yes; }), 1);
}

TEST(Voices, errorsOfAMember_andThoseThatAGroupMayAnswer) {
  struct Case {
    CallError error;
    bool own_affair;
    bool passing;
  };
  const auto error = [](Code code, bool uncertain = false, bool session_ended = false) {
    CallError made;
    made.code = code;
    made.uncertain = uncertain;
    made.session_ended = session_ended;
    return made;
  };
  const Case cases[] = {
      {error(Code::kUnavailable), true, true},        {error(Code::kDeadlineExceeded), true, true},
      {error(Code::kUnknown, true), true, true},      {error(Code::kFailedPrecondition, true, true), false, false},
      {error(Code::kResourceExhausted), false, true}, {error(Code::kNotFound), false, false},
      {error(Code::kInvalidArgument), false, false},  {error(Code::kDataLoss), false, false},
      {error(Code::kCancelled), false, false},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(static_cast<int>(one.error.code));
    EXPECT_EQ(own_affair(one.error), one.own_affair);
    EXPECT_EQ(passing(one.error), one.passing);
  }
}

}  // namespace
}  // namespace clew::control
