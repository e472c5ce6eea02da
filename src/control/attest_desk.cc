#include "control/attest_desk.h"

#include <algorithm>
#include <iterator>

#include "consensus/replica_command.h"

namespace clew::control {

using consensus::SessionId;

namespace {

constexpr char kForgotten[] =
    "this member does not remember that command: it was started, or got a snapshot, after the session was opened";

}  // namespace

void AttestDesk::applied(consensus::Position at, const consensus::Entry& entry, std::string_view result) {
  if (last_ != 0 && at != last_ + 1) {  // a snapshot came: what stands between was not seen
    sessions_.clear();
    order_.clear();
  }
  last_ = at;
  if (entry.kind != consensus::EntryKind::kCommand) return;
  const auto command = consensus::decode_command(entry.payload.view());
  if (!command.ok()) return;
  switch (command->header.kind) {
    case consensus::CommandKind::kOpenSession:
      return opened(SessionId{at});
    case consensus::CommandKind::kCloseSession:
      sessions_.erase(command->header.session);
      return;
    case consensus::CommandKind::kApply:
      // An executed command's answer is never empty.
      if (command->header.session == consensus::kNoSession || result.empty()) return;
      return executed(at, {command->header.session, command->header.sequence}, command->body, result);
  }
}

void AttestDesk::opened(SessionId id) {
  sessions_.try_emplace(id);
  while (sessions_.size() > limits_.max_sessions) sessions_.erase(sessions_.begin());
}

void AttestDesk::executed(consensus::Position at, const Key& key, std::string_view command, std::string_view result) {
  const auto session = sessions_.find(key.first);
  if (session == sessions_.end() || key.second < session->second.forgotten_below) return;
  const auto [it, fresh] = session->second.commands.try_emplace(key.second);
  if (!fresh) return;
  it->second = {at, sha256(command), sha256(result)};
  const auto asked = waiting_.find(key);
  if (asked != waiting_.end()) {
    std::vector<Waiting> answered = std::move(asked->second);
    waiting_.erase(asked);
    waiters_ -= answered.size();
    given_ += answered.size();
    for (Waiting& one : answered) one.done(it->second);
  }
  order_.push_back(key);
  if (order_.size() > limits_.max_commands) forget_oldest();
}

void AttestDesk::forget_oldest() {
  const Key key = order_.front();
  order_.pop_front();
  const auto session = sessions_.find(key.first);
  if (session == sessions_.end()) return;
  session->second.commands.erase(key.second);
  session->second.forgotten_below = std::max(session->second.forgotten_below, key.second + 1);
}

void AttestDesk::ask(SessionId id, uint64_t sequence, consensus::Position applied, consensus::Time deadline,
                     Done<Attestation> done) {
  const auto session = sessions_.find(id);
  if (session != sessions_.end()) {
    const auto command = session->second.commands.find(sequence);
    if (command != session->second.commands.end()) {
      ++given_;
      return done(command->second);
    }
    if (sequence < session->second.forgotten_below) return refuse(std::move(done), Code::kNotFound, kForgotten);
  } else if (static_cast<uint64_t>(id) <= applied) {  // its number is the position at which it was opened
    return refuse(std::move(done), Code::kNotFound, kForgotten);
  }
  if (waiters_ >= limits_.max_waiting) {
    return refuse(std::move(done), Code::kResourceExhausted, "this member is asked about too many commands at once");
  }
  ++waiters_;
  waiting_[{id, sequence}].push_back({deadline, std::move(done)});
}

void AttestDesk::expire(consensus::Time now) {
  std::vector<Done<Attestation>> late;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    std::erase_if(it->second, [&](Waiting& one) {
      if (one.deadline > now) return false;
      late.push_back(std::move(one.done));
      return true;
    });
    it = it->second.empty() ? waiting_.erase(it) : std::next(it);
  }
  waiters_ -= late.size();
  for (auto& done : late) {
    refuse(std::move(done), Code::kDeadlineExceeded, "this member has not executed that command so far");
  }
}

void AttestDesk::end(const CallError& why) {
  auto waiting = std::exchange(waiting_, {});
  waiters_ = 0;
  for (auto& [key, all] : waiting) {
    for (Waiting& one : all) one.done(why);
  }
}

void AttestDesk::refuse(Done<Attestation> done, Code code, std::string_view why) {
  ++refused_;
  CallError error;
  error.code = code;
  error.message = why;
  done(std::move(error));
}

}  // namespace clew::control
