#include "api/http_router.h"

#include <gtest/gtest.h>

namespace clew::api {
namespace {

struct Answer {
  HttpResponse response;
  int calls = 0;
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }
};

Answer ask(const HttpRouter& router, std::string method, std::string_view target) {
  auto request = std::make_shared<HttpRequest>();
  request->method = std::move(method);
  request->set_target(target);
  Answer answer;
  router.dispatch(request, [&answer](HttpResponse response) {
    answer.response = std::move(response);
    ++answer.calls;
  });
  EXPECT_EQ(answer.calls, 1);
  return answer;
}

HttpHandler echo(std::string name) {
  return [name = std::move(name)](const std::shared_ptr<const HttpRequest>& request, HttpDone done) {
    HttpResponse response;
    response.body = name;
    for (const auto& [key, value] : request->segments) response.body.append(" ").append(key).append("=").append(value);
    done(std::move(response));
  };
}

TEST(HttpRouter, LiteralSegmentBeatsVariable) {
  HttpRouter router;
  router.add("GET", "/api/traces/{id}", echo("one"));
  router.add("GET", "/api/traces/summary", echo("summary"));
  EXPECT_EQ(ask(router, "GET", "/api/traces/summary").response.body, "summary");
  EXPECT_EQ(ask(router, "GET", "/api/traces/ab?x=1").response.body, "one id=ab");
}

TEST(HttpRouter, EncodedSlashStaysInItsSegment) {
  HttpRouter router;
  router.add("GET", "/api/services/{service}/operations", echo("ops"));
  EXPECT_EQ(ask(router, "GET", "/api/services/a%2Fb%20c+d/operations").response.body, "ops service=a/b c+d");
}

TEST(HttpRouter, OtherMethodIs405WithAllow) {
  HttpRouter router;
  router.add("GET", "/a", echo("get"));
  router.add("POST", "/b", echo("post"));
  const Answer wrong = ask(router, "DELETE", "/a");
  EXPECT_EQ(wrong.response.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(ask(router, "GET", "/b").header("Allow"), "OPTIONS, POST");
  EXPECT_EQ(ask(router, "OPTIONS", "/a").response.status, 204);
}

TEST(HttpRouter, HeadIsAnsweredByGet) {
  HttpRouter router;
  router.add("GET", "/a", echo("get"));
  EXPECT_EQ(ask(router, "HEAD", "/a").response.body, "get");
}

TEST(HttpRouter, UnknownPathIs404AndEmptyVariableDoesNotMatch) {
  HttpRouter router;
  router.add("GET", "/a/{x}", echo("a"));
  EXPECT_EQ(ask(router, "GET", "/zz").response.status, 404);
  EXPECT_EQ(ask(router, "GET", "/a/").response.status, 404);
  EXPECT_EQ(ask(router, "GET", "/a/b/c").response.status, 404);
  EXPECT_EQ(ask(router, "GET", "/a/b/").response.status, 200);
}

TEST(HttpMessage, BrokenEscapesStayAsWritten) {
  EXPECT_EQ(url_decode("a%2", true), "a%2");
  EXPECT_EQ(url_decode("%zz%41%", true), "%zzA%");
  EXPECT_EQ(url_decode("a+b", false), "a+b");
}

TEST(HttpMessage, RepeatedParametersKeepTheirOrder) {
  HttpRequest request;
  request.method = "GET";
  request.set_target("http://host:1/p?tag=a%3A1&tag=b&empty=&&flag&t=2020-01-01T00:00:00+02:00#frag");
  EXPECT_EQ(request.path(), "/p");
  EXPECT_EQ(request.params().all("tag"), (std::vector<std::string>{"a:1", "b"}));
  EXPECT_EQ(request.params().get("empty"), "");
  EXPECT_EQ(request.params().get("flag"), "");
  EXPECT_EQ(request.params().get_raw("t"), "2020-01-01T00:00:00+02:00");
  EXPECT_FALSE(request.params().get("absent"));
}

TEST(HttpMessage, ViewsSurviveAMove) {
  HttpRequest request;
  request.set_target("/p?x=1");
  const HttpRequest moved = std::move(request);
  EXPECT_EQ(moved.path(), "/p");
  EXPECT_EQ(moved.params().get("x"), "1");
}

TEST(HttpMessage, AcceptIsDecidedByQualityThenOrder) {
  const std::string_view pb = "application/protobuf", json = "application/json";
  EXPECT_TRUE(accept_prefers("application/protobuf", pb, json));
  EXPECT_TRUE(accept_prefers("application/protobuf, application/json", pb, json));
  EXPECT_FALSE(accept_prefers("application/json, application/protobuf", pb, json));
  EXPECT_TRUE(accept_prefers("application/json;q=0.5, application/protobuf", pb, json));
  EXPECT_FALSE(accept_prefers("*/*", pb, json));
  EXPECT_FALSE(accept_prefers("", pb, json));
}

TEST(HttpRouter, APathIsOpenWhenEveryRouteThatTakesItIs) {
  HttpRouter router;
  const auto nothing = [](std::shared_ptr<const HttpRequest>, HttpDone) {};
  router.add("GET", "/assets/{file}", nothing, Access::kAnyone);
  router.add("GET", "/half", nothing, Access::kAnyone);
  router.add("POST", "/half", nothing);
  router.add("GET", "/secret", nothing);
  EXPECT_TRUE(router.open_to_anyone("/assets/x.js"));
  EXPECT_FALSE(router.open_to_anyone("/assets/x/y"));
  EXPECT_FALSE(router.open_to_anyone("/half"));
  EXPECT_FALSE(router.open_to_anyone("/secret"));
  EXPECT_FALSE(router.open_to_anyone("/nowhere"));
}

}  // namespace
}  // namespace clew::api
