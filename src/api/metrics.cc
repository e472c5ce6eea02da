#include "api/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>

namespace clew::api {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  void counter(std::string name, std::string help, double value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    add(std::move(name), std::move(help), MetricType::Counter, std::move(metric));
  }
  void gauge(std::string name, std::string help, double value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    add(std::move(name), std::move(help), MetricType::Gauge, std::move(metric));
  }
  void histogram(std::string name, std::string help, const DurationHistogram::Snapshot& durations, Labels labels) {
    ClientMetric metric;
    metric.label = std::move(labels);
    uint64_t total = 0;
    for (size_t i = 0; i < durations.counts.size(); ++i) {
      total += durations.counts[i];
      const double bound = i < DurationHistogram::kBounds.size() ? DurationHistogram::kBounds[i]
                                                                 : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({total, bound});
    }
    metric.histogram.sample_count = total;
    metric.histogram.sample_sum = durations.sum_seconds;
    add(std::move(name), std::move(help), MetricType::Histogram, std::move(metric));
  }
  const std::vector<MetricFamily>& all() const { return families_; }

 private:
  void add(std::string name, std::string help, MetricType type, ClientMetric metric) {
    // Samples of one family stand together, in whatever order they are added.
    for (MetricFamily& family : families_) {
      if (family.name == name) {
        family.metric.push_back(std::move(metric));
        return;
      }
    }
    families_.push_back({std::move(name), std::move(help), type, {std::move(metric)}});
  }
  std::vector<MetricFamily> families_;
};

double real(uint64_t value) { return static_cast<double>(value); }

void add_node(Families& out, const cluster::NodeStats& node) {
  uint64_t rejected = 0;
  for (const uint64_t count : node.rejected) rejected += count;
  out.counter("clew_received_spans_total", "Spans that arrived, accepted or not.",
              real(node.accepted_spans + rejected));
  out.counter("clew_accepted_spans_total", "Spans that were acknowledged.", real(node.accepted_spans));
  for (size_t i = 1; i < node.rejected.size(); ++i) {
    out.counter("clew_discarded_spans_total", "Spans that were left out, by reason.", real(node.rejected[i]),
                {{"reason", std::string(otlp::reject_name(static_cast<otlp::Reject>(i)))}});
  }
  out.counter("clew_duplicate_spans_total", "Spans that were there already with the same content.",
              real(node.duplicate_spans));
  out.counter("clew_malformed_rows_total", "Rows that could not be read when their trace was decided: left out.",
              real(node.malformed_rows));
  out.counter("clew_seal_read_failures_total", "Stored parts of a trace that could not be read when it was decided.",
              real(node.seal_read_failures));
  out.counter("clew_store_maintenance_failures_total",
              "Steps of compaction or retention that failed: nothing is lost, they are tried again.",
              real(node.maintenance_failures));
  out.counter("clew_refused_requests_total", "Requests refused for load by the node.", real(node.refused_requests));
  out.gauge("clew_open_traces", "Traces that await their verdict.", real(node.open_traces));
  out.gauge("clew_open_rows", "Spans in memory that are not sealed yet.", real(node.open_rows));
  out.gauge("clew_memory_bytes", "Memory that the node accounts for.", real(node.memory_bytes));
  out.gauge("clew_memory_limit_bytes", "What it may account for; above it requests are refused.",
            real(node.memory_limit_bytes));
  constexpr const char* kVerdicts = "clew_verdicts_total";
  out.counter(kVerdicts, "Verdicts given, by outcome.", real(node.verdicts_complete), {{"verdict", "complete"}});
  out.counter(kVerdicts, "", real(node.verdicts_timed_out), {{"verdict", "timed_out"}});
  out.counter("clew_reopened_traces_total", "Traces that late spans reopened after a verdict.", real(node.reopened));
  out.gauge("clew_wal_bytes", "Bytes of write-ahead log on disk.", real(node.wal_bytes));
  out.counter("clew_wal_syncs_total", "Group commits.", real(node.wal_syncs));
  out.counter("clew_wal_damage_total", "Damaged blocks met when the log was read.", real(node.wal_damage));
  out.counter("clew_wal_lost_spans_total", "Spans in the log that could not be read without a damaged record.",
              real(node.wal_lost_spans));
  out.counter("clew_wal_torn_bytes_total", "Bytes cut off torn tails of the log.", real(node.wal_torn_bytes));
  out.gauge("clew_store_segments", "Segments on disk.", real(node.store.segments));
  out.gauge("clew_store_traces", "Traces in segments.", real(node.store.traces));
  out.gauge("clew_store_spans", "Spans in segments.", real(node.store.spans));
  out.gauge("clew_store_bytes", "Bytes of segments on disk.", real(node.store.bytes));
  out.counter("clew_store_damaged_blocks_total", "Damaged blocks met in segments: reported, skipped.",
              real(node.store.damaged_blocks));
  out.counter("clew_store_compactions_total", "Compactions done.", real(node.store.compactions));
  out.counter("clew_store_expired_segments_total", "Segments removed by retention.", real(node.store.expired_segments));
  if (node.store.oldest_arrival_ns > 0) {
    out.gauge("clew_store_oldest_arrival_timestamp_seconds", "Arrival of the oldest span in segments.",
              static_cast<double>(node.store.oldest_arrival_ns) * 1e-9);
  }
  out.gauge("clew_ready", "1 when the node takes requests.", node.ready ? 1 : 0);
  out.gauge("clew_disk_full", "1 while a full disk makes the node refuse spans.", node.disk_full ? 1 : 0);
}

void add_http(Families& out, const std::string& name, const HttpServerStats& http) {
  const Labels server = {{"server", name}};
  const auto with = [&](const char* key, std::string value) {
    Labels labels = server;
    labels.push_back({key, std::move(value)});
    return labels;
  };
  out.gauge("clew_http_open_connections", "Connections open now.", real(http.open_connections), server);
  out.counter("clew_http_connections_total", "Connections by what became of them.", real(http.accepted_connections),
              with("result", "accepted"));
  out.counter("clew_http_connections_total", "", real(http.refused_connections), with("result", "refused"));
  out.counter("clew_http_connections_total", "", real(http.timeouts), with("result", "timed_out"));
  out.counter("clew_http_connections_total", "", real(http.tls_failures), with("result", "tls_failed"));
  out.counter("clew_http_bad_requests_total", "Requests that are not HTTP or break its limits.",
              real(http.bad_requests), server);
  for (size_t i = 1; i < 6; ++i) {
    out.counter("clew_http_responses_total", "Responses by class of status.", real(http.responses[i]),
                with("code", std::to_string(i) + "xx"));
  }
  out.histogram("clew_request_duration_seconds", "From a complete request to its reply.", http.durations, server);
}

void add_grpc(Families& out, const GrpcServerStats& grpc) {
  out.gauge("clew_grpc_open_calls", "Calls that are not answered yet.", real(grpc.open_calls));
  for (size_t i = 0; i < 17; ++i) {
    if (i > 0 && grpc.by_code[i] == 0) continue;
    out.counter("clew_grpc_calls_total", "Finished calls by status.", real(grpc.by_code[i]),
                {{"code", std::string(code_name(static_cast<Code>(i)))}});
  }
  out.histogram("clew_request_duration_seconds", "", grpc.durations, {{"server", "otlp/grpc"}});
}

}  // namespace

std::string render_metrics(const MetricsInput& input) {
  Families out;
  add_node(out, input.node);
  out.counter("clew_otlp_requests_total", "OTLP requests that arrived whole.", real(input.receiver.requests));
  out.counter("clew_otlp_failed_requests_total", "OTLP requests that were answered with an error.",
              real(input.receiver.failed));
  out.counter("clew_otlp_received_bytes_total", "Bytes of OTLP requests as they came.",
              real(input.receiver.received_bytes));
  out.counter("clew_otlp_decoded_bytes_total", "Bytes of OTLP requests after inflating and transcoding.",
              real(input.receiver.inflated_bytes));
  out.gauge("clew_in_flight_bytes", "Bytes of requests being received or stored.", real(input.in_flight_bytes));
  out.gauge("clew_in_flight_limit_bytes", "What they may reach; above it requests are refused.",
            real(input.max_in_flight_bytes));
  out.counter("clew_admission_refused_total", "Requests refused because of that limit.", real(input.admission_refused));
  for (const auto& [name, http] : input.http) add_http(out, name, http);
  add_grpc(out, input.grpc);
  out.gauge("clew_build_info", "Always 1; the version is in the label.", 1, {{"version", input.version}});
  out.gauge("clew_serving", "1 when the receivers take requests.", input.serving ? 1 : 0);
  if (input.process.resident_bytes > 0) {
    out.counter("process_cpu_seconds_total", "User and system CPU time of this process.", input.process.cpu_seconds);
    out.gauge("process_resident_memory_bytes", "Resident memory of this process.", real(input.process.resident_bytes));
    out.gauge("process_open_fds", "Open file descriptors.", real(input.process.open_fds));
    out.gauge("process_start_time_seconds", "Start of this process since the Unix epoch.",
              input.process.start_time_seconds);
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, out.all());
  return text.str();
}

}  // namespace clew::api
