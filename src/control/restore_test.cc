#include "control/restore.h"

#include "control/plane_rig_test.h"

namespace clew::control {
namespace {

using ::testing::HasSubstr;

class Bytes final : public consensus::SnapshotSource {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<std::string_view> read() override {
    // Pieces of an odd size: nothing may depend on where they end.
    const size_t size = std::min<size_t>(bytes_.size() - at_, 1'013);
    at_ += size;
    return std::string_view(bytes_).substr(at_ - size, size);
  }

 private:
  const std::string bytes_;
  size_t at_ = 0;
};

class Restore : public Planes {
 protected:
  // What a member of the old group hands out.
  std::string exported(uint64_t from) {
    const auto stream = plane(from).snapshot();
    std::string bytes;
    for (;;) {
      const auto piece = ask<std::string>([&](auto done) { stream->next(4'000, std::move(done)); });
      EXPECT_TRUE(piece->ok()) << piece->text();
      if (!piece->ok() || piece->get().empty()) return bytes;
      bytes += piece->get();
    }
  }
  Result<Belonging> restore(const std::string& bytes, uint64_t id, const std::vector<Member>& founders,
                            const std::string& token = "new") {
    Bytes source(bytes);
    CLEW_ASSIGN(const auto state, RestoredState::read(source));
    RestoreOptions options;
    options.directory = "/restored";
    options.token = token;
    options.founders = founders;
    options.node = NodeId{id};
    sim::SimClock clock(scheduler_, sim::SimLoop::kDefaultEpochNs);
    sim::SimLoop loop(scheduler_, clock, sim::NodeIndex{0});
    sim::SimRandom random{id};
    std::optional<Result<Belonging>> made;
    restore_member(loop, *disks_[id - 1], random, options, *state,
                   [&](Result<Belonging> result) { made = std::move(result); });
    EXPECT_TRUE(wait([&] { return made.has_value(); }));
    return *std::move(made);
  }
};

TEST_F(Restore, aNewGroupGoesOnWhereTheOldOneWasSaved) {
  found(3);
  const uint64_t old = leader();
  kv::LeaseGrantRequest grant;
  grant.id = kv::LeaseId{5};
  grant.ttl_s = 20;
  ASSERT_TRUE(call(old, grant)->ok());
  kv::PutRequest leased = put("leased", "x");
  leased.lease = grant.id;
  ASSERT_TRUE(call(old, leased)->ok());
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(call(old, put("key" + std::to_string(i % 100), std::to_string(i)))->ok());
  }
  const auto at = std::get<kv::RangeResponse>(call(old, range("key0"))->get().response);
  const consensus::Position seen = call(old, range("key0"))->get().position;
  ASSERT_TRUE(wait([&] { return status(old).members.size() == 3 && !status(old).members[2].record.name.empty(); }));
  const std::string bytes = exported(old);
  ASSERT_TRUE(call(old, put("key0", "too late"))->ok());

  // Machines 4 and 5 are new; machine 2 had been a member of the old group, and gets another directory.
  const std::vector<Member> founders{member_of(2), member_of(4), member_of(5)};
  std::set<uint64_t> foundings;
  for (const uint64_t id : {1, 2, 3}) power_cut(id);
  for (const uint64_t id : {2, 4, 5}) {
    const auto made = restore(bytes, id, founders);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    EXPECT_FALSE(made->is_new);
    foundings.insert(made->founding);
    options_.replica.cluster = made->founding;
  }
  EXPECT_EQ(foundings.size(), 1u);
  EXPECT_NE(*foundings.begin(), 7u);
  options_.replica.directory = "/restored/replica";
  founding_ = Membership::make(founders).value();
  for (const uint64_t id : {2, 4, 5}) {
    ASSERT_TRUE(start(id, false, founding_).open_status.ok()) << process(id).open_status.to_string();
  }
  const uint64_t leads = leader();
  EXPECT_EQ(get(4, "key0"), "200");
  EXPECT_EQ(get(5, "key99"), "299");
  EXPECT_EQ(get(2, "leased"), "x");
  const auto now = call(leads, range("key0"))->get();
  EXPECT_EQ(std::get<kv::RangeResponse>(now.response).revision, at.revision) << "revisions go on";
  EXPECT_EQ(std::get<kv::RangeResponse>(now.response).kvs, at.kvs);
  EXPECT_GT(now.position, seen) << "and positions, so that session tokens stay good";
  kv::RangeRequest past = range("key0");
  past.revision = at.revision - 250;
  EXPECT_TRUE(call(leads, past)->ok()) << "history is there";

  // It lives: members publish themselves, a fourth joins under an id of its own, the lease ends in its time.
  EXPECT_TRUE(wait([&] {
    const GroupStatus group = status(leads);
    return group.members.size() == 3 && std::all_of(group.members.begin(), group.members.end(), [](const auto& one) {
             return one.state == MemberState::kOnline && !one.record.name.empty();
           });
  }));
  ASSERT_TRUE(call(4, put("after", "1"))->ok());
  const auto added = ask<NodeId>([&](auto done) {
    plane(leads).add_member({peer_address(1), consensus::Role::kLearner, true}, {}, std::move(done));
  });
  ASSERT_TRUE(added->ok()) << added->text();
  EXPECT_EQ(number(added->get()), 6u);
  EXPECT_TRUE(wait([&] { return get(leads, "leased") == "none"; }, 40 * kSecond));
  power_cut(leads);
  const uint64_t next = leader();
  EXPECT_EQ(get(next, "after"), "1");
  EXPECT_EQ(get(next, "key0"), "200");
}

TEST_F(Restore, anotherTokenMakesAnotherFoundingOfTheSameFileAndFounders) {
  found(1);
  ASSERT_TRUE(call(1, put("a", "1"))->ok());
  const std::string bytes = exported(1);
  const auto one = restore(bytes, 4, {member_of(4)}, "one");
  const auto two = restore(bytes, 5, {member_of(5)}, "two");
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_NE(one->founding, two->founding);
  // What was written says so at the next start, with the same configuration.
  BootstrapOptions options;
  options.directory = "/restored";
  options.token = "one";
  options.founders = {member_of(4)};
  options.node = NodeId{4};
  sim::SimRandom random{1};
  const auto known = belong(*disks_[3], random, options);
  ASSERT_TRUE(known.ok()) << known.status().to_string();
  EXPECT_EQ(**known, *one);
  options.token = "two";
  EXPECT_THAT(belong(*disks_[3], random, options).status().to_string(),
              HasSubstr("belongs to a group of the founding"));
}

TEST_F(Restore, whatIsDamagedCutOrNoSnapshotIsRefused) {
  found(1);
  ASSERT_TRUE(call(1, put("a", std::string(5'000, 'v')))->ok());
  const std::string bytes = exported(1);
  for (size_t at = 0; at < bytes.size(); at += 97) {
    std::string bad = bytes;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_FALSE(restore(bad, 4, {member_of(4)}).ok()) << at;
  }
  for (size_t size = 0; size < bytes.size(); size += 61) {
    EXPECT_FALSE(restore(bytes.substr(0, size), 4, {member_of(4)}).ok()) << size;
  }
  EXPECT_FALSE(restore(bytes + "x", 4, {member_of(4)}).ok());
  const auto stranger = restore(bytes, 4, {member_of(5)});
  EXPECT_THAT(stranger.status().to_string(), HasSubstr("not among the founders"));
}

}  // namespace
}  // namespace clew::control
