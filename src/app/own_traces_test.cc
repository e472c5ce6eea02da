#include "app/own_traces.h"

#include <gtest/gtest.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace clew::app {
namespace {

using opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

class Ingested final : public cluster::IngestService {
 public:
  void ingest(cluster::IngestRequest request, UniqueFunction<void(cluster::IngestReply)> done) override {
    requests.push_back(std::move(request));
    done({});
  }
  std::vector<cluster::IngestRequest> requests;
};

consensus::SpanValue election() {
  consensus::SpanValue span;
  span.name = "raft_election";
  span.trace_id = {0x1111, 0x2222};
  span.span_id = 0x3333;
  span.start_ns = 1'000;
  span.end_ns = 2'500;
  span.epoch_name = "term";
  span.epoch = 7;
  span.position_name = "index";
  span.peer = consensus::NodeId{3};
  span.result = "lost";
  span.failed = true;
  return span;
}

TEST(OwnTraces, aSpanIsOneOfAnyClients) {
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(encode_spans({election(), election()}, "node-2", "1.0")));
  ASSERT_EQ(request.resource_spans_size(), 1);
  const auto& resource = request.resource_spans(0);
  EXPECT_EQ(resource.resource().attributes(0).key(), "service.name");
  EXPECT_EQ(resource.resource().attributes(0).value().string_value(), "clew");
  EXPECT_EQ(resource.resource().attributes(1).value().string_value(), "node-2");
  ASSERT_EQ(resource.scope_spans(0).spans_size(), 2);
  const auto& span = resource.scope_spans(0).spans(0);
  EXPECT_EQ(span.name(), "raft_election");
  EXPECT_EQ(span.trace_id().size(), 16u);
  EXPECT_EQ(span.span_id().size(), 8u);
  EXPECT_EQ(span.start_time_unix_nano(), 1'000u);
  EXPECT_EQ(span.end_time_unix_nano(), 2'500u);
  ASSERT_EQ(span.attributes_size(), 3);  // what is 0 or empty is left out
  EXPECT_EQ(span.attributes(0).key(), "term");
  EXPECT_EQ(span.attributes(0).value().int_value(), 7);
  EXPECT_EQ(span.attributes(1).key(), "peer");
  EXPECT_EQ(span.attributes(2).value().string_value(), "lost");
  EXPECT_EQ(span.status().code(), 2);
}

TEST(OwnTraces, aBallotIsMoreThanItsRoundAndADecreeHasAName) {
  consensus::SpanValue span = election();
  span.epoch_name = "ballot";
  span.ballot = "7.3";
  span.decree = "colour";
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(encode_spans({span}, "node-2", "1.0")));
  const auto& attributes = request.resource_spans(0).scope_spans(0).spans(0).attributes();
  ASSERT_EQ(attributes.size(), 4);
  EXPECT_EQ(attributes[0].key(), "ballot");
  EXPECT_EQ(attributes[0].value().string_value(), "7.3");
  EXPECT_EQ(attributes[1].key(), "decree");
  EXPECT_EQ(attributes[1].value().string_value(), "colour");
}

TEST(OwnTraces, theyGoInBatchesAndAreBounded) {
  Ingested ingest;
  OwnTraces traces(ingest, "node-1", "1.0");
  traces.flush();
  EXPECT_TRUE(ingest.requests.empty());
  for (size_t i = 0; i < OwnTraces::kMaxWaiting + 5; ++i) traces.add(election());
  EXPECT_EQ(traces.dropped(), 5u);
  traces.flush();
  traces.flush();
  ASSERT_EQ(ingest.requests.size(), 1u);
  EXPECT_EQ(ingest.requests[0].tenant, "default");
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(*ingest.requests[0].body));
  EXPECT_EQ(request.resource_spans(0).scope_spans(0).spans_size(), static_cast<int>(OwnTraces::kMaxWaiting));
}

}  // namespace
}  // namespace clew::app
