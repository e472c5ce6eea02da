#include "api/etcd/snapshot_file.h"

#include <openssl/sha.h>

#include "base/check.h"

namespace clew::api::etcd {
namespace {

constexpr uint64_t kBlock = 512;

uint64_t padded(uint64_t size) { return (kSnapshotFileHead + size + kBlock - 1) / kBlock * kBlock; }

}  // namespace

uint64_t snapshot_file_bytes(uint64_t size) { return padded(size) + kSnapshotFileSum; }

SnapshotFileWriter::SnapshotFileWriter(uint64_t size) : size_(size), digest_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  CHECK(digest_ != nullptr && EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr) == 1);
}

void SnapshotFileWriter::sum(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(digest_.get(), bytes.data(), bytes.size()) == 1);
}

std::string SnapshotFileWriter::piece(std::string_view bytes) {
  std::string out;
  if (!begun_) {
    begun_ = true;
    out = kSnapshotFileMagic;
    for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(size_ >> (8 * i)));
  }
  out += bytes;
  written_ += bytes.size();
  sum(out);
  return out;
}

Result<std::string> SnapshotFileWriter::end() {
  if (written_ != size_) {
    return Error{Code::kInternal, "a snapshot of " + std::to_string(size_) + " bytes ended after " +
                                      std::to_string(written_) + "; ask for it again"};
  }
  std::string out = begun_ ? std::string() : piece({});
  const std::string zeros(padded(size_) - kSnapshotFileHead - size_, '\0');
  sum(zeros);
  out += zeros;
  unsigned char digest[kSnapshotFileSum];
  CHECK(EVP_DigestFinal_ex(digest_.get(), digest, nullptr) == 1);
  out.append(reinterpret_cast<const char*>(digest), sizeof digest);
  return out;
}

Result<std::string_view> open_snapshot_file(std::string_view file) {
  const auto broken = [](const char* how) { return Error{Code::kDataLoss, std::string("snapshot file: ") + how}; };
  if (file.substr(0, kSnapshotFileMagic.size()) != kSnapshotFileMagic || file.size() < kSnapshotFileHead) {
    return broken("it does not begin as one of Clew's; etcd's own cannot be read");
  }
  uint64_t size = 0;
  for (int i = 0; i < 8; ++i) size |= static_cast<uint64_t>(static_cast<unsigned char>(file[8 + i])) << (8 * i);
  if (size > file.size() || file.size() != snapshot_file_bytes(size)) {
    return broken("it is not as long as it says; copy it again");
  }
  const std::string_view content = file.substr(0, file.size() - kSnapshotFileSum);
  unsigned char digest[kSnapshotFileSum];
  SHA256(reinterpret_cast<const unsigned char*>(content.data()), content.size(), digest);
  if (file.substr(content.size()) != std::string_view(reinterpret_cast<const char*>(digest), sizeof digest)) {
    return broken("its checksum does not fit its bytes; it is damaged");
  }
  return file.substr(kSnapshotFileHead, size);
}

}  // namespace clew::api::etcd
