// The key-value store over HTTP. Whole replies are compared with src/api/testdata/kv_*.json; to write them anew:
// CLEW_UPDATE_GOLDEN=1 build/release/api_test --gtest_filter='KvView*', then read the difference.
#include "api/kv_view.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <sstream>

#include "api/etcd/single_node_test.h"

namespace clew::api {
namespace {

class KvView : public testing::Test {
 protected:
  KvView() { add_kv_routes(router_, node_); }

  kv::Response run(kv::Request request) {
    std::promise<kv::Response> answer;
    node_.execute(kv::Space::kUser, std::move(request), {},
                  [&](std::variant<control::CallReply, control::CallError> a) {
                    const auto* reply = std::get_if<control::CallReply>(&a);
                    EXPECT_NE(reply, nullptr);
                    answer.set_value(reply == nullptr ? kv::Response() : reply->response);
                  });
    return answer.get_future().get();
  }
  void put(std::string key, std::string value, kv::LeaseId lease = kv::kNoLease) {
    run(kv::PutRequest{.key = std::move(key), .value = std::move(value), .lease = lease});
  }
  HttpResponse get(const std::string& query) const {
    auto request = std::make_shared<HttpRequest>();
    request->method = "GET";
    request->set_target("/api/clew/kv" + query);
    request->tenant = "default";
    std::promise<HttpResponse> answer;
    router_.dispatch(request, [&](HttpResponse response) { answer.set_value(std::move(response)); });
    return answer.get_future().get();
  }
  void expect_golden(const std::string& name, const std::string& query) const {
    const HttpResponse response = get(query);
    EXPECT_EQ(response.status, 200) << response.body;
    const std::string path = std::string(CLEW_SOURCE_DIR) + "/src/api/testdata/" + name;
    if (std::getenv("CLEW_UPDATE_GOLDEN")) std::ofstream(path) << response.body << "\n";
    std::ifstream file(path);
    std::stringstream golden;
    golden << file.rdbuf();
    EXPECT_EQ(response.body + "\n", golden.str()) << name;
  }
  // What a list tells, in short: folders end with their delimiter.
  static std::string names(const HttpResponse& response) {
    std::string all;
    for (std::string_view rest = response.body; !rest.empty();) {
      const size_t at = rest.find(R"({")");
      if (at == std::string_view::npos) break;
      rest.remove_prefix(at + 2);
      if (!rest.starts_with("key\":\"") && !rest.starts_with("folder\":\"")) continue;
      rest.remove_prefix(rest.find(':') + 2);
      all += (all.empty() ? "" : " ") + std::string(rest.substr(0, rest.find('"')));
    }
    return all;
  }
  static std::string next(const HttpResponse& response) {
    const size_t at = response.body.find(R"("next":")");
    if (at == std::string::npos) return "";
    return response.body.substr(at + 8, response.body.find('"', at + 8) - at - 8);
  }

  etcd::test::SingleNode node_;
  HttpRouter router_;
};

TEST_F(KvView, WholeReplies) {
  run(kv::LeaseGrantRequest{.id = kv::LeaseId{0x5d2f}, .ttl_s = 60});
  put("config/web/limits", R"({"rps":100})");
  put("config/web/name", "été");
  put("config/top", "v1", kv::LeaseId{0x5d2f});
  put("config/top", "v2", kv::LeaseId{0x5d2f});
  put(std::string("config/\xff\0bytes", 14), std::string("\x00\xfe", 2));
  put("elsewhere", "");
  expect_golden("kv_folders.json", "?prefix=config/&delimiter=/");
  expect_golden("kv_flat.json", "?prefix=config/web/");
  expect_golden("kv_revision.json", "?prefix=config/&revision=4&consistency=sequential");
  expect_golden("kv_value.json", "?key=config/top");
  expect_golden("kv_value_cut.json", "?key=config/web/limits&bytes=4");
  expect_golden("kv_value_bytes.json", "?key=config/%FF%00bytes");
  expect_golden("kv_value_before.json", "?key=config/top&revision=4");
}

TEST_F(KvView, PagesGoOnWhereTheLastOneEnded) {
  for (int i = 0; i < 9; ++i) put("k" + std::to_string(i), "v");
  std::string all, from;
  int pages = 0;
  do {
    const HttpResponse page = get("?prefix=k&limit=4&from=" + from);
    all += names(page) + " ";
    from = next(page);
    if (!from.empty()) from = from.substr(0, 2) + "%00";  // the JSON says it as \u0000
    ++pages;
  } while (!from.empty());
  EXPECT_EQ(all, "k0 k1 k2 k3 k4 k5 k6 k7 k8 ");
  EXPECT_EQ(pages, 3);
}

TEST_F(KvView, AFolderIsSteppedOverHoweverMuchItHolds) {
  for (int i = 0; i < 500; ++i) put("a/big/" + std::to_string(i), "v");
  for (int i = 0; i < 70; ++i) put("b" + std::to_string(100 + i) + "/x", "v");
  put("c", "v");
  const HttpResponse page = get("?delimiter=/&limit=3");
  EXPECT_EQ(names(page), "a/ b100/ b101/");
  EXPECT_EQ(next(page), "b1010");  // behind every key that begins with "b101/"
  EXPECT_EQ(names(get("?delimiter=/&limit=500&from=b165")), "b165/ b166/ b167/ b168/ b169/ c");
  EXPECT_EQ(names(get("?prefix=a/&delimiter=/")), "a/big/");
}

TEST_F(KvView, APageThatEndsWithTheLastFolderHasNoNext) {
  for (int i = 0; i < 200; ++i) put("a/" + std::to_string(i), "v");
  const HttpResponse page = get("?delimiter=/&limit=1");
  EXPECT_EQ(names(page), "a/");
  EXPECT_EQ(next(page), "");
}

TEST_F(KvView, AListEndsAfterItsBoundOfReads) {
  for (uint32_t i = 0; i < kKvMaxSteps + 50; ++i) {
    for (int k = 0; k < kKvStepKeys + 1; ++k) put("f" + std::to_string(1000 + i) + "/" + std::to_string(k), "v");
  }
  const HttpResponse page = get("?delimiter=/&limit=500");
  EXPECT_EQ(page.status, 200);
  EXPECT_FALSE(next(page).empty());
  EXPECT_EQ(names(get("?delimiter=/&limit=500&from=f1249/9")), "f1249/");
}

TEST_F(KvView, AllStepsOfAPageReadOneRevision) {
  for (int i = 0; i < 100; ++i) put("k" + std::to_string(100 + i), "v");
  const HttpResponse page = get("?prefix=k&limit=100&consistency=lease");
  EXPECT_NE(page.body.find(R"("revision":"101","readRevision":"101")"), std::string::npos) << page.body.substr(0, 200);
  EXPECT_NE(page.body.find(R"("consistency":"lease")"), std::string::npos);
  EXPECT_EQ(node_.last_options().consistency, control::Consistency::kSequential) << "the steps after the first";
}

TEST_F(KvView, ConsistencyReachesTheStore) {
  put("k", "v");
  get("?key=k");
  EXPECT_EQ(node_.last_options().consistency, control::Consistency::kLinearizable);
  node_.set_leader(false);
  EXPECT_EQ(get("?key=k").status, 503);
  EXPECT_EQ(get("?key=k&consistency=sequential").status, 200);
}

TEST_F(KvView, WhatCannotBeAnsweredIsRefusedWithTheReason) {
  put("k", "v");
  for (const char* bad : {"?key=", "?key=k&prefix=k", "?limit=x", "?bytes=-1", "?revision=-3", "?revision=now",
                          "?consistency=eventual", "?prefx=k", "?key=k&revision=99"}) {
    const HttpResponse response = get(bad);
    EXPECT_EQ(response.status, 400) << bad << response.body;
    EXPECT_TRUE(response.body.starts_with(R"({"error":{"code":")")) << response.body;
  }
  EXPECT_EQ(get("?key=nothing").status, 404);
  EXPECT_EQ(get("?key=k&revision=1").status, 404) << "before it was created";
  run(kv::PutRequest{.key = "k", .value = "w"});
  run(kv::CompactRequest{.revision = 3});
  const HttpResponse compacted = get("?prefix=k&revision=2");
  EXPECT_EQ(compacted.status, 400);
  EXPECT_NE(compacted.body.find("compacted"), std::string::npos) << compacted.body;
}

}  // namespace
}  // namespace clew::api
