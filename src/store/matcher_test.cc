#include "store/matcher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace clew::store {
namespace {

Literal text(std::string value, bool untyped = false) {
  Literal literal;
  literal.type = Literal::Type::kString;
  literal.text = std::move(value);
  literal.untyped = untyped;
  return literal;
}
Literal integer(int64_t value) {
  Literal literal;
  literal.type = Literal::Type::kInt;
  literal.integer = value;
  return literal;
}
Literal real(double value) {
  Literal literal;
  literal.type = Literal::Type::kDouble;
  literal.real = value;
  return literal;
}
Literal truth(bool value) {
  Literal literal;
  literal.type = Literal::Type::kBool;
  literal.integer = value;
  return literal;
}
Expr leaf(Field field, std::string key, Op op, Literal literal = {}) {
  Expr expr;
  expr.field = field;
  expr.key = std::move(key);
  expr.op = op;
  expr.literal = std::move(literal);
  return expr;
}

class MatcherTest : public testing::Test {
 protected:
  MatcherTest() {
    span_.name = "GET /cart";
    span_.start_ns = 100;
    span_.end_ns = 350;
    span_.kind = model::SpanKind::kServer;
    span_.status = model::StatusCode::kError;
    span_.resource = &resource_;
    span_.scope = &scope_;
    resource_.service_name = "cart";
    add(resource_.attributes, "service.name", model::ValueType::kString).bytes = "cart";
    add(resource_.attributes, "both", model::ValueType::kString).bytes = "of resource";
    add(span_.attributes, "both", model::ValueType::kString).bytes = "of span";
    add(span_.attributes, "text", model::ValueType::kString).bytes = "abc";
    add(span_.attributes, "five", model::ValueType::kString).bytes = "5";
    add(span_.attributes, "int", model::ValueType::kInt).integer = 5;
    add(span_.attributes, "double", model::ValueType::kDouble).real = 5.5;
    add(span_.attributes, "nan", model::ValueType::kDouble).real = std::numeric_limits<double>::quiet_NaN();
    add(span_.attributes, "big", model::ValueType::kInt).integer = 9007199254740993;
    add(span_.attributes, "bool", model::ValueType::kBool).integer = 1;
    add(span_.attributes, "empty", model::ValueType::kEmpty);
    add(span_.attributes, "list", model::ValueType::kComplex).bytes = "\x2a";
    add(span_.attributes, "twice", model::ValueType::kInt).integer = 1;
    add(span_.attributes, "twice", model::ValueType::kInt).integer = 2;
    span_.events.resize(2);
    span_.events[0].name = "start";
    span_.events[1].name = "exception";
    summary_.root_name = "GET /";
    summary_.root_service = "web";
    summary_.start_ns = 0;
    summary_.end_ns = 1000;
  }
  static model::Value& add(std::vector<model::Attribute>& list, std::string_view key, model::ValueType type) {
    list.push_back({key, {}});
    list.back().value.type = type;
    return list.back().value;
  }
  bool holds(const Expr& expr) const { return matches(expr, span_, summary_); }
  bool attribute(std::string key, Op op, Literal literal = {}) const {
    return holds(leaf(Field::kAttribute, std::move(key), op, std::move(literal)));
  }

  model::Resource resource_;
  model::Scope scope_;
  model::Span span_;
  model::TraceSummary summary_;
};

TEST_F(MatcherTest, AbsentAttributesSatisfyOnlyAbsence) {
  for (const char* key : {"none", "empty"}) {
    EXPECT_FALSE(attribute(key, Op::kEq, text("x")));
    EXPECT_FALSE(attribute(key, Op::kNe, text("x")));
    EXPECT_FALSE(attribute(key, Op::kNotRegex, text("x")));
    EXPECT_FALSE(attribute(key, Op::kExists));
    EXPECT_TRUE(attribute(key, Op::kAbsent));
  }
  EXPECT_TRUE(attribute("text", Op::kExists));
  EXPECT_TRUE(attribute("list", Op::kExists));
  EXPECT_FALSE(attribute("list", Op::kNe, text("x")));
}

TEST_F(MatcherTest, DifferentTypesNeverCompareButNumbersDo) {
  EXPECT_FALSE(attribute("int", Op::kEq, text("5")));
  EXPECT_FALSE(attribute("int", Op::kNe, text("6")));
  EXPECT_FALSE(attribute("five", Op::kEq, integer(5)));
  EXPECT_TRUE(attribute("int", Op::kEq, real(5.0)));
  EXPECT_TRUE(attribute("int", Op::kLt, real(5.5)));
  EXPECT_TRUE(attribute("double", Op::kGt, integer(5)));
  EXPECT_TRUE(attribute("double", Op::kLt, integer(6)));
  EXPECT_FALSE(attribute("bool", Op::kEq, integer(1)));
  EXPECT_TRUE(attribute("bool", Op::kEq, truth(true)));
  EXPECT_TRUE(attribute("bool", Op::kNe, truth(false)));
}

TEST_F(MatcherTest, LargeIntegersAreNotRoundedToDoubles) {
  EXPECT_FALSE(attribute("big", Op::kEq, real(9007199254740992.0)));
  EXPECT_TRUE(attribute("big", Op::kGt, real(9007199254740992.0)));
  EXPECT_TRUE(attribute("big", Op::kLt, real(1e300)));
  EXPECT_TRUE(attribute("big", Op::kGt, real(-1e300)));
}

TEST_F(MatcherTest, NotANumberDiffersFromEverything) {
  EXPECT_FALSE(attribute("nan", Op::kEq, real(std::nan(""))));
  EXPECT_TRUE(attribute("nan", Op::kNe, real(1)));
  EXPECT_TRUE(attribute("nan", Op::kNe, integer(1)));
  EXPECT_FALSE(attribute("nan", Op::kLe, real(1)));
  EXPECT_FALSE(attribute("nan", Op::kGe, integer(1)));
}

TEST_F(MatcherTest, UntypedLiteralsEqualAnyTypeOfTheirText) {
  EXPECT_TRUE(attribute("int", Op::kEq, text("5", true)));
  EXPECT_TRUE(attribute("five", Op::kEq, text("5", true)));
  EXPECT_TRUE(attribute("double", Op::kEq, text("5.5", true)));
  EXPECT_TRUE(attribute("bool", Op::kEq, text("true", true)));
  EXPECT_FALSE(attribute("bool", Op::kEq, text("1", true)));
  EXPECT_FALSE(attribute("int", Op::kEq, text("5x", true)));
  EXPECT_TRUE(attribute("int", Op::kNe, text("5x", true)));
  EXPECT_FALSE(attribute("int", Op::kNe, text("5", true)));
}

TEST_F(MatcherTest, TheFirstOfARepeatedKeyCounts) {
  EXPECT_TRUE(attribute("twice", Op::kEq, integer(1)));
  EXPECT_FALSE(attribute("twice", Op::kEq, integer(2)));
}

TEST_F(MatcherTest, AnyPrefersTheSpanToTheResource) {
  EXPECT_TRUE(holds(leaf(Field::kAny, "both", Op::kEq, text("of span"))));
  EXPECT_FALSE(holds(leaf(Field::kAny, "both", Op::kEq, text("of resource"))));
  EXPECT_TRUE(holds(leaf(Field::kResource, "both", Op::kEq, text("of resource"))));
  EXPECT_TRUE(holds(leaf(Field::kAny, "service.name", Op::kEq, text("cart"))));
}

TEST_F(MatcherTest, RegularExpressionsAreAnchored) {
  EXPECT_TRUE(holds(leaf(Field::kName, "", Op::kRegex, text("GET .*"))));
  EXPECT_FALSE(holds(leaf(Field::kName, "", Op::kRegex, text("GET"))));
  EXPECT_FALSE(holds(leaf(Field::kName, "", Op::kRegex, text("a|GET"))));
  EXPECT_TRUE(holds(leaf(Field::kName, "", Op::kNotRegex, text("POST.*"))));
  EXPECT_FALSE(attribute("int", Op::kRegex, text("5")));
}

TEST_F(MatcherTest, IntrinsicFields) {
  EXPECT_TRUE(holds(leaf(Field::kService, "", Op::kEq, text("cart"))));
  EXPECT_TRUE(holds(leaf(Field::kKind, "", Op::kEq, integer(2))));
  EXPECT_TRUE(holds(leaf(Field::kStatus, "", Op::kNe, integer(1))));
  EXPECT_TRUE(holds(leaf(Field::kDuration, "", Op::kEq, integer(250))));
  EXPECT_TRUE(holds(leaf(Field::kTraceDuration, "", Op::kGe, integer(1000))));
  EXPECT_TRUE(holds(leaf(Field::kRootName, "", Op::kEq, text("GET /"))));
  EXPECT_TRUE(holds(leaf(Field::kRootService, "", Op::kEq, text("web"))));
  EXPECT_TRUE(holds(leaf(Field::kStatusMessage, "", Op::kAbsent)));
  EXPECT_TRUE(holds(leaf(Field::kStatusMessage, "", Op::kEq, text(""))));
  EXPECT_TRUE(holds(leaf(Field::kScopeName, "", Op::kNe, text("x"))));
  EXPECT_TRUE(holds(leaf(Field::kEventName, "", Op::kEq, text("exception"))));
  EXPECT_TRUE(holds(leaf(Field::kEventName, "", Op::kNe, text("exception")))) << "another event differs";
  EXPECT_FALSE(holds(leaf(Field::kEventName, "", Op::kEq, text("stop"))));
}

TEST_F(MatcherTest, JunctionsOfNothing) {
  Expr none;
  none.kind = Expr::Kind::kAnd;
  EXPECT_TRUE(holds(none));
  none.kind = Expr::Kind::kOr;
  EXPECT_FALSE(holds(none));
  EXPECT_TRUE(holds(Expr{}));
}

TEST_F(MatcherTest, ExpressionsThatAreTooLargeOrBrokenAreRefused) {
  Expr broken = leaf(Field::kName, "", Op::kRegex, text("("));
  EXPECT_EQ(Matcher::compile(broken).status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(holds(broken));
  Expr bomb = leaf(Field::kName, "", Op::kRegex, text("((a{100}){100}){100}"));
  EXPECT_FALSE(Matcher::compile(bomb).ok());
  Expr longer = leaf(Field::kName, "", Op::kRegex, text(std::string(Regex::kMaxPatternBytes + 1, 'a')));
  EXPECT_EQ(Matcher::compile(longer).status().code(), Code::kInvalidArgument);
  Expr wide;
  wide.kind = Expr::Kind::kOr;
  wide.children.resize(Matcher::kMaxNodes + 1);
  EXPECT_EQ(Matcher::compile(wide).status().code(), Code::kInvalidArgument);
  Expr deep;
  for (size_t i = 0; i <= Matcher::kMaxDepth; ++i) {
    Expr outer;
    outer.kind = Expr::Kind::kNot;
    outer.children.push_back(std::move(deep));
    deep = std::move(outer);
  }
  EXPECT_EQ(Matcher::compile(deep).status().code(), Code::kInvalidArgument);
  Expr childless;
  childless.kind = Expr::Kind::kNot;
  EXPECT_EQ(Matcher::compile(childless).status().code(), Code::kInvalidArgument);
}

TEST(Cursor, RoundTripsAndRefusesOtherTexts) {
  const SearchCursor cursor{-5, {0x0123456789abcdef, 7}};
  const auto again = decode_cursor(encode_cursor(cursor));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->start_ns, -5);
  EXPECT_EQ(again->trace, cursor.trace);
  EXPECT_FALSE(decode_cursor(""));
  EXPECT_FALSE(decode_cursor(std::string(47, '0')));
  EXPECT_FALSE(decode_cursor(std::string(48, 'g')));
}

}  // namespace
}  // namespace clew::store
