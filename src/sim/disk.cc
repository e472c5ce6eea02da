#include "sim/disk.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace clew::sim {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kBlock = 4096;

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string(".") : path.substr(0, slash);
}

uint64_t blocks(uint64_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

struct Change {  // of a file's content
  enum class Kind : uint8_t { kWrite, kTruncate, kAllocate };
  Kind kind;
  uint64_t offset;  // or the new size
  std::string bytes;
};

void apply_change(std::string& image, const Change& change) {
  switch (change.kind) {
    case Change::Kind::kWrite:
      if (change.bytes.empty()) break;
      if (image.size() < change.offset + change.bytes.size()) image.resize(change.offset + change.bytes.size());
      std::memcpy(image.data() + change.offset, change.bytes.data(), change.bytes.size());
      break;
    case Change::Kind::kTruncate:
      image.resize(change.offset);
      break;
    case Change::Kind::kAllocate:
      if (image.size() < change.offset) image.resize(change.offset);
      break;
  }
}

// Each 512-byte sector of the write arrived or did not.
void apply_torn(std::string& image, const Change& change, Generator& random) {
  for (uint64_t at = 0; at < change.bytes.size();) {
    const uint64_t end =
        std::min<uint64_t>(change.bytes.size(), (change.offset + at) / kSector * kSector + kSector - change.offset);
    if (random.one_in(2)) {
      apply_change(image, {Change::Kind::kWrite, change.offset + at, change.bytes.substr(at, end - at)});
    }
    at = end;
  }
}

struct Node {
  std::string now;      // what programs see
  std::string durable;  // what a power cut leaves, before the fate of `pending` is drawn
  std::vector<Change> pending;
  bool locked = false;
  struct BadRange {
    uint64_t offset, size;
  };
  std::vector<BadRange> unreadable;

  void add(Change change) {
    apply_change(now, change);
    pending.push_back(std::move(change));
  }
  void sync() {
    for (const Change& change : pending) apply_change(durable, change);
    pending.clear();
  }
  void cut(Generator& random) {
    for (const Change& change : pending) {
      const uint64_t fate = random.below(3);
      if (fate == 0) continue;
      if (fate == 1 && change.kind == Change::Kind::kWrite) {
        apply_torn(durable, change, random);
      } else {
        apply_change(durable, change);
      }
    }
    pending.clear();
    now = durable;
    locked = false;
    unreadable.clear();
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

struct SimDisk::World {
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
  uint64_t capacity = std::numeric_limits<uint64_t>::max();
  uint64_t fail_write_in = 0;
  uint64_t fail_sync_in = 0;
  int64_t latency_ns = 50'000;

  // Counts one change. False: the power went at this very change, or before.
  bool step() {
    if (crashed) return false;
    if (++changes == crash_at) crashed = true;
    return !crashed;
  }
  static Error dead() { return {Code::kUnavailable, "simulated power cut"}; }

  uint64_t used() const {
    uint64_t sum = 0;
    for (const auto& weak : nodes) {
      if (const auto node = weak.lock()) sum += blocks(node->now.size());
    }
    return sum;
  }
  bool fits(const Node& node, uint64_t new_size) const {
    return new_size <= node.now.size() || used() - blocks(node.now.size()) + blocks(new_size) <= capacity;
  }
  static bool due(uint64_t& countdown) { return countdown != 0 && --countdown == 0; }
};

namespace {

class SimFile final : public env::File {
 public:
  SimFile(std::shared_ptr<SimDisk::World> world, std::shared_ptr<Node> node, std::string path, env::OpenOptions options,
          bool holds_lock)
      : world_(std::move(world)),
        node_(std::move(node)),
        path_(std::move(path)),
        options_(options),
        era_(world_->era),
        holds_lock_(holds_lock) {}
  ~SimFile() override {
    if (holds_lock_ && era_ == world_->era) node_->locked = false;
  }

  Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    if (dead()) return world_->dead();
    check_alignment(offset, size);
    for (const auto& bad : node_->unreadable) {
      if (offset < bad.offset + bad.size && bad.offset < offset + size) {
        return Error{Code::kDataLoss, "read " + path_ + " at " + std::to_string(offset) + ": simulated I/O error"};
      }
    }
    if (size == 0 || offset >= node_->now.size()) return size_t{0};
    const size_t got = std::min<uint64_t>(size, node_->now.size() - offset);
    std::memcpy(out, node_->now.data() + offset, got);
    return got;
  }

  Status write_at(uint64_t offset, std::string_view bytes) override { return write(offset, bytes); }

  Status sync() override {
    if (dead() || !world_->step()) return world_->dead();
    if (World::due(world_->fail_sync_in)) return Error{Code::kDataLoss, "sync " + path_ + ": simulated I/O error"};
    ++world_->syncs;
    node_->sync();
    return {};
  }

  Status preallocate(uint64_t size) override {
    CHECK(options_.writable);
    if (dead()) return world_->dead();
    if (!world_->fits(*node_, size)) return full();
    const bool alive = world_->step();
    node_->add({Change::Kind::kAllocate, size, {}});
    return alive ? Status() : Status(world_->dead());
  }

  Status truncate(uint64_t size) override {
    CHECK(options_.writable);
    if (dead()) return world_->dead();
    const bool alive = world_->step();
    node_->add({Change::Kind::kTruncate, size, {}});
    return alive ? Status() : Status(world_->dead());
  }

  Result<uint64_t> size() const override {
    if (dead()) return world_->dead();
    return static_cast<uint64_t>(node_->now.size());
  }

  void submit_write(env::Loop& loop, uint64_t offset, std::string_view bytes, bool sync_after,
                    UniqueFunction<void(Status)> done) override {
    Status written = write(offset, bytes);
    if (dead()) return;  // nobody is left to be told
    const int64_t now = loop.clock().mono_ns();
    completes_at_ns_ = std::max(completes_at_ns_, now + world_->latency_ns);
    // The loop runs equal deadlines in the order of asking, so completions of one file keep theirs.
    loop.after(completes_at_ns_ - now, [world = world_, node = node_, path = path_, era = era_, sync_after,
                                        written = std::move(written), done = std::move(done)]() mutable {
      if (world->crashed || era != world->era) return;
      Status status = std::move(written);
      if (status.ok() && sync_after) {
        SimFile file(world, node, path, {.writable = true}, false);
        status = file.sync();
        if (world->crashed) return;
      }
      done(std::move(status));
    });
  }

 private:
  using World = SimDisk::World;

  bool dead() const { return world_->crashed || era_ != world_->era; }
  void check_alignment(uint64_t offset, size_t size) const {
    CHECK(!options_.direct || (offset % env::kDiskAlignment == 0 && size % env::kDiskAlignment == 0));
  }
  Status full() const {
    return Error{Code::kResourceExhausted, "write " + path_ + ": simulated disk is full; free space"};
  }
  Status write(uint64_t offset, std::string_view bytes) {
    CHECK(options_.writable);
    check_alignment(offset, bytes.size());
    if (dead()) return world_->dead();
    if (!world_->fits(*node_, offset + bytes.size())) return full();
    const bool alive = world_->step();
    if (alive && World::due(world_->fail_write_in)) {
      return Error{Code::kDataLoss, "write " + path_ + ": simulated I/O error"};
    }
    node_->add({Change::Kind::kWrite, offset, std::string(bytes)});
    return alive ? Status() : Status(world_->dead());
  }

  std::shared_ptr<World> world_;
  std::shared_ptr<Node> node_;
  std::string path_;
  env::OpenOptions options_;
  uint64_t era_;
  bool holds_lock_;
  int64_t completes_at_ns_ = 0;
};

}  // namespace

SimDisk::SimDisk() : world_(std::make_shared<World>()) {}
SimDisk::~SimDisk() = default;

Result<std::unique_ptr<env::File>> SimDisk::open(const std::string& path, env::OpenOptions options) {
  World& world = *world_;
  if (world.crashed) return world.dead();
  const auto it = world.names.find(path);
  if (it != world.names.end()) {
    if (options.exclusive) return Error{Code::kAlreadyExists, "open " + path + ": it exists"};
    return std::unique_ptr<env::File>(new SimFile(world_, it->second, path, options, false));
  }
  if (!options.create) return Error{Code::kNotFound, "open " + path + ": no such file"};
  if (!world.directories.contains(directory_of(path))) {
    return Error{Code::kNotFound, "open " + path + ": no such directory; create it first"};
  }
  const bool alive = world.step();
  auto node = std::make_shared<Node>();
  std::erase_if(world.nodes, [](const auto& weak) { return weak.expired(); });
  world.nodes.push_back(node);
  world.names[path] = node;
  world.pending_names.push_back({"", path, node});
  if (!alive) return world.dead();
  return std::unique_ptr<env::File>(new SimFile(world_, std::move(node), path, options, false));
}

Status SimDisk::rename(const std::string& from, const std::string& to) {
  World& world = *world_;
  if (world.crashed) return world.dead();
  const auto it = world.names.find(from);
  if (it == world.names.end()) return Error{Code::kNotFound, "rename " + from + ": no such file"};
  const bool alive = world.step();
  const NameChange change{from, to, it->second};
  apply_change(world.names, change);
  world.pending_names.push_back(change);
  return alive ? Status() : Status(world.dead());
}

Status SimDisk::remove(const std::string& path) {
  World& world = *world_;
  if (world.crashed) return world.dead();
  const auto it = world.names.find(path);
  if (it == world.names.end()) return Error{Code::kNotFound, "remove " + path + ": no such file"};
  const bool alive = world.step();
  const NameChange change{path, "", it->second};
  apply_change(world.names, change);
  world.pending_names.push_back(change);
  return alive ? Status() : Status(world.dead());
}

Status SimDisk::make_dirs(const std::string& path) {
  if (world_->crashed) return world_->dead();
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    world_->directories.insert(path.substr(0, slash));
  }
  world_->directories.insert(path);
  return {};
}

Status SimDisk::sync_dir(const std::string& path) {
  World& world = *world_;
  if (world.crashed || !world.step()) return world.dead();
  std::vector<NameChange> left;
  for (NameChange& change : world.pending_names) {
    if (directory_of(change.to.empty() ? change.from : change.to) == path) {
      apply_change(world.durable_names, change);
    } else {
      left.push_back(std::move(change));
    }
  }
  world.pending_names = std::move(left);
  return {};
}

Result<std::vector<std::string>> SimDisk::list(const std::string& path) {
  const World& world = *world_;
  if (world.crashed) return world.dead();
  if (!world.directories.contains(path)) return Error{Code::kNotFound, "list " + path + ": no such directory"};
  std::set<std::string> found;
  for (const auto& [name, node] : world.names) {
    if (directory_of(name) == path) found.insert(name.substr(path.size() + 1));
  }
  for (const std::string& directory : world.directories) {
    if (directory != path && directory_of(directory) == path) found.insert(directory.substr(path.size() + 1));
  }
  return std::vector<std::string>(found.begin(), found.end());
}

Result<env::DiskSpace> SimDisk::space(const std::string&) {
  if (world_->crashed) return world_->dead();
  const uint64_t total = std::min<uint64_t>(world_->capacity, uint64_t{1} << 50);
  const uint64_t used = world_->used();
  return env::DiskSpace{total, used < total ? total - used : 0};
}

Result<std::unique_ptr<env::File>> SimDisk::lock_dir(const std::string& path) {
  const std::string name = path + "/LOCK";
  CLEW_ASSIGN(auto file, open(name, {.create = true, .writable = true}));
  const std::shared_ptr<Node>& node = world_->names[name];
  if (node->locked) {
    return Error{Code::kFailedPrecondition, "lock " + name + ": another process has it; stop that one first"};
  }
  node->locked = true;
  return std::unique_ptr<env::File>(new SimFile(world_, node, name, {.writable = true}, true));
}

void SimDisk::crash_and_restart(uint64_t seed) {
  World& world = *world_;
  Generator random(seed);
  if (random.one_in(2)) {  // a journal: a prefix of the name changes
    const uint64_t kept = random.below(world.pending_names.size() + 1);
    for (uint64_t i = 0; i < kept; ++i) apply_change(world.durable_names, world.pending_names[i]);
  } else {
    for (const NameChange& change : world.pending_names) {
      if (random.one_in(2)) apply_change(world.durable_names, change);
    }
  }
  world.pending_names.clear();
  world.names = world.durable_names;
  // Two names may show the same file when the half of a rename survived; each file's fate is drawn once.
  std::set<const Node*> seen;
  for (const auto& [name, node] : world.names) {
    if (seen.insert(node.get()).second) node->cut(random);
  }
  ++world.era;
  world.crashed = false;
  world.crash_at = 0;
  world.fail_write_in = 0;
  world.fail_sync_in = 0;
}

void SimDisk::crash_at_io(uint64_t nth) { world_->crash_at = nth; }
bool SimDisk::crashed() const { return world_->crashed; }
void SimDisk::set_capacity(uint64_t bytes) { world_->capacity = bytes; }
void SimDisk::fail_write(uint64_t nth) { world_->fail_write_in = nth; }
void SimDisk::fail_sync(uint64_t nth) { world_->fail_sync_in = nth; }
void SimDisk::set_latency(int64_t latency_ns) { world_->latency_ns = latency_ns; }
uint64_t SimDisk::io_count() const { return world_->changes; }
uint64_t SimDisk::sync_count() const { return world_->syncs; }
uint64_t SimDisk::used_bytes() const { return world_->used(); }
bool SimDisk::exists(const std::string& path) const { return world_->names.contains(path); }

void SimDisk::fail_reads(const std::string& path, uint64_t offset, uint64_t size) {
  const auto it = world_->names.find(path);
  CHECK(it != world_->names.end());
  it->second->unreadable.push_back({offset, size});
}

void SimDisk::flip(const std::string& path, uint64_t offset, uint8_t mask) {
  const auto it = world_->names.find(path);
  CHECK(it != world_->names.end() && offset < it->second->now.size());
  Node& node = *it->second;
  node.now[offset] = static_cast<char>(node.now[offset] ^ mask);
  if (offset < node.durable.size()) node.durable[offset] = static_cast<char>(node.durable[offset] ^ mask);
}

std::string SimDisk::content(const std::string& path) const {
  const auto it = world_->names.find(path);
  return it == world_->names.end() ? std::string() : it->second->now;
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
