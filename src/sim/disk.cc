#include "sim/disk.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "sim/file_image.h"
#include "sim/loop.h"

namespace clew::sim {
namespace {

constexpr uint64_t kBlock = 4096;

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string(".") : path.substr(0, slash);
}

uint64_t blocks(uint64_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

struct Node {  // a file, under whatever name
  struct BadRange {
    uint64_t offset, size;
    uint64_t times;  // 0: always
    bool sectors;    // of the medium: stays over restarts, ends when written
  };

  FileImage image;
  bool locked = false;
  std::vector<BadRange> unreadable;

  void restart() {
    locked = false;
    std::erase_if(unreadable, [](const BadRange& bad) { return !bad.sectors; });
  }
  bool fails_read(uint64_t offset, uint64_t size) {
    for (auto bad = unreadable.begin(); bad != unreadable.end(); ++bad) {
      if (offset >= bad->offset + bad->size || bad->offset >= offset + size) continue;
      if (bad->times != 0 && --bad->times == 0) unreadable.erase(bad);
      return true;
    }
    return false;
  }
  void written(uint64_t offset, uint64_t size) {  // remaps the sectors that were covered whole
    std::erase_if(unreadable, [&](const BadRange& bad) {
      return bad.sectors && offset <= bad.offset && bad.offset + bad.size <= offset + size;
    });
  }
};

struct NameChange {  // an empty `from` is a creation, an empty `to` a removal
  std::string from, to;
  std::shared_ptr<Node> node;
};

using Names = std::map<std::string, std::shared_ptr<Node>>;

void apply_change(Names& names, const NameChange& change) {
  if (!change.from.empty()) {
    const auto it = names.find(change.from);
    if (it != names.end() && it->second == change.node) names.erase(it);
  }
  if (!change.to.empty()) names[change.to] = change.node;
}

}  // namespace

struct SimDisk::State {
  Names names;
  Names durable_names;
  std::vector<NameChange> pending_names;
  std::set<std::string> directories{"/", "."};
  std::vector<std::weak_ptr<Node>> nodes;  // all, for the space that they take

  uint64_t era = 0;  // raised by each restart: handles of an earlier era are dead
  bool crashed = false;
  uint64_t crash_at = 0;
  uint64_t changes = 0;
  uint64_t syncs = 0;
  bool spoilt = false;
  uint64_t capacity = std::numeric_limits<uint64_t>::max();
  uint64_t fail_write_in = 0;
  uint64_t fail_sync_in = 0;
  bool failed_sync_drops = false;
  uint64_t misdirect_in = 0;
  int64_t misdirect_bytes = 0;
  int64_t latency_ns = 50'000;
  int64_t jitter_ns = 0;
  Generator jitter{0};
  TraceHash* trace = nullptr;

  // Counts one change. False: the power went at this very change, or before.
  bool step() {
    if (crashed) return false;
    if (++changes == crash_at) crashed = true;
    return !crashed;
  }
  static Error dead() { return {Code::kUnavailable, "simulated power cut"}; }
  void note(uint64_t what, uint64_t digest) {
    if (trace != nullptr) trace->add(what, digest);
  }

  uint64_t used() const {
    uint64_t sum = 0;
    for (const auto& weak : nodes) {
      if (const auto node = weak.lock()) sum += blocks(node->image.size());
    }
    return sum;
  }
  bool fits(const Node& node, uint64_t new_size) const {
    const uint64_t size = node.image.size();
    return new_size <= size || capacity == std::numeric_limits<uint64_t>::max() ||
           used() - blocks(size) + blocks(new_size) <= capacity;
  }
  static bool due(uint64_t& countdown) { return countdown != 0 && --countdown == 0; }
  int64_t draw_latency() {
    return latency_ns + (jitter_ns == 0 ? 0 : static_cast<int64_t>(jitter.below(static_cast<uint64_t>(jitter_ns))));
  }
  void clear_countdowns() { crash_at = fail_write_in = fail_sync_in = misdirect_in = 0; }
};

namespace {

class SimFile final : public env::File {
 public:
  SimFile(const std::shared_ptr<SimDisk::State>& state, std::shared_ptr<Node> node, std::string path,
          env::OpenOptions options, bool holds_lock)
      : handle_(std::make_shared<Handle>(Handle{state, std::move(node), std::move(path), state->era})),
        options_(options),
        holds_lock_(holds_lock) {}
  ~SimFile() override {
    if (holds_lock_ && !handle_->gone()) handle_->node->locked = false;
  }

  Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    if (handle_->dead()) return State::dead();
    check_alignment(offset, size);
    Node& node = *handle_->node;
    if (!node.unreadable.empty() && node.fails_read(offset, size)) {
      return Error{Code::kDataLoss,
                   "read " + handle_->path + " at " + std::to_string(offset) + ": simulated I/O error"};
    }
    if (size == 0 || offset >= node.image.size()) return size_t{0};
    const size_t got = std::min<uint64_t>(size, node.image.size() - offset);
    node.image.now().read(offset, out, got);
    return got;
  }

  Status write_at(uint64_t offset, std::string_view bytes) override { return write(offset, bytes); }

  Status sync() override { return handle_->sync(); }

  Status preallocate(uint64_t size) override {
    CHECK(options_.writable);
    if (handle_->dead()) return State::dead();
    if (!handle_->state->fits(*handle_->node, size)) return full();
    const bool alive = handle_->state->step();
    handle_->node->image.allocate(size);
    return alive ? Status() : Status(State::dead());
  }

  Status truncate(uint64_t size) override {
    CHECK(options_.writable);
    if (handle_->dead()) return State::dead();
    const bool alive = handle_->state->step();
    handle_->node->image.truncate(size);
    return alive ? Status() : Status(State::dead());
  }

  Result<uint64_t> size() const override {
    if (handle_->dead()) return State::dead();
    return handle_->node->image.size();
  }

  void submit_write(env::Loop& loop, uint64_t offset, std::string_view bytes, bool sync_after,
                    UniqueFunction<void(Status)> done) override {
    Status written = write(offset, bytes);
    if (handle_->dead()) return;  // nobody is left to be told
    auto* sim_loop = dynamic_cast<SimLoop*>(&loop);
    CHECK(sim_loop != nullptr);
    const int64_t now = sim_loop->scheduler().now_ns();
    completes_at_ns_ = std::max(completes_at_ns_, now + handle_->state->draw_latency());
    // Events of equal times run in the order of asking, so completions of one file keep theirs.
    sim_loop->device(completes_at_ns_ - now, EventKind::kTask, offset,
                     [handle = handle_, sync_after, written = std::move(written), done = std::move(done)]() mutable {
                       if (handle->dead()) return;
                       Status status = std::move(written);
                       if (status.ok() && sync_after) {
                         status = handle->sync();
                         if (handle->dead()) return;
                       }
                       done(std::move(status));
                     });
  }

 private:
  using State = SimDisk::State;
  struct Handle {  // what completions keep of a file that may be closed
    std::shared_ptr<State> state;
    std::shared_ptr<Node> node;
    std::string path;
    uint64_t era;

    bool gone() const { return era != state->era; }
    bool dead() const { return state->crashed || gone(); }
    Status sync() {
      if (dead() || !state->step()) return State::dead();
      if (State::due(state->fail_sync_in)) {
        if (state->failed_sync_drops) node->image.lose_pending();
        return Error{Code::kDataLoss, "sync " + path + ": simulated I/O error"};
      }
      ++state->syncs;
      state->note(1, node->image.size());
      node->image.sync();
      return {};
    }
  };

  void check_alignment(uint64_t offset, size_t size) const {
    CHECK(!options_.direct || (offset % env::kDiskAlignment == 0 && size % env::kDiskAlignment == 0));
  }
  Status full() const {
    return Error{Code::kResourceExhausted, "write " + handle_->path + ": simulated disk is full; free space"};
  }
  Status write(uint64_t offset, std::string_view bytes) {
    CHECK(options_.writable);
    check_alignment(offset, bytes.size());
    if (handle_->dead()) return State::dead();
    State& state = *handle_->state;
    if (!state.fits(*handle_->node, offset + bytes.size())) return full();
    const bool alive = state.step();
    if (alive && State::due(state.fail_write_in)) {
      return Error{Code::kDataLoss, "write " + handle_->path + ": simulated I/O error"};
    }
    if (State::due(state.misdirect_in)) {
      const int64_t elsewhere = static_cast<int64_t>(offset) + state.misdirect_bytes;
      offset = elsewhere < 0 ? 0 : static_cast<uint64_t>(elsewhere);
    }
    if (state.trace != nullptr) state.note(offset, stable_hash64(bytes));
    handle_->node->image.write(offset, bytes);
    if (!handle_->node->unreadable.empty()) handle_->node->written(offset, bytes.size());
    return alive ? Status() : Status(State::dead());
  }

  std::shared_ptr<Handle> handle_;
  env::OpenOptions options_;
  bool holds_lock_;
  int64_t completes_at_ns_ = 0;
};

}  // namespace

SimDisk::SimDisk() : state_(std::make_shared<State>()) {}
SimDisk::~SimDisk() = default;

Result<std::unique_ptr<env::File>> SimDisk::open(const std::string& path, env::OpenOptions options) {
  State& state = *state_;
  if (state.crashed) return state.dead();
  const auto it = state.names.find(path);
  if (it != state.names.end()) {
    if (options.exclusive) return Error{Code::kAlreadyExists, "open " + path + ": it exists"};
    return std::unique_ptr<env::File>(new SimFile(state_, it->second, path, options, false));
  }
  if (!options.create) return Error{Code::kNotFound, "open " + path + ": no such file"};
  if (!state.directories.contains(directory_of(path))) {
    return Error{Code::kNotFound, "open " + path + ": no such directory; create it first"};
  }
  const bool alive = state.step();
  auto node = std::make_shared<Node>();
  std::erase_if(state.nodes, [](const auto& weak) { return weak.expired(); });
  state.nodes.push_back(node);
  state.names[path] = node;
  state.pending_names.push_back({"", path, node});
  if (!alive) return state.dead();
  return std::unique_ptr<env::File>(new SimFile(state_, std::move(node), path, options, false));
}

Status SimDisk::rename(const std::string& from, const std::string& to) {
  State& state = *state_;
  if (state.crashed) return state.dead();
  const auto it = state.names.find(from);
  if (it == state.names.end()) return Error{Code::kNotFound, "rename " + from + ": no such file"};
  const bool alive = state.step();
  const NameChange change{from, to, it->second};
  apply_change(state.names, change);
  state.pending_names.push_back(change);
  return alive ? Status() : Status(state.dead());
}

Status SimDisk::remove(const std::string& path) {
  State& state = *state_;
  if (state.crashed) return state.dead();
  const auto it = state.names.find(path);
  if (it == state.names.end()) return Error{Code::kNotFound, "remove " + path + ": no such file"};
  const bool alive = state.step();
  const NameChange change{path, "", it->second};
  apply_change(state.names, change);
  state.pending_names.push_back(change);
  return alive ? Status() : Status(state.dead());
}

Status SimDisk::make_dirs(const std::string& path) {
  if (state_->crashed) return state_->dead();
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    state_->directories.insert(path.substr(0, slash));
  }
  state_->directories.insert(path);
  return {};
}

Status SimDisk::sync_dir(const std::string& path) {
  State& state = *state_;
  if (state.crashed || !state.step()) return state.dead();
  std::vector<NameChange> left;
  for (NameChange& change : state.pending_names) {
    if (directory_of(change.to.empty() ? change.from : change.to) == path) {
      apply_change(state.durable_names, change);
    } else {
      left.push_back(std::move(change));
    }
  }
  state.pending_names = std::move(left);
  return {};
}

Result<std::vector<std::string>> SimDisk::list(const std::string& path) {
  const State& state = *state_;
  if (state.crashed) return state.dead();
  if (!state.directories.contains(path)) return Error{Code::kNotFound, "list " + path + ": no such directory"};
  std::set<std::string> found;
  for (const auto& [name, node] : state.names) {
    if (directory_of(name) == path) found.insert(name.substr(path.size() + 1));
  }
  for (const std::string& directory : state.directories) {
    if (directory != path && directory_of(directory) == path) found.insert(directory.substr(path.size() + 1));
  }
  return std::vector<std::string>(found.begin(), found.end());
}

Result<env::DiskSpace> SimDisk::space(const std::string&) {
  if (state_->crashed) return state_->dead();
  const uint64_t total = std::min<uint64_t>(state_->capacity, uint64_t{1} << 50);
  const uint64_t used = state_->used();
  return env::DiskSpace{total, used < total ? total - used : 0};
}

Result<std::unique_ptr<env::File>> SimDisk::lock_dir(const std::string& path) {
  const std::string name = path + "/LOCK";
  CLEW_ASSIGN(auto file, open(name, {.create = true, .writable = true}));
  const std::shared_ptr<Node>& node = state_->names[name];
  if (node->locked) {
    return Error{Code::kFailedPrecondition, "lock " + name + ": another process has it; stop that one first"};
  }
  node->locked = true;
  return std::unique_ptr<env::File>(new SimFile(state_, node, name, {.writable = true}, true));
}

void SimDisk::crash_and_restart(uint64_t seed) {
  State& state = *state_;
  Generator random(seed);
  if (random.one_in(2)) {  // a journal: a prefix of the name changes
    const uint64_t kept = random.below(state.pending_names.size() + 1);
    for (uint64_t i = 0; i < kept; ++i) apply_change(state.durable_names, state.pending_names[i]);
  } else {
    for (const NameChange& change : state.pending_names) {
      if (random.one_in(2)) apply_change(state.durable_names, change);
    }
  }
  state.pending_names.clear();
  state.names = state.durable_names;
  // Two names may show the same file when the half of a rename survived; each file's fate is drawn once.
  std::set<const Node*> seen;
  for (const auto& [name, node] : state.names) {
    if (!seen.insert(node.get()).second) continue;
    node->image.cut(random);
    node->restart();
  }
  ++state.era;
  state.crashed = false;
  state.clear_countdowns();
}

void SimDisk::kill_and_restart() {
  ++state_->era;
  for (const auto& [name, node] : state_->names) node->locked = false;
}

void SimDisk::wipe() {
  State& state = *state_;
  state.names.clear();
  state.durable_names.clear();
  state.pending_names.clear();
  state.directories = {"/", "."};
  state.nodes.clear();
  ++state.era;
  state.crashed = false;
  state.clear_countdowns();
}

void SimDisk::end_faults() {
  state_->clear_countdowns();
  state_->capacity = std::numeric_limits<uint64_t>::max();
  for (const auto& [name, node] : state_->names) {
    std::erase_if(node->unreadable, [](const Node::BadRange& bad) { return !bad.sectors; });
  }
}

void SimDisk::crash_at_io(uint64_t nth) { state_->crash_at = nth; }
bool SimDisk::crashed() const { return state_->crashed; }
void SimDisk::set_capacity(uint64_t bytes) { state_->capacity = bytes; }
void SimDisk::fail_write(uint64_t nth) { state_->fail_write_in = nth; }
void SimDisk::set_seed(uint64_t seed) { state_->jitter = Generator(seed); }
void SimDisk::set_trace(TraceHash* trace) { state_->trace = trace; }
uint64_t SimDisk::io_count() const { return state_->changes; }
bool SimDisk::ever_spoilt() const { return state_->spoilt; }
uint64_t SimDisk::sync_count() const { return state_->syncs; }
uint64_t SimDisk::used_bytes() const { return state_->used(); }
bool SimDisk::exists(const std::string& path) const { return state_->names.contains(path); }

void SimDisk::fail_sync(uint64_t nth, bool drops) {
  state_->fail_sync_in = nth;
  state_->failed_sync_drops = drops;
}

void SimDisk::misdirect_write(uint64_t nth, int64_t distance_bytes) {
  state_->misdirect_in = nth;
  state_->spoilt = true;
  state_->misdirect_bytes = distance_bytes;
}

void SimDisk::set_latency(int64_t latency_ns, int64_t jitter_ns) {
  state_->latency_ns = latency_ns;
  state_->jitter_ns = jitter_ns;
}

void SimDisk::fail_reads(const std::string& path, uint64_t offset, uint64_t size, uint64_t times) {
  const auto it = state_->names.find(path);
  CHECK(it != state_->names.end());
  it->second->unreadable.push_back({offset, size, times, false});
  state_->spoilt = true;
}

void SimDisk::damage(const std::string& path, uint64_t offset, uint64_t size) {
  const auto it = state_->names.find(path);
  CHECK(it != state_->names.end());
  state_->spoilt = true;
  const uint64_t first = offset / kSectorBytes * kSectorBytes;
  const uint64_t end = (offset + size + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  for (uint64_t at = first; at < end; at += kSectorBytes) {
    it->second->unreadable.push_back({at, kSectorBytes, 0, true});
  }
}

void SimDisk::flip(const std::string& path, uint64_t offset, uint8_t mask) {
  const auto it = state_->names.find(path);
  CHECK(it != state_->names.end() && offset < it->second->image.size());
  it->second->image.flip(offset, mask);
  state_->spoilt = true;
}

std::string SimDisk::content(const std::string& path) const {
  const auto it = state_->names.find(path);
  return it == state_->names.end() ? std::string() : it->second->image.now().substr(0, it->second->image.size());
}

std::vector<SimDisk::FileInfo> SimDisk::files() const {
  std::vector<FileInfo> files;
  for (const auto& [path, node] : state_->names)
    files.push_back({path, node->image.size(), node->image.now().written_end()});
  return files;
}

namespace {

class ForgetfulFile final : public env::File {
 public:
  explicit ForgetfulFile(std::unique_ptr<env::File> file) : file_(std::move(file)) {}
  Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    return file_->read_at(offset, out, size);
  }
  Status write_at(uint64_t offset, std::string_view bytes) override { return file_->write_at(offset, bytes); }
  Status sync() override { return {}; }
  Status preallocate(uint64_t size) override { return file_->preallocate(size); }
  Status truncate(uint64_t size) override { return file_->truncate(size); }
  Result<uint64_t> size() const override { return file_->size(); }
  void submit_write(env::Loop& loop, uint64_t offset, std::string_view bytes, bool,
                    UniqueFunction<void(Status)> done) override {
    file_->submit_write(loop, offset, bytes, false, std::move(done));
  }

 private:
  std::unique_ptr<env::File> file_;
};

}  // namespace

Result<std::unique_ptr<env::File>> ForgetfulDisk::open(const std::string& path, env::OpenOptions options) {
  CLEW_ASSIGN(auto file, disk_.open(path, options));
  return std::unique_ptr<env::File>(new ForgetfulFile(std::move(file)));
}

}  // namespace clew::sim
