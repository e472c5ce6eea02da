// A node on a simulated machine, for tests of this folder: virtual time, a simulated disk that can lose its power, no
// socket. Single-threaded.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "cluster/node.h"
#include "cluster/test_spans.h"
#include "sim/disk.h"
#include "sim/loop.h"
#include "sim/random.h"
#include "store/embedded_store.h"

namespace clew::cluster {

using model::SpanId;
using model::TraceId;
using model::TraceState;

constexpr int64_t kSecond = 1'000'000'000;

// One node on a simulated machine, which can lose its power.
class Machine {
 public:
  Machine() { options_.data_directory = "/data"; }

  Node::Ports ports() {
    loop_ = std::make_unique<sim::SimLoop>(scheduler_);
    Node::Ports ports;
    ports.loops = {loop_.get()};
    ports.disk = forgetful_ ? static_cast<env::Disk*>(&forgetful_disk_) : &disk_;
    ports.random = &random_;
    ports.open_store = [this](env::Disk& disk,
                              const StoreOptions& options) -> Result<std::unique_ptr<store::SpanStore>> {
      store::EmbeddedOptions embedded;
      embedded.directory = options.directory;
      embedded.retention = options.retention;
      CLEW_ASSIGN(auto opened, store::EmbeddedStore::open(disk, embedded, [this](const std::string& damage) {
                    if (!forgetful_) ADD_FAILURE() << damage;
                  }));
      std::unique_ptr<store::SpanStore> store = std::move(opened);
      return wrap_store_ ? wrap_store_(std::move(store)) : std::move(store);
    };
    ports.report = [this](const std::string& what) { reports_.push_back(what); };
    return ports;
  }
  void start() {
    auto node = Node::open(ports(), options_, &replay_, [this](Status status) { halted_ = std::move(status); });
    ASSERT_TRUE(node.ok()) << node.status().to_string();
    node_ = std::move(node).value();
  }
  void cut_power(uint64_t seed) {
    if (loop_) loop_->kill();
    node_.reset();
    loop_.reset();
    disk_.crash_and_restart(seed);
  }
  void run(int64_t duration_ns) { scheduler_.run_for(duration_ns); }

  IngestReply ingest(std::string body, std::string tenant = "default") {
    std::optional<IngestReply> reply;
    node_->ingest({std::move(tenant), std::make_shared<const std::string>(std::move(body))},
                  [&](IngestReply r) { reply = std::move(r); });
    scheduler_.run_until([&] { return reply.has_value(); });
    EXPECT_TRUE(reply.has_value());
    return reply.value_or(IngestReply{Error{Code::kUnknown, "no answer"}});
  }
  std::unique_ptr<model::TraceData> trace(TraceId id, std::string_view tenant = "default") {
    std::unique_ptr<model::TraceData> found;
    bool answered = false;
    node_->trace(model::tenant_id(tenant), id, [&](Result<std::unique_ptr<model::TraceData>> result) {
      answered = true;
      if (result.ok()) {
        found = std::move(result).value();
      } else {
        EXPECT_EQ(result.error().code, Code::kNotFound) << result.error().message;
      }
    });
    scheduler_.run_until([&] { return answered; });
    EXPECT_TRUE(answered);
    return found;
  }
  SearchPage search(store::TraceQuery query) {
    std::optional<Result<SearchPage>> page;
    query.tenant = model::tenant_id("default");
    node_->search(std::move(query), [&](Result<SearchPage> result) { page.emplace(std::move(result)); });
    scheduler_.run_until([&] { return page.has_value(); });
    EXPECT_TRUE(page.has_value() && page->ok());
    return page.has_value() && page->ok() ? std::move(page->value()) : SearchPage{};
  }
  store::Vocabulary services(store::NameFilter wanted) {
    std::optional<Result<store::Vocabulary>> names;
    node_->services(model::tenant_id("default"), INT64_MIN, INT64_MAX, std::move(wanted),
                    [&](Result<store::Vocabulary> result) { names.emplace(std::move(result)); });
    scheduler_.run_until([&] { return names.has_value(); });
    EXPECT_TRUE(names.has_value() && names->ok());
    return names.has_value() && names->ok() ? std::move(names->value()) : store::Vocabulary{};
  }
  FoundTraces search_traces(TraceBounds bounds) {
    std::optional<Result<FoundTraces>> found;
    store::TraceQuery query;
    query.tenant = model::tenant_id("default");
    node_->search_traces(std::move(query), bounds,
                         [&](Result<FoundTraces> result) { found.emplace(std::move(result)); });
    scheduler_.run_until([&] { return found.has_value(); });
    EXPECT_TRUE(found.has_value() && found->ok());
    return found.has_value() && found->ok() ? std::move(found->value()) : FoundTraces{};
  }
  NodeStats stats() {
    std::optional<NodeStats> stats;
    node_->stats([&](Result<NodeStats> result) { stats = std::move(result).value(); });
    scheduler_.run_until([&] { return stats.has_value(); });
    return stats.value();
  }

  sim::Scheduler scheduler_;
  sim::SimDisk disk_;
  sim::ForgetfulDisk forgetful_disk_{disk_};
  bool forgetful_ = false;  // runs on forgetful_disk_: its syncs report success and do nothing
  sim::SimRandom random_{7};
  NodeOptions options_;
  std::function<std::unique_ptr<store::SpanStore>(std::unique_ptr<store::SpanStore>)> wrap_store_;  // may be empty
  ReplayTotals replay_;
  Status halted_;
  std::vector<std::string> reports_;
  std::unique_ptr<sim::SimLoop> loop_;
  std::unique_ptr<Node> node_;
};

inline TraceId trace_id(uint64_t n) { return {0x1000 + n, 0x2000 + n * 7}; }
inline SpanId span_id(uint64_t n) { return {0x9000 + n}; }

inline std::string whole_trace(uint64_t n, int64_t start_ns = 1'760'000'000 * kSecond) {
  TestRequest request("frontend");
  request.span(
      {.trace = trace_id(n), .id = span_id(1), .name = "GET /", .start_ns = start_ns, .end_ns = start_ns + 1000});
  request.span({.trace = trace_id(n),
                .id = span_id(2),
                .parent = span_id(1),
                .name = "query",
                .start_ns = start_ns + 10,
                .end_ns = start_ns + 500});
  return request.bytes();
}

}  // namespace clew::cluster
