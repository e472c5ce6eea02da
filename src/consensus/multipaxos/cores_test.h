// Multi-Paxos cores in an ideal loop: consensus/cores_test.h.
#pragma once

#include <string>

#include "consensus/cores_test.h"
#include "consensus/multipaxos/multipaxos.h"

namespace clew::consensus::multipaxos {

struct MultiPaxosPlay {
  using Core = MultiPaxos;
  using Options = multipaxos::Options;
  using Promise = Ballot;
  using Group = GroupCheck;
  static constexpr std::string_view kName = "multipaxos";
  static constexpr std::string_view kEpoch = "round";
  static constexpr bool kWitnesses = true;

  static Promise promise(const MultiPaxos& core) { return core.state().promise; }
  static bool keeps(const Promise& before, const Promise& after) { return after >= before; }
  static std::string describe(const Promise& promise) { return "ballot " + to_string(promise); }
  static void set(Options& options, std::string_view name, uint64_t value) {
    if (name == "copies") options.min_data_copies = value;
    if (name == "open") options.max_open_slots = value;
  }
  static void draw(Options& options, Generator& random) {
    options.witness_log_entries = 5 + random.below(20);
    options.max_open_slots = 2 + random.below(60);
  }
  static std::string describe_record(const std::string& bytes);
  static std::string describe_frame(const std::string& bytes) {
    const Result<Message> message = decode(bytes);
    return message.ok() ? to_string(*message) : "malformed";
  }
};

inline std::string MultiPaxosPlay::describe_record(const std::string& bytes) {
  const Result<Record> parsed = parse_record(bytes);
  if (!parsed.ok()) return "malformed";
  const Record& record = *parsed;
  std::string text;
  switch (record.header.kind) {
    case RecordKind::kState:
      text = "state";
      break;
    case RecordKind::kVotes:
      text = "votes [";
      for (const VoteRun& run : record.runs) {
        for (size_t i = 0; i < run.votes.size(); ++i) {
          text +=
              (text.back() == '[' ? "" : " ") + std::to_string(run.first + i) + "=" + to_string(run.votes[i].ballot);
        }
      }
      text += "]";
      break;
    case RecordKind::kBase:
      text = "base " + std::to_string(record.meta.position) + " members=" + record.meta.membership.to_string();
      break;
  }
  return text + " (promise=" + to_string(record.header.promise) + " commit=" + std::to_string(record.header.commit) +
         (record.header.lost_to > 0 ? " lost_to=" + std::to_string(record.header.lost_to) : "") + ")";
}

using Cores = consensus::Cores<MultiPaxosPlay>;

}  // namespace clew::consensus::multipaxos
