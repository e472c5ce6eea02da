#include "control/reply_question.h"

#include <cstdio>

#include "control/voices.h"

namespace clew::control {

namespace {

std::string short_name(const Digest256& digest) {
  char text[9];
  std::snprintf(text, sizeof text, "%02x%02x%02x%02x", digest.bytes[0], digest.bytes[1], digest.bytes[2],
                digest.bytes[3]);
  return text;
}

}  // namespace

ReplyQuorum::Question::Question(std::shared_ptr<ReplyQuorum> of, kv::Space space, kv::Request request,
                                CallOptions options, Done<CallReply> done)
    : of_(std::move(of)),
      space_(space),
      request_(std::move(request)),
      options_(options),
      deadline_ns_(of_->now() + std::min<int64_t>(options.timeout_ns, INT64_MAX / 4)),
      words_(of_->voters_.size()),
      done_(std::move(done)) {}

void ReplyQuorum::Question::start() { begin(); }

size_t ReplyQuorum::Question::pending() const {
  size_t count = 0;
  for (const Word& word : words_) count += word.pending;
  return count;
}

bool ReplyQuorum::Question::replied() const {
  return std::any_of(words_.begin(), words_.end(), [](const Word& word) { return word.reply.has_value(); });
}

size_t ReplyQuorum::Question::votes_as(const Word& word) const {
  return voices(words_, [&](const Word& other) { return other.vote == word.vote && other.position == word.position; });
}

const ReplyQuorum::Question::Word* ReplyQuorum::Question::proved() const {
  for (const Word& word : words_) {
    if (word.vote && votes_as(word) >= of_->quorum()) return &word;
  }
  return nullptr;
}

const CallError* ReplyQuorum::Question::refused() const {
  for (const Word& word : words_) {
    if (!word.error || own_affair(*word.error)) continue;
    const CallError& error = *word.error;
    const size_t count = voices(words_, [&](const Word& other) {
      return other.error && other.error->code == error.code && other.error->message == error.message &&
             other.error->session_ended == error.session_ended;
    });
    if (count >= of_->quorum()) return &error;
  }
  return nullptr;
}

void ReplyQuorum::Question::execute_at(size_t voter, kv::Request request, CallOptions options) {
  Word& word = words_[voter];
  word.asked = true;
  ++word.pending;
  options.forward = false;  // another member is not to answer in its place
  of_->voters_[voter].service->execute(
      space_, std::move(request), options,
      [self = shared_from_this(), voter, round = round_](std::variant<CallReply, CallError> said) {
        if (!self->over() && self->round_ == round) self->heard(voter, std::move(said));
      });
}

void ReplyQuorum::Question::heard(size_t voter, std::variant<CallReply, CallError> said) {
  if (of_->closed_) return refuse(closed_error());
  Word& word = words_[voter];
  --word.pending;
  word.member = of_->voters_[voter].member();
  if (auto* error = std::get_if<CallError>(&said)) {
    if (!word.mistaken) word.said = error->message;
    uncertain_ |= error->uncertain;
    word.error = std::move(*error);
  } else {
    word.reply = std::move(std::get<CallReply>(said));
    replied_by(word);
    if (!word.mistaken) word.said = "answers " + short_name(word.reply_digest);
    arm_hedge();
  }
  judge();
}

void ReplyQuorum::Question::forget_words() {
  ++round_;
  hedges_ = 0;
  words_.assign(words_.size(), Word());
}

void ReplyQuorum::Question::arm_hedge() {
  of_->loop_.after(hedges_ == 0 ? kHedge : kPatience, [weak = weak_from_this(), round = round_] {
    const auto self = weak.lock();
    if (self == nullptr || self->over() || self->round_ != round || self->of_->closed_) return;
    ++self->hedges_;
    self->hedge();
  });
}

bool ReplyQuorum::Question::again() {
  // Who waits for nobody waits for those all the same who are there, and have no leader yet.
  const size_t there = voices(words_, [](const Word& word) { return word.member != consensus::kNobody; });
  if ((of_->options_.fail_fast && !replied() && there < of_->quorum()) || left() <= kAgain) return false;
  of_->loop_.after(kAgain, [self = shared_from_this()] {
    if (self->over()) return;
    if (self->of_->closed_) return self->refuse(closed_error());
    self->forget_words();
    self->start();
  });
  return true;
}

void ReplyQuorum::Question::answer(CallReply reply, const Word& proved) {
  ++of_->stats_.verified;
  if (std::any_of(words_.begin(), words_.end(), [&](const Word& word) { return contradicts(word, proved); })) {
    ++of_->stats_.contradicted;
  }
  // Whoever was asked for its answer and did not give this one is not the next one's gateway.
  while (words_[of_->preferred_].asked && words_[of_->preferred_].reply_digest != proved.vote) {
    of_->preferred_ = of_->at(1);
  }
  std::exchange(done_, nullptr)(std::move(reply));
}

void ReplyQuorum::Question::refuse(CallError error) { std::exchange(done_, nullptr)(std::move(error)); }

void ReplyQuorum::Question::give_up() {
  ++of_->stats_.unproven;
  CallError error;
  error.code = Code::kUnavailable;
  error.message = "no " + std::to_string(of_->quorum()) + " of " + std::to_string(words_.size()) +
                  " members gave the same answer, which it takes where one may lie";
  bool answered = false;
  for (size_t i = 0; i < words_.size(); ++i) {
    const Word& word = words_[i];
    answered |= word.reply.has_value() || word.vote.has_value();
    error.message += "; " + of_->voters_[i].name + ": " + (word.said.empty() ? "nothing" : word.said);
  }
  of_->preferred_ = of_->at(1);
  error.uncertain = !kv::read_only(request_) && (uncertain_ || answered);
  // What they do not remember they will not: the next command needs another session.
  error.session_ended = answered && options_.session != consensus::kNoSession;
  refuse(std::move(error));
}

}  // namespace clew::control
