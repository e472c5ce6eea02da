#include "store/matcher.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace clew::store {
namespace {

bool ordered(Op op, bool less, bool equal) {
  switch (op) {
    case Op::kEq:
      return equal;
    case Op::kNe:
      return !equal;
    case Op::kLt:
      return less;
    case Op::kLe:
      return less || equal;
    case Op::kGt:
      return !less && !equal;
    case Op::kGe:
      return !less;
    default:
      return false;
  }
}

// Exact, also beyond 2^53: a double is compared with an integer by its value, not by a rounded cast. -1, 0, 1; 2: NaN.
int compare(int64_t a, double b) {
  if (std::isnan(b)) return 2;
  if (b >= 0x1p63) return -1;
  if (b < -0x1p63) return 1;
  const auto whole = static_cast<int64_t>(b);
  if (a != whole) return a < whole ? -1 : 1;
  const double rest = b - static_cast<double>(whole);
  return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

bool holds_order(Op op, int order) {
  if (order == 2) return op == Op::kNe;
  return ordered(op, order < 0, order == 0);
}

void read_untyped(Condition& condition) {
  const std::string& text = condition.literal.text;
  const char* end = text.data() + text.size();
  if (text == "true" || text == "false") {
    condition.as_bool = true;
    condition.bool_value = text == "true";
    return;
  }
  if (text.empty()) return;
  if (auto [at, error] = std::from_chars(text.data(), end, condition.int_value); error == std::errc() && at == end) {
    condition.as_int = true;
  }
  if (auto [at, error] = std::from_chars(text.data(), end, condition.double_value); error == std::errc() && at == end) {
    condition.as_double = true;
  }
}

// What it costs to evaluate on a row: an And or an Or asks cheap children first.
int leaf_cost(Field field) {
  switch (field) {
    case Field::kTrue:
    case Field::kKind:
    case Field::kStatus:
    case Field::kDuration:
    case Field::kIsRoot:
      return 0;
    case Field::kService:
    case Field::kResource:
    case Field::kName:
    case Field::kScopeName:
      return 1;
    case Field::kTraceDuration:
    case Field::kRootName:
    case Field::kRootService:
      return 2;
    case Field::kAttribute:
    case Field::kAny:
      return 3;
    case Field::kStatusMessage:
    case Field::kEventName:
      return 4;
  }
  return 4;
}

const model::Attribute* find(const std::vector<model::Attribute>& attributes, std::string_view key) {
  for (const model::Attribute& attribute : attributes) {
    if (attribute.key == key && attribute.value.type != model::ValueType::kEmpty) return &attribute;
  }
  return nullptr;
}

}  // namespace

const model::Attribute* attribute_of(const model::Span& span, Field field, std::string_view key) {
  const model::Attribute* found = field == Field::kResource ? nullptr : find(span.attributes, key);
  if (found || field == Field::kAttribute || !span.resource) return found;
  return find(span.resource->attributes, key);
}

bool Condition::holds_text(std::string_view text) const {
  switch (op) {
    case Op::kExists:
      return true;
    case Op::kAbsent:
      return false;
    case Op::kRegex:
      return regex && regex->matches(text);
    case Op::kNotRegex:
      return regex && !regex->matches(text);
    default:
      break;
  }
  if (literal.type != Literal::Type::kString) return false;
  if (op == Op::kEq) return text == literal.text;
  if (op == Op::kNe) return text != literal.text;
  return ordered(op, text < literal.text, text == literal.text);
}

bool Condition::holds_int(int64_t value) const {
  if (op == Op::kExists) return true;
  if (op == Op::kAbsent) return false;
  if (literal.type == Literal::Type::kInt) return ordered(op, value < literal.integer, value == literal.integer);
  if (literal.type == Literal::Type::kDouble) return holds_order(op, compare(value, literal.real));
  if (literal.type != Literal::Type::kString || !literal.untyped) return false;
  if (as_int) return ordered(op, value < int_value, value == int_value);
  if (as_double) return holds_order(op, compare(value, double_value));
  return op == Op::kNe;
}

bool Condition::holds_double(double value) const {
  if (op == Op::kExists) return true;
  if (op == Op::kAbsent) return false;
  const auto against_int = [&](int64_t other) {
    const int order = compare(other, value);
    return holds_order(op, order == 2 ? 2 : -order);
  };
  const auto against_double = [&](double other) {
    return holds_order(op, std::isnan(value) || std::isnan(other) ? 2 : value < other ? -1 : value > other ? 1 : 0);
  };
  if (literal.type == Literal::Type::kInt) return against_int(literal.integer);
  if (literal.type == Literal::Type::kDouble) return against_double(literal.real);
  if (literal.type != Literal::Type::kString || !literal.untyped) return false;
  if (as_int) return against_int(int_value);
  if (as_double) return against_double(double_value);
  return op == Op::kNe;
}

bool Condition::holds_bool(bool value) const {
  if (op == Op::kExists) return true;
  if (op == Op::kAbsent) return false;
  if (op != Op::kEq && op != Op::kNe) return false;
  if (literal.type == Literal::Type::kBool) return (value == (literal.integer != 0)) == (op == Op::kEq);
  if (literal.type != Literal::Type::kString || !literal.untyped) return false;
  return (as_bool && value == bool_value) == (op == Op::kEq);
}

bool Condition::holds(const model::Value& value) const {
  switch (value.type) {
    case model::ValueType::kEmpty:
      return holds_absent();
    case model::ValueType::kString:
      return holds_text(value.bytes);
    case model::ValueType::kBool:
      return holds_bool(value.integer != 0);
    case model::ValueType::kInt:
      return holds_int(value.integer);
    case model::ValueType::kDouble:
      return holds_double(value.real);
    case model::ValueType::kBytes:
    case model::ValueType::kComplex:
    case model::ValueType::kRaw:
      return op == Op::kExists;
  }
  return false;
}

Result<std::shared_ptr<const Matcher>> Matcher::compile(const Expr& expr) {
  auto matcher = std::make_shared<Matcher>();
  uint32_t root = 0;
  CLEW_TRY(matcher->add(expr, 0, root));
  return std::shared_ptr<const Matcher>(std::move(matcher));
}

Status Matcher::add(const Expr& expr, size_t depth, uint32_t& out) {
  if (depth > kMaxDepth || nodes_.size() >= kMaxNodes) {
    return {Code::kInvalidArgument, "the query is too large: at most " + std::to_string(kMaxNodes) +
                                        " conditions nested " + std::to_string(kMaxDepth) + " deep are taken"};
  }
  Node node;
  node.kind = expr.kind;
  if (expr.kind == Expr::Kind::kLeaf) {
    Condition condition;
    condition.field = expr.field;
    condition.key = expr.key;
    condition.op = expr.op;
    condition.literal = expr.literal;
    if (expr.op == Op::kRegex || expr.op == Op::kNotRegex) {
      if (expr.literal.type != Literal::Type::kString) {
        return {Code::kInvalidArgument, "=~ and !~ take a string: a regular expression"};
      }
      CLEW_ASSIGN(condition.regex, Regex::compile(expr.literal.text));
    }
    if (expr.literal.type == Literal::Type::kString && expr.literal.untyped) read_untyped(condition);
    node.condition = static_cast<uint32_t>(conditions_.size());
    conditions_.push_back(std::move(condition));
  } else {
    if (expr.kind == Expr::Kind::kNot && expr.children.size() != 1) {
      return {Code::kInvalidArgument, "a negation takes one operand"};
    }
    for (const Expr& child : expr.children) {
      uint32_t index = 0;
      CLEW_TRY(add(child, depth + 1, index));
      node.children.push_back(index);
    }
    const auto cost = [this](uint32_t index) {
      const Node& child = nodes_[index];
      return child.kind == Expr::Kind::kLeaf ? leaf_cost(conditions_[child.condition].field) : 3;
    };
    std::stable_sort(node.children.begin(), node.children.end(),
                     [&](uint32_t a, uint32_t b) { return cost(a) < cost(b); });
  }
  out = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back(std::move(node));
  return {};
}

bool Matcher::matches(const model::Span& span, const model::TraceSummary& summary) const {
  return eval(static_cast<uint32_t>(nodes_.size() - 1), span, summary);
}

bool Matcher::eval(uint32_t index, const model::Span& span, const model::TraceSummary& summary) const {
  const Node& node = nodes_[index];
  switch (node.kind) {
    case Expr::Kind::kLeaf:
      return leaf_matches(conditions_[node.condition], span, summary);
    case Expr::Kind::kAnd:
      return std::all_of(node.children.begin(), node.children.end(),
                         [&](uint32_t c) { return eval(c, span, summary); });
    case Expr::Kind::kOr:
      return std::any_of(node.children.begin(), node.children.end(),
                         [&](uint32_t c) { return eval(c, span, summary); });
    case Expr::Kind::kNot:
      return !eval(node.children[0], span, summary);
  }
  return false;
}

bool Matcher::leaf_matches(const Condition& condition, const model::Span& span,
                           const model::TraceSummary& summary) const {
  // Texts that always exist: the question of existence is whether they say something.
  const auto text = [&](std::string_view value) {
    if (condition.op == Op::kExists) return !value.empty();
    if (condition.op == Op::kAbsent) return value.empty();
    return condition.holds_text(value);
  };
  switch (condition.field) {
    case Field::kTrue:
      return true;
    case Field::kName:
      return text(span.name);
    case Field::kService:
      return text(span.resource ? span.resource->service_name : std::string_view());
    case Field::kKind:
      return condition.holds_int(static_cast<int64_t>(span.kind));
    case Field::kStatus:
      return condition.holds_int(static_cast<int64_t>(span.status));
    case Field::kIsRoot:
      return condition.holds_int(span.parent.valid() ? 0 : 1);
    case Field::kStatusMessage:
      return text(span.status_message);
    case Field::kDuration:
      return condition.holds_int(
          static_cast<int64_t>(static_cast<uint64_t>(span.end_ns) - static_cast<uint64_t>(span.start_ns)));
    case Field::kTraceDuration:
      return condition.holds_int(
          static_cast<int64_t>(static_cast<uint64_t>(summary.end_ns) - static_cast<uint64_t>(summary.start_ns)));
    case Field::kRootName:
      return text(summary.root_name);
    case Field::kRootService:
      return text(summary.root_service);
    case Field::kScopeName:
      return text(span.scope ? span.scope->name : std::string_view());
    case Field::kEventName:
      if (condition.op == Op::kExists) return !span.events.empty();
      if (condition.op == Op::kAbsent) return span.events.empty();
      return std::any_of(span.events.begin(), span.events.end(),
                         [&](const model::Event& event) { return condition.holds_text(event.name); });
    case Field::kAttribute:
    case Field::kResource:
    case Field::kAny: {
      const model::Attribute* found = attribute_of(span, condition.field, condition.key);
      return found ? condition.holds(found->value) : condition.holds_absent();
    }
  }
  return false;
}

bool matches(const Expr& expr, const model::Span& span, const model::TraceSummary& summary) {
  const auto matcher = Matcher::compile(expr);
  return matcher.ok() && (*matcher)->matches(span, summary);
}

}  // namespace clew::store
