#include "api/rpc/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/write.hpp>

#include "api/rpc/wire.h"
#include "base/check.h"

namespace clew::api::rpc {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

constexpr size_t kInputBytes = 16u << 10;
constexpr size_t kOutputBytes = 128u << 10;  // taken out ahead of the socket
constexpr int32_t kStreamWindow = 1 << 20;
constexpr int32_t kConnectionWindow = 8 << 20;
constexpr size_t kMaxHeadBytes = 32u << 10;
// Clients under a deadline do reset what they give up. Resets that a client makes us send ("MadeYouReset",
// CVE-2025-8671) cost as much, and are bounded alike.
constexpr uint64_t kResetBurst = 10'000, kResetRate = 1'000;  // and so many a second
// Frames that wait for a client that takes nothing: above, nothing is read from it until it has taken some. Of such
// connections so many are borne; a further one is closed.
constexpr size_t kMaxOwedFrames = 1'024;
constexpr uint64_t kMaxPaused = 256;

nghttp2_nv fixed(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}
nghttp2_nv copied(std::string_view name, std::string_view value, uint8_t flags = NGHTTP2_NV_FLAG_NONE) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), flags};
}

}  // namespace

struct Connection::Callbacks {
  static Connection& self(void* user) { return *static_cast<Connection*>(user); }
  static Call* call(nghttp2_session* session, int32_t stream) {
    return static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
  }

  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    Connection& connection = self(user);
    auto call = std::make_shared<Call>(connection.shared_, connection.lane_, connection, frame->hd.stream_id);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call.get());
    connection.calls_.emplace(frame->hd.stream_id, std::move(call));
    return 0;
  }

  static int header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t /*flags*/, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    Call* of = call(session, frame->hd.stream_id);
    if (of == nullptr) return 0;
    return self(user).on_header(*of, {reinterpret_cast<const char*>(name), name_size},
                                {reinterpret_cast<const char*>(value), value_size});
  }

  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Connection& connection = self(user);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) connection.pinged_ = false;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Call* of = call(session, frame->hd.stream_id);
    if (of == nullptr) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) connection.on_head(*of);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) connection.on_client_done(*of);
    return connection.closed_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int data(nghttp2_session* session, uint8_t /*flags*/, int32_t stream, const uint8_t* bytes, size_t size,
                  void* user) {
    Call* of = call(session, stream);
    if (of != nullptr) self(user).on_data(*of, bytes, size);
    return self(user).closed_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int stream_closed(nghttp2_session* /*session*/, int32_t stream, uint32_t /*error*/, void* user) {
    self(user).on_stream_closed(stream);
    return 0;
  }

  // A call that ended before its client did: the client need not go on.
  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
        frame->rst_stream.error_code != NGHTTP2_CANCEL && self(user).provoked_too_often()) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    const Call* of = call(session, frame->hd.stream_id);
    if (of != nullptr && !of->client_done_) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static ssize_t read_data(nghttp2_session* /*session*/, int32_t /*stream*/, uint8_t* to, size_t size, uint32_t* flags,
                           nghttp2_data_source* source, void* user) {
    return self(user).produce(*static_cast<Call*>(source->ptr), to, size, flags);
  }
};

Connection::Connection(std::shared_ptr<Shared> shared, Lane& lane, ServerSocket socket)
    : shared_(std::move(shared)), lane_(lane), socket_(std::move(socket)), tls_context_(shared_->tls.current()) {
  lane_.connections.insert(this);
  heard_ = wrote_ = resets_as_of_ = Clock::now();
  resets_left_ = kResetBurst;
}

Connection::~Connection() {
  close();
  if (session_ != nullptr) nghttp2_session_del(session_);
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  if (std::exchange(paused_, false)) shared_->counters.paused.fetch_sub(1);
  ErrorCode ignored;
  socket_.close(ignored);
  while (!calls_.empty()) on_stream_closed(calls_.begin()->first);
  lane_.connections.erase(this);
  lane_.open.fetch_sub(1, std::memory_order_relaxed);
  shared_->connection_gone();
}

void Connection::start() {
  ErrorCode error;
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  socket_.non_blocking(true, error);
  if (error) return close();
  if (tls_context_ == nullptr) return begin_session();
  tls_.emplace(socket_, *tls_context_);
  tls_->async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](ErrorCode failed) {
    if (self->closed_) return;
    if (failed) {
      self->shared_->counters.tls_failures.fetch_add(1, std::memory_order_relaxed);
      return self->close();
    }
    self->begin_session();
  });
}

void Connection::begin_session() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  CHECK(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame_received);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::stream_closed);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Callbacks::frame_sent);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_stream_reset_rate_limit(option, kResetBurst, kResetRate);
  const int made = nghttp2_session_server_new2(&session_, callbacks, this, option);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
  CHECK(made == 0);
  const std::array<nghttp2_settings_entry, 3> settings = {
      {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, shared_->options.max_concurrent_streams},
       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(kStreamWindow)},
       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(kMaxHeadBytes)}}};
  CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  CHECK(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow) == 0);
  input_ = std::make_unique_for_overwrite<uint8_t[]>(kInputBytes);
  read();
}

// ---- Receiving

void Connection::read() {
  reading_ = true;
  auto completion = [self = shared_from_this()](ErrorCode error, size_t size) {
    self->reading_ = false;
    if (self->closed_) return;
    if (error) return self->close();
    self->on_bytes(self->input_.get(), size);
    self->read_on();
  };
  const asio::mutable_buffer buffer(input_.get(), kInputBytes);
  if (tls_.has_value()) {
    tls_->async_read_some(buffer, std::move(completion));
  } else {
    socket_.async_read_some(buffer, std::move(completion));
  }
}

void Connection::read_on() {
  if (closed_ || close_after_write_ || reading_) return;
  const bool owes = writing_ && nghttp2_session_get_outbound_queue_size(session_) > kMaxOwedFrames;
  if (std::exchange(paused_, owes) != owes) {
    if (!owes) {
      shared_->counters.paused.fetch_sub(1);
    } else if (shared_->counters.paused.fetch_add(1) >= kMaxPaused) {
      shared_->counters.timeouts.fetch_add(1, std::memory_order_relaxed);
      return close();
    }
  }
  if (!owes) read();
}

bool Connection::provoked_too_often() {
  const std::chrono::duration<double> since = heard_ - resets_as_of_;
  resets_left_ = std::min<double>(kResetBurst, resets_left_ + since.count() * kResetRate) - 1;
  resets_as_of_ = heard_;
  return resets_left_ < 0;
}

void Connection::on_bytes(const uint8_t* data, size_t size) {
  heard_ = Clock::now();
  greeted_ = true;
  pinged_ = false;
  receiving_ = true;
  const ssize_t used = nghttp2_session_mem_recv(session_, data, size);
  receiving_ = false;
  if (closed_) return;
  if (used < 0) {
    shared_->counters.protocol_errors.fetch_add(1, std::memory_order_relaxed);
    return used == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? not_http2() : close();
  }
  flush();
}

// Unless it began as HTTP/2 does, nothing was written yet: the first SETTINGS wait for the client's first bytes.
void Connection::not_http2() {
  if (writing_) return close();
  static constexpr std::string_view kBody = "this port speaks gRPC, over HTTP/2; use a gRPC client, or the HTTP port\n";
  output_ = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
            std::to_string(kBody.size()) + "\r\n\r\n";
  output_ += kBody;
  close_after_write_ = true;
  write();
}

int Connection::on_header(Call& call, std::string_view name, std::string_view value) {
  call.head_bytes_ += name.size() + value.size() + 32;
  if (call.head_bytes_ > kMaxHeadBytes) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
  if (name == ":path") {
    call.head_.path = value;
  } else if (name == ":method") {
    call.post_ = value == "POST";
  } else if (name == "content-type") {
    constexpr std::string_view kType = "application/grpc";
    call.grpc_ = value.substr(0, kType.size()) == kType &&
                 (value.size() == kType.size() || value[kType.size()] == '+' || value[kType.size()] == ';');
  } else if (name == "grpc-timeout") {
    if (const auto timeout = parse_timeout(value)) call.head_.deadline = Clock::now() + *timeout;
  } else if (name[0] != ':' && name != "te" && name != "user-agent" && name.substr(0, 5) != "grpc-") {
    call.head_.metadata.emplace_back(name, value);
  }
  return 0;
}

void Connection::on_head(Call& call) {
  Counters& counters = shared_->counters;
  call.begun_ = true;
  call.progress_ = heard_;
  call.since_ = heard_;
  if (!call.post_ || !call.grpc_) {
    call.finished_ = true;
    const std::array<nghttp2_nv, 1> head = {fixed(":status", call.post_ ? "415" : "405")};
    nghttp2_submit_response(session_, call.stream_, head.data(), head.size(), nullptr);
    return;
  }
  counters.calls.fetch_add(1, std::memory_order_relaxed);
  const Result<Caller> caller = shared_->service.judge(call.head_);
  if (caller.ok()) call.caller_ = *caller;
  call.counted_ = true;
  call.fixed_ = kCallBytes + call.head_bytes_;
  call.hold(call.fixed_);
  const uint64_t open = call.budget().calls.fetch_add(1, std::memory_order_relaxed);
  if (draining_) return call.finish(Error{Code::kUnavailable, "the server is shutting down; use another member"});
  if (!caller.ok()) return call.finish(caller.status());
  if (open >= share_of(call.caller_, shared_->options.max_pending_calls) || call.overloaded()) {
    return call.finish(shared_->service.overload());
  }
  if (call.head_.deadline != Clock::time_point::max()) {
    lane_.deadlines.emplace(call.head_.deadline, &call);
    shared_->arm(lane_, call.head_.deadline);
  }
  const bool was = std::exchange(call.in_handler_, true);
  call.handler_ = shared_->service.on_call(call.shared_from_this());
  call.in_handler_ = was;
  handler_gone(call);
}

template <typename Visit>
void Connection::in_handler(Call& call, Visit visit) {
  if (call.handler_ == nullptr) return;
  const std::shared_ptr<Call> kept = call.shared_from_this();
  const bool was = std::exchange(call.in_handler_, true);
  visit(*call.handler_);
  call.in_handler_ = was;
  handler_gone(call);
}

// A handler goes as soon as its call is not open, but never under itself.
void Connection::handler_gone(Call& call) {
  if (!call.in_handler_ && !call.open()) call.handler_.reset();
}

void Connection::run(Call& call, UniqueFunction<void(Call&)>& task) {
  const bool was = std::exchange(call.in_handler_, true);
  task(call);
  call.in_handler_ = was;
  handler_gone(call);
}

bool Connection::message_complete(Call& call, std::string_view prefixed) {
  call.heard_ = true;
  in_handler(call, [&](Handler& handler) { handler.on_message(prefixed.substr(kMessagePrefix)); });
  return call.open();
}

void Connection::on_data(Call& call, const uint8_t* data, size_t size) {
  // Checks a prefix; the size of the message with it, or nothing when the call has been refused.
  const auto check = [&](const uint8_t* prefix) -> std::optional<size_t> {
    const size_t length = message_size(prefix);
    if (prefix[0] != 0) {
      call.finish(Error{Code::kUnimplemented, "compressed messages are not taken; send them as they are"});
      return std::nullopt;
    }
    if (length > shared_->options.max_recv_msg_size) {
      call.finish(shared_->service.too_large(length, shared_->options.max_recv_msg_size));
      return std::nullopt;
    }
    return kMessagePrefix + length;
  };
  while (size > 0 && call.open()) {
    if (call.in_.empty()) {
      call.release(call.held_ - call.unsent_ - call.fixed_);  // what the message before cost
      if (size >= kMessagePrefix) {
        const auto total = check(data);
        if (!total.has_value()) return;
        if (size >= *total) {  // the usual case: nothing is copied
          call.hold(*total);
          if (!message_complete(call, {reinterpret_cast<const char*>(data), *total})) return;
          data += *total;
          size -= *total;
          continue;
        }
      }
    }
    size_t want = kMessagePrefix;
    if (call.in_.size() >= kMessagePrefix) {
      want += message_size(reinterpret_cast<const uint8_t*>(call.in_.data()));
    }
    const size_t take = std::min(size, want - call.in_.size());
    if (call.in_.empty()) call.since_ = heard_;
    call.in_.append(reinterpret_cast<const char*>(data), take);
    call.hold(take);
    data += take;
    size -= take;
    if (call.in_.size() < kMessagePrefix) return;
    const auto total = check(reinterpret_cast<const uint8_t*>(call.in_.data()));
    if (!total.has_value()) return;
    if (call.in_.size() == *total) {
      const std::string message = std::exchange(call.in_, {});
      if (!message_complete(call, message)) return;
    } else if (call.overloaded()) {
      return call.finish(shared_->service.overload());
    }
  }
}

void Connection::on_client_done(Call& call) {
  call.client_done_ = true;
  in_handler(call, [](Handler& handler) { handler.on_client_done(); });
}

void Connection::on_stream_closed(int32_t stream) {
  const auto at = calls_.find(stream);
  if (at == calls_.end()) return;
  const std::shared_ptr<Call> call = std::move(at->second);
  calls_.erase(at);
  if (session_ != nullptr) nghttp2_session_set_stream_user_data(session_, stream, nullptr);
  if (call->head_.deadline != Clock::time_point::max()) lane_.deadlines.erase({call->head_.deadline, call.get()});
  if (call->counted_) {
    if (!call->finished_) count_end(*call);
    call->budget().calls.fetch_sub(1, std::memory_order_relaxed);
  }
  call->connection_ = nullptr;
  call->release(call->held_);
  call->out_.clear();
  call->unsent_ = 0;
  handler_gone(*call);
  if (draining_ && !closed_) want_flush();
}

void Connection::count_end(Call& call) {
  const auto code = call.finished_ ? static_cast<size_t>(call.end_.code) : static_cast<size_t>(Code::kCancelled);
  shared_->counters.by_code[code < 17 ? code : 2].fetch_add(1, std::memory_order_relaxed);
}

// ---- Sending

void Connection::send_ready(Call& call) {
  if (!call.responding_) {
    respond(call);
  } else if (call.deferred_) {
    call.deferred_ = false;
    nghttp2_session_resume_data(session_, call.stream_);
  }
  want_flush();
}

void Connection::respond(Call& call) {
  call.responding_ = true;
  const std::array<nghttp2_nv, 2> head = {fixed(":status", "200"), fixed("content-type", "application/grpc")};
  nghttp2_data_provider provider{};
  provider.source.ptr = &call;
  provider.read_callback = Callbacks::read_data;
  nghttp2_submit_response(session_, call.stream_, head.data(), head.size(), &provider);
}

void Connection::finish(Call& call) {
  count_end(call);
  if (!call.responding_) {
    const std::string code = std::to_string(static_cast<int>(call.end_.code));
    const std::string message = escape_message(call.end_.message);
    std::vector<nghttp2_nv> head = {fixed(":status", "200"), fixed("content-type", "application/grpc"),
                                    copied("grpc-status", code)};
    if (!message.empty()) head.push_back(copied("grpc-message", message));
    for (const auto& [name, value] : call.trailers_) head.push_back(copied(name, value, NGHTTP2_NV_FLAG_NO_INDEX));
    nghttp2_submit_response(session_, call.stream_, head.data(), head.size(), nullptr);
  } else if (call.deferred_) {
    call.deferred_ = false;
    nghttp2_session_resume_data(session_, call.stream_);
  }
  handler_gone(call);
  want_flush();
}

void Connection::submit_trailers(Call& call) {
  if (call.end_.code == Code::kOk && call.trailers_.empty()) {
    const std::array<nghttp2_nv, 1> trailer = {fixed("grpc-status", "0")};
    nghttp2_submit_trailer(session_, call.stream_, trailer.data(), trailer.size());
    return;
  }
  const std::string code = std::to_string(static_cast<int>(call.end_.code));
  const std::string message = escape_message(call.end_.message);
  std::vector<nghttp2_nv> trailers = {copied("grpc-status", code)};
  if (!message.empty()) trailers.push_back(copied("grpc-message", message));
  for (const auto& [name, value] : call.trailers_) trailers.push_back(copied(name, value, NGHTTP2_NV_FLAG_NO_INDEX));
  nghttp2_submit_trailer(session_, call.stream_, trailers.data(), trailers.size());
}

ssize_t Connection::produce(Call& call, uint8_t* to, size_t size, uint32_t* flags) {
  size_t filled = 0;
  while (filled < size && !call.out_.empty()) {
    const std::string& front = call.out_.front();
    const size_t take = std::min(size - filled, front.size() - call.out_offset_);
    front.copy(reinterpret_cast<char*>(to) + filled, take, call.out_offset_);
    filled += take;
    call.out_offset_ += take;
    if (call.out_offset_ < front.size()) break;
    call.out_.pop_front();
    call.out_offset_ = 0;
  }
  call.unsent_ -= filled;
  call.release(filled);
  call.progress_ = heard_;
  if (!call.out_.empty()) return static_cast<ssize_t>(filled);
  if (call.finished_) {
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    submit_trailers(call);
  } else if (filled == 0) {
    call.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  } else {
    with_room_.push_back(call.weak_from_this());
  }
  return static_cast<ssize_t>(filled);
}

void Connection::want_flush() {
  if (dirty_ || receiving_ || closed_) return;
  dirty_ = true;
  lane_.dirty.push_back(weak_from_this());
  shared_->flush_soon(lane_);
}

void Connection::flush() {
  dirty_ = false;
  if (closed_ || writing_ || receiving_ || !greeted_ || close_after_write_) return;
  output_.clear();
  while (output_.size() < kOutputBytes) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) {
      shared_->counters.protocol_errors.fetch_add(1, std::memory_order_relaxed);
      return close();
    }
    if (size == 0) break;
    output_.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
  for (const auto& waiting : std::exchange(with_room_, {})) {
    const auto call = waiting.lock();
    if (call != nullptr && call->open() && call->unsent_ == 0) in_handler(*call, [](Handler& h) { h.on_room(); });
  }
  if (!output_.empty()) return write();
  const bool over = nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
  if (over || (draining_ && calls_.empty())) close();
}

void Connection::write() {
  writing_ = true;
  wrote_ = Clock::now();
  auto completion = [self = shared_from_this()](ErrorCode error, size_t /*size*/) {
    self->writing_ = false;
    if (self->closed_) return;
    if (error || self->close_after_write_) return self->close();
    self->flush();
    self->read_on();
  };
  if (tls_.has_value()) {
    asio::async_write(*tls_, asio::buffer(output_), std::move(completion));
  } else {
    asio::async_write(socket_, asio::buffer(output_), std::move(completion));
  }
}

// ---- Time

void Connection::expire(Call& call) {
  shared_->counters.timeouts.fetch_add(1, std::memory_order_relaxed);
  call.finish(Error{Code::kDeadlineExceeded, "context deadline exceeded"});
}

void Connection::sweep(Clock::time_point now) {
  const RpcEndpoint& options = shared_->options;
  const auto passed = [&](Clock::time_point since, uint32_t ms) { return now - since > std::chrono::milliseconds(ms); };
  const auto give_up = [&] {
    shared_->counters.timeouts.fetch_add(1, std::memory_order_relaxed);
    close();
  };
  if (!greeted_) {
    if (passed(heard_, options.handshake_timeout_ms)) give_up();
    return;
  }
  if (writing_ && passed(wrote_, options.write_timeout_ms)) return give_up();
  if (pinged_ && passed(ping_sent_, options.keepalive_timeout_ms)) return give_up();
  if (!pinged_ && passed(heard_, options.keepalive_time_ms)) {
    pinged_ = true;
    ping_sent_ = now;
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  }
  std::vector<std::shared_ptr<Call>> mute;
  for (const auto& [stream, call] : calls_) {
    // A call without its message costs a place and memory, and its client need not have shown who it is.
    const bool waits = !call->heard_ || !call->in_.empty();
    if (call->begun_ && call->open() && waits && passed(call->since_, options.write_timeout_ms)) mute.push_back(call);
    // An answer that its client leaves in our memory. A stream may be read as slowly as one likes: it is bounded.
    if (!call->finished_ || call->unsent_ == 0 || !passed(call->progress_, options.write_timeout_ms)) continue;
    shared_->counters.timeouts.fetch_add(1, std::memory_order_relaxed);
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
  }
  for (const auto& call : mute) {
    shared_->counters.timeouts.fetch_add(1, std::memory_order_relaxed);
    call->finish(Error{Code::kDeadlineExceeded, "the request did not arrive in time"});
  }
  flush();
}

void Connection::drain() {
  draining_ = true;
  if (!greeted_) return close();
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  std::vector<std::shared_ptr<Call>> all;
  for (const auto& [stream, call] : calls_) all.push_back(call);
  for (const auto& call : all) in_handler(*call, [](Handler& handler) { handler.on_drain(); });
  flush();
}

}  // namespace clew::api::rpc
