#include "otlp/trace_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/random.h"

namespace clew::otlp {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kTrace = "12345678901234567890123456789012", kSpan = "1234567890123456";
std::string traceparent(std::string_view version, std::string_view trace, std::string_view span,
                        std::string_view flags) {
  return std::string(version) + "-" + std::string(trace) + "-" + std::string(span) + "-" + std::string(flags);
}
std::optional<TraceContext> extracted(std::vector<std::string_view> parents, std::vector<std::string_view> states) {
  return extract(parents, states);
}
std::vector<HopFindingKind> kinds(const std::vector<HopFinding>& findings) {
  std::vector<HopFindingKind> result;
  for (const HopFinding& finding : findings) result.push_back(finding.kind);
  return result;
}
TraceContext context(std::string_view parent, std::string_view state) {
  return {*parse_traceparent(parent), *TraceState::parse(state)};
}

TEST(TraceParent, fieldsAreRead) {
  const auto parent = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03");
  ASSERT_TRUE(parent);
  EXPECT_EQ(parent->trace.hi, 0x0af7651916cd43ddu);
  EXPECT_EQ(parent->trace.lo, 0x8448eb211c80319cu);
  EXPECT_EQ(parent->parent.value, 0xb7ad6b7169203331u);
  EXPECT_EQ(parent->flags, kFlagSampled | kFlagRandom);
}

TEST(TraceParent, validOnes) {
  for (const std::string& header : {
           traceparent("00", kTrace, kSpan, "01"),
           traceparent("00", kTrace, kSpan, "ff"),
           " \t" + traceparent("00", kTrace, kSpan, "00") + "\t ",
           traceparent("cc", kTrace, kSpan, "01"),
           traceparent("cc", kTrace, kSpan, "01") + "-what-the-future-will-be-like",
           traceparent("cc", kTrace, kSpan, "01") + "-",
           traceparent("fe", kTrace, kSpan, "01"),
           traceparent("01", "00000000000000000000000000000001", "0000000000000001", "00"),
       })
    EXPECT_TRUE(parse_traceparent(header)) << header;
}

TEST(TraceParent, invalidOnes) {
  for (const std::string& header : {
           std::string(),
           std::string("00"),
           std::string(55, '-'),
           std::string(55, '0'),
           traceparent("00", kTrace, kSpan, "01") + "-what-the-future-will-be-like",
           traceparent("00", kTrace, kSpan, "01") + "-",
           traceparent("00", kTrace, kSpan, "01") + ",",
           traceparent("cc", kTrace, kSpan, "01") + ".what-the-future-will-be-like",
           traceparent("cc", kTrace, kSpan, "01") + "0",
           traceparent("ff", kTrace, kSpan, "01"),
           traceparent("FE", kTrace, kSpan, "01"),
           traceparent(".0", kTrace, kSpan, "01"),
           traceparent("0.", kTrace, kSpan, "01"),
           traceparent("000", kTrace, kSpan, "01"),
           traceparent("0000", kTrace, kSpan, "01"),
           traceparent("0", kTrace, kSpan, "01"),
           traceparent("00", "00000000000000000000000000000000", kSpan, "01"),
           traceparent("00", ".2345678901234567890123456789012", kSpan, "01"),
           traceparent("00", "1234567890123456789012345678901.", kSpan, "01"),
           traceparent("00", "ABCDEF78901234567890123456789012", kSpan, "01"),
           traceparent("00", "123456789012345678901234567890123", kSpan, "01"),
           traceparent("00", "1234567890123456789012345678901", kSpan, "01"),
           traceparent("00", kTrace, "0000000000000000", "01"),
           traceparent("00", kTrace, ".234567890123456", "01"),
           traceparent("00", kTrace, "123456789012345.", "01"),
           traceparent("00", kTrace, "ABCDEF7890123456", "01"),
           traceparent("00", kTrace, "12345678901234567", "01"),
           traceparent("00", kTrace, "123456789012345", "01"),
           traceparent("00", kTrace, kSpan, ".0"),
           traceparent("00", kTrace, kSpan, "0."),
           traceparent("00", kTrace, kSpan, "0A"),
           traceparent("00", kTrace, kSpan, "001"),
           traceparent("00", kTrace, kSpan, "1"),
           traceparent("00", kTrace, kSpan, ""),
           traceparent("00", kTrace, kSpan, "01").replace(2, 1, 1, '_'),
       })
    EXPECT_FALSE(parse_traceparent(header)) << header;
}

TEST(TraceParent, whatIsFormattedIsReadBackAndTheReverse) {
  EXPECT_TRUE(rc::check([](uint64_t hi, uint64_t lo, uint64_t span, uint8_t flags) {
    const TraceParent parent{{hi | 1, lo}, {span | 1}, flags};
    const std::string text = format_traceparent(parent);
    RC_ASSERT(text.size() == 55u);
    const auto read = parse_traceparent(text);
    RC_ASSERT(read.has_value());
    RC_ASSERT(*read == parent);
    RC_ASSERT(format_traceparent(*read) == text);
  }));
}

TEST(TraceParent, anyOneByteChangedIsRefusedOrMeansWhatItSays) {
  const std::string good = traceparent("00", kTrace, kSpan, "01");
  for (size_t at = 0; at < good.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = good;
      changed[at] = static_cast<char>(c);
      const auto read = parse_traceparent(changed);
      if (!read || !changed.starts_with("00")) continue;
      EXPECT_EQ(format_traceparent(*read), changed);
    }
  }
}

TEST(TraceState, validOnes) {
  const std::string key256(256, 'z'), value256(256, 'v');
  std::string members32;
  for (int i = 0; i < 32; ++i)
    members32 += std::string(i ? ",bar" : "bar").append(std::to_string(i)).append("=").append(std::to_string(i));
  const std::pair<std::string, std::string> cases[] = {
      {"foo=1", "foo=1"},
      {"foo=1,bar=2", "foo=1,bar=2"},
      {"", ""},
      {",", ""},
      {"foo=1,", "foo=1"},
      {" foo=1 \t,\t , bar=2 ", "foo=1,bar=2"},
      {"foo= 1", "foo= 1"},  // a value may begin with a space
      {"foo=1,foo=2,bar=3", "foo=1,bar=3"},
      {"0foo=1,a*b/c-d_e@f=x", "0foo=1,a*b/c-d_e@f=x"},
      {"foo=!\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
       "foo=!\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"},
      {key256 + "=" + value256, key256 + "=" + value256},
      {members32, members32},
      {members32 + ",,,", members32},
  };
  for (const auto& [header, formatted] : cases) {
    const auto state = TraceState::parse(header);
    ASSERT_TRUE(state) << header;
    EXPECT_EQ(state->format(), formatted);
  }
}

TEST(TraceState, invalidOnes) {
  std::string members33;
  for (int i = 0; i < 33; ++i)
    members33 += std::string(i ? ",bar" : "bar").append(std::to_string(i)).append("=").append(std::to_string(i));
  for (const std::string& header : {
           std::string("foo"),
           std::string("=1"),
           std::string("foo="),
           std::string("foo=,bar=3"),
           std::string("foo =1"),
           std::string("FOO=1"),
           std::string("foo.bar=1"),
           std::string("_foo=1"),
           std::string("@foo=1"),
           std::string("foo=bar=baz"),
           std::string("foo=1,bar"),
           std::string("foo=a\tb"),
           std::string("foo=a\x7f"),
           std::string("foo=\xc3\xa9"),
           std::string("foo=a\0b", 7),
           std::string("f\0o=1", 5),
           std::string(257, 'z') + "=1",
           "foo=" + std::string(257, 'v'),
           members33,
           "foo=1,foo=2," + members33.substr(0, members33.rfind(',')),
       })
    EXPECT_FALSE(TraceState::parse(header)) << header;
}

TEST(TraceState, severalHeadersAreJoinedInOrder) {
  const std::string_view headers[] = {"foo=1,bar=2", "", "rojo=1,congo=2", "baz=3"};
  EXPECT_EQ(TraceState::parse(headers)->format(), "foo=1,bar=2,rojo=1,congo=2,baz=3");
}

TEST(TraceState, aChangedMemberMovesToTheFront) {
  TraceState state = *TraceState::parse("a=1,b=2,c=3");
  EXPECT_TRUE(state.set("b", "9"));
  EXPECT_EQ(state.format(), "b=9,a=1,c=3");
  EXPECT_TRUE(state.set("new", "x"));
  EXPECT_EQ(state.format(), "new=x,b=9,a=1,c=3");
  EXPECT_FALSE(state.set("Bad", "x"));
  EXPECT_FALSE(state.set("good", "x,y"));
  EXPECT_TRUE(state.remove("a"));
  EXPECT_FALSE(state.remove("a"));
  EXPECT_EQ(state.format(), "new=x,b=9,c=3");
  EXPECT_EQ(*state.find("b"), "9");
  EXPECT_EQ(state.find("a"), nullptr);
}

TEST(TraceState, theOldestGivesWayToThe33rd) {
  TraceState state;
  for (int i = 0; i < 33; ++i) EXPECT_TRUE(state.set(std::string("k").append(std::to_string(i)), "v"));
  EXPECT_EQ(state.members().size(), kMaxStateMembers);
  EXPECT_EQ(state.members().front().key, "k32");
  EXPECT_EQ(state.find("k0"), nullptr);
}

TEST(TraceState, cuttingTakesLargeMembersFirstThenFromTheRight) {
  const std::string large(130, 'x');
  const TraceState state = *TraceState::parse("a=1,big=" + large + ",b=2,huge=" + large + ",c=3");
  EXPECT_EQ(state.format(1000), state.format());
  EXPECT_EQ(state.format(200), "a=1,big=" + large + ",b=2,c=3");
  EXPECT_EQ(state.format(100), "a=1,b=2,c=3");
  EXPECT_EQ(state.format(11), "a=1,b=2,c=3");
  EXPECT_EQ(state.format(10), "a=1,b=2");
  EXPECT_EQ(state.format(2), "");
}

TEST(TraceState, whatIsReadAndWrittenIsReadTheSame) {
  EXPECT_TRUE(rc::check([](uint64_t seed) {
    Generator random(seed);
    std::string header;
    for (uint64_t n = random.below(60); n > 0; --n) header += "ab0@*,,== \t~\x7f"[random.below(13)];
    const auto state = TraceState::parse(header);
    if (!state) return;
    const auto again = TraceState::parse(state->format());
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == *state);
    for (size_t limit = 0; limit < 80; ++limit) RC_ASSERT(state->format(limit).size() <= limit);
  }));
}

TEST(Extract, aBadTraceparentDropsTheTracestateNotTheReverse) {
  const std::string good = traceparent("00", kTrace, kSpan, "01");
  EXPECT_FALSE(extracted({}, {"foo=1"}));
  EXPECT_FALSE(extracted({"00-bad"}, {"foo=1"}));
  EXPECT_EQ(extracted({good}, {"foo=1"})->state.format(), "foo=1");
  const auto with_bad_state = extracted({good}, {"foo=1", "BAD"});
  ASSERT_TRUE(with_bad_state);
  EXPECT_TRUE(with_bad_state->state.empty());
}

TEST(Extract, twoTraceparentsRestartTheTraceEvenWhenEqual) {
  const std::string good = traceparent("00", kTrace, kSpan, "01");
  EXPECT_FALSE(extracted({good, good}, {"foo=1"}));
}

TEST(Propagate, keepsSampledAndRandomAndClearsOtherFlags) {
  const TraceContext received = context(traceparent("cc", kTrace, kSpan, "ff") + "-more", "foo=1");
  const TraceContext sent = propagate(received, {0xabc});
  EXPECT_EQ(format_traceparent(sent.parent), traceparent("00", kTrace, "0000000000000abc", "03"));
  EXPECT_EQ(sent.state, received.state);
  EXPECT_EQ(start({1, 2}, {3}, true).parent.flags, kFlagSampled | kFlagRandom);
  EXPECT_EQ(start({1, 2}, {3}, false).parent.flags, kFlagRandom);
}

TEST(VerifyHop, whatPropagateSendsHasNoFindings) {
  EXPECT_TRUE(rc::check([](uint64_t hi, uint64_t span, uint8_t flags, bool change) {
    TraceContext caller = propagate({{{hi, 1}, {1}, flags}, *TraceState::parse("a=1,b=2,c=3")}, {span | 1});
    TraceContext sent = caller;
    if (change) sent.state.set("b", "new");
    RC_ASSERT(verify_hop(caller, sent).empty());
  }));
}

TEST(VerifyHop, eachRuleBrokenIsFound) {
  const std::string caller_header = traceparent("00", kTrace, kSpan, "03");
  const TraceContext caller = context(caller_header, "a=1,b=2,c=3");
  const auto found = [&](const std::string& parent, std::string_view state) {
    return kinds(verify_hop(caller, context(parent, state)));
  };
  EXPECT_THAT(found(traceparent("00", "00000000000000000000000000000001", kSpan, "00"), ""),
              ElementsAre(HopFindingKind::kOtherTrace));
  EXPECT_THAT(found(traceparent("00", kTrace, "0000000000000001", "03"), "a=1,b=2,c=3"),
              ElementsAre(HopFindingKind::kOtherParent));
  EXPECT_THAT(found(traceparent("00", kTrace, kSpan, "02"), "a=1,b=2,c=3"),
              ElementsAre(HopFindingKind::kSampledChanged));
  EXPECT_THAT(found(traceparent("00", kTrace, kSpan, "01"), "a=1,b=2,c=3"),
              ElementsAre(HopFindingKind::kRandomChanged));
  EXPECT_THAT(found(traceparent("00", kTrace, kSpan, "83"), "a=1,b=2,c=3"), ElementsAre(HopFindingKind::kUnknownFlags));
  EXPECT_THAT(found(caller_header, "a=1,c=3"), ElementsAre(HopFindingKind::kStateLost));
  EXPECT_THAT(found(caller_header, "a=1,b=9,c=3"), ElementsAre(HopFindingKind::kStateChanged));
  EXPECT_THAT(found(caller_header, "b=2,a=1,c=3"), ElementsAre(HopFindingKind::kStateReordered));
  EXPECT_THAT(found(caller_header, "own=1,b=9,a=1,c=3"), ElementsAre());
}

TEST(VerifyHop, cuttingAnOversizedTracestateIsNamedAsSuch) {
  const std::string large(200, 'x');
  const TraceContext caller =
      context(traceparent("00", kTrace, kSpan, "03"), "a=" + large + ",b=" + large + ",c=" + large);
  TraceContext sent = caller;
  sent.state = *TraceState::parse(caller.state.format(kPropagatedStateChars));
  EXPECT_THAT(kinds(verify_hop(caller, sent)), ElementsAre(HopFindingKind::kStateCut));
}

TEST(VerifyHop, everyFindingHasAName) {
  for (int kind = 0; kind <= static_cast<int>(HopFindingKind::kStateReordered); ++kind)
    EXPECT_NE(hop_finding_name(static_cast<HopFindingKind>(kind)), "unknown");
}

}  // namespace
}  // namespace clew::otlp
