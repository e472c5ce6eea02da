#include "app/kv_txn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/kv_output.h"

namespace clew::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(KvTxn, words_areSplitAtSpacesOutsideOfQuotes) {
  EXPECT_THAT(split_words("put key  value").value(), ElementsAre("put", "key", "value"));
  EXPECT_THAT(split_words(" put 'a key' \"it's\" ").value(), ElementsAre("put", "a key", "it's"));
  EXPECT_THAT(split_words("put k ''").value(), ElementsAre("put", "k", ""));
  EXPECT_THAT(split_words("").value(), ElementsAre());
  EXPECT_FALSE(split_words("put 'k").ok());
}

TEST(KvTxn, conditions) {
  auto compare = parse_condition("value(a) = 'x y'").value();
  EXPECT_EQ(compare.key, "a");
  EXPECT_EQ(compare.value, "x y");
  EXPECT_EQ(compare.target, kv::Compare::Target::kValue);
  EXPECT_EQ(compare.result, kv::Compare::Result::kEqual);
  compare = parse_condition("mod(a(b)) > 12").value();
  EXPECT_EQ(compare.key, "a(b)");
  EXPECT_EQ(compare.number, 12);
  EXPECT_EQ(compare.target, kv::Compare::Target::kMod);
  EXPECT_EQ(compare.result, kv::Compare::Result::kGreater);
  EXPECT_EQ(parse_condition("lease(a) != 0x1f").value().number, 31);
  EXPECT_EQ(parse_condition("'version(a key)' < 3").value().key, "a key");
  for (const char* wrong :
       {"", "value(a)", "value(a) == x", "size(a) = 1", "mod(a) = x", "mod a = 1", "mod(a) = 1 2", "lease(a) = 0x"}) {
    EXPECT_FALSE(parse_condition(wrong).ok()) << wrong;
  }
  EXPECT_THAT(std::string(parse_condition("size(a) = 1").status().message()), HasSubstr("size(a) = 1"));
}

TEST(KvTxn, operations) {
  EXPECT_EQ(std::get<kv::PutRequest>(parse_operation("put a 'b c'").value().op).value, "b c");
  EXPECT_EQ(std::get<kv::RangeRequest>(parse_operation("get a").value().op).range_end, "");
  EXPECT_EQ(std::get<kv::RangeRequest>(parse_operation("get-prefix a").value().op).range_end, "b");
  EXPECT_EQ(std::get<kv::DeleteRangeRequest>(parse_operation("del-prefix a").value().op).range_end, "b");
  for (const char* wrong : {"", "put a", "get", "drop a", "get a b"})
    EXPECT_FALSE(parse_operation(wrong).ok()) << wrong;
}

TEST(KvOutput, bytesThatAreNoText_areBase64) {
  kv::RangeResponse response;
  response.revision = 3;
  response.count = 1;
  response.kvs.push_back({"k\"", 2, 3, 2, kv::LeaseId{-1}, "\xff"});
  std::string out;
  api::JsonWriter json(out);
  write_response(json, response);
  EXPECT_EQ(out, R"({"revision":3,"kvs":[{"key":"k\"","value_base64":"/w==","version":2,"create_revision":2,)"
                 R"("mod_revision":3,"lease":"0xffffffffffffffff"}],"count":1,"more":false})");
  EXPECT_EQ(readable_bytes("a\xff\x1b[1mé\xc2\x9b\n"), "a\\xff\\x1b[1mé\\xc2\\x9b\\x0a");
  kv::LeaseId id;
  EXPECT_TRUE(parse_lease_id("0xffffffffffffffff", id));
  EXPECT_EQ(kv::number(id), -1);
  EXPECT_TRUE(parse_lease_id("-7", id));
  EXPECT_FALSE(parse_lease_id("", id));
  EXPECT_FALSE(parse_lease_id("7x", id));
}

}  // namespace
}  // namespace clew::app
