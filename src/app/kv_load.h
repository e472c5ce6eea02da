// KvLoad: which operation of a load on a key-value store comes next, and what became of all of them. It says nothing of
// how they are sent, so that stores with different protocols are measured by the same rules: `clew bench kv` and
// bench/etcd_load.cc drive it.
//
// So many operations are outstanding all the time: when one ends, another begins. Latencies are kept in a histogram
// (1.6 % wide), and the longest time without any success, which is what a client sees of a failover.
//
// Pure; one thread; O(1) an operation.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace clew::app {

struct KvLoadOptions {
  size_t outstanding = 64;
  uint64_t operations = 0;  // end after these; 0: by time only
  int64_t duration_ns = 0;  // begin no more after that; 0: by number only
  uint32_t read_percent = 0;
  uint64_t keys = 10'000;
  bool every_key_once = false;  // writes of all keys in their order: to fill a store
  size_t value_bytes = 256;
  uint64_t seed = 1;
};

class LatencyHistogram {
 public:
  void add(int64_t ns);
  double quantile_ms(double share) const;  // 0 when empty
  uint64_t count() const { return count_; }

 private:
  static constexpr int kFineBits = 6;
  std::array<uint64_t, (64 - kFineBits + 1) << kFineBits> buckets_{};
  uint64_t count_ = 0;
};

struct KvLoadReport {
  uint64_t done = 0;
  uint64_t failed = 0;
  uint64_t uncertain = 0;  // of the failed: may have taken effect
  double seconds = 0;
  double per_second = 0;
  double p50_ms = 0, p99_ms = 0, p999_ms = 0;
  double longest_gap_ms = 0;  // without a success
  double server_cpu_s = 0;    // of the processes that were named
  double cpu_s_per_100k = 0;
  std::string last_error;
  std::string to_json() const;
};

class KvLoad {
 public:
  explicit KvLoad(const KvLoadOptions& options);

  struct Operation {
    bool read = false;
    uint64_t key = 0;
    int64_t began_ns = 0;
  };
  // Whether another one is to begin now.
  bool more(int64_t now_ns) const;
  Operation begin(int64_t now_ns);
  void end(const Operation& operation, int64_t now_ns);
  void failed(const Operation& operation, bool uncertain, std::string error);
  bool over(int64_t now_ns) const { return in_flight_ == 0 && !more(now_ns); }

  std::string key(uint64_t index) const;
  std::string_view value(uint64_t index) const;  // valid as long as this; differs from key to key
  const KvLoadOptions& options() const { return options_; }
  KvLoadReport report(int64_t now_ns) const;

 private:
  const KvLoadOptions options_;
  Generator random_;
  std::string bytes_;
  LatencyHistogram latencies_;
  uint64_t begun_ = 0, done_ = 0, failed_ = 0, uncertain_ = 0;
  size_t in_flight_ = 0;
  int64_t started_ns_ = 0, ended_ns_ = 0, longest_gap_ns_ = 0;
  std::string last_error_;
};

// Processor time that processes have used, in seconds: from /proc. Who is not there counts nothing.
double cpu_seconds(const std::vector<int>& pids);

}  // namespace clew::app
