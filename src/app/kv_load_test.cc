#include "app/kv_load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

namespace clew::app {
namespace {

TEST(LatencyHistogram, quantiles_areRightToAFewPerCent) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.quantile_ms(0.5), 0);
  for (int64_t us = 1; us <= 100'000; ++us) histogram.add(us * 1'000);
  EXPECT_NEAR(histogram.quantile_ms(0.5), 50, 1);
  EXPECT_NEAR(histogram.quantile_ms(0.99), 99, 2);
  EXPECT_NEAR(histogram.quantile_ms(0.0), 0.001, 0.0001);
  LatencyHistogram edges;
  for (const int64_t ns : {int64_t{-5}, int64_t{0}, int64_t{127}, int64_t{128}, INT64_MAX}) edges.add(ns);
  EXPECT_EQ(edges.count(), 5);
  EXPECT_EQ(edges.quantile_ms(0.5), 127e-6);
  EXPECT_NEAR(edges.quantile_ms(1) / (static_cast<double>(INT64_MAX) / 1e6), 1, 0.02);
}

TEST(KvLoad, keepsSoManyOutstanding_andEndsAfterSoManyOperations) {
  KvLoadOptions options;
  options.outstanding = 3;
  options.operations = 10;
  options.read_percent = 50;
  KvLoad load(options);
  std::vector<KvLoad::Operation> under_way;
  int64_t now = 0;
  uint64_t reads = 0, begun = 0;
  while (!load.over(now)) {
    while (load.more(now)) {
      under_way.push_back(load.begin(now));
      reads += under_way.back().read;
      ++begun;
    }
    EXPECT_LE(under_way.size(), 3);
    now += 1'000'000;
    if (begun == 10 && under_way.size() == 1) {
      load.failed(under_way.back(), true, "no");
    } else {
      load.end(under_way.back(), now);
    }
    under_way.pop_back();
  }
  const KvLoadReport report = load.report(now);
  EXPECT_EQ(begun, 10);
  EXPECT_GT(reads, 0);
  EXPECT_LT(reads, 10);
  EXPECT_EQ(report.done, 9);
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.uncertain, 1);
  EXPECT_EQ(report.last_error, "no");
}

TEST(KvLoad, filling_writesEveryKeyOnce) {
  KvLoadOptions options;
  options.keys = 100;
  options.every_key_once = true;
  options.read_percent = 100;
  KvLoad load(options);
  std::set<std::string> keys;
  while (load.more(0)) {
    const auto operation = load.begin(0);
    EXPECT_FALSE(operation.read);
    keys.insert(load.key(operation.key));
    EXPECT_EQ(load.value(operation.key).size(), options.value_bytes);
    load.end(operation, 1);
  }
  EXPECT_EQ(keys.size(), 100);
}

TEST(KvLoad, theLongestGap_isTheTimeWithoutASuccess) {
  KvLoadOptions options;
  options.operations = 4;
  options.outstanding = 1;
  KvLoad load(options);
  const auto one = [&](int64_t from_ms, int64_t to_ms, bool good) {
    const auto operation = load.begin(from_ms * 1'000'000);
    if (good) {
      load.end(operation, to_ms * 1'000'000);
    } else {
      load.failed(operation, false, "gone");
    }
  };
  one(0, 1, true);
  one(1, 500, false);
  one(500, 900, true);
  one(900, 901, true);
  EXPECT_NEAR(load.report(902'000'000).longest_gap_ms, 899, 0.001);
}

TEST(CpuSeconds, ofThisProcess_grow) {
  const double before = cpu_seconds({getpid()});
  uint64_t sum = 0;
  while (cpu_seconds({getpid()}) <= before) sum += static_cast<uint64_t>(cpu_seconds({getpid()}) * 1e6);
  EXPECT_GT(cpu_seconds({getpid()}), before) << sum;
  EXPECT_EQ(cpu_seconds({-1}), 0);
}

}  // namespace
}  // namespace clew::app
