// Members, leadership and status: what only the leader can do, or only the leader sees.
#include <algorithm>
#include <utility>

#include "control/plane.h"

namespace clew::control {
namespace {

using consensus::kNobody;
using consensus::NodeId;

constexpr int64_t kStatusTimeout = 1'000'000'000;  // of the leader's view; then a member says what it sees by itself
constexpr consensus::Time kStaleDiskSeen = 60 * consensus::kSecond;
constexpr consensus::Time kFullPatience = consensus::kSecond;  // room may be made soon
constexpr consensus::Time kGiveWayAgain = 10 * consensus::kSecond;

CallError from(const consensus::RequestError& error) {
  return {error.code, error.message, error.code == Code::kDeadlineExceeded, error.leader, {}};
}

}  // namespace

// --- Errands ---

template <typename T>
void Plane::run(CallOptions options, UniqueFunction<void(Done<T>)> here,
                UniqueFunction<void(Service&, CallOptions, Done<T>)> there, Done<T> done) {
  auto errand = std::make_shared<Errand<T>>();  // shared by those who may yet answer it
  errand->done = std::move(done);
  errand->deadline = now() + std::max<int64_t>(options.timeout_ns, 1);
  errand->forward = options.forward;
  errand->here = std::move(here);
  errand->there = std::move(there);
  attempt(std::move(errand));
}

template <typename T>
void Plane::attempt(std::shared_ptr<Errand<T>> errand) {
  if (closing_) return;  // dropped, and so answered
  if (!halted_.empty()) return errand->answer(error(Code::kUnavailable, halted_, false));
  if (now() >= errand->deadline) return errand->answer(error(Code::kDeadlineExceeded, errand->waits_for, false));
  const auto wait = [&](const std::string& why) {
    errand->waits_for = why;
    parked_errands_.push_back([this, errand] { attempt(errand); });
  };
  Forwarder::Reached leader;
  if (!leading_ && errand->forward) leader = leader_service();
  Done<T> concluded = [this, errand, use = leader.use,
                       alive = std::weak_ptr<char>(alive_)](std::variant<T, CallError> answer) {
    errand->under_way = false;
    const auto* const refused = std::get_if<CallError>(&answer);
    const bool again = refused != nullptr && refused->code == Code::kUnavailable && !refused->uncertain &&
                       errand->forward && !alive.expired() && !closing_;
    if (!again) return errand->answer(std::move(answer));
    errand->waits_for = refused->message;
    parked_errands_.push_back([this, errand] { attempt(errand); });
  };
  if (leading_) {
    errand->under_way = true;
    return errand->here(std::move(concluded));
  }
  if (!errand->forward) {
    return errand->answer(error(Code::kUnavailable, "this member does not lead; ask the leader", false));
  }
  if (!leader) return wait("etcdserver: no leader");
  CallOptions once;
  once.forward = witness_ && leader_address().empty();
  once.timeout_ns = errand->deadline - now();
  errand->under_way = true;
  errand->there(*leader.service, once, std::move(concluded));
}

template void Plane::run<NodeId>(CallOptions, UniqueFunction<void(Done<NodeId>)>,
                                 UniqueFunction<void(Service&, CallOptions, Done<NodeId>)>, Done<NodeId>);
template void Plane::run<consensus::Position>(CallOptions, UniqueFunction<void(Done<consensus::Position>)>,
                                              UniqueFunction<void(Service&, CallOptions, Done<consensus::Position>)>,
                                              Done<consensus::Position>);

void Plane::open_session_here(CallOptions options, Done<consensus::SessionId> done) {
  using consensus::SessionId;
  auto here = [this](Done<SessionId> then) {
    replica_->open_session([then = std::move(then)](std::variant<SessionId, consensus::RequestError> answer) mutable {
      if (const auto* error = std::get_if<consensus::RequestError>(&answer)) return then(from(*error));
      then(std::get<SessionId>(answer));
    });
  };
  // A gateway needs no leader for it: where that is down, what waits here is what deposes it.
  if (proposes_ && !leading_ && halted_.empty() && !closing_) return here(std::move(done));
  run<SessionId>(
      options, std::move(here),
      [](Service& leader, CallOptions once, Done<SessionId> then) { leader.open_session(once, std::move(then)); },
      std::move(done));
}

// --- Leadership ---

bool Plane::another_may_lead() const {
  const consensus::Membership& members = replica_->protocol().membership();
  return std::any_of(members.members().begin(), members.members().end(),
                     [&](const auto& member) { return member.id != record_.id && members.may_lead(member.id); });
}

void Plane::transfer(NodeId to, consensus::Time deadline, Done<NodeId> done) {
  const consensus::Membership& members = replica_->protocol().membership();
  if (to == record_.id) return done(to);
  if (to != kNobody && !members.may_lead(to)) {
    return done(error(Code::kFailedPrecondition,
                      "member " + std::to_string(number(to)) + " cannot lead: it is no voter with data", false));
  }
  if (!another_may_lead())
    return done(error(Code::kFailedPrecondition, "there is no other member that could lead", false));
  replica_->transfer(to);
  transfers_.push_back({to, deadline, std::move(done)});
}

void Plane::settle_transfers() {
  if (transfers_.empty()) return;
  const bool moved = !leading_ && leader_ != kNobody;
  for (Transfer& transfer : std::exchange(transfers_, {})) {
    if (moved) {
      transfer.done(leader_);
    } else if (now() >= transfer.deadline) {
      transfer.done(error(Code::kDeadlineExceeded, "no other member took over in time", true));
    } else {
      transfers_.push_back(std::move(transfer));
    }
  }
}

// A successor may be away for a moment, or bound by the lease of an earlier leader: until the deadline it is asked
// again.
void Plane::retry_transfer() {
  if (!std::exchange(transfer_failed_, false) || transfers_.empty() || !leading_) return;
  replica_->transfer(transfers_.front().to);
}

// A leader that has no room for what clients want to write still has room to go on leading: somebody else may have it.
void Plane::give_way_when_full() {
  const consensus::Time since = replica_->full_since();
  if (!leading_ || since == 0 || now() - since < kFullPatience || now() < give_way_after_) return;
  give_way_after_ = now() + kGiveWayAgain;
  if (another_may_lead()) replica_->transfer(kNobody);
}

std::string Plane::disk_problem() const {
  if (replica_->full_since() == 0) return {};
  return "its disk has no room for the control group's log: make room below " + options_.replica.directory +
         ", and it goes on by itself";
}

// --- Status ---

GroupStatus Plane::own_status() {
  GroupView view;
  view.cluster = cluster();
  view.founding = options_.replica.cluster;
  view.self = record_.id;
  view.protocol = replica_->protocol().name();
  view.report = replica_->report();
  view.membership = replica_->protocol().membership();
  view.applied = replica_->applied();
  view.state_bytes = spaces_->bytes();
  view.quota_bytes = options_.quota_bytes;
  view.own = record_;
  if (!witness_) view.system = &system_.now();
  const consensus::Time since = now() - options_.heard_within_ns;
  view.heard = [this, since](NodeId id) { return tap_.heard_since(id, since); };
  view.unreached = [this](NodeId id) { return tap_.unreached(id); };
  for (const consensus::Member& member : view.membership.members()) {
    if (tap_.refused_since(member.id, now() - kStaleDiskSeen)) view.strangers_disks.insert(member.id);
  }
  view.halted = halted_;
  GroupStatus status = group_status(view);
  note_own_problem(status, decrees_problem());
  note_own_problem(status, disk_problem());
  return status;
}

void Plane::ask_status(CallOptions options, Done<GroupStatus> done) {
  Forwarder::Reached leader;
  if (options.forward && !leading_ && halted_.empty()) leader = leader_service();
  if (!leader) return done(own_status());
  CallOptions once;
  once.forward = false;
  once.timeout_ns = std::min(options.timeout_ns, kStatusTimeout);
  leader->status(once, [this, done = std::move(done), use = leader.use,
                        alive = std::weak_ptr<char>(alive_)](std::variant<GroupStatus, CallError> answer) mutable {
    if (alive.expired() || closing_) return done(CallError{Code::kUnavailable, "this node is stopping", false, {}, {}});
    GroupStatus own = own_status();
    auto* const theirs = std::get_if<GroupStatus>(&answer);
    if (theirs == nullptr || !theirs->leader_view) return done(std::move(own));
    // Of the members and what is wrong the leader knows more; of this node, this node.
    own.members = std::move(theirs->members);
    own.changing = theirs->changing;
    own.alarms = std::move(theirs->alarms);
    own.problems = std::move(theirs->problems);
    own.leader_view = true;
    note_own_problem(own, decrees_problem());
    note_own_problem(own, disk_problem());
    done(std::move(own));
  });
}

// --- What members must agree on ---

std::string Plane::refuses_custom() {
  const SystemView::State& system = system_.now();
  const consensus::Membership& membership = replica_->protocol().membership();
  for (const consensus::Member& member : membership.members()) {
    if (member.role == consensus::Role::kWitness || member.id == record_.id || system.records.contains(member.id)) {
      continue;
    }
    return "member " + std::to_string(number(member.id)) +
           " has not said yet which custom commands it has; start it, or remove it";
  }
  const auto others = disagreeing(system, membership, record_);
  if (others.empty()) return {};
  return "member " + std::to_string(number(*others.begin())) +
         " has other custom commands registered; run the same program on all members first";
}

void Plane::raise_no_space() {
  if (std::exchange(raising_, true)) return;
  kv::PutRequest put;
  put.key = alarm_key({record_.id, AlarmKind::kNoSpace});
  start(kv::Space::kSystem, std::move(put), {}, [this](const Answered&) { raising_ = false; });
}

}  // namespace clew::control
