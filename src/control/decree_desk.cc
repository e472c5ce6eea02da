#include "control/decree_desk.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "control/system_space.h"

namespace clew::control {
namespace {

using consensus::NodeId;
using consensus::paxos::DecreeHost;
using consensus::paxos::Outcome;

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

Result<std::unique_ptr<DecreeDesk>> DecreeDesk::open(Ports ports, std::string directory, NodeId self,
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
                                {}},
                               std::move(directory), options, std::move(on_halt)));
  replica.hear_aside([host = desk->host_.get()](NodeId from, std::string_view frame) { host->receive(from, frame); });
  return desk;
}

DecreeDesk::~DecreeDesk() { ports_.replica.hear_aside({}); }

void DecreeDesk::propose(std::string name, std::string value, CallOptions options, Done<Outcome> done) {
  using consensus::paxos::kMaxDecreeBytes;
  using consensus::paxos::kMaxValueBytes;
  if (name.empty() || name.size() > kMaxDecreeBytes || value.size() > kMaxValueBytes) {
    return done(refusal(Code::kInvalidArgument, "a name has 1 to " + std::to_string(kMaxDecreeBytes) +
                                                    " bytes, a value at most " + std::to_string(kMaxValueBytes)));
  }
  const consensus::Time deadline = ports_.loop.clock().mono_ns() + options.timeout_ns;
  // Known to this member: nobody has to be asked who decides.
  if (const auto known = host_->decrees().find(name)) {
    return among(text_of(known->acceptors), std::move(name), std::move(value), deadline, std::move(done));
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
        among(pinned->swapped ? voters : pinned->current->value, std::move(name), std::move(value), deadline,
              std::move(done));
      });
}

void DecreeDesk::among(const std::string& text, std::string name, std::string value, consensus::Time deadline,
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
