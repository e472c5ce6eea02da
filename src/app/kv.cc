// clew kv: the strong key-value spaces from the command line.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/control_client.h"
#include "app/kv_output.h"
#include "app/kv_txn.h"
#include "control/session.h"

namespace clew::app {
namespace {

constexpr int kNo = 1, kError = 2;

struct Flags {
  ControlFlags control;
  std::string consistency = "linearizable";
  std::string token_file;
  bool json = false;
  bool system = false;
  std::string key, value, to, expected;
  bool prefix = false;
  bool previous = false;
  bool keys_only = false, count_only = false;
  bool expect_absent = false;
  bool progress = false;
  bool once = false;
  int64_t revision = 0, limit = 0, expect_revision = 0, ttl_s = 0, count = 0;
  std::string lease;
  std::vector<std::string> conditions, successes, failures;
};

std::string range_end(const Flags& flags) {
  if (flags.prefix) return kv::prefix_end(flags.key);
  return flags.to;
}

// One invocation: the connection, the session token, what is printed.
class Command {
 public:
  explicit Command(const Flags& flags) : flags_(flags) {}

  Status open() {
    CLEW_ASSIGN(client_, ControlClient::connect(flags_.control));
    options_ = client_->call_options();
    const auto level = control::parse_consistency(flags_.consistency);
    if (!level) return {Code::kInvalidArgument, "--consistency is linearizable, lease or sequential"};
    options_.consistency = *level;
    if (flags_.token_file.empty()) return {};
    std::ifstream file(flags_.token_file);
    std::string text;
    if (!file || !std::getline(file, text)) return {};  // the first command of the session makes it
    const auto token = control::SessionToken::parse(text);
    if (!token) return {Code::kInvalidArgument, flags_.token_file + " holds no session token; remove it to begin anew"};
    token_ = *token;
    options_.at_least = token->position;
    return {};
  }

  std::optional<kv::Response> ask(kv::Request request) {
    auto result = client_->execute(flags_.system ? kv::Space::kSystem : kv::Space::kUser, std::move(request), options_);
    if (const auto* error = std::get_if<control::CallError>(&result)) {
      exit_code = fail(*error);
      return std::nullopt;
    }
    auto& reply = std::get<control::CallReply>(result);
    if (const Status kept = keep(reply.position); !kept.ok()) {
      exit_code = fail(kept, kError);
      return std::nullopt;
    }
    if (flags_.json) print_json(reply.response);
    return std::move(reply.response);
  }

  void print_json(const kv::Response& response) const {
    std::string out;
    api::JsonWriter json(out);
    write_response(json, response);
    std::printf("%s\n", out.c_str());
  }
  void print(const kv::KeyValue& kv) const {
    std::printf("%s  %s\n", painted(Paint::kBold, readable_bytes(kv.key), colours_).c_str(),
                flags_.keys_only ? "" : readable_bytes(kv.value).c_str());
  }
  // A value as it is when it goes to a file or a pipe; made harmless on a terminal.
  static void print_value(const std::string& value) {
    if (isatty(STDOUT_FILENO) == 1) {
      std::printf("%s\n", readable_bytes(value).c_str());
    } else {
      std::fwrite(value.data(), 1, value.size(), stdout);
      if (value.empty() || value.back() != '\n') std::fputc('\n', stdout);
    }
  }
  bool text() const { return !flags_.json; }
  ControlClient& client() { return *client_; }
  bool colours() const { return colours_; }
  int exit_code = 0;

 private:
  // The token for the next command, replaced as a whole.
  Status keep(consensus::Position position) {
    if (flags_.token_file.empty()) return {};
    const uint64_t cluster = client_->cluster();
    if (token_.cluster != 0 && cluster != 0 && token_.cluster != cluster) {
      return {Code::kFailedPrecondition, flags_.token_file + " is of another cluster; remove it to begin anew"};
    }
    token_.cluster = cluster;
    token_.position = std::max(token_.position, position);
    const std::string fresh = flags_.token_file + ".new";
    std::ofstream file(fresh, std::ios::trunc);
    file << token_.to_string() << '\n';
    file.close();
    if (!file || std::rename(fresh.c_str(), flags_.token_file.c_str()) != 0) {
      return {Code::kPermissionDenied, flags_.token_file + " cannot be written; give a path that can"};
    }
    return {};
  }

  const Flags& flags_;
  std::unique_ptr<ControlClient> client_;
  control::CallOptions options_;
  control::SessionToken token_;
  const bool colours_ = colours_on();
};

// "-": standard input.
std::string value_of(const Flags& flags) {
  if (flags.value != "-") return flags.value;
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

Result<kv::LeaseId> lease_of(const Flags& flags) {
  kv::LeaseId id = kv::kNoLease;
  if (!flags.lease.empty() && !parse_lease_id(flags.lease, id)) {
    return Error{Code::kInvalidArgument, "a lease is a number, decimal or behind 0x, not " + flags.lease};
  }
  return id;
}

void get(Command& run, const Flags& flags) {
  kv::RangeRequest request;
  request.key = flags.key;
  request.revision = flags.revision;
  const auto answer = run.ask(request);
  if (!answer) return;
  const auto& kvs = std::get<kv::RangeResponse>(*answer).kvs;
  if (kvs.empty()) {
    run.exit_code = kNo;
  } else if (run.text()) {
    Command::print_value(kvs[0].value);
  }
}

void range(Command& run, const Flags& flags) {
  kv::RangeRequest request;
  request.key = flags.key;
  request.range_end = range_end(flags);
  if (request.range_end.empty()) request.range_end = std::string(1, '\0');  // to the end of the keys
  if (request.key.empty()) request.key = std::string(1, '\0');
  request.limit = flags.limit;
  request.revision = flags.revision;
  request.keys_only = flags.keys_only;
  request.count_only = flags.count_only;
  const auto answer = run.ask(request);
  if (!answer) return;
  const auto& found = std::get<kv::RangeResponse>(*answer);
  if (run.text()) {
    for (const kv::KeyValue& kv : found.kvs) run.print(kv);
    if (flags.count_only) std::printf("%lld\n", static_cast<long long>(found.count));
    if (found.more)
      std::fprintf(stderr, "%s in all; there are more: --limit\n",
                   counted(static_cast<uint64_t>(found.count), "key").c_str());
  }
  if (found.count == 0) run.exit_code = kNo;
}

void put(Command& run, const Flags& flags) {
  kv::PutRequest request;
  request.key = flags.key;
  request.value = value_of(flags);
  request.prev_kv = flags.previous;
  const auto lease = lease_of(flags);
  if (!lease.ok()) {
    run.exit_code = fail(lease.status(), kError);
    return;
  }
  request.lease = *lease;
  const auto answer = run.ask(request);
  if (!answer || !run.text()) return;
  const auto& done = std::get<kv::PutResponse>(*answer);
  if (done.prev_kv) {
    Command::print_value(done.prev_kv->value);
  } else {
    std::printf("revision %lld\n", static_cast<long long>(done.revision));
  }
}

void del(Command& run, const Flags& flags) {
  kv::DeleteRangeRequest request;
  request.key = flags.key;
  request.range_end = range_end(flags);
  request.prev_kv = flags.previous;
  const auto answer = run.ask(request);
  if (!answer) return;
  const auto& done = std::get<kv::DeleteRangeResponse>(*answer);
  if (run.text()) {
    std::printf("%s deleted\n", counted(static_cast<uint64_t>(done.deleted), "key").c_str());
    for (const kv::KeyValue& kv : done.prev_kvs) run.print(kv);
  }
  if (done.deleted == 0) run.exit_code = kNo;
}

void append(Command& run, const Flags& flags) {
  kv::AppendRequest request;
  request.key = flags.key;
  request.suffix = value_of(flags);
  const auto answer = run.ask(request);
  if (!answer || !run.text()) return;
  const auto& done = std::get<kv::AppendResponse>(*answer);
  std::printf("revision %lld, the value has now %s\n", static_cast<long long>(done.revision),
              counted(static_cast<uint64_t>(done.size), "byte").c_str());
}

void cas(Command& run, const Flags& flags, bool by_value, bool by_revision) {
  kv::CompareAndSetRequest request;
  request.key = flags.key;
  request.value = value_of(flags);
  if (by_value + by_revision + flags.expect_absent != 1) {
    run.exit_code =
        fail(Status(Code::kInvalidArgument, "give one of --expect, --expect-revision, --expect-absent"), kError);
    return;
  }
  if (by_value) {
    request.expect = kv::CompareAndSetRequest::Expect::kValue;
    request.expected_value = flags.expected;
  } else if (by_revision) {
    request.expect = kv::CompareAndSetRequest::Expect::kModRevision;
    request.expected_mod_revision = flags.expect_revision;
  }
  const auto answer = run.ask(request);
  if (!answer) return;
  const auto& done = std::get<kv::CompareAndSetResponse>(*answer);
  if (!done.swapped) run.exit_code = kNo;
  if (!run.text()) return;
  if (done.swapped) {
    std::printf("set, revision %lld\n", static_cast<long long>(done.revision));
  } else if (done.current) {
    std::printf("not set: at revision %lld it was changed to %s\n", static_cast<long long>(done.current->mod_revision),
                readable_bytes(done.current->value).c_str());
  } else {
    std::printf("not set: there is no such key\n");
  }
}

void print_txn(const Command& run, const kv::TxnResponse& done) {
  std::printf("%s\n", done.succeeded ? "the conditions hold" : "the conditions do not hold");
  for (const kv::ResponseOp& op : done.responses) {
    if (const auto* found = std::get_if<kv::RangeResponse>(&op.op)) {
      for (const kv::KeyValue& kv : found->kvs) run.print(kv);
      if (found->kvs.empty()) std::printf("no such key\n");
    } else if (const auto* deleted = std::get_if<kv::DeleteRangeResponse>(&op.op)) {
      std::printf("%s deleted\n", counted(static_cast<uint64_t>(deleted->deleted), "key").c_str());
    } else if (const auto* put_there = std::get_if<kv::PutResponse>(&op.op)) {
      std::printf("revision %lld\n", static_cast<long long>(put_there->revision));
    }
  }
}

void txn(Command& run, const Flags& flags) {
  kv::TxnRequest request;
  const auto parse = [&](const std::vector<std::string>& lines, auto parser, auto& into) {
    for (const std::string& line : lines) {
      auto one = parser(line);
      if (!one.ok()) {
        run.exit_code = fail(one.status(), kError);
        return false;
      }
      into.push_back(std::move(*one));
    }
    return true;
  };
  if (!parse(flags.conditions, parse_condition, request.compare) ||
      !parse(flags.successes, parse_operation, request.success) ||
      !parse(flags.failures, parse_operation, request.failure)) {
    return;
  }
  const auto answer = run.ask(std::move(request));
  if (!answer) return;
  const auto& done = std::get<kv::TxnResponse>(*answer);
  if (run.text()) print_txn(run, done);
  if (!done.succeeded) run.exit_code = kNo;
}

void compact(Command& run, const Flags& flags) {
  const auto answer = run.ask(kv::CompactRequest{flags.revision});
  if (answer && run.text()) std::printf("compacted up to revision %lld\n", static_cast<long long>(flags.revision));
}

void print_event(const Command& run, const Flags& flags, const kv::Event& event) {
  const bool erased = event.type == kv::Event::Type::kDelete;
  if (flags.json) {
    std::string out;
    api::JsonWriter json(out);
    json.open_object().key("type").text(erased ? "delete" : "put").key("revision").number(event.kv.mod_revision);
    write_key_value(json.key("kv"), event.kv);
    if (event.previous) write_key_value(json.key("previous"), *event.previous);
    json.close_object();
    std::printf("%s\n", out.c_str());
  } else {
    std::printf("%lld  %s  %s  %s\n", static_cast<long long>(event.kv.mod_revision),
                painted(erased ? Paint::kRed : Paint::kGreen, erased ? "del" : "put", run.colours()).c_str(),
                painted(Paint::kBold, readable_bytes(event.kv.key), run.colours()).c_str(),
                readable_bytes(event.kv.value).c_str());
  }
  std::fflush(stdout);
}

void watch(Command& run, const Flags& flags) {
  kv::WatchRequest request;
  request.key = flags.key;
  request.range_end = range_end(flags);
  request.start_revision = flags.revision;
  request.prev_kv = flags.previous;
  ControlClient& client = run.client();
  // Whether anybody answers at all: a watch by itself waits for ever.
  if (auto status = client.status(); std::holds_alternative<control::CallError>(status)) {
    run.exit_code = fail(std::get<control::CallError>(status));
    return;
  }
  const auto stream = client.client().watch(flags.system ? kv::Space::kSystem : kv::Space::kUser);
  stream->create(request);
  int64_t shown = 0;
  for (;;) {
    auto result =
        client.wait<std::vector<kv::WatchResponse>>([&](auto done) { stream->next(1 << 20, std::move(done)); });
    if (const auto* error = std::get_if<control::CallError>(&result)) {
      run.exit_code = fail(*error);
      return;
    }
    for (const kv::WatchResponse& response : std::get<0>(result)) {
      for (const auto& event : response.events) {
        print_event(run, flags, *event);
        if (flags.count != 0 && ++shown >= flags.count) return;
      }
      if (response.cancelled) {
        const std::string why = response.compact_revision != 0
                                    ? "history begins at revision " + std::to_string(response.compact_revision) +
                                          " by now: watch from there"
                                    : response.cancel_reason;
        run.exit_code = fail(Status(Code::kOutOfRange, "the watch ended: " + why), kError);
        return;
      }
    }
  }
}

void grant(Command& run, const Flags& flags) {
  const auto id = lease_of(flags);
  if (!id.ok()) {
    run.exit_code = fail(id.status(), kError);
    return;
  }
  const auto answer = run.ask(kv::LeaseGrantRequest{*id, flags.ttl_s});
  if (!answer || !run.text()) return;
  const auto& done = std::get<kv::LeaseGrantResponse>(*answer);
  std::printf("%s, for %lld s\n", lease_text(done.id).c_str(), static_cast<long long>(done.ttl_s));
}

void lease_command(Command& run, const Flags& flags, std::string_view what) {
  const auto id = lease_of(flags);
  if (!id.ok()) {
    run.exit_code = fail(id.status(), kError);
  } else if (what == "revoke") {
    if (run.ask(kv::LeaseRevokeRequest{*id}) && run.text()) std::printf("revoked, with its keys\n");
  } else if (what == "ttl") {
    kv::LeaseTimeToLiveRequest request;
    request.id = *id;
    request.keys = true;
    const auto answer = run.ask(request);
    if (!answer) return;
    const auto& left = std::get<kv::LeaseTimeToLiveResponse>(*answer);
    if (left.ttl_s < 0) run.exit_code = kNo;
    if (!run.text()) return;
    if (left.ttl_s < 0) {
      std::printf("there is no such lease\n");
      return;
    }
    std::printf("%lld s left of %lld\n", static_cast<long long>(left.ttl_s),
                static_cast<long long>(left.granted_ttl_s));
    for (const std::string& key : left.keys) std::printf("%s\n", readable_bytes(key).c_str());
  } else {
    // Thrice in its time, until it is gone or somebody ends us.
    for (;;) {
      ControlClient& client = run.client();
      auto renewed = client.wait<int64_t>(
          [&](auto done) { client.client().keep_alive(*id, client.call_options(), std::move(done)); });
      if (const auto* error = std::get_if<control::CallError>(&renewed)) {
        run.exit_code = fail(*error);
        return;
      }
      const int64_t ttl_s = std::get<0>(renewed);
      if (flags.json) {
        std::printf("{\"lease\":\"%s\",\"ttl_s\":%lld}\n", lease_text(*id).c_str(), static_cast<long long>(ttl_s));
      } else {
        std::printf("%s\n", ttl_s > 0 ? (std::to_string(ttl_s) + " s").c_str() : "there is no such lease");
      }
      std::fflush(stdout);
      if (ttl_s <= 0) run.exit_code = kNo;
      if (ttl_s <= 0 || flags.once) return;
      (void)client.wait<bool>([&client, ttl_s](auto done) {
        client.loop().after(ttl_s * 1'000'000'000 / 3, [done = std::move(done)]() mutable { done(true); });
      });
    }
  }
}

void leases(Command& run) {
  const auto answer = run.ask(kv::LeasesRequest());
  if (!answer || !run.text()) return;
  for (const kv::LeaseId id : std::get<kv::LeasesResponse>(*answer).ids) std::printf("%s\n", lease_text(id).c_str());
}

using Flagged = std::shared_ptr<Flags>;

// Declares one subcommand with the shared options; `act` runs with the connection.
template <typename F>
CLI::App* add(CLI::App& parent, const Flagged& flags, int& exit_code, const char* name, const char* text, F act) {
  auto* command = parent.add_subcommand(name, text);
  flags->control.add_to(*command);
  command->add_flag("--json", flags->json, "one JSON object a line");
  command->callback([flags, act, command, &exit_code] {
    Command run(*flags);
    if (const Status opened = run.open(); !opened.ok()) {
      exit_code = fail(opened, kError);
      return;
    }
    act(run, *flags, *command);
    exit_code = run.exit_code;
  });
  return command;
}

void add_level(CLI::App& command, const Flagged& flags) {
  command
      .add_option("--consistency", flags->consistency,
                  "linearizable: all that was acknowledged before; lease: the same by the leader's clock; sequential: "
                  "this node's state, with --token-file never backwards")
      ->capture_default_str()
      ->check(CLI::IsMember({"linearizable", "lease", "sequential"}));
  command.add_flag("--system", flags->system, "read what Clew keeps for itself instead of the users' keys");
}

void add_token_file(CLI::App& command, const Flagged& flags) {
  command.add_option("--token-file", flags->token_file,
                     "what this session has seen, kept between commands: sequential reads with it include own writes");
}

void add_range(CLI::App& command, const Flagged& flags) {
  command.add_flag("--prefix", flags->prefix, "all keys that begin with it");
  command.add_option("--to", flags->to, "all keys from KEY up to, and without, this one");
}

void add_leases(CLI::App& parent, int& exit_code) {
  auto* lease = parent.add_subcommand("lease", "leases: keys that go when nobody renews them");
  lease->require_subcommand(1);
  auto flags = std::make_shared<Flags>();
  auto* command = add(*lease, flags, exit_code, "grant", "a new lease of so many seconds",
                      [](Command& run, const Flags& f, CLI::App&) { grant(run, f); });
  command->add_option("ttl", flags->ttl_s, "seconds")->required();
  command->add_option("--id", flags->lease, "the lease's number, instead of one that is chosen");
  for (const char* name : {"revoke", "ttl", "keep-alive"}) {
    flags = std::make_shared<Flags>();
    const char* text = name == std::string_view("revoke") ? "end a lease, and delete its keys"
                       : name == std::string_view("ttl") ? "time left, and the lease's keys; exit code 1: no such lease"
                                                         : "renew it until it is gone, or this program is ended";
    command = add(*lease, flags, exit_code, name, text,
                  [name](Command& run, const Flags& f, CLI::App&) { lease_command(run, f, name); });
    command->add_option("lease", flags->lease, "its number, decimal or behind 0x")->required();
    if (name == std::string_view("keep-alive")) command->add_flag("--once", flags->once, "renew it once");
    if (name == std::string_view("ttl")) add_level(*command, flags);
  }
  flags = std::make_shared<Flags>();
  command = add(*lease, flags, exit_code, "list", "all leases, the one that ends first in front",
                [](Command& run, const Flags&, CLI::App&) { leases(run); });
  add_level(*command, flags);
}

}  // namespace

void add_kv(CLI::App& program, int& exit_code) {
  auto* kv = program.add_subcommand(
      "kv",
      "the replicated key-value store; exit code 0: done, 1: the answer is no (no such key, not set), 2: an error");
  kv->require_subcommand(1);
  const auto fresh = [] { return std::make_shared<Flags>(); };
  Flagged flags = fresh();
  auto* command = add(*kv, flags, exit_code, "get", "one key's value",
                      [](Command& run, const Flags& f, CLI::App&) { get(run, f); });
  command->add_option("key", flags->key, "")->required();
  command->add_option("--rev", flags->revision, "as it was at that revision");
  add_level(*command, flags);
  add_token_file(*command, flags);

  flags = fresh();
  command = add(*kv, flags, exit_code, "range", "keys in their order",
                [](Command& run, const Flags& f, CLI::App&) { range(run, f); });
  command->add_option("key", flags->key, "the first key; without --to and --prefix all from there on");
  add_range(*command, flags);
  command->add_option("--rev", flags->revision, "as it was at that revision");
  command->add_option("--limit", flags->limit, "keys at most");
  command->add_flag("--keys-only", flags->keys_only, "without values");
  command->add_flag("--count", flags->count_only, "only how many there are");
  add_level(*command, flags);
  add_token_file(*command, flags);

  flags = fresh();
  command =
      add(*kv, flags, exit_code, "put", "set a key", [](Command& run, const Flags& f, CLI::App&) { put(run, f); });
  command->add_option("key", flags->key, "")->required();
  command->add_option("value", flags->value, "- reads standard input")->required();
  command->add_option("--lease", flags->lease, "the key goes when this lease ends");
  command->add_flag("--prev", flags->previous, "say what stood there before");
  add_token_file(*command, flags);

  flags = fresh();
  command =
      add(*kv, flags, exit_code, "del", "delete keys", [](Command& run, const Flags& f, CLI::App&) { del(run, f); });
  command->add_option("key", flags->key, "")->required();
  add_range(*command, flags);
  command->add_flag("--prev", flags->previous, "say what stood there before");
  add_token_file(*command, flags);

  flags = fresh();
  command = add(*kv, flags, exit_code, "append", "add to the end of a value, or begin one",
                [](Command& run, const Flags& f, CLI::App&) { append(run, f); });
  command->add_option("key", flags->key, "")->required();
  command->add_option("value", flags->value, "- reads standard input")->required();
  add_token_file(*command, flags);

  flags = fresh();
  command = add(*kv, flags, exit_code, "cas", "set a key if it is as expected; exit code 1: it is not",
                [](Command& run, const Flags& f, CLI::App& app) {
                  cas(run, f, app.count("--expect") > 0, app.count("--expect-revision") > 0);
                });
  command->add_option("key", flags->key, "")->required();
  command->add_option("value", flags->value, "- reads standard input")->required();
  command->add_option("--expect", flags->expected, "the value that stands there");
  command->add_option("--expect-revision", flags->expect_revision, "the revision of its last change");
  command->add_flag("--expect-absent", flags->expect_absent, "there is no such key");
  add_token_file(*command, flags);

  flags = fresh();
  command = add(*kv, flags, exit_code, "txn", "several operations as one, if conditions hold; exit code 1: they do not",
                [](Command& run, const Flags& f, CLI::App&) { txn(run, f); });
  command->add_option("--if", flags->conditions, "e.g. 'value(KEY) = TEXT', 'mod(KEY) > 5', 'version(KEY) = 0'");
  command->add_option("--then", flags->successes, "e.g. 'put KEY VALUE', 'get KEY', 'del-prefix KEY'");
  command->add_option("--else", flags->failures, "when they do not hold");
  add_token_file(*command, flags);

  flags = fresh();
  command =
      add(*kv, flags, exit_code, "watch", "changes as they are made, also across the death of the node that tells them",
          [](Command& run, const Flags& f, CLI::App&) { watch(run, f); });
  command->add_option("key", flags->key, "")->required();
  add_range(*command, flags);
  command->add_option("--rev", flags->revision, "from that revision on");
  command->add_option("--count", flags->count, "end after so many changes");
  command->add_flag("--prev", flags->previous, "say what stood there before, too");
  command->add_flag("--system", flags->system, "what Clew keeps for itself instead of the users' keys");

  flags = fresh();
  command = add(*kv, flags, exit_code, "compact", "forget what keys were before a revision",
                [](Command& run, const Flags& f, CLI::App&) { compact(run, f); });
  command->add_option("revision", flags->revision, "")->required();
  add_leases(*kv, exit_code);
}

}  // namespace clew::app
