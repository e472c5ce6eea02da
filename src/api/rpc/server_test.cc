#include "api/rpc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <map>
#include <thread>

#include "api/rpc/call.h"
#include "api/test_support.h"
#include "base/mutex.h"

namespace clew::api::rpc {
namespace {

using testing::HasSubstr;

std::string framed(std::string_view payload) { return begin_message() + std::string(payload); }

// /echo/unary answers with its message, /echo/stream with each; /hold/unary keeps the call; /flood/unary answers with
// as many bytes as the message says.
class Echo final : public Service {
 public:
  std::unique_ptr<Handler> on_call(const std::shared_ptr<Call>& call) override;
  // Of "/open/..." nobody is asked who he is.
  Result<Caller> judge(const CallHead& head) override {
    return head.path.starts_with("/open/") ? Caller::kStranger : Caller::kKnown;
  }
  Error overload() const override { return {Code::kResourceExhausted, "too much"}; }
  Error too_large(size_t size, size_t most) const override {
    return {Code::kResourceExhausted, std::to_string(size) + " above " + std::to_string(most)};
  }
  std::shared_ptr<Call> held() {
    std::shared_ptr<Call> call;
    while (call == nullptr) {
      const MutexLock lock(mutex_);
      call = held_;
    }
    return call;
  }
  void wait_for_held(int count) {
    while (held_calls_.load() < count) std::this_thread::yield();
  }
  std::atomic<int> handlers{0};

 private:
  class Unary;
  class Stream;
  friend class Unary;
  Mutex mutex_;
  std::shared_ptr<Call> held_ CLEW_GUARDED_BY(mutex_);
  std::atomic<int> held_calls_{0};
};

class Echo::Unary final : public Handler {
 public:
  Unary(Echo& echo, Call& call) : echo_(echo), call_(call) { echo_.handlers++; }
  ~Unary() override { echo_.handlers--; }
  void on_message(std::string_view message) override {
    if (call_.head().path.ends_with("hold/unary")) {
      const MutexLock lock(echo_.mutex_);
      echo_.held_ = call_.shared_from_this();
      echo_.held_calls_++;
      return;
    }
    for (const auto& [name, value] : call_.head().metadata) call_.add_trailer("got-" + name, value);
    if (call_.head().path == "/flood/unary") {
      call_.send(framed(std::string(std::stoul(std::string(message)), 'f')));
    } else {
      call_.send(framed(message));
    }
    call_.finish({});
  }

 private:
  Echo& echo_;
  Call& call_;
};

class Echo::Stream final : public Handler {
 public:
  Stream(Echo& echo, Call& call) : echo_(echo), call_(call) { echo_.handlers++; }
  ~Stream() override { echo_.handlers--; }
  void on_message(std::string_view message) override { call_.send(framed(message)); }
  void on_client_done() override { call_.finish(Error{Code::kAborted, "50% off: grün\n"}); }
  void on_drain() override { call_.finish(Error{Code::kUnavailable, "draining"}); }

 private:
  Echo& echo_;
  Call& call_;
};

std::unique_ptr<Handler> Echo::on_call(const std::shared_ptr<Call>& call) {
  if (call->head().path == "/echo/stream") return std::make_unique<Stream>(*this, *call);
  if (call->head().path.ends_with("/unary")) return std::make_unique<Unary>(*this, *call);
  call->finish(Error{Code::kUnimplemented, "no " + call->head().path});
  return nullptr;
}

class RpcServer : public testing::Test {
 protected:
  void start(RpcEndpoint endpoint = {}) {
    endpoint.endpoint = "127.0.0.1:0";
    server_ = std::make_unique<Server>("echo", endpoint, echo_, loops_.all());
    const Status started = server_->start();
    ASSERT_TRUE(started.ok()) << started.to_string();
  }
  void TearDown() override { server_.reset(); }
  std::shared_ptr<grpc::Channel> channel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()), grpc::InsecureChannelCredentials(),
                                     arguments);
  }
  struct Answer {
    grpc::Status status;
    std::string bytes;
    std::multimap<std::string, std::string> trailers;
  };
  Answer call(const std::string& path, const std::string& bytes, int timeout_ms = 30'000, bool compressed = false,
              const std::multimap<std::string, std::string>& metadata = {}) {
    grpc::GenericStub stub(channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
    if (compressed) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    for (const auto& [name, value] : metadata) context.AddMetadata(name, value);
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const auto call = stub.PrepareUnaryCall(&context, path, grpc::ByteBuffer(&slice, 1), &queue);
    grpc::ByteBuffer buffer;
    Answer answer;
    call->StartCall();
    call->Finish(&buffer, &answer.status, &buffer);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    std::vector<grpc::Slice> slices;
    if (buffer.Valid() && buffer.Dump(&slices).ok()) {
      for (const auto& piece : slices) answer.bytes.append(reinterpret_cast<const char*>(piece.begin()), piece.size());
    }
    for (const auto& [name, value] : context.GetServerTrailingMetadata())
      answer.trailers.emplace(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
    return answer;
  }
  template <typename F>
  static void eventually(F holds) {
    while (!holds()) std::this_thread::yield();
  }

  Echo echo_;
  test::Loops loops_{2};
  std::unique_ptr<Server> server_;
};

TEST_F(RpcServer, messagesOfAllSizesComeBackWithMetadataInTrailers) {
  start();
  for (const size_t size : {0u, 1u, 300u, 16'384u, 65'530u, 1'000'000u, 2'097'152u}) {
    const Answer answer = call("/echo/unary", std::string(size, 'x'));
    EXPECT_TRUE(answer.status.ok()) << size << ": " << answer.status.error_message();
    EXPECT_EQ(answer.bytes, std::string(size, 'x'));
  }
  const Answer answer = call("/echo/unary", "a", 30'000, false, {{"clew-x", "1"}, {"clew-y", "2"}});
  EXPECT_EQ(answer.trailers.find("got-clew-y")->second, "2");
  EXPECT_EQ(server_->stats().by_code[0], 8u);
  EXPECT_EQ(call("/nothing", "a").status.error_message(), "no /nothing");
  eventually([&] { return server_->stats().open_calls == 0 && server_->stats().held_bytes == 0; });
  EXPECT_EQ(echo_.handlers.load(), 0);
}

TEST_F(RpcServer, whatIsTooLargeOrCompressedIsRefused) {
  start();
  const Answer large = call("/echo/unary", std::string(2'097'153, 'x'));
  EXPECT_EQ(large.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(large.status.error_message(), "2097153 above 2097152");
  EXPECT_EQ(call("/echo/unary", std::string(1000, 'x'), 30'000, true).status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(RpcServer, aLargeAnswerArrivesWhole) {
  start();
  const Answer answer = call("/flood/unary", "50000000");
  EXPECT_EQ(answer.bytes.size(), 50'000'000u);
  eventually([&] { return server_->stats().held_bytes == 0; });
}

TEST_F(RpcServer, aStreamEchoesAndEndsWithAnyWords) {
  start();
  const auto open = channel();
  grpc::GenericStub stub(open);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  void* tag;
  bool ok;
  const auto stream = stub.PrepareCall(&context, "/echo/stream", &queue);
  stream->StartCall(nullptr);
  queue.Next(&tag, &ok);
  for (int i = 0; i < 100; ++i) {
    const grpc::Slice slice("message " + std::to_string(i));
    stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    queue.Next(&tag, &ok);
    grpc::ByteBuffer answer;
    stream->Read(&answer, nullptr);
    queue.Next(&tag, &ok);
    ASSERT_TRUE(ok);
    EXPECT_EQ(answer.Length(), slice.size());
  }
  stream->WritesDone(nullptr);
  queue.Next(&tag, &ok);
  grpc::Status status;
  stream->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "50% off: grün\n");
}

TEST_F(RpcServer, deadlinesAndCancellationEndTheHandler) {
  start();
  EXPECT_EQ(call("/hold/unary", "x", 60).status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  eventually([&] { return echo_.handlers.load() == 0; });
  const auto held = echo_.held();
  std::atomic<bool> ran{false};
  held->run([&](Call&) { ran = true; });
  call("/echo/unary", "x");
  EXPECT_FALSE(ran.load()) << "completions of a call that ended are dropped";
}

TEST_F(RpcServer, completionsOfOtherThreadsArrive) {
  start();
  std::thread other([&] {
    echo_.held()->run([](Call& call) {
      call.send(framed("late"));
      call.finish({});
    });
  });
  EXPECT_EQ(call("/hold/unary", "x").bytes, "late");
  other.join();
}

TEST_F(RpcServer, drainWaitsForCallsAndThenTells) {
  start();
  std::promise<void> drained;
  auto done = drained.get_future();
  std::thread other([&] {
    const auto held = echo_.held();
    server_->drain(60'000, [&] { drained.set_value(); });
    EXPECT_NE(done.wait_for(std::chrono::milliseconds(20)), std::future_status::ready);
    held->run([](Call& call) { call.finish({}); });
  });
  call("/hold/unary", "x");
  other.join();
  done.wait();
  EXPECT_FALSE(call("/echo/unary", "x", 2'000).status.ok());
}

TEST_F(RpcServer, drainGivesUpOnCallsAfterTheGrace) {
  start();
  std::promise<void> drained;
  std::thread other([&] {
    echo_.held();
    server_->drain(50, [&] { drained.set_value(); });
  });
  EXPECT_EQ(call("/hold/unary", "x").status.error_code(), grpc::StatusCode::UNAVAILABLE);
  other.join();
  drained.get_future().wait();
}

TEST_F(RpcServer, aCallWhoseMessageDoesNotComeIsEnded) {
  RpcEndpoint endpoint;
  endpoint.write_timeout_ms = 50;
  start(endpoint);
  const auto open = channel();
  grpc::GenericStub stub(open);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  void* tag;
  bool ok;
  const auto mute = stub.PrepareCall(&context, "/echo/unary", &queue);
  mute->StartCall(nullptr);
  queue.Next(&tag, &ok);
  grpc::Status status;
  mute->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(status.error_message(), "the request did not arrive in time");
  eventually([&] { return echo_.handlers.load() == 0 && server_->stats().held_bytes == 0; });
}

TEST_F(RpcServer, headsOfOpenCallsAreCountedAndBounded) {
  RpcEndpoint endpoint;
  endpoint.max_pending_bytes = 50'000;
  start(endpoint);
  const std::multimap<std::string, std::string> large = {{"clew-large", std::string(6'000, 'h')}};
  std::vector<std::thread> callers;
  constexpr int kHeld = 6;
  for (int i = 0; i < kHeld; ++i) {
    callers.emplace_back([&] { call("/hold/unary", "x", 60'000, false, large); });
  }
  echo_.wait_for_held(kHeld);
  EXPECT_GE(server_->stats().held_bytes, kHeld * 6'000u);
  const Answer refused = call("/echo/unary", "x", 30'000, false, large);
  EXPECT_EQ(refused.status.error_message(), "too much");
  std::promise<void> drained;
  server_->drain(0, [&] { drained.set_value(); });
  for (std::thread& caller : callers) caller.join();
  drained.get_future().wait();
  EXPECT_EQ(server_->stats().held_bytes, 0u);
}

TEST_F(RpcServer, strangersCrowdOutEachOtherAndNobodyElse) {
  RpcEndpoint endpoint;
  endpoint.max_pending_calls = 5 * kStrangersShare;
  start(endpoint);
  std::vector<std::thread> callers;
  for (int i = 0; i < 5; ++i) callers.emplace_back([&] { call("/open/hold/unary", "x", 60'000); });
  echo_.wait_for_held(5);
  EXPECT_EQ(call("/open/unary", "x").status.error_message(), "too much");
  EXPECT_EQ(call("/echo/unary", "x").bytes, "x");
  EXPECT_EQ(server_->stats().open_calls, 5u);
  server_->drain(0, [] {});
  for (std::thread& caller : callers) caller.join();
}

// A client that speaks bytes.
class Raw {
 public:
  explicit Raw(uint16_t port) : socket_(io_) { socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port}); }
  void send(std::string_view bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), ignored);
  }
  static std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
    std::string out;
    for (int shift : {16, 8, 0}) out.push_back(static_cast<char>(payload.size() >> shift));
    out.push_back(static_cast<char>(type));
    out.push_back(static_cast<char>(flags));
    for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(stream >> shift));
    return out + std::string(payload);
  }
  // Everything until the server closes.
  std::string rest() {
    std::string all;
    boost::system::error_code error;
    char chunk[4096];
    while (!error) all.append(chunk, socket_.read_some(boost::asio::buffer(chunk), error));
    return all;
  }
  // A call's HEADERS, whole, with no message to follow; `broken` has a name in upper case.
  static std::string call(uint32_t stream, bool broken) {
    std::string head = "\x83\x86\x44\x08/nothing\x01\x01z";  // POST, http, :path, :authority
    head +=
        "\x0f\x10\x10"
        "application/grpc";
    if (broken)
      head += std::string(
          "\0\x01"
          "A\x01"
          "b",
          5);
    return frame(1, 5, stream, head);
  }
  static constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
};

TEST_F(RpcServer, whoSpeaksHttp1IsToldWhereItIs) {
  start();
  Raw raw(server_->port());
  raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(raw.rest(), HasSubstr("speaks gRPC"));
}

TEST_F(RpcServer, connectionsThatBreakTheRulesAreClosed) {
  start();
  const std::string settings = Raw::frame(4, 0, 0, "");
  const std::vector<std::string> broken = {
      std::string(200, 'x'),
      std::string(Raw::kPreface) + std::string(9, '\xff'),
      std::string(Raw::kPreface) + settings + Raw::frame(1, 4, 2, "\x82"),                  // an even stream
      std::string(Raw::kPreface) + settings + Raw::frame(0, 0, 1, "x"),                     // data of no stream
      std::string(Raw::kPreface) + settings + Raw::frame(1, 4, 1, std::string(3, '\xff')),  // HPACK nonsense
      std::string(Raw::kPreface) + settings + Raw::frame(8, 0, 0, std::string(4, '\0')),    // no increment
  };
  for (const std::string& bytes : broken) {
    Raw raw(server_->port());
    raw.send(bytes);
    raw.rest();
  }
  eventually([&] { return server_->stats().open_connections == 0; });
  EXPECT_EQ(call("/echo/unary", "still there").bytes, "still there");
}

TEST_F(RpcServer, floodsOfControlFramesEndTheConnection) {
  start();
  const std::string begin = std::string(Raw::kPreface) + Raw::frame(4, 0, 0, "");
  uint64_t accepted = 0;
  for (const std::string& one : {Raw::frame(6, 0, 0, std::string(8, 'p')), Raw::frame(4, 0, 0, "")}) {
    Raw raw(server_->port());
    raw.send(begin);
    std::string many;
    for (int i = 0; i < 1'000; ++i) many += one;
    accepted++;
    eventually([&] { return server_->stats().accepted_connections == accepted; });
    // Its answers are never read: at some point the server has enough.
    std::thread sender([&] {
      for (int i = 0; i < 500 && server_->stats().open_connections > 0; ++i) raw.send(many);
    });
    eventually([&] { return server_->stats().open_connections == 0; });
    sender.join();
  }
}

TEST_F(RpcServer, whoMakesTheServerResetCallAfterCallIsClosed) {
  start();
  Raw raw(server_->port());
  std::thread reader([&] { raw.rest(); });
  std::string bytes = std::string(Raw::kPreface) + Raw::frame(4, 0, 0, "");
  uint32_t stream = 1;
  const auto closed = [&] { return server_->stats().accepted_connections > server_->stats().open_connections; };
  for (int i = 0; i < 1'000 && !closed(); ++i) {
    for (int n = 0; n < 100; ++n, stream += 2) bytes += Raw::call(stream, true);
    raw.send(std::exchange(bytes, {}));
  }
  eventually(closed);
  reader.join();
  EXPECT_EQ(server_->stats().protocol_errors, 1u);
  EXPECT_EQ(server_->stats().calls, 0u);
}

TEST_F(RpcServer, nothingIsReadFromWhoLeavesItsAnswersLying) {
  RpcEndpoint endpoint;
  endpoint.write_timeout_ms = 300;
  start(endpoint);
  Raw raw(server_->port());
  raw.send(std::string(Raw::kPreface) + Raw::frame(4, 0, 0, ""));
  constexpr uint32_t kMost = 4'000'000;
  std::atomic<uint32_t> sent{0};
  std::thread sender([&] {
    for (uint32_t stream = 1; sent < kMost && server_->stats().timeouts == 0;) {
      std::string bytes;
      for (int n = 0; n < 1'000; ++n, stream += 2) bytes += Raw::call(stream, false);
      raw.send(bytes);
      sent += 1'000;
    }
  });
  sender.join();
  EXPECT_LT(sent.load(), kMost) << "the sockets' buffers are full long before";
  EXPECT_GE(server_->stats().timeouts, 1u);
  EXPECT_LT(server_->stats().calls, kMost / 2);
  eventually([&] { return server_->stats().open_connections == 0 && server_->stats().held_bytes == 0; });
}

TEST_F(RpcServer, whoSaysNothingOrIsNotThereIsClosed) {
  RpcEndpoint endpoint;
  endpoint.handshake_timeout_ms = 50;
  endpoint.keepalive_time_ms = 50;
  endpoint.keepalive_timeout_ms = 50;
  start(endpoint);
  Raw silent(server_->port());
  EXPECT_EQ(silent.rest(), "");
  Raw gone(server_->port());  // answers no ping
  gone.send(std::string(Raw::kPreface) + Raw::frame(4, 0, 0, ""));
  gone.rest();
  EXPECT_EQ(server_->stats().timeouts, 2u);
}

TEST_F(RpcServer, moreConnectionsThanAllowedAreClosedAtOnce) {
  RpcEndpoint endpoint;
  endpoint.max_connections = 1;
  start(endpoint);
  Raw first(server_->port());
  eventually([&] { return server_->stats().open_connections == 1; });
  Raw second(server_->port());
  EXPECT_EQ(second.rest(), "");
  EXPECT_EQ(server_->stats().refused_connections, 1u);
}

TEST_F(RpcServer, aPortThatIsTakenIsSaidSo) {
  start();
  RpcEndpoint endpoint;
  endpoint.endpoint = "127.0.0.1:" + std::to_string(server_->port());
  Server other("second", endpoint, echo_, loops_.all());
  const Status started = other.start();
  EXPECT_EQ(started.code(), Code::kAlreadyExists);
  EXPECT_THAT(std::string(started.message()), HasSubstr("second"));
}

}  // namespace
}  // namespace clew::api::rpc
