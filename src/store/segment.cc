#include "store/segment.h"

#include <algorithm>

#include "store/compress.h"
#include "store/verdict_codec.h"

namespace clew::store {
namespace {

std::atomic<uint64_t> next_cache_id{1};

template <typename T>
uint64_t weight_of(const T& bytes) {
  return bytes.size() + 64;
}

template <typename Entry, typename Read>
bool read_directory(std::string_view bytes, std::vector<Entry>& out, Read&& read) {
  ByteReader reader(bytes);
  while (!reader.at_end()) {
    Entry entry;
    if (!read(reader, entry)) return false;
    out.push_back(entry);
  }
  return reader.ok();
}

}  // namespace

void DamageLog::add(const std::string& file, uint64_t offset, const std::string& what) {
  {
    MutexLock lock(mutex_);
    if (!seen_.emplace(file, offset).second) return;
  }
  count_.fetch_add(1, std::memory_order_relaxed);
  if (report_) {
    report_(file + " at byte " + std::to_string(offset) + ": " + what +
            "; it is skipped, the rest of the file is served. Check the disk");
  }
}

Segment::Segment(const SegmentEnvironment& environment, std::string path, uint64_t number)
    : environment_(environment), path_(std::move(path)), number_(number), cache_id_(next_cache_id.fetch_add(1)) {}

Segment::~Segment() {
  if (!doomed_.load(std::memory_order_acquire)) return;
  file_.reset();
  // A file that stays is an orphan: the next start removes it.
  (void)environment_.disk->remove(path_).ok();
}

Result<std::shared_ptr<const Segment>> Segment::open(const SegmentEnvironment& environment, const std::string& path,
                                                     uint64_t number) {
  std::shared_ptr<Segment> segment(new Segment(environment, path, number));
  CLEW_TRY(segment->load());
  return std::shared_ptr<const Segment>(std::move(segment));
}

Status Segment::damaged(uint64_t offset, const std::string& what) const {
  environment_.damage->add(path_, offset, what);
  return {Code::kDataLoss, path_ + " at byte " + std::to_string(offset) + ": " + what};
}

Status Segment::unread(uint64_t offset, const Error& error) const {
  return error.code == Code::kDataLoss ? damaged(offset, error.message) : Status(error);
}

Result<std::string> Segment::read_bytes(uint64_t offset, uint64_t size) const {
  if (size > file_bytes_ || offset > file_bytes_ - size) {
    return Error{Code::kDataLoss, path_ + ": a piece lies outside of the file"};
  }
  std::string bytes;
  bytes.reserve(size + kPackedSlack);
  bytes.resize(size);
  const auto got = file_->read_at(offset, bytes.data(), size);
  if (!got.ok()) {
    read_failed_.store(true, std::memory_order_relaxed);
    return got.error();
  }
  if (*got != size) return Error{Code::kDataLoss, path_ + ": the file ends early"};
  return bytes;
}

Result<std::string> Segment::read_section(const SectionEntry& entry) const {
  CLEW_ASSIGN(auto bytes, read_bytes(entry.offset, entry.size));
  if (checksum32(bytes) != entry.checksum) {
    return Error{Code::kDataLoss, path_ + ": section " + std::to_string(entry.id) + " is damaged"};
  }
  return bytes;
}

const Segment::SectionEntry* Segment::section(Section id) const {
  for (const SectionEntry& entry : sections_) {
    if (entry.id == static_cast<uint16_t>(id)) return &entry;
  }
  return nullptr;
}

Status Segment::load() {
  const auto broken = [this](const std::string& what) { return Status(Code::kDataLoss, path_ + ": " + what); };
  CLEW_ASSIGN(file_, environment_.disk->open(path_, {}));
  CLEW_ASSIGN(file_bytes_, file_->size());
  if (file_bytes_ < kHeaderBytes + kFooterBytes) return broken("too short for a segment");
  CLEW_ASSIGN(const auto head, read_bytes(0, kHeaderBytes));
  const std::string_view magic(kSegmentMagic, sizeof(kSegmentMagic));
  if (std::string_view(head).substr(0, 8) != magic) return broken("not a segment");
  ByteReader version(std::string_view(head).substr(8));
  if (const auto v = version.fixed<uint32_t>(); v != kSegmentVersion) {
    return broken("format version " + std::to_string(v) + ", this program reads " + std::to_string(kSegmentVersion));
  }
  CLEW_ASSIGN(const auto foot, read_bytes(file_bytes_ - kFooterBytes, kFooterBytes));
  ByteReader footer(foot);
  const auto table_offset = footer.fixed<uint64_t>();
  const auto count = footer.fixed<uint32_t>();
  const auto table_checksum = footer.fixed<uint32_t>();
  if (footer.bytes(8) != magic || count > 1024) return broken("the footer is damaged");
  CLEW_ASSIGN(const auto table, read_bytes(table_offset, count * kSectionEntryBytes));
  if (checksum32(table) != table_checksum) return broken("the section table is damaged");
  ByteReader entries(table);
  for (uint32_t i = 0; i < count; ++i) {
    SectionEntry entry;
    entry.id = entries.fixed<uint16_t>();
    entry.flags = entries.fixed<uint16_t>();
    entry.offset = entries.fixed<uint64_t>();
    entry.size = entries.fixed<uint64_t>();
    entry.checksum = entries.fixed<uint32_t>();
    const bool known =
        entry.id >= static_cast<uint16_t>(Section::kInfo) && entry.id <= static_cast<uint16_t>(Section::kKeyFilter);
    if (!known && (entry.flags & kSectionSkippable) == 0) {
      return broken("section " + std::to_string(entry.id) + " is needed and unknown; use a newer version");
    }
    sections_.push_back(entry);
  }
  const auto load_section = [this](Section id) -> Result<std::string> {
    const SectionEntry* entry = section(id);
    if (entry == nullptr) {
      return Error{Code::kDataLoss, path_ + ": section " + std::to_string(static_cast<int>(id)) + " is missing"};
    }
    return read_section(*entry);
  };
  CLEW_ASSIGN(const auto info, load_section(Section::kInfo));
  ByteReader info_reader(info);
  if (!read_info(info_reader, info_)) return broken("the info section cannot be read");
  CLEW_ASSIGN(const auto blocks, load_section(Section::kBlocks));
  CLEW_ASSIGN(const auto pages, load_section(Section::kPages));
  CLEW_ASSIGN(const auto order, load_section(Section::kOrder));
  CLEW_ASSIGN(const auto tenants, load_section(Section::kTenants));
  CLEW_ASSIGN(const auto filter, load_section(Section::kKeyFilter));
  if (!read_directory(blocks, blocks_, read_block_entry) || !read_directory(pages, pages_, read_page_entry) ||
      !read_directory(order, order_, read_order_entry) || !read_directory(tenants, tenants_, read_tenant_entry) ||
      !filter_.load(filter)) {
    return broken("a directory cannot be read");
  }
  uint64_t spans = 0, traces = 0;
  for (const BlockEntry& block : blocks_) {
    if (block.first_span != spans || block.spans == 0) return broken("the directory of blocks contradicts itself");
    spans += block.spans;
  }
  for (const PageEntry& page : pages_) {
    page_first_trace_.push_back(static_cast<uint32_t>(traces));
    if (page.traces == 0 || page.traces > kPageTraces) return broken("the directory of pages contradicts itself");
    traces += page.traces;
  }
  if (spans != info_.spans || traces != info_.traces) return broken("the directories contradict the info section");
  return {};
}

Result<std::shared_ptr<const std::string>> Segment::read_piece(const Piece& piece, bool compressed, bool cached) const {
  const PieceCache::Key key{cache_id_, piece.offset};
  if (cached) {
    if (auto hit = environment_.cache->get(key)) return std::static_pointer_cast<const std::string>(hit);
  }
  auto read = read_bytes(piece.offset, piece.size);
  if (!read.ok()) return unread(piece.offset, read.error());
  if (checksum32(*read) != piece.checksum) return damaged(piece.offset, "a piece fails its checksum");
  auto bytes = std::make_shared<std::string>(std::move(*read));
  if (compressed) {
    auto plain = std::make_shared<std::string>();
    if (!decompress(*bytes, kMaxPieceBytes, *plain)) return damaged(piece.offset, "a piece cannot be decompressed");
    bytes = std::move(plain);
  }
  std::shared_ptr<const std::string> result = std::move(bytes);
  if (cached) environment_.cache->put(key, result, weight_of(*result));
  return result;
}

Result<std::shared_ptr<const SegmentNames>> Segment::names() const {
  const SectionEntry* names = section(Section::kNames);
  const SectionEntry* schema = section(Section::kSchema);
  const SectionEntry* postings = section(Section::kPostings);
  if (names == nullptr || schema == nullptr || postings == nullptr) return damaged(0, "no names");
  const PieceCache::Key key{cache_id_, names->offset};
  if (auto hit = environment_.cache->get(key)) return std::static_pointer_cast<const SegmentNames>(hit);
  std::string plain[3];
  const SectionEntry* entries[3] = {names, schema, postings};
  for (int i = 0; i < 3; ++i) {
    auto bytes = read_section(*entries[i]);
    if (!bytes.ok()) return unread(entries[i]->offset, bytes.error());
    if (!decompress(*bytes, kMaxPieceBytes * 4, plain[i])) {
      return damaged(entries[i]->offset, "a section cannot be decompressed");
    }
  }
  auto result = SegmentNames::read(environment_.hash_seed, plain[0], plain[1], std::move(plain[2]),
                                   static_cast<uint32_t>(blocks_.size()));
  if (!result.ok()) return damaged(names->offset, result.error().message);
  environment_.cache->put(key, *result, (*result)->memory_bytes());
  return *result;
}

uint32_t Segment::block_of_span(uint32_t span) const {
  const auto found = std::upper_bound(blocks_.begin(), blocks_.end(), span,
                                      [](uint32_t s, const BlockEntry& entry) { return s < entry.first_span; });
  return found == blocks_.begin() ? 0 : static_cast<uint32_t>(found - blocks_.begin()) - 1;
}

Result<std::shared_ptr<const Segment::Block>> Segment::block(uint32_t number) const {
  const BlockEntry& entry = blocks_[number];
  const PieceCache::Key key{cache_id_, entry.columns.offset};
  if (auto hit = environment_.cache->get(key)) return std::static_pointer_cast<const Block>(hit);
  CLEW_ASSIGN(auto bytes, read_piece(entry.columns, false, false));
  auto block = std::make_shared<Block>();
  block->bytes = std::move(bytes);
  if (!block->view.parse(*block->bytes, entry.spans)) return damaged(entry.columns.offset, "a block cannot be read");
  std::shared_ptr<const Block> result = std::move(block);
  environment_.cache->put(key, result, result->bytes->size() + 1024);
  return result;
}

Result<std::shared_ptr<const std::string>> Segment::tails(uint32_t number) const {
  return read_piece(blocks_[number].tails, true, true);
}

Result<std::shared_ptr<const std::string>> Segment::heap(uint32_t number) const {
  return read_piece(blocks_[number].heap, true, true);
}

Result<std::shared_ptr<const std::string>> Segment::order_chunk(const OrderEntry& entry) const {
  return read_piece(entry.chunk, false, true);
}

Result<std::shared_ptr<const Segment::Page>> Segment::page_of(uint32_t trace) const {
  const auto found = std::upper_bound(page_first_trace_.begin(), page_first_trace_.end(), trace);
  const PageEntry& entry = pages_[static_cast<size_t>(found - page_first_trace_.begin()) - 1];
  const PieceCache::Key key{cache_id_, entry.table.offset};
  if (auto hit = environment_.cache->get(key)) return std::static_pointer_cast<const Page>(hit);
  CLEW_ASSIGN(auto bytes, read_piece(entry.table, false, false));
  auto page = std::make_shared<Page>();
  page->bytes = std::move(bytes);
  page->entry = &entry;
  if (!page->view.parse(*page->bytes, entry.traces)) {
    return damaged(entry.table.offset, "a page of the trace table cannot be read");
  }
  std::shared_ptr<const Page> result = std::move(page);
  environment_.cache->put(key, result, result->bytes->size() + 1024);
  return result;
}

Result<std::optional<uint32_t>> Segment::find(const model::TraceKey& key) const {
  auto page = std::upper_bound(pages_.begin(), pages_.end(), key,
                               [](const model::TraceKey& k, const PageEntry& entry) { return k < entry.first; });
  if (page == pages_.begin()) return std::optional<uint32_t>();
  --page;
  const uint32_t first = page_first_trace_[static_cast<size_t>(page - pages_.begin())];
  CLEW_ASSIGN(const auto loaded, page_of(first));
  const uint32_t index = loaded->view.find(key);
  if (index == loaded->view.size()) return std::optional<uint32_t>();
  return std::optional<uint32_t>(first + index);
}

Status Segment::read_verdicts_of(const Page& page, uint32_t index, std::span<const model::SpanId> ids,
                                 std::vector<model::Verdict>& out) const {
  CLEW_ASSIGN(const auto bytes, read_piece(page.entry->verdicts, true, true));
  ByteReader reader(*bytes);
  const int64_t base_ns = reader.zigzag_varint();
  for (uint32_t i = 0; i < index; ++i) {
    // The ids of other traces are not at hand, so indexes are stepped over, not looked up.
    if (!skip_verdicts(reader)) return damaged(page.entry->verdicts.offset, "a verdict cannot be read");
  }
  if (!read_verdicts(reader, ids, base_ns, out)) {
    return damaged(page.entry->verdicts.offset, "a verdict cannot be read");
  }
  return {};
}

model::TraceSummary Segment::summary(const SegmentNames& names, const Page& page, uint32_t index,
                                     std::span<const model::SpanId> ids) const {
  const TracePageView& view = page.view;
  model::TraceSummary s;
  const uint64_t root = view.at(kTraceRoot, index);
  if (root == 1) {
    s.root = view.root_aside(index);
  } else if (root >= 2 && root - 2 < ids.size()) {
    s.root = ids[root - 2];
  }
  s.root_service = names.string(static_cast<uint32_t>(view.at(kTraceRootService, index)));
  s.root_name = names.string(static_cast<uint32_t>(view.at(kTraceRootName, index)));
  s.start_ns = view.start_ns(index);
  s.end_ns = static_cast<int64_t>(static_cast<uint64_t>(s.start_ns) + view.at(kTraceDuration, index));
  s.span_count = static_cast<uint32_t>(view.at(kTraceSpanCount, index) + view.at(kTraceSpans, index));
  s.error_count = static_cast<uint32_t>(view.at(kTraceErrors, index));
  s.orphan_count = static_cast<uint32_t>(view.at(kTraceOrphans, index));
  s.service_count = static_cast<uint32_t>(view.at(kTraceServices, index));
  s.state = static_cast<model::TraceState>(view.at(kTraceState, index) & 3);
  s.verdict_version = view.at(kTraceVersion, index);
  s.digest = view.digest(index);
  const auto stamp = [&](TraceColumn column) {
    const uint64_t number = view.at(column, index);
    if (number == 0) return view.stamp_aside(column, index);
    return number - 1 < names.stamps().size() ? names.stamps()[number - 1].hlc : 0;
  };
  s.first_arrival_hlc = stamp(kTraceFirstStamp);
  s.last_arrival_hlc = stamp(kTraceLastStamp);
  return s;
}

Status Segment::add_filtered_blocks(uint64_t hash, BlockSet& out) const {
  const SectionEntry* entry = section(Section::kValueFilter);
  const uint64_t lines = info_.value_filter_lines;
  if (lines == 0) return {};  // no block holds a value without a code
  const uint64_t row_bytes = blocks_.size() * kFilterLineBytes + 4;
  if (entry == nullptr || entry->size != lines * row_bytes) {
    out.fill();
    return {};
  }
  const Piece row{entry->offset + filter_line(hash, lines) * row_bytes, static_cast<uint32_t>(row_bytes), 0};
  std::shared_ptr<const std::string> bytes;
  if (auto hit = environment_.cache->get({cache_id_, row.offset})) {
    bytes = std::static_pointer_cast<const std::string>(hit);
  } else {
    auto read = read_bytes(row.offset, row.size);
    if (!read.ok()) return unread(row.offset, read.error());
    uint32_t checksum;
    std::memcpy(&checksum, read->data() + row_bytes - 4, 4);
    if (checksum32(std::string_view(*read).substr(0, row_bytes - 4)) != checksum) {
      (void)damaged(row.offset, "a line of the value filter fails its checksum").ok();
      out.fill();  // slower, and still right
      return {};
    }
    bytes = std::make_shared<const std::string>(std::move(*read));
    environment_.cache->put({cache_id_, row.offset}, bytes, weight_of(*bytes));
  }
  for (uint32_t b = 0; b < blocks_.size(); ++b) {
    FilterLine line;
    std::memcpy(line.words, bytes->data() + b * kFilterLineBytes, kFilterLineBytes);
    if (line.has(hash)) out.add(b);
  }
  return {};
}

int Segment::tenant_index(model::TenantId tenant) const {
  for (size_t i = 0; i < tenants_.size(); ++i) {
    if (tenants_[i].tenant == tenant) return static_cast<int>(i);
  }
  return -1;
}

Segment::Range Segment::tenant_range(model::TenantId tenant) const {
  const int i = tenant_index(tenant);
  if (i < 0) return {};
  const auto at = static_cast<size_t>(i);
  const bool last = at + 1 == tenants_.size();
  return {tenants_[at].first_trace, last ? static_cast<uint32_t>(info_.traces) : tenants_[at + 1].first_trace,
          tenants_[at].first_block,
          last ? static_cast<uint32_t>(blocks_.size())
               : std::min<uint32_t>(tenants_[at + 1].first_block, static_cast<uint32_t>(blocks_.size()))};
}

}  // namespace clew::store
