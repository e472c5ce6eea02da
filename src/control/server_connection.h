// One client of a Server: for server.cc and server_connection.cc only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "control/frames.h"
#include "control/messages.h"
#include "control/server.h"
#include "control/service.h"

namespace clew::control {

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  ServerConnection(Server& server, uint64_t number, std::unique_ptr<env::Stream> stream);
  void start();
  void flush();
  void sweep(int64_t now);
  void leave();  // tells the client to go elsewhere; new requests are refused
  void close();  // for good, without a word; from the server only
  void refuse(Refusal why);

  bool ready() const { return ready_; }
  bool settled() const { return in_flight_ == 0 && unsent() == 0; }
  size_t in_flight() const { return in_flight_; }
  size_t streams() const { return streams_.size(); }

 private:
  // A client's watches, or a snapshot on its way to it.
  struct Stream {
    uint64_t id = 0;
    std::unique_ptr<WatchStream> watch;
    std::unique_ptr<Service::SnapshotStream> snapshot;
    int64_t credit = 0;
    size_t unanswered = 0;
    bool asking = false;    // a next() is under way
    bool in_parts = false;  // what it sent last is still going out
  };
  struct LongAnswer {
    MessageKind kind;
    uint64_t id;
    std::string bytes;
    size_t sent = 0;
  };

  void on_bytes(std::string_view bytes);
  void on_closed();
  void on_frame(std::string_view body);
  void on_hello(std::string_view body);
  void on_message(const Message& message);
  void on_request(const Message& message);
  void on_stream_message(const Message& message);
  void open_stream(const Message& message);
  void execute(uint64_t id, std::string_view bytes, CallOptions options);

  template <typename T>
  Done<T> answer(uint64_t id, bool is_long = false);
  template <typename T>
  void answered(uint64_t id, bool is_long, std::variant<T, CallError> result);
  // Runs `then` on the server's loop if the connection is still there; from any thread.
  template <typename F>
  void on_loop(F then);

  void pull(Stream& stream);
  void pulled(uint64_t id, std::variant<std::vector<kv::WatchResponse>, CallError> result);
  void pulled(uint64_t id, std::variant<std::string, CallError> result);
  void end_stream(uint64_t id, const CallError& error);

  void encode_elsewhere(uint64_t id, CallReply reply);
  void send_long(MessageKind kind, uint64_t id, std::string bytes);
  template <typename Body>
  void send(MessageKind kind, uint64_t id, const Body& body);
  void send_error(uint64_t id, Code code, std::string message);
  void send_parts();
  uint64_t unsent() const;
  bool full() const;
  void make_progress();
  void pause(bool on);

  Server& server_;  // valid until closed_
  env::Loop& loop_;
  const uint64_t number_;
  std::unique_ptr<env::Stream> stream_;
  consensus::FrameReader reader_{kMaxHelloBytes};
  std::deque<std::string> waiting_;  // frames that came before reading stopped
  Batch batch_;
  std::deque<LongAnswer> long_answers_;
  uint64_t long_bytes_ = 0;  // of them, not yet sent
  std::map<uint64_t, Stream> streams_;
  size_t in_flight_ = 0;
  size_t long_in_flight_ = 0;
  int64_t since_;
  int64_t heard_at_;
  int64_t written_at_;
  int64_t taken_at_;
  uint64_t written_bytes_ = 0;
  uint64_t taken_bytes_ = 0;  // of them, when it was looked last
  bool ready_ = false;
  bool member_ = false;
  bool leaving_ = false;
  bool paused_ = false;
  bool working_ = false;  // make_progress() is running
  bool unflushed_ = false;
  bool closed_ = false;
  friend class Server;
};

}  // namespace clew::control
