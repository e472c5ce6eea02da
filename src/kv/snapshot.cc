#include "kv/snapshot.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/varint.h"
#include "kv/entries.h"
#include "kv/validate.h"

namespace clew::kv {
namespace {

constexpr std::string_view kMagic = "clewkv";
constexpr char kFormat = 1;
constexpr char kEntry = 1;
constexpr char kEnd = 0;
constexpr size_t kWriteBytes = 64u << 10;
constexpr size_t kBatchBytes = 4u << 20;
// Larger than any key with its value; a length beyond it is damage.
constexpr uint64_t kMaxPieceBytes = 4 * kMaxRequestBytes;

Error damaged(const char* what) {
  return {Code::kDataLoss, std::string("key-value snapshot: ") + what + "; fetch it again from another member"};
}

class Input {
 public:
  explicit Input(consensus::SnapshotSource& source) : source_(source) {}

  Status byte(char& out) {
    CLEW_TRY(need(1));
    out = buffer_[at_++];
    return {};
  }
  Status varint(uint64_t& out) {
    out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      char next = 0;
      CLEW_TRY(byte(next));
      const auto bits = static_cast<uint8_t>(next);
      if (shift == 63 && bits > 1) break;
      out |= static_cast<uint64_t>(bits & 0x7f) << shift;
      if (bits < 0x80) return {};
    }
    return damaged("a number is too long");
  }
  Status bytes(uint64_t size, std::string& out) {
    if (size > kMaxPieceBytes) return damaged("an entry is too long");
    CLEW_TRY(need(size));
    out.assign(buffer_, at_, size);
    at_ += size;
    return {};
  }
  Status prefixed(std::string& out) {
    uint64_t size = 0;
    CLEW_TRY(varint(size));
    return bytes(size, out);
  }
  Status expect_end() {
    if (at_ != buffer_.size()) return damaged("bytes follow its end");
    CLEW_ASSIGN(const std::string_view more, source_.read());
    return more.empty() ? Status() : Status(damaged("bytes follow its end"));
  }

 private:
  Status need(uint64_t size) {
    while (buffer_.size() - at_ < size) {
      CLEW_ASSIGN(const std::string_view more, source_.read());
      if (more.empty()) return damaged("it ends too early");
      buffer_.erase(0, at_);
      at_ = 0;
      buffer_.append(more);
    }
    return {};
  }

  consensus::SnapshotSource& source_;
  std::string buffer_;
  size_t at_ = 0;
};

}  // namespace

Status write_snapshot(const EngineView& view, consensus::SnapshotSink& sink) {
  std::string out(kMagic);
  out.push_back(kFormat);
  append_varint(out, view.mark().position);
  append_bytes(out, view.mark().state);
  uint64_t count = 0;
  Status written;
  CLEW_TRY(view.scan(kStateBegin, {}, [&](std::string_view key, std::string_view value) {
    out.push_back(kEntry);
    append_bytes(out, key);
    append_bytes(out, value);
    count++;
    if (out.size() < kWriteBytes) return true;
    written = sink.write(out);
    out.clear();
    return written.ok();
  }));
  CLEW_TRY(std::move(written));
  out.push_back(kEnd);
  append_varint(out, count);
  return sink.write(out);
}

Status read_snapshot(consensus::SnapshotSource& source, Engine& engine) {
  Input in(source);
  std::string head;
  CLEW_TRY(in.bytes(kMagic.size(), head));
  char format = 0;
  CLEW_TRY(in.byte(format));
  if (head != kMagic || format != kFormat) return damaged("unknown format");
  EngineMark mark;
  CLEW_TRY(in.varint(mark.position));
  CLEW_TRY(in.prefixed(mark.state));
  if (engine.persistent() && mark.position > 0 && engine.mark().position >= mark.position) return {};

  CLEW_TRY(engine.reset());
  EngineBatch batch;
  size_t batched = 0;
  uint64_t count = 0;
  std::string last;
  for (;;) {
    char tag = 0;
    CLEW_TRY(in.byte(tag));
    if (tag == kEnd) break;
    if (tag != kEntry) return damaged("an entry of an unknown kind");
    std::string key;
    std::string value;
    CLEW_TRY(in.prefixed(key));
    CLEW_TRY(in.prefixed(value));
    if (key < kStateBegin || key <= last) return damaged("entries out of order");
    last = key;
    batched += key.size() + value.size();
    batch.put(std::move(key), std::move(value));
    count++;
    if (batched < kBatchBytes) continue;
    CLEW_TRY(engine.commit(batch, EngineMark{}));
    batched = 0;
  }
  uint64_t promised = 0;
  CLEW_TRY(in.varint(promised));
  if (promised != count) return damaged("entries are missing");
  CLEW_TRY(in.expect_end());
  return engine.commit(batch, mark);
}

}  // namespace clew::kv
