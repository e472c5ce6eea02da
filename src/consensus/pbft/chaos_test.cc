#include "consensus/chaos_test.h"

#include <gtest/gtest.h>

#include "consensus/pbft/cores_test.h"

namespace clew::consensus::pbft {
namespace {

TEST(PbftChaos, invariantsHoldUnderRandomSchedules) { run_chaos<PbftPlay>(); }

}  // namespace
}  // namespace clew::consensus::pbft
