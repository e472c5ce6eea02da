#include "app/paxos_report.h"

#include <algorithm>
#include <vector>

#include "api/json_writer.h"
#include "app/kv_output.h"

namespace clew::app {
namespace {

using consensus::NodeId;
using consensus::paxos::Attempt;
using consensus::paxos::Ballot;
using consensus::paxos::ballot_text;
using consensus::paxos::Outcome;

std::string ids(std::vector<NodeId> list) {
  std::sort(list.begin(), list.end());
  std::string text;
  for (const NodeId id : list) text += (text.empty() ? "" : ",") + std::to_string(number(id));
  return text.empty() ? "nobody" : text;
}

std::string quoted(std::string_view bytes) { return "\"" + readable_bytes(bytes) + "\""; }

void write_ids(api::JsonWriter& json, std::string_view name, std::vector<NodeId> list) {
  std::sort(list.begin(), list.end());
  json.key(name).open_array();
  for (const NodeId id : list) json.quoted_unsigned(number(id));
  json.close_array();
}

void write_ballot(api::JsonWriter& json, std::string_view name, const Ballot& ballot) {
  json.key(name).open_object();
  json.key("round").quoted_unsigned(ballot.round);
  json.key("proposer").quoted_unsigned(number(ballot.proposer));
  json.key("incarnation").quoted_unsigned(ballot.incarnation);
  json.close_object();
}

std::string attempt_text(const Attempt& attempt) {
  std::string text = "  ballot " + ballot_text(attempt.ballot) + ": promised by " + ids(attempt.promised);
  if (!attempt.bound_to.ballot.none()) {
    text += ", who had accepted " + quoted(attempt.bound_to.value) + " at " + ballot_text(attempt.bound_to.ballot) +
            ": that had to be proposed";
  }
  if (!attempt.accepted.empty()) text += "; accepted by " + ids(attempt.accepted);
  if (!attempt.refused.empty()) {
    text += "; refused by " + ids(attempt.refused) + ", which had promised " + ballot_text(attempt.refused_for);
  }
  return text + ": " + std::string(attempt_end_name(attempt.end)) + "\n";
}

}  // namespace

std::string decree_text(std::string_view name, std::string_view wish, const Outcome& outcome) {
  std::string text = quoted(outcome.chosen.value) + " was chosen for " + readable_bytes(name) + " at ballot " +
                     ballot_text(outcome.chosen.ballot) + " among the acceptors " + ids(outcome.acceptors) + "\n";
  for (const Attempt& attempt : outcome.attempts) text += attempt_text(attempt);
  if (outcome.attempts_made > outcome.attempts.size()) {
    text += "  and " + std::to_string(outcome.attempts_made - outcome.attempts.size()) + " ballots before these\n";
  }
  if (outcome.attempts.empty()) text += "  this member knew it already: nobody had to be asked\n";
  if (outcome.chosen.value != wish) text += quoted(wish) + " came too late: what is chosen stays\n";
  return text;
}

std::string decree_json(std::string_view name, std::string_view wish, const Outcome& outcome) {
  std::string out;
  api::JsonWriter json(out);
  json.open_object();
  write_bytes(json, "name", name);
  write_bytes(json, "wish", wish);
  write_bytes(json, "chosen", outcome.chosen.value);
  write_ballot(json, "ballot", outcome.chosen.ballot);
  write_ids(json, "acceptors", outcome.acceptors);
  json.key("attempts_made").quoted_unsigned(outcome.attempts_made);
  json.key("attempts").open_array();
  for (const Attempt& attempt : outcome.attempts) {
    json.open_object();
    write_ballot(json, "ballot", attempt.ballot);
    write_ids(json, "promised", attempt.promised);
    write_ids(json, "accepted", attempt.accepted);
    write_ids(json, "refused", attempt.refused);
    if (!attempt.refused_for.none()) write_ballot(json, "refused_for", attempt.refused_for);
    if (!attempt.bound_to.ballot.none()) {
      write_bytes(json, "bound_to", attempt.bound_to.value);
      write_ballot(json, "bound_to_ballot", attempt.bound_to.ballot);
    }
    json.key("end").text(attempt_end_name(attempt.end));
    json.close_object();
  }
  json.close_array().close_object();
  return out + "\n";
}

}  // namespace clew::app
