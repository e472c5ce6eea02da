#include "consensus/paxos/decrees.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "consensus/membership.h"
#include "consensus/multipaxos/records.h"
#include "consensus/planted.h"

namespace clew::consensus::paxos {
namespace {

constexpr uint8_t kRecordVersion = 1;
enum class RecordKind : uint8_t { kLife = 1, kDecree = 2 };

// The log is written anew when so many records more than there are decrees stand in it.
constexpr uint64_t kRecordsBeforeCompaction = 4096;

constexpr size_t kMaxRecordBytes =
    kMaxDecreeBytes + 2 * kMaxValueBytes + (kMaxMembers + 16) * kMaxVarintBytes;  // with room to spare

std::string record_head(RecordKind kind) { return {static_cast<char>(kRecordVersion), static_cast<char>(kind)}; }

FlexibleQuorum quorum_of(const std::vector<NodeId>& acceptors) {
  return FlexibleQuorum::of_majorities(acceptors.size());
}

}  // namespace

Decrees::Decree::Decree(std::vector<NodeId> among)
    : acceptors(std::move(among)), learner(acceptors, quorum_of(acceptors).accept) {}

// --- Recovery ---

Status Decrees::recover(LogSeq seq, std::string_view record) {
  const Error broken{Code::kDataLoss, "record " + std::to_string(seq) + " of the log of decrees makes no sense"};
  ByteReader in(record);
  const auto version = in.fixed<uint8_t>();
  const auto kind = in.fixed<uint8_t>();
  if (!in.ok() || version != kRecordVersion) {
    return Error{Code::kUnimplemented, "record " + std::to_string(seq) +
                                           " of the log of decrees is of a version that this program does not know; a "
                                           "newer one wrote it: upgrade this node"};
  }
  last_ = seq;
  ++records_since_compaction_;
  if (RecordKind{kind} == RecordKind::kLife) {
    incarnation_ = std::max(incarnation_, in.varint());
    return in.ok() && in.at_end() ? Status() : Status(broken);
  }
  if (RecordKind{kind} != RecordKind::kDecree) return broken;
  const std::string name(in.prefixed_bytes());
  std::vector<NodeId> acceptors;
  Acceptor::State state;
  if (!read_acceptors(in, acceptors)) return broken;
  state.promised = multipaxos::read_ballot(in);
  Proposal chosen;
  if (!multipaxos::sound(state.promised) || !read_proposal(in, state.accepted) || !read_proposal(in, chosen)) {
    return broken;
  }
  if (!in.at_end() || state.accepted.ballot > state.promised) return broken;
  Decree* const decree = open(name, acceptors);
  if (decree == nullptr) return broken;
  decree->acceptor = Acceptor(std::move(state));
  if (!chosen.ballot.none()) {
    decree->learner.told(chosen.ballot, chosen.value);
    decree->learned = true;
  }
  return {};
}

void Decrees::start(LogSeq next) {
  last_ = next - 1;
  if (incarnation_ == 0 || !planted(Bug::kDecreeBallotReused)) ++incarnation_;
}

// --- Records ---

void Decrees::remember_life() {
  life_remembered_ = true;
  std::string record = record_head(RecordKind::kLife);
  append_varint(record, incarnation_);
  out_.records.push_back(std::move(record));
  ++last_;
  ++records_since_compaction_;
}

void Decrees::remember(const Entry& entry) {
  const auto& [name, decree] = entry;
  std::string record = record_head(RecordKind::kDecree);
  append_bytes(record, name);
  append_acceptors(record, decree.acceptors);
  multipaxos::append_ballot(record, decree.acceptor.state().promised);
  append_proposal(record, decree.acceptor.state().accepted);
  append_proposal(record, decree.learner.chosen().value_or(Proposal{}));
  out_.records.push_back(std::move(record));
  ++last_;
  ++records_since_compaction_;
}

bool Decrees::wants_compaction() const {
  return records_since_compaction_ >= kRecordsBeforeCompaction + 2 * decrees_.size();
}

size_t Decrees::compaction_bytes() const { return (decrees_.size() + 1) * kMaxRecordBytes; }

void Decrees::compact() {
  records_since_compaction_ = 0;
  const LogSeq first = last_ + 1;
  remember_life();
  for (const Entry& entry : decrees_) remember(entry);
  out_.release_below = first;
}

// --- Roles ---

// Null: there are too many, or it was begun among others.
Decrees::Decree* Decrees::open(const std::string& name, const std::vector<NodeId>& acceptors) {
  const auto found = decrees_.find(name);
  if (found != decrees_.end()) return found->second.acceptors == acceptors ? &found->second : nullptr;
  if (decrees_.size() >= options_.max_decrees) return nullptr;
  return &decrees_.emplace(name, Decree(acceptors)).first->second;
}

void Decrees::send(const Entry& entry, NodeId to, Message message) {
  // After everything that was written so far: more than a message needs, and never too little.
  out_.sends.push_back({to, planted(Bug::kDecreeVoteBeforeDurable) ? 0 : last_,
                        encode({entry.first, entry.second.acceptors, std::move(message)})});
}

Message Decrees::verdict(const Decree& decree) {
  Message message;
  message.kind = MessageKind::kChosen;
  message.ballot = decree.learner.chosen()->ballot;
  message.value = decree.learner.chosen()->value;
  return message;
}

void Decrees::refuse(Time now, FactKind kind, NodeId from, std::string_view why) {
  Fact fact;
  fact.kind = kind;
  fact.at = now;
  fact.peer = from;
  fact.reason = why;
  out_.facts.push_back(fact);
}

Status Decrees::propose(Time now, const std::string& name, std::vector<NodeId> acceptors, std::string wish) {
  if (name.empty() || name.size() > kMaxDecreeBytes || wish.size() > kMaxValueBytes) {
    return Error{Code::kInvalidArgument, "a name has 1 to " + std::to_string(kMaxDecreeBytes) +
                                             " bytes, a value at most " + std::to_string(kMaxValueBytes)};
  }
  if (amnesiac_ && !incarnation_known_) {
    return Error{Code::kFailedPrecondition,
                 "the log of decrees of this member is damaged: it may have promised, or proposed, what it does not "
                 "know; propose at another member"};
  }
  if (!sound(acceptors)) return Error{Code::kInvalidArgument, "the acceptors are not a set of members"};
  const auto found = decrees_.find(name);
  if (found == decrees_.end() && decrees_.size() >= options_.max_decrees) {
    return Error{Code::kResourceExhausted, "there are " + std::to_string(decrees_.size()) +
                                               " decrees, and more are not taken: none is ever forgotten"};
  }
  if (found != decrees_.end() && found->second.acceptors != acceptors) {
    return Error{Code::kFailedPrecondition, "\"" + name + "\" was begun among other acceptors"};
  }
  Decree& decree = *open(name, acceptors);
  if (decree.learner.chosen()) return {};
  if (!life_remembered_) remember_life();
  if (decree.proposer && !decree.proposer->idle()) {
    return Error{Code::kFailedPrecondition, "this member proposes a value for \"" + name + "\" already"};
  }
  ProposerOptions options;
  options.self = options_.self;
  options.incarnation = incarnation_;
  options.acceptors = std::move(acceptors);
  options.quorum = quorum_of(decree.acceptors);
  options.answer_within = options_.answer_within;
  options.pause_min = options_.pause_min;
  options.pause_max = options_.pause_max;
  options.random_pauses = options_.random_pauses;
  // Rounds go on where the proposer before it in this life stopped: a ballot is used once.
  const uint64_t used = decree.proposer ? decree.proposer->round() : 0;
  decree.proposer.emplace(std::move(options), random_.next());
  decree.proposer->go_on_from(used);
  decree.proposer->propose(now, std::move(wish));
  look_at(now, *decrees_.find(name));
  return {};
}

void Decrees::give_up(Time now, const std::string& name) {
  const auto found = decrees_.find(name);
  if (found == decrees_.end() || !found->second.proposer) return;
  found->second.proposer->give_up(now);
  look_at(now, *found);
}

void Decrees::answer(Time now, Entry& entry, NodeId to, const Acceptor::State& before, Message message) {
  Decree& decree = entry.second;
  if (decree.acceptor.state() != before) remember(entry);
  if (message.kind == MessageKind::kRefusal) refuse(now, FactKind::kVoteRefused, to, "a higher ballot is promised");
  if (message.kind == MessageKind::kAccepted && options_.telling == Telling::kAcceptors) {
    for (const NodeId learner : decree.acceptors) {
      if (learner != to) send(entry, learner, message);
    }
  }
  send(entry, to, std::move(message));
}

void Decrees::receive(Time now, NodeId from, std::string_view bytes) {
  auto parsed = parse_frame(bytes);
  if (!parsed.ok()) return refuse(now, FactKind::kMessageRefused, from, "malformed");
  const Frame& frame = *parsed;
  if (!std::binary_search(frame.acceptors.begin(), frame.acceptors.end(), options_.self)) {
    return refuse(now, FactKind::kMessageRefused, from, "a decree of others");
  }
  if (open(frame.decree, frame.acceptors) == nullptr) {
    return refuse(now, FactKind::kMessageRefused, from,
                  decrees_.contains(frame.decree) ? "a decree among other acceptors" : "too many decrees");
  }
  Entry& entry = *decrees_.find(frame.decree);
  Decree& decree = entry.second;
  const Message& message = frame.message;
  switch (message.kind) {
    case MessageKind::kPrepare:
    case MessageKind::kAccept:
      if (decree.learner.chosen()) {
        send(entry, from, verdict(decree));
      } else if (amnesiac_) {
        refuse(now, FactKind::kMessageRefused, from, "this acceptor lost promises");
      } else {
        const Acceptor::State before = decree.acceptor.state();
        Message told = message.kind == MessageKind::kPrepare ? decree.acceptor.on_prepare(message.ballot)
                                                             : decree.acceptor.on_accept(message.ballot, message.value);
        answer(now, entry, from, before, std::move(told));
      }
      break;
    case MessageKind::kAccepted:
      decree.learner.accepted(from, message.ballot, message.value);
      if (decree.proposer) decree.proposer->receive(now, from, message);
      break;
    case MessageKind::kPromise:
    case MessageKind::kRefusal:
      if (decree.proposer) decree.proposer->receive(now, from, message);
      break;
    case MessageKind::kChosen:
      decree.learner.told(message.ballot, message.value);
      break;
  }
  look_at(now, entry);
}

// What the roles of one decree have to say to each other and to the network.
void Decrees::look_at(Time now, Entry& entry) {
  Decree& decree = entry.second;
  if (decree.proposer) {
    if (decree.proposer->chosen()) {
      decree.learner.told(decree.proposer->chosen()->ballot, decree.proposer->chosen()->value);
    }
    if (decree.learner.chosen()) decree.proposer->stop(now, *decree.learner.chosen());
    for (Order& order : decree.proposer->take_orders()) send(entry, order.to, std::move(order.message));
    for (PhaseEnd& phase : decree.proposer->take_phases()) ended_.push_back({entry.first, phase});
  }
  if (!decree.learner.chosen() || decree.learned) return;
  decree.learned = true;
  remember(entry);  // so that it is known after a restart; nothing that is said rests on it
  if (decree.proposer && options_.telling == Telling::kDistinguished) {
    for (const NodeId learner : decree.acceptors) {
      if (learner != options_.self) send(entry, learner, verdict(decree));
    }
  }
}

void Decrees::tick(Time now) {
  for (Entry& entry : decrees_) {
    if (!entry.second.proposer) continue;
    entry.second.proposer->tick(now);
    look_at(now, entry);
  }
}

Time Decrees::deadline() const {
  Time first = kNever;
  for (const auto& [name, decree] : decrees_) {
    if (decree.proposer) first = std::min(first, decree.proposer->deadline());
  }
  return first;
}

void Decrees::collect(Effects& effects) {
  std::move(out_.records.begin(), out_.records.end(), std::back_inserter(effects.records));
  std::move(out_.sends.begin(), out_.sends.end(), std::back_inserter(effects.sends));
  std::move(out_.facts.begin(), out_.facts.end(), std::back_inserter(effects.facts));
  if (out_.release_below != 0) effects.release_below = out_.release_below;
  out_.clear();
}

std::optional<Decrees::View> Decrees::find(const std::string& name) const {
  const auto found = decrees_.find(name);
  if (found == decrees_.end()) return std::nullopt;
  const Decree& decree = found->second;
  return View{decree.acceptors, decree.acceptor.state(), decree.learner.chosen(),
              decree.proposer ? &*decree.proposer : nullptr};
}

std::vector<std::string> Decrees::names() const {
  std::vector<std::string> names;
  for (const auto& [name, decree] : decrees_) names.push_back(name);
  return names;
}

Status Decrees::check_invariants() const {
  for (const auto& [name, decree] : decrees_) CLEW_TRY(decree.acceptor.check_invariants());
  return {};
}

}  // namespace clew::consensus::paxos
