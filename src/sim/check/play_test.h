// Histories for tests, written as a play: one event a line.
//
//   1 write x a          process 1 invokes; also: read x · cas x a b · cas x - b (absent) · delete x · append x a ·
//                        add x 5 · insert x a · erase x a · transfer a b 5 · read (a bank)
//   1 ok                 returns; of a read with what it saw: `1 ok a`, `1 ok -` (absent), `1 ok [a b]`, `1 ok {a=1
//   b=2}` 1 no                 answered, and not applied (cas, insert, erase, transfer) 1 fail, 1 unknown
// Behind an invocation: s4/2 (session, sequence), sequential, causal, eventual, final. Behind a return: @7 (position).
// What never returns is unknown.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "sim/check/history.h"

namespace clew::sim::check {

class Play {
 public:
  explicit Play(Workload workload) { history_.workload = workload; }
  History read(const std::string& text) {
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      uint64_t process = 0;
      std::string verb;
      if (words >> process >> verb) event(ProcessId{process}, verb, words);
    }
    return history_;
  }
  Play& starts_with(const std::string& key, Output output) {
    history_.initial[key] = std::move(output);
    return *this;
  }

 private:
  static std::optional<std::string> maybe(const std::string& word) {
    if (word == "-") return std::nullopt;
    return word;
  }
  void event(ProcessId process, const std::string& verb, std::istringstream& words) {
    if (verb == "ok" || verb == "no" || outcome_from(verb)) return answer(process, verb, words);
    const auto kind = kind_from(verb);
    if (!kind) throw std::invalid_argument("no such event: " + verb);
    Operation op;
    op.process = process;
    op.kind = *kind;
    std::vector<std::string> plain;
    for (std::string word; words >> word;) {
      if (word == "final") {
        op.final = true;
      } else if (level_from(word)) {
        op.level = *level_from(word);
      } else if (word.size() > 2 && word[0] == 's' && word.find('/') != std::string::npos) {
        op.session = SessionId{std::stoull(word.substr(1))};
        op.sequence = std::stoull(word.substr(word.find('/') + 1));
      } else {
        plain.push_back(word);
      }
    }
    if (!plain.empty()) op.key = plain[0];
    if (*kind == Kind::kTransfer) {
      op.input.target = plain.at(1);
      op.input.amount = std::stoll(plain.at(2));
    } else if (*kind == Kind::kAdd) {
      op.input.amount = std::stoll(plain.at(1));
    } else if (*kind == Kind::kCas) {
      op.input.expected = maybe(plain.at(1));
      op.input.value = plain.at(2);
    } else if (plain.size() > 1) {
      op.input.value = plain[1];
    }
    pending_[process] = history_.invoke(std::move(op));
  }
  void answer(ProcessId process, const std::string& verb, std::istringstream& words) {
    Output output;
    output.applied = verb != "no";
    std::optional<uint64_t> position;
    const OpIndex index = pending_.at(process);
    for (std::string word; words >> word;) {
      if (word[0] == '@') {
        position = std::stoull(word.substr(1));
      } else if (word[0] == '[' || in_list_) {
        in_list_ = word.back() != ']';
        const size_t begin = word[0] == '[' ? 1 : 0;
        const std::string value = word.substr(begin, word.size() - begin - (in_list_ ? 0 : 1));
        if (!value.empty()) output.values.push_back(value);
      } else if (word.find('=') != std::string::npos) {
        const size_t begin = word[0] == '{' ? 1 : 0, equals = word.find('=');
        output.balances[word.substr(begin, equals - begin)] = std::stoll(word.substr(equals + 1));
      } else if (history_.workload == Workload::kCounter) {
        output.number = std::stoll(word);
      } else {
        output.value = maybe(word);
      }
    }
    const Outcome outcome = verb == "no" ? Outcome::kOk : *outcome_from(verb);
    history_.answer(index, outcome, std::move(output), position);
  }

  History history_;
  std::map<ProcessId, OpIndex> pending_;
  bool in_list_ = false;
};

// The verdict of `checker` on a play.
struct Case {
  const char* circumstance;
  Workload workload;
  const char* play;
};

}  // namespace clew::sim::check
