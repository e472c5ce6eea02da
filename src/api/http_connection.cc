#include "api/http_connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <cstring>

#include "api/http_shared.h"
#include "api/text.h"

namespace clew::api {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr size_t kInputBytes = 16u << 10;  // holds usual heads, and what comes after the head in the same segment
constexpr size_t kFirstBodyBytes =
    1u << 20;  // bodies up to this get their final size at once, larger ones when so much of them has come
constexpr uint64_t kDiscardBytes = 1u << 20;  // unwanted bodies up to this are read away to keep the connection
constexpr uint32_t kLingerMs = 2000;
constexpr size_t kJoinBytes = 8u << 10;  // replies up to this are one buffer, one segment

}  // namespace

HttpResponse plain_failure(int status, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::string(message) + "\n";
  return response;
}

HttpConnection::HttpConnection(std::shared_ptr<HttpShared> shared, HttpLane& lane, ServerSocket socket)
    : shared_(std::move(shared)), lane_(lane), socket_(std::move(socket)), tls_context_(shared_->tls.current()) {
  lane_.connections.insert(this);
  no_deadline();
}

HttpConnection::~HttpConnection() { close(); }

void HttpConnection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  ErrorCode ignored;
  socket_.close(ignored);
  call_.reset();
  lane_.connections.erase(this);
  lane_.open.fetch_sub(1, std::memory_order_relaxed);
  shared_->connection_gone();
}

void HttpConnection::start() {
  ErrorCode error;
  const auto peer = socket_.remote_endpoint(error);
  if (error) return close();
  remote_ = peer.address().is_v6() ? "[" + peer.address().to_string() + "]" : peer.address().to_string();
  remote_ += ":" + std::to_string(peer.port());
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  socket_.non_blocking(true, error);
  if (error) return close();
  in_capacity_ = std::min<size_t>(kInputBytes, std::max<size_t>(shared_->options.limits.max_header_bytes, 1024));
  in_ = std::make_unique_for_overwrite<char[]>(in_capacity_);
  if (tls_context_ == nullptr) {
    state_ = State::kIdle;
    deadline_in(shared_->options.limits.request_timeout_ms);
    return read_input();
  }
  tls_.emplace(socket_, *tls_context_);
  deadline_in(shared_->options.limits.handshake_timeout_ms);
  tls_->async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](ErrorCode failed) {
    if (self->state_ == State::kClosed) return;
    if (failed) {
      self->shared_->counters.tls_failures.fetch_add(1, std::memory_order_relaxed);
      return self->close();
    }
    self->state_ = State::kIdle;
    self->deadline_in(self->shared_->options.limits.request_timeout_ms);
    self->read_input();
  });
}

void HttpConnection::check_deadline(Clock::time_point now) {
  if (now < deadline_ || state_ == State::kClosed) return;
  shared_->counters.timeouts.fetch_add(state_ == State::kLinger ? 0 : 1, std::memory_order_relaxed);
  if (state_ == State::kHead || state_ == State::kBody || state_ == State::kChunks) {
    // The client is told why, should it still listen; the read that is under way ends with the connection.
    if (tls_.has_value()) return close();
    keep_alive_ = false;
    HttpResponse response = call_ != nullptr ? call_->failure(408, "the request took too long to arrive")
                                             : plain_failure(408, "the request took too long to arrive");
    state_ = State::kWriting;
    return respond(std::move(response));
  }
  close();
}

void HttpConnection::drain() {
  draining_ = true;
  if (state_ == State::kHandshake || (state_ == State::kIdle && begin_ == end_)) close();
}

// ---- HttpHead

std::string_view HttpConnection::method() const {
  const auto text = parser_->get().method_string();
  return {text.data(), text.size()};
}
std::string_view HttpConnection::target() const {
  const auto text = parser_->get().target();
  return {text.data(), text.size()};
}
std::string_view HttpConnection::header(std::string_view name) const {
  const auto& fields = parser_->get();
  const auto found = fields.find(boost::beast::string_view(name.data(), name.size()));
  return found == fields.end() ? std::string_view() : std::string_view(found->value().data(), found->value().size());
}
void HttpConnection::each_header(const std::function<void(std::string_view, std::string_view)>& visit) const {
  for (const auto& field : parser_->get()) {
    visit({field.name_string().data(), field.name_string().size()}, {field.value().data(), field.value().size()});
  }
}
std::optional<uint64_t> HttpConnection::content_length() const {
  const auto length = parser_->content_length();
  if (!length) return std::nullopt;
  return *length;
}

// ---- Receiving

template <typename Handler>
void HttpConnection::read_some(char* data, size_t size, Handler handler) {
  auto completion = [self = shared_from_this(), handler](ErrorCode error, size_t bytes) {
    if (self->state_ == State::kClosed) return;
    handler(*self, error, bytes);
  };
  if (tls_.has_value()) {
    tls_->async_read_some(asio::buffer(data, size), std::move(completion));
  } else {
    socket_.async_read_some(asio::buffer(data, size), std::move(completion));
  }
}

void HttpConnection::read_input() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == in_capacity_ && begin_ > 0) {
    std::memmove(in_.get(), in_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == in_capacity_) {
    const size_t most = std::max<size_t>(shared_->options.limits.max_header_bytes, kInputBytes);
    if (in_capacity_ >= most) return malformed(431, "a line or field of the request is longer than this server reads");
    const size_t grown = std::min(most, in_capacity_ * 2);
    auto larger = std::make_unique_for_overwrite<char[]>(grown);
    std::memcpy(larger.get(), in_.get(), end_);
    in_ = std::move(larger);
    in_capacity_ = grown;
  }
  read_some(in_.get() + end_, in_capacity_ - end_, [](HttpConnection& c, ErrorCode error, size_t bytes) {
    if (error) {
      if (error == asio::error::eof) c.half_closed_ = true;
      return c.read_lost();
    }
    c.end_ += bytes;
    c.on_input(bytes);
  });
}

void HttpConnection::on_input(size_t) {
  switch (state_) {
    case State::kIdle:
      // Empty lines before a request are skipped (RFC 9112 §2.2).
      while (begin_ < end_ && (in_[begin_] == '\r' || in_[begin_] == '\n')) ++begin_;
      if (begin_ == end_) return read_input();
      state_ = State::kHead;
      parser_.emplace();
      parser_->header_limit(shared_->options.limits.max_header_bytes);
      parser_->body_limit(UINT64_MAX);  // begin_body() and parse_chunks() check what their call allows
      deadline_in(shared_->options.limits.request_timeout_ms);
      return parse_head();
    case State::kHead:
      return parse_head();
    case State::kChunks:
      return parse_chunks();
    case State::kDiscard:
      return discard();
    default:  // a deadline has answered meanwhile
      return;
  }
}

void HttpConnection::parse_head() {
  ErrorCode error;
  begin_ += parser_->put(asio::const_buffer(in_.get() + begin_, end_ - begin_), error);
  if (error == beast_http::error::need_more) return read_input();
  if (error == beast_http::error::header_limit) {
    return malformed(431, "the request's head is larger than " +
                              std::to_string(shared_->options.limits.max_header_bytes) + " bytes");
  }
  if (error) return malformed(400, "not an HTTP/1.1 request: " + error.message());
  if (!parser_->is_header_done()) return read_input();
  on_head();
}

void HttpConnection::on_head() {
  const auto& message = parser_->get();
  shared_->counters.requests.fetch_add(1, std::memory_order_relaxed);
  keep_alive_ = message.keep_alive() && !draining_;
  head_only_ = message.method() == beast_http::verb::head;
  cors_lines_.clear();
  expects_continue_ = false;
  const bool chunked = parser_->chunked();
  rest_ = chunked ? UINT64_MAX : content_length().value_or(0);
  if (message.version() >= 11 && message.find(beast_http::field::host) == message.end()) {
    return malformed(400, "the Host header is missing");
  }
  if (const std::string_view expect = header("Expect"); !expect.empty()) {
    if (!equals_ignoring_case(expect, "100-continue"))
      return refuse(plain_failure(417, "only 'Expect: 100-continue' is understood"));
    expects_continue_ = message.version() >= 11;
  }
  if (preflight()) return;
  HttpService::Decision decision = shared_->service.on_head(*this);
  if (decision.call == nullptr) return refuse(std::move(decision.refusal));
  call_ = std::move(decision.call);
  begin_body();
}

// A CORS preflight is answered here, for every path: it carries no credentials and reaches no handler.
bool HttpConnection::preflight() {
  if (!shared_->cors.enabled()) return false;
  const std::string_view origin = header("Origin");
  if (origin.empty()) return false;
  if (parser_->get().method() == beast_http::verb::options && !header("Access-Control-Request-Method").empty()) {
    cors_lines_ = shared_->cors.preflight_lines(origin, header("Access-Control-Request-Headers"));
    HttpResponse response;
    response.status = 204;
    refuse(std::move(response));
    return true;
  }
  cors_lines_ = shared_->cors.reply_lines(origin);
  return false;
}

void HttpConnection::begin_body() {
  const uint64_t limit = call_->max_body_bytes();
  body_filled_ = 0;
  if (parser_->chunked()) {
    state_ = State::kChunks;
    body_.clear();
    body_size_ = 0;
    parser_->eager(true);
  } else {
    const uint64_t length = content_length().value_or(0);
    if (length > limit) {
      return refuse(call_->failure(413, "the body of " + std::to_string(length) +
                                            " bytes is larger than the limit of " + std::to_string(limit)));
    }
    if (auto refusal = call_->reserve(length)) return refuse(std::move(*refusal));
    state_ = State::kBody;
    body_size_ = length;
    if (length == 0) return run_call();
    body_ = shared_->pool->take(std::min<size_t>(body_size_, kFirstBodyBytes));
    body_filled_ = std::min({body_size_, end_ - begin_, body_.size()});
    std::memcpy(body_.data(), in_.get() + begin_, body_filled_);
    begin_ += body_filled_;
    rest_ = body_size_ - body_filled_;
    if (rest_ == 0) return run_call();
  }
  if (expects_continue_ && body_filled_ == 0 && begin_ == end_) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    auto next = [self = shared_from_this()](ErrorCode error, size_t) {
      if (self->state_ == State::kBody) return error ? self->close() : self->read_body();
      if (self->state_ == State::kChunks) return error ? self->close() : self->read_input();
    };
    if (tls_.has_value()) {
      asio::async_write(*tls_, asio::buffer(kContinue), std::move(next));
    } else {
      asio::async_write(socket_, asio::buffer(kContinue), std::move(next));
    }
    return;
  }
  if (state_ == State::kBody) return read_body();
  parse_chunks();
}

void HttpConnection::read_body() {
  // All of it was reserved; growing step by step would hold two buffers at a time.
  if (body_filled_ == body_.size()) body_.resize(body_size_);
  read_some(body_.data() + body_filled_, body_.size() - body_filled_,
            [](HttpConnection& c, ErrorCode error, size_t bytes) {
              if (error) {
                if (error == asio::error::eof) c.half_closed_ = true;
                return c.read_lost();
              }
              if (c.state_ != State::kBody) return;  // a deadline has answered meanwhile
              c.body_filled_ += bytes;
              c.rest_ -= bytes;
              if (c.rest_ == 0) return c.run_call();
              c.read_body();
            });
}

void HttpConnection::parse_chunks() {
  const uint64_t limit = call_->max_body_bytes();
  for (;;) {
    auto& window = parser_->get().body();
    const size_t room = body_.size() - body_filled_;
    window.data = body_.data() + body_filled_;
    window.size = room;
    window.more = true;
    ErrorCode error;
    begin_ += parser_->put(asio::const_buffer(in_.get() + begin_, end_ - begin_), error);
    body_filled_ += room - window.size;
    if (parser_->is_done()) {
      rest_ = 0;
      body_.resize(body_filled_);
      return run_call();
    }
    if (error == beast_http::error::need_buffer) {
      if (body_filled_ < body_.size()) continue;
      if (body_.size() >= limit)
        return refuse(call_->failure(413, "the body is larger than the limit of " + std::to_string(limit) + " bytes"));
      const uint64_t next = std::min<uint64_t>(limit, std::max<uint64_t>(kInputBytes, body_.size() * 2));
      // While it grows, the old buffer is there beside the new one.
      if (auto refusal = call_->reserve(next + body_.size())) return refuse(std::move(*refusal));
      if (body_.empty()) {
        body_ = shared_->pool->take(next);
      } else {
        body_.resize(next);
      }
      continue;
    }
    if (error && error != beast_http::error::need_more) {
      return malformed(400, "the chunked body is broken: " + error.message());
    }
    if (error == beast_http::error::need_more || begin_ == end_) return read_input();
  }
}

void HttpConnection::read_lost() {
  const bool within_request = state_ == State::kHead || state_ == State::kBody || state_ == State::kChunks;
  if (within_request && half_closed_) return malformed(400, "the connection ended before the request did");
  close();
}

// ---- Answering

void HttpConnection::run_call() {
  state_ = State::kHandling;
  no_deadline();
  handling_since_ = Clock::now();
  static const std::shared_ptr<const std::string> kEmpty = std::make_shared<const std::string>();
  auto body = body_size_ == 0 && body_filled_ == 0 ? kEmpty : shared_->pool->share(std::move(body_));
  body_ = std::string();
  const std::unique_ptr<HttpCall> call = std::move(call_);
  // Answers exactly once, also when the handler drops its completion.
  struct Reply {
    explicit Reply(std::shared_ptr<HttpConnection> c) : connection(std::move(c)) {}
    Reply(Reply&&) = default;
    ~Reply() {
      if (connection != nullptr) (*this)(plain_failure(500, "the request was dropped by its handler"));
    }
    void operator()(HttpResponse response) {
      if (connection == nullptr) return;
      auto executor = connection->socket_.get_executor();
      asio::dispatch(executor,
                     [c = std::move(connection), r = std::move(response)]() mutable { c->respond(std::move(r)); });
    }
    std::shared_ptr<HttpConnection> connection;
  };
  call->run(std::move(body), Reply(shared_from_this()));
}

void HttpConnection::malformed(int status, std::string_view message) {
  shared_->counters.bad_requests.fetch_add(1, std::memory_order_relaxed);
  keep_alive_ = false;
  HttpResponse response = call_ != nullptr ? call_->failure(status, message) : plain_failure(status, message);
  refuse(std::move(response));
}

void HttpConnection::refuse(HttpResponse response) {
  // What has come of the body already is in in_ or body_; what is still to come decides whether the connection lasts.
  if (rest_ == UINT64_MAX) {
    keep_alive_ = false;
  } else if (state_ == State::kHead) {
    const uint64_t here = std::min<uint64_t>(rest_, end_ - begin_);
    begin_ += here;
    rest_ -= here;
  }
  if (rest_ > kDiscardBytes || (rest_ > 0 && expects_continue_)) keep_alive_ = false;
  call_.reset();
  shared_->pool->give(std::move(body_));
  body_ = std::string();
  state_ = State::kWriting;
  respond(std::move(response));
}

void HttpConnection::respond(HttpResponse response) {
  if (state_ == State::kClosed) return;
  if (state_ == State::kHandling) shared_->counters.durations.add(Clock::now() - handling_since_);
  state_ = State::kWriting;
  keep_alive_ = keep_alive_ && !draining_;
  reply_ = std::move(response);
  shared_->counters.responses[std::clamp(reply_.status / 100, 0, 5)].fetch_add(1, std::memory_order_relaxed);
  const bool bodiless = reply_.status == 204 || reply_.status == 304;
  std::string& head = reply_head_;
  head.clear();
  head += "HTTP/1.1 ";
  head += std::to_string(reply_.status);
  head += ' ';
  head += http_reason(reply_.status);
  if (!bodiless) {
    head += "\r\nContent-Type: ";
    head += reply_.content_type;
    head += "\r\nContent-Length: ";
    head += std::to_string(reply_.body.size());
  }
  head += "\r\n";
  for (const auto& [name, value] : reply_.headers) {
    head += name;
    head += ": ";
    head += value;
    head += "\r\n";
  }
  head += cors_lines_;
  if (!keep_alive_) {
    head += "Connection: close\r\n";
  } else if (parser_.has_value() && parser_->get().version() < 11) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  if (head_only_ || bodiless) reply_.body.clear();
  if (reply_.body.size() <= kJoinBytes) {
    head += reply_.body;
    reply_.body.clear();
  }
  reply_sent_ = 0;
  write_reply();
}

void HttpConnection::write_reply() {
  const size_t total = reply_head_.size() + reply_.body.size();
  for (;;) {
    if (reply_sent_ == total) return after_reply();
    std::array<asio::const_buffer, 2> parts;
    if (reply_sent_ < reply_head_.size()) {
      parts[0] = asio::buffer(reply_head_) + reply_sent_;
      parts[1] = asio::buffer(reply_.body);
    } else {
      parts[0] = asio::buffer(reply_.body) + (reply_sent_ - reply_head_.size());
    }
    if (!tls_.has_value()) {  // usually the socket takes it all: no round through the reactor
      ErrorCode error;
      const size_t bytes = socket_.write_some(parts, error);
      if (!error) {
        reply_sent_ += bytes;
        continue;
      }
      if (error != asio::error::would_block && error != asio::error::try_again) return close();
    }
    deadline_in(shared_->options.limits.write_timeout_ms);
    auto next = [self = shared_from_this()](ErrorCode error, size_t bytes) {
      if (self->state_ == State::kClosed) return;
      if (error) return self->close();
      self->reply_sent_ += bytes;
      self->write_reply();
    };
    if (tls_.has_value()) {
      tls_->async_write_some(parts, std::move(next));
    } else {
      socket_.async_write_some(parts, std::move(next));
    }
    return;
  }
}

void HttpConnection::after_reply() {
  reply_.body = std::string();
  reply_.headers.clear();
  parser_.reset();
  if (!keep_alive_ || half_closed_ || draining_) return linger();
  head_only_ = false;
  if (rest_ > 0) {
    state_ = State::kDiscard;
    deadline_in(shared_->options.limits.request_timeout_ms);
    return discard();
  }
  state_ = State::kIdle;
  deadline_in(shared_->options.limits.idle_timeout_ms);
  if (begin_ == end_) return read_input();
  // A pipelined request is here already; by way of the queue, so that a long pipeline neither nests nor starves others.
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->state_ == State::kIdle) self->on_input(0);
  });
}

void HttpConnection::discard() {
  const uint64_t here = std::min<uint64_t>(rest_, end_ - begin_);
  begin_ += here;
  rest_ -= here;
  if (rest_ > 0) return read_input();
  state_ = State::kIdle;
  deadline_in(shared_->options.limits.idle_timeout_ms);
  if (begin_ == end_) return read_input();
  on_input(0);
}

void HttpConnection::linger() {
  state_ = State::kLinger;
  deadline_in(kLingerMs);
  if (half_closed_) return close();
  if (tls_.has_value()) {
    tls_->async_shutdown([self = shared_from_this()](ErrorCode) { self->close(); });
    return;
  }
  ErrorCode error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  if (error) return close();
  begin_ = end_ = 0;
  read_some(in_.get(), in_capacity_,
            [](HttpConnection& c, ErrorCode failed, size_t) { c.linger_more(static_cast<bool>(failed)); });
}

void HttpConnection::linger_more(bool ended) {
  if (ended) return close();
  read_some(in_.get(), in_capacity_,
            [](HttpConnection& c, ErrorCode failed, size_t) { c.linger_more(static_cast<bool>(failed)); });
}

}  // namespace clew::api
