// FileImage: the bytes of one simulated file, and which of them a power cut may still take away.
//
// `now` is what programs read. Changes that no sync has covered are kept with the bytes that they replaced, so that a
// write costs two copies of its own size, a sync none, and only a power cut rebuilds what was durable. Zeros cost
// nothing, whether they were written or not: logs write a lot of them ahead. Pure; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace clew::sim {

constexpr uint64_t kSectorBytes = 512;
constexpr uint64_t kPageBytes = 4096;

// Bytes of one change. Zeros take no room.
class Piece {
 public:
  Piece() = default;
  explicit Piece(std::string_view bytes) : Piece(std::string(bytes)) {}
  explicit Piece(std::string&& bytes);
  static Piece zeros(uint64_t size);
  uint64_t size() const { return size_; }
  bool zero() const { return bytes_.empty(); }
  std::string_view bytes() const { return bytes_; }  // unless zero()
  void flip(uint64_t offset, uint8_t mask);

 private:
  uint64_t size_ = 0;
  std::string bytes_;
};

// A sparse array of bytes; what was not written is zero.
class PagedBytes {
 public:
  uint64_t size() const { return size_; }
  void resize(uint64_t size);
  void read(uint64_t offset, char* out, uint64_t size) const;  // within size()
  void write(uint64_t offset, std::string_view bytes);         // within size()
  void clear(uint64_t offset, uint64_t size);                  // within size(): zeros
  Piece piece(uint64_t offset, uint64_t size) const;           // what there is of it
  std::string substr(uint64_t offset, uint64_t size) const;    // what there is of it
  uint64_t written_end() const;                                // all behind it is zero

 private:
  struct Page {
    char bytes[kPageBytes];
  };
  uint64_t size_ = 0;
  std::vector<std::unique_ptr<Page>> pages_;  // null: zeros
};

class FileImage {
 public:
  const PagedBytes& now() const { return now_; }
  uint64_t size() const { return now_.size(); }

  void write(uint64_t offset, std::string_view bytes);
  void truncate(uint64_t size);
  void allocate(uint64_t size);
  void sync();
  // A sync that failed: what it should have written stays readable and is clean as far as anybody can tell, so that no
  // later sync writes it. It is gone at the next power cut (Rebello et al., ATC 2020).
  void lose_pending();
  // The state after a power cut: each change that is not durable was kept, dropped, or torn at sectors.
  void cut(Generator& random);
  // Under everybody's feet, durable at once.
  void flip(uint64_t offset, uint8_t mask);

 private:
  enum class Kind : uint8_t { kWrite, kTruncate, kAllocate };
  enum class Fate : uint8_t { kOpen, kLost, kDurable };  // kDurable: synced, but behind a lost one in the order
  struct Change {
    Kind kind;
    Fate fate = Fate::kOpen;
    uint64_t offset;    // of a write; the new size otherwise
    uint64_t old_size;  // of the file
    Piece bytes;        // of a write: the new ones
    Piece old;          // what the change replaced or cut off
  };
  void put(uint64_t offset, const Piece& piece, uint64_t from, uint64_t size);
  void apply(const Change& change);
  void apply_torn(const Change& change, Generator& random);
  void undo(const Change& change);

  PagedBytes now_;
  std::vector<Change> pending_;  // in order
  bool lost_some_ = false;
};

}  // namespace clew::sim
