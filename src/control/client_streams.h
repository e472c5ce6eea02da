// Streams of a client: watches, which outlive connections, and snapshots, which do not. Each is shared by the core and
// the handle that the user holds; all methods on the loop.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/client_core.h"
#include "control/messages.h"
#include "control/watch_queue.h"

namespace clew::control {

class ClientStream {
 public:
  virtual ~ClientStream() = default;
  void set_id(uint64_t id) { id_ = id; }
  virtual void open() = 0;                        // on the connection that stands now, perhaps not the first
  virtual void lost(const std::string& why) = 0;  // that connection has ended
  // False: malformed.
  virtual bool on_message(MessageKind kind, std::string_view body) = 0;
  virtual void end(const CallError& error) = 0;  // nothing more comes
  virtual bool vouched() const = 0;              // where members may lie one is not enough
  // The user gave it up: what was not delivered never is, for whoever waits may rest on what is gone by then.
  virtual void discard() = 0;

 protected:
  uint64_t id_ = 0;
};

// Watches of one user's stream. Towards the members every watch has a number of ours, new for each, so that it can be
// made again elsewhere; the user sees the ids of his choice.
class ClientWatches final : public ClientStream, public WatchQueue {
 public:
  ClientWatches(ClientCore& core, kv::Space space)
      : WatchQueue(core.loop(), core.weak_from_this()), core_(core), space_(space) {}

  void create(kv::WatchRequest request);
  void cancel(kv::WatchId id);
  void request_progress();

  void open() override;
  void lost(const std::string& why) override;
  bool on_message(MessageKind kind, std::string_view body) override;
  void end(const CallError& error) override;
  void discard() override;
  bool vouched() const override { return true; }
  uint64_t id() const { return id_; }

 private:
  struct Watch {
    kv::WatchRequest request;  // with the user's id
    bool announced = false;    // the user knows that it was created
    bool cancelling = false;
    kv::Revision next = 0;  // the first revision that is not wholly given; 0: not known before the answer
    // Of a revision that came in fragments, the last of which did not come yet: how many of its changes are given.
    kv::Revision part_of = 0;
    size_t part_given = 0;
    size_t skip = 0;  // changes of `part_of` that come a second time
  };
  void send_create(int64_t wire, const Watch& watch);
  void on_response(kv::WatchResponse response);
  void taken(size_t bytes) override;
  void grant();

  ClientCore& core_;  // which outlives every call: calls come through it
  const kv::Space space_;
  std::map<Number, Watch> watches_;
  std::deque<int64_t> creating_;  // in the order of their answers
  bool progress_wanted_ = false;
  size_t fruitless_ = 0;    // members in a row that ended the stream before they said anything
  size_t taken_bytes_ = 0;  // by the user, since credit was given last
};

class ClientSnapshot final : public ClientStream, public std::enable_shared_from_this<ClientSnapshot> {
 public:
  explicit ClientSnapshot(ClientCore& core) : core_(core) {}
  void next(size_t max_bytes, Done<std::string> done);

  void open() override;
  void lost(const std::string& why) override;
  bool on_message(MessageKind kind, std::string_view body) override;
  void end(const CallError& error) override;
  void discard() override;
  bool vouched() const override { return false; }
  uint64_t id() const { return id_; }
  uint64_t total_bytes = 0;

 private:
  void deliver();

  ClientCore& core_;
  bool opened_ = false;
  bool finished_ = false;
  std::deque<std::string> queue_;
  size_t taken_bytes_ = 0;
  size_t max_bytes_ = 0;
  Done<std::string> waiting_;
  bool delivery_posted_ = false;
  std::optional<CallError> error_;
};

}  // namespace clew::control
