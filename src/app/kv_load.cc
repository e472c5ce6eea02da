#include "app/kv_load.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "api/json_writer.h"

namespace clew::app {

void LatencyHistogram::add(int64_t ns) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(ns, 0));
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kFineBits - 1);
  const size_t bucket = (static_cast<size_t>(shift) << kFineBits) + static_cast<size_t>(value >> shift);
  ++buckets_[std::min(bucket, buckets_.size() - 1)];
  ++count_;
}

double LatencyHistogram::quantile_ms(double share) const {
  if (count_ == 0) return 0;
  const auto wanted = static_cast<uint64_t>(share * static_cast<double>(count_ - 1));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen <= wanted) continue;
    // A bucket's number is (shift << bits) + (value >> shift), and above the first the latter has its top bit set.
    const size_t fine = size_t{1} << kFineBits;
    const size_t shift = bucket < 2 * fine ? 0 : (bucket >> kFineBits) - 1;
    const uint64_t mantissa = bucket - (shift << kFineBits);
    return static_cast<double>((mantissa << shift) + ((uint64_t{1} << shift) >> 1)) / 1e6;
  }
  return 0;
}

std::string KvLoadReport::to_json() const {
  std::string out;
  api::JsonWriter json(out);
  json.open_object().key("done").unsigned_number(done).key("failed").unsigned_number(failed);
  json.key("uncertain").unsigned_number(uncertain).key("seconds").real(seconds).key("per_second").real(per_second);
  json.key("p50_ms").real(p50_ms).key("p99_ms").real(p99_ms).key("p999_ms").real(p999_ms);
  json.key("longest_gap_ms").real(longest_gap_ms).key("server_cpu_s").real(server_cpu_s);
  json.key("cpu_s_per_100k").real(cpu_s_per_100k).key("last_error").text(last_error).close_object();
  return out;
}

KvLoad::KvLoad(const KvLoadOptions& options) : options_(options), random_(options.seed) {
  bytes_.reserve(options.value_bytes + 256);
  while (bytes_.size() < options.value_bytes + 256) bytes_ += static_cast<char>('a' + random_.below(26));
}

bool KvLoad::more(int64_t now_ns) const {
  if (in_flight_ >= options_.outstanding) return false;
  if (options_.every_key_once) return begun_ < options_.keys;
  if (options_.operations != 0 && begun_ >= options_.operations) return false;
  return options_.duration_ns == 0 || begun_ == 0 || now_ns - started_ns_ < options_.duration_ns;
}

KvLoad::Operation KvLoad::begin(int64_t now_ns) {
  if (begun_ == 0) started_ns_ = ended_ns_ = now_ns;
  Operation operation;
  operation.began_ns = now_ns;
  operation.key = options_.every_key_once ? begun_ : random_.below(options_.keys);
  operation.read = !options_.every_key_once && random_.below(100) < options_.read_percent;
  ++begun_;
  ++in_flight_;
  return operation;
}

void KvLoad::end(const Operation& operation, int64_t now_ns) {
  --in_flight_;
  ++done_;
  latencies_.add(now_ns - operation.began_ns);
  longest_gap_ns_ = std::max(longest_gap_ns_, now_ns - ended_ns_);
  ended_ns_ = now_ns;
}

void KvLoad::failed(const Operation&, bool uncertain, std::string error) {
  --in_flight_;
  ++failed_;
  uncertain_ += uncertain;
  last_error_ = std::move(error);
}

std::string KvLoad::key(uint64_t index) const {
  char text[32];
  std::snprintf(text, sizeof text, "bench/%012llu", static_cast<unsigned long long>(index));
  return text;
}

std::string_view KvLoad::value(uint64_t index) const {
  return std::string_view(bytes_).substr(index % 256, options_.value_bytes);
}

KvLoadReport KvLoad::report(int64_t now_ns) const {
  KvLoadReport report;
  report.done = done_;
  report.failed = failed_;
  report.uncertain = uncertain_;
  report.seconds = static_cast<double>(now_ns - started_ns_) / 1e9;
  report.per_second = report.seconds > 0 ? static_cast<double>(done_) / report.seconds : 0;
  report.p50_ms = latencies_.quantile_ms(0.5);
  report.p99_ms = latencies_.quantile_ms(0.99);
  report.p999_ms = latencies_.quantile_ms(0.999);
  report.longest_gap_ms = static_cast<double>(std::max(longest_gap_ns_, now_ns - ended_ns_)) / 1e6;
  report.last_error = last_error_;
  return report;
}

double cpu_seconds(const std::vector<int>& pids) {
  uint64_t ticks = 0;
  for (const int pid : pids) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) continue;
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th behind it.
    std::istringstream rest(line.substr(std::min(line.rfind(')') + 1, line.size())));
    std::string field;
    for (int i = 0; i < 11; ++i) rest >> field;
    uint64_t user = 0, system = 0;
    rest >> user >> system;
    ticks += user + system;
  }
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace clew::app
