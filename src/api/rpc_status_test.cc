#include "api/rpc_status.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "google/rpc/status.pb.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace clew::api {
namespace {

namespace collector = opentelemetry::proto::collector::trace::v1;

TEST(RpcStatus, ReadsBackByTheGeneratedClasses) {
  google::rpc::Status status;
  ASSERT_TRUE(status.ParseFromString(encode_rpc_status(WireFormat::kProtobuf, Code::kUnavailable, "später", 1)));
  EXPECT_EQ(status.code(), 14);
  EXPECT_EQ(status.message(), "später");
  EXPECT_EQ(status.details(0).type_url(), "type.googleapis.com/google.rpc.RetryInfo");
  ASSERT_TRUE(status.ParseFromString(encode_rpc_status(WireFormat::kProtobuf, Code::kInvalidArgument, "")));
  EXPECT_EQ(status.details_size(), 0);
}

TEST(RpcStatus, JsonEscapesWhatJsonCannotHold) {
  EXPECT_EQ(
      encode_rpc_status(WireFormat::kJson, Code::kInvalidArgument, std::string("a\"b\\c\n\x01 \xff \xc3\xa9", 12)),
      "{\"code\":3,\"message\":\"a\\\"b\\\\c\\u000a\\u0001 \\ufffd \xc3\xa9\"}");
}

TEST(RpcStatus, JsonRetryDelayIsAProtobufDuration) {
  EXPECT_NE(encode_rpc_status(WireFormat::kJson, Code::kUnavailable, "x", 2050).find("\"retryDelay\":\"2.050s\""),
            std::string::npos);
  EXPECT_NE(encode_rpc_status(WireFormat::kJson, Code::kUnavailable, "x", 3000).find("\"retryDelay\":\"3s\""),
            std::string::npos);
}

TEST(RpcStatus, ExportResponseIsTheSameMessageInBothFormats) {
  for (const auto& [rejected, message] :
       {std::pair<uint64_t, std::string>{0, ""}, {0, "warning"}, {5'000'000'000, "many"}, {1, ""}}) {
    collector::ExportTraceServiceResponse binary, json;
    ASSERT_TRUE(binary.ParseFromString(encode_export_response(WireFormat::kProtobuf, rejected, message)));
    ASSERT_TRUE(
        google::protobuf::util::JsonStringToMessage(encode_export_response(WireFormat::kJson, rejected, message), &json)
            .ok());
    EXPECT_EQ(binary.SerializeAsString(), json.SerializeAsString());
    EXPECT_EQ(binary.has_partial_success(), rejected > 0 || !message.empty());
    EXPECT_EQ(binary.partial_success().rejected_spans(), static_cast<int64_t>(rejected));
  }
}

}  // namespace
}  // namespace clew::api
