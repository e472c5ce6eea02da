// clew bench kv: a load on the control group by our own protocol.
#include <cstdio>
#include <memory>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/kv_load.h"
#include "app/units.h"

namespace clew::app {
namespace {

struct Flags {
  ControlFlags control;
  KvLoadOptions load;
  std::string consistency = "linearizable";
  double seconds = 0;
  bool fill = false;
  std::vector<int> pids;
  bool json = false;
};

// Everything on the client's loop.
class Driver : public std::enable_shared_from_this<Driver> {
 public:
  Driver(ControlClient& client, KvLoad& load, control::CallOptions options)
      : client_(client), load_(load), options_(options) {}

  void run(control::Done<bool> done) {
    done_ = std::move(done);
    pump();
  }

 private:
  int64_t now() const { return client_.loop().clock().mono_ns(); }

  void pump() {
    while (load_.more(now())) start(load_.begin(now()));
    if (load_.over(now()) && done_) std::exchange(done_, nullptr)(true);
  }

  void start(const KvLoad::Operation& operation) {
    kv::Request request;
    if (operation.read) {
      kv::RangeRequest range;
      range.key = load_.key(operation.key);
      request = std::move(range);
    } else {
      kv::PutRequest put;
      put.key = load_.key(operation.key);
      put.value = load_.value(operation.key);
      request = std::move(put);
    }
    client_.client().execute(
        kv::Space::kUser, std::move(request), options_,
        [self = shared_from_this(), operation](const std::variant<control::CallReply, control::CallError>& result) {
          self->ended(operation, result);
        });
  }

  void ended(const KvLoad::Operation& operation, const std::variant<control::CallReply, control::CallError>& result) {
    const auto* error = std::get_if<control::CallError>(&result);
    if (error == nullptr) {
      load_.end(operation, now());
      return pump();
    }
    load_.failed(operation, error->uncertain, error->message);
    // A store that refuses is not asked again in the same breath.
    constexpr int64_t kPause = 2'000'000;
    client_.loop().after(kPause, [self = shared_from_this()] { self->pump(); });
  }

  ControlClient& client_;
  KvLoad& load_;
  const control::CallOptions options_;
  control::Done<bool> done_;
};

int bench_kv(Flags& flags) {
  constexpr int kError = 2;
  const auto level = control::parse_consistency(flags.consistency);
  flags.load.every_key_once = flags.fill;
  flags.load.duration_ns = static_cast<int64_t>(flags.seconds * 1e9);
  if (flags.load.duration_ns == 0 && flags.load.operations == 0) flags.load.duration_ns = 10'000'000'000;
  ControlClient::Options options;
  options.fail_fast = false;
  auto client = ControlClient::connect(flags.control, options);
  if (!client.ok()) return fail(client.status(), kError);
  if (auto status = (*client)->status(); std::holds_alternative<control::CallError>(status)) {
    return fail(std::get<control::CallError>(status));
  }
  control::CallOptions call = (*client)->call_options();
  call.consistency = *level;
  KvLoad load(flags.load);
  const double cpu_before = cpu_seconds(flags.pids);
  (void)(*client)->wait<bool>([&](auto done) { std::make_shared<Driver>(**client, load, call)->run(std::move(done)); });
  KvLoadReport report = load.report((*client)->loop().clock().mono_ns());
  report.server_cpu_s = cpu_seconds(flags.pids) - cpu_before;
  if (report.done > 0) report.cpu_s_per_100k = report.server_cpu_s * 1e5 / static_cast<double>(report.done);
  if (flags.json) {
    std::printf("%s\n", report.to_json().c_str());
  } else {
    std::printf("%llu operations in %.2f s: %.0f/s, p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, longest gap %.1f ms\n",
                static_cast<unsigned long long>(report.done), report.seconds, report.per_second, report.p50_ms,
                report.p99_ms, report.p999_ms, report.longest_gap_ms);
    if (!flags.pids.empty()) {
      std::printf("servers: %.2f s of processor time, %.3f s per 100k\n", report.server_cpu_s, report.cpu_s_per_100k);
    }
    if (report.failed > 0) {
      std::printf("%llu failed, of %llu of them it is not known whether they took effect; the last: %s\n",
                  static_cast<unsigned long long>(report.failed), static_cast<unsigned long long>(report.uncertain),
                  report.last_error.c_str());
    }
  }
  return report.failed == 0 ? 0 : 1;
}

}  // namespace

void add_bench_kv(CLI::App& bench, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  auto* command = bench.add_subcommand("kv", "read and write keys of the replicated store, report rate and latency");
  flags->control.add_to(*command);
  command->add_option("--outstanding", flags->load.outstanding, "operations under way all the time")
      ->capture_default_str()
      ->check(CLI::Range(1, 50'000));
  command->add_option("--operations", flags->load.operations, "stop after so many");
  command->add_option("--seconds", flags->seconds, "stop after so long (10 when neither is given)");
  command->add_option("--reads", flags->load.read_percent, "per cent of the operations")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  command->add_option("--keys", flags->load.keys, "different ones")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_flag("--fill", flags->fill, "write every key once, in order, instead");
  command->add_option("--value-bytes", flags->load.value_bytes, "")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'048'576));
  command->add_option("--seed", flags->load.seed, "of the order of keys")->capture_default_str();
  command->add_option("--consistency", flags->consistency, "of reads")
      ->capture_default_str()
      ->check(CLI::IsMember({"linearizable", "lease", "sequential"}));
  command->add_option("--pid", flags->pids, "of a server, for its processor time; several");
  command->add_flag("--json", flags->json, "one line of JSON");
  command->callback([flags, &exit_code] { exit_code = bench_kv(*flags); });
}

}  // namespace clew::app
