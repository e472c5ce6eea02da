#include "store/regex.h"

#include <re2/re2.h>

namespace clew::store {

Regex::Regex(std::unique_ptr<const re2::RE2> program) : program_(std::move(program)) {}
Regex::~Regex() = default;

Result<std::shared_ptr<const Regex>> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return Error{Code::kInvalidArgument, "the regular expression has " + std::to_string(pattern.size()) +
                                             " bytes; at most " + std::to_string(kMaxPatternBytes) + " are taken"};
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_never_capture(true);
  options.set_max_mem(kMaxProgramBytes);
  auto program = std::make_unique<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!program->ok()) {
    return Error{Code::kInvalidArgument,
                 "the regular expression \"" + std::string(pattern) + "\" does not compile: " + program->error()};
  }
  return std::shared_ptr<const Regex>(new Regex(std::move(program)));
}

bool Regex::matches(std::string_view text) const {
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *program_);
}

}  // namespace clew::store
