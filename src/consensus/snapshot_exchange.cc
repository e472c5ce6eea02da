#include "consensus/snapshot_exchange.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/varint.h"
#include "consensus/planted.h"

namespace clew::consensus {
namespace {

enum class Kind : uint8_t { kRequest = 1, kChunk = 2, kRefusal = 3 };

// frame   = kind:u8  position:varint  digest:byte^32  rest
// request = offset:varint  max_bytes:varint
// chunk   = offset:varint  checksum of the bytes:u32  bytes
// refusal = (nothing)
std::string begin_frame(Kind kind, const SnapshotMeta& meta) {
  std::string frame;
  frame.push_back(static_cast<char>(kind));
  append_varint(frame, meta.position);
  frame += meta.digest.view();
  return frame;
}

struct Which {
  Position position = 0;
  Digest256 digest;
  bool is(const SnapshotMeta& meta) const { return position == meta.position && digest == meta.digest; }
};
Which read_which(ByteReader& in) {
  Which which;
  which.position = in.varint();
  which.digest = read_digest(in);
  return which;
}

struct Served {
  std::string frame;
  uint64_t bytes = 0;
  bool damaged = false;
};

// Blocking. The first chunk is served only of a file that is whole: the receiver would notice at the end only, and then
// ask for the same again.
Served read_chunk(env::Disk& disk, const std::string& directory, const Which& which, uint64_t offset,
                  uint64_t max_bytes) {
  SnapshotMeta wanted;
  wanted.position = which.position;
  wanted.digest = which.digest;
  Served served;
  served.frame = begin_frame(Kind::kRefusal, wanted);
  const auto reader = SnapshotReader::open(disk, directory, which.position);
  if (!reader.ok()) {
    served.damaged = reader.status().code() != Code::kNotFound;
    return served;
  }
  if (!which.is((*reader)->meta())) return served;
  const auto bytes = (*reader)->read_at(offset, max_bytes);
  if (!bytes.ok() || (offset == 0 && !(*reader)->verify().ok())) {
    served.damaged = bytes.status().code() != Code::kOutOfRange;
    return served;
  }
  served.frame = begin_frame(Kind::kChunk, wanted);
  append_varint(served.frame, offset);
  append_fixed(served.frame, checksum32(*bytes));
  served.frame.append(*bytes);
  served.bytes = bytes->size();
  return served;
}

}  // namespace

struct SnapshotExchange::Transfer {
  NodeId from = kNobody;
  SnapshotMeta meta;
  uint64_t attempt = 0;
  std::unique_ptr<SnapshotWriter> writer;  // touched by file work only, while `working`
  uint64_t offset = 0;
  bool working = false;
  Time progress_at = 0;
  std::string chunk;
  Status outcome;
};

SnapshotExchange::SnapshotExchange(env::Loop& loop, env::Disk& disk, SnapshotExchangeOptions options, Events events)
    : loop_(loop), disk_(disk), options_(std::move(options)), events_(std::move(events)) {
  CHECK(options_.chunk_bytes > 0 && options_.chunk_bytes <= kMaxChunkBytes);
}

SnapshotExchange::~SnapshotExchange() {
  if (timer_ != 0) loop_.cancel(timer_);
}

void SnapshotExchange::fetch(const FetchSnapshot& wanted) {
  const Time now = loop_.clock().mono_ns();
  if (transfer_ != nullptr && transfer_->meta == wanted.meta) {
    transfer_->from = wanted.from;
    transfer_->progress_at = now;
    if (!transfer_->working) ask();
    return;
  }
  if (planted(Bug::kSnapshotChunkUnchecked) && transfer_ != nullptr && !transfer_->working) {
    transfer_->from = wanted.from;
    transfer_->meta = wanted.meta;
    return ask();
  }
  cancel();
  transfer_ = std::make_shared<Transfer>();
  transfer_->from = wanted.from;
  transfer_->meta = wanted.meta;
  transfer_->attempt = ++attempts_;
  transfer_->progress_at = now;
  ask();
}

// File work that is under way ends first; its completion discards.
void SnapshotExchange::cancel() {
  const std::shared_ptr<Transfer> transfer = std::move(transfer_);
  if (transfer != nullptr && !transfer->working) discard(transfer);
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
}

// An unfinished file goes with its writer, which is work for another thread.
void SnapshotExchange::discard(std::shared_ptr<Transfer> transfer) {
  if (transfer->writer == nullptr) return;
  loop_.offload(
      env::Lane::kBackground, [transfer = std::move(transfer)] { transfer->writer.reset(); }, [] {});
}

void SnapshotExchange::ask() {
  std::string frame = begin_frame(Kind::kRequest, transfer_->meta);
  append_varint(frame, transfer_->offset);
  append_varint(frame, options_.chunk_bytes);
  events_.send(transfer_->from, std::move(frame));
  arm(options_.retry_after);
}

void SnapshotExchange::arm(Time delay) {
  if (timer_ != 0) loop_.cancel(timer_);
  timer_ = loop_.after(delay, [this] {
    timer_ = 0;
    on_timer();
  });
}

void SnapshotExchange::on_timer() {
  if (transfer_ == nullptr) return;
  if (transfer_->working) return arm(options_.retry_after);
  if (loop_.clock().mono_ns() - transfer_->progress_at >= options_.give_up_after) {
    return end(Error{Code::kDeadlineExceeded, "fetch a snapshot from node " + std::to_string(number(transfer_->from)) +
                                                  ": nothing came for too long"});
  }
  ask();
}

void SnapshotExchange::connected(NodeId peer) {
  if (transfer_ != nullptr && transfer_->from == peer && !transfer_->working) ask();
}

void SnapshotExchange::receive(NodeId from, std::string_view frame) {
  if (frame.empty()) {
    ++stats_.refused;
    return;
  }
  const std::string_view body = frame.substr(1);
  switch (static_cast<Kind>(frame[0])) {
    case Kind::kRequest:
      return on_request(from, body);
    case Kind::kChunk:
      return on_chunk(from, body);
    case Kind::kRefusal:
      return on_refusal(from, body);
  }
  ++stats_.refused;
}

void SnapshotExchange::on_request(NodeId from, std::string_view body) {
  ByteReader in(body);
  const Which which = read_which(in);
  const uint64_t offset = in.varint();
  const uint64_t max_bytes = std::min(in.varint(), kMaxChunkBytes);
  if (!in.ok() || !in.at_end() || max_bytes == 0) {
    ++stats_.refused;
    return;
  }
  if (served_ >= kMaxServed) return;
  ++served_;
  note_fetcher(from, which.position);
  auto served = std::make_shared<Served>();  // shared by the work and its completion
  loop_.offload(
      env::Lane::kQuery,
      [&disk = disk_, directory = options_.directory, which, offset, max_bytes, served] {
        *served = read_chunk(disk, directory, which, offset, max_bytes);
      },
      [this, alive = std::weak_ptr(alive_), from, which, served] {
        if (alive.expired()) return;
        --served_;
        if (served->bytes > 0) ++stats_.chunks_sent;
        stats_.bytes_sent += served->bytes;
        events_.send(from, std::move(served->frame));
        if (served->damaged) events_.damaged(which.position);
      });
}

void SnapshotExchange::note_fetcher(NodeId peer, Position position) {
  std::erase_if(fetchers_, [&](const Fetcher& one) { return one.peer == peer; });
  if (fetchers_.size() == kMaxServed) fetchers_.erase(fetchers_.begin());
  fetchers_.push_back({peer, position, loop_.clock().mono_ns()});
}

std::vector<Position> SnapshotExchange::being_fetched() const {
  std::vector<Position> positions;
  for (const Fetcher& one : fetchers_) {
    if (loop_.clock().mono_ns() - one.asked_at < options_.keep_after) positions.push_back(one.position);
  }
  return positions;
}

void SnapshotExchange::on_refusal(NodeId from, std::string_view body) {
  ByteReader in(body);
  const Which which = read_which(in);
  if (!in.ok() || transfer_ == nullptr || from != transfer_->from || !which.is(transfer_->meta)) {
    ++stats_.refused;
    return;
  }
  end(Error{Code::kNotFound, "node " + std::to_string(number(from)) + " has no snapshot of position " +
                                 std::to_string(which.position) + " any more"});
}

void SnapshotExchange::on_chunk(NodeId from, std::string_view body) {
  ByteReader in(body);
  const Which which = read_which(in);
  const uint64_t offset = in.varint();
  const auto checksum = in.fixed<uint32_t>();
  const std::string_view bytes(in.position(), in.remaining());
  const std::shared_ptr<Transfer> transfer = transfer_;
  if (!in.ok() || transfer == nullptr || from != transfer->from || !which.is(transfer->meta) || transfer->working ||
      offset != transfer->offset || checksum32(bytes) != checksum) {
    ++stats_.refused;  // late, repeated, or damaged on the way: the timer asks again
    return;
  }
  const uint64_t expected = std::min(options_.chunk_bytes, transfer->meta.bytes - offset);
  if (bytes.size() != expected) {
    ++stats_.refused;
    return end(Error{Code::kDataLoss, "fetch a snapshot from node " + std::to_string(number(from)) + ": it served " +
                                          std::to_string(bytes.size()) + " bytes where " + std::to_string(expected) +
                                          " were asked for"});
  }
  ++stats_.chunks_received;
  stats_.bytes_received += bytes.size();
  transfer->working = true;
  transfer->chunk.assign(bytes);
  transfer->progress_at = loop_.clock().mono_ns();
  const bool last = offset + bytes.size() == transfer->meta.bytes;
  loop_.offload(
      env::Lane::kBackground,
      [&disk = disk_, directory = options_.directory, transfer, last] {
        transfer->outcome = [&]() -> Status {
          if (transfer->writer == nullptr) {
            CLEW_ASSIGN(transfer->writer,
                        SnapshotWriter::create(disk, directory, "fetched-" + std::to_string(transfer->attempt)));
          }
          CLEW_TRY(transfer->writer->write(transfer->chunk));
          return last ? transfer->writer->seal_as(transfer->meta) : Status();
        }();
      },
      [this, alive = std::weak_ptr(alive_), transfer, last] {
        if (alive.expired()) return;
        transfer->working = false;
        if (transfer != transfer_) return discard(transfer);
        transfer->offset += transfer->chunk.size();
        if (!transfer->outcome.ok() || last) return end(std::move(transfer->outcome));
        ask();
      });
}

void SnapshotExchange::end(Status status) {
  const std::shared_ptr<Transfer> transfer = transfer_;
  cancel();
  events_.fetched(transfer->meta, std::move(status));
}

}  // namespace clew::consensus
