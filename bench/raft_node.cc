// One real member of a Raft group, for benchmarks and tests of real processes: a replica over the real disk and
// network, a state machine that counts, and a client inside. Commands come as lines on stdin, answers and events leave
// as JSON lines on stdout; bench/raft.py and tests/ drive it. Not for users: `clew serve` hosts the real control plane.
//
//   raft_node --id 1 --members 1=127.0.0.1:7001,2=127.0.0.1:7002 --dir DIR [--bootstrap] [--cluster N]
//             [--tls CERT,KEY,CA] [--heartbeat-ms N] [--election-ms MIN,MAX] [--snapshot-mb N]
//
//   load OUTSTANDING COMMANDS BYTES   COMMANDS commands of BYTES, OUTSTANDING of them under way at a time
//   read OUTSTANDING READS LEVEL      the same with reads; LEVEL: quorum, lease, local
//   status                            who leads, how far, what was counted
//   transfer ID | snapshot | quit
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/varint.h"
#include "consensus/peer_transport.h"
#include "consensus/raft/raft.h"
#include "consensus/replica.h"
#include "os/disk.h"
#include "os/loop.h"
#include "os/network.h"
#include "os/random.h"
#include "os/tls_network.h"
#include "os/workers.h"

namespace clew::consensus {
namespace {

// Counts commands and keeps a digest over them: what it costs is what the replication costs.
class CountingMachine final : public StateMachine {
 public:
  std::string apply(const Applied&, std::string_view command) override {
    ++count_;
    digest_ = mix64(digest_, stable_hash64(command));
    return {};
  }
  std::string query(std::string_view) const override { return std::to_string(count_); }
  UniqueFunction<Status(SnapshotSink&)> freeze() override {
    return [count = count_, digest = digest_](SnapshotSink& sink) {
      std::string state;
      append_fixed(state, count);
      append_fixed(state, digest);
      return sink.write(state);
    };
  }
  Status restore(SnapshotSource& source) override {
    std::string state;
    for (;;) {
      CLEW_ASSIGN(const std::string_view bytes, source.read());
      if (bytes.empty()) break;
      state.append(bytes);
    }
    ByteReader in(state);
    count_ = in.fixed<uint64_t>();
    digest_ = in.fixed<uint64_t>();
    return in.ok() && in.at_end() ? Status() : Status(Code::kDataLoss, "not a count");
  }
  Hash128 digest() const override { return {digest_, count_}; }

 private:
  uint64_t count_ = 0;
  uint64_t digest_ = 0;
};

// Durations in buckets of 1/32 of a power of two.
class Histogram {
 public:
  void add(int64_t ns) { ++counts_[bucket(static_cast<uint64_t>(std::max<int64_t>(ns, 1)))]; }
  double quantile_us(double q) const {
    uint64_t all = 0;
    for (const uint64_t count : counts_) all += count;
    uint64_t rank = static_cast<uint64_t>(q * static_cast<double>(all));
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (rank < counts_[i]) return static_cast<double>(value(i)) / 1e3;
      rank -= counts_[i];
    }
    return 0;
  }

 private:
  static size_t bucket(uint64_t ns) {
    const int shift = std::max(0, 63 - std::countl_zero(ns) - 5);
    return static_cast<size_t>(shift) * 32 + static_cast<size_t>(ns >> shift);
  }
  static uint64_t value(size_t bucket) {
    if (bucket < 64) return bucket;
    const size_t shift = bucket / 32 - 1;
    return (bucket - shift * 32) << shift;
  }
  std::array<uint64_t, 2'048> counts_{};
};

void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Settings {
  ReplicaOptions replica;
  PeerTransportOptions transport;
  raft::Options raft;
  os::TlsNetworkOptions tls;
};

// A client that keeps a number of requests under way. On the loop.
class Load : public std::enable_shared_from_this<Load> {
 public:
  Load(os::OsLoop& loop, Replica& replica, uint64_t total, size_t bytes, int level)
      : loop_(loop), replica_(replica), left_(total), total_(total), level_(level), body_(bytes, 'c') {}

  void start(uint64_t outstanding) {
    outstanding_ = outstanding;
    began_ns_ = loop_.clock().mono_ns();
    for (uint64_t i = 0; i < outstanding && left_ > 0; ++i) next();
  }

 private:
  void next() {
    --left_;
    const int64_t began = loop_.clock().mono_ns();
    auto done = [self = shared_from_this(), began](std::variant<Reply, RequestError> answer) {
      self->answered(began, answer);
    };
    if (level_ < 0) {
      replica_.submit({.body = body_}, std::move(done));
    } else {
      replica_.query({.level = static_cast<ReadLevel>(level_), .body = ""}, std::move(done));
    }
  }
  void answered(int64_t began, const std::variant<Reply, RequestError>& answer) {
    const int64_t now = loop_.clock().mono_ns();
    if (std::holds_alternative<Reply>(answer)) {
      latency_.add(now - began);
    } else {
      ++errors_;
      if (first_error_.empty()) first_error_ = std::get<RequestError>(answer).message;
    }
    if (left_ > 0) return next();
    if (++finished_ < std::min(outstanding_, total_)) return;
    const double seconds = static_cast<double>(now - began_ns_) / 1e9;
    std::ostringstream line;
    line << R"({"event":"load","outstanding":)" << outstanding_ << R"(,"bytes":)" << body_.size() << R"(,"commands":)"
         << total_ << R"(,"errors":)" << errors_ << R"(,"seconds":)" << seconds << R"(,"per_second":)"
         << static_cast<double>(total_) / seconds << R"(,"p50_us":)" << latency_.quantile_us(0.5) << R"(,"p99_us":)"
         << latency_.quantile_us(0.99) << R"(,"error":")" << first_error_ << "\"}";
    say(line.str());
  }

  os::OsLoop& loop_;
  Replica& replica_;
  uint64_t left_;
  const uint64_t total_;
  const int level_;  // -1: commands
  std::string body_;
  uint64_t outstanding_ = 0;
  uint64_t finished_ = 0;
  uint64_t errors_ = 0;
  std::string first_error_;
  int64_t began_ns_ = 0;
  Histogram latency_;
};

class Node : public Observer {
 public:
  explicit Node(Settings settings) : settings_(std::move(settings)) {
    settings_.replica.self = settings_.transport.self = settings_.raft.self;
  }

  Status open() {
    if (settings_.tls.cert_file.empty()) {
      network_ = std::make_unique<os::OsNetwork>();
    } else {
      CLEW_ASSIGN(network_, os::TlsNetwork::make(settings_.tls));
      settings_.transport.require_identity = true;
    }
    return on_loop([this]() -> Status {
      CLEW_ASSIGN(transport_, PeerTransport::open(loop_, *network_, random_, settings_.transport));
      CLEW_ASSIGN(replica_,
                  Replica::open(
                      {loop_, disk_, random_, *transport_, machine_, this}, settings_.replica,
                      [this](uint64_t seed) { return std::make_unique<Raft>(settings_.raft, seed); },
                      [](Status why) { say(R"({"event":"halted","why":")" + std::string(why.message()) + "\"}"); }));
      return {};
    });
  }

  // False: quit.
  bool command(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    in >> verb;
    if (verb == "quit") return false;
    on_loop([&] {
      if (verb == "load" || verb == "read") {
        uint64_t outstanding = 1, total = 1, bytes = 0;
        std::string level;
        in >> outstanding >> total;
        verb == "load" ? void(in >> bytes) : void(in >> level);
        const int wanted = verb == "load" ? -1 : level == "local" ? 2 : level == "lease" ? 1 : 0;
        std::make_shared<Load>(loop_, *replica_, total, bytes, wanted)->start(outstanding);
      } else if (verb == "status") {
        say(status());
      } else if (verb == "transfer") {
        uint64_t to = 0;
        in >> to;
        replica_->transfer(NodeId{to});
      } else if (verb == "snapshot") {
        replica_->take_snapshot();
      }
    });
    return true;
  }

  void close() {
    on_loop([this] {
      replica_.reset();
      transport_.reset();
    });
    loop_.stop();
  }

  // The moment at which a new leader's first entry is committed is what an outage lasts until.
  void on_fact(const Fact& fact) override {
    if (fact.kind == FactKind::kBecameLeader) {
      reign_ = fact.epoch;
      first_ = fact.position + 1;
      say(R"({"event":"leader","epoch":)" + std::to_string(fact.epoch) + R"(,"at_ns":)" + std::to_string(now_ns()) +
          "}");
    } else if (fact.kind == FactKind::kCommitted && reign_ != 0 && fact.position >= first_) {
      say(R"({"event":"commit","epoch":)" + std::to_string(std::exchange(reign_, 0)) + R"(,"at_ns":)" +
          std::to_string(now_ns()) + "}");
    }
  }

 private:
  int64_t now_ns() const { return loop_.clock().mono_ns(); }

  std::string status() const {
    const Report report = replica_->report();
    const ReplicaStats stats = replica_->stats();
    const PeerTransportStats& peers = transport_->stats();
    const Hash128 digest = replica_->digest();
    std::ostringstream out;
    out << R"({"event":"status","standing":")" << standing_name(report.standing) << R"(","leader":)"
        << number(report.leader) << R"(,"epoch":)" << report.epoch << R"(,"last":)" << report.last << R"(,"committed":)"
        << report.committed << R"(,"applied":)" << replica_->applied() << R"(,"snapshot":)" << report.snapshot.position
        << R"(,"digest":")" << std::hex << digest.hi << digest.lo << std::dec << R"(","cpu_s":)" << cpu_seconds()
        << R"(,"turns":)" << stats.turns << R"(,"records":)" << stats.records << R"(,"record_bytes":)"
        << stats.record_bytes << R"(,"syncs":)" << stats.syncs << R"(,"frames_sent":)" << stats.frames_sent
        << R"(,"wire_bytes":)" << peers.bytes_sent << R"(,"writes":)" << peers.writes << R"(,"connects":)"
        << peers.connects << R"(,"accepts":)" << peers.accepts << R"(,"refused":)" << peers.refused_in_all()
        << R"(,"dropped":)" << peers.dropped_unconnected + peers.dropped_full << R"(,"snapshots":)"
        << stats.snapshots_saved << R"(,"installed":)" << stats.snapshots_installed << R"(,"refusals":{)";
    const char* comma = "";
    for (size_t i = 0; i < kPeerRefusals; ++i) {
      if (peers.refused[i] == 0) continue;
      out << comma << '"' << peer_refusal_name(static_cast<PeerRefusal>(i)) << "\":" << peers.refused[i];
      comma = ",";
    }
    out << "}}";
    return out.str();
  }

  template <typename F>
  std::invoke_result_t<F> on_loop(F function) {
    std::promise<std::invoke_result_t<F>> result;
    loop_.post([&] {
      if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
        function();
        result.set_value();
      } else {
        result.set_value(function());
      }
    });
    return result.get_future().get();
  }

  Settings settings_;
  os::Workers workers_;
  os::OsRandom random_;
  CountingMachine machine_;
  std::unique_ptr<env::Network> network_;
  os::OsLoop loop_{"raft", workers_};
  os::OsDisk disk_;  // dies before the loop, which its writes report to
  std::unique_ptr<PeerTransport> transport_;
  std::unique_ptr<Replica> replica_;
  Epoch reign_ = 0;
  Position first_ = 0;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

Result<Settings> parse(int argc, char** argv) {
  Settings settings;
  settings.replica.cluster = settings.transport.cluster = 0xbe7c;
  std::map<uint64_t, std::string> addresses;
  std::vector<Member> members;
  uint64_t id = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--bootstrap") {
      settings.replica.bootstrap = true;
      continue;
    }
    if (i + 1 == argc) return Error{Code::kInvalidArgument, flag + " needs a value"};
    const std::string value = argv[++i];
    const std::vector<std::string> list = split(value, ',');
    if (flag == "--id") {
      id = std::stoull(value);
    } else if (flag == "--members") {
      for (const std::string& item : list) {
        const size_t equals = item.find('=');
        if (equals == std::string::npos) return Error{Code::kInvalidArgument, "--members: ID=HOST:PORT,..."};
        Member member;
        member.id = NodeId{std::stoull(item.substr(0, equals))};
        member.address = item.substr(equals + 1);
        addresses[number(member.id)] = member.address;
        members.push_back(std::move(member));
      }
    } else if (flag == "--dir") {
      settings.replica.directory = value;
    } else if (flag == "--cluster") {
      settings.replica.cluster = settings.transport.cluster = std::stoull(value);
    } else if (flag == "--tls" && list.size() == 3) {
      settings.tls = {.cert_file = list[0], .key_file = list[1], .ca_file = list[2]};
    } else if (flag == "--heartbeat-ms") {
      settings.raft.heartbeat = std::stoll(value) * kMillisecond;
    } else if (flag == "--election-ms" && list.size() == 2) {
      settings.raft.election_min = std::stoll(list[0]) * kMillisecond;
      settings.raft.election_max = std::stoll(list[1]) * kMillisecond;
    } else if (flag == "--snapshot-mb") {
      settings.replica.snapshot_every_bytes = std::stoull(value) << 20;
    } else {
      return Error{Code::kInvalidArgument, "unknown flag " + flag};
    }
  }
  if (addresses.count(id) == 0 || settings.replica.directory.empty()) {
    return Error{Code::kInvalidArgument, "--id (one of --members), --members and --dir are needed"};
  }
  settings.raft.self = NodeId{id};
  CLEW_ASSIGN(settings.raft.founding, Membership::make(std::move(members)));
  CLEW_TRY(settings.raft.check());
  settings.transport.listen = addresses[id];
  return settings;
}

int run(int argc, char** argv) {
  auto settings = parse(argc, argv);
  if (!settings.ok()) {
    std::fprintf(stderr, "raft_node: %s\n", settings.error().message.c_str());
    return 2;
  }
  Node node(std::move(settings).value());
  if (const Status opened = node.open(); !opened.ok()) {
    std::fprintf(stderr, "raft_node: %s\n", opened.to_string().c_str());
    return 1;
  }
  say(R"({"event":"started"})");
  for (std::string line; std::getline(std::cin, line);) {
    if (!node.command(line)) break;
  }
  node.close();
  return 0;
}

}  // namespace
}  // namespace clew::consensus

int main(int argc, char** argv) { return clew::consensus::run(argc, argv); }
