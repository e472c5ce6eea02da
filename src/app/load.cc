#include "app/load.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>

namespace clew::app {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;
using SteadyClock = std::chrono::steady_clock;

int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Which request comes when: shared by the connections.
class Schedule {
 public:
  explicit Schedule(const LoadOptions& options) : options_(options), begin_(SteadyClock::now()) {}

  struct Turn {
    uint64_t number = 0;
    SteadyClock::time_point due;
  };
  // The next request, or nothing when the run is over.
  std::optional<Turn> next() {
    const uint64_t per_request = options_.workload.spans_per_request;
    if (options_.spans != 0 && next_ * per_request >= options_.spans) return std::nullopt;
    Turn turn{next_, SteadyClock::now()};
    if (options_.rate > 0) {
      const double at = static_cast<double>(next_ * per_request) / options_.rate;
      turn.due = begin_ + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(at));
    }
    if (options_.seconds > 0 && turn.due >= begin_ + std::chrono::duration<double>(options_.seconds))
      return std::nullopt;
    ++next_;
    return turn;
  }
  double elapsed_s() const { return std::chrono::duration<double>(SteadyClock::now() - begin_).count(); }

 private:
  const LoadOptions& options_;
  SteadyClock::time_point begin_;
  uint64_t next_ = 0;
};

struct Run {
  const LoadOptions& options;
  Workload workload;
  Schedule schedule;
  LoadReport report;
  std::string scratch;

  explicit Run(const LoadOptions& o) : options(o), workload(o.workload), schedule(o) {}

  // The body of a request as it goes out.
  void fill(uint64_t number, std::string& out) {
    if (options.encoding == otlp::Encoding::kIdentity) return workload.body(number, wall_ns(), out);
    workload.body(number, wall_ns(), scratch);
    out.clear();
    if (const Status status = otlp::deflate(options.encoding, scratch, out); !status.ok()) note(status.to_string());
  }
  void acknowledged(SteadyClock::time_point due, size_t bytes) {
    ++report.requests;
    report.spans += options.workload.spans_per_request;
    report.bytes += bytes;
    report.latency_us.push_back(
        static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - due).count()));
  }
  void failed(std::string why) {
    ++report.failed;
    note(std::move(why));
  }
  void note(std::string why) { report.last_error = std::move(why); }
};

// One HTTP connection: waits for its turn, sends, reads the answer, again.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Run& run, boost::asio::io_context& io, const tcp::resolver::results_type& addresses)
      : run_(run), stream_(io), timer_(io), addresses_(addresses) {}

  void begin() {
    const auto turn = run_.schedule.next();
    if (!turn) return close();
    turn_ = *turn;
    filled_ = false;
    if (turn_.due <= SteadyClock::now()) return send();
    timer_.expires_at(turn_.due);
    timer_.async_wait([self = shared_from_this()](beast::error_code) { self->send(); });
  }

 private:
  void send() {
    if (!filled_) {
      run_.fill(turn_.number, body_);
      filled_ = true;
    }
    if (run_.options.rate <= 0) turn_.due = SteadyClock::now();
    stream_.expires_after(std::chrono::seconds(60));
    if (!connected_) {
      stream_.async_connect(addresses_, [self = shared_from_this()](beast::error_code error, const tcp::endpoint&) {
        if (error) return self->broken("connect: " + error.message());
        beast::error_code ignored;
        self->stream_.socket().set_option(tcp::no_delay(true), ignored);
        self->connected_ = true;
        self->write();
      });
      return;
    }
    write();
  }

  void write() {
    const auto& options = run_.options;
    request_.emplace(http::verb::post, options.server.prefix + "/v1/traces", 11);
    request_->set(http::field::host, options.server.host);
    request_->set(http::field::content_type,
                  options.workload.format == BodyFormat::kJson ? "application/json" : "application/x-protobuf");
    if (options.encoding != otlp::Encoding::kIdentity) {
      request_->set(http::field::content_encoding, options.encoding == otlp::Encoding::kZstd ? "zstd" : "gzip");
    }
    if (!options.token.empty()) request_->set(http::field::authorization, "Bearer " + options.token);
    if (!options.tenant.empty()) request_->set("X-Scope-OrgID", options.tenant);
    request_->body() = {body_.data(), body_.size()};
    request_->prepare_payload();
    http::async_write(stream_, *request_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->broken("write: " + error.message());
      self->response_ = {};
      http::async_read(self->stream_, self->buffer_, self->response_, [self](beast::error_code read_error, size_t) {
        if (read_error) return self->broken("read: " + read_error.message());
        self->answered();
      });
    });
  }

  void answered() {
    const unsigned status = response_.result_int();
    if (!response_.keep_alive()) close();
    if (status == 200) {
      run_.acknowledged(turn_.due, body_.size());
      return begin();
    }
    if (status == 429 || status == 502 || status == 503 || status == 504) {
      ++run_.report.refused;
      const auto asked = response_[http::field::retry_after];
      uint32_t seconds = 1;
      std::from_chars(asked.data(), asked.data() + asked.size(), seconds);
      return later(std::chrono::milliseconds(seconds * 1000));
    }
    const auto type = response_[http::field::content_type];
    run_.failed(
        otlp_error_text({static_cast<int>(status), response_.body(), std::string(type.data(), type.size()), {}}));
    begin();
  }

  void broken(const std::string& why) {
    run_.failed(why);
    close();
    later(std::chrono::milliseconds(100));
  }
  void later(std::chrono::milliseconds wait) {
    if (run_.options.seconds > 0 && run_.schedule.elapsed_s() > run_.options.seconds) return close();
    timer_.expires_after(wait);
    timer_.async_wait([self = shared_from_this()](beast::error_code) { self->send(); });
  }
  void close() {
    stream_.close();
    buffer_.clear();
    connected_ = false;
  }

  Run& run_;
  beast::tcp_stream stream_;
  boost::asio::steady_timer timer_;
  const tcp::resolver::results_type& addresses_;
  bool connected_ = false;
  bool filled_ = false;
  Schedule::Turn turn_;
  std::string body_;
  beast::flat_buffer buffer_;
  std::optional<http::request<http::span_body<const char>>> request_;
  http::response<http::string_body> response_;
};

Status run_http(Run& run) {
  boost::asio::io_context io(1);
  tcp::resolver resolver(io);
  beast::error_code error;
  const auto addresses = resolver.resolve(run.options.server.host, run.options.server.port, error);
  if (error) return Status(Code::kUnavailable, run.options.server.host + ": " + error.message());
  for (uint32_t i = 0; i < run.options.connections; ++i) std::make_shared<Connection>(run, io, addresses)->begin();
  io.run();
  return {};
}

// One call in flight.
struct Call {
  Schedule::Turn turn;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
  size_t bytes = 0;
  grpc::Status status;
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader;
};

Status run_grpc(Run& run) {
  const auto& options = run.options;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  const auto channel = grpc::CreateCustomChannel(options.server.host + ":" + options.server.port,
                                                 grpc::InsecureChannelCredentials(), arguments);
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  std::string body;
  std::vector<Call> calls(options.connections);
  size_t in_flight = 0;

  const auto send = [&](Call& call) {
    call.context = std::make_unique<grpc::ClientContext>();
    if (!options.token.empty()) call.context->AddMetadata("authorization", "Bearer " + options.token);
    if (!options.tenant.empty()) call.context->AddMetadata("x-scope-orgid", options.tenant);
    if (options.encoding != otlp::Encoding::kIdentity) call.context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
    if (options.rate <= 0) call.turn.due = SteadyClock::now();
    call.reader = stub.PrepareUnaryCall(
        call.context.get(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", call.request, &queue);
    call.reader->StartCall();
    call.reader->Finish(&call.response, &call.status, &call);
    ++in_flight;
  };
  std::vector<Call*> idle;
  idle.reserve(calls.size());
  for (Call& call : calls) idle.push_back(&call);
  std::optional<Schedule::Turn> turn = run.schedule.next();
  std::vector<Call*> refused;  // wait a second
  auto retry_at = SteadyClock::time_point::max();
  while (turn || in_flight > 0 || !refused.empty()) {
    const auto now = SteadyClock::now();
    if (now >= retry_at) {
      for (Call* call : refused) send(*call);
      refused.clear();
      retry_at = SteadyClock::time_point::max();
    }
    while (turn && !idle.empty() && turn->due <= SteadyClock::now()) {
      Call& call = *idle.back();
      idle.pop_back();
      call.turn = *turn;
      run.workload.body(call.turn.number, wall_ns(), body);  // gRPC compresses
      call.bytes = body.size();
      const grpc::Slice slice(body);
      call.request = grpc::ByteBuffer(&slice, 1);
      send(call);
      turn = run.schedule.next();
    }
    auto until = std::chrono::system_clock::now() + std::chrono::milliseconds(100);
    if (turn && !idle.empty())
      until = std::chrono::system_clock::now() +
              std::chrono::duration_cast<std::chrono::system_clock::duration>(turn->due - SteadyClock::now());
    void* tag = nullptr;
    bool ok = false;
    if (queue.AsyncNext(&tag, &ok, until) != grpc::CompletionQueue::GOT_EVENT) continue;
    auto* call = static_cast<Call*>(tag);
    --in_flight;
    const auto code = call->status.error_code();
    if (call->status.ok()) {
      run.acknowledged(call->turn.due, call->bytes);
    } else if (code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::RESOURCE_EXHAUSTED) {
      ++run.report.refused;
      run.note(call->status.error_message());
      if (options.seconds <= 0 || run.schedule.elapsed_s() < options.seconds) {
        refused.push_back(call);
        if (retry_at == SteadyClock::time_point::max()) retry_at = SteadyClock::now() + std::chrono::seconds(1);
        continue;
      }
    } else {
      run.failed(call->status.error_message());
    }
    idle.push_back(call);
  }
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
  return {};
}

}  // namespace

double LoadReport::percentile_ms(double share) const {
  if (latency_us.empty()) return 0;
  const auto at = static_cast<size_t>(share * static_cast<double>(latency_us.size()));
  return latency_us[std::min(at, latency_us.size() - 1)] / 1000.0;
}

Result<LoadReport> run_load(const LoadOptions& options) {
  Run run(options);
  CLEW_TRY(options.grpc ? run_grpc(run) : run_http(run));
  run.report.seconds = run.schedule.elapsed_s();
  std::sort(run.report.latency_us.begin(), run.report.latency_us.end());
  if (run.report.requests == 0) {
    return Error{Code::kUnavailable, "no request was acknowledged; the last error: " + run.report.last_error};
  }
  return std::move(run.report);
}

}  // namespace clew::app
