#include "app/signing_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "app/certificates.h"

namespace clew::app {
namespace {

using consensus::NodeId;
using ::testing::HasSubstr;

class Signing : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/clew-signing-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string path(NodeId member, const char* ending) const {
    return directory_ + "/" + signing_key_name(member) + ending;
  }
  void make(NodeId member) const {
    const auto key = os::Ed25519Key::generate();
    ASSERT_TRUE(key.ok());
    ASSERT_TRUE(write_new_file(path(member, ".key"), key->to_pem(), true).ok());
    ASSERT_TRUE(write_new_file(path(member, ".pub"), key->public_key().to_pem(), false).ok());
  }
  auto open(NodeId self, NodeId key) const { return SigningKeys::open(self, path(key, ".key"), directory_); }
  std::string directory_;
};

TEST_F(Signing, membersBelieveEachOther_andNobodyElse) {
  for (uint64_t id = 1; id <= 2; ++id) make(NodeId{id});
  const auto first = open(NodeId{1}, NodeId{1});
  const auto second = open(NodeId{2}, NodeId{2});
  ASSERT_TRUE(first.ok() && second.ok());
  const std::string signature = (*first)->sign("said");
  EXPECT_TRUE((*first)->verify(NodeId{1}, "said", signature));
  EXPECT_TRUE((*second)->verify(NodeId{1}, "said", signature));
  EXPECT_FALSE((*second)->verify(NodeId{2}, "said", signature));
  EXPECT_FALSE((*second)->verify(NodeId{3}, "said", signature));
}

TEST_F(Signing, whatSignaturesCostIsCounted) {
  make(NodeId{1});
  const auto keys = open(NodeId{1}, NodeId{1});
  ASSERT_TRUE(keys.ok());
  const std::string signature = (*keys)->sign("said");
  EXPECT_TRUE((*keys)->verify(NodeId{1}, "said", signature));
  EXPECT_FALSE((*keys)->verify(NodeId{1}, "not said", signature));
  EXPECT_FALSE((*keys)->verify(NodeId{2}, "said", signature)) << "without a key nothing is computed";
  const SignatureWork work = (*keys)->work();
  EXPECT_EQ(work.made, 1u);
  EXPECT_EQ(work.checked, 2u);
  EXPECT_GT(work.cpu_ns, 0);
}

TEST_F(Signing, theKeyOfOneWhoJoins_isFoundWhenItIsThere) {
  make(NodeId{1});
  const auto first = open(NodeId{1}, NodeId{1});
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE((*first)->verify(NodeId{2}, "said", std::string(os::kEd25519SignatureBytes, '.')));
  make(NodeId{2});
  const auto second = open(NodeId{2}, NodeId{2});
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE((*first)->verify(NodeId{2}, "said", (*second)->sign("said")));
}

TEST_F(Signing, aKeyThatNobodyWouldBelieve_isRefused) {
  for (uint64_t id = 1; id <= 2; ++id) make(NodeId{id});
  EXPECT_THAT(open(NodeId{1}, NodeId{2}).error().message, HasSubstr("is not the key of node 1"));
  EXPECT_THAT(open(NodeId{3}, NodeId{1}).error().message, HasSubstr("signing-3.pub"));
  std::filesystem::resize_file(path(NodeId{1}, ".key"), 20);
  EXPECT_THAT(open(NodeId{1}, NodeId{1}).error().message, HasSubstr("signing-1.key: no private key"));
}

}  // namespace
}  // namespace clew::app
