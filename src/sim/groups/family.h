// Family: what the simulator must know of one protocol to put its groups through worlds, and to judge them: how a core
// is made, what it may hold, and the invariants that only this protocol has. Every protocol of consensus/ has one, in a
// file of its own (raft_family.h) and a line in family.cc; the scenario knows nothing else of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "consensus/protocol.h"
#include "consensus/replica.h"
#include "consensus/types.h"
#include "env/loop.h"
#include "sim/atlas.h"
#include "sim/groups/profile.h"

namespace clew::sim::groups {

// Watches all members of one world. Incremental: O(what changed) an event.
class Judge {
 public:
  virtual ~Judge() = default;
  // A life of this member begins: `core` has recovered, and the state stands where its snapshot was taken, or at 0;
  // `damaged`: the log on disk was found damaged.
  virtual Status started(consensus::NodeId id, const consensus::Protocol& core, consensus::Position state,
                         bool damaged) = 0;
  virtual void on_record(consensus::NodeId id, consensus::LogSeq seq, std::string_view record) = 0;
  virtual void on_sent(consensus::NodeId id, consensus::NodeId to, std::string_view frame) = 0;
  virtual Status after_event(consensus::NodeId id, const consensus::Protocol& core) = 0;
  // Before the process dies. What it had made durable stays.
  virtual void stopped(consensus::NodeId id, const consensus::Protocol& core) = 0;
  // What the loss of these records of its log would cost a member: see sim/atlas.h.
  virtual Scope cost_of(consensus::NodeId id, const consensus::Protocol& core,
                        const std::vector<consensus::LogSeq>& lost) const = 0;
};

// What a member's monotonic clock shows now.
using Clocks = std::function<consensus::Time(consensus::NodeId)>;

// The most that a member's Report may show.
struct Bounds {
  uint64_t uncommitted_bytes = 0;
  uint64_t log_bytes = 0;
};

// What a lying member makes of a frame that its core wants sent: the frames that go instead, none or several. Inside it
// is as honest as the others, so that everything else is judged of it, too.
class Liar {
 public:
  virtual ~Liar() = default;
  virtual std::vector<std::string> twist(consensus::NodeId to, std::string_view frame) = 0;
  // The same of frames of consensus/snapshot_exchange.h, which its replica sends.
  virtual std::string twist_snapshot(std::string_view frame) { return std::string(frame); }
};

// The membership that was delivered last by anybody. A liar may know it: others told it.
using Present = std::function<const consensus::Membership&()>;

struct Family {
  std::string_view name;
  // `founding` is empty for a member that joins a group which exists; `clock` is the member's and outlives the core.
  std::function<std::unique_ptr<consensus::Protocol>(const Shape& shape, consensus::NodeId self,
                                                     const consensus::Membership& founding, const env::Clock& clock,
                                                     uint64_t seed)>
      make;
  std::function<std::unique_ptr<Judge>(Clocks)> judge;
  std::function<Bounds(const Shape& shape)> bounds;
  // How many voters of so many may be lost; and the fewest that make a group.
  std::function<size_t(size_t voters)> tolerates = [](size_t voters) { return voters == 0 ? 0 : (voters - 1) / 2; };
  size_t least_voters = 0;
  // A membership that is delivered governs later, when Protocol::membership() says so.
  bool governs_later = false;
  // Members that join are told the founding membership, to trust it.
  bool joiners_trust = false;
  std::shared_ptr<const consensus::Verifier> verifier = nullptr;  // of signatures; shared by all groups of the family
  std::function<std::unique_ptr<Liar>(consensus::NodeId self, Present present, uint64_t seed)> liar = nullptr;
  // Where members lie: how far ahead of every clock the time of a command may be that is executed. 0: no promise.
  int64_t most_ahead_ns = 0;
  // Takes from a drawn shape what this protocol does not have: a witness, leases, learners.
  std::function<void(Shape& shape)> fit = [](Shape&) {};
  // Names of profiles whose promise this protocol does not make; the reason stands at the family.
  std::vector<std::string_view> unsuited = {};

  // How many whole nodes may be lost while this membership decides, or one with `fewer` voters before or after it.
  size_t losses(const consensus::Membership& membership, size_t fewer = 0) const;
  bool suits(const Profile& profile) const {
    if (profile.liars && liar == nullptr) return false;  // its members are taken to be honest
    return std::find(unsuited.begin(), unsuited.end(), profile.name) == unsuited.end();
  }
};
std::span<const Family> families();  // the first is the default
const Family* family_named(std::string_view name);

}  // namespace clew::sim::groups
