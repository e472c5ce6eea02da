#include "sim/groups/mesh_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/network.h"
#include "sim/random.h"

namespace clew::sim::groups {
namespace {

using consensus::Instance;
using consensus::NodeId;
using testing::ElementsAre;

constexpr NodeIndex n(uint32_t i) { return NodeIndex{i}; }

// A machine with nothing on it but a transport.
struct Post final : MeshEndpoint {
  Post(Scheduler& scheduler, Links& links, Mesh& mesh, NodeIndex node, uint64_t instance)
      : loop(scheduler),
        network(scheduler, links),
        random(1),
        atlas(links.nodes()),
        journal(scheduler),
        machine{.node = node,
                .life = 1,
                .loop = loop,
                .disk = disk,
                .network = network.host(node),
                .random = random,
                .mesh = mesh,
                .atlas = atlas,
                .journal = journal,
                .halt = {},
                .power = &disk},
        transport(machine, member_id(node), [](NodeId, std::string_view) {}) {
    consensus::Transport::Handler handler;
    handler.instance = Instance{instance};
    handler.on_frame = [this](NodeId from, Instance, std::string_view frame) {
      frames.push_back(std::to_string(number(from)) + ":" + std::string(frame));
    };
    handler.on_connection = [](NodeId, bool) {};
    handler.admits = [this](NodeId peer, Instance is) {
      met.push_back(std::to_string(number(peer)) + "#" + std::to_string(static_cast<uint64_t>(is)));
      return is != refused;
    };
    transport.start(std::move(handler));
  }
  void on_message(NodeIndex, std::string_view bytes) override { transport.on_message(bytes); }
  void on_connection(NodeIndex peer, bool up) override { transport.on_connection(peer, up); }

  SimDisk disk;
  SimLoop loop;
  SimNetwork network;
  SimRandom random;
  FaultAtlas atlas;
  Journal journal;
  Machine machine;
  std::vector<std::string> frames;
  std::vector<std::string> met;
  Instance refused{0};
  MeshTransport transport;
};

class MeshTransportTest : public testing::Test {
 protected:
  MeshTransportTest() : links_(2, 1), mesh_(scheduler_, links_) {
    for (uint32_t i = 0; i < 2; ++i) {
      posts_.push_back(std::make_unique<Post>(scheduler_, links_, mesh_, n(i), 70 + i));
      mesh_.set_up(n(i), *posts_.back());
    }
    scheduler_.run_until_idle();
  }
  void introduce() {
    posts_[0]->transport.set_peers({{.id = member_id(n(1)), .address = "n1"}});
    posts_[1]->transport.set_peers({{.id = member_id(n(0)), .address = "n0"}});
    scheduler_.run_until_idle();
  }
  Scheduler scheduler_;
  Links links_;
  Mesh mesh_;
  std::vector<std::unique_ptr<Post>> posts_;
};

TEST_F(MeshTransportTest, membersMeetOnceBeforeTheyHaveAnythingToSay) {
  introduce();
  EXPECT_THAT(posts_[0]->met, ElementsAre("2#71"));
  EXPECT_THAT(posts_[1]->met, ElementsAre("1#70"));
  posts_[0]->transport.send(member_id(n(1)), "hello");
  mesh_.reset(n(0), n(1));  // a new connection, and another greeting
  posts_[0]->transport.send(member_id(n(1)), "again");
  scheduler_.run_until_idle();
  EXPECT_THAT(posts_[1]->met, ElementsAre("1#70"));
  EXPECT_THAT(posts_[1]->frames, ElementsAre("1:again"));  // the reset took the first
}

TEST_F(MeshTransportTest, nothingOfAPeerThatIsNotAdmittedIsDelivered) {
  posts_[1]->refused = Instance{70};
  introduce();
  posts_[0]->transport.send(member_id(n(1)), "let me in");
  posts_[1]->transport.send(member_id(n(0)), "no");
  scheduler_.run_until_idle();
  EXPECT_THAT(posts_[1]->frames, ElementsAre());
  EXPECT_THAT(posts_[0]->frames, ElementsAre("2:no"));
}

}  // namespace
}  // namespace clew::sim::groups
