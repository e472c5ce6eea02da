#include "app/http_client.h"

#include <gtest/gtest.h>

namespace clew::app {
namespace {

HttpResponse reply(int status, std::string body, std::string type) {
  return {status, std::move(body), std::move(type), {}};
}

TEST(HttpClient, ARefusalIsReadWhateverItsFormat) {
  const std::string status("\x08\x10\x12\x0fno bearer token", 19);
  EXPECT_EQ(error_text(reply(401, status, "application/x-protobuf")),
            "HTTP 401: no bearer token; give --token or CLEW_TOKEN");
  EXPECT_EQ(error_text(reply(401, R"({"message":"no bearer token; send it"})", "application/json")),
            "HTTP 401: no bearer token; give --token or CLEW_TOKEN");
  EXPECT_EQ(error_text(reply(400, status, "application/x-protobuf")), "HTTP 400: no bearer token");
  EXPECT_EQ(error_text(reply(400, R"({"message":"what"})", "application/json")), "what");
  EXPECT_EQ(error_text(reply(400, std::string("\xff\xff\x01", 3), "application/x-protobuf")), "HTTP 400");
  EXPECT_EQ(error_text(reply(500, "plain\n", "text/plain")), "HTTP 500: plain?");
  EXPECT_EQ(otlp_error_text(reply(404, "", "text/plain")), "HTTP 404: this is not an OTLP/HTTP port (default 4318)");
}

}  // namespace
}  // namespace clew::app
