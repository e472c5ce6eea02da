// A store's directory with one segment of arbitrary bytes is opened, read whole and searched. Whatever they are: no
// crash, and a trace that is read has spans of that segment only. Checksums are mended first (where the file's end
// still names its sections), or changed bytes would never get past them.
#include <cstdint>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/hash.h"
#include "store/embedded_store.h"
#include "store/memory_disk.h"
#include "store/segment_rows.h"

namespace {

using namespace clew;
using namespace clew::store;

constexpr const char* kPath = "/seg/seg-0000000001.clew";

void mend_piece(const std::string& file, Piece& piece) {
  if (piece.size > file.size() || piece.offset > file.size() - piece.size) return;
  piece.checksum = checksum32(std::string_view(file).substr(piece.offset, piece.size));
}

// The entries of a directory with the checksums of their pieces. Only what keeps its length is written back.
template <typename Entry, typename Read, typename Append, typename Mend>
void mend_directory(std::string& file, uint64_t offset, uint64_t size, Read&& read, Append&& append, Mend&& mend) {
  ByteReader reader(std::string_view(file).substr(offset, size));
  std::string entries;
  while (!reader.at_end()) {
    Entry entry;
    if (!read(reader, entry)) return;
    mend(entry);
    append(entry, entries);
  }
  if (entries.size() == size) file.replace(offset, size, entries);
}

void mend(std::string& file) {
  if (file.size() < kHeaderBytes + kFooterBytes) return;
  ByteReader footer(std::string_view(file).substr(file.size() - kFooterBytes));
  const auto table = footer.fixed<uint64_t>();
  const auto count = footer.fixed<uint32_t>();
  if (count > 64 || table > file.size() || file.size() - table < count * kSectionEntryBytes) return;
  for (uint32_t i = 0; i < count; ++i) {
    char* const entry = file.data() + table + i * kSectionEntryBytes;
    ByteReader fields({entry, kSectionEntryBytes});
    const auto id = static_cast<Section>(fields.fixed<uint16_t>());
    fields.skip(2);
    const auto offset = fields.fixed<uint64_t>(), size = fields.fixed<uint64_t>();
    if (size > file.size() || offset > file.size() - size) continue;
    if (id == Section::kBlocks) {
      mend_directory<BlockEntry>(file, offset, size, read_block_entry, append_block_entry, [&](BlockEntry& block) {
        mend_piece(file, block.columns), mend_piece(file, block.tails), mend_piece(file, block.heap);
      });
    } else if (id == Section::kPages) {
      mend_directory<PageEntry>(file, offset, size, read_page_entry, append_page_entry, [&](PageEntry& page) {
        mend_piece(file, page.table), mend_piece(file, page.verdicts);
      });
    } else if (id == Section::kOrder) {
      mend_directory<OrderEntry>(file, offset, size, read_order_entry, append_order_entry,
                                 [&](OrderEntry& order) { mend_piece(file, order.chunk); });
    }
    const uint32_t checksum = checksum32(std::string_view(file).substr(offset, size));
    std::memcpy(entry + kSectionEntryBytes - 4, &checksum, 4);
  }
  const uint32_t checksum = checksum32(std::string_view(file).substr(table, count * kSectionEntryBytes));
  std::memcpy(file.data() + file.size() - kFooterBytes + 12, &checksum, 4);
}

Expr attribute(Op op, const char* text) {
  Expr e;
  e.field = Field::kAny;
  e.key = "k1";
  e.op = op;
  e.literal.type = Literal::Type::kString;
  e.literal.text = text;
  return e;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 64 << 10) return 0;
  std::string file(reinterpret_cast<const char*>(data), size);
  mend(file);
  MemoryDisk disk;
  disk.files[kPath] = std::make_shared<std::string>(file);
  std::string manifest = "clew segments 1\n1\n";
  char sum[9];
  std::snprintf(sum, sizeof(sum), "%08x", checksum32(manifest));
  disk.files["/seg/MANIFEST"] = std::make_shared<std::string>(manifest + "checksum " + sum + "\n");
  EmbeddedOptions options;
  options.directory = "/seg";
  options.retention.max_disk_share = 0;
  auto store = EmbeddedStore::open(disk, options, nullptr);
  CHECK(store.ok());
  const auto view = std::static_pointer_cast<const SegmentView>((*store)->view());
  for (const auto& segment : view->segments()) {
    for (uint32_t trace = 0; trace < segment->info().traces && trace < 64; ++trace) {
      TraceRows rows;
      if (!rows.read(*segment, trace).ok()) continue;
      model::TraceData out;
      (void)view->read(rows.key(), out).ok();
      CHECK(out.spans.size() <= segment->info().spans);
    }
    for (const TenantEntry& tenant : segment->tenants()) {
      for (const Expr& where : {Expr{}, attribute(Op::kEq, "order-4711"), attribute(Op::kRegex, "o.*1"),
                                attribute(Op::kNe, "a"), attribute(Op::kExists, "")}) {
        TraceQuery query;
        query.tenant = tenant.tenant;
        query.where = where;
        std::vector<TraceHit> hits;
        (void)view->search(query, hits).ok();
        CHECK(hits.size() <= query.limit);
      }
    }
  }
  return 0;
}
