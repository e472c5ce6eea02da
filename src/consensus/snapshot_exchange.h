// Snapshots between replicas: pulled in chunks over the group's transport. The one that needs a snapshot asks for the
// next chunk at its offset, so that a lost frame or connection costs one chunk and the transfer goes on where it stood,
// also from another peer. Each chunk has a checksum against accidents; the whole has to have the digest that the
// protocol announced, against whoever serves it. A source that serves less or more than it was asked for is given up,
// and so is one that needs longer than `give_up_after` for a chunk: the slowest that can hold a member up serves
// chunk_bytes / give_up_after (51 KiB/s).
//
// Bounded: one transfer to here, one chunk of it under way; towards others at most kMaxServed reads at a time, others
// are dropped and asked for again; of at most kMaxServed members it is remembered what they fetch. Frames are
// untrusted. All methods and callbacks on the loop; file work is offloaded. Frames: docs/format/peer.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "consensus/effects.h"
#include "consensus/snapshot_files.h"
#include "env/disk.h"
#include "env/loop.h"

namespace clew::consensus {

struct SnapshotExchangeOptions {
  std::string directory;
  uint64_t chunk_bytes = 256ull << 10;
  Time retry_after = 500 * kMillisecond;  // an unanswered request is sent again
  // Without a whole chunk. A source that died holds a member up for as long, whatever the next leader offers
  // (catch_up.h).
  Time give_up_after = 5 * kSecond;
  Time keep_after = 30 * kSecond;  // a file stays, since a peer asked for a chunk of it
};

struct SnapshotExchangeStats {
  uint64_t chunks_sent = 0, chunks_received = 0, bytes_sent = 0, bytes_received = 0;
  uint64_t refused = 0;  // malformed, corrupt, or not asked for
};

class SnapshotExchange {
 public:
  static constexpr size_t kMaxServed = 4;
  static constexpr uint64_t kMaxChunkBytes = 4ull << 20;

  struct Events {
    UniqueFunction<void(NodeId to, std::string frame)> send;
    // The fetched snapshot lies complete and checked in the directory, or it cannot be had.
    UniqueFunction<void(const SnapshotMeta&, Status)> fetched;
    // A file of ours, asked for by a peer, does not hold what it should: another snapshot has to be made.
    UniqueFunction<void(Position)> damaged;
  };
  SnapshotExchange(env::Loop& loop, env::Disk& disk, SnapshotExchangeOptions options, Events events);
  ~SnapshotExchange();

  void fetch(const FetchSnapshot& wanted);
  void cancel();
  void receive(NodeId from, std::string_view frame);
  void connected(NodeId peer);
  // Snapshots of ours of which a peer asked for a chunk so lately that it may go on: their files should stay,
  // whatever became of them here (consensus/catch_up.h). At most kMaxServed.
  std::vector<Position> being_fetched() const;
  const SnapshotExchangeStats& stats() const { return stats_; }

 private:
  struct Transfer;  // shared with the file work under way
  struct Request;

  void ask();
  void arm(Time delay);
  void on_timer();
  void on_request(NodeId from, std::string_view body);
  void on_chunk(NodeId from, std::string_view body);
  void on_refusal(NodeId from, std::string_view body);
  void note_fetcher(NodeId peer, Position position);
  void end(Status status);
  void discard(std::shared_ptr<Transfer> transfer);

  env::Loop& loop_;
  env::Disk& disk_;
  const SnapshotExchangeOptions options_;
  Events events_;
  SnapshotExchangeStats stats_;
  std::shared_ptr<Transfer> transfer_;
  uint64_t attempts_ = 0;
  size_t served_ = 0;
  struct Fetcher {
    NodeId peer = kNobody;
    Position position = 0;
    Time asked_at = 0;
  };
  std::vector<Fetcher> fetchers_;  // the newest kMaxServed
  env::TimerId timer_ = 0;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: tasks of the loop ask whether `this` lives
};

}  // namespace clew::consensus
