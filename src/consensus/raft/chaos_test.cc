#include "consensus/chaos_test.h"

#include <gtest/gtest.h>

#include "consensus/raft/cores_test.h"

namespace clew::consensus::raft {
namespace {

TEST(RaftChaos, invariantsHoldUnderRandomSchedules) { run_chaos<RaftPlay>(); }

}  // namespace
}  // namespace clew::consensus::raft
