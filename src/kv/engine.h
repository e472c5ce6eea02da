// Engine: where a store's bytes stand: an ordered map from bytes to bytes, changed by batches. Each batch carries a
// mark, which names the position in the log that it brings the engine to and holds what the store must know about
// itself; batch and mark become visible, and durable, together or not at all.
//
// Two implementations: MemoryEngine, the reference, which forgets everything when it is destroyed, and RocksEngine,
// which keeps a directory. Neither has a log of its own: the replica's log is the log, and an engine that lost its
// newest batches in a crash is brought forward by applying the entries again.
//
// One thread, except an EngineView, which another thread may read while batches go on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function.h"
#include "base/status.h"

namespace clew::kv {

// `position` only grows. `state` is what the store writes; opaque here, small.
struct EngineMark {
  uint64_t position = 0;
  std::string state;
  friend bool operator==(const EngineMark&, const EngineMark&) = default;
};

class EngineBatch {
 public:
  struct Operation {
    bool erases = false;
    std::string key;
    std::string value;
  };
  void put(std::string key, std::string value) { operations_.push_back({false, std::move(key), std::move(value)}); }
  void erase(std::string key) { operations_.push_back({true, std::move(key), {}}); }
  bool empty() const { return operations_.empty(); }
  void clear() { operations_.clear(); }
  const std::vector<Operation>& operations() const { return operations_; }
  std::vector<Operation>& operations() { return operations_; }  // in order; of the same key the last one counts

 private:
  std::vector<Operation> operations_;
};

// Called with each entry in ascending order; false stops. What it is given is borrowed for the call.
using EngineVisitor = UniqueFunction<bool(std::string_view key, std::string_view value)>;

// The engine as it was when the view was taken, mark included. Any one thread at a time; may outlive the engine's
// later batches but not the engine.
class EngineView {
 public:
  virtual ~EngineView() = default;
  // Entries with begin <= key < end; an empty end is none.
  virtual Status scan(std::string_view begin, std::string_view end, EngineVisitor visit) const = 0;
  virtual const EngineMark& mark() const = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual const EngineMark& mark() const = 0;  // of the newest batch; {0, ""} when there was none
  // Takes what the batch holds and leaves it empty. An error means that the engine cannot go on.
  virtual Status commit(EngineBatch& batch, const EngineMark& mark) = 0;

  // kNotFound, or an error of the disk. Overwrites `value`.
  virtual Status get(std::string_view key, std::string& value) const = 0;
  virtual Status scan(std::string_view begin, std::string_view end, EngineVisitor visit) const = 0;
  // O(1), or as good as.
  virtual std::shared_ptr<const EngineView> view() const = 0;

  // Empties it, mark included: before a snapshot is read into it.
  virtual Status reset() = 0;
  // False: what is committed is gone after a restart, so nothing need be kept for one.
  virtual bool persistent() const = 0;
};

}  // namespace clew::kv
