#include "consensus/chaos_test.h"

#include <gtest/gtest.h>

#include "consensus/multipaxos/cores_test.h"

namespace clew::consensus::multipaxos {
namespace {

TEST(MultiPaxosChaos, invariantsHoldUnderRandomSchedules) { run_chaos<MultiPaxosPlay>(); }

}  // namespace
}  // namespace clew::consensus::multipaxos
