// ZAB's cores in an ideal loop: consensus/cores_test.h.
#pragma once

#include <string>

#include "consensus/cores_test.h"
#include "consensus/zab/zab.h"

namespace clew::consensus::zab {

struct ZabPlay {
  using Core = Zab;
  using Options = zab::Options;
  struct Promise {
    Epoch accepted = 0;
    NodeId to = kNobody;
    Epoch current = 0;
  };
  static constexpr std::string_view kName = "zab";
  static constexpr std::string_view kEpoch = "epoch";
  static constexpr bool kWitnesses = false;

  static Promise promise(const Zab& core) {
    const State state = core.state();
    return {state.accepted, state.promised_to, state.current};
  }
  static bool keeps(const Promise& before, const Promise& after) {
    if (after.current < before.current) return false;
    return after.accepted > before.accepted || (after.accepted == before.accepted && after.to == before.to);
  }
  static std::string describe(const Promise& promise) {
    return "epoch " + std::to_string(promise.accepted) + " to " + std::to_string(number(promise.to)) + ", current " +
           std::to_string(promise.current);
  }
  static void set(Options& options, std::string_view name, uint64_t value) {
    if (name == "counter") options.max_counter = value;
  }
  static void draw(Options& options, Generator& random) { options.max_counter = 5 + random.below(60); }
  static std::string describe_record(const std::string& bytes);
  static std::string describe_frame(const std::string& bytes) {
    const Result<Message> message = decode(bytes);
    return message.ok() ? to_string(*message) : "malformed";
  }
};

inline std::string ZabPlay::describe_record(const std::string& bytes) {
  const Result<Record> parsed = parse_record(bytes);
  if (!parsed.ok()) return "malformed";
  const Record& record = *parsed;
  const RecordHeader& head = record.header;
  std::string text;
  switch (head.kind) {
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
      text = "base " + to_string(Point{record.meta.position, {record.meta.epoch, record.counter}}) +
             " members=" + record.meta.membership.to_string();
      break;
  }
  return text + " (accepted=" + std::to_string(head.accepted) + " current=" + std::to_string(head.current) +
         " last=" + to_string(head.last.zxid) + ")";
}

using Cores = consensus::Cores<ZabPlay>;

}  // namespace clew::consensus::zab
