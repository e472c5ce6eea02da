#include "api/admission_gate.h"

#include <gtest/gtest.h>

namespace clew::api {
namespace {

TEST(AdmissionGate, LeasesAddUpToTheBudgetAndComeBack) {
  AdmissionGate gate(100);
  auto first = gate.admit(60);
  ASSERT_TRUE(first);
  EXPECT_FALSE(gate.admit(41));
  EXPECT_EQ(gate.refused(), 1u);
  auto second = gate.admit(40);
  ASSERT_TRUE(second);
  EXPECT_FALSE(gate.admit(1));
  first.reset();
  EXPECT_EQ(gate.used_bytes(), 40u);
  EXPECT_TRUE(second->grow(60));
  EXPECT_FALSE(second->grow(1));
  EXPECT_EQ(second->bytes(), 100u);
  second.reset();
  EXPECT_EQ(gate.used_bytes(), 0u);
}

TEST(AdmissionGate, AMovedLeaseIsReleasedOnce) {
  AdmissionGate gate(100);
  {
    AdmissionGate::Lease a = std::move(*gate.admit(30));
    AdmissionGate::Lease b = std::move(a);
    a = std::move(*gate.admit(20));
    EXPECT_EQ(gate.used_bytes(), 50u);
    b = std::move(a);
    EXPECT_EQ(gate.used_bytes(), 20u);
  }
  EXPECT_EQ(gate.used_bytes(), 0u);
}

TEST(AdmissionGate, ASizeNearTheEndOfTheRangeDoesNotWrapAround) {
  AdmissionGate gate(100);
  auto some = gate.admit(10);
  EXPECT_FALSE(gate.admit(UINT64_MAX - 5));
  EXPECT_EQ(gate.used_bytes(), 10u);
}

}  // namespace
}  // namespace clew::api
