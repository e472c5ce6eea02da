// clew snapshot: a backup of the key-value store, taken from a cluster that runs, and a new cluster made from one.

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>

#include "api/etcd/snapshot_file.h"
#include "api/json_writer.h"
#include "app/client_output.h"
#include "app/commands.h"
#include "app/control_client.h"
#include "app/progress.h"
#include "control/restore.h"
#include "os/disk.h"

namespace clew::app {
namespace {

constexpr int kError = 2;
constexpr size_t kPieceBytes = 1u << 20;
constexpr int kTries = 20;

struct Flags {
  ControlFlags control;
  std::string file;
  bool json = false;
  bool stale = false;
  std::string directory = "clew-data";
  uint64_t node = 0;
  std::string founders;
  std::string token = "clew";
  std::string consensus = "raft";
};

// What stands in a sound file.
Result<std::unique_ptr<control::RestoredState>> read_file(os::OsDisk& disk, const std::string& path, uint64_t& bytes) {
  CLEW_ASSIGN(const auto reader, api::etcd::SnapshotFileReader::open(disk, path));
  bytes = reader->bytes();
  auto state = control::RestoredState::read(*reader);
  if (!state.ok()) return Error{state.error().code, path + ": " + state.error().message};
  return state;
}

void tell(const Flags& flags, const control::RestoredState& state, uint64_t bytes) {
  const kv::Store& store = state.spaces().machine(kv::Space::kUser).store();
  const size_t leases = state.spaces().machine(kv::Space::kUser).leases().size();
  if (flags.json) {
    std::string out;
    api::JsonWriter json(out);
    json.open_object();
    json.key("revision").number(store.revision());
    json.key("compacted").number(std::max<int64_t>(store.compact_revision(), 0));
    json.key("keys").number(static_cast<int64_t>(store.live_keys()));
    json.key("versions").number(static_cast<int64_t>(store.records()));
    json.key("leases").number(static_cast<int64_t>(leases));
    json.key("bytes").number(static_cast<int64_t>(bytes));
    json.close_object();
    std::printf("%s\n", out.c_str());
    return;
  }
  std::printf("%s: sound; revision %lld, %s in %s, %s, %s\n", flags.file.c_str(),
              static_cast<long long>(store.revision()), counted(store.live_keys(), "key").c_str(),
              counted(store.records(), "version").c_str(), counted(leases, "lease").c_str(), megabytes(bytes).c_str());
}

// --- save ---

Error from(const control::CallError& error) { return {error.code, error.message}; }

// The newest revision that was acknowledged to anybody.
Result<int64_t> newest_revision(ControlClient& client) {
  kv::RangeRequest request;
  request.key = std::string(1, '\0');
  request.count_only = true;
  auto answer = client.execute(kv::Space::kUser, std::move(request), client.call_options());
  if (const auto* error = std::get_if<control::CallError>(&answer)) return from(*error);
  return std::get<kv::RangeResponse>(std::get<control::CallReply>(answer).response).revision;
}

Status fetch(ControlClient& client, const std::string& path) {
  const std::unique_ptr<control::Service::SnapshotStream> stream = client.client().snapshot();
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  std::unique_ptr<api::etcd::SnapshotFileWriter> writer;
  std::unique_ptr<ProgressBar> bar;
  uint64_t got = 0;
  for (;;) {
    auto answer = client.wait<std::string>([&](auto done) { stream->next(kPieceBytes, std::move(done)); });
    if (const auto* error = std::get_if<control::CallError>(&answer)) return from(*error);
    const std::string& piece = std::get<std::string>(answer);
    if (writer == nullptr) {
      writer = std::make_unique<api::etcd::SnapshotFileWriter>(stream->total_bytes());
      bar = std::make_unique<ProgressBar>("snapshot", stream->total_bytes(), client.loop().clock());
    }
    if (piece.empty()) break;
    file << writer->piece(piece);
    got += piece.size();
    bar->update(got, "");
    if (!file) break;
  }
  bar->finish();
  CLEW_ASSIGN(const std::string end, writer->end());
  file << end;
  file.close();
  if (!file) return {Code::kResourceExhausted, "write " + path + ": " + std::strerror(errno)};  // NOLINT
  return {};
}

int save(const Flags& flags) {
  auto client = ControlClient::connect(flags.control);
  if (!client.ok()) return fail(client.status(), kError);
  if (std::filesystem::exists(flags.file)) {
    return fail(Status(Code::kAlreadyExists, flags.file + " is there already; give another name"), kError);
  }
  int64_t wanted = 0;
  if (!flags.stale) {
    const auto newest = newest_revision(**client);
    if (!newest.ok()) {
      return fail(
          Status(newest.error().code,
                 newest.error().message + " (without a quorum, --stale saves what the member that is asked has)"),
          kError);
    }
    wanted = *newest;
  }
  // Under another name until it is known to be whole and new enough.
  const std::string part = flags.file + ".part";
  Status status;
  os::OsDisk disk;
  for (int tries = 0; tries < kTries; ++tries) {
    uint64_t bytes = 0;
    status = fetch(**client, part);
    if (!status.ok()) break;
    const auto state = read_file(disk, part, bytes);
    status = state.status();
    if (!status.ok()) break;
    if ((*state)->spaces().machine(kv::Space::kUser).store().revision() < wanted) {
      status = Status(Code::kUnavailable, "the member that was asked is behind the others; ask another one (--server)");
      continue;
    }
    if (const auto synced = disk.open(part, {.writable = true}); synced.ok()) status = (*synced)->sync();
    if (status.ok()) status = disk.rename(part, flags.file);
    if (!status.ok()) break;
    tell(flags, **state, bytes);
    return 0;
  }
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  return fail(status, kError);
}

int status(const Flags& flags) {
  os::OsDisk disk;
  uint64_t bytes = 0;
  const auto state = read_file(disk, flags.file, bytes);
  if (!state.ok()) return fail(state.status(), state.error().code == Code::kDataLoss ? 1 : kError);
  tell(flags, **state, bytes);
  return 0;
}

// --- restore ---

Status restore_into(const Flags& flags, control::Belonging& belonging) {
  namespace fs = std::filesystem;
  const fs::path place = fs::path(flags.directory) / "control",
                 making = fs::path(flags.directory) / "control.restoring";
  control::RestoreOptions options;
  CLEW_ASSIGN(options.founders, control::parse_founders(flags.founders));
  options.directory = making.string();
  options.token = flags.token;
  options.node = consensus::NodeId{flags.node};
  options.protocol = flags.consensus;
  if (fs::exists(place)) {
    return {Code::kAlreadyExists, place.string() +
                                      " is there already: this data directory belongs to a member; restore into an "
                                      "empty one"};
  }
  os::OsDisk disk;
  uint64_t bytes = 0;
  CLEW_ASSIGN(const auto state, read_file(disk, flags.file, bytes));
  std::error_code error;
  fs::remove_all(making, error);  // of one that was interrupted
  os::Workers workers;
  os::OsRandom random;
  os::OsLoop loop("restore", workers);
  std::promise<Result<control::Belonging>> made;
  loop.post([&] {
    control::restore_member(loop, disk, random, options, *state,
                            [&](Result<control::Belonging> result) { made.set_value(std::move(result)); });
  });
  auto result = made.get_future().get();
  loop.stop();
  CLEW_TRY(result.status());
  CLEW_TRY(disk.rename(making.string(), place.string()));
  CLEW_TRY(disk.sync_dir(flags.directory));
  belonging = std::move(*result);
  return {};
}

int restore(const Flags& flags) {
  control::Belonging belonging;
  if (const Status done = restore_into(flags, belonging); !done.ok()) {
    return fail(done, done.code() == Code::kDataLoss ? 1 : kError);
  }
  const auto founding = static_cast<unsigned long long>(belonging.founding);
  if (flags.json) {
    std::printf("{\"founding\":\"%016llx\",\"node\":\"%llu\"}\n", founding,
                static_cast<unsigned long long>(flags.node));
  } else {
    const std::string protocol = flags.consensus == "raft" ? "" : " --consensus " + flags.consensus;
    std::printf(
        "%s is member %llu of the new cluster, of the founding %016llx; "
        "when all its founders are made, start them: clew serve --data-dir %s%s …\n",
        flags.directory.c_str(), static_cast<unsigned long long>(flags.node), founding, flags.directory.c_str(),
        protocol.c_str());
  }
  return 0;
}

}  // namespace

void add_snapshot(CLI::App& program, int& exit_code) {
  auto* snapshot = program.add_subcommand(
      "snapshot",
      "back up the key-value store, and make a new cluster from a backup; exit code 0: done, 1: the file is "
      "not sound, 2: an error");
  snapshot->require_subcommand(1);
  const auto declare = [&](const char* name, const char* text, auto act) {
    auto flags = std::make_shared<Flags>();
    auto* command = snapshot->add_subcommand(name, text);
    command->add_option("file", flags->file, "")->required();
    command->add_flag("--json", flags->json, "one JSON object");
    command->callback([flags, act, &exit_code] { exit_code = act(*flags); });
    return std::pair(command, flags);
  };
  auto [saving, saved] =
      declare("save", "everything that was acknowledged before; reads and writes go on meanwhile", save);
  saved->control.add_to(*saving);
  saving->add_flag("--stale", saved->stale, "what the member that is asked has, also without a quorum");
  declare("status", "whether the file is whole, and what stands in it", status);
  auto [restoring, restored] = declare("restore", "make the data directory of one founder of a new cluster", restore);
  restoring->add_option("--data-dir", restored->directory, "for `clew serve`; without a member in it")
      ->capture_default_str();
  restoring->add_option("--node-id", restored->node, "which of the founders")->required()->check(CLI::PositiveNumber);
  restoring
      ->add_option("--initial-cluster", restored->founders,
                   "the founders of the new cluster, ID=HOST:PORT,... of their peer ports: the same for each")
      ->required();
  restoring->add_option("--consensus", restored->consensus, "what the new cluster runs on: raft, multipaxos or zab")
      ->capture_default_str();
  restoring
      ->add_option("--initial-cluster-token", restored->token,
                   "makes another cluster of the same founders and the same file")
      ->capture_default_str();
}

}  // namespace clew::app
