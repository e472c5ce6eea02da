// Regex: the patterns of queries, by RE2: linear time and bounded memory whatever a stranger writes. Syntax of RE2
// (Go's, as TraceQL has it); anchored at both ends; case matters unless (?i) says otherwise. Immutable; any thread.
#pragma once

#include <memory>
#include <string_view>

#include "base/status.h"

namespace re2 {
class RE2;
}

namespace clew::store {

class Regex {
 public:
  static constexpr size_t kMaxPatternBytes = 4096;
  static constexpr int64_t kMaxProgramBytes = 1 << 20;

  // kInvalidArgument: it does not compile (with RE2's explanation), or it or its program is too large.
  static Result<std::shared_ptr<const Regex>> compile(std::string_view pattern);
  ~Regex();
  bool matches(std::string_view text) const;  // the whole text

 private:
  explicit Regex(std::unique_ptr<const re2::RE2> program);
  std::unique_ptr<const re2::RE2> program_;
};

}  // namespace clew::store
