#include "store/embedded_store.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace clew::store {
namespace {

constexpr std::string_view kManifest = "MANIFEST";
constexpr std::string_view kManifestHead = "clew segments 1\n";
constexpr uint64_t kMaxManifestBytes = 64u << 20;
constexpr std::string_view kSuffix = ".clew";

std::string name_of(uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 10) digits.insert(0, 10 - digits.size(), '0');
  return "seg-" + digits + std::string(kSuffix);
}

std::optional<uint64_t> number_of(std::string_view name) {
  if (!name.starts_with("seg-") || !name.ends_with(kSuffix)) return std::nullopt;
  name.remove_prefix(4);
  name.remove_suffix(kSuffix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

// manifest := "clew segments 1\n", (number "\n")*, "checksum " hex "\n"
std::string write_manifest(const std::vector<uint64_t>& live) {
  std::string text(kManifestHead);
  for (const uint64_t number : live) text += std::to_string(number) + "\n";
  char sum[9];
  std::snprintf(sum, sizeof(sum), "%08x", checksum32(text));
  return text + "checksum " + sum + "\n";
}

bool read_manifest(std::string_view text, std::vector<uint64_t>& live) {
  const size_t at = text.rfind("checksum ");
  if (at == std::string_view::npos || !text.starts_with(kManifestHead)) return false;
  char sum[9];
  std::snprintf(sum, sizeof(sum), "%08x", checksum32(text.substr(0, at)));
  if (text.substr(at) != "checksum " + std::string(sum) + "\n") return false;
  text = text.substr(kManifestHead.size(), at - kManifestHead.size());
  while (!text.empty()) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end == text.data() + text.size() || *end != '\n') return false;
    live.push_back(number);
    text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  }
  return true;
}

int64_t arrival_ns(uint64_t hlc) { return static_cast<int64_t>(hlc >> 16) * 1'000'000; }

class PreparedSegments final : public Prepared {
 public:
  explicit PreparedSegments(std::shared_ptr<std::atomic<int>> unpublished) : unpublished_(std::move(unpublished)) {
    unpublished_->fetch_add(1);
  }
  ~PreparedSegments() override { unpublished_->fetch_sub(1); }

  std::vector<std::shared_ptr<const Segment>> segments;
  std::vector<model::TraceKey> split;  // traces that other segments hold parts of, ascending
  std::vector<SplitTrace> known;       // the same with their parts, as of `generation`
  uint64_t generation = 0;
  uint64_t bytes() const override {
    uint64_t sum = 0;
    for (const auto& segment : segments) sum += segment->file_bytes();
    return sum;
  }

 private:
  const std::shared_ptr<std::atomic<int>> unpublished_;
};

std::vector<SplitTrace> make_splits(const std::vector<std::shared_ptr<const Segment>>& segments,
                                    const std::vector<model::TraceKey>& keys) {
  std::vector<SplitTrace> out;
  if (keys.empty()) return out;
  const SegmentView plain(segments, {});
  for (const model::TraceKey& key : keys) {
    if (auto made = make_split(key, plain.find_parts(key))) out.push_back(std::move(*made));
  }
  return out;
}

}  // namespace

EmbeddedStore::EmbeddedStore(env::Disk& disk, EmbeddedOptions options, std::function<void(const std::string&)> report)
    : disk_(disk), options_(std::move(options)), report_(report) {
  environment_.disk = &disk;
  environment_.cache = std::make_shared<PieceCache>(options_.cache_bytes);
  environment_.damage = std::make_shared<DamageLog>(std::move(report));
  environment_.hash_seed = options_.hash_seed;
}

EmbeddedStore::~EmbeddedStore() = default;

std::string EmbeddedStore::path_of(uint64_t number) const { return options_.directory + "/" + name_of(number); }

Result<std::unique_ptr<EmbeddedStore>> EmbeddedStore::open(env::Disk& disk, EmbeddedOptions options,
                                                           std::function<void(const std::string&)> report) {
  CLEW_TRY(disk.make_dirs(options.directory));
  std::unique_ptr<EmbeddedStore> store(new EmbeddedStore(disk, std::move(options), std::move(report)));
  CLEW_TRY(store->load());
  return store;
}

Status EmbeddedStore::load() {
  std::vector<uint64_t> named;
  CLEW_ASSIGN(const auto files, disk_.list(options_.directory));
  const bool have_manifest = std::find(files.begin(), files.end(), kManifest) != files.end();
  bool believed = false;
  if (have_manifest) {
    CLEW_ASSIGN(const auto text,
                env::read_file(disk_, options_.directory + "/" + std::string(kManifest), kMaxManifestBytes));
    believed = read_manifest(text, named);
    if (!believed && report_) {
      report_(options_.directory +
              "/MANIFEST is damaged; every segment that can be read is taken, a compaction that was "
              "interrupted may show as duplicates, which readers drop");
    }
  }
  uint64_t highest = 0;
  std::vector<SegmentPtr> segments;
  std::vector<uint64_t> live;
  for (const std::string& file : files) {
    const auto number = number_of(file);
    if (number) highest = std::max(highest, *number);
    // Without a manifest to believe nothing is thrown away: what is there twice, readers drop.
    const bool orphan = number && believed && std::find(named.begin(), named.end(), *number) == named.end();
    if (file.ends_with(".tmp") || orphan) {
      CLEW_TRY(disk_.remove(options_.directory + "/" + file));
      continue;
    }
    if (!number) continue;
    auto segment = Segment::open(environment_, path_of(*number), *number);
    if (segment.ok()) {
      segments.push_back(*segment);
      live.push_back(*number);
      continue;
    }
    if (segment.error().code != Code::kDataLoss) return segment.error();
    environment_.damage->add(path_of(*number), 0, segment.error().message + "; renamed to .damaged");
    CLEW_TRY(disk_.rename(path_of(*number), path_of(*number) + ".damaged"));
  }
  for (const uint64_t number : named) {
    if (std::find(files.begin(), files.end(), name_of(number)) == files.end()) {
      environment_.damage->add(path_of(number), 0, "the manifest names this segment and it is not there");
    }
  }
  {
    MutexLock lock(manifest_mutex_);
    live_ = live;
    CLEW_TRY(env::write_file_atomically(disk_, options_.directory, std::string(kManifest), write_manifest(live_)));
  }
  // Traces that may have parts elsewhere say so by a version above one, or arrived in a time that another segment
  // covers.
  std::vector<model::TraceKey> split;
  for (const SegmentPtr& segment : segments) {
    bool shared = false;
    for (const SegmentPtr& other : segments) {
      shared |= other != segment && other->info().min_first_hlc <= segment->info().max_first_hlc &&
                other->info().max_first_hlc >= segment->info().min_first_hlc;
    }
    uint32_t first = 0;
    for (const PageEntry& entry : segment->pages()) {
      const auto page = segment->page_of(first);
      first += entry.traces;
      if (!page.ok()) {
        if (page.error().code != Code::kDataLoss) return page.error();
        continue;
      }
      for (uint32_t i = 0; i < entry.traces; ++i) {
        if (!shared && (*page)->view.at(kTraceVersion, i) <= 1) continue;
        const model::TraceKey key = (*page)->view.key(i);
        const uint64_t hash = key_hash(key);
        for (const SegmentPtr& other : segments) {
          if (other == segment || !other->may_contain(hash)) continue;
          split.push_back(key);
          break;
        }
      }
    }
  }
  std::sort(split.begin(), split.end());
  split.erase(std::unique(split.begin(), split.end()), split.end());
  auto view = std::make_shared<const SegmentView>(segments, make_splits(segments, split));
  MutexLock lock(mutex_);
  next_number_ = highest + 1;
  segments_ = std::move(segments);
  view_ = std::move(view);
  return {};
}

uint64_t EmbeddedStore::take_number() {
  MutexLock lock(mutex_);
  return next_number_++;
}

Status EmbeddedStore::change_manifest(const std::vector<uint64_t>& add, const std::vector<uint64_t>& remove) {
  MutexLock lock(manifest_mutex_);
  std::vector<uint64_t> live = live_;
  std::erase_if(live, [&](uint64_t number) { return std::find(remove.begin(), remove.end(), number) != remove.end(); });
  live.insert(live.end(), add.begin(), add.end());
  CLEW_TRY(env::write_file_atomically(disk_, options_.directory, std::string(kManifest), write_manifest(live)));
  live_ = std::move(live);
  return {};
}

Result<std::unique_ptr<Prepared>> EmbeddedStore::prepare(std::span<const SealTrace> traces) {
  auto prepared = std::make_unique<PreparedSegments>(unpublished_);
  std::vector<uint64_t> numbers;
  const auto give_up = [&](Status status) -> Status {
    for (const auto& segment : prepared->segments) segment->remove_when_unused();
    prepared->segments.clear();
    return status;
  };
  for (size_t at = 0; at < traces.size();) {
    const uint64_t number = take_number();
    auto file = SegmentFile::create(disk_, options_.directory, name_of(number), options_.hash_seed);
    if (!file.ok()) return give_up(file.status());
    SegmentWriter& writer = (*file)->writer();
    for (uint64_t spans = 0;
         at < traces.size() && (spans == 0 || spans + traces[at].spans.size() <= options_.max_segment_spans); ++at) {
      spans += traces[at].spans.size();
      if (Status status = writer.add(traces[at]); !status.ok()) return give_up(std::move(status));
    }
    if (Status status = (*file)->finish(); !status.ok()) return give_up(std::move(status));
    auto segment = Segment::open(environment_, path_of(number), number);
    if (!segment.ok()) {
      (void)disk_.remove(path_of(number)).ok();
      return give_up(segment.status());
    }
    prepared->segments.push_back(*segment);
    numbers.push_back(number);
  }
  if (Status status = change_manifest(numbers, {}); !status.ok()) return give_up(std::move(status));
  // Which traces have a part already: first parts only where a replay may have brought them twice.
  const Snapshot now = snapshot();
  for (const SealTrace& trace : traces) {
    const bool later = trace.verdicts.empty() || trace.verdicts.front().version > 1;
    const uint64_t arrival = trace.summary.first_arrival_hlc;
    const uint64_t hash = key_hash(trace.key);
    for (const auto& segment : now.segments) {
      const SegmentInfo& info = segment->info();
      if (!later && (arrival < info.min_first_hlc || arrival > info.max_first_hlc)) continue;
      if (!segment->may_contain(hash)) continue;
      prepared->split.push_back(trace.key);
      break;
    }
  }
  std::vector<SegmentPtr> all = now.segments;
  all.insert(all.end(), prepared->segments.begin(), prepared->segments.end());
  prepared->known = make_splits(all, prepared->split);
  prepared->generation = now.generation;
  return std::unique_ptr<Prepared>(std::move(prepared));
}

void EmbeddedStore::publish(std::unique_ptr<Prepared> batch) {
  auto& prepared = static_cast<PreparedSegments&>(*batch);
  {
    MutexLock lock(mutex_);
    if (generation_ == prepared.generation) {
      std::vector<SplitTrace> known = std::move(prepared.known);
      for (const SplitTrace& trace : view_->split()) {
        if (!std::binary_search(prepared.split.begin(), prepared.split.end(), trace.key)) known.push_back(trace);
      }
      segments_.insert(segments_.end(), prepared.segments.begin(), prepared.segments.end());
      view_ = std::make_shared<const SegmentView>(segments_, std::move(known));
      ++generation_;
      return;
    }
  }
  // Segments expired, or another batch was published, between prepare and now: look again.
  replace({}, prepared.segments, prepared.split);
}

EmbeddedStore::Snapshot EmbeddedStore::snapshot() const {
  MutexLock lock(mutex_);
  return {segments_, view_, generation_};
}

void EmbeddedStore::replace(const std::vector<SegmentPtr>& remove, const std::vector<SegmentPtr>& add,
                            const std::vector<model::TraceKey>& split) {
  const auto gone = [&](const Segment* segment) {
    return std::any_of(remove.begin(), remove.end(), [&](const SegmentPtr& r) { return r.get() == segment; });
  };
  for (;;) {
    Snapshot now = snapshot();
    std::erase_if(now.segments, [&](const SegmentPtr& segment) { return gone(segment.get()); });
    now.segments.insert(now.segments.end(), add.begin(), add.end());
    std::vector<SplitTrace> known;
    std::vector<model::TraceKey> again = split;
    for (const SplitTrace& trace : now.view->split()) {
      const bool touched = std::any_of(trace.parts.begin(), trace.parts.end(),
                                       [&](const auto& part) { return gone(part.segment.get()); });
      if (touched) {
        again.push_back(trace.key);
      } else if (!std::binary_search(split.begin(), split.end(), trace.key)) {
        known.push_back(trace);
      }
    }
    std::sort(again.begin(), again.end());
    again.erase(std::unique(again.begin(), again.end()), again.end());
    for (SplitTrace& made : make_splits(now.segments, again)) known.push_back(std::move(made));
    auto view = std::make_shared<const SegmentView>(now.segments, std::move(known));
    MutexLock lock(mutex_);
    if (generation_ != now.generation) continue;
    segments_ = std::move(now.segments);
    view_ = std::move(view);
    ++generation_;
    return;
  }
}

std::shared_ptr<const View> EmbeddedStore::view() const {
  MutexLock lock(mutex_);
  return view_;
}

Result<bool> EmbeddedStore::maintain(int64_t wall_now_ns) {
  CLEW_ASSIGN(const bool expired, expire(wall_now_ns));
  CLEW_ASSIGN(const bool merging, step_merge());
  return expired || merging;
}

Result<bool> EmbeddedStore::expire(int64_t wall_now_ns) {
  std::vector<SegmentPtr> segments;
  {
    MutexLock lock(mutex_);
    segments = segments_;
  }
  if (segments.empty()) return false;
  std::sort(segments.begin(), segments.end(),
            [](const auto& a, const auto& b) { return a->info().max_last_hlc < b->info().max_last_hlc; });
  uint64_t bytes = 0;
  for (const auto& segment : segments) bytes += segment->file_bytes();
  uint64_t over = 0;
  const Retention& keep = options_.retention;
  if (keep.max_bytes != 0 && bytes > keep.max_bytes) over = bytes - keep.max_bytes;
  if (keep.max_disk_share > 0 && keep.max_disk_share < 1) {
    CLEW_ASSIGN(const auto space, disk_.space(options_.directory));
    const auto allowed = static_cast<uint64_t>(static_cast<double>(space.total_bytes) * keep.max_disk_share);
    const uint64_t used = space.total_bytes - std::min(space.total_bytes, space.free_bytes);
    if (used > allowed) over = std::max(over, used - allowed);
  }
  std::vector<SegmentPtr> drop;
  std::vector<uint64_t> numbers;
  uint64_t freed = 0;
  for (const auto& segment : segments) {
    const bool old = keep.max_age_ns > 0 && arrival_ns(segment->info().max_last_hlc) < wall_now_ns - keep.max_age_ns;
    if (!old && freed >= over) break;  // oldest first: the rest is younger
    drop.push_back(segment);
    numbers.push_back(segment->number());
    freed += segment->file_bytes();
  }
  if (drop.empty()) return false;
  {
    // A merge of what is dropped must not bring it back.
    MutexLock lock(merge_mutex_);
    if (merge_ != nullptr) {
      for (const auto& input : merge_->inputs()) {
        if (std::find(drop.begin(), drop.end(), input) == drop.end()) continue;
        merge_.reset();
        break;
      }
    }
    CLEW_TRY(change_manifest({}, numbers));
    replace(drop, {}, {});
  }
  for (const auto& segment : drop) segment->remove_when_unused();
  MutexLock lock(mutex_);
  expired_ += drop.size();
  return false;
}

Result<bool> EmbeddedStore::start_merge() {
  std::vector<SegmentPtr> segments = snapshot().segments;
  for (;;) {
    std::erase_if(segments, [&](const SegmentPtr& segment) CLEW_REQUIRES(merge_mutex_) {
      return segment->read_failed() || unmergeable_.contains(segment->number());
    });
    auto inputs = choose_merge(segments, options_.max_segment_spans);
    if (inputs.empty()) return false;
    // One that cannot be read (it was reported) stays as it is and out of the way of the others.
    bool readable = true;
    for (const SegmentPtr& input : inputs) {
      const auto names = input->names();
      if (names.ok()) continue;
      if (names.error().code != Code::kDataLoss) return names.error();
      unmergeable_.insert(input->number());
      readable = false;
    }
    if (!readable) continue;
    const uint64_t number = take_number();
    CLEW_ASSIGN(merge_, Merge::start(environment_, std::move(inputs), options_.directory, name_of(number), number));
    return true;
  }
}

Result<bool> EmbeddedStore::step_merge() {
  MutexLock lock(merge_mutex_);
  if (merge_ == nullptr) return start_merge();
  if (merge_->finished() && unpublished_->load() != 0) return false;
  const auto done = merge_->step(options_.step_spans);
  if (!done.ok()) {
    merge_.reset();
    return done.error();
  }
  // A merge leaves out what could not be read. Where it is the device that failed, not the bytes, they may come back:
  // such a segment stays as it is, and the others are merged without it.
  const auto& inputs = merge_->inputs();
  if (std::any_of(inputs.begin(), inputs.end(), [](const SegmentPtr& input) { return input->read_failed(); })) {
    (void)disk_.remove(path_of(merge_->number())).ok();  // it is there only when the merge was finished
    merge_.reset();
    return true;
  }
  if (!*done) return true;
  if (unpublished_->load() != 0) return false;  // the next step swaps
  const std::unique_ptr<Merge> merge = std::move(merge_);
  auto segment = Segment::open(environment_, path_of(merge->number()), merge->number());
  if (!segment.ok()) {
    (void)disk_.remove(path_of(merge->number())).ok();
    return segment.error();
  }
  std::vector<uint64_t> old;
  for (const auto& input : merge->inputs()) old.push_back(input->number());
  // When it fails, either manifest may be on the disk: the files of both stay, and the next start drops what is not
  // named.
  CLEW_TRY(change_manifest({merge->number()}, old));
  replace(merge->inputs(), {*segment}, {});
  for (const auto& input : merge->inputs()) input->remove_when_unused();
  MutexLock inner(mutex_);
  ++compactions_;
  return true;
}

StoreStats EmbeddedStore::stats() const {
  StoreStats stats;
  stats.damaged_blocks = environment_.damage->count();
  MutexLock lock(mutex_);
  stats.segments = segments_.size();
  stats.compactions = compactions_;
  stats.expired_segments = expired_;
  uint64_t oldest = UINT64_MAX;
  for (const auto& segment : segments_) {
    stats.traces += segment->info().traces;
    stats.spans += segment->info().spans;
    stats.bytes += segment->file_bytes();
    oldest = std::min(oldest, segment->info().min_first_hlc);
  }
  if (!segments_.empty()) stats.oldest_arrival_ns = arrival_ns(oldest);
  return stats;
}

}  // namespace clew::store
