// Rows are written by otlp/: what goes in and comes out is tested there (otlp/decode_test.cc). Here: templates,
// strrefs, and readers on bytes that are no rows.
#include "model/row.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"
#include "model/span.h"

namespace clew::model {
namespace {

struct SplitCase {
  const char* text;
  const char* shape;  // with # = number, P = padded digits, H = hex; "" when it is not worth a template
};

std::string shape_of(std::string_view template_text) {
  std::string out;
  for (size_t i = 0; i < template_text.size(); ++i) {
    switch (template_text[i]) {
      case 0x11:
        out += "P" + std::to_string(template_text[++i]);
        break;
      case 0x12:
        out += "#";
        ++i;
        break;
      case 0x13:
        out += "H" + std::to_string(template_text[++i]);
        break;
      default:
        out.push_back(template_text[i]);
    }
  }
  return out;
}

TEST(Template, cutsNumbersAndHexTokensAndLeavesWordsAlone) {
  constexpr SplitCase kCases[] = {
      {"", ""},
      {"GET", ""},
      {"12", ""},
      {"v1/a2", ""},
      {"123", "#"},
      {"/api/v1/orders/12345678", "/api/v1/orders/#"},
      {"/api/v1/orders/00345678", "/api/v1/orders/P8"},
      {"user-0000", "user-P4"},
      {"10 of 12 of 500", "# of # of #"},
      {"2024-01-15T10:23:45.120Z", "#-P2-#T#:#:#.#Z"},
      {"550e8400-e29b-41d4-a716-446655440000", "H8-H4-H4-H4-H12"},
      {"id=12345678-1234-1234-1234-123456789012;", "id=H8-H4-H4-H4-H12;"},
      {"7d9f", "H4"},
      {"node1234", "node#"},
      {"feed", ""},
      {"code12", ""},
      {"4bf92f3577b34da6a3ce929d0e0e4736", "H16H16"},
      {"4bf92f3577b34da6a", "H13H4"},
      {"1234567890123456789", "##"},
      {"1234567890123456780123", "#P4"},
      {"abc\x12 500", ""},
      {"größe 1000", "größe #"},
  };
  for (const SplitCase& c : kCases) {
    std::string text;
    std::vector<uint64_t> numbers;
    const bool split = split_template(c.text, text, numbers);
    EXPECT_EQ(split, *c.shape != 0) << c.text;
    if (!split) continue;
    EXPECT_EQ(shape_of(text), c.shape);
    EXPECT_EQ(template_placeholders(text), numbers.size());
    std::string back;
    EXPECT_TRUE(join_template(text, numbers, back));
    EXPECT_EQ(back, c.text);
  }
}

RC_GTEST_PROP(Template, whatIsSplitIsRebuiltExactly, (uint64_t seed)) {
  Generator random(seed);
  constexpr std::string_view kAlphabet = "0000123456789aabcdefgzAF-/. \xc3\x10\x14";
  std::string text;
  for (uint64_t n = random.below(random.one_in(10) ? 600 : 60); n > 0; --n)
    text.push_back(kAlphabet[random.below(kAlphabet.size())]);
  std::string split, back;
  std::vector<uint64_t> numbers;
  if (split_template(text, split, numbers)) {
    RC_ASSERT(split.size() <= text.size() + 2);
    RC_ASSERT(template_placeholders(split) == numbers.size());
    RC_ASSERT(join_template(split, numbers, back));
    RC_ASSERT(back == text);
  }
}

TEST(Template, joinRefusesWhatDoesNotFit) {
  std::string out;
  const auto join = [&](std::string_view text, std::vector<uint64_t> numbers) {
    return join_template(text, numbers, out);
  };
  EXPECT_FALSE(join("a\x12\x01", {})) << "too few numbers";
  EXPECT_FALSE(join("a", {1})) << "too many";
  EXPECT_FALSE(join("a\x11", {1})) << "cut off";
  EXPECT_FALSE(join("\x11\x02", {100})) << "more digits than the width";
  EXPECT_FALSE(join("\x13\x04", {0x10000}));
  EXPECT_FALSE(join("\x12\x01", {1000000000000000000})) << "19 digits";
  EXPECT_FALSE(join("\x13\x03", {1}));
  EXPECT_FALSE(join("\x11\x13", {1}));
  EXPECT_TRUE(join("\x13\x10", {~uint64_t{0}}));
  EXPECT_EQ(out, "ffffffffffffffff");
}

RC_GTEST_PROP(StrRef, everyModeReadsBackTheSameText, (uint64_t seed)) {
  Generator random(seed);
  Dictionary dictionary(1, {.max_entries = 3});
  for (int i = 0; i < 12; ++i) {
    std::string text = random.one_in(2) ? "order " + std::to_string(random.next()) : std::string(random.below(20), 'x');
    std::string bytes;
    append_strref(dictionary, text, random.one_in(2), random.one_in(2), bytes);
    // As the value of an attribute list without a shape: key "", type string.
    const std::string list = std::string("\x00\x01\x02\x01", 4) + bytes;
    AttributeCursor cursor(dictionary, list.data(), list.data() + list.size());
    RowValue value;
    RC_ASSERT(cursor.next(value));
    std::string scratch;
    RC_ASSERT(strref_text(dictionary, EntryKind::kString, value.string, scratch) == text);
    RC_ASSERT(!cursor.next(value));
    RC_ASSERT(cursor.ok());
    RC_ASSERT(cursor.position() == list.data() + list.size());
  }
}

TEST(Row, codesBeyondTheDictionaryAreMalformed) {
  Dictionary dictionary(1);
  dictionary.intern(EntryKind::kResource, "");
  dictionary.intern(EntryKind::kScope, "");
  dictionary.intern(EntryKind::kString, "name");
  dictionary.intern_shape({});
  const auto row = [](char resource, char scope, char name, char shape) {
    std::string out("\x00\x02", 2);
    append_fixed(out, uint64_t{1});
    append_fixed(out, uint64_t{5});
    for (char c : {'\x04', resource, scope, name, shape}) out.push_back(c);
    return out;
  };
  EXPECT_TRUE(check_row(dictionary, row(0, 0, 0, 1)));
  EXPECT_FALSE(check_row(dictionary, row(1, 0, 0, 1)));
  EXPECT_FALSE(check_row(dictionary, row(0, 1, 0, 1)));
  EXPECT_FALSE(check_row(dictionary, row(0, 0, 4, 1)));
  EXPECT_FALSE(check_row(dictionary, row(0, 0, 0, 2)));
  EXPECT_FALSE(check_row(dictionary, row(0, 0, 1, 1))) << "a templated name";
  EXPECT_FALSE(check_row(dictionary, row(0, 0, 0, 1) + "x")) << "bytes left over";
  TraceData out;
  EXPECT_EQ(append_span_of_row(dictionary, row(0, 0, 0, 2), {}, out).code(), Code::kDataLoss);
  EXPECT_TRUE(out.spans.empty());
  ASSERT_TRUE(append_span_of_row(dictionary, row(0, 0, 0, 1), {.hlc = 9}, out).ok());
  EXPECT_EQ(out.spans[0].name, "name");
  EXPECT_EQ(out.spans[0].kind, SpanKind::kServer);
  EXPECT_EQ(out.spans[0].end_ns, 7);
  EXPECT_EQ(out.spans[0].stamp.hlc, 9u);
}

// The dictionary with its `missing`-th entry lost.
void lose_entry(const Dictionary& whole, const std::vector<std::pair<EntryKind, std::string>>& entries, size_t missing,
                Dictionary& out) {
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i == missing) {
      Dictionary::Sizes sizes = out.sizes();
      ++sizes[static_cast<size_t>(entries[i].first)];
      ASSERT_TRUE(out.skip_to(sizes, 1).ok());
      continue;
    }
    std::string addition;
    append_varint(addition, entries[i].second.size() << 3 | static_cast<uint64_t>(entries[i].first));
    addition += entries[i].second;
    ASSERT_TRUE(out.apply_additions(addition).ok());
  }
  EXPECT_EQ(out.sizes(), whole.sizes());
}

TEST(Row, rowThatUsesALostEntryAnywhereIsMalformed) {
  const auto kString = EntryKind::kString;
  std::vector<std::pair<EntryKind, std::string>> entries = {{EntryKind::kResource, ""},
                                                            {EntryKind::kScope, ""},
                                                            {kString, "name"},
                                                            {kString, "key"},
                                                            {kString, "state"},
                                                            {kString, "message"},
                                                            {kString, "event name"},
                                                            {kString, "event key"},
                                                            {kString, "event value"},
                                                            {kString, "link state"},
                                                            {kString, "link key"},
                                                            {EntryKind::kTemplate, "t\x12\x01"},
                                                            {EntryKind::kShape, std::string("\x01\x01")},
                                                            {EntryKind::kShape, std::string("\x08\x00", 2)},
                                                            {kString, "used by none"}};
  Dictionary dictionary(1);
  for (const auto& [kind, bytes] : entries) ASSERT_TRUE(dictionary.intern(kind, bytes));
  std::string row;
  row.push_back(static_cast<char>(kHasTraceState | kHasStatusMessage | kHasEvents | kHasLinks));
  row.push_back(0);
  append_fixed(row, uint64_t{1});
  append_fixed(row, uint64_t{5});
  const auto code = [](uint64_t number) { return static_cast<char>(number << 2); };
  // Duration, resource, scope, name; the shape's one value by template; trace state, message.
  for (const char c : {char{0}, char{0}, char{0}, code(0), char{1}, char{1}, char{7}, code(2), code(3)})
    row.push_back(c);
  // One event: time, name, a list without a shape, dropped, unknown.
  for (const char c : {char{1}, char{0}, code(4), char{0}, char{1}, code(5), char{1}, code(6), char{0}, char{0}})
    row.push_back(c);
  // One link: ids, trace state, a list by shape, dropped, flags, unknown.
  row.push_back(1);
  row.append(24, 'x');
  for (const char c : {code(7), char{2}, char{0}, char{0}, char{0}}) row.push_back(c);
  ASSERT_TRUE(check_row(dictionary, row));
  for (size_t missing = 0; missing < entries.size(); ++missing) {
    SCOPED_TRACE(entries[missing].second);
    Dictionary damaged(1);
    lose_entry(dictionary, entries, missing, damaged);
    EXPECT_TRUE(damaged.has_lost());
    EXPECT_EQ(check_row(damaged, row), missing + 1 == entries.size());
    TraceData out;
    EXPECT_EQ(append_span_of_row(damaged, row, {}, out).ok(), missing + 1 == entries.size());
  }
}

TEST(Row, randomBytesAreNeverReadPastTheirEnd) {
  Dictionary dictionary(1);
  for (int i = 0; i < 5; ++i) dictionary.intern(EntryKind::kString, "s" + std::to_string(i));
  dictionary.intern(EntryKind::kTemplate, "t\x12\x01\x13\x08");
  dictionary.intern(EntryKind::kResource, "");
  dictionary.intern(EntryKind::kScope, "");
  dictionary.intern_shape({});
  dictionary.intern_shape(
      std::vector<ShapeField>{{0, ValueType::kString}, {1, ValueType::kComplex}, {2, ValueType::kEmpty}});
  Generator random(8);
  for (int i = 0; i < 100000; ++i) {
    std::vector<char> row(random.below(80));
    for (char& c : row) c = static_cast<char>(random.one_in(2) ? random.below(6) : random.next());
    const std::string_view view(row.data(), row.size());
    row_hash(dictionary, view);
    TraceData out;
    EXPECT_EQ(append_span_of_row(dictionary, view, {}, out).ok(), check_row(dictionary, view));
  }
}

TEST(Arena, whatIsKeptStaysPut) {
  Arena arena;
  std::vector<std::string_view> kept;
  Generator random(1);
  for (int i = 0; i < 3000; ++i)
    kept.push_back(arena.keep(std::string(random.below(i % 100 == 0 ? 100000 : 50), static_cast<char>('a' + i % 26))));
  for (size_t i = 0; i < kept.size(); ++i) {
    for (char c : kept[i]) ASSERT_EQ(c, static_cast<char>('a' + i % 26));
  }
}

}  // namespace
}  // namespace clew::model
