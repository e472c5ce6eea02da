#include "api/otlp_grpc.h"

#include <grpc/grpc.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/auth.h"
#include "api/endpoint.h"
#include "api/tls.h"

namespace clew::api {
namespace {

constexpr char kServiceName[] = "opentelemetry.proto.collector.trace.v1.TraceService";
constexpr char kExportMethod[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
constexpr int kWaitingCalls = 8;               // requested ahead of their arrival, of each thread
constexpr uint64_t kNominalBytes = 16u << 10;  // taken of the budget before the message's size is known
constexpr unsigned kTlsWatchSeconds = 1;

// How the message was compressed on the wire. The C++ class does not tell; its header pins its layout to this one
// pointer.
otlp::Encoding encoding_of(const grpc::ByteBuffer& buffer) {
  static_assert(sizeof(grpc::ByteBuffer) == sizeof(grpc_byte_buffer*));
  grpc_byte_buffer* raw = nullptr;
  // NOLINTNEXTLINE(bugprone-undefined-memory-manipulation,bugprone-sizeof-expression): its pointer is read, as said
  std::memcpy(&raw, &buffer, sizeof raw);
  if (raw == nullptr || raw->type != GRPC_BB_RAW) return otlp::Encoding::kIdentity;
  switch (raw->data.raw.compression) {
    case GRPC_COMPRESS_GZIP:
      return otlp::Encoding::kGzip;
    case GRPC_COMPRESS_DEFLATE:
      return otlp::Encoding::kDeflate;
    default:
      return otlp::Encoding::kIdentity;
  }
}

// Whether the kernel would let us listen there; gRPC itself reports a failure without its cause.
int probe_listen(const ListenAddress& address) {
  namespace ip = boost::asio::ip;
  boost::system::error_code error;
  const ip::tcp::endpoint endpoint(ip::make_address(address.ip, error), address.port);
  if (error) return EINVAL;
  const int fd = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const int failed = ::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 ? 0 : errno;
  ::close(fd);
  return failed;
}

std::string_view metadata(const grpc::ServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  return found == context.client_metadata().end() ? std::string_view()
                                                  : std::string_view(found->second.data(), found->second.size());
}

grpc::Status grpc_status(Code code, std::string_view message, uint32_t retry_after_ms = 0) {
  std::string details;
  if (retry_after_ms > 0) details = encode_rpc_status(WireFormat::kProtobuf, code, message, retry_after_ms);
  return {static_cast<grpc::StatusCode>(code), std::string(message), details};
}

}  // namespace

struct OtlpGrpcServer::Impl {
  Impl(OtlpReceiver& r, GrpcEndpoint o) : receiver(r), options(std::move(o)), auth(options.auth) {}

  class Call;

  OtlpReceiver& receiver;
  const GrpcEndpoint options;
  Authenticator auth;
  TlsCheckedFiles tls_files;
  grpc::AsyncGenericService service;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  std::unique_ptr<grpc::Server> server;
  std::vector<std::thread> threads;
  std::thread drainer;
  int port = 0;
  std::atomic<uint64_t> calls{0};
  std::atomic<uint64_t> by_code[17] = {};
  DurationHistogram durations;
  std::mutex mutex;
  std::condition_variable idle;
  std::atomic<uint64_t> open{0};  // changed under `mutex`
  bool stopping = false;          // guarded by `mutex`: no call may begin, the queues are about to go

  void count(grpc::StatusCode code) {
    const auto index = static_cast<size_t>(code);
    by_code[index < 17 ? index : 2].fetch_add(1, std::memory_order_relaxed);
  }
  bool call_begins() {
    const std::lock_guard lock(mutex);
    if (stopping) return false;
    open.fetch_add(1);
    return true;
  }
  void call_gone() {
    const std::lock_guard lock(mutex);
    if (open.fetch_sub(1) == 1) idle.notify_all();
  }
  void shut_down(std::chrono::milliseconds grace) {
    server->Shutdown(std::chrono::system_clock::now() + grace);
    std::unique_lock lock(mutex);
    idle.wait(lock, [&] { return open.load() == 0; });
    stopping = true;
  }
};

// One call, from being asked for to its end. One operation is under way at any time, so one tag serves; after finish()
// the call belongs to its queue alone.
class OtlpGrpcServer::Impl::Call {
 public:
  static void wait_for_one(Impl& impl, grpc::ServerCompletionQueue& queue) {
    auto* call = new Call(impl, queue);
    impl.service.RequestCall(&call->context_, &call->stream_, &queue, &queue, call);
  }

  // On the queue's thread, when the operation under way has ended.
  void proceed(bool ok) {
    switch (step_) {
      case Step::kArrival:
        if (!ok || !impl_.call_begins()) {  // the server shuts down
          delete this;
          return;
        }
        impl_.calls.fetch_add(1, std::memory_order_relaxed);
        wait_for_one(impl_, queue_);
        return arrived();
      case Step::kMessage:
        if (!ok) return finish(grpc_status(Code::kInvalidArgument, "the call carries no message"));
        return received();
      case Step::kFinish:
        impl_.call_gone();
        delete this;
        return;
    }
  }

 private:
  enum class Step : uint8_t { kArrival, kMessage, kFinish };

  Call(Impl& impl, grpc::ServerCompletionQueue& queue) : impl_(impl), queue_(queue), stream_(&context_) {}

  void arrived() {
    if (context_.method() != kExportMethod) {
      return finish(grpc_status(Code::kUnimplemented,
                                "this method is not served; traces are taken by " + std::string(kExportMethod)));
    }
    auto tenant = impl_.auth.tenant(metadata(context_, "authorization"), metadata(context_, "x-scope-orgid"));
    if (!tenant.ok()) return finish(grpc_status(tenant.error().code, tenant.error().message));
    request_.tenant = std::move(*tenant);
    if (impl_.open.load(std::memory_order_relaxed) > impl_.options.max_pending_calls) {
      return finish(grpc_status(Code::kUnavailable, "the node has as many open calls as it may; send the request again",
                                impl_.receiver.retry_after_ms()));
    }
    auto lease = impl_.receiver.admit(kNominalBytes);
    if (!lease.ok())
      return finish(grpc_status(Code::kUnavailable, lease.error().message, impl_.receiver.retry_after_ms()));
    request_.lease = std::move(*lease);
    step_ = Step::kMessage;
    stream_.Read(&buffer_, this);
  }

  void received() {
    const size_t size = buffer_.Length();
    if (size > kNominalBytes && !request_.lease.grow(size - kNominalBytes)) {
      return finish(grpc_status(Code::kUnavailable,
                                "the node holds as many request bytes as it may; send the request again",
                                impl_.receiver.retry_after_ms()));
    }
    std::vector<grpc::Slice> slices;
    if (!buffer_.Dump(&slices).ok()) return finish(grpc_status(Code::kInternal, "the message cannot be read"));
    std::string body = impl_.receiver.pool().take(size);
    size_t at = 0;
    for (const grpc::Slice& slice : slices) {
      std::memcpy(body.data() + at, slice.begin(), slice.size());
      at += slice.size();
    }
    request_.encoding = encoding_of(buffer_);
    slices.clear();
    buffer_.Clear();
    request_.body = impl_.receiver.pool().share(std::move(body));
    request_.max_bytes = impl_.options.max_recv_msg_size;
    since_ = std::chrono::steady_clock::now();
    impl_.receiver.receive(std::move(request_), Answer(this));
  }

  // Finishes the call exactly once, also when the node drops its completion.
  class Answer {
   public:
    explicit Answer(Call* call) : call_(call) {}
    Answer(Answer&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
    ~Answer() {
      if (call_ != nullptr) call_->finish(grpc_status(Code::kInternal, "the request was dropped by the node"));
    }
    void operator()(const OtlpOutcome& outcome) {
      Call* call = std::exchange(call_, nullptr);
      if (call == nullptr) return;
      call->impl_.durations.add(std::chrono::steady_clock::now() - call->since_);
      if (!outcome.status.ok())
        return call->finish(grpc_status(outcome.status.code(), outcome.status.message(), outcome.retry_after_ms));
      call->succeed(encode_export_response(WireFormat::kProtobuf, outcome.rejected, outcome.message));
    }

   private:
    Call* call_;
  };

  void succeed(const std::string& reply) {
    impl_.count(grpc::StatusCode::OK);
    step_ = Step::kFinish;
    const grpc::Slice slice(reply);
    stream_.WriteAndFinish(grpc::ByteBuffer(&slice, 1), {}, grpc::Status::OK, this);
  }
  void finish(const grpc::Status& status) {
    request_.lease.release();
    impl_.count(status.error_code());
    step_ = Step::kFinish;
    stream_.Finish(status, this);
  }

  Impl& impl_;
  grpc::ServerCompletionQueue& queue_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_;
  grpc::ByteBuffer buffer_;
  OtlpRequest request_;
  std::chrono::steady_clock::time_point since_;
  Step step_ = Step::kArrival;
};

OtlpGrpcServer::OtlpGrpcServer(OtlpReceiver& receiver, GrpcEndpoint options)
    : impl_(std::make_unique<Impl>(receiver, std::move(options))) {}

OtlpGrpcServer::~OtlpGrpcServer() {
  if (impl_->server == nullptr) return;
  if (impl_->drainer.joinable()) impl_->drainer.join();
  impl_->shut_down(std::chrono::milliseconds(0));
  for (auto& queue : impl_->queues) queue->Shutdown();
  for (std::thread& thread : impl_->threads) thread.join();
}

Status OtlpGrpcServer::reload_tls() {
  if (!impl_->options.tls.enabled()) return {};
  return impl_->tls_files.load(impl_->options.tls);
}

void OtlpGrpcServer::replace_tokens(const AuthOptions& auth) { impl_->auth.replace(auth); }

Status OtlpGrpcServer::start() {
  const GrpcEndpoint& options = impl_->options;
  CLEW_ASSIGN(const std::vector<ListenAddress> addresses, resolve_endpoint(options.endpoint));
  const ListenAddress* chosen = nullptr;
  int failed = EADDRNOTAVAIL;
  for (const ListenAddress& address : addresses) {
    failed = probe_listen(address);
    if (failed != 0) continue;
    chosen = &address;
    break;
  }
  const auto cannot = [&](int error) {
    return Error{error == EADDRINUSE ? Code::kAlreadyExists : Code::kUnavailable,
                 listen_failure("otlp/grpc", options.endpoint, error)};
  };
  if (chosen == nullptr) return cannot(failed);

  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (options.tls.enabled()) {
    CLEW_TRY(impl_->tls_files.load(options.tls));
    namespace experimental = grpc::experimental;
    const TlsOptions copies = impl_->tls_files.paths();
    const bool mutual = !copies.client_ca_file.empty();
    auto files = mutual ? std::make_shared<experimental::FileWatcherCertificateProvider>(
                              copies.key_file, copies.cert_file, copies.client_ca_file, kTlsWatchSeconds)
                        : std::make_shared<experimental::FileWatcherCertificateProvider>(
                              copies.key_file, copies.cert_file, kTlsWatchSeconds);
    experimental::TlsServerCredentialsOptions tls(files);
    tls.watch_identity_key_cert_pairs();
    if (mutual) tls.watch_root_certs();
    tls.set_cert_request_type(mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                     : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    credentials = experimental::TlsServerCredentials(tls);
  }

  static std::once_flag health;
  std::call_once(health, [] { grpc::EnableDefaultHealthCheckService(true); });
  grpc::ServerBuilder builder;
  builder.AddListeningPort(chosen->text(), credentials, &impl_->port);
  builder.RegisterAsyncGenericService(&impl_->service);
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<uint64_t>(options.max_recv_msg_size, INT32_MAX)));
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(options.max_concurrent_streams));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive_time_ms));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(options.keepalive_timeout_ms));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             static_cast<int>(options.min_ping_interval_ms));
  grpc::ResourceQuota quota("otlp");
  quota.Resize(options.memory_quota_bytes);
  builder.SetResourceQuota(quota);
  const uint32_t threads = std::max(1u, options.threads);
  for (uint32_t i = 0; i < threads; ++i) impl_->queues.push_back(builder.AddCompletionQueue());
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || impl_->port == 0) {
    impl_->server.reset();
    for (auto& queue : impl_->queues) {
      queue->Shutdown();
      void* tag;
      bool ok;
      while (queue->Next(&tag, &ok)) {
      }
    }
    impl_->queues.clear();
    return cannot(EADDRINUSE);
  }
  for (auto& queue : impl_->queues) {
    for (int i = 0; i < kWaitingCalls; ++i) Impl::Call::wait_for_one(*impl_, *queue);
    impl_->threads.emplace_back([&queue = *queue] {
      void* tag;
      bool ok;
      while (queue.Next(&tag, &ok)) static_cast<Impl::Call*>(tag)->proceed(ok);
    });
    pthread_setname_np(impl_->threads.back().native_handle(), "clew-grpc");
  }
  set_serving(impl_->receiver.ready());
  return {};
}

uint16_t OtlpGrpcServer::port() const { return static_cast<uint16_t>(impl_->port); }

void OtlpGrpcServer::set_serving(bool serving) {
  if (impl_->server == nullptr) return;
  if (auto* health = impl_->server->GetHealthCheckService(); health != nullptr) {
    health->SetServingStatus("", serving);
    health->SetServingStatus(kServiceName, serving);
  }
}

void OtlpGrpcServer::drain(uint32_t grace_ms, Task done) {
  if (impl_->server == nullptr) return done();
  set_serving(false);
  impl_->drainer = std::thread([impl = impl_.get(), grace_ms, told = std::move(done)]() mutable {
    impl->shut_down(std::chrono::milliseconds(grace_ms));
    told();
  });
}

GrpcServerStats OtlpGrpcServer::stats() const {
  GrpcServerStats stats;
  stats.calls = impl_->calls.load();
  stats.open_calls = impl_->open.load();
  for (size_t i = 0; i < 17; ++i) stats.by_code[i] = impl_->by_code[i].load();
  stats.durations = impl_->durations.read();
  return stats;
}

}  // namespace clew::api
