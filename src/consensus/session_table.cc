#include "consensus/session_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/varint.h"
#include "consensus/planted.h"

namespace clew::consensus {
namespace {

constexpr uint64_t kSaveVersion = 1;
constexpr uint64_t kResultOverhead = 64;

uint64_t charge(std::string_view result) { return result.size() + kResultOverhead; }

Hash128 part_of_session(SessionId id, uint64_t acknowledged_below, Position used_at, int64_t used_ns) {
  const uint64_t who = mix64(static_cast<uint64_t>(id), acknowledged_below);
  const uint64_t when = mix64(used_at, static_cast<uint64_t>(used_ns));
  return {mix64(who, when), mix64(when, ~who)};
}

Hash128 part_of_result(SessionId id, uint64_t sequence, std::string_view result) {
  const uint64_t which = mix64(sequence, static_cast<uint64_t>(id));
  const Hash128 hash = stable_hash128(result);
  return {mix64(which, hash.lo), mix64(hash.hi, which)};
}

}  // namespace

void SessionTable::count(Hash128 part) {
  sum_lo_ += part.lo;
  sum_hi_ += part.hi;
}
void SessionTable::discount(Hash128 part) {
  sum_lo_ -= part.lo;
  sum_hi_ -= part.hi;
}

void SessionTable::pass(int64_t step_ns) {
  const int64_t most_ns = limits_.idle_ns / 2;
  if (step_ns <= most_ns) return;
  for (auto& [id, session] : sessions_) {
    discount(part_of_session(id, session.acknowledged_below, session.used_at, session.used_ns));
    session.used_ns += step_ns - most_ns;
    count(part_of_session(id, session.acknowledged_below, session.used_at, session.used_ns));
  }
}

SessionId SessionTable::open(const Applied& at) {
  expire(at);
  const SessionId id{at.position};
  Session session;
  session.used_at = at.position;
  session.used_ns = at.time_ns;
  count(part_of_session(id, session.acknowledged_below, session.used_at, session.used_ns));
  const bool fresh = sessions_.emplace(id, std::move(session)).second;
  CHECK(fresh && by_use_.emplace(at.position, id).second);
  while (sessions_.size() > std::max<size_t>(limits_.max_sessions, 1)) {
    remove(sessions_.find(by_use_.begin()->second));
  }
  return id;
}

void SessionTable::close(SessionId id) {
  if (const auto it = sessions_.find(id); it != sessions_.end()) remove(it);
}

SessionTable::Verdict SessionTable::check(const Applied& at, SessionId id, uint64_t sequence,
                                          uint64_t acknowledged_below, std::string_view* kept) {
  expire(at);
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) {
    return planted(Bug::kEvictedSessionReplay) ? Verdict::kApply : Verdict::kForgotten;
  }
  touch(it, at);
  Session& session = it->second;
  forget_below(id, session, acknowledged_below);
  if (sequence < session.acknowledged_below) return Verdict::kForgotten;
  if (const auto found = session.results.find(sequence); found != session.results.end()) {
    if (planted(Bug::kAppliedTwice)) return Verdict::kApply;
    *kept = found->second;
    return Verdict::kRepeated;
  }
  if (sequence - session.acknowledged_below >= limits_.max_kept_results) return Verdict::kForgotten;
  return Verdict::kApply;
}

void SessionTable::keep(SessionId id, uint64_t sequence, std::string result) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) {
    CHECK(planted(Bug::kEvictedSessionReplay));
    return;
  }
  kept_bytes_ += charge(result);
  count(part_of_result(id, sequence, result));
  const bool fresh = it->second.results.emplace(sequence, std::move(result)).second;
  CHECK(fresh || planted(Bug::kAppliedTwice));
  // The session that was just used goes last, and alone it may go over: its window bounds it.
  while (kept_bytes_ > limits_.max_kept_bytes && sessions_.size() > 1) {
    remove(sessions_.find(by_use_.begin()->second));
  }
}

void SessionTable::expire(const Applied& at) {
  // Replicated time never goes back, so the longest unused session is also the one that ends first.
  while (!by_use_.empty()) {
    const auto it = sessions_.find(by_use_.begin()->second);
    if (at.time_ns - it->second.used_ns <= limits_.idle_ns) return;
    remove(it);
  }
}

void SessionTable::remove(Sessions::iterator it) {
  Session& session = it->second;
  forget_below(it->first, session, std::numeric_limits<uint64_t>::max());
  discount(part_of_session(it->first, session.acknowledged_below, session.used_at, session.used_ns));
  by_use_.erase(session.used_at);
  sessions_.erase(it);
}

void SessionTable::touch(Sessions::iterator it, const Applied& at) {
  Session& session = it->second;
  discount(part_of_session(it->first, session.acknowledged_below, session.used_at, session.used_ns));
  auto node = by_use_.extract(session.used_at);
  session.used_at = at.position;
  session.used_ns = at.time_ns;
  node.key() = at.position;
  const bool fresh = by_use_.insert(std::move(node)).inserted;
  CHECK(fresh);
  count(part_of_session(it->first, session.acknowledged_below, session.used_at, session.used_ns));
}

void SessionTable::forget_below(SessionId id, Session& session, uint64_t acknowledged_below) {
  if (acknowledged_below <= session.acknowledged_below) return;
  discount(part_of_session(id, session.acknowledged_below, session.used_at, session.used_ns));
  session.acknowledged_below = acknowledged_below;
  count(part_of_session(id, session.acknowledged_below, session.used_at, session.used_ns));
  const auto end = session.results.lower_bound(acknowledged_below);
  for (auto it = session.results.begin(); it != end; it = session.results.erase(it)) {
    kept_bytes_ -= charge(it->second);
    discount(part_of_result(id, it->first, it->second));
  }
}

// table   = version  sessions:varint  session*
// session = id-delta:varint  acknowledged_below:varint  used_at:varint  used_ns:zigzag  results:varint  result*
// result  = sequence-delta:varint  length:varint  bytes        deltas from acknowledged_below, then from the last
void SessionTable::save(std::string& out) const {
  append_varint(out, kSaveVersion);
  append_varint(out, sessions_.size());
  uint64_t last_id = 0;
  for (const auto& [id, session] : sessions_) {
    append_varint(out, static_cast<uint64_t>(id) - std::exchange(last_id, static_cast<uint64_t>(id)));
    append_varint(out, session.acknowledged_below);
    append_varint(out, session.used_at);
    append_varint(out, zigzag(session.used_ns));
    append_varint(out, session.results.size());
    uint64_t last = session.acknowledged_below;
    for (const auto& [sequence, result] : session.results) {
      append_varint(out, sequence - std::exchange(last, sequence));
      append_bytes(out, result);
    }
  }
}

Status SessionTable::restore(std::string_view bytes) {
  const Error broken{Code::kDataLoss, "the sessions of this snapshot make no sense"};
  ByteReader in(bytes);
  if (in.varint() != kSaveVersion)
    return Error{Code::kDataLoss, "the sessions of this snapshot are of another version"};
  SessionTable fresh(limits_);
  const uint64_t sessions = in.varint();
  uint64_t last_id = 0;
  for (uint64_t i = 0; i < sessions && in.ok(); ++i) {
    const uint64_t id_delta = in.varint();
    if (id_delta == 0 || id_delta > std::numeric_limits<uint64_t>::max() - last_id) return broken;
    last_id += id_delta;
    const SessionId id{last_id};
    Session session;
    session.acknowledged_below = in.varint();
    session.used_at = in.varint();
    session.used_ns = in.zigzag_varint();
    const uint64_t results = in.varint();
    if (!in.ok() || session.acknowledged_below == 0 || session.used_at < last_id || session.used_ns < 0) return broken;
    uint64_t sequence = session.acknowledged_below;
    for (uint64_t k = 0; k < results && in.ok(); ++k) {
      const uint64_t delta = in.varint();
      if ((k > 0 && delta == 0) || delta > std::numeric_limits<uint64_t>::max() - sequence) return broken;
      sequence += delta;
      std::string result(in.prefixed_bytes());
      if (!in.ok()) return broken;
      fresh.kept_bytes_ += charge(result);
      fresh.count(part_of_result(id, sequence, result));
      session.results.emplace_hint(session.results.end(), sequence, std::move(result));
    }
    if (!in.ok() || !fresh.by_use_.emplace(session.used_at, id).second) return broken;
    fresh.count(part_of_session(id, session.acknowledged_below, session.used_at, session.used_ns));
    fresh.sessions_.emplace_hint(fresh.sessions_.end(), id, std::move(session));
  }
  if (!in.ok() || !in.at_end()) return broken;
  int64_t last_ns = std::numeric_limits<int64_t>::min();
  for (const auto& [used_at, id] : fresh.by_use_) {  // what expire() relies on
    const int64_t used_ns = fresh.sessions_.find(id)->second.used_ns;
    if (used_ns < last_ns) return broken;
    last_ns = used_ns;
  }
  *this = std::move(fresh);
  return {};
}

}  // namespace clew::consensus
