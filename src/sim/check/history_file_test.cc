#include "sim/check/history_file.h"

#include <gtest/gtest.h>

#include <string>

#include "sim/check/play_test.h"

namespace clew::sim::check {
namespace {

std::string error_of(const std::string& text) {
  const auto result = parse_history(text);
  return result.ok() ? "" : std::string(result.error().message);
}

const std::string kHeader = "{\"clew_history\":1,\"workload\":\"register\"}\n";

TEST(HistoryFile, whatIsWrittenReadsBackAsTheSameLines) {
  const std::pair<Workload, const char*> plays[] = {
      {Workload::kRegister,
       "1 write x a s7/1\n2 read x sequential final\n1 ok @3\n2 ok - @3\n3 cas x - b\n3 no\n4 cas x a b\n5 delete x\n"
       "5 fail\n4 unknown\n6 write y z"},
      {Workload::kList, "1 append l a\n1 ok\n2 read l causal\n2 ok [a b]\n3 read l\n3 ok []"},
      {Workload::kCounter, "1 add c -5\n1 ok\n2 read c eventual\n2 ok -5"},
      {Workload::kSet, "1 insert s a\n1 ok\n2 erase s a\n2 no\n3 read s\n3 ok [b]"},
      {Workload::kBank, "1 transfer a b 5\n1 no\n2 read\n2 ok {a=1 b=2}"},
  };
  for (const auto& [workload, play] : plays) {
    History history = Play(workload).read(play);
    if (workload == Workload::kBank) history.initial["a"].number = 4;
    if (workload == Workload::kList) history.initial["l"].values = {"x", "y"};
    if (workload == Workload::kRegister) history.initial["x"].value = "old";
    history.operations[0].node = NodeId{2};
    history.operations[0].invoked_ns = 12;
    history.applied = {{NodeId{1}, 3, SessionId{7}, 1}};
    history.digests = {{NodeId{1}, 3, "ab"}};
    const std::string text = write_history(history);
    const auto back = parse_history(text);
    ASSERT_TRUE(back.ok()) << back.error().message << '\n' << text;
    EXPECT_EQ(write_history(*back), text);
    ASSERT_EQ(back->operations.size(), history.operations.size());
    for (size_t i = 0; i < history.operations.size(); ++i) {
      EXPECT_EQ(describe_in_time(*back, i), describe_in_time(history, i));
    }
  }
}

TEST(HistoryFile, valuesMayBeAnyBytes) {
  History history;
  Operation op;
  op.kind = Kind::kWrite;
  op.key = "quote\" back\\ line\n tab\t nul" + std::string(1, '\0') + " é";
  op.input.value = "\xff" + std::string(1, '\0') + "\x7f no text";
  history.invoke(op);
  const auto back = parse_history(write_history(history));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->operations[0].key, op.key);
  EXPECT_EQ(back->operations[0].input.value, op.input.value);
}

TEST(HistoryFile, aLineThatIsNotWholeIsLeftOut) {
  const std::string text = kHeader +
                           "{\"event\":\"invoke\",\"process\":1,\"kind\":\"write\",\"key\":\"x\",\"value\":\"a\"}\n"
                           "{\"event\":\"return\",\"process\":1,\"outc";
  HistoryReader reader;
  // In whatever pieces it comes.
  for (const char c : text) ASSERT_TRUE(reader.feed({&c, 1}).ok());
  const auto history = reader.finish();
  ASSERT_TRUE(history.ok());
  EXPECT_TRUE(reader.torn());
  ASSERT_EQ(history->operations.size(), 1u);
  EXPECT_EQ(history->operations[0].outcome, Outcome::kUnknown);
  EXPECT_EQ(history->operations[0].returned, kNever);
}

TEST(HistoryFile, aProcessThatAsksAnewLeavesItsOperationUnknown) {
  const auto history = parse_history(kHeader +
                                     "{\"event\":\"invoke\",\"process\":1,\"kind\":\"delete\",\"key\":\"x\"}\n"
                                     "{\"event\":\"invoke\",\"process\":1,\"kind\":\"read\",\"key\":\"x\"}\n"
                                     "{\"event\":\"return\",\"process\":1,\"outcome\":\"ok\",\"value\":null}\n");
  ASSERT_TRUE(history.ok()) << history.error().message;
  EXPECT_EQ(history->operations[0].outcome, Outcome::kUnknown);
  EXPECT_TRUE(history->operations[1].ok());
}

TEST(HistoryFile, badInputIsRefusedWithItsLine) {
  const std::string invoke = "{\"event\":\"invoke\",\"process\":1,\"kind\":\"read\",\"key\":\"x\"}\n";
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"", "no header"},
      {"\n\n", "no header"},
      {"{}\n", "line 1: not a history"},
      {"[]\n", "line 1: must be a JSON object"},
      {"\n{\"clew_history\":2}\n", "line 2: version"},
      {"{\"clew_history\":1,\"workload\":\"queue\"}\n", "line 1: no such \"workload\""},
      {"{\"clew_history\":1,\"workload\":\"register\",\"start\":1}\n", "\"start\" does not belong here"},
      {"{\"clew_history\":1,\"workload\":\"counter\",\"initial\":{\"c\":{\"value\":1}}}\n", "\"number\" is missing"},
      {kHeader + "nonsense\n", "line 2: not JSON"},
      {kHeader + invoke + "{\"event\":\n", "line 3: not JSON"},
      {kHeader + "{\"event\":\"end\"}\n", "no such \"event\""},
      {kHeader + "{\"process\":1}\n", "\"event\" is missing"},
      {kHeader + "{\"event\":\"invoke\",\"process\":-1,\"kind\":\"read\",\"key\":\"x\"}\n", "integer of 0 or more"},
      {kHeader + "{\"event\":\"invoke\",\"process\":1,\"kind\":\"append\",\"key\":\"x\"}\n", "no such \"kind\""},
      {kHeader + "{\"event\":\"invoke\",\"process\":1,\"kind\":\"read\",\"key\":7}\n", "\"key\" must be a string"},
      {kHeader + "{\"event\":\"invoke\",\"process\":1,\"kind\":\"read\",\"key\":{\"hex\":\"0\"}}\n", "pairs"},
      {kHeader + "{\"event\":\"invoke\",\"process\":1,\"process\":1,\"kind\":\"read\",\"key\":\"x\"}\n", "twice"},
      {kHeader + "{\"event\":\"invoke\",\"process\":1,\"kind\":\"delete\",\"key\":\"x\",\"final\":true}\n",
       "only a read"},
      {kHeader + "{\"event\":\"return\",\"process\":1,\"outcome\":\"ok\"}\n", "nothing to return from"},
      {kHeader + invoke + "{\"event\":\"return\",\"process\":1,\"outcome\":\"ok\"}\n", "\"value\" is missing"},
      {kHeader + invoke + "{\"event\":\"return\",\"process\":1,\"outcome\":\"maybe\"}\n", "no such \"outcome\""},
      {kHeader + invoke +
           "{\"event\":\"return\",\"process\":1,\"outcome\":\"ok\",\"value\":null,\"position\":9223372036854775808}\n",
       "\"position\" is beyond"},
      {kHeader + "{\"event\":\"applied\",\"node\":1,\"session\":1,\"sequence\":1}\n", "\"position\" is missing"},
      {kHeader + "{\"event\":\"digest\",\"node\":1,\"position\":1}\n", "\"digest\" is missing"},
      {"{\"clew_history\":1,\"workload\":\"bank\"}\n{\"event\":\"invoke\",\"process\":1,\"kind\":\"transfer\","
       "\"key\":\"a\",\"target\":\"b\",\"amount\":-1}\n",
       "must not be negative"},
  };
  for (const auto& c : cases) {
    EXPECT_NE(error_of(c.text).find(c.says), std::string::npos) << c.text << " says: " << error_of(c.text);
  }
}

TEST(HistoryFile, limitsAreKept) {
  HistoryReader lines({.max_line_bytes = 100});
  EXPECT_EQ(lines.feed(std::string(101, ' ')).code(), Code::kResourceExhausted) << "before the line ends";
  HistoryReader bytes({.max_bytes = 10});
  EXPECT_EQ(bytes.feed(kHeader).code(), Code::kResourceExhausted);
  HistoryReader events({.max_events = 1});
  const std::string invoke = "{\"event\":\"invoke\",\"process\":1,\"kind\":\"read\",\"key\":\"x\"}\n";
  EXPECT_TRUE(events.feed(kHeader + invoke).ok());
  EXPECT_EQ(events.feed(invoke).code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace clew::sim::check
