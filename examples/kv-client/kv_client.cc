// A journal that several programs write to through a cluster, each line exactly once, and that all of them see grow:
//
//   kv-client 127.0.0.1:4341,127.0.0.1:4351,127.0.0.1:4361 journal < lines
//
// appends every line of standard input to the value of the key and prints each change of it. Kill nodes meanwhile: no
// line is lost, none is there twice. (`./dev cluster 3` starts a cluster with these ports.)
#include <control/client.h>
#include <control/session.h>
#include <os/loop.h>
#include <os/network.h>
#include <os/random.h>
#include <os/workers.h>

#include <future>
#include <iostream>
#include <sstream>
#include <string>

namespace cc = clew::control;
namespace kv = clew::kv;

namespace {

// Prints what a watch says, for ever.
void follow(cc::WatchStream& watch) {
  watch.next(64 << 10, [&watch](std::variant<std::vector<kv::WatchResponse>, cc::CallError> result) {
    if (auto* error = std::get_if<cc::CallError>(&result)) {
      std::cerr << "the watch ended: " << error->message << "\n";
      return;
    }
    for (const kv::WatchResponse& response : std::get<0>(result)) {
      for (const auto& event : response.events) {
        std::cout << "revision " << event->kv.mod_revision << ": " << event->kv.value.size() << " bytes" << std::endl;
      }
    }
    follow(watch);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::cerr << "usage: kv-client HOST:PORT,HOST:PORT KEY\n", 2;
  cc::ClientOptions options;
  std::istringstream list(argv[1]);
  for (std::string address; std::getline(list, address, ',');) options.addresses.push_back(address);
  const std::string key = argv[2];

  // The outside world: a thread with a loop, and the network. Answers come on the loop.
  clew::os::Workers workers;
  clew::os::OsNetwork network;
  clew::os::OsRandom random;
  clew::os::OsLoop loop("client", workers);
  std::unique_ptr<cc::Client> client;
  std::unique_ptr<cc::Session> session;
  std::unique_ptr<cc::WatchStream> watch;
  const auto on_loop = [&loop](auto what) {
    std::promise<void> done;
    loop.post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  };
  on_loop([&] {
    client = cc::Client::open(loop, network, random, options);
    session = std::make_unique<cc::Session>(*client);
    watch = client->watch(kv::Space::kUser);
    kv::WatchRequest request;
    request.key = key;
    watch->create(request);
    follow(*watch);
  });

  int failed = 0;
  for (std::string line; std::getline(std::cin, line);) {
    std::promise<std::string> answer;
    loop.post([&] {
      kv::AppendRequest append;
      append.key = key;
      append.suffix = line + "\n";
      cc::CallOptions call;
      call.timeout_ns = 30'000'000'000;
      session->execute(kv::Space::kUser, append, call, [&](std::variant<cc::CallReply, cc::CallError> result) {
        const auto* error = std::get_if<cc::CallError>(&result);
        answer.set_value(error == nullptr ? "" : error->message);
      });
    });
    const std::string error = answer.get_future().get();
    if (error.empty()) continue;
    std::cerr << line << ": " << error << "\n";
    ++failed;
  }
  on_loop([&] {
    watch.reset();
    session.reset();
    client.reset();
  });
  loop.stop();
  return failed == 0 ? 0 : 1;
}
