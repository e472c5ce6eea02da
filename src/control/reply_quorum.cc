#include "control/reply_quorum.h"

#include <set>
#include <utility>

#include "consensus/protocols.h"
#include "control/reply_question.h"
#include "control/voices.h"

namespace clew::control {

// --- A change: one gateway, and f + 1 who say what they executed ---

class ReplyQuorum::Change final : public Question {
 public:
  Change(std::shared_ptr<ReplyQuorum> of, kv::Space space, kv::Request request, CallOptions options,
         Done<CallReply> done)
      : Question(std::move(of), space, std::move(request), options, std::move(done)),
        command_(command_digest(space_, request_)) {}

 private:
  void begin() override {
    next_gateway();
    for (size_t nth = 0; nth < of_->quorum(); ++nth) attest_at(of_->at(nth));
  }

  // A reply is no vote: an honest gateway, too, answers with what was kept under the number, whoever had that ordered.
  void replied_by(Word& word) override { word.reply_digest = answer_digest(word.reply->response); }
  bool contradicts(const Word& word, const Word& proved) const override {
    return (word.reply && word.reply_digest != proved.vote) ||
           (word.vote && (word.vote != proved.vote || word.position != proved.position)) || word.other_command;
  }

  void next_gateway() {
    for (size_t nth = 0; nth < words_.size(); ++nth) {
      const size_t voter = of_->at(nth);
      if (!words_[voter].asked) return ask_gateway(voter);
    }
  }
  void ask_gateway(size_t voter) {
    CallOptions options = options_;
    options.timeout_ns = std::max<int64_t>(left() / 3, 1);  // it may say nothing, and another one has to be asked then
    execute_at(voter, request_, options);
  }

  void attest_at(size_t voter) {
    Word& word = words_[voter];
    if (std::exchange(word.attests, true)) return;
    ++word.pending;
    CallOptions options;
    options.timeout_ns = std::max<int64_t>(left(), 1);
    options.forward = false;
    of_->voters_[voter].service->attest(options_.session, options_.sequence, options,
                                        [self = std::static_pointer_cast<Change>(shared_from_this()), voter,
                                         round = round_](std::variant<Attestation, CallError> said) {
                                          if (!self->over() && self->round_ == round)
                                            self->attested(voter, std::move(said));
                                        });
  }

  void attested(size_t voter, std::variant<Attestation, CallError> said) {
    if (of_->closed_) return refuse(closed_error());
    Word& word = words_[voter];
    --word.pending;
    word.member = of_->voters_[voter].member();
    if (auto* error = std::get_if<CallError>(&said)) {
      word.mistaken = true;
      if (word.said.empty()) word.said = error->message;
    } else if (const auto& told = std::get<Attestation>(said); told.command != command_) {
      word.mistaken = word.other_command = true;
      word.said = "executed another command under this number of the session";
    } else {
      word.vote = told.answer;
      word.position = told.position;
      if (word.said.empty()) word.said = "attests another answer";
    }
    judge();
  }

  void judge() override {
    if (const Word* const truth = proved()) {
      for (Word& word : words_) {
        if (!word.reply || word.reply_digest != truth->vote) continue;
        CallReply reply = std::move(*word.reply);
        reply.position = truth->position;
        return answer(std::move(reply), *truth);
      }
      // It is known what the answer is, but not its bytes: the gateways that were asked say something else, or nothing.
      for (size_t i = 0; i < words_.size(); ++i) {
        if (words_[i].vote != truth->vote || words_[i].asked) continue;
        if (!executing()) ask_gateway(i);
        return;
      }
    }
    if (const CallError* const error = refused()) {
      CallError told = *error;
      told.uncertain |= uncertain_;
      if (told.session_ended) of_->preferred_ = of_->at(1);  // it may be whose session was none
      return refuse(std::move(told));
    }
    if (executing()) return;
    if (!replied()) {
      if (!ask_another() && !again()) give_up();
      return;
    }
    if (disagree()) ask_all();
    if (pending() > 0) return;
    ask_all();
    if (pending() == 0 && !ask_another()) give_up();
  }

  void hedge() override {
    if (hedges_ == 1) {
      ask_all();
      arm_hedge();
    } else if (!executing()) {
      ask_another();  // nobody has executed what the gateway says is done
    }
    judge();
  }

  bool executing() const {
    return std::any_of(words_.begin(), words_.end(),
                       [](const Word& word) { return word.asked && !word.reply && !word.error; });
  }
  bool ask_another() {
    if (left() <= 0 || std::all_of(words_.begin(), words_.end(), [](const Word& word) { return word.asked; })) {
      return false;
    }
    next_gateway();
    return true;
  }
  // Somebody who was asked will not help to prove what a gateway said.
  bool disagree() const {
    return std::any_of(words_.begin(), words_.end(), [this](const Word& word) {
      return word.mistaken || (word.vote && std::none_of(words_.begin(), words_.end(), [&](const Word& other) {
                                 return other.reply && other.reply_digest == word.vote;
                               }));
    });
  }
  void ask_all() {
    if (left() <= 0) return;
    for (size_t nth = 0; nth < words_.size(); ++nth) attest_at(of_->at(nth));
  }

  const Digest256 command_;
};

// --- A read: the same answer of f + 1 ---

class ReplyQuorum::Look final : public Question {
 public:
  Look(std::shared_ptr<ReplyQuorum> of, kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done)
      : Question(std::move(of), space, std::move(request), options, std::move(done)),
        disbelieved_(words_.size(), false) {
    if (const auto* range = std::get_if<kv::RangeRequest>(&request_)) asked_for_ = range->revision;
    pinned_ = asked_for_;
  }

 private:
  void begin() override { ask_some(of_->quorum()); }

  void replied_by(Word& word) override {
    // Of a range of the past the store's present revision is not part.
    if (auto* range = std::get_if<kv::RangeResponse>(&word.reply->response); range != nullptr && pinned_ != 0) {
      range->revision = pinned_;
    }
    word.vote = word.reply_digest = answer_digest(word.reply->response);
  }
  bool contradicts(const Word& word, const Word& proved) const override {
    return word.vote && word.vote != proved.vote && revision_of(word) == revision_of(proved);
  }
  static kv::Revision revision_of(const Word& word) {
    return std::visit([](const auto& response) { return response.revision; }, word.reply->response);
  }

  void ask_some(size_t count) {
    for (size_t nth = 0; nth < words_.size() && count > 0; ++nth) {
      const size_t voter = of_->at(nth);
      if (words_[voter].asked) continue;
      --count;
      kv::Request request = request_;
      if (pinned_ != 0) std::get<kv::RangeRequest>(request).revision = pinned_;
      CallOptions options;
      options.timeout_ns = std::max<int64_t>(left() / 2, 1);
      if (options_.consistency != Consistency::kSequential) options.consistency = options_.consistency;
      execute_at(voter, std::move(request), options);
    }
  }

  void judge() override {
    const bool own_pin = pinned_ != asked_for_;
    if (const Word* const truth = proved()) {
      CallReply reply = *truth->reply;
      for (const Word& word : words_) {
        if (word.vote == truth->vote) reply.position = std::min(reply.position, word.reply->position);
      }
      // Members were asked for what had been the present when somebody named it, and may be further by now.
      if (own_pin) reply.position = std::min(reply.position, pinned_at_);
      return answer(std::move(reply), *truth);
    }
    if (!own_pin) {  // else it is perhaps about a revision that a liar named
      if (const CallError* const error = refused()) return refuse(*error);
      if (pin()) return;
    }
    if (pending() >= needed()) return;
    if (left() > 0) ask_some(needed() - pending());
    if (pending() > 0) return;
    if (left() <= 0) return give_up();
    if (own_pin) {
      for (size_t i = 0; i < claims_.size(); ++i) {
        if (claims_[i] == pinned_) disbelieved_[i] = true;
      }
      return new_round(asked_for_);
    }
    disbelieved_.assign(words_.size(), false);
    if (!again()) give_up();
  }

  void hedge() override {
    ask_some(words_.size());
    judge();
  }

  // How many more have to say what the most say already.
  size_t needed() const {
    size_t most = 0;
    for (const Word& word : words_) {
      if (word.vote) most = std::max(most, votes_as(word));
    }
    return of_->quorum() - std::min(most, of_->quorum());
  }

  // f + 1 answered, from different states: the newest one's revision is as new as an honest one's.
  bool pin() {
    if (asked_for_ != 0 || !std::holds_alternative<kv::RangeRequest>(request_)) return false;
    Voices members;
    std::set<kv::Revision> revisions;
    std::vector<kv::Revision> claims(words_.size(), 0);
    for (size_t i = 0; i < words_.size(); ++i) {
      if (!words_[i].reply || disbelieved_[i]) continue;
      const auto* const range = std::get_if<kv::RangeResponse>(&words_[i].reply->response);
      if (range == nullptr) continue;  // a liar's
      claims[i] = range->revision;
      revisions.insert(claims[i]);
      members.add(words_[i].member);
    }
    if (members.count() < of_->quorum() || revisions.size() < 2 || *revisions.rbegin() <= 0) return false;
    claims_ = std::move(claims);
    pinned_at_ = UINT64_MAX;
    for (size_t i = 0; i < words_.size(); ++i) {
      if (claims_[i] == *revisions.rbegin()) pinned_at_ = std::min(pinned_at_, words_[i].reply->position);
    }
    new_round(*revisions.rbegin());
    return true;
  }

  void new_round(kv::Revision pinned) {
    pinned_ = pinned;
    forget_words();
    start();
  }

  kv::Revision asked_for_ = 0;
  kv::Revision pinned_ = 0;            // at which all are asked; 0: the present
  consensus::Position pinned_at_ = 0;  // where those stood who named it
  std::vector<kv::Revision> claims_;   // of the round before, by voter
  std::vector<bool> disbelieved_;      // named a revision that no f others know
};

// --- The quorum ---

ReplyQuorum::ReplyQuorum(env::Loop& loop, uint64_t seed, std::vector<Voter> voters, Options options)
    : loop_(loop),
      random_(seed),
      voters_(std::move(voters)),
      quorum_((voters_.size() - 1) / 3 + 1),
      options_(options),
      own_(std::in_place, *this) {
  CHECK(voters_.size() >= kLeastVoters);
}

CallError ReplyQuorum::closed_error() { return {Code::kUnavailable, "the client was closed", true, {}, {}}; }

void ReplyQuorum::close() {
  if (closed_) return;
  own_.reset();  // and with it the group's memory of its session
  closed_ = true;
  for (Undecided& one : std::exchange(undecided_, {})) one.done(closed_error());
  for (const auto& watch : std::exchange(watches_, {})) {
    if (const auto there = watch.lock()) there->end(closed_error());
  }
  const std::vector<Voter> voters = std::exchange(voters_, {});
}

std::shared_ptr<WatchQuorum> ReplyQuorum::watch(kv::Space space, uint64_t window_bytes) {
  auto watch = std::make_shared<WatchQuorum>(loop_, shared_from_this(), space, window_bytes);
  std::erase_if(watches_, [](const auto& one) { return one.expired(); });
  watches_.push_back(watch);
  if (closed_) watch->end(closed_error());
  return watch;
}

uint64_t ReplyQuorum::cluster() const {
  std::map<uint64_t, Voices> named;
  for (const Voter& voter : voters_) {
    Voices& by = named[voter.cluster()];
    by.add(voter.member());
    if (voter.cluster() != 0 && by.count() >= quorum_) return voter.cluster();
  }
  return 0;
}

void ReplyQuorum::decide(int64_t timeout_ns, Done<bool> done) {
  if (closed_) return done(closed_error());
  if (byzantine_) return done(*byzantine_);
  undecided_.push_back({now() + std::min<int64_t>(timeout_ns, INT64_MAX / 4), std::move(done)});
  if (!std::exchange(probing_, true)) probe();
}

void ReplyQuorum::probe() {
  struct Probe {
    size_t left;
    Voices trusting;  // who say that this group has no liars
    CallError error;
  };
  auto probe = std::make_shared<Probe>();  // shared by the answers
  probe->left = voters_.size();
  CallOptions options;
  options.forward = false;
  options.timeout_ns = 1;
  for (const Undecided& one : undecided_) options.timeout_ns = std::max(options.timeout_ns, one.deadline_ns - now());
  for (size_t i = 0; i < voters_.size(); ++i) {
    voters_[i].service->status(
        options, [self = shared_from_this(), probe, i](std::variant<GroupStatus, CallError> said) {
          if (self->closed_ || self->byzantine_) return;
          if (auto* error = std::get_if<CallError>(&said)) {
            probe->error = std::move(*error);
          } else {
            const auto* const kind = consensus::protocol_named(std::get<GroupStatus>(said).protocol);
            if (kind != nullptr && kind->byzantine) {
              self->preferred_ = i;  // it is there, which nobody knows of the others
              return self->decided(true);
            }
            probe->trusting.add(self->voters_[i].member());
            if (probe->trusting.count() >= self->quorum_) return self->decided(false);
          }
          if (--probe->left > 0) return;
          probe->error.code = Code::kUnavailable;
          probe->error.uncertain = false;
          if (probe->error.message.empty()) probe->error.message = "too few members answer";
          std::vector<Undecided> over;
          std::erase_if(self->undecided_, [&](Undecided& one) {
            if (!self->options_.fail_fast && one.deadline_ns > self->now() + Question::kAgain) return false;
            over.push_back(std::move(one));
            return true;
          });
          self->probing_ = !self->undecided_.empty();
          if (self->probing_) {
            self->loop_.after(Question::kAgain, [self] {
              if (!self->closed_ && !self->byzantine_) self->probe();
            });
          }
          for (Undecided& one : over) one.done(probe->error);
        });
  }
}

void ReplyQuorum::decided(bool byzantine) {
  byzantine_ = byzantine;
  probing_ = false;
  for (Undecided& one : std::exchange(undecided_, {})) one.done(byzantine);
  // This is the answer of a voter: it may not be destroyed here.
  if (!byzantine) loop_.post([self = shared_from_this()] { self->voters_.clear(); });
}

void ReplyQuorum::execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) {
  if (closed_) {
    return loop_.post([done = std::move(done)]() mutable { done(closed_error()); });
  }
  CHECK(byzantine_ != false);
  if (kv::read_only(request)) {
    std::make_shared<Look>(shared_from_this(), space, std::move(request), options, std::move(done))->start();
    return;
  }
  if (options.session == consensus::kNoSession) {
    return execute_in_own(space, std::move(request), options, std::move(done));
  }
  if (const auto first = first_number_.find(options.session); first != first_number_.end()) {
    options.sequence += first->second;
    options.acknowledged_below += first->second;
  }
  std::make_shared<Change>(shared_from_this(), space, std::move(request), options, std::move(done))->start();
}

// It comes back with a number. Of a command whose session the group forgot nobody can say whether it took effect, so
// the session is left before that; and the caller has none that could have ended.
void ReplyQuorum::execute_in_own(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) {
  if (now() - std::exchange(own_used_at_ns_, now()) > kOwnSessionIdle) own_.emplace(*this);
  own_->execute(space, std::move(request), options,
                [done = std::move(done)](std::variant<CallReply, CallError> answer) mutable {
                  auto* const error = std::get_if<CallError>(&answer);
                  if (error != nullptr && std::exchange(error->session_ended, false)) error->code = Code::kUnavailable;
                  done(std::move(answer));
                });
}

void ReplyQuorum::keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done) {
  execute(kv::Space::kUser, kv::LeaseKeepAliveRequest{{lease}}, options,
          [done = std::move(done)](std::variant<CallReply, CallError> answer) mutable {
            if (auto* error = std::get_if<CallError>(&answer)) return done(std::move(*error));
            const auto& ttl = std::get<kv::LeaseKeepAliveResponse>(std::get<CallReply>(answer).response).ttl_s;
            done(ttl.empty() ? int64_t{0} : ttl[0]);
          });
}

void ReplyQuorum::open_session(CallOptions options, Done<consensus::SessionId> done) {
  if (closed_) {
    return loop_.post([done = std::move(done)]() mutable { done(closed_error()); });
  }
  CHECK(byzantine_ != false);
  const int64_t deadline_ns = now() + std::min<int64_t>(options.timeout_ns, INT64_MAX / 4);
  options.forward = false;
  open_at_gateway({options, deadline_ns, std::move(done), preferred_});
}

// What a gateway says here is not proved. A session that there is not, or is another one's, shows with its first
// command.
void ReplyQuorum::open_at_gateway(Opening opening) {
  CallOptions options = opening.options;
  options.timeout_ns = std::max<int64_t>((opening.deadline_ns - now()) / 3, 1);
  ++opening.asked;
  Service& gateway = *voters_[opening.gateway].service;
  gateway.open_session(options, [self = shared_from_this(), opening = std::move(opening)](
                                    std::variant<consensus::SessionId, CallError> said) mutable {
    if (self->closed_) return opening.done(closed_error());
    if (auto* error = std::get_if<CallError>(&said)) return self->not_opened(std::move(opening), std::move(*error));
    const auto id = std::get<consensus::SessionId>(said);
    // One that is open here already is not ours to number anew.
    if (!self->first_number_.try_emplace(id, self->random_.below(uint64_t{1} << 62)).second) {
      CallError error;
      error.code = Code::kUnavailable;
      error.message = "a member gave away a session that is open; it lies, or its data was restored";
      return self->not_opened(std::move(opening), std::move(error));
    }
    opening.done(id);
  });
}

void ReplyQuorum::not_opened(Opening opening, CallError error) {
  const bool all = opening.asked == voters_.size();
  const size_t next = (opening.gateway + 1) % voters_.size();
  if (preferred_ == opening.gateway) preferred_ = next;
  Voices there;
  for (const Voter& voter : voters_) there.add(voter.member());
  const bool fails = all && options_.fail_fast && there.count() < quorum_;
  if (now() >= opening.deadline_ns || fails) {
    const size_t needed = voters_.size() - quorum_ + 1;
    error.message = "no session could be opened: " + error.message + "; " + std::to_string(there.count()) + " of " +
                    std::to_string(voters_.size()) + " members are connected from here, a change takes " +
                    std::to_string(needed);
    return opening.done(std::move(error));
  }
  opening.gateway = next;
  if (!all) return open_at_gateway(std::move(opening));
  opening.asked = 0;
  loop_.after(Question::kAgain, [self = shared_from_this(), opening = std::move(opening)]() mutable {
    if (self->closed_) return opening.done(closed_error());
    self->open_at_gateway(std::move(opening));
  });
}

void ReplyQuorum::close_session(consensus::SessionId session, CallOptions options) {
  first_number_.erase(session);
  if (closed_ || voters_.empty()) return;
  options.forward = false;
  voters_[at(0)].service->close_session(session, options);
}

}  // namespace clew::control
