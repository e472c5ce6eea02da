#include "os/network.h"

#include <gtest/gtest.h>

#include <future>

#include "os/loop.h"
#include "os/workers.h"

namespace clew::os {
namespace {

class OsNetworkTest : public testing::Test {
 protected:
  // Everything of a test happens on the loop; this waits for its end.
  template <typename F>
  auto on_loop(F function) {
    std::promise<decltype(function())> result;
    loop_.post([&] {
      if constexpr (std::is_void_v<decltype(function())>) {
        function();
        result.set_value();
      } else {
        result.set_value(function());
      }
    });
    return result.get_future().get();
  }
  void TearDown() override {
    on_loop([&] {
      client_.reset();
      server_.reset();
      listener_.reset();
    });
  }

  Workers workers_;
  OsLoop loop_{"test", workers_};
  OsNetwork network_;
  std::unique_ptr<env::Listener> listener_;
  std::unique_ptr<env::Stream> client_, server_;
};

TEST_F(OsNetworkTest, carriesBytesBothWaysAndTellsTheEnd) {
  constexpr size_t kBytes = 3 << 20;
  std::promise<void> server_closed;
  std::string echoed;
  const std::string sent(kBytes, 'z');
  on_loop([&] {
    auto listening = network_.listen(loop_, "127.0.0.1:0", [&](std::unique_ptr<env::Stream> stream) {
      server_ = std::move(stream);
      server_->start({.on_bytes = [&](std::string_view bytes) { server_->write(std::string(bytes)); },
                      .on_closed =
                          [&](Status status) {
                            EXPECT_TRUE(status.ok()) << status.to_string();
                            server_closed.set_value();
                          },
                      .on_writable = nullptr});
    });
    ASSERT_TRUE(listening.ok()) << listening.status().to_string();
    listener_ = std::move(*listening);
    network_.connect(loop_, "127.0.0.1:" + std::to_string(listener_->port()), [&](auto connected) {
      ASSERT_TRUE(connected.ok()) << connected.status().to_string();
      client_ = std::move(*connected);
      EXPECT_EQ(client_->peer(), "127.0.0.1:" + std::to_string(listener_->port()));
      client_->start({.on_bytes =
                          [&](std::string_view bytes) {
                            echoed += bytes;
                            if (echoed.size() == kBytes) client_.reset();
                          },
                      .on_closed = [](Status) { FAIL() << "after its own close a stream says nothing"; },
                      .on_writable = [&] { EXPECT_EQ(client_->pending_bytes(), 0u); }});
      client_->write(sent.substr(0, 10));
      client_->write(sent.substr(10));
      EXPECT_EQ(client_->pending_bytes(), kBytes);
    });
  });
  server_closed.get_future().wait();
  on_loop([&] { EXPECT_TRUE(echoed == sent); });
}

TEST_F(OsNetworkTest, refusalsNameTheAddress) {
  const auto fails_with = [&](const std::string& address) {
    std::promise<Status> result;
    on_loop([&] { network_.connect(loop_, address, [&](auto connected) { result.set_value(connected.status()); }); });
    return result.get_future().get();
  };
  const Status refused = fails_with("127.0.0.1:1");
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_NE(refused.message().find("127.0.0.1:1"), std::string_view::npos);
  EXPECT_EQ(fails_with("no port").code(), Code::kInvalidArgument);
  EXPECT_EQ(fails_with("host:http").code(), Code::kInvalidArgument);
}

TEST_F(OsNetworkTest, aTakenPortIsSaidToBeTaken) {
  on_loop([&] {
    auto first = network_.listen(loop_, "127.0.0.1:0", [](auto) {});
    ASSERT_TRUE(first.ok());
    listener_ = std::move(*first);
    const auto second = network_.listen(loop_, "127.0.0.1:" + std::to_string(listener_->port()), [](auto) {});
    EXPECT_EQ(second.status().code(), Code::kAlreadyExists);
  });
}

}  // namespace
}  // namespace clew::os
