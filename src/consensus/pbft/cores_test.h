// PBFT's cores in an ideal loop: consensus/cores_test.h. Keys are real (Ed25519, os/ed25519.h) in some tests and a
// keyed hash in the others, which cannot be told apart by a core.
#pragma once

#include <memory>
#include <string>

#include "base/random.h"
#include "consensus/cores_test.h"
#include "consensus/pbft/pbft.h"
#include "consensus/pbft/test_keys.h"

namespace clew::consensus::pbft {

struct PbftPlay {
  using Core = Pbft;
  using Options = pbft::Options;
  using Group = pbft::GroupCheck;
  struct Promise {
    Epoch view = 0;
    bool active = false;
    Sequence top = 0;
    uint64_t reserved = 0;
  };
  static constexpr std::string_view kName = "pbft";
  static constexpr std::string_view kEpoch = "view";
  static constexpr bool kWitnesses = false;
  static constexpr uint64_t kLeastVoters = 4;
  static constexpr bool kChoosesSnapshots = true;
  static constexpr bool kGathersCommands = true;  // of a turn, into one request

  static Promise promise(const Pbft& core) {
    const State state = core.state();
    return {state.view, state.active, state.top, state.reserved};
  }
  static bool keeps(const Promise& before, const Promise& after) {
    if (after.view < before.view || after.top < before.top || after.reserved < before.reserved) return false;
    return after.view > before.view || before.active == after.active;
  }
  static std::string describe(const Promise& promise) {
    return "view " + std::to_string(promise.view) + (promise.active ? "" : "?") + ", numbers up to " +
           std::to_string(promise.top);
  }
  static void complete(Options& options) { options.signer = std::make_shared<TestSigner>(options.self); }
  static bool verify(const VerifyRequest& request) { return test_signature_holds(request); }
  static void set(Options& options, std::string_view name, uint64_t value) {
    if (name == "checkpoint") options.checkpoint_every = value;
    if (name == "snapshot") options.snapshot_every_bytes = value;
    if (name == "batch") options.max_message_bytes = value;
    if (name == "full") options.full_batch = value;
  }
  static void draw(Options& options, Generator& random) {
    // The same on all members: drawn from what they share.
    options.checkpoint_every = 4;
    options.snapshot_every_bytes = 600;
    options.client_window = 64;
    options.full_batch = random.one_in(2) ? 1 : 4;  // each member's own affair
    complete(options);
  }
  static std::string describe_record(const std::string& bytes);
  static std::string describe_frame(const std::string& bytes) {
    const Result<Message> message = decode(bytes);
    return message.ok() ? to_string(*message) : "malformed";
  }
};

inline std::string PbftPlay::describe_record(const std::string& bytes) {
  const Result<Record> parsed = parse_record(bytes);
  if (!parsed.ok()) return "malformed";
  const Record& record = *parsed;
  const RecordHeader& head = record.header;
  const auto proof = [&] {
    return "n" + std::to_string(record.certificate.seq) + " " +
           (record.certificate.digest == null_batch()->digest ? "null" : short_hex(record.certificate.digest));
  };
  std::string text;
  switch (head.kind) {
    case RecordKind::kState:
      text = "state";
      break;
    case RecordKind::kAccepted:
      text = "accepted v" + std::to_string(record.accepted.view) + " n" + std::to_string(record.accepted.seq) + " " +
             (record.accepted.batch->null() ? "null" : short_hex(record.accepted.batch->digest));
      break;
    case RecordKind::kPrepared:
      text = "prepared " + proof();
      break;
    case RecordKind::kCommitted:
      text = "committed " + proof();
      break;
    case RecordKind::kStable:
      text = "stable " + proof();
      break;
    case RecordKind::kViewChange:
      text = to_string(record.view_change);
      break;
    case RecordKind::kNewView:
      text = to_string(record.new_view);
      break;
    case RecordKind::kBase:
      text = "base n" + std::to_string(record.base.state.header.seq) +
             " position=" + std::to_string(record.base.meta.position) +
             " members=" + record.base.meta.membership.to_string();
      break;
  }
  return text + " (view=" + std::to_string(head.view) + (head.active ? "" : "?") + " h=" + std::to_string(head.stable) +
         ")";
}

using Cores = consensus::Cores<PbftPlay>;

}  // namespace clew::consensus::pbft
