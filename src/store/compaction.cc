#include "store/compaction.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace clew::store {
namespace {

constexpr size_t kWriteBytes = 1u << 20;

}  // namespace

SegmentFile::SegmentFile(env::Disk& disk, std::string directory, std::string name)
    : disk_(disk), directory_(std::move(directory)), name_(std::move(name)) {}

Result<std::unique_ptr<SegmentFile>> SegmentFile::create(env::Disk& disk, std::string directory, std::string name,
                                                         uint64_t hash_seed) {
  std::unique_ptr<SegmentFile> file(new SegmentFile(disk, std::move(directory), std::move(name)));
  CLEW_ASSIGN(file->file_,
              disk.open(file->directory_ + "/" + file->name_ + ".tmp", {.create = true, .writable = true}));
  CLEW_TRY(file->file_->truncate(0));
  SegmentFile* raw = file.get();
  file->writer_ = std::make_unique<SegmentWriter>(hash_seed, [raw](std::string_view bytes) -> Status {
    raw->buffer_.append(bytes);
    return raw->buffer_.size() >= kWriteBytes ? raw->flush() : Status();
  });
  return file;
}

SegmentFile::~SegmentFile() {
  if (done_) return;
  file_.reset();
  (void)disk_.remove(directory_ + "/" + name_ + ".tmp").ok();
}

Status SegmentFile::flush() {
  if (buffer_.empty()) return {};
  CLEW_TRY(file_->write_at(written_, buffer_));
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status SegmentFile::finish() {
  CLEW_TRY(writer_->finish());
  CLEW_TRY(flush());
  CLEW_TRY(file_->sync());
  const std::string path = directory_ + "/" + name_;
  CLEW_TRY(disk_.rename(path + ".tmp", path));
  done_ = true;
  if (Status status = disk_.sync_dir(directory_); !status.ok()) {
    (void)disk_.remove(path).ok();
    return status;
  }
  return {};
}

std::vector<std::shared_ptr<const Segment>> choose_merge(const std::vector<std::shared_ptr<const Segment>>& segments,
                                                         uint32_t large) {
  // Classes of sizes within a factor of eight.
  std::vector<std::vector<std::shared_ptr<const Segment>>> classes(12);
  for (const auto& segment : segments) {
    const uint64_t spans = segment->info().spans;
    if (spans >= large / 4) continue;
    classes[static_cast<size_t>(std::bit_width(spans)) / 3].push_back(segment);
  }
  for (auto& members : classes) {
    if (members.size() < kMergeWidth) continue;
    std::sort(members.begin(), members.end(),
              [](const auto& a, const auto& b) { return a->info().max_last_hlc < b->info().max_last_hlc; });
    members.resize(kMergeWidth);
    return members;
  }
  return {};
}

Result<std::unique_ptr<Merge>> Merge::start(const SegmentEnvironment& environment,
                                            std::vector<std::shared_ptr<const Segment>> inputs, std::string directory,
                                            std::string name, uint64_t number) {
  std::unique_ptr<Merge> merge(new Merge());
  for (const auto& input : inputs) {
    CLEW_ASSIGN(auto names, input->names());
    merge->keep_.push_back(std::move(names));
  }
  merge->next_.assign(inputs.size(), 0);
  merge->pages_.resize(inputs.size());
  merge->inputs_ = std::move(inputs);
  merge->number_ = number;
  CLEW_ASSIGN(merge->file_,
              SegmentFile::create(*environment.disk, std::move(directory), std::move(name), environment.hash_seed));
  return merge;
}

Result<bool> Merge::step(uint32_t spans) {
  if (finished_) return true;
  uint32_t left = spans;
  while (left > 0) {
    bool any = false;
    for (size_t i = 0; i < inputs_.size(); ++i) any |= next_[i] < inputs_[i]->info().traces;
    if (!any) {
      CLEW_TRY(file_->finish());
      finished_ = true;
      return true;
    }
    CLEW_TRY(copy_trace(left));
  }
  return false;
}

Status Merge::copy_trace(uint32_t& left) {
  left -= std::min<uint32_t>(left, 1);
  // The smallest key among the inputs' next traces.
  std::optional<model::TraceKey> smallest;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    while (next_[i] < inputs_[i]->info().traces) {
      const Segment& input = *inputs_[i];
      const bool inside = pages_[i] != nullptr && next_[i] >= input.first_trace_of(*pages_[i]) &&
                          next_[i] - input.first_trace_of(*pages_[i]) < pages_[i]->view.size();
      if (!inside) {
        auto page = input.page_of(next_[i]);
        if (!page.ok()) {
          if (page.error().code != Code::kDataLoss) return page.error();
          // Its keys are gone with it: go on after the page.
          const auto& pages = input.pages();
          uint64_t end = 0;
          for (size_t p = 0; p < pages.size() && end <= next_[i]; ++p) end += pages[p].traces;
          next_[i] = static_cast<uint32_t>(end);
          continue;
        }
        pages_[i] = *page;
      }
      const model::TraceKey key = pages_[i]->view.key(next_[i] - input.first_trace_of(*pages_[i]));
      if (!smallest || key < *smallest) smallest = key;
      break;
    }
  }
  if (!smallest) return {};
  std::vector<TraceRows> sources;
  SealTrace trace;
  trace.key = *smallest;
  bool first = true;
  std::vector<model::Verdict> verdicts;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (next_[i] >= inputs_[i]->info().traces || pages_[i] == nullptr) continue;
    if (pages_[i]->view.key(next_[i] - inputs_[i]->first_trace_of(*pages_[i])) != *smallest) continue;
    TraceRows rows;
    Status status = rows.read(*inputs_[i], next_[i]++, keep_[i]);
    if (status.code() == Code::kDataLoss) continue;  // damaged: reported, counted, gone
    if (!status.ok()) return status;                 // a disk that fails now may answer later: the inputs stay
    if (first || rows.summary().verdict_version > trace.summary.verdict_version) trace.summary = rows.summary();
    first = false;
    (void)rows.read_verdicts(verdicts).ok();  // reported
    sources.push_back(std::move(rows));
  }
  if (sources.empty()) return {};
  struct From {
    const TraceRows* rows;
    const TraceRows::Row* row;
  };
  std::vector<From> order;
  for (const TraceRows& rows : sources) {
    for (const TraceRows::Row& row : rows.rows()) order.push_back({&rows, &row});
  }
  std::vector<SealSpan> spans;
  const bool alone = sources.size() == 1;
  if (!alone) {
    std::stable_sort(order.begin(), order.end(),
                     [](const From& a, const From& b) { return a.row->stamp < b.row->stamp; });
    std::unordered_map<uint64_t, uint64_t> seen;
    std::erase_if(order, [&](const From& from) {
      const uint64_t hash = model::row_hash(from.rows->dictionary(), from.rows->bytes(*from.row));
      return !seen.emplace(mix64(from.row->id.value, hash), hash).second;
    });
  }
  std::unordered_map<uint64_t, int32_t> place;
  if (!alone) {
    for (size_t k = 0; k < order.size(); ++k) place.emplace(order[k].row->id.value, static_cast<int32_t>(k));
  }
  for (const From& from : order) {
    SealSpan span;
    span.dictionary = &from.rows->dictionary();
    span.row = from.rows->bytes(*from.row);
    span.stamp = from.row->stamp;
    span.parent = from.row->parent;
    if (!alone && span.parent != -1) {
      model::RowHead head;
      const bool ok = model::parse_row_head(span.row, head);
      const auto found = ok ? place.find(head.parent_id.value) : place.end();
      span.parent = found == place.end() ? -2 : found->second;
    }
    spans.push_back(span);
  }
  std::stable_sort(verdicts.begin(), verdicts.end(),
                   [](const model::Verdict& a, const model::Verdict& b) { return a.version < b.version; });
  verdicts.erase(std::unique(verdicts.begin(), verdicts.end(),
                             [](const model::Verdict& a, const model::Verdict& b) { return a.version == b.version; }),
                 verdicts.end());
  trace.verdicts = std::move(verdicts);
  trace.spans = spans;
  left -= std::min<uint32_t>(left, static_cast<uint32_t>(spans.size()));
  return file_->writer().add(trace);
}

}  // namespace clew::store
