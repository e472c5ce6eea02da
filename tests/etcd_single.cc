// The etcd API in front of one member without a log, for tests by clients of other languages and for measuring what the
// API itself costs. Prints its port, serves until its input ends, then prints the CPU seconds of the API's loop and of
// the member's.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <thread>

#include "api/etcd/server.h"
#include "api/etcd/single_node_test.h"
#include "api/test_support.h"

int main() {
  clew::api::etcd::test::SingleNode node;
  clew::api::test::Loops loops(1);
  {
    clew::api::EtcdEndpoint endpoint;
    endpoint.endpoint = "127.0.0.1:0";
    clew::api::EtcdServer server(endpoint, node, loops.all(), "test");
    if (const clew::Status started = server.start(); !started.ok()) {
      std::fprintf(stderr, "%s\n", started.to_string().c_str());
      return 1;
    }
    server.set_ready(true);
    std::printf("%d\n", server.port());
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
  }
  std::printf("%.3f %.3f\n", loops.cpu_seconds(), node.cpu_seconds());
}
