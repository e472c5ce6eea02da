// kill9: `clew serve` is killed with SIGKILL under load, many times over, and asked afterwards for every span.
//
// What must hold: every span of an acknowledged request is there, exactly once (requests without an answer are sent
// again, as a client would); every span that is there was sent (no phantom). Sealing and log rotation are made
// frequent, so that kills fall into them. usage: kill9 CLEW [ROUNDS] [SEED]. Exit code 0 when all holds.
#include <simdjson.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "app/client_output.h"
#include "app/workload.h"
#include "base/random.h"
#include "server_process.h"

namespace {

using clew::app::Workload;

constexpr uint32_t kSenders = 3;
constexpr const char* kConfig = R"(
traces: {quiet_period: 150ms, trace_timeout: 500ms, max_open: 2s}
storage: {seal_delay: 50ms, seal_rows: 512, wal: {file_size: 1MiB}}
)";

// What one sender knows of the requests that it sent.
struct Sent {
  std::vector<uint64_t> acknowledged;
  std::vector<uint64_t> unanswered;
};

void send(const clew::tests::ServerProcess& server, const Workload& workload, int64_t now_ns,
          std::vector<uint64_t> again, uint64_t next, uint64_t step, const std::atomic<bool>& stop, Sent& sent) {
  clew::app::HttpClient client = server.otlp_client();
  std::string body;
  while (!stop) {
    uint64_t number = next;
    if (!again.empty()) {
      number = again.back();
      again.pop_back();
    } else {
      next += step;
    }
    workload.body(number, now_ns, body);
    const auto answer = client.post("/v1/traces", "application/x-protobuf", body);
    if (answer.ok() && answer->status == 200) {
      sent.acknowledged.push_back(number);
    } else {
      sent.unanswered.push_back(number);
      if (!answer.ok()) break;
    }
  }
  sent.unanswered.insert(sent.unanswered.end(), again.begin(), again.end());
}

// The ids of the spans that the node has of a trace, in order, repeats kept; empty when it knows none.
std::vector<std::string> stored_spans(clew::app::HttpClient& client, simdjson::dom::parser& parser,
                                      clew::model::TraceId id, std::string& problem) {
  std::vector<std::string> out;
  const auto answer = client.get("/api/v3/traces/" + id.hex());
  if (!answer.ok()) {
    problem = answer.status().to_string();
    return out;
  }
  if (answer->status == 404) return out;
  simdjson::dom::element root;
  simdjson::dom::array resources;
  if (answer->status != 200 || parser.parse(answer->body).get(root) != simdjson::SUCCESS ||
      root.at_pointer("/result/resourceSpans").get(resources) != simdjson::SUCCESS) {
    problem = "HTTP " + std::to_string(answer->status) + ": " + answer->body.substr(0, 300);
    return out;
  }
  for (const auto resource : resources) {
    for (const auto scope : resource["scopeSpans"]) {
      for (const auto span : scope["spans"]) out.emplace_back(std::string_view(span["spanId"]));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

class Audit {
 public:
  Audit(const Workload& workload, const clew::tests::ServerProcess& server)
      : workload_(workload), client_(server.query_client()) {}

  // Compares what the node has of request `number` with what was sent; `whole`: it was acknowledged.
  bool request(uint64_t number, bool whole) {
    for (const Workload::Trace& trace : workload_.traces(number)) {
      std::vector<std::string> expected;
      for (const auto span : trace.spans) expected.push_back(span.hex());
      std::sort(expected.begin(), expected.end());
      std::string problem;
      const auto stored = stored_spans(client_, parser_, trace.id, problem);
      spans_ += stored.size();
      const bool good =
          whole ? stored == expected : std::includes(expected.begin(), expected.end(), stored.begin(), stored.end());
      if (!problem.empty() || !good) {
        std::printf("request %llu (%s), trace %s: %zu of %zu spans are there %s\n",
                    static_cast<unsigned long long>(number), whole ? "acknowledged" : "not answered",
                    trace.id.hex().c_str(), stored.size(), expected.size(), problem.c_str());
        return false;
      }
    }
    return true;
  }

  // Every trace that a search finds was sent.
  bool no_phantoms(const std::set<std::string>& sent) {
    std::string cursor;
    size_t found = 0;
    while (true) {
      const auto answer =
          client_.get("/clew/v1/search?limit=500" + (cursor.empty() ? "" : "&cursor=" + clew::app::url_encode(cursor)));
      simdjson::dom::element root;
      simdjson::dom::array traces;
      if (!answer.ok() || answer->status != 200 || parser_.parse(answer->body).get(root) != simdjson::SUCCESS ||
          root["hits"].get(traces) != simdjson::SUCCESS) {
        std::printf("search failed: %s\n",
                    answer.ok() ? answer->body.substr(0, 300).c_str() : answer.status().to_string().c_str());
        return false;
      }
      for (const auto trace : traces) {
        ++found;
        const std::string id{std::string_view(trace["traceID"])};
        if (!sent.contains(id)) {
          std::printf("phantom: trace %s was never sent\n", id.c_str());
          return false;
        }
      }
      std::string_view next;
      if (root["next"].get(next) != simdjson::SUCCESS || next.empty()) break;
      cursor = next;
    }
    std::printf("search finds %zu traces, all of them sent\n", found);
    return true;
  }
  uint64_t spans() const { return spans_; }

 private:
  const Workload& workload_;
  clew::app::HttpClient client_;
  simdjson::dom::parser parser_;
  uint64_t spans_ = 0;
};

int run(const std::string& program, uint32_t rounds, uint64_t seed, const std::string& directory) {
  const Workload workload({.seed = seed, .spans_per_request = 48});
  const int64_t now_ns = clew::app::wall_now_ns();
  clew::Generator random(seed);
  clew::tests::ServerProcess server(program, directory, kConfig, clew::tests::claimed_ports());
  std::set<uint64_t> acknowledged, unanswered;
  uint64_t next = 0;
  for (uint32_t round = 0; round < rounds; ++round) {
    if (const auto status = server.start(); !status.ok()) {
      std::printf("round %u: %s\n", round, status.to_string().c_str());
      return 1;
    }
    std::atomic<bool> stop{false};
    std::vector<Sent> sent(kSenders);
    std::vector<std::vector<uint64_t>> again(kSenders);
    for (const uint64_t number : unanswered) again[number % kSenders].push_back(number);
    std::vector<std::thread> senders;
    for (uint32_t i = 0; i < kSenders; ++i) {
      senders.emplace_back([&, i] { send(server, workload, now_ns, again[i], next + i, kSenders, stop, sent[i]); });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + random.below(400)));
    server.kill_now();
    stop = true;
    for (auto& sender : senders) sender.join();
    unanswered.clear();
    size_t fresh = 0;
    for (const Sent& one : sent) {
      for (const uint64_t number : one.acknowledged) fresh += acknowledged.insert(number).second ? 1 : 0;
      for (const uint64_t number : one.unanswered) unanswered.insert(number);
    }
    for (const uint64_t number : acknowledged) next = std::max(next, number + 1);
    for (const uint64_t number : unanswered) next = std::max(next, number + 1);
    next += kSenders - next % kSenders;
    std::printf("round %u: killed after %zu acknowledged requests, %zu without an answer\n", round, fresh,
                unanswered.size());
    if (fresh == 0) {
      std::printf("nothing was acknowledged: this proves nothing\n%s\n", server.log().c_str());
      return 1;
    }
  }
  if (const auto status = server.start(); !status.ok()) {
    std::printf("after the last kill: %s\n", status.to_string().c_str());
    return 1;
  }
  Audit audit(workload, server);
  bool good = true;
  std::set<std::string> sent;
  for (const uint64_t number : acknowledged) {
    good = audit.request(number, true) && good;
    for (const auto& trace : workload.traces(number)) sent.insert(trace.id.hex());
  }
  for (const uint64_t number : unanswered) {
    good = audit.request(number, false) && good;
    for (const auto& trace : workload.traces(number)) sent.insert(trace.id.hex());
  }
  good = audit.no_phantoms(sent) && good;
  std::printf("%zu requests acknowledged over %u kills, %llu spans read back\n", acknowledged.size(), rounds,
              static_cast<unsigned long long>(audit.spans()));
  const int code = server.terminate();
  if (code != 0) {
    std::printf("clew serve ended with %d on SIGTERM\n%s\n", code, server.log().c_str());
    return 1;
  }
  if (!good) std::printf("%s\n", server.log().c_str());
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: kill9 CLEW [ROUNDS] [SEED]\n");
    return 2;
  }
  const uint32_t rounds = argc > 2 ? static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)) : 20;
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  std::string directory = (std::filesystem::temp_directory_path() / "clew-kill9-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 2;
  const int code = run(argv[1], rounds, seed, directory);
  if (code == 0) {
    std::filesystem::remove_all(directory);
  } else {
    std::printf("kept: %s\n", directory.c_str());
  }
  return code;
}
