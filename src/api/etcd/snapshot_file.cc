#include "api/etcd/snapshot_file.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace clew::api::etcd {
namespace {

constexpr uint64_t kBlock = 512;
constexpr size_t kReadBytes = 256u << 10;

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

// --- Reading ---

Status SnapshotFileReader::read_at(uint64_t offset, char* out, size_t size) const {
  CLEW_ASSIGN(const size_t got, file_->read_at(offset, out, size));
  return got == size ? Status() : Status(Code::kDataLoss, path_ + " became shorter while it was read");
}

Result<std::unique_ptr<SnapshotFileReader>> SnapshotFileReader::open(env::Disk& disk, const std::string& path) {
  const auto broken = [&](const char* how) { return Error{Code::kDataLoss, path + ": " + how}; };
  CLEW_ASSIGN(auto file, disk.open(path, {}));
  CLEW_ASSIGN(const uint64_t file_bytes, file->size());
  char head[kSnapshotFileHead];
  CLEW_ASSIGN(const size_t got, file->read_at(0, head, sizeof head));
  if (got < sizeof head || std::string_view(head, kSnapshotFileMagic.size()) != kSnapshotFileMagic) {
    return broken("it does not begin as a snapshot of Clew's; etcd's own cannot be read");
  }
  uint64_t size = 0;
  for (int i = 0; i < 8; ++i) size |= static_cast<uint64_t>(static_cast<unsigned char>(head[8 + i])) << (8 * i);
  if (size > file_bytes || file_bytes != snapshot_file_bytes(size)) {
    return broken("it is not as long as it says; it was cut short, copy it again");
  }
  std::unique_ptr<SnapshotFileReader> reader(new SnapshotFileReader(path, std::move(file), size));
  CLEW_TRY(reader->verify());
  return reader;
}

Status SnapshotFileReader::verify() {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  CHECK(digest != nullptr && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1);
  buffer_.resize(kReadBytes);
  const uint64_t covered = padded(size_);
  for (uint64_t at = 0; at < covered;) {
    const size_t piece = std::min<uint64_t>(kReadBytes, covered - at);
    CLEW_TRY(read_at(at, buffer_.data(), piece));
    CHECK(EVP_DigestUpdate(digest.get(), buffer_.data(), piece) == 1);
    at += piece;
  }
  unsigned char sum[kSnapshotFileSum];
  CHECK(EVP_DigestFinal_ex(digest.get(), sum, nullptr) == 1);
  char written[kSnapshotFileSum];
  CLEW_TRY(read_at(covered, written, sizeof written));
  if (std::memcmp(sum, written, sizeof sum) != 0) {
    return {Code::kDataLoss, path_ + ": its checksum does not fit its bytes; it is damaged, take another copy"};
  }
  return {};
}

Result<std::string_view> SnapshotFileReader::read() {
  buffer_.resize(std::min<uint64_t>(kReadBytes, size_ - at_));
  CLEW_TRY(read_at(kSnapshotFileHead + at_, buffer_.data(), buffer_.size()));
  at_ += buffer_.size();
  return std::string_view(buffer_);
}

}  // namespace clew::api::etcd
