// What `etcdctl snapshot save` writes when it is pointed at Clew: a snapshot of ours in a wrapping that etcdctl takes
// for whole, because it expects a multiple of 512 bytes and a SHA-256 of them. docs/format/etcd-snapshot.md.
//
//   file := "CLEWETC1" size:u64le snapshot:byte^size zero* sha256:byte^32     everything before sha256: 512·n bytes
//
// One thread; the writer is pure. Not for etcd's own snapshots, which are databases of another kind.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/state_machine.h"
#include "env/disk.h"

namespace clew::api::etcd {

constexpr std::string_view kSnapshotFileMagic = "CLEWETC1";
constexpr size_t kSnapshotFileHead = 16;
constexpr size_t kSnapshotFileSum = 32;

// Bytes of the file around a snapshot of `size` bytes.
uint64_t snapshot_file_bytes(uint64_t size);

// Takes the snapshot in pieces and gives the file in pieces.
class SnapshotFileWriter {
 public:
  explicit SnapshotFileWriter(uint64_t size);
  std::string piece(std::string_view bytes);  // with the head before the first
  // What comes after the last: nothing when fewer or more bytes came than were announced.
  Result<std::string> end();

 private:
  void sum(std::string_view bytes);
  const uint64_t size_;
  uint64_t written_ = 0;
  bool begun_ = false;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest_;
};

// The snapshot in such a file, which is read twice: whole when it is opened, to see that it is sound, then in pieces.
// Blocking; the disk outlives it. Memory: one buffer.
class SnapshotFileReader final : public consensus::SnapshotSource {
 public:
  // kDataLoss: it is no such file, cut short, or damaged.
  static Result<std::unique_ptr<SnapshotFileReader>> open(env::Disk& disk, const std::string& path);
  Result<std::string_view> read() override;
  uint64_t bytes() const { return size_; }  // of the snapshot

 private:
  SnapshotFileReader(std::string path, std::unique_ptr<env::File> file, uint64_t size)
      : path_(std::move(path)), file_(std::move(file)), size_(size) {}
  Status read_at(uint64_t offset, char* out, size_t size) const;
  Status verify();

  const std::string path_;
  const std::unique_ptr<env::File> file_;
  const uint64_t size_;
  uint64_t at_ = 0;
  std::string buffer_;
};

}  // namespace clew::api::etcd
