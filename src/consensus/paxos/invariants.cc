#include "consensus/paxos/invariants.h"

#include <algorithm>

#include "consensus/quorum.h"

namespace clew::consensus::paxos {
namespace {

Status broken(const std::string& what) { return Error{Code::kInternal, what}; }
std::string node(NodeId id) { return "node " + std::to_string(number(id)); }
std::string at(const Ballot& ballot) { return ballot_text(ballot); }

}  // namespace

void DecreeCheck::wished(const std::string& decree, const std::string& value) {
  const bool first = !history_.contains(decree);
  history_[decree].wishes.insert(value);
  if (!first) return;
  for (auto& [id, unlearned] : unlearned_) unlearned.insert(decree);
}

Status DecreeCheck::recovered(NodeId id, const Decrees& member) {
  ++lives_[id];
  abstaining_.erase(id);
  if (member.amnesiac()) abstaining_.insert(id);
  unlearned_[id].clear();
  for (const auto& [name, history] : history_) {
    unlearned_[id].insert(name);
    const auto told = history.told.find(id);
    if (told == history.told.end() || member.amnesiac()) continue;
    const auto view = member.find(name);
    const Ballot promised = view ? view->acceptor.promised : Ballot{};
    const Ballot accepted = view ? view->acceptor.accepted.ballot : Ballot{};
    if (promised < told->second.promised) {
      return broken("sent before durable: " + node(id) + " promised " + at(told->second.promised) + " for " + name +
                    ", its disk knows " + at(promised));
    }
    if (accepted < told->second.accepted) {
      return broken("sent before durable: " + node(id) + " accepted at " + at(told->second.accepted) + " for " + name +
                    ", its disk knows " + at(accepted));
    }
  }
  return {};
}

Status DecreeCheck::on_sent(NodeId from, std::string_view bytes) {
  const auto frame = parse_frame(bytes);
  if (!frame.ok()) return broken(node(from) + " sent what it could not read itself");
  History& history = history_[frame->decree];
  const Message& message = frame->message;
  const bool votes = message.kind == MessageKind::kPromise || message.kind == MessageKind::kRefusal ||
                     message.kind == MessageKind::kAccepted;
  if (votes && abstaining_.contains(from)) {
    return broken("vote without memory: " + node(from) + " lost what it had said, and says " +
                  std::string(message_name(message.kind)) + " for " + frame->decree);
  }
  switch (message.kind) {
    case MessageKind::kPrepare: {
      Ballots& ballot = history.ballots[message.ballot];
      if (ballot.life == 0) ++ballots_;
      if (ballot.life != 0 && ballot.life != lives_[from]) {
        return broken("ballot reused: " + node(from) + " proposes for " + frame->decree + " at " + at(message.ballot) +
                      " in two lives");
      }
      ballot.life = lives_[from];
      return {};
    }
    case MessageKind::kPromise: {
      Told& told = history.told[from];
      told.promised = std::max(told.promised, message.ballot);
      return {};
    }
    case MessageKind::kAccept: {
      Ballots& ballot = history.ballots[message.ballot];
      if (ballot.proposed && ballot.value != message.value) {
        return broken("two values at one ballot: " + frame->decree + " at " + at(message.ballot));
      }
      ballot.proposed = true;
      ballot.value = message.value;
      if (history.decided && message.ballot > history.chosen_at && message.value != history.chosen) {
        return broken("P2b: \"" + history.chosen + "\" was chosen for " + frame->decree + " at " +
                      at(history.chosen_at) + ", and \"" + message.value + "\" is proposed at " + at(message.ballot));
      }
      return {};
    }
    case MessageKind::kAccepted:
      return voted(from, *frame, history);
    case MessageKind::kRefusal:
    case MessageKind::kChosen:
      return {};
  }
  return {};
}

Status DecreeCheck::voted(NodeId from, const Frame& frame, History& history) {
  const Message& message = frame.message;
  Told& told = history.told[from];
  told.promised = std::max(told.promised, message.ballot);
  told.accepted = std::max(told.accepted, message.ballot);
  Ballots& ballot = history.ballots[message.ballot];
  ballot.votes.insert(from);
  if (ballot.votes.size() < majority(frame.acceptors.size())) return {};
  if (history.decided && history.chosen != message.value) {
    return broken("agreement: for " + frame.decree + " \"" + history.chosen + "\" was chosen at " +
                  at(history.chosen_at) + " and \"" + message.value + "\" at " + at(message.ballot));
  }
  decided_ += !history.decided;
  history.chosen_at = history.decided ? std::min(history.chosen_at, message.ballot) : message.ballot;
  history.decided = true;
  history.chosen = message.value;
  return {};
}

Status DecreeCheck::after_event(NodeId id, const Decrees& member) {
  CLEW_TRY(member.check_invariants());
  std::set<std::string>& unlearned = unlearned_[id];
  for (auto name = unlearned.begin(); name != unlearned.end();) {
    const auto view = member.find(*name);
    if (!view || !view->chosen) {
      ++name;
      continue;
    }
    CLEW_TRY(learned(id, *name, *view));
    name = unlearned.erase(name);
  }
  return {};
}

Status DecreeCheck::learned(NodeId id, const std::string& name, const Decrees::View& view) const {
  const History& history = history_.at(name);
  if (!history.wishes.contains(view.chosen->value)) {
    return broken("validity: " + node(id) + " learned \"" + view.chosen->value + "\" for " + name +
                  ", which nobody proposed");
  }
  const auto ballot = history.ballots.find(view.chosen->ballot);
  if (ballot == history.ballots.end() || ballot->second.votes.size() < majority(view.acceptors.size())) {
    return broken("chosen without a quorum: " + node(id) + " takes \"" + view.chosen->value + "\" for " + name +
                  " as chosen at " + at(view.chosen->ballot));
  }
  if (!history.decided || history.chosen != view.chosen->value) {
    return broken("agreement: " + node(id) + " learned \"" + view.chosen->value + "\" for " + name + ", chosen was \"" +
                  history.chosen + "\"");
  }
  return {};
}

}  // namespace clew::consensus::paxos
