#include "app/kv_txn.h"

#include <array>
#include <charconv>
#include <utility>

#include "app/kv_output.h"

namespace clew::app {

Result<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (const char c : line) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        words.back() += c;
      }
      continue;
    }
    if (c == ' ' || c == '\t') {
      in_word = false;
      continue;
    }
    if (!std::exchange(in_word, true)) words.emplace_back();
    if (c == '"' || c == '\'') {
      quote = c;
    } else {
      words.back() += c;
    }
  }
  if (quote != 0) return Error{Code::kInvalidArgument, "a quote that does not end: " + std::string(line)};
  return words;
}

Result<kv::Compare> parse_condition(std::string_view line) {
  const auto wrong = [&](const char* what) {
    return Error{Code::kInvalidArgument, std::string(what) + ", in the condition: " + std::string(line) +
                                             "; write it as value(KEY) = TEXT, or with mod, create, version, lease"};
  };
  static constexpr std::array<std::pair<std::string_view, kv::Compare::Target>, 5> kTargets{
      {{"value", kv::Compare::Target::kValue},
       {"mod", kv::Compare::Target::kMod},
       {"create", kv::Compare::Target::kCreate},
       {"version", kv::Compare::Target::kVersion},
       {"lease", kv::Compare::Target::kLease}}};
  CLEW_ASSIGN(const std::vector<std::string> words, split_words(line));
  if (words.size() != 3) return wrong("three words are wanted");
  kv::Compare compare;
  const size_t open = words[0].find('(');
  if (open == std::string::npos || words[0].back() != ')') return wrong("a key in parentheses is missing");
  const std::string_view target = std::string_view(words[0]).substr(0, open);
  const auto* found = kTargets.begin();
  while (found != kTargets.end() && found->first != target) ++found;
  if (found == kTargets.end()) return wrong("what is compared is not known");
  compare.target = found->second;
  compare.key = words[0].substr(open + 1, words[0].size() - open - 2);
  if (words[1] == "=") {
    compare.result = kv::Compare::Result::kEqual;
  } else if (words[1] == "!=") {
    compare.result = kv::Compare::Result::kNotEqual;
  } else if (words[1] == ">") {
    compare.result = kv::Compare::Result::kGreater;
  } else if (words[1] == "<") {
    compare.result = kv::Compare::Result::kLess;
  } else {
    return wrong("=, !=, < or > is wanted");
  }
  const std::string& text = words[2];
  if (compare.target == kv::Compare::Target::kValue) {
    compare.value = text;
  } else if (compare.target == kv::Compare::Target::kLease) {
    kv::LeaseId lease;
    if (!parse_lease_id(text, lease)) return wrong("a lease is wanted");
    compare.number = kv::number(lease);
  } else {
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), compare.number);
    if (error != std::errc() || at != text.data() + text.size()) return wrong("a number is wanted");
  }
  return compare;
}

Result<kv::RequestOp> parse_operation(std::string_view line) {
  CLEW_ASSIGN(const std::vector<std::string> words, split_words(line));
  kv::RequestOp op;
  if (words.size() == 3 && words[0] == "put") {
    kv::PutRequest put;
    put.key = words[1];
    put.value = words[2];
    op.op = std::move(put);
    return op;
  }
  if (words.size() == 2 && (words[0] == "get" || words[0] == "get-prefix")) {
    kv::RangeRequest range;
    range.key = words[1];
    if (words[0] == "get-prefix") range.range_end = kv::prefix_end(range.key);
    op.op = std::move(range);
    return op;
  }
  if (words.size() == 2 && (words[0] == "del" || words[0] == "del-prefix")) {
    kv::DeleteRangeRequest erase;
    erase.key = words[1];
    if (words[0] == "del-prefix") erase.range_end = kv::prefix_end(erase.key);
    op.op = std::move(erase);
    return op;
  }
  return Error{Code::kInvalidArgument,
               "no operation: " + std::string(line) +
                   "; there are: put KEY VALUE, get KEY, get-prefix KEY, del KEY, del-prefix KEY"};
}

}  // namespace clew::app
