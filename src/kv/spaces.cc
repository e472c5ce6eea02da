#include "kv/spaces.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/varint.h"
#include "kv/snapshot.h"

namespace clew::kv {
namespace {

constexpr std::string_view kMagic = "clewspaces";
constexpr uint8_t kFormat = 1;
constexpr size_t kChunkBytes = 64u << 10;

Error damaged(const char* what) {
  return {Code::kDataLoss, std::string("snapshot of the spaces: ") + what + "; fetch it again from another member"};
}

std::string no_such_space() {
  return encode(Result<Response>(Error{
      Code::kInvalidArgument, "this command names no space that this version knows; use a client of its version"}));
}

// One space's bytes among the others': chunks of one size, so that equal states have equal bytes however they were
// written.
class SectionSink final : public consensus::SnapshotSink {
 public:
  explicit SectionSink(consensus::SnapshotSink& to) : to_(to) {}

  Status write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const size_t taken = std::min(kChunkBytes - chunk_.size(), bytes.size());
      chunk_.append(bytes.substr(0, taken));
      bytes.remove_prefix(taken);
      if (chunk_.size() == kChunkBytes) CLEW_TRY(flush());
    }
    return {};
  }
  Status end() {
    if (!chunk_.empty()) CLEW_TRY(flush());
    return to_.write(std::string_view("\0", 1));
  }

 private:
  Status flush() {
    std::string length;
    append_varint(length, chunk_.size());
    CLEW_TRY(to_.write(length));
    CLEW_TRY(to_.write(chunk_));
    chunk_.clear();
    return {};
  }

  consensus::SnapshotSink& to_;
  std::string chunk_;
};

// Takes sections off the stream. read() answers empty at the end of one; next_section() goes on behind it.
class SectionSource final : public consensus::SnapshotSource {
 public:
  explicit SectionSource(consensus::SnapshotSource& from) : from_(from) {}

  Status bytes(size_t size, std::string& out) {
    for (out.clear(); out.size() < size;) {
      CLEW_TRY(fill());
      const size_t taken = std::min(size - out.size(), left_.size());
      out.append(left_.substr(0, taken));
      left_.remove_prefix(taken);
    }
    return {};
  }
  Result<std::string_view> read() override {
    if (ended_) return std::string_view();
    if (chunk_ == 0) {
      CLEW_ASSIGN(chunk_, length());
      if (chunk_ == 0) {
        ended_ = true;
        return std::string_view();
      }
    }
    CLEW_TRY(fill());
    const std::string_view piece = left_.substr(0, std::min<uint64_t>(chunk_, left_.size()));
    left_.remove_prefix(piece.size());
    chunk_ -= piece.size();
    return piece;
  }
  // Who had no need of the section may have left some of it.
  Status next_section() {
    while (!ended_) CLEW_TRY(read().status());
    ended_ = false;
    return {};
  }
  Status expect_end() {
    if (left_.empty()) {
      CLEW_ASSIGN(left_, from_.read());
    }
    return left_.empty() ? Status() : Status(damaged("bytes follow its end"));
  }

 private:
  Status fill() {
    if (!left_.empty()) return {};
    CLEW_ASSIGN(left_, from_.read());
    return left_.empty() ? Status(damaged("it ends too early")) : Status();
  }
  Result<uint64_t> length() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      CLEW_TRY(fill());
      const auto byte = static_cast<uint8_t>(left_.front());
      left_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
      if (shift >= 28) return damaged("a chunk is too long");
    }
    if (value > kChunkBytes) return damaged("a chunk is too long");
    return value;
  }

  consensus::SnapshotSource& from_;
  std::string_view left_;
  uint64_t chunk_ = 0;  // of the present one, not yet read
  bool ended_ = false;
};

Status write_head(consensus::SnapshotSink& sink) {
  std::string head(kMagic);
  append_fixed(head, kFormat);
  append_fixed(head, static_cast<uint8_t>(kSpaces));
  return sink.write(head);
}

}  // namespace

std::string_view space_name(Space space) { return space == Space::kUser ? "user" : "system"; }

Result<std::unique_ptr<Spaces>> Spaces::open(Engines engines, const CustomRegistry& registry) {
  std::unique_ptr<Spaces> spaces(new Spaces(std::move(engines)));
  for (size_t i = 0; i < kSpaces; ++i) {
    CLEW_ASSIGN(spaces->machines_[i], KvStateMachine::open(*spaces->engines_[i], registry));
  }
  return spaces;
}

std::string Spaces::command(Space space, const Request& request) {
  const char first = static_cast<char>(space);
  return encode(request, {&first, 1});
}

std::string Spaces::apply(const consensus::Applied& at, std::string_view command) {
  if (command.empty() || static_cast<uint8_t>(command[0]) >= kSpaces) return no_such_space();
  return machines_[static_cast<uint8_t>(command[0])]->apply(at, command.substr(1));
}

std::string Spaces::query(std::string_view request) const {
  if (request.empty()) return {};
  if (static_cast<uint8_t>(request[0]) >= kSpaces) return no_such_space();
  return machines_[static_cast<uint8_t>(request[0])]->query(request.substr(1));
}

UniqueFunction<Status(consensus::SnapshotSink&)> Spaces::freeze() {
  std::vector<UniqueFunction<Status(consensus::SnapshotSink&)>> frozen;
  for (const auto& machine : machines_) frozen.push_back(machine->freeze());
  return [frozen = std::move(frozen)](consensus::SnapshotSink& sink) mutable -> Status {
    CLEW_TRY(write_head(sink));
    for (auto& write : frozen) {
      SectionSink section(sink);
      CLEW_TRY(write(section));
      CLEW_TRY(section.end());
    }
    return {};
  };
}

UniqueFunction<Status(consensus::SnapshotSink&)> Spaces::copy() const {
  std::vector<std::shared_ptr<const EngineView>> views;
  for (const auto& engine : engines_) views.push_back(engine->view());
  return [views = std::move(views)](consensus::SnapshotSink& sink) -> Status {
    CLEW_TRY(write_head(sink));
    for (const auto& view : views) {
      SectionSink section(sink);
      CLEW_TRY(write_snapshot(*view, section));
      CLEW_TRY(section.end());
    }
    return {};
  };
}

Status Spaces::restore(consensus::SnapshotSource& source) {
  SectionSource sections(source);
  std::string head;
  CLEW_TRY(sections.bytes(kMagic.size() + 2, head));
  if (head.compare(0, kMagic.size(), kMagic) != 0 || static_cast<uint8_t>(head[kMagic.size()]) != kFormat ||
      static_cast<uint8_t>(head[kMagic.size() + 1]) != kSpaces) {
    return damaged("unknown format");
  }
  for (const auto& machine : machines_) {
    CLEW_TRY(machine->restore(sections));
    CLEW_TRY(sections.next_section());
  }
  return sections.expect_end();
}

consensus::Position Spaces::ahead() const {
  consensus::Position most = 0;
  for (size_t i = 0; i < kSpaces; ++i) {
    if (engines_[i]->persistent()) most = std::max(most, machines_[i]->applied());
  }
  return most;
}

Hash128 Spaces::digest() const {
  std::string bytes;
  for (const auto& machine : machines_) {
    const Hash128 digest = machine->digest();
    append_fixed(bytes, digest.lo);
    append_fixed(bytes, digest.hi);
  }
  return stable_hash128(bytes);
}

uint64_t Spaces::bytes() const {
  uint64_t sum = 0;
  for (const auto& machine : machines_) sum += machine->store().bytes();
  return sum;
}

}  // namespace clew::kv
