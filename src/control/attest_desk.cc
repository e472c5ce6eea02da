#include "control/attest_desk.h"

#include <algorithm>
#include <vector>

#include "consensus/replica_command.h"

namespace clew::control {

using consensus::SessionId;

namespace {

constexpr char kForgotten[] =
    "this member does not remember that command: it was started, or got a snapshot, after the session was opened";
constexpr char kTooMany[] = "this member is asked about too many commands at once";

}  // namespace

void AttestDesk::applied(consensus::Position at, const consensus::Entry& entry, std::string_view result) {
  if (last_ != 0 && at != last_ + 1) {  // a snapshot came: what stands between was not seen
    sessions_.clear();
    by_use_.clear();
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
      if (const auto it = sessions_.find(command->header.session); it != sessions_.end()) drop(it);
      return;
    case consensus::CommandKind::kApply:
      // An executed command's answer is never empty.
      if (command->header.session == consensus::kNoSession || result.empty()) return;
      return executed(at, {command->header.session, command->header.sequence}, command->body, result);
  }
}

// --- What was executed ---

void AttestDesk::opened(SessionId id) {
  const auto at = static_cast<consensus::Position>(id);
  sessions_[id].used_at = at;
  by_use_.emplace(at, id);
  while (sessions_.size() > limits_.max_sessions) drop(sessions_.find(by_use_.begin()->second));
}

void AttestDesk::executed(consensus::Position at, const Key& key, std::string_view command, std::string_view result) {
  const auto session = sessions_.find(key.first);
  if (session == sessions_.end()) return;
  touch(session, at);
  if (key.second < session->second.forgotten_below) return;
  const auto [it, fresh] = session->second.commands.try_emplace(key.second);
  if (!fresh) return;
  const Attestation told{at, sha256(command), sha256(result)};
  it->second = told;
  order_.push_back(key);
  if (order_.size() > limits_.max_commands) forget_oldest();
  std::vector<Done<Attestation>> asked;
  for (auto next = by_command_.lower_bound({key.first, key.second, 0});
       next != by_command_.end() && std::get<0>(*next) == key.first && std::get<1>(*next) == key.second;) {
    asked.push_back(take(std::get<2>(*next++)));
  }
  given_ += asked.size();
  for (auto& done : asked) done(told);
}

void AttestDesk::touch(Sessions::iterator session, consensus::Position at) {
  auto node = by_use_.extract(session->second.used_at);
  session->second.used_at = node.key() = at;
  by_use_.insert(std::move(node));
}

void AttestDesk::drop(Sessions::iterator session) {
  by_use_.erase(session->second.used_at);
  sessions_.erase(session);
}

void AttestDesk::forget_oldest() {
  const Key key = order_.front();
  order_.pop_front();
  const auto session = sessions_.find(key.first);
  if (session == sessions_.end()) return;
  session->second.commands.erase(key.second);
  session->second.forgotten_below = std::max(session->second.forgotten_below, key.second + 1);
}

// --- Who asks ---

void AttestDesk::ask(const Question& question, consensus::Position applied, Done<Attestation> done) {
  const auto session = sessions_.find(question.session);
  if (session != sessions_.end()) {
    const auto command = session->second.commands.find(question.sequence);
    if (command != session->second.commands.end()) {
      ++given_;
      return done(command->second);
    }
    if (question.sequence < session->second.forgotten_below)
      return refuse(std::move(done), Code::kNotFound, kForgotten);
  } else if (static_cast<uint64_t>(question.session) <= applied) {  // its number is the position at which it was opened
    return refuse(std::move(done), Code::kNotFound, kForgotten);
  }
  if (waiting_.size() >= limits_.max_waiting && !make_room(question.asker)) {
    return refuse(std::move(done), Code::kResourceExhausted, kTooMany);
  }
  wait(question, std::move(done));
}

bool AttestDesk::make_room(uint64_t asker) {
  if (by_share_.empty()) return false;
  const auto [most, who] = *by_share_.rbegin();
  const auto own = by_asker_.find(asker);
  if (own != by_asker_.end() && own->second.size() >= most) return false;
  refuse(take(*by_asker_.at(who).rbegin()), Code::kResourceExhausted, kTooMany);
  return true;
}

void AttestDesk::wait(const Question& question, Done<Attestation> done) {
  const uint64_t number = ++last_number_;
  by_command_.emplace(question.session, question.sequence, number);
  by_deadline_.emplace(question.deadline, number);
  std::set<uint64_t>& own = by_asker_[question.asker];
  by_share_.erase({own.size(), question.asker});
  own.insert(number);
  by_share_.emplace(own.size(), question.asker);
  waiting_.emplace(number, Waiting{question, std::move(done)});
}

Done<Attestation> AttestDesk::take(uint64_t number) {
  auto taken = waiting_.extract(number);
  const Question& question = taken.mapped().question;
  by_command_.erase({question.session, question.sequence, number});
  by_deadline_.erase({question.deadline, number});
  const auto own = by_asker_.find(question.asker);
  by_share_.erase({own->second.size(), question.asker});
  own->second.erase(number);
  if (own->second.empty()) {
    by_asker_.erase(own);
  } else {
    by_share_.emplace(own->second.size(), question.asker);
  }
  return std::move(taken.mapped().done);
}

void AttestDesk::expire(consensus::Time now) {
  std::vector<Done<Attestation>> late;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    late.push_back(take(by_deadline_.begin()->second));
  }
  for (auto& done : late) {
    refuse(std::move(done), Code::kDeadlineExceeded, "this member has not executed that command so far");
  }
}

void AttestDesk::end(const CallError& why) {
  by_command_.clear();
  by_deadline_.clear();
  by_asker_.clear();
  by_share_.clear();
  for (auto& [number, one] : std::exchange(waiting_, {})) one.done(why);
}

void AttestDesk::refuse(Done<Attestation> done, Code code, std::string_view why) {
  ++refused_;
  CallError error;
  error.code = code;
  error.message = why;
  done(std::move(error));
}

}  // namespace clew::control
