// The load of `clew bench kv` (app/kv_load.h) on ZooKeeper, by its C client: pipelined over a few sessions. Keys are
// nodes below /bench; --fill makes them. A read is ZooKeeper's: of the state of the server that is asked.
#include <zookeeper/zookeeper.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/kv_load.h"
#include "base/mutex.h"
#include "os/condition.h"

namespace {

using clew::MutexLock;
using clew::app::KvLoad;

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Completions come on the threads of the sessions: one lock around the load.
class Driver {
 public:
  Driver(KvLoad& load, const std::string& servers, int sessions) : load_(load) {
    for (int i = 0; i < sessions; ++i)
      handles_.push_back(zookeeper_init(servers.c_str(), nullptr, 10'000, nullptr, nullptr, 0));
  }
  ~Driver() {
    for (zhandle_t* const handle : handles_) zookeeper_close(handle);
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  bool connect() {
    for (int tries = 0; tries < 100; ++tries) {
      const int made = zoo_create(handles_[0], "/bench", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, nullptr, 0);
      if (made == ZOK || made == ZNODEEXISTS) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }

  void run() {
    const MutexLock lock(mutex_);
    pump();
    while (!load_.over(now_ns())) changed_.wait(mutex_);
  }

 private:
  struct Call {
    Driver& driver;
    KvLoad::Operation operation;
  };

  void pump() CLEW_REQUIRES(mutex_) {
    while (load_.more(now_ns())) start();
  }

  void start() CLEW_REQUIRES(mutex_) {
    auto* const call = new Call{*this, load_.begin(now_ns())};  // comes back with the answer
    zhandle_t* const handle = handles_[next_++ % handles_.size()];
    const std::string path = "/bench/" + load_.key(call->operation.key).substr(6);
    const std::string_view value = load_.value(call->operation.key);
    int result = ZOK;
    if (call->operation.read) {
      result = zoo_aget(handle, path.c_str(), 0, &Driver::on_data, call);
    } else if (load_.options().every_key_once) {
      result = zoo_acreate(handle, path.c_str(), value.data(), static_cast<int>(value.size()), &ZOO_OPEN_ACL_UNSAFE, 0,
                           &Driver::on_string, call);
    } else {
      result = zoo_aset(handle, path.c_str(), value.data(), static_cast<int>(value.size()), -1, &Driver::on_stat, call);
    }
    if (result == ZOK) return;
    load_.failed(call->operation, false, zerror(result));
    delete call;
  }

  static void on_data(int result, const char*, int, const Stat*, const void* data) { ended(result, data); }
  static void on_string(int result, const char*, const void* data) {
    ended(result == ZNODEEXISTS ? ZOK : result, data);
  }
  static void on_stat(int result, const Stat*, const void* data) { ended(result, data); }
  static void ended(int result, const void* data) {
    const std::unique_ptr<const Call> call(static_cast<const Call*>(data));
    Driver& self = call->driver;
    bool over = false;
    {
      const MutexLock lock(self.mutex_);
      if (result == ZOK) {
        self.load_.end(call->operation, now_ns());
      } else {
        self.load_.failed(call->operation, !call->operation.read, zerror(result));
      }
      self.pump();
      over = self.load_.over(now_ns());
    }
    if (over) self.changed_.notify_all();
  }

  KvLoad& load_;
  std::vector<zhandle_t*> handles_;
  clew::Mutex mutex_;
  clew::os::Condition changed_;
  size_t next_ CLEW_GUARDED_BY(mutex_) = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::string servers = "127.0.0.1:2181";
  clew::app::KvLoadOptions options;
  double seconds = 0;
  bool fill = false;
  int sessions = 4, timeout_ms = 0;
  std::vector<int> pids;
  CLI::App program("a load on ZooKeeper");
  program.add_option("--servers", servers, "host:port,host:port");
  program.add_option("--outstanding", options.outstanding, "")->check(CLI::Range(1, 50'000));
  program.add_option("--operations", options.operations, "");
  program.add_option("--seconds", seconds, "");
  program.add_option("--reads", options.read_percent, "per cent")->check(CLI::Range(0, 100));
  program.add_option("--keys", options.keys, "")->check(CLI::PositiveNumber);
  program.add_flag("--fill", fill, "make every node once");
  program.add_option("--value-bytes", options.value_bytes, "")->check(CLI::Range(0, 1'000'000));
  program.add_option("--seed", options.seed, "");
  program.add_option("--sessions", sessions, "")->check(CLI::Range(1, 64));
  program.add_option("--timeout-ms", timeout_ms, "is the sessions': for the same flags as etcd_load");
  program.add_option("--pid", pids, "of a server, for its processor time");
  CLI11_PARSE(program, argc, argv);
  options.every_key_once = fill;
  options.duration_ns = static_cast<int64_t>(seconds * 1e9);
  if (options.duration_ns == 0 && options.operations == 0) options.duration_ns = 10'000'000'000;
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
  KvLoad load(options);
  const double cpu_before = clew::app::cpu_seconds(pids);
  Driver driver(load, servers, sessions);
  if (!driver.connect()) {
    std::fprintf(stderr, "no ZooKeeper answers at %s\n", servers.c_str());
    return 2;
  }
  driver.run();
  clew::app::KvLoadReport report = load.report(now_ns());
  report.server_cpu_s = clew::app::cpu_seconds(pids) - cpu_before;
  if (report.done > 0) report.cpu_s_per_100k = report.server_cpu_s * 1e5 / static_cast<double>(report.done);
  std::printf("%s\n", report.to_json().c_str());
  return report.failed == 0 ? 0 : 1;
}
