// What changes and reads of a ReplyQuorum have in common: what each voter said, and whether enough said the same.
// Included by reply_quorum*.cc only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "control/reply_quorum.h"

namespace clew::control {

class ReplyQuorum::Question : public std::enable_shared_from_this<Question> {
 public:
  Question(std::shared_ptr<ReplyQuorum> of, kv::Space space, kv::Request request, CallOptions options,
           Done<CallReply> done);
  virtual ~Question() = default;
  // After an answer the others may take that long before more are asked; and longer the next time.
  static constexpr int64_t kHedge = 50'000'000;
  static constexpr int64_t kPatience = 200'000'000;
  static constexpr int64_t kAgain = 50'000'000;  // pause before all are asked once more
  void start();

 protected:
  // What one voter said; a question has one for each.
  struct Word {
    bool asked = false;    // for its answer
    bool attests = false;  // was asked what it executed
    size_t pending = 0;    // questions to it without an answer
    consensus::NodeId member = consensus::kNobody;
    std::optional<Digest256> vote;     // the answer is this one
    consensus::Position position = 0;  // and it is from there; of reads not part of what has to be the same
    std::optional<CallReply> reply;
    Digest256 reply_digest;
    std::optional<CallError> error;
    bool mistaken = false;       // was asked what it executed, and does not know, or something else
    bool other_command = false;  // something else
    std::string said;            // for people
  };
  virtual void begin() = 0;
  virtual void judge() = 0;  // something was said
  virtual void hedge() = 0;  // whoever was asked takes long

  bool over() const { return !done_; }
  int64_t left() const { return deadline_ns_ - of_->now(); }
  size_t pending() const;
  bool replied() const;
  size_t votes_as(const Word& word) const;  // how many members say what this one says
  const Word* proved() const;               // that f + 1 members voted for
  const CallError* refused() const;         // that f + 1 members gave
  void execute_at(size_t voter, kv::Request request, CallOptions options);
  void forget_words();
  void arm_hedge();
  bool again();  // after a while, if there is time and somebody wants to wait
  void answer(CallReply reply, const Word& proved);
  void refuse(CallError error);
  void give_up();

  const std::shared_ptr<ReplyQuorum> of_;  // shared: it lives as long as its questions
  const kv::Space space_;
  const kv::Request request_;
  const CallOptions options_;
  const int64_t deadline_ns_;
  std::vector<Word> words_;  // by voter
  uint64_t round_ = 0;
  size_t hedges_ = 0;       // in this round
  bool uncertain_ = false;  // somebody may have carried it out, or may yet

 private:
  virtual void replied_by(Word& word) = 0;  // its `reply` came
  virtual bool contradicts(const Word& word, const Word& proved) const = 0;
  void heard(size_t voter, std::variant<CallReply, CallError> said);

  Done<CallReply> done_;
};

}  // namespace clew::control
