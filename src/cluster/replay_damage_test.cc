// One damaged record of the data log: what a restart still reads. The rule: everything comes back but the record's own
// spans and those that use dictionary entries that it added, and each loss is reported and counted.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "cluster/machine_test.h"
#include "cluster/node.h"

namespace clew::cluster {
namespace {

const std::string kLog = "/data/shard-0/wal/00000001.wal";

// A machine whose traces all stay in one file of the log.
void keep_in_log(Machine& machine) {
  machine.options_.wal_file_bytes = 4 << 20;
  machine.options_.lifecycle = {
      .quiet_period_ns = 1'000 * kSecond, .trace_timeout_ns = 2'000 * kSecond, .max_open_ns = 3'000 * kSecond};
}

// Flips a bit in the record that holds the trace's row.
void damage_record_of(Machine& machine, TraceId trace) {
  char bytes[16];
  trace.to_bytes(bytes);
  const size_t at = machine.disk_.content(kLog).find(std::string_view(bytes, sizeof(bytes)));
  ASSERT_NE(at, std::string::npos);
  machine.disk_.flip(kLog, at + 7, 0x10);
}

TEST(ReplayDamage, only_what_uses_the_entries_of_a_damaged_record_is_lost) {
  Machine machine;
  keep_in_log(machine);
  machine.start();
  const auto send = [&](uint64_t n, const std::string& service, const std::string& name) {
    TestRequest request(service);
    request.span({.trace = trace_id(n), .id = span_id(1), .name = name});
    ASSERT_EQ(machine.ingest(request.bytes()).accepted, 1u);
  };
  send(0, "old", "old");
  send(1, "new", "new");  // damaged below
  send(2, "old", "old");
  send(3, "new", "old");
  send(4, "old", "new");
  send(5, "newer", "newer");
  machine.cut_power(1);
  damage_record_of(machine, trace_id(1));
  machine.start();
  std::vector<uint64_t> there;
  for (uint64_t n = 0; n < 6; ++n) {
    if (machine.trace(trace_id(n)) != nullptr) there.push_back(n);
  }
  EXPECT_EQ(there, (std::vector<uint64_t>{0, 2, 5}));
  EXPECT_EQ(machine.trace(trace_id(5))->spans.at(0).name, "newer");
  EXPECT_EQ(machine.trace(trace_id(5))->spans.at(0).resource->service_name, "newer");
  EXPECT_EQ(machine.stats().wal_lost_spans, 2u);
  ASSERT_EQ(machine.replay_.damage.size(), 3u) << "the record itself and the two that lost a span";
  EXPECT_NE(machine.replay_.damage[1].what.find("1 of its 1 spans"), std::string::npos)
      << machine.replay_.damage[1].what;
}

TEST(ReplayDamage, log_of_another_version_stops_the_start_and_is_left_alone) {
  Machine machine;
  ASSERT_TRUE(machine.disk_.make_dirs("/data/shard-0/wal").ok());
  {
    sim::SimLoop loop(machine.scheduler_);
    auto wal = wal::Wal::open(
        loop, machine.disk_, {.directory = "/data/shard-0/wal"},
        [](uint64_t, uint64_t, std::string_view) { return Status(); }, nullptr, [](Status) {});
    ASSERT_TRUE(wal.ok());
    bool durable = false;
    const std::string_view pieces[] = {"\x01 a record of version 1"};
    (*wal)->append(pieces, [&] { durable = true; });
    machine.scheduler_.run_until([&] { return durable; });
    ASSERT_TRUE(durable);
  }
  const std::string before = machine.disk_.content(kLog);
  const auto node = Node::open(machine.ports(), machine.options_, nullptr, [](Status) {});
  ASSERT_FALSE(node.ok());
  EXPECT_EQ(node.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(machine.disk_.content(kLog).substr(0, 8192), before.substr(0, 8192));
}

// Random requests over small pools of texts, so that records share entries in every way, and one of them damaged.
struct Sent {
  uint64_t request = 0;
  std::string service, scope, name;
  std::vector<std::pair<std::string, std::string>> attributes;
};

class Script {
 public:
  explicit Script(uint64_t seed) : random_(seed) {}

  void run(Machine& machine) {
    for (uint64_t request = 0; request < kRequests; ++request) {
      const std::string service = pick("service", request), scope = pick("scope", request);
      TestRequest body(service, scope);
      for (uint64_t spans = 1 + random_.below(3); spans > 0; --spans) {
        Sent span{request, service, scope, pick("name", request), {}};
        for (uint64_t n = random_.below(4); n > 0; --n) {
          span.attributes.emplace_back(pick("key", request), pick("value", request));
        }
        body.span(
            {.trace = trace_id(sent_.size()), .id = span_id(1), .name = span.name, .attributes = span.attributes});
        sent_.push_back(std::move(span));
      }
      ASSERT_TRUE(machine.ingest(body.bytes()).status.ok());
    }
  }

  const std::vector<Sent>& sent() const { return sent_; }
  static constexpr uint64_t kRequests = 24;

 private:
  // The pool grows with the script, so that every record may add something.
  std::string pick(const char* what, uint64_t request) {
    return std::string(what) + "-of-the-test-" + static_cast<char>('a' + random_.below(2 + request / 2));
  }
  Generator random_;
  std::vector<Sent> sent_;
};

// What the span has in the dictionary at its first use, its list of keys among it.
std::set<std::string> entries_of(const Sent& span) {
  std::set<std::string> entries{span.service, span.scope, span.name};
  std::string keys = "keys";
  for (const auto& [key, value] : span.attributes) {
    entries.insert(key);
    keys += " " + key;
  }
  entries.insert(std::move(keys));
  return entries;
}

// What a request can have added. A value may be taken in at any later use, when it is found to repeat.
std::set<std::string> added_by(uint64_t request, const std::vector<Sent>& sent) {
  std::set<std::string> before, added;
  for (const Sent& span : sent) {
    if (span.request < request) before.merge(entries_of(span));
    if (span.request != request) continue;
    for (const std::string& entry : entries_of(span)) {
      if (!before.contains(entry)) added.insert(entry);
    }
    for (const auto& [key, value] : span.attributes) added.insert(value);
  }
  return added;
}

TEST(ReplayDamage, any_record_damaged_everything_else_that_does_not_need_it_comes_back_as_it_was) {
  uint64_t saved = 0, lost = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    for (uint64_t victim = 0; victim + 1 < Script::kRequests; ++victim) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", damaged record " + std::to_string(victim));
      Machine machine;
      keep_in_log(machine);
      machine.start();
      Script script(seed);
      script.run(machine);
      const std::vector<Sent>& sent = script.sent();
      machine.cut_power(seed);
      const std::set<std::string> added = added_by(victim, sent);
      for (uint64_t n = 0; n < sent.size(); ++n) {
        if (sent[n].request == victim && (n == 0 || sent[n - 1].request != victim))
          damage_record_of(machine, trace_id(n));
      }
      machine.start();
      uint64_t missing = 0;
      for (uint64_t n = 0; n < sent.size(); ++n) {
        const auto trace = machine.trace(trace_id(n));
        if (sent[n].request == victim) {
          EXPECT_EQ(trace, nullptr) << n;
          continue;
        }
        if (trace == nullptr) {
          ++missing;
          EXPECT_GT(sent[n].request, victim) << "span " << n << " was there before";
          std::set<std::string> used = entries_of(sent[n]);
          for (const auto& [key, value] : sent[n].attributes) used.insert(value);
          EXPECT_TRUE(std::any_of(used.begin(), used.end(), [&](const auto& one) { return added.contains(one); }))
              << "span " << n << " uses nothing that the damaged record added";
          continue;
        }
        ASSERT_EQ(trace->spans.size(), 1u);
        const model::Span& span = trace->spans[0];
        EXPECT_EQ(span.name, sent[n].name);
        EXPECT_EQ(span.resource->service_name, sent[n].service);
        ASSERT_EQ(span.attributes.size(), sent[n].attributes.size());
        for (size_t i = 0; i < span.attributes.size(); ++i) {
          EXPECT_EQ(span.attributes[i].key, sent[n].attributes[i].first);
          EXPECT_EQ(span.attributes[i].value.bytes, sent[n].attributes[i].second);
        }
        saved += sent[n].request > victim ? 1 : 0;
      }
      EXPECT_EQ(machine.stats().wal_lost_spans, missing);
      EXPECT_GE(machine.replay_.damage.size(), 1u);
      lost += missing;
    }
  }
  EXPECT_GT(lost, 0u) << "no span used an entry of a damaged record: this proves nothing";
  EXPECT_GT(saved, lost) << "texts that an earlier record added are read whatever follows";
}

}  // namespace
}  // namespace clew::cluster
