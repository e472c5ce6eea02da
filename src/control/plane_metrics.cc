#include "control/plane_metrics.h"

#include <string>
#include <string_view>
#include <utility>

namespace clew::control {
namespace {

using consensus::MetricType;
using consensus::MetricValue;

class Lines {
 public:
  void counter(std::string_view name, std::string_view help, uint64_t value, std::string labels = {}) {
    out.push_back({name, help, MetricType::kCounter, std::move(labels), static_cast<double>(value)});
  }
  void gauge(std::string_view name, std::string_view help, uint64_t value, std::string labels = {}) {
    out.push_back({name, help, MetricType::kGauge, std::move(labels), static_cast<double>(value)});
  }
  template <typename Value>
  void each_space(std::string_view name, std::string_view help, const kv::Spaces& spaces, Value&& value) {
    for (size_t i = 0; i < kv::kSpaces; ++i) {
      const auto space = static_cast<kv::Space>(i);
      gauge(name, help, value(spaces.machine(space)), "space=\"" + std::string(kv::space_name(space)) + "\"");
    }
  }
  std::vector<MetricValue> out;
};

}  // namespace

std::vector<MetricValue> plane_metrics(const Plane& plane, const ServerStats* server) {
  Lines lines;
  const kv::Spaces& spaces = plane.spaces();
  lines.each_space("clew_kv_keys", "keys that exist now", spaces,
                   [](const auto& machine) { return machine.store().live_keys(); });
  lines.each_space("clew_kv_versions", "versions of keys that are kept; compaction makes them fewer", spaces,
                   [](const auto& machine) { return machine.store().records(); });
  lines.each_space("clew_kv_bytes", "of keys and values in all versions that are kept; the quota counts these", spaces,
                   [](const auto& machine) { return machine.store().bytes(); });
  lines.each_space("clew_kv_revision", "newest revision", spaces,
                   [](const auto& machine) { return static_cast<uint64_t>(machine.store().revision()); });
  lines.each_space("clew_kv_leases", "leases that exist now", spaces,
                   [](const auto& machine) { return machine.leases().size(); });
  lines.gauge("clew_decree_abstains", "1 when this member lost what it had promised in decrees, and votes for none",
              plane.decrees_problem().empty() ? 0 : 1);
  const PlaneStats stats = plane.stats();
  lines.gauge("clew_kv_quota_bytes", "above it what grows is refused", plane.quota_bytes());
  lines.gauge("clew_kv_watchers", "watches served by this member", stats.watchers);
  lines.gauge("clew_kv_watch_streams", "streams of watches served by this member", stats.watch_streams);
  lines.gauge("clew_kv_waiting", "requests to this member without an answer", stats.waiting);
  lines.counter("clew_kv_requests_total", "requests to this member", stats.changes, "kind=\"change\"");
  lines.counter("clew_kv_requests_total", "requests to this member", stats.reads, "kind=\"read\"");
  lines.counter("clew_kv_requests_total", "requests to this member", stats.keep_alives, "kind=\"keep_alive\"");
  lines.counter("clew_kv_read_barriers_total", "asked of the group; reads a barrier is how well batching works",
                stats.read_barriers);
  lines.counter("clew_kv_forwarded_total", "requests passed on to another member", stats.forwarded);
  lines.counter("clew_kv_retried_total", "tries that certainly had no effect and were made again", stats.retried);
  lines.counter("clew_kv_refused_total", "refused by a bound, the quota or an alarm", stats.refused);
  lines.counter("clew_kv_timed_out_total", "without an answer in time", stats.timed_out);
  lines.counter("clew_kv_attested_total", "commands that a client asked this member about, as it believes no other",
                stats.attested, "result=\"told\"");
  lines.counter("clew_kv_attested_total", "commands that a client asked this member about, as it believes no other",
                stats.unattested, "result=\"unknown\"");
  if (server == nullptr) return std::move(lines.out);
  lines.gauge("clew_client_connections", "of our own client protocol", server->connections);
  lines.gauge("clew_client_streams", "watches and snapshots on them", server->streams);
  lines.gauge("clew_client_in_flight", "requests in work", server->in_flight);
  lines.counter("clew_client_requests_total", "requests of clients", server->requests);
  lines.counter("clew_client_errors_total", "requests answered by an error", server->errors);
  lines.counter("clew_client_bytes_total", "with headers", server->bytes_received, "direction=\"received\"");
  lines.counter("clew_client_bytes_total", "with headers", server->bytes_sent, "direction=\"sent\"");
  lines.counter("clew_client_writes_total", "of answers", server->writes);
  lines.counter("clew_client_pauses_total", "times that reading from a client was stopped at a bound", server->pauses);
  for (size_t i = 0; i < server->refused.size(); ++i) {
    if (server->refused[i] == 0) continue;
    lines.counter("clew_client_refused_total", "connections refused or given up", server->refused[i],
                  "reason=\"" + std::string(refusal_name(static_cast<Refusal>(i))) + "\"");
  }
  return std::move(lines.out);
}

}  // namespace clew::control
