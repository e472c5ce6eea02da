// Connection: one HTTP/2 client of an rpc::Server, from accept to close, on one loop. Internal to rpc::Server.
//
// nghttp2 is a pure core here: bytes read go into it, callbacks say what they meant, and flush() takes out what is to
// be written. At most one read and one write are outstanding; no more than kOutputBytes are taken out ahead of the
// socket, so that what a slow client is owed waits as messages in its calls, which are bounded and counted.
#pragma once

#include <nghttp2/nghttp2.h>

#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/rpc/call.h"
#include "api/rpc/shared.h"
#include "api/tls.h"

namespace clew::api::rpc {

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;
  Connection(std::shared_ptr<Shared> shared, Lane& lane, ServerSocket socket);
  ~Connection();

  void start();
  void sweep(Clock::time_point now);  // once a second
  void drain();
  void close();
  void flush();  // writes what there is to write

  // --- For Call ---
  void want_flush();
  void send_ready(Call& call);
  void finish(Call& call);
  void expire(Call& call);  // its deadline has passed

  void run(Call& call, UniqueFunction<void(Call&)>& task);  // for Call::run()

 private:
  struct Callbacks;  // nghttp2's, connection.cc

  void begin_session();
  void read();
  void read_on();  // unless too much is owed
  bool provoked_too_often();
  void on_bytes(const uint8_t* data, size_t size);
  void write();
  void not_http2();

  int on_header(Call& call, std::string_view name, std::string_view value);
  void on_head(Call& call);
  void on_data(Call& call, const uint8_t* data, size_t size);
  bool message_complete(Call& call, std::string_view prefixed);
  void on_client_done(Call& call);
  void on_stream_closed(int32_t stream);
  ssize_t produce(Call& call, uint8_t* to, size_t size, uint32_t* flags);
  void respond(Call& call);
  void submit_trailers(Call& call);
  void count_end(Call& call);
  void handler_gone(Call& call);
  template <typename Visit>
  void in_handler(Call& call, Visit visit);

  const std::shared_ptr<Shared> shared_;
  Lane& lane_;
  ServerSocket socket_;
  SslContext tls_context_;
  std::optional<boost::asio::ssl::stream<ServerSocket&>> tls_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, std::shared_ptr<Call>> calls_;

  std::unique_ptr<uint8_t[]> input_;
  std::string output_;  // being written
  std::vector<std::weak_ptr<Call>> with_room_;
  bool greeted_ = false;  // the client has said something: nothing is written before
  bool reading_ = false, paused_ = false;
  bool writing_ = false, dirty_ = false, draining_ = false, closed_ = false;
  bool receiving_ = false;  // inside nghttp2's receive: no flush from within
  bool close_after_write_ = false;
  Clock::time_point heard_, wrote_;
  Clock::time_point ping_sent_;
  bool pinged_ = false;  // and not heard of since
  // Resets that the client's faults made us send: what may still come at once, and as of when.
  double resets_left_;
  Clock::time_point resets_as_of_;
};

}  // namespace clew::api::rpc
