// A gRPC echo in the ways a server can be built here, to know what one call costs the server: rpc/server.h, and gRPC
// C++ by its generic asynchronous queue and by its generic callbacks, each over one thread's
// worth of work. bench/rpc_echo.py drives it with h2load and reads the process's CPU time.
//
//   rpc_echo own|queue|callback       prints its port, serves until its input ends
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "api/rpc/server.h"
#include "base/check.h"

namespace {

namespace rpc = clew::api::rpc;

class Echo final : public rpc::Service {
 public:
  std::unique_ptr<rpc::Handler> on_call(const std::shared_ptr<rpc::Call>& call) override {
    class Unary final : public rpc::Handler {
     public:
      explicit Unary(rpc::Call& call) : call_(call) {}
      void on_message(std::string_view message) override {
        std::string answer = rpc::begin_message();
        answer += message;
        call_.send(std::move(answer));
        call_.finish({});
      }

     private:
      rpc::Call& call_;
    };
    return std::make_unique<Unary>(*call);
  }
  clew::Error overload() const override { return {clew::Code::kResourceExhausted, "too much"}; }
  clew::Error too_large(size_t, size_t) const override { return {clew::Code::kResourceExhausted, "too large"}; }
};

void wait_for_end_of_input(int port) {
  std::printf("%d\n", port);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}

void serve_own() {
  boost::asio::io_context io(1);
  auto guard = boost::asio::make_work_guard(io);
  std::thread loop([&] { io.run(); });
  Echo echo;
  {
    rpc::Server server("echo", {"127.0.0.1:0"}, echo, {&io});
    CHECK(server.start().ok());
    wait_for_end_of_input(server.port());
  }
  guard.reset();
  loop.join();
}

class QueueCall {
 public:
  QueueCall(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue), stream_(&context_) {
    service_.RequestCall(&context_, &stream_, &queue_, &queue_, this);
  }
  void proceed(bool ok) {
    if (!ok && step_ < 2) {
      delete this;
      return;
    }
    switch (step_++) {
      case 0:
        new QueueCall(service_, queue_);
        stream_.Read(&message_, this);
        break;
      case 1:
        stream_.WriteAndFinish(message_, {}, grpc::Status::OK, this);
        break;
      default:
        delete this;
    }
  }

 private:
  grpc::AsyncGenericService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_;
  grpc::ByteBuffer message_;
  int step_ = 0;
};

void serve_queue() {
  grpc::AsyncGenericService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterAsyncGenericService(&service);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  for (int i = 0; i < 128; ++i) new QueueCall(service, *queue);
  std::thread loop([&] {
    void* tag;
    bool ok;
    while (queue->Next(&tag, &ok)) static_cast<QueueCall*>(tag)->proceed(ok);
  });
  wait_for_end_of_input(port);
  server->Shutdown(std::chrono::system_clock::now());
  queue->Shutdown();
  loop.join();
}

class CallbackService final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    class Reactor final : public grpc::ServerGenericBidiReactor {
     public:
      Reactor() { StartRead(&message_); }
      void OnReadDone(bool ok) override {
        if (!ok) return Finish(grpc::Status::OK);
        StartWriteAndFinish(&message_, {}, grpc::Status::OK);
      }
      void OnDone() override { delete this; }

     private:
      grpc::ByteBuffer message_;
    };
    return new Reactor;
  }
};

void serve_callback() {
  CallbackService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  const auto server = builder.BuildAndStart();
  wait_for_end_of_input(port);
  server->Shutdown(std::chrono::system_clock::now());
}

}  // namespace

int main(int count, char** arguments) {
  const std::string mode = count == 2 ? arguments[1] : "";
  if (mode == "own") {
    serve_own();
  } else if (mode == "queue") {
    serve_queue();
  } else if (mode == "callback") {
    serve_callback();
  } else {
    std::fprintf(stderr, "usage: rpc_echo own|queue|callback\n");
    return 2;
  }
}
