#include "consensus/snapshot_files.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "base/varint.h"
#include "consensus/planted.h"

namespace clew::consensus {
namespace {

// file   = magic:u64  state  meta  footer
// footer = meta length:u32  checksum of meta, meta length and magic:u32  magic:u64
constexpr uint64_t kMagic = 0x32504e5357454c43;  // "CLEWSNP2"
constexpr uint64_t kStateOffset = sizeof kMagic;
constexpr uint64_t kFooterBytes = 4 + 4 + sizeof kMagic;
constexpr uint64_t kMaxMetaBytes = 64 << 10;
constexpr size_t kBufferBytes = 256 << 10;
constexpr std::string_view kSuffix = ".snap";
constexpr std::string_view kTemporary = ".part";
constexpr size_t kDigits = 20;

Error broken(const std::string& path, const std::string& what) {
  return {Code::kDataLoss, "snapshot " + path + ": " + what};
}

std::optional<Position> position_of(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return {};
  Position position = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, position);
  if (error != std::errc() || end != name.data() + kDigits) return {};
  return position;
}

uint32_t footer_checksum(std::string_view meta) {
  std::string covered(meta);
  append_fixed(covered, static_cast<uint32_t>(meta.size()));
  append_fixed(covered, kMagic);
  return checksum32(covered);
}

// A read that fails may succeed when it is tried again (unlike a sync, whose second answer tells nothing), and the only
// copy of the state may hang on it.
constexpr int kReadTries = 8;

Status read_exactly(const env::File& file, const std::string& path, uint64_t offset, char* out, size_t size) {
  Result<size_t> got = file.read_at(offset, out, size);
  for (int tries = 1; !got.ok() && tries < kReadTries; ++tries) got = file.read_at(offset, out, size);
  if (!got.ok()) return got.error();
  if (*got != size) return broken(path, "ends early");
  return {};
}

}  // namespace

std::string snapshot_file_name(Position position) {
  std::string digits = std::to_string(position);
  return std::string(kDigits - digits.size(), '0') + digits + std::string(kSuffix);
}

SnapshotWriter::SnapshotWriter(env::Disk& disk, std::string directory, std::string path,
                               std::unique_ptr<env::File> file)
    : disk_(disk), directory_(std::move(directory)), path_(std::move(path)), file_(std::move(file)) {
  append_fixed(buffer_, kMagic);
}

Result<std::unique_ptr<SnapshotWriter>> SnapshotWriter::create(env::Disk& disk, const std::string& directory,
                                                               const std::string& stem) {
  std::string path = directory + "/" + stem + std::string(kTemporary);
  CLEW_ASSIGN(auto file, disk.open(path, {.create = true, .exclusive = true, .writable = true}));
  return std::unique_ptr<SnapshotWriter>(new SnapshotWriter(disk, directory, std::move(path), std::move(file)));
}

SnapshotWriter::~SnapshotWriter() {
  if (sealed_) return;
  file_.reset();
  const Status ignored = disk_.remove(path_);  // what stays behind is found at the next start
  (void)ignored;
}

Status SnapshotWriter::write(std::string_view bytes) {
  hasher_.add(bytes);
  bytes_ += bytes.size();
  buffer_.append(bytes);
  return buffer_.size() >= kBufferBytes ? flush() : Status();
}

Status SnapshotWriter::flush() {
  const uint64_t end = kStateOffset + bytes_;  // of the state; the buffer holds what comes last in front of it
  CLEW_TRY(file_->write_at(end - buffer_.size(), buffer_));
  buffer_.clear();
  return {};
}

Result<SnapshotMeta> SnapshotWriter::seal(SnapshotMeta meta) {
  meta.bytes = bytes_;
  meta.digest = hasher_.digest();
  CLEW_TRY(finish(meta));
  return meta;
}

Status SnapshotWriter::seal_as(const SnapshotMeta& meta) {
  if (planted(Bug::kSnapshotChunkUnchecked))
    return finish([&] {
      SnapshotMeta mixed = meta;
      mixed.bytes = bytes_;
      return mixed;
    }());
  if (meta.bytes != bytes_ || meta.digest != hasher_.digest()) {
    return broken(path_, "what was received is not what was announced");
  }
  return finish(meta);
}

Status SnapshotWriter::finish(const SnapshotMeta& meta) {
  CLEW_TRY(flush());
  std::string end;
  meta.append_to(end);
  const uint32_t checksum = footer_checksum(end);
  const auto size = static_cast<uint32_t>(end.size());
  append_fixed(end, size);
  append_fixed(end, checksum);
  append_fixed(end, kMagic);
  CLEW_TRY(file_->write_at(kStateOffset + bytes_, end));
  if (!planted(Bug::kSnapshotBeforeDurable)) CLEW_TRY(file_->sync());
  CLEW_TRY(disk_.rename(path_, directory_ + "/" + snapshot_file_name(meta.position)));
  sealed_ = true;
  return disk_.sync_dir(directory_);
}

SnapshotReader::SnapshotReader(std::string path, std::unique_ptr<env::File> file, SnapshotMeta meta)
    : path_(std::move(path)), file_(std::move(file)), meta_(std::move(meta)) {}

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open(env::Disk& disk, const std::string& directory,
                                                             Position position) {
  std::string path = directory + "/" + snapshot_file_name(position);
  CLEW_ASSIGN(auto file, disk.open(path, {}));
  CLEW_ASSIGN(const uint64_t size, file->size());
  if (size < kStateOffset + kFooterBytes) return broken(path, "too short");
  std::string footer(kFooterBytes, '\0');
  CLEW_TRY(read_exactly(*file, path, size - kFooterBytes, footer.data(), footer.size()));
  ByteReader in(footer);
  const auto meta_bytes = in.fixed<uint32_t>();
  const auto checksum = in.fixed<uint32_t>();
  if (in.fixed<uint64_t>() != kMagic || meta_bytes > kMaxMetaBytes || meta_bytes > size - kStateOffset - kFooterBytes) {
    return broken(path, "no footer");
  }
  std::string encoded(meta_bytes, '\0');
  CLEW_TRY(read_exactly(*file, path, size - kFooterBytes - meta_bytes, encoded.data(), encoded.size()));
  if (footer_checksum(encoded) != checksum) return broken(path, "the footer does not match its checksum");
  std::string_view rest = encoded;
  auto meta = SnapshotMeta::parse(rest);
  if (!meta.ok() || !rest.empty() || meta->position != position ||
      meta->bytes != size - kStateOffset - kFooterBytes - meta_bytes) {
    return broken(path, "the footer describes another file");
  }
  return std::unique_ptr<SnapshotReader>(new SnapshotReader(std::move(path), std::move(file), std::move(meta).value()));
}

Result<std::string_view> SnapshotReader::read() {
  buffer_.resize(std::min<uint64_t>(kBufferBytes, meta_.bytes - offset_));
  CLEW_TRY(read_exactly(*file_, path_, kStateOffset + offset_, buffer_.data(), buffer_.size()));
  offset_ += buffer_.size();
  return std::string_view(buffer_);
}

Result<std::string> SnapshotReader::read_at(uint64_t offset, uint64_t size) const {
  if (offset > meta_.bytes) return Error{Code::kOutOfRange, "snapshot " + path_ + ": offset beyond its end"};
  std::string bytes(std::min(size, meta_.bytes - offset), '\0');
  CLEW_TRY(read_exactly(*file_, path_, kStateOffset + offset, bytes.data(), bytes.size()));
  return bytes;
}

Status SnapshotReader::verify() {
  offset_ = 0;
  Sha256 hasher;
  for (;;) {
    CLEW_ASSIGN(const std::string_view bytes, read());
    if (bytes.empty()) break;
    hasher.add(bytes);
  }
  offset_ = 0;
  if (hasher.digest() != meta_.digest) return broken(path_, "the state does not match its digest");
  return {};
}

namespace {

std::string file_in(const std::string& directory, const std::string& name) { return directory + "/" + name; }

}  // namespace

Result<std::vector<Position>> find_snapshots(env::Disk& disk, const std::string& directory) {
  CLEW_ASSIGN(const auto names, disk.list(directory));
  std::vector<Position> positions;
  for (const std::string& name : names) {
    if (name.ends_with(kTemporary)) CLEW_TRY(disk.remove(file_in(directory, name)));
    if (const auto position = position_of(name)) positions.push_back(*position);
  }
  return positions;
}

Status keep_snapshots(env::Disk& disk, const std::string& directory, Position first, Position last,
                      const std::vector<Position>& others) {
  CLEW_ASSIGN(const auto names, disk.list(directory));
  bool removed = false;
  for (const std::string& name : names) {
    const auto position = position_of(name);
    if (!position || (*position >= first && *position <= last)) continue;
    if (std::find(others.begin(), others.end(), *position) != others.end()) continue;
    CLEW_TRY(disk.remove(file_in(directory, name)));
    removed = true;
  }
  return removed ? disk.sync_dir(directory) : Status();
}

}  // namespace clew::consensus
