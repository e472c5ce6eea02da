// RowMatcher: evaluates a Matcher on undecoded rows of one dictionary at a time, at tens of nanoseconds a row.
//
// What a code of the dictionary means for a condition is found out once and remembered, so that most rows cost a few
// loads; attribute lists are walked only when their shape has a key that the query names. Resources, scopes, status
// messages and events are read through model::append_span_of_row. Agrees with Matcher::matches on every well-formed
// row. Owns its scratch: one per thread. Memory: about a byte per dictionary code and condition.
#pragma once

#include <memory>
#include <string_view>

#include "model/dictionary.h"
#include "model/row.h"
#include "store/matcher.h"

namespace clew::store {

enum class RowMatch : uint8_t {
  kNo = 0,
  kMaybe = 1,  // depends on the trace's root or duration, which a row alone does not tell
  kYes = 2,
};

class RowMatcher {
 public:
  explicit RowMatcher(std::shared_ptr<const Matcher> matcher);
  ~RowMatcher();
  RowMatcher(const RowMatcher&) = delete;
  RowMatcher& operator=(const RowMatcher&) = delete;

  // Before the first row, and when rows of another dictionary follow. Held, because what is remembered belongs to it;
  // it may grow on its owner's thread meanwhile.
  void use_dictionary(std::shared_ptr<const model::Dictionary> dictionary);
  // kNo for a malformed row. `head` is filled unless malformed.
  RowMatch match(std::string_view row, model::RowHead& head);
  const Matcher& matcher() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::store
