// The whole data path of a node in the simulator: virtual time, a simulated disk, no socket.
#include "cluster/node.h"

#include <gtest/gtest.h>

#include <map>

#include "cluster/machine_test.h"
#include "cluster/shard_search.h"

namespace clew::cluster {
namespace {

TEST(Node, acknowledged_span_is_readable_at_once) {
  Machine machine;
  machine.start();
  const IngestReply reply = machine.ingest(whole_trace(1));
  ASSERT_TRUE(reply.status.ok()) << reply.status.to_string();
  EXPECT_EQ(reply.accepted, 2u);
  const auto trace = machine.trace(trace_id(1));
  ASSERT_NE(trace, nullptr);
  EXPECT_EQ(trace->spans.size(), 2u);
  EXPECT_EQ(trace->history.back().state, TraceState::kActive);
}

TEST(Node, whole_trace_is_complete_after_the_quiet_period_without_further_arrivals) {
  Machine machine;
  machine.start();
  machine.ingest(whole_trace(1));
  machine.run(6 * kSecond);
  EXPECT_EQ(machine.trace(trace_id(1))->history.back().state, TraceState::kComplete);
  machine.run(30 * kSecond);  // sealed by now
  const auto trace = machine.trace(trace_id(1));
  EXPECT_EQ(trace->history.back().state, TraceState::kComplete);
  EXPECT_EQ(trace->history.size(), 1u);
  EXPECT_EQ(trace->spans.size(), 2u);
  const NodeStats stats = machine.stats();
  EXPECT_EQ(stats.open_rows, 0u);
  EXPECT_EQ(stats.store.spans, 2u);
  EXPECT_EQ(stats.verdicts_complete, 1u);
}

TEST(Node, trace_without_its_parent_times_out_and_names_what_is_missing) {
  Machine machine;
  machine.start();
  TestRequest request("backend");
  request.span({.trace = trace_id(2), .id = span_id(2), .parent = span_id(1), .name = "orphan"});
  machine.ingest(request.bytes());
  machine.run(10 * kSecond);
  EXPECT_EQ(machine.trace(trace_id(2))->history.back().state, TraceState::kCollecting);
  machine.run(60 * kSecond);
  const auto trace = machine.trace(trace_id(2));
  EXPECT_EQ(trace->history.back().state, TraceState::kTimedOut);
  ASSERT_EQ(trace->history.back().missing_parents.size(), 1u);
  EXPECT_EQ(trace->history.back().missing_parents[0], span_id(1));
  EXPECT_EQ(machine.stats().open_rows, 0u);
}

TEST(Node, late_span_appends_a_newer_verdict) {
  Machine machine;
  machine.start();
  TestRequest early("backend");
  early.span({.trace = trace_id(3), .id = span_id(2), .parent = span_id(1), .name = "child"});
  machine.ingest(early.bytes());
  machine.run(90 * kSecond);
  TestRequest late("frontend");
  late.span({.trace = trace_id(3), .id = span_id(1), .name = "root"});
  machine.ingest(late.bytes());
  EXPECT_EQ(machine.trace(trace_id(3))->spans.size(), 2u);
  machine.run(90 * kSecond);
  const auto trace = machine.trace(trace_id(3));
  ASSERT_EQ(trace->history.size(), 2u);
  EXPECT_EQ(trace->history[0].state, TraceState::kTimedOut);
  EXPECT_EQ(trace->history[1].state, TraceState::kComplete);
  EXPECT_EQ(trace->history[1].late_spans, 1u);
  EXPECT_EQ(trace->spans.size(), 2u);
  EXPECT_EQ(trace->summary.state, TraceState::kComplete);
}

TEST(Node, retry_stores_nothing_twice_before_and_after_the_seal) {
  Machine machine;
  machine.start();
  machine.ingest(whole_trace(4));
  machine.ingest(whole_trace(4));
  EXPECT_EQ(machine.trace(trace_id(4))->spans.size(), 2u);
  machine.run(60 * kSecond);
  machine.ingest(whole_trace(4));
  machine.run(60 * kSecond);
  EXPECT_EQ(machine.trace(trace_id(4))->spans.size(), 2u);
  EXPECT_EQ(machine.trace(trace_id(4))->history.size(), 1u);
  EXPECT_EQ(machine.stats().store.spans, 2u);
  EXPECT_EQ(machine.stats().duplicate_spans, 4u);
}

TEST(Node, same_id_with_other_content_keeps_both_and_is_a_finding) {
  Machine machine;
  machine.start();
  TestRequest request("frontend");
  request.span({.trace = trace_id(5), .id = span_id(1), .name = "one"});
  request.span({.trace = trace_id(5), .id = span_id(1), .name = "other"});
  machine.ingest(request.bytes());
  machine.run(60 * kSecond);
  const auto trace = machine.trace(trace_id(5));
  EXPECT_EQ(trace->spans.size(), 2u);
  bool found = false;
  for (const model::Finding& finding : trace->history.back().findings) {
    found = found || finding.kind == model::FindingKind::kDuplicateId;
  }
  EXPECT_TRUE(found);
}

TEST(Node, tenant_does_not_see_anothers_trace) {
  Machine machine;
  machine.start();
  machine.ingest(whole_trace(6), "alice");
  EXPECT_EQ(machine.trace(trace_id(6), "bob"), nullptr);
  machine.run(60 * kSecond);
  EXPECT_EQ(machine.trace(trace_id(6), "bob"), nullptr);
  ASSERT_NE(machine.trace(trace_id(6), "alice"), nullptr);
}

TEST(Node, malformed_request_is_refused_whole) {
  Machine machine;
  machine.start();
  std::string body = whole_trace(7);
  body.resize(body.size() - 3);
  const IngestReply reply = machine.ingest(body);
  EXPECT_EQ(reply.status.code(), Code::kInvalidArgument);
  EXPECT_EQ(machine.trace(trace_id(7)), nullptr);
}

TEST(Node, search_finds_open_and_stored_traces_newest_first_and_pages_without_gap) {
  Machine machine;
  machine.start();
  const int64_t base = 1'760'000'000 * kSecond;
  for (uint64_t n = 0; n < 30; ++n) machine.ingest(whole_trace(n, base + static_cast<int64_t>(n) * kSecond));
  machine.run(60 * kSecond);
  for (uint64_t n = 30; n < 50; ++n) machine.ingest(whole_trace(n, base + static_cast<int64_t>(n) * kSecond));
  store::TraceQuery query;
  query.where.field = store::Field::kName;
  query.where.literal = {.type = store::Literal::Type::kString, .text = "query"};
  query.limit = 7;
  std::vector<TraceId> seen;
  while (true) {
    const SearchPage page = machine.search(query);
    for (const store::TraceHit& hit : page.hits) seen.push_back(hit.key.trace);
    if (!page.more) break;
    query.after = page.next;
  }
  ASSERT_EQ(seen.size(), 50u);
  for (uint64_t n = 0; n < 50; ++n) EXPECT_EQ(seen[n], trace_id(49 - n)) << n;
}

TEST(Node, search_shows_what_is_selected_of_open_and_stored_spans_alike) {
  Machine machine;
  machine.start();
  const auto send = [&](uint64_t n) {
    TestRequest request("shop");
    request.span({.trace = trace_id(n),
                  .id = span_id(1),
                  .name = "pay",
                  .kind = 2,
                  .attributes = {{"order", "no " + std::to_string(n)}}});
    ASSERT_TRUE(machine.ingest(request.bytes()).status.ok());
  };
  send(1);
  machine.run(60 * kSecond);
  ASSERT_EQ(machine.stats().open_rows, 0u);
  send(2);
  store::TraceQuery query;
  query.select = {{store::Field::kAttribute, "order"},
                  {store::Field::kKind, ""},
                  {store::Field::kResource, "service.name"},
                  {store::Field::kAny, "absent"}};
  const SearchPage page = machine.search(query);
  ASSERT_EQ(page.hits.size(), 2u);
  for (const store::TraceHit& hit : page.hits) {
    ASSERT_EQ(hit.spans.size(), 1u);
    const auto& values = hit.spans[0].selected;
    ASSERT_EQ(values.size(), 4u);
    EXPECT_EQ(values[0].bytes, hit.key.trace == trace_id(1) ? "no 1" : "no 2");
    EXPECT_EQ(values[1].bytes, "server");
    EXPECT_EQ(values[2].bytes, "shop");
    EXPECT_EQ(values[3].type, model::ValueType::kEmpty);
  }
}

TEST(Node, names_that_are_wanted_are_found_among_open_and_stored_spans_the_best_first) {
  Machine machine;
  machine.start();
  const auto one = [&](uint64_t n, const std::string& service) {
    TestRequest request(service);
    request.span({.trace = trace_id(n), .id = span_id(1), .name = "x"});
    machine.ingest(request.bytes());
  };
  for (uint64_t n = 0; n < 20; ++n) one(n, "a-cart-" + std::to_string(n));
  one(20, "cart-old");
  machine.run(60 * kSecond);  // those are stored, these are open
  one(21, "Cart-new");
  one(22, "dog");
  using Names = std::vector<std::string>;
  const store::Vocabulary best = machine.services({.text = "cart", .most = 4});
  EXPECT_EQ(best.values, (Names{"Cart-new", "cart-old", "a-cart-0", "a-cart-1"}));
  EXPECT_TRUE(best.truncated);
  EXPECT_EQ(machine.services({.text = "DOG"}).values, Names{"dog"});
  EXPECT_EQ(machine.services({}).values.size(), 23u);
}

TEST(Node, whole_traces_of_a_search_end_before_the_one_that_would_pass_a_bound) {
  Machine machine;
  machine.start();
  const int64_t base = 1'760'000'000 * kSecond;
  for (uint64_t n = 0; n < 5; ++n) machine.ingest(whole_trace(n, base + static_cast<int64_t>(n) * kSecond));
  machine.run(60 * kSecond);  // stored
  for (uint64_t n = 5; n < 10; ++n) machine.ingest(whole_trace(n, base + static_cast<int64_t>(n) * kSecond));
  const FoundTraces all = machine.search_traces({});
  ASSERT_EQ(all.traces.size(), 10u);
  EXPECT_FALSE(all.bounded);
  uint64_t newest_bytes = 0;  // of the newest three
  for (size_t i = 0; i < 3; ++i) newest_bytes += memory_bytes_of(*all.traces[i]);

  for (const TraceBounds& bounds : {TraceBounds{.spans = 7}, TraceBounds{.bytes = newest_bytes}}) {
    const FoundTraces some = machine.search_traces(bounds);
    EXPECT_TRUE(some.bounded);
    EXPECT_EQ(some.found, 10u);
    ASSERT_EQ(some.traces.size(), 3u) << bounds.spans << " spans, " << bounds.bytes << " bytes";
    for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(some.traces[i]->key.trace, trace_id(9 - i));
  }
  for (const TraceBounds& bounds : {TraceBounds{.spans = 1}, TraceBounds{.bytes = 1}}) {
    EXPECT_EQ(machine.search_traces(bounds).traces.size(), 1u) << "the first is always given";
  }
  EXPECT_FALSE(machine.search_traces({.spans = 20}).bounded);
}

TEST(Node, restart_replays_what_was_acknowledged) {
  Machine machine;
  machine.start();
  for (uint64_t n = 0; n < 20; ++n) ASSERT_TRUE(machine.ingest(whole_trace(n)).status.ok());
  machine.cut_power(1);
  machine.start();
  EXPECT_EQ(machine.replay_.spans, 40u);
  for (uint64_t n = 0; n < 20; ++n) EXPECT_EQ(machine.trace(trace_id(n))->spans.size(), 2u);
  machine.run(60 * kSecond);
  machine.cut_power(2);
  machine.start();
  for (uint64_t n = 0; n < 20; ++n) EXPECT_EQ(machine.trace(trace_id(n))->spans.size(), 2u);
}

TEST(Node, spans_after_a_wholly_rejected_request_survive_the_restart) {
  Machine machine;
  machine.start();
  TestRequest broken("a-service-that-only-sends-nonsense");
  broken.span({.trace = trace_id(1), .id = span_id(1), .name = "\xff\xfe"});
  const IngestReply rejected = machine.ingest(broken.bytes());
  EXPECT_EQ(rejected.accepted, 0u);
  EXPECT_EQ(rejected.rejected, 1u);
  ASSERT_EQ(machine.ingest(whole_trace(2)).accepted, 2u);
  machine.cut_power(1);
  machine.start();
  EXPECT_TRUE(machine.replay_.damage.empty());
  const auto trace = machine.trace(trace_id(2));
  ASSERT_NE(trace, nullptr);
  EXPECT_EQ(trace->spans.size(), 2u);
}

TEST(Node, replay_of_more_than_memory_holds_seals_as_it_reads) {
  Machine machine;
  machine.options_.wal_file_bytes = 64 << 10;
  machine.options_.lifecycle = {
      .quiet_period_ns = 2 * kSecond, .trace_timeout_ns = 600 * kSecond, .max_open_ns = 600 * kSecond};
  machine.start();
  constexpr uint64_t kTraces = 1'500;
  for (uint64_t n = 0; n < kTraces; ++n) ASSERT_EQ(machine.ingest(whole_trace(n)).accepted, 2u);
  ASSERT_GT(machine.stats().wal_bytes, 2 * machine.options_.wal_file_bytes) << "the log must be of several files";
  machine.cut_power(1);
  machine.options_.memory_limit_bytes = 1 << 20;
  machine.start();
  ASSERT_NE(machine.node_, nullptr);
  EXPECT_LT(machine.stats().open_rows, 2 * kTraces);
  for (uint64_t n = 0; n < kTraces; n += 100) {
    const auto trace = machine.trace(trace_id(n));
    ASSERT_NE(trace, nullptr);
    EXPECT_EQ(trace->spans.size(), 2u);
  }
}

// The catastrophe of the data plane as one test: the power goes at every single change of the disk.
struct PowerCut {
  uint64_t ios = 0;           // changes of the disk in the whole script
  uint64_t acknowledged = 0;  // traces
  uint64_t lost = 0;          // of these, not whole after the restart
};

// Runs the script until the power goes at change `cut` (0: after its end), starts again and looks for every trace.
// `seed` decides what becomes of unsynced writes.
PowerCut cut_power_at(uint64_t cut, uint64_t seed, bool forgetful) {
  Machine machine;
  machine.forgetful_ = forgetful;
  machine.options_.seal_delay_ns = kSecond;
  machine.options_.lifecycle = {
      .quiet_period_ns = kSecond, .trace_timeout_ns = 2 * kSecond, .max_open_ns = 20 * kSecond};
  machine.options_.wal_file_bytes = 64 << 10;
  if (cut != 0) machine.disk_.crash_at_io(cut);
  std::map<uint64_t, bool> acknowledged;
  {
    auto node = Node::open(machine.ports(), machine.options_, nullptr, [](Status) {});
    if (node.ok()) {
      machine.node_ = std::move(node).value();
      for (uint64_t n = 0; n < 6 && !machine.disk_.crashed(); ++n) {
        acknowledged[n] = false;
        machine.node_->ingest({"default", std::make_shared<const std::string>(whole_trace(n))},
                              [&acknowledged, n](IngestReply reply) { acknowledged[n] = reply.status.ok(); });
        machine.run(700'000'000);
      }
      machine.run(8 * kSecond);
    }
  }
  PowerCut outcome;
  outcome.ios = machine.disk_.io_count();
  for (const auto& [n, acked] : acknowledged) outcome.acknowledged += acked ? 1 : 0;
  machine.cut_power(seed);
  auto node = Node::open(machine.ports(), machine.options_, nullptr, [](Status) {});
  if (!node.ok()) {
    EXPECT_TRUE(forgetful) << node.status().to_string();
    outcome.lost = outcome.acknowledged;
    return outcome;
  }
  machine.node_ = std::move(node).value();
  for (const auto& [n, acked] : acknowledged) {
    const auto trace = machine.trace(trace_id(n));
    if (acked && (trace == nullptr || trace->spans.size() != 2)) ++outcome.lost;
    // Unacknowledged, yet it may have reached the disk: then no more than what was sent.
    EXPECT_LE(trace == nullptr ? 0 : trace->spans.size(), 2u);
  }
  EXPECT_EQ(machine.trace(trace_id(99)), nullptr);
  return outcome;
}

TEST(Node, power_cut_at_every_io_loses_nothing_acknowledged_and_invents_nothing) {
  const uint64_t ios = cut_power_at(0, 1, false).ios;
  EXPECT_GT(ios, 20u);
  uint64_t acknowledged = 0;
  for (uint64_t cut = 1; cut <= ios; ++cut) {
    for (uint64_t fate = 0; fate < 4; ++fate) {
      SCOPED_TRACE("power cut at I/O " + std::to_string(cut) + ", fate of unsynced writes " + std::to_string(fate));
      const PowerCut outcome = cut_power_at(cut, cut * 4 + fate, false);
      ASSERT_EQ(outcome.lost, 0u) << "of " << outcome.acknowledged << " acknowledged traces";
      acknowledged += outcome.acknowledged;
    }
  }
  EXPECT_GT(acknowledged, ios) << "most cuts come after an acknowledgement";
}

// The mutant without fdatasync. Were nothing lost here, the test above would prove nothing.
TEST(Node, power_cuts_on_a_disk_whose_syncs_do_nothing_are_seen_to_lose_what_was_acknowledged) {
  const uint64_t ios = cut_power_at(0, 1, true).ios;
  uint64_t cuts_with_loss = 0;
  for (uint64_t cut = 1; cut <= ios; ++cut) cuts_with_loss += cut_power_at(cut, cut, true).lost > 0 ? 1 : 0;
  EXPECT_GT(cuts_with_loss, ios / 4);
}

TEST(Node, memory_stays_below_its_limit_and_refuses_as_retryable) {
  Machine machine;
  machine.options_.memory_limit_bytes = 24 << 20;
  machine.options_.lifecycle.quiet_period_ns = 1000 * kSecond;
  machine.options_.lifecycle.max_open_ns = 10'000 * kSecond;
  machine.start();
  uint64_t accepted = 0;
  for (uint64_t n = 0; n < 300; ++n) {
    TestRequest request("bulk");
    for (uint64_t i = 0; i < 200; ++i) {
      request.span({.trace = trace_id(n * 1000 + i),
                    .id = span_id(1),
                    .name = std::string(400, 'x') + std::to_string(n * 200 + i)});
    }
    const IngestReply reply = machine.ingest(request.bytes());
    if (reply.status.ok()) {
      accepted += reply.accepted;
    } else {
      EXPECT_EQ(reply.status.code(), Code::kUnavailable);
      EXPECT_GT(reply.retry_after_ms, 0u);
    }
    EXPECT_LE(machine.stats().memory_bytes, machine.options_.memory_limit_bytes);
    machine.run(50'000'000);
  }
  EXPECT_GT(machine.stats().store.spans, 0u) << "the oldest were spilled";
  machine.run(10 * kSecond);
  const NodeStats stats = machine.stats();
  EXPECT_EQ(stats.store.spans + stats.open_rows, accepted);
}

TEST(Node, full_disk_refuses_as_retryable_and_recovers_by_itself) {
  Machine machine;
  machine.start();
  ASSERT_TRUE(machine.ingest(whole_trace(1)).status.ok());
  machine.disk_.set_capacity(machine.disk_.used_bytes());
  bool refused = false;
  for (uint64_t n = 100; n < 4000 && !refused; ++n) {
    TestRequest request("bulk");
    for (uint64_t i = 0; i < 50; ++i) {
      request.span(
          {.trace = trace_id(n), .id = span_id(i + 1), .name = std::string(2000, 'y') + std::to_string(n * 50 + i)});
    }
    const IngestReply reply = machine.ingest(request.bytes());
    if (!reply.status.ok()) {
      EXPECT_EQ(reply.status.code(), Code::kUnavailable);
      refused = true;
    }
  }
  EXPECT_TRUE(refused);
  EXPECT_TRUE(machine.halted_.ok());
  machine.run(20 * kSecond);
  machine.disk_.set_capacity(UINT64_MAX);
  machine.run(20 * kSecond);
  EXPECT_TRUE(machine.ingest(whole_trace(2)).status.ok());
  machine.run(60 * kSecond);
  EXPECT_EQ(machine.trace(trace_id(1))->spans.size(), 2u);
  EXPECT_EQ(machine.trace(trace_id(2))->spans.size(), 2u);
}

TEST(Node, failed_sync_of_an_admitted_request_halts_and_never_acknowledges) {
  Machine machine;
  machine.start();
  ASSERT_TRUE(machine.ingest(whole_trace(1)).status.ok());
  machine.disk_.fail_sync(1);
  bool answered = false;
  machine.node_->ingest({"default", std::make_shared<const std::string>(whole_trace(2))},
                        [&](IngestReply reply) { answered = reply.status.ok(); });
  machine.run(kSecond);
  EXPECT_FALSE(answered);
  EXPECT_FALSE(machine.halted_.ok());
}

// Reads of what is stored fail while `broken` says so, and its upkeep while `maintenance` does; all else is the real
// store.
struct BrokenStore {
  bool broken = false;
  uint64_t reads = 0;
  Status maintenance;
  uint64_t maintained = 0;  // failures
};

class ViewThatBreaks final : public store::View {
 public:
  ViewThatBreaks(std::shared_ptr<const store::View> view, BrokenStore& state) : view_(std::move(view)), state_(state) {}
  bool may_contain(const model::TraceKey& key) const override { return view_->may_contain(key); }
  Status read(const model::TraceKey& key, model::TraceData& out) const override {
    ++state_.reads;
    return state_.broken ? Status(Code::kUnavailable, "the disk does not answer") : view_->read(key, out);
  }
  Status search(const store::TraceQuery& query, std::vector<store::TraceHit>& out) const override {
    return view_->search(query, out);
  }
  Status services(model::TenantId tenant, int64_t from_ns, int64_t to_ns, store::Vocabulary& out) const override {
    return view_->services(tenant, from_ns, to_ns, out);
  }
  Status operations(model::TenantId tenant, std::string_view service, store::Vocabulary& names,
                    std::vector<uint8_t>& kinds) const override {
    return view_->operations(tenant, service, names, kinds);
  }
  Status keys(model::TenantId tenant, store::Field scope, store::Vocabulary& out) const override {
    return view_->keys(tenant, scope, out);
  }
  Status values(model::TenantId tenant, store::Field field, std::string_view key,
                store::Vocabulary& out) const override {
    return view_->values(tenant, field, key, out);
  }

 private:
  std::shared_ptr<const store::View> view_;
  BrokenStore& state_;
};

class StoreThatBreaks final : public store::SpanStore {
 public:
  StoreThatBreaks(std::unique_ptr<store::SpanStore> store, BrokenStore& state)
      : store_(std::move(store)), state_(state) {}
  Result<std::unique_ptr<store::Prepared>> prepare(std::span<const store::SealTrace> traces) override {
    return store_->prepare(traces);
  }
  void publish(std::unique_ptr<store::Prepared> batch) override { store_->publish(std::move(batch)); }
  std::shared_ptr<const store::View> view() const override {
    return std::make_shared<ViewThatBreaks>(store_->view(), state_);
  }
  Result<bool> maintain(int64_t wall_now_ns) override {
    if (state_.maintenance.ok()) return store_->maintain(wall_now_ns);
    ++state_.maintained;
    return state_.maintenance.error();
  }
  store::StoreStats stats() const override { return store_->stats(); }

 private:
  std::unique_ptr<store::SpanStore> store_;
  BrokenStore& state_;
};

TEST(Node, trace_whose_stored_part_cannot_be_read_waits_and_is_decided_once_it_can) {
  Machine machine;
  BrokenStore reads;
  machine.wrap_store_ = [&](std::unique_ptr<store::SpanStore> store) {
    return std::make_unique<StoreThatBreaks>(std::move(store), reads);
  };
  machine.start();
  machine.ingest(whole_trace(1));
  machine.run(60 * kSecond);
  ASSERT_EQ(machine.stats().open_rows, 0u);
  reads.broken = true;
  machine.ingest(whole_trace(1));  // a retry: without the stored part it would pass for a new trace
  machine.ingest(whole_trace(2));
  machine.run(60 * kSecond);
  NodeStats stats = machine.stats();
  EXPECT_EQ(stats.open_rows, 2u) << "the other trace does not wait for this one";
  EXPECT_EQ(stats.store.spans, 4u);
  EXPECT_GT(stats.seal_read_failures, 0u);
  EXPECT_LT(reads.reads, 100u) << "tried again in peace";
  EXPECT_TRUE(machine.halted_.ok());
  reads.broken = false;
  machine.run(60 * kSecond);
  stats = machine.stats();
  EXPECT_EQ(stats.open_rows, 0u);
  EXPECT_EQ(stats.store.spans, 4u);
  EXPECT_EQ(stats.duplicate_spans, 2u);
  EXPECT_EQ(machine.trace(trace_id(1))->history.size(), 1u);
}

TEST(Node, upkeep_that_fails_is_counted_and_said_once_and_neither_halts_nor_stops_for_good) {
  Machine machine;
  BrokenStore broken;
  machine.wrap_store_ = [&](std::unique_ptr<store::SpanStore> store) {
    return std::make_unique<StoreThatBreaks>(std::move(store), broken);
  };
  machine.start();
  machine.ingest(whole_trace(1));
  broken.maintenance = {Code::kDataLoss, "write /data/seg: the device reports a failure"};
  machine.run(60 * kSecond);
  EXPECT_GE(broken.maintained, 3u);
  EXPECT_LE(broken.maintained, 7u) << "tried again in peace";
  EXPECT_EQ(machine.stats().maintenance_failures, broken.maintained);
  ASSERT_EQ(machine.reports_.size(), 1u);
  EXPECT_NE(machine.reports_[0].find("the device reports a failure"), std::string::npos);
  EXPECT_TRUE(machine.halted_.ok()) << "what was admitted is where it was";
  EXPECT_TRUE(machine.ingest(whole_trace(2)).status.ok());
  broken.maintenance = {};
  machine.run(30 * kSecond);
  EXPECT_EQ(machine.stats().maintenance_failures, broken.maintained);
  broken.maintenance = {Code::kResourceExhausted, "no space"};
  machine.run(30 * kSecond);
  EXPECT_EQ(machine.reports_.size(), 2u) << "another trouble is said, too";
}

TEST(Node, stamps_go_on_from_the_newest_although_the_log_was_released) {
  Machine machine;
  machine.start();
  for (uint64_t n = 0; n < 5; ++n) machine.ingest(whole_trace(n));
  const model::Stamp before = machine.trace(trace_id(4))->spans[0].stamp;
  EXPECT_EQ(before.sequence, 5u);
  for (uint64_t restart = 1; restart <= 3; ++restart) {
    machine.run(60 * kSecond);  // settled: every row is in a segment, its log is gone
    machine.cut_power(restart);
    machine.start();
    EXPECT_EQ(machine.replay_.spans, 0u);
  }
  machine.loop_->sim_clock().set_wall_offset(-3600 * kSecond);
  machine.ingest(whole_trace(9));
  const model::Stamp after = machine.trace(trace_id(9))->spans[0].stamp;
  EXPECT_EQ(after.sequence, 6u);
  EXPECT_GT(after.hlc, before.hlc) << "a clock that was set back";
}

TEST(Node, tenants_are_bounded_and_malformed_requests_make_none) {
  Machine machine;
  machine.options_.max_tenants = 3;
  machine.start();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(machine.ingest("nonsense", "stranger-" + std::to_string(i)).status.code(), Code::kInvalidArgument);
  }
  for (const char* tenant : {"a", "b", "c"}) EXPECT_TRUE(machine.ingest(whole_trace(1), tenant).status.ok());
  const IngestReply refused = machine.ingest(whole_trace(1), "d");
  EXPECT_EQ(refused.status.code(), Code::kFailedPrecondition);
  EXPECT_EQ(refused.retry_after_ms, 0u) << "a retry would meet the same limit";
  EXPECT_NE(refused.status.message().find("max_tenants"), std::string_view::npos);
  EXPECT_TRUE(machine.ingest(whole_trace(2), "a").status.ok());
}

TEST(Node, dictionaries_of_former_files_count_as_memory_until_their_rows_are_stored) {
  Machine machine;
  machine.options_.dictionary.max_bytes = 1 << 20;  // a large resource starts a new file, and a new dictionary
  machine.options_.lifecycle = {
      .quiet_period_ns = 60 * kSecond, .trace_timeout_ns = 90 * kSecond, .max_open_ns = 600 * kSecond};
  machine.start();
  constexpr uint64_t kResource = 1 << 20;
  for (uint64_t n = 0; n < 8; ++n) {
    TestRequest request(std::string(kResource, static_cast<char>('a' + n)));
    request.span({.trace = trace_id(n), .id = span_id(1)});
    ASSERT_TRUE(machine.ingest(request.bytes()).status.ok());
  }
  EXPECT_GE(machine.stats().memory_bytes, 8 * kResource);
  machine.run(120 * kSecond);  // all are stored
  EXPECT_EQ(machine.stats().open_rows, 0u);
  EXPECT_LT(machine.stats().memory_bytes, 3 * kResource);
}

TEST(Node, memory_limit_that_could_never_admit_the_largest_request_is_refused_at_the_start) {
  Machine machine;
  machine.options_.memory_limit_bytes = 64 << 20;
  machine.options_.largest_request_bytes = 64 << 20;
  const auto node = Node::open(machine.ports(), machine.options_, nullptr, [](Status) {});
  ASSERT_FALSE(node.ok());
  EXPECT_EQ(node.status().code(), Code::kInvalidArgument);
  EXPECT_NE(node.status().message().find("raise limits.memory"), std::string_view::npos);
}

}  // namespace
}  // namespace clew::cluster
