// Raft's cores in an ideal loop: consensus/cores_test.h.
#pragma once

#include <string>

#include "consensus/cores_test.h"
#include "consensus/raft/raft.h"

namespace clew::consensus::raft {

struct RaftPlay {
  using Core = Raft;
  using Options = raft::Options;
  struct Promise {
    Epoch term = 0;
    NodeId vote = kNobody;
  };
  static constexpr std::string_view kName = "raft";
  static constexpr std::string_view kEpoch = "term";
  static constexpr bool kWitnesses = true;

  static Promise promise(const Raft& core) {
    const State state = core.state();
    return {state.term, state.vote};
  }
  static bool keeps(const Promise& before, const Promise& after) {
    return after.term > before.term ||
           (after.term == before.term && (before.vote == kNobody || after.vote == before.vote));
  }
  static std::string describe(const Promise& promise) {
    return "term " + std::to_string(promise.term) + " to " + std::to_string(number(promise.vote));
  }
  static void set(Options& options, std::string_view name, uint64_t value) {
    if (name == "copies") options.min_data_copies = value;
  }
  static void draw(Options& options, Generator& random) { options.witness_log_entries = 5 + random.below(20); }
  static std::string describe_record(const std::string& bytes);
  static std::string describe_frame(const std::string& bytes) {
    const Result<Message> message = decode(bytes);
    return message.ok() ? to_string(*message) : "malformed";
  }
};

inline std::string RaftPlay::describe_record(const std::string& bytes) {
  const Result<Record> parsed = parse_record(bytes);
  if (!parsed.ok()) return "malformed";
  const Record& record = *parsed;
  std::string text;
  switch (record.header.kind) {
    case RecordKind::kState:
      text = "state";
      break;
    case RecordKind::kAppend:
      text = (record.truncates ? "replace from " : "append ") + std::to_string(record.first) + " [";
      for (size_t i = 0; i < record.entries.size(); ++i) {
        text += (i == 0 ? "" : " ") + std::to_string(record.first + i) + "/" + std::to_string(record.entries[i].epoch);
      }
      text += "]";
      break;
    case RecordKind::kBase:
      text = "base " + std::to_string(record.meta.position) + "/" + std::to_string(record.meta.epoch) +
             " members=" + record.meta.membership.to_string();
      break;
  }
  text += " (term=" + std::to_string(record.header.term);
  if (record.header.vote != kNobody) text += " vote=" + std::to_string(number(record.header.vote));
  return text + ")";
}

using Cores = consensus::Cores<RaftPlay>;

}  // namespace clew::consensus::raft
