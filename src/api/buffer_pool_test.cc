#include "api/buffer_pool.h"

#include <gtest/gtest.h>

namespace clew::api {
namespace {

uintptr_t place(const std::string& buffer) { return reinterpret_cast<uintptr_t>(buffer.data()); }

TEST(BufferPool, ASharedBodyComesBackWhenItsLastReaderLetsGo) {
  const auto pool = BufferPool::create();
  std::string buffer = pool->take(100'000);
  const uintptr_t memory = place(buffer);
  auto body = pool->share(std::move(buffer));
  auto reader = body;
  body.reset();
  EXPECT_NE(place(pool->take(100'000)), memory);  // still read
  reader.reset();
  std::string again = pool->take(90'000);
  EXPECT_EQ(place(again), memory);
  EXPECT_EQ(again.size(), 90'000u);
}

TEST(BufferPool, ABodyMayOutliveEveryOtherOwnerOfThePool) {
  auto pool = BufferPool::create();
  auto body = pool->share(pool->take(1000));
  pool.reset();
  EXPECT_EQ(body->size(), 1000u);
}

TEST(BufferPool, HugeBuffersAreNotKept) {
  const auto pool = BufferPool::create();
  std::string huge = pool->take(BufferPool::kMaxBufferBytes + 1);
  pool->give(std::move(huge));
  EXPECT_LE(pool->take(1).capacity(), BufferPool::kMaxBufferBytes);
}

}  // namespace
}  // namespace clew::api
