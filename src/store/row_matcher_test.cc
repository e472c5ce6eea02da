#include "store/row_matcher.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "store/chunk_index.h"
#include "store/test_rows.h"

namespace clew::store {
namespace {

constexpr uint64_t kSeed = 11;

std::shared_ptr<const Matcher> compiled(const Expr& expr) {
  auto matcher = Matcher::compile(expr);
  EXPECT_TRUE(matcher.ok()) << matcher.status().to_string();
  return *matcher;
}

// Whether the row's outcome fits the reference: with an unknown trace both outcomes of the reference may be meant.
bool consistent(RowMatch match, bool reference) {
  return match == RowMatch::kMaybe || (match == RowMatch::kYes) == reference;
}

TEST(RowMatcher, AgreesWithTheReferenceOnRandomRowsAndQuestions) {
  const bool holds = rc::check([](uint64_t seed) {
    World world(seed);
    auto dictionary = std::make_shared<model::Dictionary>(kSeed);
    std::vector<std::string> rows;
    for (int i = 0; i < 40; ++i) rows.push_back(encode_row(*dictionary, world.row()));
    model::TraceSummary summary;
    summary.root_name = "a";
    summary.root_service = "b";
    summary.start_ns = 0;
    summary.end_ns = 3;
    for (int question = 0; question < 10; ++question) {
      const Expr expr = world.expr();
      const auto matcher = compiled(expr);
      RowMatcher row_matcher(matcher);
      row_matcher.use_dictionary(dictionary);
      for (int round = 0; round < 2; ++round) {  // the second with what was remembered
        for (const std::string& row : rows) {
          model::TraceData trace;
          RC_ASSERT(model::append_span_of_row(*dictionary, row, {}, trace).ok());
          const bool reference = matches(expr, trace.spans[0], summary);
          RC_ASSERT(matcher->matches(trace.spans[0], summary) == reference);
          model::RowHead head;
          RC_ASSERT(consistent(row_matcher.match(row, head), reference));
          RC_ASSERT(head.span_id == trace.spans[0].id);
        }
      }
    }
  });
  EXPECT_TRUE(holds);
}

TEST(ChunkIndex, NeverRulesOutAGranuleThatHasAMatch) {
  const bool holds = rc::check([](uint64_t seed) {
    World world(seed);
    auto dictionary = std::make_shared<model::Dictionary>(kSeed);
    RowChunk chunk(1, 1, dictionary, 64 << 10);
    const uint64_t count = seed % 60;
    for (uint64_t i = 0; i < count; ++i) {
      const std::string row = encode_row(*dictionary, world.row());
      chunk.append({7 + i % 2}, {1, i + 1}, {}, 0, row);
    }
    chunk.close();
    const ChunkIndex* index = ensure_index(chunk);
    RC_ASSERT(index != nullptr);
    RC_ASSERT(index->rows() == count);
    for (int question = 0; question < 30; ++question) {
      const auto matcher = compiled(world.expr());
      RowMatcher row_matcher(matcher);
      row_matcher.use_dictionary(dictionary);
      std::vector<uint64_t> expected, found;
      model::RowHead head;
      chunk.scan([&](const RowRecord& record) {
        if (record.tenant == model::TenantId{7} && row_matcher.match(record.row(), head) != RowMatch::kNo) {
          expected.push_back(record.trace.lo);
        }
        return true;
      });
      search_chunk(chunk, row_matcher, {7}, [&](const RowHit& hit) {
        found.push_back(hit.record->trace.lo);
        return true;
      });
      RC_ASSERT(found == expected);
      std::vector<RowRange> ranges;
      add_ranges(chunk, *matcher, {7}, ranges);
      for (const RowRange& range : ranges) {
        search_rows(range, row_matcher, {7}, [&](const RowHit& hit) {
          RC_ASSERT(hit.head.start_ns <= range.max_start_ns);
          RC_ASSERT(hit.head.start_ns <= chunk.max_start_ns());
          return true;
        });
      }
    }
  });
  EXPECT_TRUE(holds);
}

Expr leaf(Field field, std::string key, Op op, Literal literal) {
  Expr expr;
  expr.field = field;
  expr.key = std::move(key);
  expr.op = op;
  expr.literal = std::move(literal);
  return expr;
}
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

TEST(ChunkIndex, RulesOutWhatIsNotThere) {
  auto dictionary = std::make_shared<model::Dictionary>(kSeed);
  RowChunk chunk(1, 1, dictionary);
  TestRow row;
  row.resource = {{"service.name", std::string("cart")}};
  row.attributes = {{"order", std::string("order-17")}, {"code", int64_t{200}}};
  chunk.append({7}, {1, 1}, {}, 0, encode_row(*dictionary, row));
  EXPECT_EQ(ensure_index(chunk), nullptr) << "an open chunk has no index";
  chunk.close();
  const ChunkIndex* index = ensure_index(chunk);
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(ensure_index(chunk), index);
  const auto may = [&](const Expr& expr) { return index->may_match(*compiled(expr), {7}) != 0; };
  EXPECT_TRUE(may(leaf(Field::kService, "", Op::kEq, text("cart"))));
  EXPECT_FALSE(may(leaf(Field::kService, "", Op::kEq, text("shop"))));
  EXPECT_TRUE(may(leaf(Field::kAttribute, "order", Op::kEq, text("order-17"))));
  EXPECT_FALSE(may(leaf(Field::kAttribute, "order", Op::kEq, text("order-18"))));
  EXPECT_TRUE(may(leaf(Field::kAny, "code", Op::kEq, text("200", true))));
  EXPECT_FALSE(may(leaf(Field::kAny, "code", Op::kEq, text("404", true))));
  EXPECT_FALSE(may(leaf(Field::kAny, "none", Op::kExists, {})));
  EXPECT_FALSE(may(leaf(Field::kDuration, "", Op::kGt, integer(1000))));
  EXPECT_TRUE(may(leaf(Field::kDuration, "", Op::kGe, integer(1000))));
  EXPECT_FALSE(may(leaf(Field::kStatus, "", Op::kEq, integer(2))));
  EXPECT_TRUE(may(leaf(Field::kIsRoot, "", Op::kEq, integer(1))));
  EXPECT_FALSE(may(leaf(Field::kIsRoot, "", Op::kEq, integer(2)))) << "no span answers so";
  EXPECT_TRUE(may(Expr{}));
  EXPECT_EQ(index->may_match(*compiled(Expr{}), {8}), 0) << "another tenant's";
}

TEST(ChunkIndex, ReadsOnlyTheGranulesThatMayMatch) {
  auto dictionary = std::make_shared<model::Dictionary>(kSeed);
  RowChunk chunk(1, 1, dictionary);
  constexpr uint64_t kRows = 4096, kRare = 3000;
  for (uint64_t i = 0; i < kRows; ++i) {
    TestRow row;
    row.resource = {{"service.name", std::string(i % 2 == 0 ? "cart" : "shop")}};
    // Each service and each name is everywhere; one row is of both "cart" and "rare".
    row.name = i == kRare || i % 2 == 1 ? "rare" : "usual";
    row.attributes = {{"user", "user-" + std::to_string(10'000 + i)}};
    row.start_ns = static_cast<int64_t>(1'000 + i);
    chunk.append({7}, {1, i + 1}, {}, 0, encode_row(*dictionary, row));
  }
  chunk.close();
  ASSERT_NE(ensure_index(chunk), nullptr);
  Expr both;
  both.kind = Expr::Kind::kAnd;
  both.children = {leaf(Field::kService, "", Op::kEq, text("cart")), leaf(Field::kName, "", Op::kEq, text("rare"))};
  for (const Expr& expr : {both, leaf(Field::kAttribute, "user", Op::kEq, text("user-13000"))}) {
    ScanStats stats;
    RowMatcher matcher(compiled(expr));
    std::vector<uint64_t> found;
    search_chunk(
        chunk, matcher, {7}, [&](const RowHit& hit) { return found.push_back(hit.record->trace.lo), true; }, &stats);
    EXPECT_EQ(found, std::vector<uint64_t>{kRare + 1});
    EXPECT_EQ(stats.ranges + stats.skipped, ChunkIndex::kGranules);
    EXPECT_LE(stats.ranges, 3u) << "one granule, and at most two by chance";
  }
}

TEST(ChunkIndex, IsBuiltByOneThreadOnly) {
  auto dictionary = std::make_shared<model::Dictionary>(kSeed);
  RowChunk chunk(1, 1, dictionary);
  chunk.append({7}, {1, 1}, {}, 0, encode_row(*dictionary, TestRow{}));
  chunk.close();
  ASSERT_TRUE(chunk.claim_index());
  EXPECT_EQ(ensure_index(chunk), nullptr) << "the one that claimed it builds it";
  RowMatcher matcher(compiled(Expr{}));
  int seen = 0;
  search_chunk(chunk, matcher, {7}, [&](const RowHit&) { return ++seen, true; });
  EXPECT_EQ(seen, 1) << "found without it meanwhile";
}

TEST(RowMatcher, ADictionaryThatGrowsMeanwhileIsSeen) {
  auto dictionary = std::make_shared<model::Dictionary>(kSeed);
  RowMatcher matcher(compiled(leaf(Field::kName, "", Op::kEq, text("late"))));
  matcher.use_dictionary(dictionary);
  model::RowHead head;
  TestRow row;
  row.name = "early";
  EXPECT_EQ(matcher.match(encode_row(*dictionary, row), head), RowMatch::kNo);
  row.name = "late";
  EXPECT_EQ(matcher.match(encode_row(*dictionary, row), head), RowMatch::kYes);
}

TEST(RowMatcher, AnswersOfOneDictionaryAreNotUsedForAnother) {
  const auto one = std::make_shared<model::Dictionary>(kSeed), two = std::make_shared<model::Dictionary>(kSeed);
  RowMatcher matcher(compiled(leaf(Field::kName, "", Op::kEq, text("x"))));
  model::RowHead head;
  TestRow x, y;
  x.name = "x";
  y.name = "y";
  const std::string row_one = encode_row(*one, x), row_two = encode_row(*two, y);
  matcher.use_dictionary(one);
  EXPECT_EQ(matcher.match(row_one, head), RowMatch::kYes);
  matcher.use_dictionary(two);
  EXPECT_EQ(matcher.match(row_two, head), RowMatch::kNo);
}

TEST(RowMatcher, WhatOnlyTheTraceKnowsIsMaybe) {
  auto dictionary = std::make_shared<model::Dictionary>(kSeed);
  const std::string row = encode_row(*dictionary, TestRow{});
  const Expr root = leaf(Field::kRootName, "", Op::kEq, text("x")), name = leaf(Field::kName, "", Op::kEq, text("y"));
  const auto outcome = [&](Expr::Kind kind, std::vector<Expr> children) {
    Expr expr;
    expr.kind = kind;
    expr.children = std::move(children);
    RowMatcher matcher(compiled(expr));
    matcher.use_dictionary(dictionary);
    model::RowHead head;
    return matcher.match(row, head);
  };
  EXPECT_EQ(outcome(Expr::Kind::kAnd, {root, name}), RowMatch::kNo);
  EXPECT_EQ(outcome(Expr::Kind::kOr, {root, name}), RowMatch::kMaybe);
  EXPECT_EQ(outcome(Expr::Kind::kNot, {root}), RowMatch::kMaybe);
  EXPECT_EQ(outcome(Expr::Kind::kNot, {name}), RowMatch::kYes);
}

TEST(RowMatcher, TruncatedRowsMatchNothingOrWhatTheirHeadSays) {
  auto dictionary = std::make_shared<model::Dictionary>(kSeed);
  World world(5);
  for (int i = 0; i < 50; ++i) {
    const std::string row = encode_row(*dictionary, world.row());
    RowMatcher matcher(compiled(leaf(Field::kStatusMessage, "", Op::kNe, text("never"))));
    matcher.use_dictionary(dictionary);
    model::RowHead head;
    for (size_t size = 0; size < 18; ++size)
      EXPECT_EQ(matcher.match(std::string_view(row).substr(0, size), head), RowMatch::kNo);
    for (size_t size = 18; size < row.size(); ++size)
      matcher.match(std::string_view(row).substr(0, size), head);  // under sanitizers
  }
}

}  // namespace
}  // namespace clew::store
