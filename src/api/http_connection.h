// HttpConnection: one client of an HttpServer, from accept to close, on one loop. Not used by anyone but HttpServer.
//
// States: handshake → idle → head → body → handling → writing → idle …; a refused request whose body is still to come
// is answered at once, then `discard` reads the rest away (small) or `linger` half-closes and drops what comes (large),
// so that the client reads the answer instead of a reset. At most one read and one write are outstanding; nothing is
// read while a request is handled. Deadlines are a field that the loop's sweep compares, so a request costs no timer.
#pragma once

#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "api/http_service.h"
#include "api/listener_shared.h"
#include "api/tls.h"

namespace clew::api {

struct HttpShared;  // http_shared.h: settings, counters and the service, shared by all connections of a server
struct HttpLane;    // the connections of one loop

class HttpConnection final : public std::enable_shared_from_this<HttpConnection>, private HttpHead {
 public:
  HttpConnection(std::shared_ptr<HttpShared> shared, HttpLane& lane, ServerSocket socket);
  ~HttpConnection();

  void start();
  // The sweep of the loop; closes the connection when its deadline has passed.
  void check_deadline(std::chrono::steady_clock::time_point now);
  // No further request: an idle connection closes now, a busy one after its reply.
  void drain();
  void close();

 private:
  enum class State : uint8_t {
    kHandshake,
    kIdle,
    kHead,
    kBody,
    kChunks,
    kHandling,
    kWriting,
    kDiscard,
    kLinger,
    kClosed
  };
  using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
  using Clock = std::chrono::steady_clock;

  // HttpHead
  std::string_view method() const override;
  std::string_view target() const override;
  std::string_view header(std::string_view name) const override;
  void each_header(const std::function<void(std::string_view, std::string_view)>& visit) const override;
  std::optional<uint64_t> content_length() const override;
  const std::string& remote() const override { return remote_; }

  void deadline_in(uint32_t ms) { deadline_ = Clock::now() + std::chrono::milliseconds(ms); }
  void no_deadline() { deadline_ = Clock::time_point::max(); }
  template <typename Handler>
  void read_some(char* data, size_t size, Handler handler);
  void read_input();  // more bytes into in_
  void on_input(size_t bytes);
  void parse_head();
  void on_head();
  void begin_body();
  void read_body();
  void parse_chunks();
  void run_call();
  bool preflight();
  void refuse(HttpResponse response);  // answers before the body was read
  void malformed(int status, std::string_view message);
  void respond(HttpResponse response);
  void write_reply();
  void after_reply();
  void discard();
  void linger();
  void linger_more(bool ended);
  void read_lost();  // EOF or error while reading

  std::shared_ptr<HttpShared> shared_;
  HttpLane& lane_;
  ServerSocket socket_;
  SslContext tls_context_;
  std::optional<boost::asio::ssl::stream<ServerSocket&>> tls_;
  std::string remote_;

  State state_ = State::kHandshake;
  bool draining_ = false;
  Clock::time_point deadline_;
  Clock::time_point handling_since_;

  std::unique_ptr<char[]> in_;  // bytes received and not yet used: [begin_, end_)
  size_t in_capacity_ = 0, begin_ = 0, end_ = 0;
  std::optional<Parser> parser_;

  // The request being served.
  std::unique_ptr<HttpCall> call_;
  std::string body_;
  size_t body_size_ = 0, body_filled_ = 0;
  uint64_t rest_ = 0;  // body bytes still to come when it is not wanted
  bool head_only_ = false, keep_alive_ = true, half_closed_ = false, expects_continue_ = false;
  std::string cors_lines_;
  HttpResponse reply_;
  std::string reply_head_;
  size_t reply_sent_ = 0;
};

}  // namespace clew::api
