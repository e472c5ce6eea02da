#include "control/decree_desk.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/hex.h"
#include "control/system_space.h"

namespace clew::control {
namespace {

using consensus::NodeId;
using consensus::paxos::DecreeHost;
using consensus::paxos::Outcome;

constexpr consensus::Time kFoundersPatience = 3 * consensus::kSecond;
constexpr consensus::Time kWishTimeout = 5 * consensus::kSecond;

CallError refusal(Code code, std::string message) { return {code, std::move(message), false, {}, {}}; }

// "1,2,3": what stands in the system space.
std::string text_of(const std::vector<NodeId>& acceptors) {
  std::string text;
  for (const NodeId id : acceptors) text += (text.empty() ? "" : ",") + std::to_string(number(id));
  return text;
}

std::vector<NodeId> parse_acceptors(const std::string& text) {
  std::vector<NodeId> acceptors;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    uint64_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc() || (next != end && *next != ',')) return {};
    acceptors.push_back(NodeId{id});
    at = next + 1;
  }
  return acceptors;
}

}  // namespace

Result<std::unique_ptr<DecreeDesk>> DecreeDesk::open(Ports ports, consensus::paxos::DecreeFiles files, NodeId self,
                                                     UniqueFunction<void(Status)> on_halt) {
  // No make_unique: the constructor is private.
  std::unique_ptr<DecreeDesk> desk(new DecreeDesk(std::move(ports), self));
  consensus::paxos::DecreesOptions options;
  options.self = self;
  consensus::Replica& replica = desk->ports_.replica;
  CLEW_ASSIGN(desk->host_,
              DecreeHost::open({desk->ports_.loop,
                                desk->ports_.disk,
                                desk->ports_.random,
                                [&replica](NodeId to, std::string frame) { replica.send_aside(to, std::move(frame)); },
                                {},
                                desk->ports_.observer},
                               std::move(files), options, std::move(on_halt)));
  replica.hear_aside([host = desk->host_.get()](NodeId from, std::string_view frame) { host->receive(from, frame); });
  return desk;
}

DecreeDesk::~DecreeDesk() { ports_.replica.hear_aside({}); }

// --- The cluster's id ---

void DecreeDesk::found(std::vector<NodeId> acceptors) {
  founders_ = std::move(acceptors);
  wish_at_ = ports_.loop.clock().mono_ns() + kFoundersPatience;
  learn_cluster();
}

void DecreeDesk::tick(bool leads) {
  if (founders_.empty() || cluster_ != 0 || wishing_ || host_->halted()) return;
  learn_cluster();  // others may have told it
  const consensus::Time now = ports_.loop.clock().mono_ns();
  if (cluster_ != 0 || (!leads && now < wish_at_)) return;
  wishing_ = true;
  wish_at_ = now + kFoundersPatience;
  host_->propose(std::string(kClusterDecree), founders_, hex16(std::max<uint64_t>(ports_.random.next(), 1)),
                 kWishTimeout, [this, alive = std::weak_ptr<char>(alive_)](const std::variant<Outcome, Error>&) {
                   if (alive.expired()) return;
                   wishing_ = false;
                   learn_cluster();
                 });
}

void DecreeDesk::learn_cluster() {
  const auto known = host_->decrees().find(std::string(kClusterDecree));
  if (!known || !known->chosen) return;
  const std::string& text = known->chosen->value;
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (error == std::errc() && end == text.data() + text.size()) cluster_ = id;
}

// --- Clients' ---

void DecreeDesk::propose(std::string name, std::string value, CallOptions options, Done<Outcome> done) {
  using consensus::paxos::kMaxDecreeBytes;
  using consensus::paxos::kMaxValueBytes;
  if (name.empty() || name.size() > kMaxDecreeBytes || value.size() > kMaxValueBytes) {
    return done(refusal(Code::kInvalidArgument, "a name has 1 to " + std::to_string(kMaxDecreeBytes) +
                                                    " bytes, a value at most " + std::to_string(kMaxValueBytes)));
  }
  const consensus::Time deadline = ports_.loop.clock().mono_ns() + options.timeout_ns;
  // Known to this member: nobody has to be asked who decides.
  const auto known = host_->decrees().find(name);
  if (known && (known->chosen || name != kClusterDecree)) {
    return among(text_of(known->acceptors), name, std::move(value), deadline, std::move(done));
  }
  if (name == kClusterDecree) {
    return done(refusal(Code::kFailedPrecondition, "\"" + name + "\" is for the founders alone, and this member has " +
                                                       "not heard what they agreed on; `clew status` shows it"));
  }
  const consensus::Membership& membership = ports_.replica.protocol().membership();
  std::vector<NodeId> voters;
  for (const consensus::Member& member : membership.members()) {
    if (membership.votes(member.id)) voters.push_back(member.id);
  }
  if (voters.empty() || membership.joint()) {
    return done(refusal(Code::kUnavailable, "the membership is changing; ask again"));
  }
  kv::CompareAndSetRequest pin;
  pin.key = std::string(kDecreesPrefix) + name;
  pin.value = text_of(voters);
  CallOptions once;
  once.timeout_ns = options.timeout_ns;
  ports_.execute(
      std::move(pin), once,
      [this, alive = std::weak_ptr<char>(alive_), voters = text_of(voters), name = std::move(name),
       value = std::move(value), deadline, done = std::move(done)](std::variant<CallReply, CallError> answer) mutable {
        if (alive.expired()) return done(refusal(Code::kUnavailable, "this node is stopping"));
        if (auto* const error = std::get_if<CallError>(&answer)) return done(std::move(*error));
        const auto* const pinned = std::get_if<kv::CompareAndSetResponse>(&std::get<CallReply>(answer).response);
        if (pinned == nullptr || (!pinned->swapped && !pinned->current)) {
          return done(refusal(Code::kInternal, "the acceptors of \"" + name + "\" cannot be looked up"));
        }
        among(pinned->swapped ? voters : pinned->current->value, name, std::move(value), deadline, std::move(done));
      });
}

void DecreeDesk::among(const std::string& text, const std::string& name, std::string value, consensus::Time deadline,
                       Done<Outcome> done) {
  std::vector<NodeId> acceptors = parse_acceptors(text);
  if (std::find(acceptors.begin(), acceptors.end(), self_) == acceptors.end()) {
    return done(refusal(Code::kFailedPrecondition, "member " + std::to_string(number(self_)) + " is no acceptor of \"" +
                                                       name + "\"; propose through one of " + text + " (--server)"));
  }
  const consensus::Time left = std::max<consensus::Time>(deadline - ports_.loop.clock().mono_ns(), 1);
  host_->propose(name, std::move(acceptors), std::move(value), left,
                 [done = std::move(done)](std::variant<Outcome, Error> answer) mutable {
                   if (auto* const error = std::get_if<Error>(&answer)) {
                     // Refused before anything was said, unless the time ran out or the disk failed.
                     CallError refused = refusal(error->code, std::move(error->message));
                     refused.uncertain = refused.code == Code::kDeadlineExceeded || refused.code == Code::kUnavailable;
                     return done(std::move(refused));
                   }
                   done(std::move(std::get<Outcome>(answer)));
                 });
}

}  // namespace clew::control
