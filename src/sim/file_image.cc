#include "sim/file_image.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace clew::sim {

Piece::Piece(std::string&& bytes) : size_(bytes.size()) {
  const bool all_zero =
      bytes.empty() || (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
  if (!all_zero) bytes_ = std::move(bytes);
}

Piece Piece::zeros(uint64_t size) {
  Piece piece;
  piece.size_ = size;
  return piece;
}

void Piece::flip(uint64_t offset, uint8_t mask) {
  if (zero()) bytes_.assign(size_, '\0');
  bytes_[offset] = static_cast<char>(bytes_[offset] ^ mask);
}

void PagedBytes::resize(uint64_t size) {
  const uint64_t pages = (size + kPageBytes - 1) / kPageBytes;
  if (size < size_) {
    pages_.resize(pages);
    const uint64_t rest = size % kPageBytes;  // what grows back later is zero
    if (rest != 0 && pages_.back()) std::memset(pages_.back()->bytes + rest, 0, kPageBytes - rest);
  } else if (pages > pages_.size()) {
    pages_.resize(pages);
  }
  size_ = size;
}

void PagedBytes::read(uint64_t offset, char* out, uint64_t size) const {
  CHECK(offset + size <= size_);
  while (size != 0) {
    const uint64_t within = offset % kPageBytes;
    const uint64_t part = std::min(size, kPageBytes - within);
    const auto& page = pages_[offset / kPageBytes];
    if (page) {
      std::memcpy(out, page->bytes + within, part);
    } else {
      std::memset(out, 0, part);
    }
    offset += part;
    out += part;
    size -= part;
  }
}

void PagedBytes::write(uint64_t offset, std::string_view bytes) {
  CHECK(offset + bytes.size() <= size_);
  while (!bytes.empty()) {
    const uint64_t within = offset % kPageBytes;
    const uint64_t part = std::min<uint64_t>(bytes.size(), kPageBytes - within);
    auto& page = pages_[offset / kPageBytes];
    if (!page) page = std::make_unique<Page>();
    std::memcpy(page->bytes + within, bytes.data(), part);
    offset += part;
    bytes.remove_prefix(part);
  }
}

void PagedBytes::clear(uint64_t offset, uint64_t size) {
  CHECK(offset + size <= size_);
  while (size != 0) {
    const uint64_t within = offset % kPageBytes;
    const uint64_t part = std::min(size, kPageBytes - within);
    auto& page = pages_[offset / kPageBytes];
    if (part == kPageBytes) {
      page.reset();
    } else if (page) {
      std::memset(page->bytes + within, 0, part);
    }
    offset += part;
    size -= part;
  }
}

Piece PagedBytes::piece(uint64_t offset, uint64_t size) const {
  size = offset >= size_ ? 0 : std::min(size, size_ - offset);
  if (size == 0) return {};
  const uint64_t last = (offset + size - 1) / kPageBytes;
  for (uint64_t page = offset / kPageBytes; page <= last; ++page) {
    if (pages_[page]) return Piece(substr(offset, size));
  }
  return Piece::zeros(size);
}

std::string PagedBytes::substr(uint64_t offset, uint64_t size) const {
  if (offset >= size_) return {};
  std::string bytes(std::min(size, size_ - offset), '\0');
  read(offset, bytes.data(), bytes.size());
  return bytes;
}

uint64_t PagedBytes::written_end() const {
  size_t pages = pages_.size();
  while (pages > 0 && !pages_[pages - 1]) --pages;
  return std::min(pages * kPageBytes, size_);
}

void FileImage::put(uint64_t offset, const Piece& piece, uint64_t from, uint64_t size) {
  if (size == 0) return;
  if (now_.size() < offset + size) now_.resize(offset + size);
  if (piece.zero()) {
    now_.clear(offset, size);
  } else {
    now_.write(offset, piece.bytes().substr(from, size));
  }
}

void FileImage::apply(const Change& change) {
  switch (change.kind) {
    case Kind::kWrite:
      put(change.offset, change.bytes, 0, change.bytes.size());
      break;
    case Kind::kTruncate:
      now_.resize(change.offset);
      break;
    case Kind::kAllocate:
      if (now_.size() < change.offset) now_.resize(change.offset);
      break;
  }
}

void FileImage::undo(const Change& change) {
  now_.resize(change.old_size);
  put(change.offset, change.old, 0, change.old.size());
}

// Each sector of the write arrived or did not.
void FileImage::apply_torn(const Change& change, Generator& random) {
  for (uint64_t done = 0; done < change.bytes.size();) {
    const uint64_t here = change.offset + done;
    const uint64_t part = std::min<uint64_t>(change.bytes.size() - done, kSectorBytes - here % kSectorBytes);
    if (random.one_in(2)) put(here, change.bytes, done, part);
    done += part;
  }
}

void FileImage::write(uint64_t offset, std::string_view bytes) {
  Change& change = pending_.emplace_back();
  change.kind = Kind::kWrite;
  change.offset = offset;
  change.old_size = now_.size();
  change.bytes = Piece(bytes);
  change.old = now_.piece(offset, bytes.size());
  apply(change);
}

void FileImage::truncate(uint64_t size) {
  Change& change = pending_.emplace_back();
  change.kind = Kind::kTruncate;
  change.offset = size;
  change.old_size = now_.size();
  if (size < now_.written_end()) change.old = now_.piece(size, now_.written_end() - size);
  apply(change);
}

void FileImage::allocate(uint64_t size) {
  Change& change = pending_.emplace_back();
  change.kind = Kind::kAllocate;
  change.offset = size;
  change.old_size = now_.size();
  apply(change);
}

void FileImage::sync() {
  if (!lost_some_) {
    pending_.clear();
    return;
  }
  for (Change& change : pending_) {
    if (change.fate == Fate::kOpen) change.fate = Fate::kDurable;
  }
}

void FileImage::lose_pending() {
  for (Change& change : pending_) {
    if (change.fate == Fate::kOpen) change.fate = Fate::kLost;
  }
  lost_some_ = lost_some_ || !pending_.empty();
}

void FileImage::cut(Generator& random) {
  const std::vector<Change> pending = std::exchange(pending_, {});
  lost_some_ = false;
  for (auto change = pending.rbegin(); change != pending.rend(); ++change) undo(*change);
  for (const Change& change : pending) {
    if (change.fate == Fate::kLost) continue;
    if (change.fate == Fate::kDurable) {
      apply(change);
      continue;
    }
    const uint64_t fate = random.below(3);
    if (fate == 0) continue;
    if (fate == 1 && change.kind == Kind::kWrite) {
      apply_torn(change, random);
    } else {
      apply(change);
    }
  }
}

void FileImage::flip(uint64_t offset, uint8_t mask) {
  char byte;
  now_.read(offset, &byte, 1);
  byte = static_cast<char>(byte ^ mask);
  now_.write(offset, {&byte, 1});
  for (Change& change : pending_) {
    if (offset < change.offset) continue;
    const uint64_t within = offset - change.offset;
    if (within < change.bytes.size()) change.bytes.flip(within, mask);
    if (within < change.old.size()) change.old.flip(within, mask);
  }
}

}  // namespace clew::sim
