// clew serve: one node. Start: configuration → loops → data directory (lock, replay) → control plane (its group is
// found, founded or joined) → listeners → ready. Stop (SIGTERM, SIGINT): not ready → listeners drain → leadership is
// given away → node drains → loops end. SIGHUP reads TLS files and tokens again.
#include <malloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "api/cluster_view.h"
#include "api/etcd/server.h"
#include "api/kv_view.h"
#include "api/query_router.h"
#include "api/servers.h"
#include "api/ui.h"
#include "app/client_output.h"
#include "app/commands.h"
#include "app/config.h"
#include "app/control_host.h"
#include "app/notify.h"
#include "app/process_stats.h"
#include "app/ui_files.h"
#include "app/units.h"
#include "app/version.h"
#include "base/mutex.h"
#include "cluster/node.h"
#include "consensus/protocols.h"
#include "os/clock.h"
#include "os/disk.h"
#include "os/loop.h"
#include "os/random.h"
#include "os/signals.h"
#include "os/workers.h"
#include "store/embedded_store.h"

namespace clew::app {
namespace {

constexpr uint32_t kDrainGraceMs = 15'000;
constexpr uint32_t kEtcdGraceMs = 3'000;

struct ServeFlags {
  std::string config_file;
  std::optional<std::string> data_directory;
  std::optional<std::string> otlp_grpc, otlp_http, http, tempo, etcd;
  std::optional<std::string> log_level;
  std::optional<uint64_t> node_id;
  std::optional<std::string> name, peer, advertise_peer, client, advertise_client, initial_cluster, engine, role,
      consensus, signing_key, signing_members;
  std::vector<std::string> join;
};

Result<Config> configuration(const ServeFlags& flags) {
  Config config = default_config();
  if (!flags.config_file.empty()) {
    CLEW_ASSIGN(config, load_config(flags.config_file));
  }
  const auto set = [&](const std::optional<std::string>& flag, const char* setting, std::string& value) {
    if (!flag) return;
    value = *flag;
    config.places.erase(setting);  // a complaint about it is not the file's
  };
  set(flags.data_directory, "storage.directory", config.node.data_directory);
  set(flags.otlp_grpc, "receivers.otlp.protocols.grpc.endpoint", config.servers.otlp_grpc.endpoint);
  set(flags.otlp_http, "receivers.otlp.protocols.http.endpoint", config.servers.otlp_http.endpoint);
  set(flags.http, "query.http.endpoint", config.servers.http.endpoint);
  set(flags.tempo, "query.tempo.endpoint", config.servers.tempo.endpoint);
  set(flags.etcd, "etcd.endpoint", config.servers.etcd.endpoint);
  set(flags.log_level, "log.level", config.log_level);
  set(flags.name, "control.name", config.control.name);
  set(flags.peer, "control.peer.endpoint", config.control.peer.endpoint);
  set(flags.advertise_peer, "control.peer.advertise", config.control.peer.advertise);
  set(flags.client, "control.client.endpoint", config.control.client.endpoint);
  set(flags.advertise_client, "control.client.advertise", config.control.client.advertise);
  set(flags.initial_cluster, "control.initial_cluster", config.control.initial_cluster);
  set(flags.role, "control.role", config.control.role);
  set(flags.consensus, "control.consensus", config.control.consensus);
  set(flags.signing_key, "control.signing.key_file", config.control.signing_key);
  set(flags.signing_members, "control.signing.members_dir", config.control.signing_members);
  if (flags.engine) {
    if (*flags.engine != "memory" && *flags.engine != "rocksdb") {
      return Error{Code::kInvalidArgument, "--engine '" + *flags.engine + "' is none of memory, rocksdb"};
    }
    config.control.engine = *flags.engine == "memory" ? EngineKind::kMemory : EngineKind::kRocks;
  }
  if (flags.node_id) {
    config.control.node_id = *flags.node_id;
    config.places.erase("control.node_id");
  }
  if (!flags.join.empty()) {
    config.control.join = flags.join;
    config.places.erase("control.join");
  }
  CLEW_TRY(check_config(config));
  config.node.largest_request_bytes = largest_request(config.servers);
  return config;
}

void start_logging(const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>("clew", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

// What the main thread waits for: signals and the end of the node's ability to keep its promises.
class Events {
 public:
  enum class Kind { kStop, kReload, kHalt };
  struct Event {
    Kind kind = Kind::kStop;
    Status status;          // of kHalt
    std::string what = {};  // that has stopped
  };
  void push(Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    wake_.notify_one();
  }
  Event wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return !events_.empty(); });
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Event> events_;  // guarded by mutex_
};

// Runs `begin` with a completion and waits for it; false when `limit` passed first.
bool wait_for(std::chrono::milliseconds limit, const std::function<void(Task)>& begin) {
  struct State {
    std::mutex mutex;
    std::condition_variable wake;
    bool done = false;
  };
  const auto state = std::make_shared<State>();  // shared: the completion may come after the wait was given up
  begin([state] {
    const std::lock_guard lock(state->mutex);
    state->done = true;
    state->wake.notify_one();
  });
  std::unique_lock lock(state->mutex);
  return state->wake.wait_for(lock, limit, [&] { return state->done; });
}

// Loops of a node that is not told: one per two cores, unless the memory limit spread over so many shards could never
// admit a request of the largest size.
uint32_t default_loops(const cluster::NodeOptions& node) {
  uint32_t count = std::max(1u, (std::thread::hardware_concurrency() + 1) / 2);
  while (count > 1 && cluster::largest_admissible_bytes(node.memory_limit_bytes, count) < node.largest_request_bytes) {
    --count;
  }
  return count;
}

// Buffers of unusual requests go back to the system at once. Left to itself, the allocator raises the size from which
// it does so with every such buffer, up to 32 MiB, and keeps what is smaller.
void return_large_buffers() {
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

void log_replay(const cluster::ReplayTotals& replay, int64_t took_ns) {
  if (replay.records > 0) {
    spdlog::info("msg=\"log replayed\" records={} spans={} bytes={} took=\"{}\"", replay.records, replay.spans,
                 replay.bytes, readable_duration(took_ns));
  }
  if (replay.torn_tail_bytes > 0)
    spdlog::info("msg=\"unfinished last write of the log cut off\" bytes={}", replay.torn_tail_bytes);
  for (const auto& damage : replay.damage) {
    spdlog::error("msg=\"damaged log record skipped\" file={} offset={} bytes={} what=\"{}\"", damage.file,
                  damage.offset, damage.bytes, damage.what);
  }
}

Result<std::unique_ptr<store::SpanStore>> open_embedded(env::Disk& disk, const cluster::StoreOptions& options,
                                                        uint64_t seed) {
  store::EmbeddedOptions embedded;
  embedded.directory = options.directory;
  embedded.retention = options.retention;
  embedded.cache_bytes = options.block_cache_bytes;
  embedded.hash_seed = seed;
  CLEW_ASSIGN(auto store, store::EmbeddedStore::open(disk, std::move(embedded), [](const std::string& damage) {
                spdlog::error("msg=\"damaged segment\" what=\"{}\"", damage);
              }));
  return std::unique_ptr<store::SpanStore>(std::move(store));
}

// A node with its threads, in the order in which they must come and go.
class Process {
 public:
  Process(Config config, std::string config_file)
      : config_(std::move(config)),
        auth_(config_.servers.otlp_http.auth),
        config_file_(std::move(config_file)),
        has_tokens_(!config_.servers.otlp_http.auth.bearer_tokens.empty()),
        has_control_tokens_(!control_tokens(config_).empty()) {}

  Status start(Events& events) {
    const uint32_t count = config_.loops != 0 ? config_.loops : default_loops(config_.node);
    workers_ = std::make_unique<os::Workers>();
    for (uint32_t i = 0; i < count; ++i)
      loops_.push_back(std::make_unique<os::OsLoop>("loop-" + std::to_string(i), *workers_));
    disk_ = std::make_unique<os::OsDisk>();

    notify_supervisor("STATUS=replaying the log");
    cluster::Node::Ports ports;
    for (const auto& loop : loops_) ports.loops.push_back(loop.get());
    ports.disk = disk_.get();
    ports.random = &random_;
    ports.open_store = [this](env::Disk& disk, const cluster::StoreOptions& options) {
      return open_embedded(disk, options, random_.next());
    };
    ports.report = [](const std::string& what) {
      spdlog::error("msg=\"upkeep of the store failed; nothing is lost, it is tried again\" what=\"{}\"", what);
    };
    cluster::ReplayTotals replay;
    const int64_t begin = clock_.mono_ns();
    CLEW_ASSIGN(node_, cluster::Node::open(std::move(ports), config_.node, &replay, [&events](Status status) {
                  events.push({Events::Kind::kHalt, std::move(status), "admitted data could not be written"});
                }));
    log_replay(replay, clock_.mono_ns() - begin);

    notify_supervisor("STATUS=looking for its group");
    control_ =
        std::make_unique<ControlHost>(ControlHost::Ports{*workers_, random_, node_.get(), kVersion}, config_.control,
                                      config_.node.data_directory + "/control", control_tokens(config_));
    CLEW_TRY(control_->start([&events](Status status) {
      events.push({Events::Kind::kHalt, std::move(status), "this member of the control group cannot go on"});
    }));
    spdlog::info("msg=\"member of the control group\" founding={:016x} node={}", control_->founding(),
                 number(control_->node()));

    std::vector<boost::asio::io_context*> contexts;
    for (const auto& loop : loops_) contexts.push_back(&loop->context());
    const api::QueryDeps deps{*node_, clock_, kVersion,
                              [this](const std::string* tenant) { return shown_configuration(tenant); }};
    if (!config_.servers.etcd.endpoint.empty()) {
      etcd_ = std::make_unique<api::EtcdServer>(config_.servers.etcd, control_->service(), contexts, kVersion);
    }
    servers_ = std::make_unique<api::Servers>(
        config_.servers,
        api::Servers::Node{*node_, *node_, contexts, read_process_stats, kVersion,
                           [this, deps](api::HttpRouter& http, api::HttpRouter& tempo) {
                             api::add_ui_routes(http, ui_files());
                             api::add_query_routes(http, deps, api::QueryPort::kJaeger);
                             api::add_query_routes(tempo, deps, api::QueryPort::kTempo);
                             api::add_cluster_routes(http, control_->service());
                             api::add_kv_routes(http, control_->service());
                           },
                           [this](UniqueFunction<void(std::string)> done) { control_->metrics(std::move(done)); },
                           [this](Task work) { workers_->run(env::Lane::kQuery, std::move(work)); }},
        config_.node.limits);
    CLEW_TRY(servers_->start());
    if (etcd_) CLEW_TRY(etcd_->start());
    publish_addresses();
    servers_->set_ready(true);
    if (etcd_) etcd_->set_ready(true);
    return {};
  }

  void log_addresses() const {
    const auto ports = servers_->ports();
    const auto line = [](const char* what, const std::string& endpoint, uint16_t port) {
      if (port != 0)
        spdlog::info("msg=listening api={} endpoint={}:{}", what, endpoint.substr(0, endpoint.rfind(':')), port);
    };
    line("otlp-grpc", config_.servers.otlp_grpc.endpoint, ports.otlp_grpc);
    line("otlp-http", config_.servers.otlp_http.endpoint, ports.otlp_http);
    line("http", config_.servers.http.endpoint, ports.http);
    line("tempo", config_.servers.tempo.endpoint, ports.tempo);
    line("etcd", config_.servers.etcd.endpoint, etcd_ == nullptr ? 0 : etcd_->port());
    line("peer", config_.control.peer.endpoint, control_->peer_port());
    line("client", config_.control.client.endpoint, control_->client_port());
  }

  // What can change while a node runs; says what did. All else of the configuration waits for a restart.
  void reload() {
    reload_tls();
    reload_tokens();
  }

  // Everything that was admitted is durable afterwards. False when it took too long (it is in the log then).
  bool drain() {
    const bool quiet = wait_for(std::chrono::milliseconds(2 * kDrainGraceMs),
                                [&](Task done) { servers_->drain(kDrainGraceMs, std::move(done)); });
    const bool etcd_quiet = etcd_ == nullptr || wait_for(std::chrono::milliseconds(2 * kDrainGraceMs), [&](Task done) {
                              etcd_->set_ready(false);
                              etcd_->drain(kEtcdGraceMs, std::move(done));
                            });
    const bool given = control_->drain();
    if (!given) spdlog::warn("msg=\"leadership was not given away in time; the others will elect\"");
    const bool still = wait_for(std::chrono::seconds(60), [&](Task done) { node_->drain(std::move(done)); });
    return quiet && etcd_quiet && still;
  }

  os::OsLoop& first_loop() { return *loops_.front(); }

  ~Process() {
    servers_.reset();
    etcd_.reset();
    if (control_) control_->stop();
    for (const auto& loop : loops_) loop->stop();
    if (workers_) workers_->stop();
    control_.reset();
    node_.reset();
    disk_.reset();
    loops_.clear();
  }

 private:
  // Where the node's other servers are found, for its record in the group.
  void publish_addresses() {
    const auto ports = servers_->ports();
    const auto& servers = config_.servers;
    std::vector<std::string> etcd_urls;
    if (etcd_ != nullptr) {
      etcd_urls.push_back((servers.etcd.tls.enabled() ? "https://" : "http://") +
                          (!servers.etcd.advertise.empty()
                               ? servers.etcd.advertise
                               : control_->reachable_at(servers.etcd.endpoint, etcd_->port())));
    }
    control_->publish(std::move(etcd_urls),
                      ports.http == 0 ? "" : control_->reachable_at(servers.http.endpoint, ports.http));
  }

  void reload_tls() {
    const api::ServerOptions& servers = config_.servers;
    if (!servers.otlp_grpc.tls.enabled() && !servers.otlp_http.tls.enabled() && !servers.http.tls.enabled() &&
        !servers.tempo.tls.enabled() && !servers.etcd.tls.enabled() && !config_.control.peer.tls.enabled() &&
        !config_.control.client.tls.enabled()) {
      return;
    }
    Status status = servers_->reload_tls();
    if (etcd_ != nullptr) {
      if (Status etcd = etcd_->reload_tls(); status.ok()) status = std::move(etcd);
    }
    if (Status control = control_->reload_tls(); status.ok()) status = std::move(control);
    if (!status.ok()) {
      spdlog::error("msg=\"TLS files not reloaded, the former ones stay\" error=\"{}\"", status.message());
    } else {
      spdlog::info("msg=\"TLS files reloaded\"");
    }
  }

  void reload_tokens() {
    if (config_file_.empty()) {
      spdlog::info("msg=\"no tokens to reload: the node runs without a configuration file\"");
      return;
    }
    auto fresh = load_config(config_file_);
    Status status = fresh.ok() ? check_config(*fresh) : fresh.status();
    if (status.ok() && ((has_tokens_ && fresh->servers.otlp_http.auth.bearer_tokens.empty()) ||
                        (has_control_tokens_ && control_tokens(*fresh).empty()))) {
      // More likely a file caught half written than a wish to let everybody in.
      status = {Code::kFailedPrecondition, config_file_ +
                                               " names no auth.bearer_tokens any more, or none without a tenant; to "
                                               "let everybody in, restart the node"};
    }
    if (!status.ok()) {
      spdlog::error("msg=\"bearer tokens not reloaded, the former ones stay\" error=\"{}\"", status.message());
      return;
    }
    const size_t count = fresh->servers.otlp_http.auth.bearer_tokens.size();
    servers_->replace_tokens(fresh->servers);
    control_->replace_tokens(control_tokens(*fresh));
    if (etcd_) etcd_->replace_tokens(fresh->servers.etcd.auth);
    {
      const MutexLock lock(mutex_);
      auth_ = fresh->servers.otlp_http.auth;
    }
    has_tokens_ = count != 0;
    has_control_tokens_ = !control_tokens(*fresh).empty();
    spdlog::info("msg=\"bearer tokens reloaded; other settings need a restart\" tokens={} file={}", count,
                 config_file_);
  }

  // The tokens in force, and all else as it was at the start. On the servers' loops.
  std::string shown_configuration(const std::string* tenant) {
    Config shown = config_;
    {
      const MutexLock lock(mutex_);
      shown.servers.otlp_http.auth = auth_;
    }
    return tenant == nullptr ? print_config(std::move(shown)) : print_config_for(*tenant, std::move(shown));
  }

  const Config config_;
  Mutex mutex_;
  api::AuthOptions auth_ CLEW_GUARDED_BY(mutex_);  // now
  const std::string config_file_;                  // "": none
  bool has_tokens_, has_control_tokens_;           // now
  os::OsClock clock_;
  os::OsRandom random_;
  std::unique_ptr<os::Workers> workers_;
  std::vector<std::unique_ptr<os::OsLoop>> loops_;
  std::unique_ptr<os::OsDisk> disk_;
  std::unique_ptr<cluster::Node> node_;
  std::unique_ptr<ControlHost> control_;
  std::unique_ptr<api::Servers> servers_;
  std::unique_ptr<api::EtcdServer> etcd_;
};

int serve(const ServeFlags& flags) {
  auto config = configuration(flags);
  if (!config.ok()) return fail(config.status());
  start_logging(config->log_level);
  os::ignore_broken_pipes();
  return_large_buffers();
  spdlog::info("msg=starting version={} data={} durability={}", kVersion, config->node.data_directory,
               config->node.durability == wal::Durability::kDisk ? "disk"
               : config->node.durability == wal::Durability::kOs ? "os"
                                                                 : "memory");
  Events events;
  Process process(std::move(*config), flags.config_file);
  if (const Status status = process.start(events); !status.ok()) {
    spdlog::critical("msg=\"cannot start\" error=\"{}\"", status.message());
    return 1;
  }
  std::optional<os::SignalWatch> signals;
  signals.emplace(process.first_loop(), std::vector<int>{SIGTERM, SIGINT, SIGHUP}, [&events](int signal) {
    events.push({signal == SIGHUP ? Events::Kind::kReload : Events::Kind::kStop, {}});
  });
  process.log_addresses();
  spdlog::info("msg=ready");
  notify_supervisor("READY=1\nSTATUS=serving");
  while (true) {
    const Events::Event event = events.wait();
    if (event.kind == Events::Kind::kReload) {
      process.reload();
      continue;
    }
    if (event.kind == Events::Kind::kHalt) {
      // What was acknowledged is on disk; the next start replays it. Nothing here may look like an orderly end.
      spdlog::critical("msg=\"halted: {}\" error=\"{}\"", event.what, event.status.message());
      spdlog::shutdown();
      _exit(1);
    }
    break;
  }
  notify_supervisor("STOPPING=1");
  spdlog::info("msg=draining");
  const bool drained = process.drain();
  signals.reset();
  spdlog::info("msg=stopped drained={}", drained);
  return drained ? 0 : 1;
}

}  // namespace

void add_serve(CLI::App& program, int& exit_code) {
  auto flags = std::make_shared<ServeFlags>();
  auto* command = program.add_subcommand("serve", "run a node");
  command->add_option("--config", flags->config_file, "YAML file (docs/operations.md); flags override it");
  command->add_option("--data-dir", flags->data_directory, "where everything is kept (default ./clew-data)");
  command->add_option("--otlp-grpc", flags->otlp_grpc, "OTLP over gRPC (default 127.0.0.1:4317; \"\" switches it off)");
  command->add_option("--otlp-http", flags->otlp_http, "OTLP over HTTP (default 127.0.0.1:4318)");
  command->add_option("--http", flags->http, "the page, Jaeger and own API, /metrics (default 127.0.0.1:16686)");
  command->add_option("--tempo", flags->tempo, "Tempo API (default 127.0.0.1:3200)");
  command->add_option("--etcd", flags->etcd, "etcd's v3 API (default 127.0.0.1:2379; \"\" switches it off)");
  command->add_option("--node-id", flags->node_id, "which of --initial-cluster this is");
  command->add_option("--name", flags->name, "for people (default node-<id>)");
  command->add_option("--peer", flags->peer,
                      "members of the control group speak to each other here (default "
                      "127.0.0.1:4330)");
  command->add_option("--advertise-peer", flags->advertise_peer, "what they connect to, when that is another address");
  command->add_option("--client", flags->client, "our own client protocol (default 127.0.0.1:4331)");
  command->add_option("--advertise-client", flags->advertise_client,
                      "what clients connect to, when that is another address");
  command->add_option("--initial-cluster", flags->initial_cluster,
                      "founders of the group, ID=HOST:PORT,... of their peer ports; the same on each of them");
  command->add_option("--join", flags->join, "client ports of members of the group to join")->delimiter(',');
  command->add_option("--role", flags->role, "of a node that joins: voter, witness, learner");
  command->add_option("--consensus", flags->consensus,
                      "the protocol that the group runs, the same on all members: " + consensus::protocol_names());
  command->add_option("--signing-key", flags->signing_key,
                      "of pbft: the file of this member's key (clew keys signing)");
  command->add_option("--signing-members", flags->signing_members,
                      "of pbft: the directory of all members' public keys, signing-ID.pub");
  command->add_option("--engine", flags->engine, "where the key-value store's state stands: memory, rocksdb");
  command->add_option("--log-level", flags->log_level, "trace, debug, info, warn, error");
  command->callback([flags, &exit_code] { exit_code = serve(*flags); });
}

}  // namespace clew::app
