#include "control/restore.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/hash.h"
#include "base/varint.h"
#include "consensus/protocols.h"
#include "consensus/replica_seed.h"
#include "control/system_space.h"
#include "kv/memory_engine.h"

namespace clew::control {

namespace {

constexpr size_t kTrailerBytes = sizeof(Hash128);

// Holds the last bytes back, which are the checksum of the others.
class TrailedSource final : public consensus::SnapshotSource {
 public:
  explicit TrailedSource(consensus::SnapshotSource& from) : from_(from) {}

  Result<std::string_view> read() override {
    given_.clear();
    while (!ended_ && held_.size() <= kTrailerBytes) {
      CLEW_ASSIGN(const std::string_view more, from_.read());
      ended_ = more.empty();
      held_ += more;
    }
    if (held_.size() > kTrailerBytes) {
      given_ = held_.substr(0, held_.size() - kTrailerBytes);
      held_.erase(0, given_.size());
      hash_.add(given_);
    }
    return std::string_view(given_);
  }
  // After everything else was read; not 0.
  Result<uint64_t> checksum() const {
    const Hash128 hash = hash_.hash();
    ByteReader in(held_);
    const auto lo = in.fixed<uint64_t>(), hi = in.fixed<uint64_t>();
    if (!ended_ || !in.ok() || lo != hash.lo || hi != hash.hi) {
      return Error{Code::kDataLoss, "snapshot: its checksum does not fit its bytes; take another copy"};
    }
    return std::max<uint64_t>(lo, 1);
  }

 private:
  consensus::SnapshotSource& from_;
  StableHasher hash_;
  std::string held_, given_;
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<RestoredState>> RestoredState::read(consensus::SnapshotSource& source) {
  std::unique_ptr<RestoredState> state(new RestoredState());
  kv::Spaces::Engines engines;
  for (auto& engine : engines) engine = std::make_unique<kv::MemoryEngine>();
  CLEW_ASSIGN(state->spaces_, kv::Spaces::open(std::move(engines), state->registry_));
  TrailedSource trailed(source);
  CLEW_TRY(state->spaces_->restore(trailed));
  CLEW_ASSIGN(state->checksum_, trailed.checksum());
  return state;
}

consensus::Position RestoredState::position() const {
  return std::max(
      {spaces_->machine(kv::Space::kUser).applied(), spaces_->machine(kv::Space::kSystem).applied(), forgotten_at_});
}

int64_t RestoredState::time_ns() const {
  return std::max(spaces_->machine(kv::Space::kUser).time_ns(), spaces_->machine(kv::Space::kSystem).time_ns());
}

uint64_t RestoredState::reign() const {
  return std::max(spaces_->machine(kv::Space::kUser).reign(), spaces_->machine(kv::Space::kSystem).reign());
}

void RestoredState::become_new() {
  consensus::Applied at{position(), time_ns()};
  const auto forget = [&](std::string_view key, std::string range_end) {
    kv::DeleteRangeRequest request;
    request.key = std::string(key);
    request.range_end = std::move(range_end);
    forgotten_at_ = ++at.position;
    (void)spaces_->apply(at, kv::Spaces::command(kv::Space::kSystem, request));
  };
  for (const std::string_view prefix : {kMembersPrefix, kPromotePrefix, kAlarmsPrefix}) {
    forget(prefix, prefix_end(prefix));
  }
  forget(kNextMemberKey, "");
}

void restore_member(env::Loop& loop, env::Disk& disk, env::Random& random, const RestoreOptions& options,
                    RestoredState& state, UniqueFunction<void(Result<Belonging>)> done) {
  const consensus::ProtocolKind* const kind = consensus::protocol_named(options.protocol);
  const auto made = [&]() -> Result<Belonging> {
    Belonging belonging;
    CLEW_ASSIGN(belonging.founders, consensus::Membership::make(options.founders));
    belonging.node = options.node;
    belonging.restored = state.checksum();
    belonging.is_new = false;  // its replica is made here
    if (!belonging.founders.contains(options.node)) {
      return Error{Code::kInvalidArgument,
                   "node " + std::to_string(number(options.node)) + " is not among the founders of the new cluster"};
    }
    for (const consensus::Member& member : belonging.founders.members()) {
      if (member.role != consensus::Role::kVoter) {
        return Error{Code::kInvalidArgument, "founder " + std::to_string(number(member.id)) +
                                                 " is a witness, which has no data to be restored: found the cluster "
                                                 "without it and let it join afterwards"};
      }
    }
    if (kind == nullptr) {
      return Error{Code::kInvalidArgument,
                   "no protocol is called " + options.protocol + "; there are " + consensus::protocol_names()};
    }
    if (kind->first_record == nullptr) {
      return Error{Code::kUnimplemented, "a group on " + options.protocol +
                                             " cannot begin with a state: its members believe what enough of them "
                                             "have signed; found it empty, and write the keys into it"};
    }
    if (const Status founds = kind->founds(belonging.founders); !founds.ok()) return founds.error();
    belonging.founding = founding_of(options.token, belonging.founders, belonging.restored);
    return belonging;
  }();
  if (!made.ok()) return done(made.error());
  state.become_new();
  consensus::ReplicaSeed seed;
  seed.cluster = made->founding;
  seed.self = made->node;
  seed.directory = options.directory + "/replica";
  seed.protocol = options.protocol;
  seed.founders = made->founders;
  seed.position = state.position();
  seed.epoch = state.reign() + 1;  // a reign that leases know as the newest
  seed.time_ns = state.time_ns();
  consensus::seed_replica(
      loop, disk, random, std::move(seed), state.machine(), kind->first_record,
      [&disk, directory = options.directory, belonging = *made, done = std::move(done)](Status status) mutable {
        if (status.ok()) status = remember(disk, directory, belonging);
        if (!status.ok()) return done(status.error());
        done(std::move(belonging));
      });
}

}  // namespace clew::control
