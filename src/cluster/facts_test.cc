#include "cluster/facts.h"

#include <gtest/gtest.h>

#include "cluster/test_rows.h"

namespace clew::cluster {
namespace {

constexpr model::TraceId kTrace{1, 2};

TestRequest one_span(std::string_view service, uint64_t id, uint64_t parent = 0) {
  TestRequest request(service);
  request.span({.trace = kTrace, .id = {id}, .parent = {parent}, .name = "span " + std::to_string(id), .kind = 3});
  return request;
}

TEST(FactsBuilder, row_and_readable_span_of_the_same_bytes_give_the_same_facts) {
  TestRows rows;
  rows.add(one_span("cart", 2, 1));
  FactsBuilder from_row(1), from_span(1);
  ASSERT_TRUE(from_row.add_row(rows.dictionary(), rows[0], false));
  model::TraceData data;
  ASSERT_TRUE(model::append_span_of_row(rows.dictionary(), rows[0], {}, data).ok());
  from_span.add_span(data.spans[0]);

  const trace::SpanFacts& a = from_row.facts()[0];
  const trace::SpanFacts& b = from_span.facts()[0];
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.parent, b.parent);
  EXPECT_EQ(a.start_ns, b.start_ns);
  EXPECT_EQ(a.end_ns, b.end_ns);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.status, b.status);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.dropped, b.dropped);
  EXPECT_EQ(a.has_links, b.has_links);
  EXPECT_EQ(from_row.names()[0], from_span.names()[0]);
  EXPECT_EQ(from_row.context().services[a.service], from_span.context().services[b.service]);
  EXPECT_EQ(from_row.context().hosts[a.host], from_span.context().hosts[b.host]);
}

TEST(FactsBuilder, services_are_numbered_once_over_rows_and_stored_spans) {
  TestRows rows;
  rows.add(one_span("cart", 1));
  rows.add(one_span("cart", 2));
  rows.add(one_span("db", 3));
  model::TraceData data;
  ASSERT_TRUE(model::append_span_of_row(rows.dictionary(), rows[2], {}, data).ok());
  FactsBuilder facts(1);
  ASSERT_TRUE(facts.add_row(rows.dictionary(), rows[0], false));
  ASSERT_TRUE(facts.add_row(rows.dictionary(), rows[1], true));
  ASSERT_TRUE(facts.add_row(rows.dictionary(), rows[2], false));
  facts.add_span(data.spans[0]);
  EXPECT_EQ(facts.context().services.size(), 2u);
  EXPECT_EQ(facts.facts()[0].service, facts.facts()[1].service);
  EXPECT_NE(facts.facts()[0].service, facts.facts()[2].service);
  EXPECT_EQ(facts.facts()[2].service, facts.facts()[3].service);
  EXPECT_FALSE(facts.facts()[0].late);
  EXPECT_TRUE(facts.facts()[1].late);
  facts.clear();
  EXPECT_TRUE(facts.facts().empty());
  EXPECT_TRUE(facts.context().services.empty());
}

TEST(FactsBuilder, trace_of_many_resources_numbers_each_service_once_in_linear_time) {
  constexpr uint32_t kResources = 40'000;  // a scan would compare 800 million times, twice
  TestRows rows;
  for (uint32_t i = 0; i < kResources; ++i) rows.add(one_span("service " + std::to_string(i / 2 * 2), i + 1));
  FactsBuilder facts(1);
  for (int round = 0; round < 2; ++round) {
    facts.clear();
    for (size_t i = 0; i < rows.size(); ++i) ASSERT_TRUE(facts.add_row(rows.dictionary(), rows[i], false));
    ASSERT_EQ(facts.context().services.size(), kResources / 2);
    for (uint32_t i = 0; i < kResources; ++i) {
      ASSERT_EQ(facts.facts()[i].service, i / 2);
      ASSERT_EQ(facts.context().services[i / 2], "service " + std::to_string(i / 2 * 2));
    }
  }
}

TEST(FactsBuilder, malformed_row_and_row_of_another_dictionary_are_left_out) {
  TestRows rows;
  rows.add(one_span("cart", 1));
  const model::Dictionary empty(1, model::DictionaryLimits{});
  FactsBuilder facts(1);
  EXPECT_FALSE(facts.add_row(rows.dictionary(), "", false));
  EXPECT_FALSE(facts.add_row(empty, rows[0], false));
  EXPECT_TRUE(facts.facts().empty());
  EXPECT_TRUE(facts.names().empty());
}

}  // namespace
}  // namespace clew::cluster
