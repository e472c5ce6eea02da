// clew bench: load against a running node. `ingest` sends made-up traces; `get` times queries.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>

#include "app/commands.h"
#include "app/load.h"

namespace clew::app {
namespace {

struct IngestFlags {
  ClientFlags client;
  LoadOptions load;
  std::string format = "protobuf";
  std::string encoding = "none";
  std::string transport = "http";
  bool json = false;
};

int bench_ingest(IngestFlags& flags) {
  LoadOptions& load = flags.load;
  auto server = parse_server(flags.client.server, "");
  if (!server.ok()) return fail(server.status());
  if (server->tls) return fail(Status(Code::kInvalidArgument, "the load generator speaks no TLS; give a plain port"));
  load.server = std::move(*server);
  load.token = flags.client.token;
  load.tenant = flags.client.tenant;
  load.workload.format = flags.format == "json" ? BodyFormat::kJson : BodyFormat::kProtobuf;
  load.grpc = flags.transport == "grpc";
  load.encoding = flags.encoding == "gzip"   ? otlp::Encoding::kGzip
                  : flags.encoding == "zstd" ? otlp::Encoding::kZstd
                                             : otlp::Encoding::kIdentity;
  if (load.grpc && (flags.format == "json" || flags.encoding == "zstd")) {
    return fail(Status(Code::kInvalidArgument, "gRPC carries protobuf, plain or with gzip"));
  }
  if (load.spans == 0 && load.seconds == 0) load.seconds = 10;
  auto result = run_load(load);
  if (!result.ok()) return fail(result.status());
  const LoadReport& report = *result;
  const double rate = static_cast<double>(report.spans) / report.seconds;
  const double wire = static_cast<double>(report.bytes) / static_cast<double>(report.spans);
  if (flags.json) {
    std::printf(
        "{\"spans\":%llu,\"requests\":%llu,\"refused\":%llu,\"failed\":%llu,\"seconds\":%.3f,\"spans_per_s\":%.0f,"
        "\"bytes_per_span\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
        static_cast<unsigned long long>(report.spans), static_cast<unsigned long long>(report.requests),
        static_cast<unsigned long long>(report.refused), static_cast<unsigned long long>(report.failed), report.seconds,
        rate, wire, report.percentile_ms(0.5), report.percentile_ms(0.99), report.percentile_ms(1));
  } else {
    std::printf("%llu spans in %.1f s: %.0f spans/s, %.0f bytes a span on the wire\n",
                static_cast<unsigned long long>(report.spans), report.seconds, rate, wire);
    std::printf("%llu requests of %u spans: p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
                static_cast<unsigned long long>(report.requests), load.workload.spans_per_request,
                report.percentile_ms(0.5), report.percentile_ms(0.99), report.percentile_ms(1));
    if (report.refused + report.failed > 0) {
      std::printf("%llu refused and sent again, %llu failed; the last error: %s\n",
                  static_cast<unsigned long long>(report.refused), static_cast<unsigned long long>(report.failed),
                  report.last_error.c_str());
    }
  }
  return report.failed == 0 ? 0 : 1;
}

struct GetFlags {
  ClientFlags client;
  std::vector<std::string> targets;
  uint32_t repeat = 50;
  bool json = false;
};

// Times GETs, one after another over one connection; several targets take turns (so that a cache does not answer all).
int bench_get(const GetFlags& flags) {
  auto client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  std::vector<double> ms;
  size_t bytes = 0;
  std::map<int, uint32_t> statuses;
  for (uint32_t i = 0; i < flags.repeat; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto response = client->get(flags.targets[i % flags.targets.size()]);
    if (!response.ok()) return fail(response.status());
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    bytes += response->body.size();
    ++statuses[response->status];
  }
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double share) {
    return ms[std::min(ms.size() - 1, static_cast<size_t>(share * static_cast<double>(ms.size())))];
  };
  const bool good = statuses.size() == 1 && statuses.begin()->first == 200;
  if (flags.json) {
    std::printf("{\"requests\":%zu,\"ok\":%u,\"bytes\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
                ms.size(), statuses[200], bytes / ms.size(), at(0.5), at(0.99), ms.back());
  } else {
    std::printf("%zu requests, %u answered 200, %zu bytes each: p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", ms.size(),
                statuses[200], bytes / ms.size(), at(0.5), at(0.99), ms.back());
  }
  return good ? 0 : 1;
}

}  // namespace

void add_bench(CLI::App& program, int& exit_code) {
  auto* command = program.add_subcommand("bench", "load against a running node");
  command->require_subcommand(1);

  auto ingest = std::make_shared<IngestFlags>();
  auto* send = command->add_subcommand("ingest", "send made-up traces and report rate and latency");
  ingest->client.add_to(*send, "4318", "CLEW_OTLP_SERVER");
  send->add_option("--spans", ingest->load.spans, "stop after so many");
  send->add_option("--seconds", ingest->load.seconds, "stop after so long (10 when neither is given)");
  send->add_option("--rate", ingest->load.rate, "spans a second; without it, as fast as answers come");
  send->add_option("--spans-per-request", ingest->load.workload.spans_per_request, "")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  send->add_option("--connections", ingest->load.connections, "or calls in flight, over gRPC")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  send->add_option("--format", ingest->format, "")->capture_default_str()->check(CLI::IsMember({"protobuf", "json"}));
  send->add_option("--encoding", ingest->encoding, "")
      ->capture_default_str()
      ->check(CLI::IsMember({"none", "gzip", "zstd"}));
  send->add_option("--transport", ingest->transport, "grpc wants --server HOST:4317")
      ->capture_default_str()
      ->check(CLI::IsMember({"http", "grpc"}));
  send->add_option("--seed", ingest->load.workload.seed, "of ids and contents")->capture_default_str();
  send->add_flag("--json", ingest->json, "one line of JSON");
  send->callback([ingest, &exit_code] { exit_code = bench_ingest(*ingest); });

  auto get = std::make_shared<GetFlags>();
  auto* query = command->add_subcommand("get", "time GET requests, one after another");
  get->client.add_to(*query, "16686");
  query->add_option("target", get->targets, "paths with their query, e.g. /api/services; several take turns")
      ->required();
  query->add_option("--repeat", get->repeat, "")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  query->add_flag("--json", get->json, "one line of JSON");
  query->callback([get, &exit_code] { exit_code = bench_get(*get); });
  add_bench_kv(*command, exit_code);
}

}  // namespace clew::app
