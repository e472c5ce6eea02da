// One real member of a Raft group, for benchmarks and tests of real processes: a replica over the real disk and
// network, a state machine that counts, and a client inside. Commands come as lines on stdin, answers and events leave
// as JSON lines on stdout; bench/raft.py and tests/ drive it. Not for users: `clew serve` hosts the real control plane.
//
//   raft_node --id 1 --members 1=127.0.0.1:7001,2=127.0.0.1:7002 --dir DIR [--bootstrap] [--cluster N]
//             [--tls CERT,KEY,CA] [--heartbeat-ms N] [--election-ms MIN,MAX] [--snapshot-mb N] [--log-mb N]
//             [--listen HOST:PORT] [--joins] [--leases] [--lists] [--facts]
//
//   --listen: where to listen, when the address in --members is that of a proxy; --joins: not a founding member;
//   --lists: the machine is that of list_machine.h, and says which commands of sessions it executed; --facts: what the
//   core says about itself, on stderr
//
//   load OUTSTANDING COMMANDS BYTES   COMMANDS commands of BYTES, OUTSTANDING of them under way at a time
//   read OUTSTANDING READS LEVEL      the same with reads; LEVEL: quorum, lease, local
//   status                            who leads, how far, what was counted
//   transfer ID | snapshot | quit
//   open TAG                          a session
//   append TAG SESSION SEQ KEY VALUE  with --lists; SESSION 0: none. One command at a time in a session.
//   get TAG LEVEL AT_LEAST KEY        with --lists; AT_LEAST: a position, for level local
//   reconfigure TAG ID=HOST:PORT,...  voters
//   Their answers: {"event":"answer","tag":TAG,"outcome":"ok"|"fail"|"unknown",...}; fail: this try had no effect.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/varint.h"
#include "consensus/peer_transport.h"
#include "consensus/raft/raft.h"
#include "consensus/replica.h"
#include "consensus/replica_command.h"
#include "list_machine.h"
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

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

void answer(uint64_t tag, const std::string& fields) {
  say(R"({"event":"answer","tag":)" + std::to_string(tag) + "," + fields + "}");
}
void answer(uint64_t tag, const RequestError& error) {
  const bool certain = error.code == Code::kUnavailable || error.code == Code::kResourceExhausted ||
                       error.code == Code::kInvalidArgument || error.code == Code::kFailedPrecondition;
  answer(tag, std::string(R"("outcome":")") + (certain ? "fail" : "unknown") + R"(","code":)" +
                  quoted(code_name(error.code)) + R"(,"error":)" + quoted(error.message) + R"(,"leader":)" +
                  std::to_string(number(error.leader)));
}

struct Settings {
  bool lists = false;
  ReplicaOptions replica;
  PeerTransportOptions transport;
  raft::Options raft;
  os::TlsNetworkOptions tls;
  bool facts = false;
};

// A client that keeps a number of requests under way. On the loop.
class Load : public std::enable_shared_from_this<Load> {
 public:
  Load(os::OsLoop& loop, Replica& replica, uint64_t total, size_t bytes, int level)
      : loop_(loop), replica_(replica), left_(total), total_(total), level_(level), body_(bytes, 'c') {}

  void start(uint64_t outstanding) {
    outstanding_ = outstanding;
    began_ns_ = loop_.clock().mono_ns();
    ramp_up(std::min(outstanding, left_));
  }

 private:
  // A megabyte at a time, so that the leader's heartbeats go on meanwhile.
  void ramp_up(uint64_t missing) {
    const uint64_t now = std::min(missing, std::max<uint64_t>(1, (1 << 20) / (body_.size() + 64)));
    for (uint64_t i = 0; i < now && left_ > 0; ++i) next();
    if (missing == now || left_ == 0) return;
    loop_.post([self = shared_from_this(), rest = missing - now] { self->ramp_up(rest); });
  }
  void next() {
    --left_;
    ++in_flight_;
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
    --in_flight_;
    if (left_ > 0) return next();
    if (in_flight_ > 0) return;
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
  uint64_t in_flight_ = 0;
  uint64_t errors_ = 0;
  std::string first_error_;
  int64_t began_ns_ = 0;
  Histogram latency_;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

// "ID=HOST:PORT,...": voters.
Result<Membership> parse_members(const std::string& text) {
  std::vector<Member> members;
  for (const std::string& item : split(text, ',')) {
    const size_t equals = item.find('=');
    uint64_t id = 0;
    std::istringstream(item.substr(0, equals)) >> id;
    if (equals == std::string::npos || id == 0) {
      return Error{Code::kInvalidArgument, "members are ID=HOST:PORT,..., not \"" + text + "\""};
    }
    Member member;
    member.id = NodeId{id};
    member.address = item.substr(equals + 1);
    members.push_back(std::move(member));
  }
  return Membership::make(std::move(members));
}

class Node : public Observer {
 public:
  explicit Node(Settings settings) : settings_(std::move(settings)) {
    settings_.replica.self = settings_.transport.self = settings_.raft.self;
  }

  Status open() {
    if (settings_.tls.cert_file.empty()) {
      network_ = std::make_unique<os::OsNetwork>();
    } else {
      CLEW_ASSIGN(auto tls, os::TlsNetwork::make(settings_.tls));
      tls_ = tls.get();
      network_ = std::move(tls);
      settings_.transport.require_identity = true;
    }
    if (settings_.lists) {
      auto lists = std::make_unique<ListMachine>();
      lists_ = lists.get();
      machine_ = std::move(lists);
    } else {
      machine_ = std::make_unique<CountingMachine>();
    }
    return on_loop([this]() -> Status {
      CLEW_ASSIGN(transport_, PeerTransport::open(loop_, *network_, random_, settings_.transport));
      CLEW_ASSIGN(replica_,
                  Replica::open(
                      {loop_, disk_, random_, *transport_, *machine_, this}, settings_.replica,
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
      } else {
        client_command(verb, in);
      }
    });
    return true;
  }

  // What tests ask of the group as its clients.
  void client_command(const std::string& verb, std::istringstream& in) {
    uint64_t tag = 0;
    in >> tag;
    const auto position = [](Position at) { return R"("outcome":"ok","position":)" + std::to_string(at); };
    if (verb == "open") {
      replica_->open_session([tag](std::variant<SessionId, RequestError> got) {
        if (const auto* error = std::get_if<RequestError>(&got)) return answer(tag, *error);
        answer(tag, R"("outcome":"ok","session":)" + std::to_string(static_cast<uint64_t>(std::get<SessionId>(got))));
      });
    } else if (verb == "append" && lists_ != nullptr) {
      uint64_t session = 0;
      Command command;
      std::string key, value;
      in >> session >> command.sequence >> key >> value;
      command.session = SessionId{session};
      command.acknowledged_below = command.sequence;
      command.body = key + " " + value;
      replica_->submit(std::move(command), [tag](std::variant<Reply, RequestError> got) {
        if (const auto* error = std::get_if<RequestError>(&got)) return answer(tag, *error);
        answer(tag, R"("outcome":"ok","position":)" + std::get<Reply>(got).result);
      });
    } else if (verb == "get" && lists_ != nullptr) {
      Query query;
      std::string level;
      in >> level >> query.at_least >> query.body;
      query.level = level == "local"   ? ReadLevel::kLocal
                    : level == "lease" ? ReadLevel::kLease
                                       : ReadLevel::kLinearizable;
      replica_->query(std::move(query), [tag, position](std::variant<Reply, RequestError> got) {
        if (const auto* error = std::get_if<RequestError>(&got)) return answer(tag, *error);
        const Reply& reply = std::get<Reply>(got);
        answer(tag, position(reply.position) + R"(,"values":)" + reply.result);
      });
    } else if (verb == "reconfigure") {
      std::string list;
      in >> list;
      auto target = parse_members(list);
      if (!target.ok()) return answer(tag, RequestError{target.error().code, target.error().message, kNobody});
      replica_->reconfigure(*target, [tag, position](std::variant<Position, RequestError> got) {
        if (const auto* error = std::get_if<RequestError>(&got)) return answer(tag, *error);
        answer(tag, position(std::get<Position>(got)));
      });
    } else {
      say(R"({"event":"refused","verb":)" + quoted(verb) + "}");
    }
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
    if (settings_.facts && fact.kind != FactKind::kAppended && fact.kind != FactKind::kCommitted) {
      std::fprintf(stderr, "%lld node %llu: %s\n", static_cast<long long>(fact.at / kMicrosecond),
                   static_cast<unsigned long long>(number(settings_.raft.self)), to_string(fact).c_str());
    }
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

  void on_applied(Position at, const Entry& entry, std::string_view) override {
    if (lists_ == nullptr || lists_->executed_at() != at || entry.kind != EntryKind::kCommand) return;
    const auto command = decode_command(entry.payload.view());
    if (!command.ok() || command->header.session == kNoSession) return;  // `load` would flood the reader
    std::ostringstream line;
    line << R"({"event":"applied","position":)" << at << R"(,"session":)"
         << static_cast<uint64_t>(command->header.session) << R"(,"sequence":)" << command->header.sequence
         << R"(,"digest":")" << std::hex << lists_->digest().lo << "\"}";
    say(line.str());
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
    if (tls_ != nullptr) {
      const os::TlsNetworkStats tls = tls_->stats();
      out << comma << R"("tls_no_certificate":)" << tls.no_certificate << R"(,"tls_foreign_certificate":)"
          << tls.foreign_certificate << R"(,"tls_garbage":)" << tls.garbage;
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
  std::unique_ptr<StateMachine> machine_;
  ListMachine* lists_ = nullptr;  // machine_, with --lists
  std::unique_ptr<env::Network> network_;
  os::TlsNetwork* tls_ = nullptr;  // network_, with --tls
  os::OsLoop loop_{"raft", workers_};
  os::OsDisk disk_;  // dies before the loop, which its writes report to
  std::unique_ptr<PeerTransport> transport_;
  std::unique_ptr<Replica> replica_;
  Epoch reign_ = 0;
  Position first_ = 0;
};

Result<Settings> parse(int argc, char** argv) {
  Settings settings;
  settings.replica.cluster = settings.transport.cluster = 0xbe7c;
  Membership members;
  bool joins = false;
  uint64_t id = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--bootstrap" || flag == "--joins" || flag == "--leases" || flag == "--lists" || flag == "--facts") {
      (flag == "--bootstrap" ? settings.replica.bootstrap
       : flag == "--joins"   ? joins
       : flag == "--leases"  ? settings.raft.leases
       : flag == "--facts"   ? settings.facts
                             : settings.lists) = true;
      continue;
    }
    if (i + 1 == argc) return Error{Code::kInvalidArgument, flag + " needs a value"};
    const std::string value = argv[++i];
    const std::vector<std::string> list = split(value, ',');
    if (flag == "--id") {
      id = std::stoull(value);
    } else if (flag == "--members") {
      CLEW_ASSIGN(members, parse_members(value));
    } else if (flag == "--listen") {
      settings.transport.listen = value;
    } else if (flag == "--log-mb") {
      settings.replica.log_file_bytes = std::stoull(value) << 20;
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
  const Member* const self = members.find(NodeId{id});
  if (self == nullptr || settings.replica.directory.empty()) {
    return Error{Code::kInvalidArgument, "--id (one of --members), --members and --dir are needed"};
  }
  settings.raft.self = self->id;
  settings.transport.advertised = self->address;
  if (settings.transport.listen.empty()) settings.transport.listen = self->address;
  if (!joins) settings.raft.founding = std::move(members);
  CLEW_TRY(settings.raft.check());
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
