#include "control/plane.h"

#include <algorithm>
#include <utility>

#include "kv/validate.h"

namespace clew::control {
namespace {

using consensus::FactKind;
using consensus::kNobody;

constexpr consensus::Time kTick = 100 * consensus::kMillisecond;
constexpr consensus::Time kPublishAgain = consensus::kSecond;
constexpr uint64_t kCommandOverhead = 4096;

bool is_new(env::Disk& disk, const std::string& directory) {
  const auto names = disk.list(directory);
  return !names.ok() || std::find(names->begin(), names->end(), "identity") == names->end();
}

consensus::ReplicaOptions replica_options(const PlaneOptions& options) {
  consensus::ReplicaOptions replica = options.replica;
  replica.max_command_bytes = kv::kMaxRequestBytes + kCommandOverhead;
  replica.max_pending = std::min<size_t>(2 * options.max_calls + 1'024, (1u << 24) - 1);
  return replica;
}

}  // namespace

Result<std::unique_ptr<Plane>> Plane::open(Ports ports, PlaneOptions options, UniqueFunction<void(Status)> on_halt) {
  // A state whose log is gone is nobody's.
  if (is_new(ports.disk, options.replica.directory)) {
    for (auto& engine : ports.engines) CLEW_TRY(engine->reset());
  }
  CLEW_ASSIGN(auto spaces, kv::Spaces::open(std::move(ports.engines), ports.registry));
  options.record.id = options.replica.self;
  options.record.custom_commands = ports.registry.fingerprint();
  std::unique_ptr<Plane> plane(new Plane(ports, std::move(options), std::move(spaces), std::move(on_halt)));
  CLEW_ASSIGN(plane->replica_,
              consensus::Replica::open(
                  {ports.loop, ports.disk, ports.random, plane->tap_, *plane->spaces_, plane.get(), ports.verifier},
                  replica_options(plane->options_), std::move(ports.protocol),
                  [self = plane.get()](Status why) { self->halted(std::move(why)); }));
  if (!plane->options_.decrees.empty()) {
    CLEW_ASSIGN(plane->decrees_, plane->open_decrees(ports));
    plane->decrees_->found(plane->options_.founders);
  }
  plane->desk_.start(*plane->replica_);
  plane->progress_due_ = plane->now() + plane->options_.watch_progress_ns;
  plane->tick();
  return plane;
}

Plane::Plane(Ports& ports, PlaneOptions options, std::unique_ptr<kv::Spaces> spaces,
             UniqueFunction<void(Status)> on_halt)
    : loop_(ports.loop),
      options_(std::move(options)),
      record_(options_.record),
      on_halt_(std::move(on_halt)),
      observer_(ports.observer),
      tap_(ports.transport, ports.loop.clock()),
      spaces_(std::move(spaces)),
      system_(spaces_->machine(kv::Space::kSystem).store()),
      watches_(ports.loop, *spaces_, options_.watches, options_.max_watch_streams),
      reads_({ports.loop, *spaces_, [this] { return std::max(replica_->applied(), spaces_->ahead()); },
              [this](uint64_t id) { return calls_.find(id) != nullptr; },
              [this](uint64_t id, Result<kv::Response> response, consensus::Position at) {
                if (!response.ok()) return fail(id, response.error().code, response.error().message);
                finish(id, CallReply{std::move(*response), at, epoch_});
              }}),
      exports_(ports.loop, ports.disk, *spaces_, options_.replica.directory + "/exports"),
      leases_(*spaces_, [this](kv::Space space, kv::Request request,
                               Done<CallReply> done) { propose(space, std::move(request), std::move(done)); }),
      desk_(system_,
            [this](kv::Request request, Done<CallReply> done) {
              propose(kv::Space::kSystem, std::move(request), std::move(done));
            }),
      forwarder_(std::move(ports.connect)),
      mailbox_(std::make_shared<Mailbox>(ports.loop, *this, [this] { turn_over(); })),
      calls_(options_.max_calls, options_.max_call_bytes) {}

Plane::~Plane() {
  closing_ = true;
  if (tick_timer_ != 0) loop_.cancel(tick_timer_);
  mailbox_->close();
  decrees_.reset();
  replica_.reset();
  forwarder_.close();
  for (const uint64_t id : calls_.all()) fail(id, Code::kUnavailable, "this node is stopping");
  for (KeepAlive& one : keep_alives_) one.done(error(Code::kUnavailable, "this node is stopping", false));
  for (Transfer& one : transfers_) one.done(error(Code::kUnavailable, "this node is stopping", true));
  attests_.end(error(Code::kUnavailable, "this node is stopping", false));
}

Result<std::unique_ptr<DecreeDesk>> Plane::open_decrees(const Ports& ports) {
  const bool first_start = options_.replica.bootstrap || options_.restored;
  return DecreeDesk::open({loop_, ports.disk, ports.random, *replica_,
                           [this](kv::Request request, CallOptions options, Done<CallReply> done) {
                             start(kv::Space::kSystem, std::move(request), options, std::move(done));
                           },
                           ports.decree_observer},
                          {options_.decrees, options_.replica.directory, first_start}, record_.id,
                          [this](Status why) { halted(std::move(why)); });
}

// --- What the replica says ---

void Plane::on_fact(const consensus::Fact& fact) {
  if (observer_ != nullptr) observer_->on_fact(fact);
  switch (fact.kind) {
    case FactKind::kEpochRaised:
    case FactKind::kBecameLeader:
    case FactKind::kBecameFollower:
    case FactKind::kSteppedDown:
    case FactKind::kMembershipTaken:
      return wake_soon();
    case FactKind::kLeadershipMoved:
      transfer_failed_ = transfer_failed_ || !fact.reason.empty();
      return wake_soon();
    case FactKind::kMessageRefused:
      if (fact.reason == "stale instance") tap_.refused(fact.peer);
      return;
    default:
      return;
  }
}

void Plane::on_applied(consensus::Position at, const consensus::Entry& entry, std::string_view result) {
  if (options_.attests) attests_.applied(at, entry, result);
  if (observer_ != nullptr) observer_->on_applied(at, entry, result);
}
void Plane::on_record(consensus::LogSeq seq, std::string_view record) {
  if (observer_ != nullptr) observer_->on_record(seq, record);
}
void Plane::on_send(consensus::NodeId to, std::string_view frame) {
  if (observer_ != nullptr) observer_->on_send(to, frame);
}

void Plane::halted(Status why) {
  halted_ = std::string(why.message());
  for (const uint64_t id : calls_.all()) fail(id, Code::kUnavailable, halted_);
  watches_.refuse(error(Code::kUnavailable, halted_, false));
  for (Transfer& one : std::exchange(transfers_, {})) one.done(error(Code::kUnavailable, halted_, true));
  attests_.end(error(Code::kUnavailable, halted_, false));
  for (auto& errand : std::exchange(parked_errands_, {})) errand();
  if (on_halt_) on_halt_(std::move(why));
}

uint64_t Plane::cluster() const {
  return options_.cluster != 0 || decrees_ == nullptr ? options_.cluster : decrees_->cluster();
}

std::string_view Plane::decrees_problem() const {
  return decrees_ == nullptr ? std::string_view() : std::string_view(decrees_->problem());
}

// --- Turns and ticks ---

void Plane::turn_over() {
  flush_keep_alives();
  flush_reads();
}

void Plane::refresh() {
  const consensus::Report report = replica_->report();
  leading_ = report.standing == consensus::Standing::kLeader;
  proposes_ = leading_ || report.gateway;
  leader_ = report.leader;
  epoch_ = report.epoch;
  const bool witness = report.standing == consensus::Standing::kWitness;
  if (witness && !witness_) {
    watches_.refuse(error(Code::kUnavailable, "a witness keeps no state; watch through a member with data", false));
  }
  witness_ = witness;
}

void Plane::wake_soon() {
  if (std::exchange(waking_, true)) return;
  loop_.post([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    waking_ = false;
    wake();
  });
}

void Plane::wake() {
  refresh();
  settle_transfers();
  for (const uint64_t id : std::exchange(parked_, {})) dispatch(id);
  for (auto& errand : std::exchange(parked_errands_, {})) errand();
  leases_.tick(leading_, epoch_, replica_->time_ns());
  publish_record();
  turn_over();
}

void Plane::tick() {
  tick_timer_ = loop_.after(kTick, [this] { tick(); });
  if (!halted_.empty()) return;
  wake();
  retry_transfer();
  give_way_when_full();
  if (decrees_ != nullptr) decrees_->tick(leading_);
  const consensus::Time at = now();
  for (const uint64_t id : calls_.expired(at)) {
    ++stats_.timed_out;
    const Call& call = *calls_.find(id);
    const bool waited = !call.under_way && !call.maybe && !call.waits_for.empty();
    fail(id, waited ? Code::kUnavailable : Code::kDeadlineExceeded,
         waited ? call.waits_for : "etcdserver: request timed out");
  }
  attests_.expire(at);
  if (leading_) desk_.tick();
  if (at >= progress_due_) {
    progress_due_ = at + options_.watch_progress_ns;
    watches_.tick_progress();
  }
  forwarder_.tidy(leader_address(), at);
}

// A duty of this node's own, which nobody waits for: not passed on, tried again by whoever has it.
void Plane::propose(kv::Space space, kv::Request request, Done<CallReply> done) {
  if (!halted_.empty() || closing_ || !leading_)
    return done(error(Code::kUnavailable, "this member does not lead", false));
  auto [id, call] = calls_.add(0, now() + CallOptions().timeout_ns);
  call.duty = true;
  call.space = space;
  call.request = std::move(request);
  call.options.forward = false;
  call.done = std::move(done);
  submit(id, call);
}

void Plane::publish_record() {
  if (publishing_ || !halted_.empty() || leader_ == kNobody || now() < publish_after_) return;
  if (!replica_->protocol().membership().contains(record_.id)) return;
  if (witness_) {
    if (published_) return;
  } else {
    const auto& records = system_.now().records;
    const auto at = records.find(record_.id);
    if (at != records.end() && at->second == record_) return;
  }
  publishing_ = true;
  kv::PutRequest put;
  put.key = member_key(record_.id);
  put.value = encode(record_);
  start(kv::Space::kSystem, std::move(put), {}, [this](const Answered& answer) {
    publishing_ = false;
    published_ = std::holds_alternative<CallReply>(answer);
    if (!published_) publish_after_ = now() + kPublishAgain;
  });
}

void Plane::set_record(MemberRecord record) {
  record.id = record_.id;
  record.custom_commands = record_.custom_commands;
  record_ = std::move(record);
  published_ = false;
  wake_soon();
}

PlaneStats Plane::stats() const {
  PlaneStats stats = stats_;
  stats.waiting = calls_.size();
  stats.watch_streams = watches_.streams();
  stats.watchers = watches_.watchers();
  stats.attested = attests_.given();
  stats.unattested = attests_.refused();
  return stats;
}

}  // namespace clew::control
