// Matcher: an Expr made ready to run: regular expressions compiled, untyped literals read once. On materialised spans;
// row_matcher.h runs it on undecoded rows.
//
// A Matcher is immutable: share it between threads. It agrees with store::matches by being its implementation.
//   - A comparison with an absent attribute is false, != included; so is one between different types, except that int
//     and double compare as numbers. An attribute with an empty value counts as absent. Of a repeated key the first
//     counts.
//   - =~ and !~ are for strings, anchored at both ends. < <= > >= compare numbers, and strings by bytes. Booleans know
//   = and !=.
//   - The name of a span, its service, its status message, the root's name and service always exist; kExists on them
//   asks
//     whether they are not empty. kEventName asks whether any event fits.
//   - And of nothing is true, Or of nothing false; Not takes one child.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/span.h"
#include "store/query.h"
#include "store/regex.h"

namespace clew::store {

// The attribute that a condition on `field` (kAttribute, kResource, kAny) and `key` looks at; null: there is none.
const model::Attribute* attribute_of(const model::Span& span, Field field, std::string_view key);

// One condition, its literal prepared.
struct Condition {
  Field field = Field::kTrue;
  std::string key;
  Op op = Op::kEq;
  Literal literal;
  std::shared_ptr<const Regex> regex;  // shared: the tree may be copied, the automaton not
  // What an untyped literal also equals.
  bool as_int = false, as_double = false, as_bool = false;
  int64_t int_value = 0;
  double double_value = 0;
  bool bool_value = false;

  bool holds_text(std::string_view text) const;
  bool holds_int(int64_t value) const;
  bool holds_double(double value) const;
  bool holds_bool(bool value) const;
  // False for kComplex, kBytes and kRaw, unless the question is whether it exists. `value` is not kEmpty.
  bool holds(const model::Value& value) const;
  bool holds_absent() const { return op == Op::kAbsent; }
};

class Matcher {
 public:
  struct Node {
    Expr::Kind kind = Expr::Kind::kLeaf;
    uint32_t condition = 0;          // of a leaf
    std::vector<uint32_t> children;  // cheap ones first
  };

  // kInvalidArgument: a pattern that does not compile, more than kMaxNodes or kMaxDepth: no retry would help.
  static Result<std::shared_ptr<const Matcher>> compile(const Expr& expr);
  static constexpr size_t kMaxNodes = 1024;
  static constexpr size_t kMaxDepth = 64;

  bool matches(const model::Span& span, const model::TraceSummary& summary) const;

  const std::vector<Node>& nodes() const { return nodes_; }  // children before parents; the last is the root
  const std::vector<Condition>& conditions() const { return conditions_; }
  bool leaf_matches(const Condition& condition, const model::Span& span, const model::TraceSummary& summary) const;

 private:
  Status add(const Expr& expr, size_t depth, uint32_t& out);
  bool eval(uint32_t node, const model::Span& span, const model::TraceSummary& summary) const;
  std::vector<Node> nodes_;
  std::vector<Condition> conditions_;
};

}  // namespace clew::store
