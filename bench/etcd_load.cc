// The load of `clew bench kv` (app/kv_load.h) on whoever speaks the etcd v3 API: etcd itself, or Clew's port. One
// client program for both, so that what differs is the server. gRPC asynchronously, one thread, requests written by
// hand: generated messages would only cost the client more.
//
//   etcd_load --endpoints 127.0.0.1:2379,127.0.0.1:22379 --outstanding 1000 --seconds 5 --reads 100 --pid 123
//
// Requests go to the first endpoint over some connections; one that fails moves them to the next, as etcd's own client
// does.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "app/kv_load.h"
#include "base/varint.h"

namespace {

using clew::app::KvLoad;

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void append_field(std::string& out, uint32_t field, std::string_view bytes) {
  clew::append_varint(out, field << 3 | 2);
  clew::append_bytes(out, bytes);
}

struct Flags {
  std::vector<std::string> endpoints{"127.0.0.1:2379"};
  clew::app::KvLoadOptions load;
  double seconds = 0;
  bool fill = false;
  bool serializable = false;
  int connections = 4;
  int timeout_ms = 5'000;
  std::vector<int> pids;
};

class Driver {
 public:
  Driver(const Flags& flags, KvLoad& load) : flags_(flags), load_(load) {
    for (size_t endpoint = 0; endpoint < flags.endpoints.size(); ++endpoint) {
      for (int i = 0; i < flags.connections; ++i) {
        grpc::ChannelArguments arguments;
        arguments.SetInt("clew.connection", i);  // else they would share one
        arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
        arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
        arguments.SetMaxReceiveMessageSize(-1);
        stubs_.push_back(std::make_unique<grpc::GenericStub>(
            grpc::CreateCustomChannel(flags.endpoints[endpoint], grpc::InsecureChannelCredentials(), arguments)));
      }
    }
  }

  void run() {
    pump();
    while (!load_.over(now_ns())) {
      void* tag = nullptr;
      bool ok = false;
      // Failed calls pause for a moment; the queue is looked at meanwhile.
      const auto wake = std::chrono::system_clock::now() + std::chrono::milliseconds(2);
      if (queue_.AsyncNext(&tag, &ok, wake) == grpc::CompletionQueue::GOT_EVENT) ended(static_cast<Call*>(tag));
      pump();
    }
    queue_.Shutdown();
  }

 private:
  struct Call {
    KvLoad::Operation operation;
    size_t endpoint = 0;
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
    grpc::ByteBuffer reply;
    grpc::Status status;
  };

  void pump() {
    if (now_ns() < paused_until_) return;
    while (load_.more(now_ns())) start();
  }

  void start() {
    auto* const call = new Call;  // owned by the queue until its tag comes back
    call->operation = load_.begin(now_ns());
    call->endpoint = endpoint_;
    call->context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(flags_.timeout_ms));
    std::string bytes;
    append_field(bytes, 1, load_.key(call->operation.key));
    if (!call->operation.read) {
      append_field(bytes, 2, load_.value(call->operation.key));
    } else if (flags_.serializable) {
      clew::append_varint(bytes, 7 << 3);
      clew::append_varint(bytes, 1);
    }
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::GenericStub& stub = *stubs_[endpoint_ * static_cast<size_t>(flags_.connections) +
                                      next_++ % static_cast<size_t>(flags_.connections)];
    call->reader = stub.PrepareUnaryCall(
        &call->context, call->operation.read ? "/etcdserverpb.KV/Range" : "/etcdserverpb.KV/Put", request, &queue_);
    call->reader->StartCall();
    call->reader->Finish(&call->reply, &call->status, call);
  }

  void ended(Call* raw) {
    const std::unique_ptr<Call> call(raw);
    if (call->status.ok()) return load_.end(call->operation, now_ns());
    // UNAVAILABLE without a connection had no effect; that cannot be told apart here.
    load_.failed(call->operation, !call->operation.read, call->status.error_message());
    if (call->endpoint == endpoint_) endpoint_ = (endpoint_ + 1) % flags_.endpoints.size();
    paused_until_ = now_ns() + 2'000'000;
  }

  const Flags& flags_;
  KvLoad& load_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  size_t endpoint_ = 0;
  size_t next_ = 0;
  int64_t paused_until_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App program("a load on the etcd v3 API");
  program.add_option("--endpoints", flags.endpoints, "host:port")->delimiter(',');
  program.add_option("--outstanding", flags.load.outstanding, "")->check(CLI::Range(1, 50'000));
  program.add_option("--operations", flags.load.operations, "");
  program.add_option("--seconds", flags.seconds, "");
  program.add_option("--reads", flags.load.read_percent, "per cent")->check(CLI::Range(0, 100));
  program.add_option("--keys", flags.load.keys, "")->check(CLI::PositiveNumber);
  program.add_flag("--fill", flags.fill, "write every key once");
  program.add_option("--value-bytes", flags.load.value_bytes, "")->check(CLI::Range(0, 1'048'576));
  program.add_option("--seed", flags.load.seed, "");
  program.add_flag("--serializable", flags.serializable, "reads of one server's state");
  program.add_option("--connections", flags.connections, "to an endpoint")->check(CLI::Range(1, 64));
  program.add_option("--timeout-ms", flags.timeout_ms, "of one request")->check(CLI::PositiveNumber);
  program.add_option("--pid", flags.pids, "of a server, for its processor time");
  CLI11_PARSE(program, argc, argv);
  flags.load.every_key_once = flags.fill;
  flags.load.duration_ns = static_cast<int64_t>(flags.seconds * 1e9);
  if (flags.load.duration_ns == 0 && flags.load.operations == 0) flags.load.duration_ns = 10'000'000'000;
  KvLoad load(flags.load);
  const double cpu_before = clew::app::cpu_seconds(flags.pids);
  Driver(flags, load).run();
  clew::app::KvLoadReport report = load.report(now_ns());
  report.server_cpu_s = clew::app::cpu_seconds(flags.pids) - cpu_before;
  if (report.done > 0) report.cpu_s_per_100k = report.server_cpu_s * 1e5 / static_cast<double>(report.done);
  std::printf("%s\n", report.to_json().c_str());
  return report.failed == 0 ? 0 : 1;
}
