#include "api/traceql.h"

#include <algorithm>
#include <cctype>

#include "api/conditions.h"
#include "api/traceql_fields.h"
#include "api/traceql_lexer.h"
#include "store/regex.h"

namespace clew::api {

using store::Expr;
using store::Field;
using store::Literal;
using store::Op;
using store::Selection;

namespace {

std::optional<Op> mirrored(Op op) {
  switch (op) {
    case Op::kLt:
      return Op::kGt;
    case Op::kLe:
      return Op::kGe;
    case Op::kGt:
      return Op::kLt;
    case Op::kGe:
      return Op::kLe;
    case Op::kEq:
    case Op::kNe:
      return op;
    default:
      return std::nullopt;
  }
}

// What every hit of a search has anyway.
bool is_always_shown(const FieldName& name) {
  switch (name.field) {
    case Field::kName:
    case Field::kDuration:
    case Field::kTraceDuration:
    case Field::kRootName:
    case Field::kRootService:
      return true;
    default:
      return name.field == Field::kResource && name.key == "service.name";
  }
}

Expr negated(Expr operand) {
  Expr expr;
  expr.kind = Expr::Kind::kNot;
  expr.children.push_back(std::move(operand));
  return expr;
}

// By recursive descent: disjunction, conjunction, unary, comparison.
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Result<Expr> filter() {
    Expr expr;
    CLEW_ASSIGN(expr, spanset());
    lexer_.skip_space();
    if (!lexer_.at_end()) return after_spanset();
    return expr;
  }

  Result<TraceQlSearch> search() {
    TraceQlSearch query;
    CLEW_ASSIGN(query.where, spanset());
    for (lexer_.skip_space(); !lexer_.at_end(); lexer_.skip_space()) {
      if (!take_select()) return after_spanset();
      CLEW_TRY(selections(query.select));
    }
    return query;
  }

  Result<FieldName> field_name() {
    lexer_.skip_space();
    CLEW_ASSIGN(FieldName name, field());
    lexer_.skip_space();
    if (!lexer_.at_end()) return lexer_.invalid("unexpected text after the field");
    return name;
  }

 private:
  Result<Expr> spanset() {
    lexer_.skip_space();
    if (lexer_.at_end()) return Expr{};
    if (lexer_.peek() == '(') return lexer_.unsupported("a spanset in parentheses");
    if (!lexer_.take("{")) return lexer_.invalid("a query starts with '{'");
    Expr expr;
    lexer_.skip_space();
    if (lexer_.peek() != '}') {
      CLEW_ASSIGN(expr, disjunction(0));
    }
    lexer_.skip_space();
    if (!lexer_.take("}")) return lexer_.invalid("expected '}', && or ||");
    return expr;
  }

  // `| select`, or nothing is taken.
  bool take_select() {
    const size_t at = lexer_.position();
    if (lexer_.take("|")) {
      lexer_.skip_space();
      if (lexer_.word_ahead() == "select") {
        lexer_.skip(6);
        return true;
      }
    }
    lexer_.go_back(at);
    return false;
  }

  Status selections(std::vector<Selection>& out) {
    lexer_.skip_space();
    if (!lexer_.take("(")) return lexer_.invalid("expected '(' after select");
    do {
      lexer_.skip_space();
      const size_t at = lexer_.position();
      FieldName name;
      CLEW_ASSIGN(name, field());
      if (name.field == Field::kIsRoot || name.field == Field::kEventName) {
        return lexer_.unsupported("select() of a place in the tree or of events");
      }
      if (out.size() == kMaxSelected) {
        return Lexer::invalid_at(at, "more than " + std::to_string(kMaxSelected) + " fields are selected");
      }
      if (!is_always_shown(name)) out.push_back({name.field, std::move(name.key)});
      lexer_.skip_space();
    } while (lexer_.take(","));
    if (!lexer_.take(")")) return lexer_.invalid("expected ',' or ')'");
    return {};
  }

  Error after_spanset() {
    std::string_view rest = lexer_.rest();
    if (rest.starts_with('|') && !rest.starts_with("||")) {
      rest.remove_prefix(1);
      while (!rest.empty() && Lexer::is_space(rest.front())) rest.remove_prefix(1);
      const auto end =
          std::find_if_not(rest.begin(), rest.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
      return lexer_.unsupported("the pipeline stage '" + std::string(rest.begin(), end) + "'");
    }
    for (std::string_view op :
         {"&&", "||", "!>>", "!<<", "&>>", "&<<", "!>", "!<", "!~", "&>", "&<", "&~", ">>", "<<", ">", "<", "~"}) {
      if (rest.starts_with(op)) return lexer_.unsupported("'" + std::string(op) + "' between spansets");
    }
    if (rest.starts_with("with")) return lexer_.unsupported("a hint (with ...)");
    return lexer_.invalid("unexpected text after '}'");
  }

  Result<Expr> disjunction(int depth) { return joined(depth, "||", Expr::Kind::kOr); }
  Result<Expr> conjunction(int depth) { return joined(depth, "&&", Expr::Kind::kAnd); }

  Result<Expr> joined(int depth, std::string_view token, Expr::Kind kind) {
    const bool either = kind == Expr::Kind::kOr;
    std::vector<Expr> operands;
    do {
      CLEW_ASSIGN(operands.emplace_back(), either ? conjunction(depth) : unary(depth));
      lexer_.skip_space();
    } while (lexer_.take(token));
    if (operands.size() == 1) return std::move(operands.front());
    Expr all;
    all.kind = kind;
    all.children = std::move(operands);
    return all;
  }

  Result<Expr> unary(int depth) {
    if (depth > kMaxQueryDepth) return lexer_.invalid("nested deeper than " + std::to_string(kMaxQueryDepth));
    lexer_.skip_space();
    if (lexer_.peek() == '!' && lexer_.peek(1) != '=' && lexer_.peek(1) != '~') {
      lexer_.skip(1);
      Expr operand;
      CLEW_ASSIGN(operand, unary(depth + 1));
      return negated(std::move(operand));
    }
    const size_t open = lexer_.position();
    if (lexer_.take("(")) {
      Expr inner;
      CLEW_ASSIGN(inner, disjunction(depth + 1));
      lexer_.skip_space();
      if (!lexer_.take(")")) return lexer_.invalid("expected ')' for the '(' at position " + std::to_string(open + 1));
      return inner;
    }
    return lexer_.at_literal() ? literal_first() : field_first();
  }

  // `100ms < duration`, `true`.
  Result<Expr> literal_first() {
    const size_t start = lexer_.position();
    Operand operand;
    CLEW_ASSIGN(operand, lexer_.take_literal());
    lexer_.skip_space();
    const size_t op_at = lexer_.position();
    const auto op = lexer_.take_comparator();
    if (!op) {
      if (operand.literal.type != Literal::Type::kBool)
        return lexer_.invalid("expected a comparison after the literal");
      return operand.literal.integer != 0 ? Expr{} : negated(Expr{});
    }
    const auto turned = mirrored(*op);
    if (!turned) return Lexer::invalid_at(op_at, "the pattern of =~ and !~ stands on the right");
    lexer_.skip_space();
    if (lexer_.at_literal()) return lexer_.unsupported("a comparison of two literals");
    FieldName name;
    CLEW_ASSIGN(name, field());
    return comparison(start, name, *turned, operand);
  }

  // `.x = 1`, and `.x` alone: is it true?
  Result<Expr> field_first() {
    const size_t start = lexer_.position();
    FieldName name;
    CLEW_ASSIGN(name, field());
    lexer_.skip_space();
    if (lexer_.at_arithmetic()) return lexer_.unsupported("arithmetic");
    const auto op = lexer_.take_comparator();
    if (!op) {
      Operand yes;
      yes.literal.type = Literal::Type::kBool;
      yes.literal.integer = 1;
      return comparison(start, name, Op::kEq, yes);
    }
    lexer_.skip_space();
    if (!lexer_.at_literal()) return no_literal();
    Operand operand;
    CLEW_ASSIGN(operand, lexer_.take_literal());
    lexer_.skip_space();
    if (lexer_.at_arithmetic()) return lexer_.unsupported("arithmetic");
    return comparison(start, name, *op, operand);
  }

  Error no_literal() {
    if (lexer_.at_end() || lexer_.peek() == '}' || lexer_.peek() == ')') return lexer_.invalid("expected a literal");
    const size_t at = lexer_.position();
    const bool is_field = field().ok();
    lexer_.go_back(at);
    if (is_field) return lexer_.unsupported("a comparison of two fields");
    return lexer_.invalid("expected a literal: a quoted text, number, duration, true, false, nil, a status or a kind");
  }

  // Puts the condition together, or says why field, operator and literal do not fit each other.
  Result<Expr> comparison(size_t at, const FieldName& name, Op op, const Operand& operand) {
    if (name.field == Field::kKind || name.field == Field::kStatus) return word_comparison(at, name.field, op, operand);
    if (!operand.word.empty()) {
      return Lexer::invalid_at(at, "'" + operand.word + "' is a word for status or kind; put a text in quotes");
    }
    if (name.field == Field::kIsRoot) return root_comparison(at, op, operand);
    Expr expr;
    expr.field = name.field;
    expr.key = name.key;
    expr.op = op;
    expr.literal = operand.literal;
    const auto type = operand.literal.type;
    if (type == Literal::Type::kNil) {
      if (op != Op::kEq && op != Op::kNe) return Lexer::invalid_at(at, "nil is compared with = and != only");
      expr.op = op == Op::kEq ? Op::kAbsent : Op::kExists;
      return expr;
    }
    if (op == Op::kRegex || op == Op::kNotRegex) {
      if (type != Literal::Type::kString || is_number_field(name.field)) {
        return Lexer::invalid_at(at, "=~ and !~ compare a text with a regular expression in quotes");
      }
      const auto regex = store::Regex::compile(operand.literal.text);
      if (!regex.ok()) return Error{regex.error().code, Lexer::invalid_at(at, regex.error().message).message};
    }
    if (type == Literal::Type::kBool && op != Op::kEq && op != Op::kNe) {
      return Lexer::invalid_at(at, "true and false are compared with = and != only");
    }
    if (is_text_field(name.field) && type != Literal::Type::kString) {
      return Lexer::invalid_at(at, "this field is a text: compare it with a text in quotes");
    }
    if (is_number_field(name.field) && type != Literal::Type::kInt && type != Literal::Type::kDouble) {
      return Lexer::invalid_at(at, "this field is a duration: compare it with one, as in 100ms");
    }
    // The store keeps services apart: cheaper to ask, and the same for a text that is not empty.
    if (name.field == Field::kResource && name.key == "service.name" && op == Op::kEq &&
        type == Literal::Type::kString && !operand.literal.text.empty()) {
      expr.field = Field::kService;
      expr.key.clear();
    }
    return expr;
  }

  static Result<Expr> word_comparison(size_t at, Field field, Op op, const Operand& operand) {
    const bool kind = field == Field::kKind;
    const auto number = operand.word.empty() ? std::nullopt
                        : kind               ? kind_number(operand.word)
                                             : status_number(operand.word);
    if (!number) {
      return Lexer::invalid_at(at, kind ? "kind is compared with server, client, producer, consumer, internal or "
                                          "unspecified"
                                        : "status is compared with ok, error or unset");
    }
    if (op != Op::kEq && op != Op::kNe) return Lexer::invalid_at(at, "status and kind know = and != only");
    return number_condition(field, op, *number);
  }

  Result<Expr> root_comparison(size_t at, Op op, const Operand& operand) const {
    if (operand.literal.type != Literal::Type::kInt) {
      return Lexer::invalid_at(at, "nestedSetParent is compared with a whole number, as in nestedSetParent < 0");
    }
    const auto root = asks_for_root(op, operand.literal.integer);
    if (!root) {
      return lexer_.unsupported("nestedSetParent but to tell root spans (nestedSetParent < 0) from others (>= 0)");
    }
    return number_condition(Field::kIsRoot, Op::kEq, *root ? 1 : 0);
  }

  Result<FieldName> field() {
    const size_t start = lexer_.position();
    FieldName out;
    for (const auto& [scope, field] :
         {std::pair{std::string_view("."), Field::kAny}, std::pair{std::string_view("span."), Field::kAttribute},
          std::pair{std::string_view("resource."), Field::kResource}}) {
      if (!lexer_.take(scope)) continue;
      out.field = field;
      CLEW_ASSIGN(out.key, lexer_.take_attribute_name());
      return out;
    }
    const std::string_view word = lexer_.word_ahead();
    if (const auto intrinsic = intrinsic_field(word)) {
      lexer_.skip(word.size());
      out.field = *intrinsic;
      return out;
    }
    if (is_unsupported_field(word)) return lexer_.unsupported("the field '" + std::string(word) + "'");
    for (std::string_view scope : {"event.", "link.", "instrumentation.", "scope.", "parent."}) {
      if (word.starts_with(scope)) return lexer_.unsupported("the scope '" + std::string(scope) + "'");
    }
    if (word.empty()) {
      return Lexer::invalid_at(start, "expected a field, such as span.http.method, .http.method or duration");
    }
    const std::string shown(word.substr(0, 60));
    return Lexer::invalid_at(start,
                             "'" + shown + "' is no field; attributes are written with a scope, as in ." + shown);
  }

  Lexer lexer_;
};

Status check_size(std::string_view text) {
  if (text.size() <= kMaxQueryBytes) return {};
  return {Code::kInvalidArgument, "the query has " + std::to_string(text.size()) + " bytes; at most " +
                                      std::to_string(kMaxQueryBytes) + " are taken"};
}

}  // namespace

Result<Expr> parse_traceql(std::string_view text) {
  CLEW_TRY(check_size(text));
  return Parser(text).filter();
}

Result<TraceQlSearch> parse_traceql_search(std::string_view text) {
  CLEW_TRY(check_size(text));
  return Parser(text).search();
}

std::string_view selection_name(const Selection& selection) {
  switch (selection.field) {
    case Field::kKind:
      return "kind";
    case Field::kStatus:
      return "status";
    case Field::kStatusMessage:
      return "statusMessage";
    case Field::kScopeName:
      return "instrumentation:name";
    default:
      return selection.key;
  }
}

Result<FieldName> parse_field_name(std::string_view text) {
  if (text.size() > kMaxQueryBytes) return Error{Code::kInvalidArgument, "the name of the field is too long"};
  auto parsed = Parser(text).field_name();
  if (parsed.ok() || parsed.error().code == Code::kUnimplemented) return parsed;
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), Lexer::is_name_char);
  if (!plain || text.starts_with('.') || text.starts_with("span.") || text.starts_with("resource.")) return parsed;
  return FieldName{Field::kAny, std::string(text)};
}

}  // namespace clew::api
