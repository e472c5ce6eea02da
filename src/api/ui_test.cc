#include "api/ui.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "otlp/inflate.h"

namespace clew::api {
namespace {

const std::string kPage = "<!doctype html><title>page</title>";
const std::string kScript = "console.log('clew');";

std::string packed(const std::string& text) {
  std::string out;
  EXPECT_TRUE(otlp::deflate(otlp::Encoding::kGzip, text, out).ok());
  return out;
}

class Ui : public testing::Test {
 protected:
  Ui() { add_ui_routes(router_, files_); }

  HttpResponse get(const std::string& target, std::vector<std::pair<std::string, std::string>> headers = {}) const {
    auto request = std::make_shared<HttpRequest>();
    request->method = "GET";
    request->set_target(target);
    request->headers = std::move(headers);
    HttpResponse answer;
    router_.dispatch(request, [&](HttpResponse response) { answer = std::move(response); });
    return answer;
  }
  static std::string header(const HttpResponse& response, std::string_view name) {
    std::string found;
    for (const auto& [key, value] : response.headers) {
      if (key == name) found = value;
    }
    return found;
  }

  const std::string page_gzip_ = packed(kPage), script_gzip_ = packed(kScript);
  const std::vector<UiFile> files_ = {
      {"index.html", "text/html; charset=utf-8", "aaaa", page_gzip_, "page-br", static_cast<uint32_t>(kPage.size())},
      {"assets/index-1.js", "text/javascript; charset=utf-8", "bbbb", script_gzip_, "script-br",
       static_cast<uint32_t>(kScript.size())}};
  HttpRouter router_;
};

TEST_F(Ui, ThePageIsAskedForAnewAndItsPartsAreKept) {
  const HttpResponse page = get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, kPage);
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_EQ(header(page, "Cache-Control"), "no-cache");
  const HttpResponse script = get("/assets/index-1.js?x=1");
  EXPECT_EQ(script.body, kScript);
  EXPECT_EQ(header(script, "Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(header(script, "Vary"), "Accept-Encoding");
}

TEST_F(Ui, LoadsNothingFromElsewhereAndIsNotFramed) {
  for (const char* target : {"/", "/assets/index-1.js"}) {
    const HttpResponse response = get(target);
    const std::string policy = header(response, "Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
    EXPECT_NE(policy.find("script-src 'self'"), std::string::npos);
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(policy.find("http"), std::string::npos);
    EXPECT_EQ(header(response, "X-Content-Type-Options"), "nosniff");
  }
}

TEST_F(Ui, TheClientsBestCodingIsSentAsItIsKept) {
  const HttpResponse brotli = get("/", {{"accept-encoding", "gzip, deflate, br, zstd"}});
  EXPECT_EQ(brotli.body, "page-br");
  EXPECT_EQ(header(brotli, "Content-Encoding"), "br");
  const HttpResponse gzip = get("/", {{"accept-encoding", "gzip;q=0.5, br;q=0"}});
  EXPECT_EQ(gzip.body, page_gzip_);
  EXPECT_EQ(header(gzip, "Content-Encoding"), "gzip");
  EXPECT_EQ(header(get("/", {{"accept-encoding", "identity"}}), "Content-Encoding"), "");
}

TEST_F(Ui, AMatchingTagAnswersNotModified) {
  for (const char* coding : {"br", "gzip", ""}) {
    const std::string tag = header(get("/", {{"accept-encoding", coding}}), "ETag");
    EXPECT_EQ(tag.front(), '"');
    for (const std::string& known : {tag, "W/" + tag, "\"other\", " + tag, std::string("*")}) {
      const HttpResponse again = get("/", {{"accept-encoding", coding}, {"if-none-match", known}});
      EXPECT_EQ(again.status, 304) << known;
      EXPECT_EQ(again.body, "");
      EXPECT_EQ(header(again, "ETag"), tag);
    }
    EXPECT_EQ(get("/", {{"accept-encoding", coding}, {"if-none-match", "\"other\""}}).status, 200);
  }
  EXPECT_NE(header(get("/", {{"accept-encoding", "br"}}), "ETag"), header(get("/"), "ETag"));
}

TEST_F(Ui, OnlyWhatIsInTheTableIsFound) {
  for (const char* target :
       {"/assets/", "/assets/other.js", "/assets/../index.html", "/assets/..%2findex.html", "/assets/%2e%2e/index.html",
        "/assets/..%5c..%5cetc", "/assets//index-1.js", "/assets/index-1.js%00", "/assets/assets%2findex-1.js",
        "/index.html", "/assets/INDEX-1.js"}) {
    EXPECT_EQ(get(target).status, 404) << target;
  }
}

TEST_F(Ui, LinksToJaegersPageLeadToTheSamePlaceHere) {
  const HttpResponse moved = get("/trace/00ab");
  EXPECT_EQ(moved.status, 302);
  EXPECT_EQ(header(moved, "Location"), "../#/trace/000000000000000000000000000000ab");
  EXPECT_EQ(header(get("/search?service=x"), "Location"), "./#/search");
  EXPECT_EQ(header(get("/trace/00ab/"), "Location"), "../../#/trace/000000000000000000000000000000ab");
  EXPECT_EQ(header(get("/search/"), "Location"), "../#/search");
  const HttpResponse bad = get("/trace/%22%3E%3Cscript%3E");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.content_type, "text/plain; charset=utf-8");
}

TEST_F(Ui, NeedsNoToken) {
  for (const char* path : {"/", "/assets/index-1.js", "/trace/1", "/search"}) EXPECT_TRUE(router_.open_to_anyone(path));
  EXPECT_FALSE(router_.open_to_anyone("/clew/v1/search"));
}

TEST(UiWithoutFiles, SaysThatThisBuildHasNone) {
  HttpRouter router;
  add_ui_routes(router, {});
  auto request = std::make_shared<HttpRequest>();
  request->method = "GET";
  request->set_target("/");
  HttpResponse answer;
  router.dispatch(request, [&](HttpResponse response) { answer = std::move(response); });
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(answer.body.find("-DCLEW_UI=OFF"), std::string::npos);
}

}  // namespace
}  // namespace clew::api
