#include "control/attest_desk.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "consensus/replica_command.h"

namespace clew::control {
namespace {

using consensus::CommandHeader;
using consensus::CommandKind;
using consensus::SessionId;

class AttestDeskTest : public testing::Test {
 protected:
  using Said = std::shared_ptr<std::optional<std::variant<Attestation, CallError>>>;

  void apply(CommandKind kind, SessionId session, uint64_t sequence, const std::string& body,
             const std::string& result) {
    CommandHeader header;
    header.kind = kind;
    header.session = session;
    header.sequence = sequence;
    consensus::Entry entry;
    entry.kind = consensus::EntryKind::kCommand;
    entry.payload = consensus::encode_command(header, body);
    desk.applied(++position, entry, result);
  }
  SessionId open() {
    apply(CommandKind::kOpenSession, consensus::kNoSession, 0, {}, {});
    return SessionId{position};
  }
  void execute(SessionId session, uint64_t sequence, const std::string& body, const std::string& result) {
    apply(CommandKind::kApply, session, sequence, body, result);
  }
  Said ask(SessionId session, uint64_t sequence, consensus::Time deadline = 100, uint64_t asker = 1) {
    auto said = std::make_shared<std::optional<std::variant<Attestation, CallError>>>();
    desk.ask({session, sequence, asker, deadline}, position, [said](std::variant<Attestation, CallError> answer) {
      EXPECT_FALSE(said->has_value()) << "answered twice";
      *said = std::move(answer);
    });
    return said;
  }
  static bool tells(const Said& said, consensus::Position at, std::string_view body, std::string_view result) {
    const Attestation wanted{at, sha256(body), sha256(result)};
    return said->has_value() && std::holds_alternative<Attestation>(**said) && std::get<Attestation>(**said) == wanted;
  }
  static Code refuses(const Said& said) {
    return said->has_value() && std::holds_alternative<CallError>(**said) ? std::get<CallError>(**said).code
                                                                          : Code::kOk;
  }

  AttestDesk desk{{.max_commands = 3, .max_sessions = 2, .max_waiting = 2}};
  consensus::Position position = 10;
};

TEST_F(AttestDeskTest, whatWasExecutedIsTold_alsoToWhoAskedBefore) {
  const SessionId session = open();
  const Said early = ask(session, 1);
  EXPECT_FALSE(early->has_value());
  execute(session, 1, "put", "done");
  EXPECT_TRUE(tells(early, position, "put", "done"));
  EXPECT_TRUE(tells(ask(session, 1), position, "put", "done"));
  EXPECT_EQ(desk.given(), 2);
}

TEST_F(AttestDeskTest, theFirstExecutionCounts_whateverComesUnderItsNumberLater) {
  const SessionId session = open();
  execute(session, 1, "evil", "done");
  const consensus::Position first = position;
  execute(session, 1, "put", "done");
  EXPECT_TRUE(tells(ask(session, 1), first, "evil", "done"));
}

TEST_F(AttestDeskTest, whatWasNotExecutedAsItsSessionIsGone_isNotTold) {
  const SessionId session = open();
  execute(session, 1, "put", "");
  const Said said = ask(session, 1);
  EXPECT_FALSE(said->has_value());
  desk.expire(100);
  EXPECT_EQ(refuses(said), Code::kDeadlineExceeded);
}

TEST_F(AttestDeskTest, ofWhatItDidNotSeeFromTheBeginning_itSaysNothing) {
  EXPECT_EQ(refuses(ask(SessionId{7}, 1)), Code::kNotFound) << "opened before this member was started";
  execute(SessionId{7}, 1, "put", "done");
  EXPECT_EQ(refuses(ask(SessionId{7}, 1)), Code::kNotFound);
  const SessionId session = open();
  execute(session, 1, "put", "done");
  position += 5;  // by a snapshot
  execute(session, 2, "put", "done");
  EXPECT_EQ(refuses(ask(session, 1)), Code::kNotFound);
  EXPECT_EQ(refuses(ask(session, 2)), Code::kNotFound);
}

TEST_F(AttestDeskTest, theOldestIsForgotten_andDoesNotComeBackAsAFirst) {
  const SessionId session = open();
  for (uint64_t i = 1; i <= 4; ++i) execute(session, i, "put" + std::to_string(i), "done");
  EXPECT_EQ(refuses(ask(session, 1)), Code::kNotFound);
  EXPECT_TRUE(tells(ask(session, 2), 13, "put2", "done"));
  execute(session, 1, "evil", "done");
  EXPECT_EQ(refuses(ask(session, 1)), Code::kNotFound);
  open();
  open();
  EXPECT_EQ(refuses(ask(session, 4)), Code::kNotFound) << "two sessions are remembered";
}

// Its bound is the session table's: who is active is known there, and so here.
TEST_F(AttestDeskTest, theSessionThatIsUnusedForLongestIsForgotten_notTheOneThatWasOpenedFirst) {
  const SessionId active = open();
  for (uint64_t i = 1; i <= 20; ++i) {
    const SessionId passing = open();
    execute(active, i, "put", "done");
    EXPECT_TRUE(tells(ask(active, i), position, "put", "done")) << i;
    EXPECT_NE(refuses(ask(passing, 1, 0)), Code::kNotFound) << "nor is the newest one forgotten";
  }
  const SessionId first = open(), second = open();
  EXPECT_EQ(refuses(ask(active, 20)), Code::kNotFound);
  execute(first, 1, "put", "done");
  execute(first, 1, "put", "done");  // again
  open();
  EXPECT_EQ(refuses(ask(second, 1)), Code::kNotFound);
  EXPECT_TRUE(tells(ask(first, 1), position - 2, "put", "done"));
  EXPECT_EQ(AttestDesk::Limits().max_sessions, consensus::SessionLimits().max_sessions);
}

TEST_F(AttestDeskTest, aSessionThatIsClosed_makesRoomForAnother) {
  const SessionId first = open(), second = open();
  apply(CommandKind::kCloseSession, second, 0, {}, {});
  open();
  execute(first, 1, "put", "done");
  EXPECT_TRUE(tells(ask(first, 1), position, "put", "done"));
}

TEST_F(AttestDeskTest, whoAsksForWhatNeverComes_yieldsToWhoAsksLess) {
  const SessionId session = open();
  constexpr uint64_t kGreedy = 7, kModest = 8, kOther = 9;
  const Said older = ask(SessionId{1'000}, 1, 100, kGreedy), newer = ask(SessionId{2'000}, 1, 100, kGreedy);
  EXPECT_EQ(refuses(ask(SessionId{3'000}, 1, 100, kGreedy)), Code::kResourceExhausted) << "it has the most itself";
  const Said modest = ask(session, 1, 100, kModest);
  EXPECT_FALSE(modest->has_value());
  EXPECT_EQ(refuses(newer), Code::kResourceExhausted);
  EXPECT_FALSE(older->has_value());
  EXPECT_EQ(refuses(ask(session, 2, 100, kModest)), Code::kResourceExhausted) << "nobody has more than it";
  const Said other = ask(session, 1, 100, kOther);
  EXPECT_FALSE(other->has_value());
  EXPECT_EQ(older->has_value() + modest->has_value(), 1) << "of two with one each one yields";
  execute(session, 1, "put", "done");
  EXPECT_TRUE(tells(other, position, "put", "done"));
}

TEST_F(AttestDeskTest, anAnswerOrItsDeadline_makesRoomForTheNextQuestion) {
  const SessionId session = open();
  for (uint64_t i = 1; i <= 100; ++i) {
    const Said late = ask(session, i + 1'000, static_cast<consensus::Time>(i)), answered = ask(session, i);
    execute(session, i, "put", "done");
    EXPECT_TRUE(tells(answered, position, "put", "done"));
    desk.expire(static_cast<consensus::Time>(i) - 1);
    EXPECT_FALSE(late->has_value());
    desk.expire(static_cast<consensus::Time>(i));
    EXPECT_EQ(refuses(late), Code::kDeadlineExceeded);
  }
}

TEST_F(AttestDeskTest, questionsAreBounded_andEndWithIt) {
  const SessionId session = open();
  const Said first = ask(session, 1, 50), second = ask(session, 2, 200);
  EXPECT_EQ(refuses(ask(session, 3)), Code::kResourceExhausted);
  desk.expire(50);
  EXPECT_EQ(refuses(first), Code::kDeadlineExceeded);
  EXPECT_FALSE(second->has_value());
  const Said third = ask(SessionId{position + 1}, 1);
  EXPECT_FALSE(third->has_value()) << "that session may be opened yet";
  const SessionId opened = open();
  EXPECT_EQ(opened, SessionId{position});
  execute(SessionId{position}, 1, "put", "done");
  EXPECT_TRUE(tells(third, position, "put", "done"));
  desk.end(CallError{Code::kUnavailable, "stopping", false, {}, {}});
  EXPECT_EQ(refuses(second), Code::kUnavailable);
}

}  // namespace
}  // namespace clew::control
