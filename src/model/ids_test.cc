#include "model/ids.h"

#include <gtest/gtest.h>

namespace clew::model {
namespace {

TEST(Ids, hexGoesBothWaysInEitherCase) {
  const auto id = TraceId::parse("0AF7651916cd43dd8448eb211c80319c");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->hex(), "0af7651916cd43dd8448eb211c80319c");
  char bytes[16];
  id->to_bytes(bytes);
  EXPECT_EQ(TraceId::from_bytes(bytes), *id);
  EXPECT_EQ(hex_of({bytes, 16}), id->hex());
  const auto span = SpanId::parse("B7ad6b7169203331");
  ASSERT_TRUE(span);
  EXPECT_EQ(span->hex(), "b7ad6b7169203331");
}

TEST(Ids, shortIdsArePaddedOnTheLeft) {
  EXPECT_EQ(TraceId::parse("abc")->hex(), "00000000000000000000000000000abc");
  EXPECT_EQ(TraceId::parse("1b7ad6b7169203331")->hex(),
            "000000000000000"
            "1b7ad6b7169203331");
  EXPECT_EQ(SpanId::parse("f")->value, 15u);
}

TEST(Ids, whatIsNotHexOrTooLongIsRefused) {
  for (const char* text : {"", "g", "0x1", "12 4", "0af7651916cd43dd8448eb211c80319c0"})
    EXPECT_FALSE(TraceId::parse(text)) << text;
  for (const char* text : {"", "-1", "b7ad6b71692033310"}) EXPECT_FALSE(SpanId::parse(text)) << text;
  char out[4];
  EXPECT_FALSE(bytes_of_hex("0g", out));
  ASSERT_TRUE(bytes_of_hex("00fF", out));
  EXPECT_EQ(out[1], '\xff');
}

TEST(Ids, orderOfIdsIsOrderOfTheirBytes) {
  EXPECT_LT(*TraceId::parse("00000000000000ff0000000000000000"), *TraceId::parse("01000000000000000000000000000000"));
}

TEST(Ids, tenantNamesAreChecked) {
  for (const char* name : {"default", "a", "Team_1.eu:prod@x-y"}) EXPECT_TRUE(tenant_name_valid(name)) << name;
  for (const char* name : {"", "a b", "a/b", "é", "a\n"}) EXPECT_FALSE(tenant_name_valid(name)) << name;
  EXPECT_TRUE(tenant_name_valid(std::string(128, 'a')));
  EXPECT_FALSE(tenant_name_valid(std::string(129, 'a')));
  EXPECT_NE(tenant_id("a"), tenant_id("b"));
}

}  // namespace
}  // namespace clew::model
