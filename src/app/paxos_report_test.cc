#include "app/paxos_report.h"

#include <gtest/gtest.h>

namespace clew::app {
namespace {

using consensus::NodeId;
using consensus::paxos::Attempt;
using consensus::paxos::Outcome;

Outcome outcome() {
  Attempt refused;
  refused.ballot = {1, NodeId{1}, 4};
  refused.promised = {NodeId{1}};
  refused.refused = {NodeId{3}};
  refused.refused_for = {6, NodeId{2}, 1};
  refused.end = Attempt::End::kRefused;
  Attempt chosen;
  chosen.ballot = {7, NodeId{1}, 4};
  chosen.promised = chosen.accepted = {NodeId{3}, NodeId{1}};
  chosen.bound_to = {{6, NodeId{2}, 1}, "blue"};
  chosen.end = Attempt::End::kChosen;
  return {{chosen.ballot, "blue"}, {NodeId{1}, NodeId{2}, NodeId{3}}, {refused, chosen}, 2};
}

TEST(PaxosReport, saysWhoPromisedWhoAcceptedAndWhyAnotherValueWasChosen) {
  EXPECT_EQ(
      decree_text("colour", "red", outcome()),
      "\"blue\" was chosen for colour at ballot 7.1(4) among the acceptors 1,2,3\n"
      "  ballot 1.1(4): promised by 1; refused by 3, which had promised 6.2: refused\n"
      "  ballot 7.1(4): promised by 1,3, who had accepted \"blue\" at 6.2: that had to be proposed; accepted by 1,3: "
      "chosen\n"
      "\"red\" came too late: what is chosen stays\n");
}

TEST(PaxosReport, ofAMemberThatKnewItNobodyWasAsked) {
  EXPECT_EQ(decree_text("colour", "blue", {{{2, NodeId{2}, 1}, "blue"}, {NodeId{1}}, {}, 0}),
            "\"blue\" was chosen for colour at ballot 2.2 among the acceptors 1\n"
            "  this member knew it already: nobody had to be asked\n");
}

TEST(PaxosReport, jsonHasIdsAsStringsAndEscapesWhatIsNoText) {
  const std::string json = decree_json("col\"our", "\xff", outcome());
  EXPECT_NE(json.find("\"name\":\"col\\\"our\",\"wish_base64\":\"/w==\",\"chosen\":\"blue\""), std::string::npos)
      << json;
  EXPECT_NE(json.find("\"ballot\":{\"round\":\"7\",\"proposer\":\"1\",\"incarnation\":\"4\"}"), std::string::npos);
  EXPECT_NE(json.find("\"promised\":[\"1\",\"3\"],\"accepted\":[\"1\",\"3\"]"), std::string::npos);
}

}  // namespace
}  // namespace clew::app
