#include "store/name_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clew::store {
namespace {

using testing::ElementsAre;

TEST(NameFilter, whatBeginsWithTheTextComesFirst) {
  const NameFilter filter{.text = "Cart"};
  EXPECT_TRUE(filter.fits("shopping-CART"));
  EXPECT_FALSE(filter.fits("car"));
  EXPECT_FALSE(filter.fits(""));
  std::vector<std::string> names = {"a-cart", "cart-b", "CART", "cart-a", "a-cart"};
  EXPECT_FALSE(filter.bound(names));
  EXPECT_THAT(names, ElementsAre("CART", "cart-a", "cart-b", "a-cart"));
  EXPECT_TRUE(filter.before("cart-z", "a-cart"));
  EXPECT_TRUE(filter.before("cart-a", "cart-b"));
}

TEST(NameFilter, aBoundedListHasTheBest) {
  const NameFilter filter{.text = "x", .most = 2};
  std::vector<std::string> names = {"ax", "bx", "xc", "cx"};
  EXPECT_TRUE(filter.bound(names));
  EXPECT_THAT(names, ElementsAre("xc", "ax"));
}

TEST(NameFilter, withoutATextEveryNameFitsInTheOrderOfTheBytes) {
  const NameFilter filter;
  std::vector<std::string> names = {"b", "", "B", "a"};
  EXPECT_TRUE(filter.fits(""));
  EXPECT_FALSE(filter.bound(names));
  EXPECT_THAT(names, ElementsAre("", "B", "a", "b"));
}

}  // namespace
}  // namespace clew::store
