#include "otlp/decode.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "model/row.h"
#include "otlp/span_oracle_test.h"

namespace clew::otlp {
namespace {

using model::Attribute;
using model::EntryKind;
using model::Span;
using testing::RandomSpans;

constexpr model::DictionaryLimits kNothingFits{
    .max_entries = 0, .max_bytes = 0, .max_string_bytes = 0, .max_shape_fields = 0};

// A decoder with its dictionary.
struct Bench {
  explicit Bench(model::DictionaryLimits dictionary_limits = {}, Limits l = {})
      : limits(l), dictionary(3, dictionary_limits), decoder(limits) {
    decoder.use_dictionary(dictionary);
    resource = decoder.resource_code("");
    scope = decoder.scope_code("");
  }
  Reject decode(std::string_view span, std::string& row) { return decoder.decode(span, resource, scope, row); }
  std::string row(std::string_view span) {
    std::string out;
    EXPECT_EQ(decode(span, out), Reject::kNone);
    return out;
  }
  Reject reject(std::string_view span) {
    std::string out = "before";
    const Reject result = decode(span, out);
    EXPECT_TRUE(result == Reject::kNone || out == "before");
    return result;
  }

  Limits limits;
  model::Dictionary dictionary;
  SpanDecoder decoder;
  uint32_t resource = 0, scope = 0;
};

std::string describe(const std::vector<Attribute>& attributes) {
  std::string out;
  for (const Attribute& a : attributes) {
    out += "[" + std::string(a.key) + "|" + std::to_string(static_cast<int>(a.value.type)) + "|" +
           std::string(a.value.bytes) + "|" + std::to_string(a.value.integer) + "|" +
           std::to_string(std::bit_cast<uint64_t>(a.value.real)) + "]";
  }
  return out;
}

std::string describe(const Span& s) {
  std::string out = s.id.hex() + " " + s.parent.hex() + " " + std::to_string(s.start_ns) + " " +
                    std::to_string(s.end_ns) + " " + std::to_string(static_cast<int>(s.kind)) + " " +
                    std::to_string(static_cast<int>(s.status)) + " " + std::to_string(s.flags) +
                    " name=" + std::string(s.name) + " message=" + std::string(s.status_message) +
                    " state=" + std::string(s.trace_state) + " dropped=" + std::to_string(s.dropped_attributes) + "," +
                    std::to_string(s.dropped_events) + "," + std::to_string(s.dropped_links) + describe(s.attributes);
  for (const model::Event& e : s.events) {
    out += "\nevent " + std::to_string(e.time_ns) + " " + std::string(e.name) + describe(e.attributes) +
           std::to_string(e.dropped_attributes) + " " + std::string(e.unknown);
  }
  for (const model::Link& l : s.links) {
    out += "\nlink " + l.trace.hex() + l.span.hex() + " " + std::string(l.trace_state) + describe(l.attributes) +
           std::to_string(l.dropped_attributes) + " " + std::to_string(l.flags) + " " + std::string(l.unknown);
  }
  return out + "\nunknown " + std::string(s.unknown);
}

// What the row says must be what protozero reads from the span, and both hashes must agree.
void expect_same(const std::string& span, const Bench& bench, const std::string& row) {
  ASSERT_TRUE(model::check_row(bench.dictionary, row));
  model::TraceData read;
  ASSERT_TRUE(model::append_span_of_row(bench.dictionary, row, {}, read).ok());
  model::Arena arena;
  Span expected = testing::oracle_span(span, arena);
  EXPECT_EQ(describe(read.spans[0]), describe(expected));
  const uint64_t hash = model::row_hash(bench.dictionary, row);
  EXPECT_NE(hash, 0u);
  EXPECT_EQ(hash, model::span_hash(expected));
  EXPECT_EQ(hash, model::span_hash(read.spans[0]));
}

std::string ids() { return std::string("\x0a\x10") + "0123456789abcdef" + "\x12\x08" + "01234567"; }

std::string with_attribute(const std::string& key_value) {
  std::string out = ids();
  protozero::pbf_writer(out).add_message(9, key_value);
  return out;
}

std::string string_attribute(std::string_view key, std::string_view value) {
  std::string any, out;
  protozero::pbf_writer(any).add_string(1, value.data(), value.size());
  protozero::pbf_writer w(out);
  w.add_string(1, key.data(), key.size());
  w.add_message(2, any);
  return out;
}

RC_GTEST_PROP(Decode, whatGoesInComesOut, (uint64_t seed)) {
  RandomSpans spans(seed);
  Bench bench;
  for (int i = 0; i < 20; ++i) {
    const std::string span = spans.span(i % 2 == 1);
    expect_same(span, bench, bench.row(span));
    RC_ASSERT(!::testing::Test::HasFailure());
  }
}

RC_GTEST_PROP(Decode, whatGoesInComesOutWhenTheDictionaryTakesNothing, (uint64_t seed)) {
  RandomSpans spans(seed);
  Bench bench(kNothingFits);
  for (int i = 0; i < 20; ++i) {
    const std::string span = spans.span(i % 2 == 1);
    expect_same(span, bench, bench.row(span));
    RC_ASSERT(!::testing::Test::HasFailure());
  }
  RC_ASSERT(bench.dictionary.size(EntryKind::kString) == 0u);
}

RC_GTEST_PROP(Decode, hashIsTheSameWhateverTheDictionary, (uint64_t seed)) {
  RandomSpans spans(seed);
  Bench fresh, full(kNothingFits), used, tight({.max_entries = 5});
  for (int i = 0; i < 30; ++i) used.row(spans.span(true));
  for (int i = 0; i < 10; ++i) {
    const std::string span = spans.span(true);
    const uint64_t hash = model::row_hash(fresh.dictionary, fresh.row(span));
    RC_ASSERT(hash == model::row_hash(full.dictionary, full.row(span)));
    RC_ASSERT(hash == model::row_hash(used.dictionary, used.row(span)));
    RC_ASSERT(hash == model::row_hash(tight.dictionary, tight.row(span)));
  }
}

RC_GTEST_PROP(Decode, replayedDictionaryReadsTheSameRows, (uint64_t seed)) {
  RandomSpans spans(seed);
  Bench bench;
  model::Dictionary replayed(99);
  uint64_t position = 0;
  for (int i = 0; i < 10; ++i) {
    const std::string span = spans.span(true);
    const std::string row = bench.row(span);
    std::string additions;
    bench.dictionary.write_additions(position, additions);
    position = bench.dictionary.position();
    RC_ASSERT(replayed.apply_additions(additions).ok());
    RC_ASSERT(model::check_row(replayed, row));
    RC_ASSERT(model::row_hash(replayed, row) == model::row_hash(bench.dictionary, row));
  }
}

TEST(Decode, everyCutOfASpanIsHandledAndNeverReadsPast) {
  RandomSpans spans(5);
  Bench bench;
  for (int i = 0; i < 50; ++i) {
    const std::string span = spans.span(true);
    for (size_t n = 0; n < span.size(); ++n) {
      std::string row;
      // An allocation of its own, so that a sanitizer sees a read past its end.
      const std::vector<char> cut(span.begin(), span.begin() + static_cast<ptrdiff_t>(n));
      if (bench.decode({cut.data(), cut.size()}, row) == Reject::kNone) {
        ASSERT_TRUE(model::check_row(bench.dictionary, row));
      }
    }
  }
}

TEST(Decode, mutatedSpansAreReadOrRejected) {
  RandomSpans spans(6);
  Bench bench;
  uint64_t read = 0, rejected = 0;
  for (int i = 0; i < 100000; ++i) {
    std::string span = spans.span(i % 2 == 0);
    for (uint64_t n = 1 + spans.random().below(3); n > 0; --n) {
      const size_t at = spans.random().below(span.size());
      span[at] = static_cast<char>(spans.random().one_in(2) ? spans.random().next()
                                                            : span[at] ^ (1 << spans.random().below(8)));
    }
    const std::vector<char> bytes(span.begin(), span.end());
    std::string row;
    if (bench.decode({bytes.data(), bytes.size()}, row) == Reject::kNone) {
      ASSERT_TRUE(model::check_row(bench.dictionary, row));
      ++read;
    } else {
      ASSERT_TRUE(row.empty());
      ++rejected;
    }
  }
  EXPECT_GT(read, 1000u);
  EXPECT_GT(rejected, 1000u);
}

TEST(Decode, mutatedRowsNeverReadPastTheirEnd) {
  RandomSpans spans(7);
  Bench bench;
  std::vector<std::string> rows;
  for (int i = 0; i < 200; ++i) rows.push_back(bench.row(spans.span(i % 2 == 0)));
  uint64_t refused = 0;
  for (int i = 0; i < 100000; ++i) {
    std::string row = rows[spans.random().below(rows.size())];
    if (spans.random().one_in(4)) row.resize(spans.random().below(row.size() + 1));
    for (uint64_t n = 1 + spans.random().below(3); n > 0 && !row.empty(); --n) {
      row[spans.random().below(row.size())] = static_cast<char>(spans.random().next());
    }
    const std::vector<char> bytes(row.begin(), row.end());
    const std::string_view view(bytes.data(), bytes.size());
    model::row_hash(bench.dictionary, view);
    model::TraceData read;
    const bool whole = model::append_span_of_row(bench.dictionary, view, {}, read).ok();
    refused += !whole;
    EXPECT_EQ(whole, model::check_row(bench.dictionary, view));
  }
  EXPECT_GT(refused, 1000u);
}

TEST(Decode, valuesThatNeverRepeatStayOutOfTheDictionary) {
  Bench bench;
  Generator random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string span = with_attribute(string_attribute("user", "user-" + std::to_string(random.below(1000000000))));
    std::string letters;
    for (int n = 0; n < 12; ++n) letters.push_back(static_cast<char>('g' + random.below(20)));
    protozero::pbf_writer(span).add_message(9, string_attribute("name", letters));
    protozero::pbf_writer(span).add_message(9, string_attribute("method", random.one_in(2) ? "GET" : "PUT"));
    expect_same(span, bench, bench.row(span));
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
  EXPECT_LT(bench.dictionary.size(EntryKind::kString), 1000u);
  EXPECT_LT(bench.dictionary.size(EntryKind::kTemplate), 50u);
}

TEST(Decode, rowsGetShorterOnceATextIsKnown) {
  Bench bench;
  const std::string span = with_attribute(string_attribute("http.user_agent", "Mozilla/5.0 (X11; Linux x86_64)"));
  const std::string first = bench.row(span);
  EXPECT_LT(first.size(), span.size() - 40);
  EXPECT_EQ(bench.row(span), first);
}

TEST(Decode, anotherDictionaryStartsItsOwnCodes) {
  Bench bench;
  const std::string span = with_attribute(string_attribute("k", "v"));
  bench.row(with_attribute(string_attribute("other", "text")));
  bench.row(span);
  model::Dictionary second(4);
  bench.decoder.use_dictionary(second);
  std::string row;
  ASSERT_EQ(bench.decoder.decode(span, bench.decoder.resource_code("r"), bench.decoder.scope_code("s"), row),
            Reject::kNone);
  ASSERT_TRUE(model::check_row(second, row));
  EXPECT_EQ(second.size(EntryKind::kString), 3u);  // k, v, the empty name
}

TEST(Decode, idsOfWrongLengthOrZeroAreRejectedByName) {
  Bench bench;
  const std::string trace = std::string("\x0a\x10") + "0123456789abcdef";
  EXPECT_EQ(bench.reject(std::string("\x0a\x04") + "abcd" + "\x12\x08" + "01234567"), Reject::kTraceId);
  EXPECT_EQ(bench.reject(std::string("\x12\x08") + "01234567"), Reject::kTraceId);
  EXPECT_EQ(bench.reject(trace), Reject::kSpanId);
  EXPECT_EQ(bench.reject(trace + "\x12\x04" + "0123"), Reject::kSpanId);
  EXPECT_EQ(bench.reject(trace + std::string("\x12\x08\0\0\0\0\0\0\0\0", 10)), Reject::kSpanId);
  EXPECT_EQ(bench.reject(ids() + "\x22\x04" + "0123"), Reject::kParentId);
  EXPECT_EQ(bench.reject(ids() + std::string("\x22\0", 2)), Reject::kNone);
  EXPECT_EQ(bench.reject(trace + ids()), Reject::kMalformed) << "two trace ids";
}

TEST(Decode, wrongWireTypesAndGroupsAreMalformed) {
  Bench bench;
  for (const std::string& field :
       {std::string("\x28\x01"), std::string("\x4b"), std::string("\x4c"), std::string("\x07\x01"),
        std::string("\x00\x01", 2), std::string("\x31") + "01234567", std::string("\x8a\x00\x01x", 4),
        std::string("\x4a\x02\x08\x01")}) {
    EXPECT_EQ(bench.reject(ids() + field), Reject::kMalformed) << model::hex_of(field);
  }
}

TEST(Decode, invalidUtf8IsRejectedWhereverTextIsExpected) {
  Bench bench;
  const std::string bad = "caf\xc3";
  std::string name = ids(), state = ids(), event = ids(), status = ids(), inner, message;
  protozero::pbf_writer(name).add_string(5, bad);
  protozero::pbf_writer(state).add_string(3, bad);
  protozero::pbf_writer(inner).add_string(2, bad);
  protozero::pbf_writer(event).add_message(11, inner);
  protozero::pbf_writer(message).add_string(2, bad);
  protozero::pbf_writer(status).add_message(15, message);
  for (const std::string& span : {name, state, event, status, with_attribute(string_attribute(bad, "v")),
                                  with_attribute(string_attribute("k", bad)),
                                  with_attribute(string_attribute("k", std::string(600, 'x') + bad))}) {
    EXPECT_EQ(bench.reject(span), Reject::kInvalidUtf8);
  }
}

TEST(Decode, attributesEventsAndLinksCountAgainstOneLimit) {
  Limits limits;
  limits.max_attributes = 3;
  Bench bench({}, limits);
  std::string span = ids();
  for (int i = 0; i < 2; ++i) protozero::pbf_writer(span).add_message(9, string_attribute("k", "v"));
  std::string event;
  EXPECT_EQ(bench.reject(span), Reject::kNone);
  protozero::pbf_writer(event).add_message(3, string_attribute("k", "v"));
  protozero::pbf_writer(span).add_message(11, std::string());
  EXPECT_EQ(bench.reject(span), Reject::kNone);
  protozero::pbf_writer(span).add_message(13, std::string());
  EXPECT_EQ(bench.reject(span), Reject::kTooManyAttributes);
}

TEST(Decode, valuesNestedBeyondTheLimitAreMalformed) {
  const auto nested = [](int depth) {
    std::string value;
    protozero::pbf_writer(value).add_int64(3, 1);
    for (int i = 0; i < depth; ++i) {
      std::string list, outer;
      protozero::pbf_writer(list).add_message(1, value);
      protozero::pbf_writer(outer).add_message(5, list);
      value = outer;
    }
    std::string kv;
    protozero::pbf_writer w(kv);
    w.add_string(1, "k");
    w.add_message(2, value);
    return with_attribute(kv);
  };
  Bench bench;
  EXPECT_EQ(bench.reject(nested(32)), Reject::kNone);
  EXPECT_EQ(bench.reject(nested(33)), Reject::kMalformed);
  EXPECT_EQ(bench.reject(nested(2000)), Reject::kMalformed);
}

TEST(Decode, anEmptyStatusIsNoneAndFurtherOnesMerge) {
  Bench bench;
  EXPECT_EQ(bench.row(ids()), bench.row(ids() + std::string("\x7a\0", 2)));
  std::string code, text, merged = ids(), whole = ids(), both;
  protozero::pbf_writer(code).add_enum(3, 2);
  protozero::pbf_writer(text).add_string(2, "boom");
  both = text + code;
  protozero::pbf_writer(merged).add_message(15, code);
  protozero::pbf_writer(merged).add_message(15, text);
  protozero::pbf_writer(whole).add_message(15, both);
  EXPECT_EQ(bench.row(merged), bench.row(whole));
}

TEST(Decode, unknownPartsOfAStatusAreKeptAndItsCodeIsRead) {
  Bench bench;
  std::string status, span = ids();
  protozero::pbf_writer(status).add_enum(3, 2);
  protozero::pbf_writer(status).add_string(9, "later");
  protozero::pbf_writer(span).add_message(15, status);
  model::TraceData read;
  ASSERT_TRUE(model::append_span_of_row(bench.dictionary, bench.row(span), {}, read).ok());
  EXPECT_EQ(read.spans[0].status, model::StatusCode::kError);
  EXPECT_EQ(read.spans[0].unknown, "\x7a\x07\x4a\x05later");
}

TEST(Decode, fieldsInAnyOrderGiveTheSameContent) {
  Bench bench;
  std::string first = ids(), second;
  protozero::pbf_writer a(first);
  a.add_string(5, "n");
  a.add_fixed64(7, 1000);
  std::string event;
  protozero::pbf_writer(event).add_fixed64(1, 1500);
  a.add_message(11, event);
  protozero::pbf_writer b(second);
  b.add_message(11, event);
  b.add_fixed64(7, 1000);
  b.add_string(5, "n");
  second += ids();
  EXPECT_EQ(bench.row(first), bench.row(second));
}

TEST(Decode, aStreamOfNewKeysIsReadCorrectlyAndMemoryStaysBounded) {
  Bench bench({.max_entries = 1000});
  for (int i = 0; i < 30000; ++i) {
    std::string span = with_attribute(string_attribute("key." + std::to_string(i), "v" + std::to_string(i)));
    protozero::pbf_writer(span).add_message(9, string_attribute("plain", "value"));
    const std::string row = bench.row(span);
    if (i % 97 == 0) expect_same(span, bench, row);
  }
  EXPECT_LE(bench.dictionary.size(EntryKind::kString), 1000u);
  EXPECT_LE(bench.dictionary.size(EntryKind::kShape), 1000u);
}

}  // namespace
}  // namespace clew::otlp
