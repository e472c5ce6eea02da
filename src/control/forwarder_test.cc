#include "control/forwarder.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace clew::control {
namespace {

// Keeps one question and never answers it but by its end.
class Silent final : public Service {
 public:
  explicit Silent(int& open) : open_(open) { ++open_; }
  ~Silent() override {
    --open_;
    if (done_) done_(CallError{Code::kUnavailable, "closed", true, {}, {}});
  }
  void status(CallOptions, Done<GroupStatus> done) override { done_ = std::move(done); }
  void answer() { std::exchange(done_, nullptr)(GroupStatus()); }

  void execute(kv::Space, kv::Request, CallOptions, Done<CallReply>) override {}
  void keep_alive(kv::LeaseId, CallOptions, Done<int64_t>) override {}
  void attest(consensus::SessionId, uint64_t, CallOptions, Done<Attestation>) override {}
  void open_session(CallOptions, Done<consensus::SessionId>) override {}
  void close_session(consensus::SessionId, CallOptions) override {}
  std::unique_ptr<WatchStream> watch(kv::Space) override { return nullptr; }
  void add_member(NewMember, CallOptions, Done<consensus::NodeId>) override {}
  void remove_member(consensus::NodeId, CallOptions, Done<consensus::Position>) override {}
  void promote_member(consensus::NodeId, CallOptions, Done<consensus::Position>) override {}
  void update_member(consensus::NodeId, std::string, CallOptions, Done<consensus::Position>) override {}
  void transfer_leadership(consensus::NodeId, CallOptions, Done<consensus::NodeId>) override {}
  void propose_decree(std::string, std::string, CallOptions, Done<consensus::paxos::Outcome>) override {}
  void set_alarm(Alarm, bool, CallOptions, Done<consensus::Position>) override {}
  std::unique_ptr<SnapshotStream> snapshot() override { return nullptr; }

 private:
  int& open_;
  Done<GroupStatus> done_;
};

TEST(Forwarder, aConnectionOnWhichSomethingIsUnderWay_isNotClosedForIdling) {
  int open = 0;
  Silent* made = nullptr;
  Forwarder forwarder([&](const std::string&) {
    auto service = std::make_unique<Silent>(open);
    made = service.get();
    return service;
  });
  bool answered = false;
  bool uncertain = false;
  {
    const auto reached = forwarder.to("old-leader", 0);
    ASSERT_TRUE(reached);
    reached->status({}, [&, use = reached.use](const std::variant<GroupStatus, CallError>& answer) {
      answered = true;
      uncertain = std::holds_alternative<CallError>(answer);
    });
  }
  consensus::Time now = 10 * Forwarder::kIdle;
  forwarder.tidy("new-leader", now);
  EXPECT_EQ(open, 1);
  EXPECT_FALSE(answered);
  made->answer();
  EXPECT_TRUE(answered);
  EXPECT_FALSE(uncertain);
  // It was busy until now, and has its time from now on.
  now += Forwarder::kIdle;
  forwarder.tidy("new-leader", now);
  EXPECT_EQ(open, 1);
  forwarder.tidy("new-leader", now + 1);
  EXPECT_EQ(open, 0);
  EXPECT_EQ(forwarder.connections(), 0u);
}

TEST(Forwarder, theLeadersConnectionStays) {
  int open = 0;
  Forwarder forwarder([&](const std::string&) { return std::make_unique<Silent>(open); });
  ASSERT_TRUE(forwarder.to("leader", 0));
  ASSERT_TRUE(forwarder.to("other", 0));
  forwarder.tidy("leader", 10 * Forwarder::kIdle);
  EXPECT_EQ(open, 1);
  EXPECT_EQ(forwarder.connections(), 1u);
  forwarder.close();
  EXPECT_EQ(open, 0);
}

}  // namespace
}  // namespace clew::control
