#include "otlp/envelope.h"

#include <gtest/gtest.h>

#include <deque>
#include <protozero/pbf_writer.hpp>

#include "otlp/span_oracle_test.h"

namespace clew::otlp {
namespace {

using testing::RandomSpans;

std::string field(uint32_t number, std::string_view bytes) {
  std::string out;
  protozero::pbf_writer(out).add_bytes(number, bytes.data(), bytes.size());
  return out;
}

std::string span_of(char trace) { return field(1, std::string(16, trace)) + field(2, "12345678"); }

std::string request(const std::string& spans) {
  return field(1, field(1, field(1, "res")) + field(2, field(1, "scp") + spans) + field(3, "url"));
}

// An envelope borrows from its body: both are kept until the test ends.
class Envelopes : public ::testing::Test {
 protected:
  const Envelope& open(const std::string& body, Limits limits = {}) {
    Envelope& out = envelopes_.emplace_back();
    EXPECT_TRUE(open_envelope(bodies_.emplace_back(body), limits, out).ok());
    return out;
  }
  const std::string& body() const { return bodies_.back(); }

 private:
  std::deque<std::string> bodies_;
  std::deque<Envelope> envelopes_;
};

std::string failure(const std::string& body, Limits limits = {}) {
  Envelope out;
  const Status status = open_envelope(body, limits, out);
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_TRUE(out.spans.empty() && out.resources.empty() && out.scopes.empty());
  return std::string(status.message());
}

TEST_F(Envelopes, anEmptyRequestHasNoSpans) { EXPECT_TRUE(open("").spans.empty()); }

TEST_F(Envelopes, aResourceInTwoPiecesIsJoinedAndASingleOneBorrowed) {
  const Envelope& envelope = open(request(field(2, span_of('a'))));
  ASSERT_EQ(envelope.resources.size(), 1u);
  EXPECT_EQ(envelope.resources[0], field(1, field(1, "res")) + field(3, "url"));
  ASSERT_EQ(envelope.scopes.size(), 1u);
  EXPECT_EQ(envelope.scopes[0].bytes, field(1, "scp"));
  EXPECT_GE(envelope.scopes[0].bytes.data(), body().data());
  EXPECT_LT(envelope.scopes[0].bytes.data(), body().data() + body().size());
  EXPECT_EQ(envelope.joined.size(), 1u);
}

TEST_F(Envelopes, contextThatComesAfterItsSpansIsFound) {
  const Envelope& envelope =
      open(field(1, field(2, field(2, span_of('a')) + field(1, "late scope")) + field(1, "late")));
  EXPECT_EQ(envelope.resources[0], field(1, "late"));
  EXPECT_EQ(envelope.scopes[0].bytes, field(1, "late scope"));
  EXPECT_TRUE(envelope.joined.empty());
}

TEST_F(Envelopes, spansKnowTheirScopeAndScopesTheirResource) {
  std::string body;
  for (int r = 0; r < 3; ++r) {
    std::string scopes;
    for (int s = 0; s < 2; ++s)
      scopes += field(2, field(1, "s" + std::to_string(s)) + field(2, span_of('a')) + field(2, span_of('b')));
    body += field(1, field(1, "r" + std::to_string(r)) + scopes);
  }
  const Envelope& envelope = open(body);
  ASSERT_EQ(envelope.spans.size(), 12u);
  for (uint32_t i = 0; i < 12; ++i) {
    EXPECT_EQ(envelope.spans[i].scope, i / 2);
    EXPECT_EQ(envelope.scopes[i / 2].resource, i / 4);
    EXPECT_EQ(envelope.spans[i].bytes, span_of(i % 2 == 0 ? 'a' : 'b'));
    EXPECT_EQ(envelope.spans[i].trace.hex(), model::hex_of(std::string(16, i % 2 == 0 ? 'a' : 'b')));
  }
}

TEST_F(Envelopes, spansWithoutAUsableTraceIdAreCountedAndTheOthersKept) {
  const std::string id = field(2, "12345678");
  const Envelope& envelope =
      open(request(field(2, id) + field(2, field(1, "short") + id) + field(2, field(1, std::string(16, '\0')) + id) +
                   field(2, std::string("\x12\x09") + "cut") + field(2, id + field(1, std::string(16, 'z'))) +
                   field(2, span_of('a'))));
  EXPECT_EQ(envelope.spans.size(), 2u);
  EXPECT_EQ(envelope.rejected[static_cast<size_t>(Reject::kTraceId)], 3u);
  EXPECT_EQ(envelope.rejected[static_cast<size_t>(Reject::kMalformed)], 1u);
}

TEST_F(Envelopes, unknownFieldsStayWithTheirContextAndThoseOfTheRequestAreCounted) {
  const std::string unknown = field(77, "new");
  const Envelope& envelope = open(unknown + field(1, unknown + field(2, unknown + field(2, span_of('a')))));
  EXPECT_EQ(envelope.unknown_bytes, unknown.size());
  EXPECT_EQ(envelope.resources[0], unknown);
  EXPECT_EQ(envelope.scopes[0].bytes, unknown);
}

TEST_F(Envelopes, limitsAreKept) {
  Limits limits;
  limits.max_spans = 2;
  std::string spans = field(2, span_of('a')) + field(2, span_of('b'));
  EXPECT_EQ(open(request(spans), limits).spans.size(), 2u);
  EXPECT_NE(failure(request(spans + field(2, span_of('c'))), limits).find("more than 2 spans"), std::string::npos);
  EXPECT_NE(failure(field(1, "") + field(1, "") + field(1, ""), limits).find("more than 2 resources"),
            std::string::npos);
  limits.max_span_bytes = 40;
  const Envelope& large = open(request(field(2, span_of('a') + field(5, std::string(50, 'x')))), limits);
  EXPECT_EQ(large.rejected[static_cast<size_t>(Reject::kTooLarge)], 1u);
}

TEST_F(Envelopes, malformedFramingIsRefusedWithItsPlace) {
  const std::string good = request(field(2, span_of('a')));
  EXPECT_NE(failure(good + "\x0a\x05xx").find("at byte " + std::to_string(good.size())), std::string::npos);
  failure("\x0b");
  failure("\x08\x01");
  failure(std::string("\x00\x01", 2));
  failure(field(1, "\x08\x01"));
  failure(field(1, "\x10\x01"));
  failure(field(1, field(2, "\x10\x01")));
  failure(std::string(11, '\xff'));
  failure("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

TEST_F(Envelopes, oneEnvelopeIsReusedForManyRequests) {
  Envelope envelope;
  const std::string first = request(field(2, span_of('a')) + field(2, "bad")), second = request(field(2, span_of('b')));
  ASSERT_TRUE(open_envelope(first, {}, envelope).ok());
  ASSERT_TRUE(open_envelope(second, {}, envelope).ok());
  EXPECT_EQ(envelope.spans.size(), 1u);
  EXPECT_EQ(envelope.rejected, RejectCounts{});
  EXPECT_EQ(envelope.joined.size(), 1u);
}

TEST_F(Envelopes, everyReasonHasAName) {
  for (size_t i = 0; i < static_cast<size_t>(Reject::kCount); ++i) {
    EXPECT_NE(reject_name(static_cast<Reject>(i)), "unknown");
  }
}

TEST_F(Envelopes, mutatedRequestsAreReadOrRefused) {
  RandomSpans spans(3);
  uint64_t read = 0, refused = 0;
  for (int i = 0; i < 100000; ++i) {
    std::string list;
    for (uint64_t n = spans.random().below(3); n > 0; --n) list += field(2, span_of(static_cast<char>('a' + n)));
    std::string body = request(list) + request(list);
    for (uint64_t n = 1 + spans.random().below(4); n > 0; --n) {
      body[spans.random().below(body.size())] = static_cast<char>(spans.random().next());
    }
    if (spans.random().one_in(4)) body.resize(spans.random().below(body.size() + 1));
    const std::vector<char> bytes(body.begin(), body.end());
    Envelope envelope;
    const bool ok = open_envelope({bytes.data(), bytes.size()}, {}, envelope).ok();
    ++(ok ? read : refused);
    for (const EnvelopeSpan& span : envelope.spans) {
      ASSERT_LT(span.scope, envelope.scopes.size());
      ASSERT_LT(envelope.scopes[span.scope].resource, envelope.resources.size());
      ASSERT_GE(span.bytes.data(), bytes.data());
      ASSERT_LE(span.bytes.data() + span.bytes.size(), bytes.data() + bytes.size());
    }
  }
  EXPECT_GT(read, 1000u);
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace clew::otlp
