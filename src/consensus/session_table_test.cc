#include "consensus/session_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace clew::consensus {
namespace {

using Verdict = SessionTable::Verdict;

constexpr int64_t kHourNs = 3'600ll * 1'000'000'000;

// Runs a command as a replica does; nothing when it was forgotten. `applied` counts what took effect.
std::optional<std::string> run(SessionTable& table, Applied at, SessionId id, uint64_t sequence,
                               uint64_t acknowledged_below, int& applied) {
  std::string_view kept;
  switch (table.check(at, id, sequence, acknowledged_below, &kept)) {
    case Verdict::kApply: {
      const std::string result = "result " + std::to_string(++applied);
      table.keep(id, sequence, result);
      return result;
    }
    case Verdict::kRepeated:
      return std::string(kept);
    case Verdict::kForgotten:
      return {};
  }
  return {};
}

TEST(SessionTable, aRepeatedCommandIsAnsweredAndNotApplied) {
  SessionTable table({});
  const SessionId id = table.open({.position = 10, .time_ns = 0});
  EXPECT_EQ(id, SessionId{10});
  int applied = 0;
  EXPECT_EQ(run(table, {11, 0}, id, 1, 1, applied), "result 1");
  EXPECT_EQ(run(table, {12, 0}, id, 2, 1, applied), "result 2");
  EXPECT_EQ(run(table, {13, 0}, id, 1, 1, applied), "result 1");
  EXPECT_EQ(applied, 2);
}

TEST(SessionTable, commandsOfOneSessionMayComeOutOfOrder) {
  SessionTable table({});
  const SessionId id = table.open({1, 0});
  int applied = 0;
  EXPECT_EQ(run(table, {2, 0}, id, 3, 1, applied), "result 1");
  EXPECT_EQ(run(table, {3, 0}, id, 1, 1, applied), "result 2");
  EXPECT_EQ(run(table, {4, 0}, id, 3, 1, applied), "result 1");
  EXPECT_EQ(run(table, {5, 0}, id, 2, 1, applied), "result 3");
}

TEST(SessionTable, anAcknowledgedCommandIsForgottenAndNeverAppliedAgain) {
  SessionTable table({});
  const SessionId id = table.open({1, 0});
  int applied = 0;
  run(table, {2, 0}, id, 1, 1, applied);
  run(table, {3, 0}, id, 2, 2, applied);
  const uint64_t bytes = table.kept_bytes();
  EXPECT_EQ(run(table, {4, 0}, id, 1, 1, applied), std::nullopt);  // a late copy of the first try
  EXPECT_EQ(run(table, {5, 0}, id, 2, 1, applied), "result 2");    // an old acknowledgement takes nothing back
  EXPECT_EQ(table.kept_bytes(), bytes);
  EXPECT_EQ(applied, 2);
}

TEST(SessionTable, numbersFromZeroAndBeyondTheWindowAreNotApplied) {
  SessionTable table({.max_kept_results = 4});
  const SessionId id = table.open({1, 0});
  int applied = 0;
  EXPECT_EQ(run(table, {2, 0}, id, 0, 0, applied), std::nullopt);
  EXPECT_EQ(run(table, {3, 0}, id, 5, 1, applied), std::nullopt);
  EXPECT_EQ(run(table, {4, 0}, id, 4, 1, applied), "result 1");
  EXPECT_EQ(run(table, {5, 0}, id, 5, 2, applied), "result 2");
  EXPECT_EQ(run(table, {6, 0}, id, UINT64_MAX, UINT64_MAX, applied), "result 3");
  EXPECT_EQ(run(table, {7, 0}, id, 5, 1, applied), std::nullopt);
}

TEST(SessionTable, aSessionEndsByReplicatedTimeSinceItsLastCommand) {
  SessionTable table({.idle_ns = kHourNs});
  const SessionId idle = table.open({1, 0});
  const SessionId busy = table.open({2, 0});
  int applied = 0;
  run(table, {3, kHourNs / 2}, busy, 1, 1, applied);
  EXPECT_EQ(run(table, {4, kHourNs + 1}, idle, 1, 1, applied), std::nullopt);
  EXPECT_EQ(run(table, {5, kHourNs + 1}, busy, 1, 1, applied), "result 1");
  EXPECT_EQ(table.size(), 1u);
}

TEST(SessionTable, aGroupThatWasDownEndsNobodysSession) {
  SessionTable table({.idle_ns = kHourNs});
  const SessionId id = table.open({1, 0});
  int applied = 0;
  table.pass(24 * kHourNs);
  EXPECT_EQ(run(table, {2, 24 * kHourNs}, id, 1, 1, applied), "result 1");
  const SessionId other = table.open({3, 24 * kHourNs});
  for (int quarter = 1; quarter <= 5; ++quarter) {  // and one that is at work does
    table.pass(kHourNs / 4);
    run(table, {Position(3 + quarter), 24 * kHourNs + quarter * kHourNs / 4}, id, 1 + quarter, 1, applied);
  }
  EXPECT_EQ(run(table, {9, 25 * kHourNs + kHourNs / 4}, other, 1, 1, applied), std::nullopt);
}

TEST(SessionTable, openingOneTooManyEndsTheOneLongestUnused) {
  SessionTable table({.max_sessions = 2});
  const SessionId first = table.open({1, 0});
  const SessionId second = table.open({2, 0});
  int applied = 0;
  run(table, {3, 0}, first, 1, 1, applied);
  const SessionId third = table.open({4, 0});
  EXPECT_EQ(run(table, {5, 0}, second, 1, 1, applied), std::nullopt);
  EXPECT_EQ(run(table, {6, 0}, first, 1, 1, applied), "result 1");
  EXPECT_NE(run(table, {7, 0}, third, 1, 1, applied), std::nullopt);
}

TEST(SessionTable, tooManyKeptBytesEndTheSessionLongestUnusedButNeverTheOneInUse) {
  SessionTable table({.max_kept_bytes = 300});
  const SessionId first = table.open({1, 0});
  const SessionId second = table.open({2, 0});
  std::string_view kept;
  ASSERT_EQ(table.check({3, 0}, first, 1, 1, &kept), Verdict::kApply);
  table.keep(first, 1, std::string(200, 'a'));
  ASSERT_EQ(table.check({4, 0}, second, 1, 1, &kept), Verdict::kApply);
  table.keep(second, 1, std::string(200, 'b'));
  EXPECT_EQ(table.check({5, 0}, first, 2, 1, &kept), Verdict::kForgotten);
  ASSERT_EQ(table.check({6, 0}, second, 2, 1, &kept), Verdict::kApply);
  table.keep(second, 2, std::string(1'000, 'c'));
  EXPECT_EQ(table.check({7, 0}, second, 2, 1, &kept), Verdict::kRepeated);
}

TEST(SessionTable, aClosedSessionIsGone) {
  SessionTable table({});
  const SessionId id = table.open({1, 0});
  int applied = 0;
  run(table, {2, 0}, id, 1, 1, applied);
  table.close(id);
  table.close(id);
  EXPECT_EQ(run(table, {3, 0}, id, 1, 1, applied), std::nullopt);
  EXPECT_EQ(table.kept_bytes(), 0u);
  EXPECT_EQ(table.digest(), SessionTable({}).digest());
}

TEST(SessionTable, bytesThatMakeNoSenseAreRefusedAndChangeNothing) {
  SessionTable table({});
  const SessionId id = table.open({1, 5});
  int applied = 0;
  run(table, {2, 6}, id, 1, 1, applied);
  run(table, {4, 8}, table.open({3, 7}), 7, 3, applied);
  std::string saved;
  table.save(saved);
  SessionTable other({});
  const SessionId kept = other.open({9, 9});
  const Hash128 before = other.digest();
  for (size_t size = 0; size < saved.size(); ++size) {
    EXPECT_FALSE(other.restore(std::string_view(saved).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(other.restore(saved + "x").ok());
  EXPECT_FALSE(other.restore(std::string(200, '\xff')).ok());
  EXPECT_EQ(other.digest(), before);
  EXPECT_EQ(run(other, {10, 9}, kept, 1, 1, applied), "result 3");
  EXPECT_TRUE(other.restore(saved).ok());
  EXPECT_EQ(other.digest(), table.digest());
}

// --- Against a model that is nothing but the contract ---

struct Model {
  struct Session {
    uint64_t acknowledged = 1;
    Position used_at = 0;
    int64_t used_ns = 0;
    std::map<uint64_t, std::string> results;
  };
  SessionLimits limits;
  std::map<uint64_t, Session> sessions;
  int64_t at_work_ns = 0;

  void pass(int64_t step_ns) { at_work_ns += std::min(step_ns, limits.idle_ns / 2); }
  void expire() {
    std::erase_if(sessions, [&](const auto& item) { return at_work_ns - item.second.used_ns > limits.idle_ns; });
  }
  void drop_oldest() {
    auto oldest = sessions.begin();
    for (auto it = sessions.begin(); it != sessions.end(); ++it) {
      if (it->second.used_at < oldest->second.used_at) oldest = it;
    }
    sessions.erase(oldest);
  }
  uint64_t open(const Applied& at) {
    expire();
    sessions[at.position] = {1, at.position, at_work_ns, {}};
    while (sessions.size() > limits.max_sessions) drop_oldest();
    return at.position;
  }
  std::optional<std::string> run(const Applied& at, uint64_t id, uint64_t sequence, uint64_t acknowledged,
                                 const std::string& result) {
    expire();
    if (!sessions.contains(id)) return {};
    Session& session = sessions[id];
    session.used_at = at.position;
    session.used_ns = at_work_ns;
    session.acknowledged = std::max(session.acknowledged, acknowledged);
    std::erase_if(session.results, [&](const auto& item) { return item.first < session.acknowledged; });
    if (sequence < session.acknowledged || sequence - session.acknowledged >= limits.max_kept_results) return {};
    return session.results.emplace(sequence, result).first->second;
  }
};

RC_GTEST_PROP(SessionTableProperty, behavesAsTheContractSaysAndSurvivesSavingAtAnyTime, ()) {
  SessionLimits limits;
  limits.max_sessions = *rc::gen::inRange<size_t>(1, 5);
  limits.max_kept_results = *rc::gen::inRange<uint64_t>(1, 6);
  limits.idle_ns = *rc::gen::inRange<int64_t>(1, 40);
  SessionTable table(limits);
  Model model{.limits = limits};
  Applied at;
  std::vector<uint64_t> ids{0, 999'999};
  const int steps = *rc::gen::inRange(0, 80);
  for (int step = 0; step < steps; ++step) {
    at.position += *rc::gen::inRange<uint64_t>(1, 4);
    const auto passed = *rc::gen::weightedOneOf<int64_t>(
        {{9, rc::gen::inRange<int64_t>(0, 6)}, {1, rc::gen::inRange<int64_t>(0, 100)}});
    at.time_ns += passed;
    table.pass(passed);
    model.pass(passed);
    switch (*rc::gen::inRange(0, 10)) {
      case 0:
      case 1:
        ids.push_back(model.open(at));
        RC_ASSERT(table.open(at) == SessionId{ids.back()});
        break;
      case 2: {
        const uint64_t id = *rc::gen::elementOf(ids);
        table.close(SessionId{id});
        model.sessions.erase(id);
        break;
      }
      case 3: {
        std::string saved, again;
        table.save(saved);
        SessionTable restored(limits);
        RC_ASSERT(restored.restore(saved).ok());
        RC_ASSERT(restored.digest() == table.digest());
        RC_ASSERT(restored.kept_bytes() == table.kept_bytes());
        restored.save(again);
        RC_ASSERT(again == saved);
        table = std::move(restored);
        break;
      }
      default: {
        const uint64_t id = *rc::gen::elementOf(ids);
        const uint64_t sequence = *rc::gen::inRange<uint64_t>(0, 12);
        const uint64_t acknowledged = *rc::gen::inRange<uint64_t>(0, 8);
        const std::string result = std::to_string(at.position);
        std::string_view kept;
        std::optional<std::string> got;
        switch (table.check(at, SessionId{id}, sequence, acknowledged, &kept)) {
          case Verdict::kApply:
            table.keep(SessionId{id}, sequence, result);
            got = result;
            break;
          case Verdict::kRepeated:
            got = std::string(kept);
            break;
          case Verdict::kForgotten:
            break;
        }
        RC_ASSERT(got == model.run(at, id, sequence, acknowledged, result));
      }
    }
    RC_ASSERT(table.size() <= limits.max_sessions);
    for (const auto& [id, session] : model.sessions) {
      (void)id;
      RC_ASSERT(session.results.size() <= limits.max_kept_results);
    }
  }
  // Tables with the same content have the same digest, whatever way they came about.
  std::string saved;
  table.save(saved);
  SessionTable restored(limits);
  RC_ASSERT(restored.restore(saved).ok());
  RC_ASSERT(restored.digest() == table.digest());
}

RC_GTEST_PROP(SessionTableProperty, differentTablesHaveDifferentDigests, ()) {
  std::map<std::string, Hash128> seen;
  SessionTable table({});
  Applied at;
  for (int step = 0; step < 30; ++step) {
    ++at.position;
    at.time_ns += *rc::gen::inRange<int64_t>(0, 3);
    if (*rc::gen::inRange(0, 3) == 0) {
      table.open(at);
    } else {
      std::string_view kept;
      const SessionId id{*rc::gen::inRange<uint64_t>(1, at.position + 1)};
      const uint64_t sequence = *rc::gen::inRange<uint64_t>(1, 5);
      if (table.check(at, id, sequence, 0, &kept) == Verdict::kApply) {
        table.keep(id, sequence, std::string(*rc::gen::inRange<size_t>(0, 3), 'r'));
      }
    }
    std::string saved;
    table.save(saved);
    const auto [it, fresh] = seen.emplace(saved, table.digest());
    RC_ASSERT(it->second == table.digest());
  }
  std::set<std::pair<uint64_t, uint64_t>> digests;
  for (const auto& [saved, digest] : seen) digests.insert({digest.lo, digest.hi});
  RC_ASSERT(digests.size() == seen.size());
}

}  // namespace
}  // namespace clew::consensus
