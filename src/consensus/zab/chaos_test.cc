#include "consensus/chaos_test.h"

#include <gtest/gtest.h>

#include "consensus/zab/cores_test.h"

namespace clew::consensus::zab {
namespace {

TEST(ZabChaos, invariantsHoldUnderRandomSchedules) { run_chaos<ZabPlay>(); }

}  // namespace
}  // namespace clew::consensus::zab
