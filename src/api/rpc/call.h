// What a service of rpc::Server sees of a gRPC call, unary or streaming: head, messages in, messages out, an end.
//
// A call lives on the loop of its connection. Everything here runs on that loop, except Call::run(), which brings
// completions of other threads there. A Call may outlive its stream (completions hold it): then it is not open(), and
// send() and finish() do nothing. Messages are opaque bytes; who encodes them leaves kMessagePrefix bytes in front, so
// that a reply is never copied to make room for gRPC's five (gRPC over HTTP/2, "Length-Prefixed-Message").
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/rpc/budget.h"
#include "base/function.h"
#include "base/status.h"

namespace clew::api::rpc {

class Connection;
struct Shared;
struct Lane;
class Call;

constexpr size_t kMessagePrefix = 5;
inline std::string begin_message() { return std::string(kMessagePrefix, '\0'); }

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct CallHead {
  using Clock = std::chrono::steady_clock;
  std::string path;   // "/package.Service/Method"
  Metadata metadata;  // the client's own, names in lower case; in order of arrival
  Clock::time_point deadline = Clock::time_point::max();
  std::string_view find(std::string_view name) const;  // the first value, or empty; borrowed
  int64_t remaining_ns(int64_t most) const;            // until the deadline, at least 1, at most `most`
};

// One call's logic. Destroyed on the loop when the call ends, by whatever cause: what it waits for is then cancelled.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void on_message(std::string_view message) = 0;  // borrowed until it returns
  virtual void on_client_done() {}                        // no further message comes
  virtual void on_room() {}                               // unsent() has fallen to 0
  virtual void on_drain() {}                              // the server is about to stop: a stream should end now
};

class Service {
 public:
  virtual ~Service() = default;
  // Who calls, by the head alone, before anything is kept for the call: somebody known, or somebody who need not say
  // who he is, and shares a small part of the budget with all such. An error ends the call.
  virtual Result<Caller> judge(const CallHead& /*head*/) { return Caller::kKnown; }
  // A call begins; null: it was finished already, or has no use for messages.
  virtual std::unique_ptr<Handler> on_call(const std::shared_ptr<Call>& call) = 0;
  virtual Error overload() const = 0;                           // how a call is refused when the server holds too much
  virtual Error too_large(size_t size, size_t most) const = 0;  // how a message above the limit is
};

class Call final : public std::enable_shared_from_this<Call> {
 public:
  // --- On the call's loop ---
  const CallHead& head() const { return head_; }
  bool open() const { return connection_ != nullptr && !finished_; }
  // `message` begins with kMessagePrefix bytes that this fills.
  void send(std::string message);
  void add_trailer(std::string name, std::string value);  // before finish(); names in lower case
  void finish(const Status& status);                      // after what was sent; the handler may be gone on return
  size_t unsent() const { return unsent_; }               // bytes that were sent and did not yet leave
  // The server holds as much for the likes of this caller as it may.
  bool overloaded() const;

  // --- Any thread ---
  // Runs `task` on the loop: at once when this is its thread. Dropped when the call is not open any more.
  void run(UniqueFunction<void(Call&)> task);

  // For Connection and Shared alone.
  Call(std::shared_ptr<Shared> shared, Lane& lane, Connection& connection, int32_t stream);
  ~Call();
  void accept(UniqueFunction<void(Call&)>& task);
  void expire();  // the deadline has passed
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  friend class Connection;

  Budget& budget() const;
  void hold(size_t bytes);
  void release(size_t bytes);

  const std::shared_ptr<Shared> shared_;
  Lane& lane_;
  Connection* connection_;  // null: the stream is gone
  const int32_t stream_;
  CallHead head_;
  size_t head_bytes_ = 0;
  Caller caller_ = Caller::kStranger;
  bool begun_ = false;  // the head is complete
  bool post_ = false;   // :method
  bool grpc_ = false;   // content-type
  bool client_done_ = false;
  bool responding_ = false;  // response headers were submitted
  bool deferred_ = false;    // the library waits for resume
  bool finished_ = false;    // by finish(); the trailers follow the last message
  bool heard_ = false;       // a whole message
  bool in_handler_ = false;  // the handler must not be destroyed under itself
  bool counted_ = false;     // among the server's open calls
  std::unique_ptr<Handler> handler_;
  std::string in_;  // an incomplete message with its prefix
  std::deque<std::string> out_;
  size_t out_offset_ = 0;  // of the first
  size_t unsent_ = 0;
  size_t held_ = 0;   // of the budget
  size_t fixed_ = 0;  // of that until the stream is gone: the head, and what a call is by itself
  Error end_{Code::kOk, {}};
  Metadata trailers_;
  CallHead::Clock::time_point progress_;  // when bytes last left
  CallHead::Clock::time_point since_;     // when the message that is not complete was first waited for
};

}  // namespace clew::api::rpc
