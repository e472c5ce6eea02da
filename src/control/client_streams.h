// Streams of a client: watches, which outlive connections, and snapshots, which do not. Each is shared by the core and
// the handle that the user holds; all methods on the loop.
//
// What waits here for the user is bounded whatever a member sends: at most a window and one message
// (ClientOptions::max_answer_bytes). A member sends while it has credit, and a stream whose member sends without any is
// over.
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
#include "control/pull_stream.h"
#include "control/watch_queue.h"

namespace clew::control {

// What a member may still send on a stream of this connection, in bytes of weight(). It may while some is left, so one
// message may take more than that: what is left is negative then.
class Credit {
 public:
  explicit Credit(uint64_t window) : window_(static_cast<int64_t>(window)) {}
  bool any() const { return left_ > 0; }
  void spend(size_t bytes) { left_ -= static_cast<int64_t>(bytes); }
  void restart() { left_ = 0; }  // on another connection
  // What there is room for beside the bytes that wait for the user and those that may still come: to be given to the
  // member, in lumps. 0: not worth a message.
  int64_t give(size_t waiting) {
    const int64_t room = window_ - left_ - static_cast<int64_t>(waiting);
    if (room * 4 < window_) return 0;
    left_ += room;
    return room;
  }

 private:
  const int64_t window_;
  int64_t left_ = 0;
};

class ClientStream {
 public:
  virtual ~ClientStream() = default;
  void set_id(uint64_t id) { id_ = id; }
  virtual void open() = 0;                        // on the connection that stands now, perhaps not the first
  virtual void lost(const std::string& why) = 0;  // that connection has ended
  // False: malformed.
  virtual bool on_message(MessageKind kind, std::string_view body) = 0;
  virtual void end(const CallError& error) = 0;  // nothing more comes
  virtual bool over() const = 0;                 // what comes now is not kept
  bool may_send() const { return credit_.any(); }
  virtual bool vouched() const = 0;  // where members may lie one is not enough
  // The user gave it up: what was not delivered never is, for whoever waits may rest on what is gone by then.
  virtual void discard() = 0;

 protected:
  explicit ClientStream(uint64_t window) : credit_(window) {}

  uint64_t id_ = 0;
  Credit credit_;
};

// Watches of one user's stream. Towards the members every watch has a number of ours, new for each, so that it can be
// made again elsewhere; the user sees the ids of his choice.
class ClientWatches final : public ClientStream, public WatchQueue {
 public:
  ClientWatches(ClientCore& core, kv::Space space)
      : ClientStream(core.options().watch_window_bytes),
        WatchQueue(core.loop(), core.weak_from_this()),
        core_(core),
        space_(space) {}

  void create(kv::WatchRequest request);
  void cancel(kv::WatchId id);
  void request_progress();

  void open() override;
  void lost(const std::string& why) override;
  bool on_message(MessageKind kind, std::string_view body) override;
  void end(const CallError& error) override;
  bool over() const override { return failed(); }
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
  void taken() override { grant(); }
  void grant();

  ClientCore& core_;  // which outlives every call: calls come through it
  const kv::Space space_;
  std::map<Number, Watch> watches_;
  std::deque<int64_t> creating_;  // in the order of their answers
  bool progress_wanted_ = false;
  size_t fruitless_ = 0;  // members in a row that ended the stream before they said anything
};

class ClientSnapshot final : public ClientStream, public PullStream<std::string> {
 public:
  explicit ClientSnapshot(ClientCore& core);

  void open() override;
  void lost(const std::string& why) override;
  bool on_message(MessageKind kind, std::string_view body) override;
  void end(const CallError& error) override;
  bool over() const override { return finished_ || failed(); }
  void discard() override;
  bool vouched() const override { return false; }
  uint64_t id() const { return id_; }
  uint64_t total_bytes = 0;

 private:
  bool empty() const override { return queue_.empty(); }
  std::string take(size_t max_bytes) override;
  void grant();

  ClientCore& core_;
  bool opened_ = false;
  bool finished_ = false;  // the last piece came
  std::deque<std::string> queue_;
  size_t queued_bytes_ = 0;
};

}  // namespace clew::control
