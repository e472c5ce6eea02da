#include "api/traceql.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "model/span.h"
#include "store/regex.h"

namespace clew::api {

using store::Expr;
using store::Field;
using store::Literal;
using store::Op;

namespace {

struct Intrinsic {
  std::string_view name;
  Field field;
};
constexpr std::array kIntrinsics = {
    Intrinsic{"name", Field::kName},
    Intrinsic{"kind", Field::kKind},
    Intrinsic{"status", Field::kStatus},
    Intrinsic{"statusMessage", Field::kStatusMessage},
    Intrinsic{"duration", Field::kDuration},
    Intrinsic{"rootName", Field::kRootName},
    Intrinsic{"rootServiceName", Field::kRootService},
    Intrinsic{"traceDuration", Field::kTraceDuration},
    Intrinsic{"span:name", Field::kName},
    Intrinsic{"span:kind", Field::kKind},
    Intrinsic{"span:status", Field::kStatus},
    Intrinsic{"span:statusMessage", Field::kStatusMessage},
    Intrinsic{"span:duration", Field::kDuration},
    Intrinsic{"trace:duration", Field::kTraceDuration},
    Intrinsic{"trace:rootName", Field::kRootName},
    Intrinsic{"trace:rootService", Field::kRootService},
    Intrinsic{"trace:rootServiceName", Field::kRootService},
    Intrinsic{"event:name", Field::kEventName},
    Intrinsic{"event.name", Field::kEventName},
    Intrinsic{"instrumentation:name", Field::kScopeName},
    Intrinsic{"scope:name", Field::kScopeName},
    Intrinsic{"scope.name", Field::kScopeName},
};

// What TraceQL knows and this store cannot ask.
constexpr std::array<std::string_view, 12> kUnsupportedFields = {
    "span:id",        "span:parentID", "span:childCount",         "trace:id",        "event:timeSinceStart",
    "link:traceID",   "link:spanID",   "instrumentation:version", "nestedSetParent", "nestedSetLeft",
    "nestedSetRight", "childCount"};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_attribute_char(char c) {
  return !is_space(c) && std::string_view("{}()=~!<>&|^,\"`").find(c) == std::string_view::npos;
}

bool is_number_field(Field field) { return field == Field::kDuration || field == Field::kTraceDuration; }
bool is_text_field(Field field) {
  switch (field) {
    case Field::kName:
    case Field::kService:
    case Field::kStatusMessage:
    case Field::kRootName:
    case Field::kRootService:
    case Field::kScopeName:
    case Field::kEventName:
      return true;
    default:
      return false;
  }
}

bool same_nocase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 32) == (y | 32); });
}

void append_utf8(uint32_t point, std::string& out) {
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xc0 | point >> 6));
    out.push_back(static_cast<char>(0x80 | (point & 63)));
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | point >> 12));
    out.push_back(static_cast<char>(0x80 | (point >> 6 & 63)));
    out.push_back(static_cast<char>(0x80 | (point & 63)));
  } else {
    out.push_back(static_cast<char>(0xf0 | point >> 18));
    out.push_back(static_cast<char>(0x80 | (point >> 12 & 63)));
    out.push_back(static_cast<char>(0x80 | (point >> 6 & 63)));
    out.push_back(static_cast<char>(0x80 | (point & 63)));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Expr> query() {
    skip_space();
    if (at_end()) return Expr{};
    if (peek() != '{') {
      if (peek() == '(') return unsupported("a spanset in parentheses");
      return invalid("a query starts with '{'");
    }
    ++pos_;
    Expr expr;
    skip_space();
    if (peek() != '}') {
      CLEW_ASSIGN(expr, disjunction(0));
    }
    skip_space();
    if (peek() != '}') return invalid("expected '}', && or ||");
    ++pos_;
    skip_space();
    if (at_end()) return expr;
    return after_spanset();
  }

  Result<FieldName> field_name() {
    skip_space();
    CLEW_ASSIGN(FieldName name, field());
    skip_space();
    if (!at_end()) return invalid("unexpected text after the field");
    return name;
  }

 private:
  bool at_end() const { return pos_ >= text_.size(); }
  char peek(size_t ahead = 0) const { return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0'; }
  void skip_space() {
    while (!at_end() && is_space(text_[pos_])) ++pos_;
  }
  bool take(std::string_view token) {
    if (!text_.substr(pos_).starts_with(token)) return false;
    pos_ += token.size();
    return true;
  }
  Error invalid(std::string what) const { return invalid_at(pos_, std::move(what)); }
  Error invalid_at(size_t position, std::string what) const {
    return {Code::kInvalidArgument, "TraceQL, position " + std::to_string(position + 1) + ": " + std::move(what)};
  }
  Error unsupported(std::string what) const {
    return {Code::kUnimplemented, "TraceQL, position " + std::to_string(pos_ + 1) + ": " + std::move(what) +
                                      " is not supported; one spanset filter { ... } is"};
  }

  Error after_spanset() {
    if (peek() == '|' && peek(1) != '|') {
      size_t from = pos_ + 1;
      while (from < text_.size() && is_space(text_[from])) ++from;
      size_t to = from;
      while (to < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[to])) || text_[to] == '_')) ++to;
      return unsupported("the pipeline stage '" + std::string(text_.substr(from, to - from)) + "'");
    }
    for (std::string_view op :
         {"&&", "||", "!>>", "!<<", "&>>", "&<<", "!>", "!<", "!~", "&>", "&<", "&~", ">>", "<<", ">", "<", "~"}) {
      if (!text_.substr(pos_).starts_with(op)) continue;
      return unsupported("'" + std::string(op) + "' between spansets");
    }
    if (text_.substr(pos_).starts_with("with")) return unsupported("a hint (with ...)");
    return invalid("unexpected text after '}'");
  }

  Result<Expr> disjunction(int depth) { return joined(depth, "||", Expr::Kind::kOr); }
  Result<Expr> conjunction(int depth) { return joined(depth, "&&", Expr::Kind::kAnd); }

  Result<Expr> joined(int depth, std::string_view token, Expr::Kind kind) {
    const bool either = kind == Expr::Kind::kOr;
    Expr first;
    CLEW_ASSIGN(first, either ? conjunction(depth) : unary(depth));
    Expr all;
    for (;;) {
      skip_space();
      if (!take(token)) break;
      if (all.kind == Expr::Kind::kLeaf) {
        all.kind = kind;
        all.children.push_back(std::move(first));
      }
      Expr next;
      CLEW_ASSIGN(next, either ? conjunction(depth) : unary(depth));
      all.children.push_back(std::move(next));
    }
    return all.kind == Expr::Kind::kLeaf ? std::move(first) : std::move(all);
  }

  Result<Expr> unary(int depth) {
    if (depth > kMaxQueryDepth) return invalid("nested deeper than " + std::to_string(kMaxQueryDepth));
    skip_space();
    if (peek() == '!' && peek(1) != '=' && peek(1) != '~') {
      ++pos_;
      Expr negation;
      negation.kind = Expr::Kind::kNot;
      Expr operand;
      CLEW_ASSIGN(operand, unary(depth + 1));
      negation.children.push_back(std::move(operand));
      return negation;
    }
    if (peek() == '(') {
      const size_t open = pos_++;
      Expr inner;
      CLEW_ASSIGN(inner, disjunction(depth + 1));
      skip_space();
      if (peek() != ')') return invalid("expected ')' for the '(' at position " + std::to_string(open + 1));
      ++pos_;
      return inner;
    }
    return comparison();
  }

  static std::optional<Op> mirrored(Op op) {
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

  std::optional<Op> comparator() {
    if (take("!=")) return Op::kNe;
    if (take("!~")) return Op::kNotRegex;
    if (take("=~")) return Op::kRegex;
    if (take("<=")) return Op::kLe;
    if (take(">=")) return Op::kGe;
    if (take("=")) return Op::kEq;
    if (take("<")) return Op::kLt;
    if (take(">")) return Op::kGt;
    return std::nullopt;
  }

  // A literal as written: `word` holds what only the field decides (status and kind names).
  struct Operand {
    Literal literal;
    std::string word;
  };

  Result<Expr> comparison() {
    skip_space();
    const size_t start = pos_;
    if (starts_literal()) {
      Operand operand;
      CLEW_ASSIGN(operand, literal());
      skip_space();
      const size_t op_at = pos_;
      const auto op = comparator();
      if (!op) {
        if (operand.literal.type == Literal::Type::kBool) {
          Expr constant;
          if (operand.literal.integer == 0) {
            constant.kind = Expr::Kind::kNot;
            constant.children.emplace_back();
          }
          return constant;
        }
        return invalid("expected a comparison after the literal");
      }
      const auto turned = mirrored(*op);
      if (!turned) return invalid_at(op_at, "the pattern of =~ and !~ stands on the right");
      skip_space();
      if (starts_literal()) return unsupported("a comparison of two literals");
      FieldName name;
      CLEW_ASSIGN(name, field());
      return leaf(start, name, *turned, operand);
    }
    FieldName name;
    CLEW_ASSIGN(name, field());
    skip_space();
    if (!at_end() && std::string_view("+-*/%^").find(peek()) != std::string_view::npos)
      return unsupported("arithmetic");
    const auto op = comparator();
    if (!op) {  // a field alone: is it true?
      Operand yes;
      yes.literal.type = Literal::Type::kBool;
      yes.literal.integer = 1;
      return leaf(start, name, Op::kEq, yes);
    }
    skip_space();
    if (!starts_literal()) {
      if (at_end() || peek() == '}' || peek() == ')') return invalid("expected a literal");
      const size_t at = pos_;
      if (field().ok()) {
        pos_ = at;
        return unsupported("a comparison of two fields");
      }
      pos_ = at;
      return invalid("expected a literal: a quoted text, number, duration, true, false, nil, a status or a kind");
    }
    Operand operand;
    CLEW_ASSIGN(operand, literal());
    skip_space();
    if (!at_end() && std::string_view("+-*/%^").find(peek()) != std::string_view::npos)
      return unsupported("arithmetic");
    return leaf(start, name, *op, operand);
  }

  Result<Expr> leaf(size_t at, const FieldName& name, Op op, const Operand& operand) {
    Expr expr;
    expr.field = name.field;
    expr.key = name.key;
    expr.op = op;
    expr.literal = operand.literal;
    const auto type = operand.literal.type;
    if (name.field == Field::kKind || name.field == Field::kStatus) {
      const bool kind = name.field == Field::kKind;
      const auto number = operand.word.empty() ? std::nullopt
                          : kind               ? kind_number(operand.word)
                                               : status_number(operand.word);
      if (!number) {
        return invalid_at(at, kind ? "kind is compared with server, client, producer, consumer, internal or unspecified"
                                   : "status is compared with ok, error or unset");
      }
      if (op != Op::kEq && op != Op::kNe) return invalid_at(at, "status and kind know = and != only");
      expr.literal = Literal{};
      expr.literal.type = Literal::Type::kInt;
      expr.literal.integer = *number;
      return expr;
    }
    if (!operand.word.empty()) {
      return invalid_at(at, "'" + operand.word + "' is a word for status or kind; put a text in quotes");
    }
    if (type == Literal::Type::kNil) {
      if (op != Op::kEq && op != Op::kNe) return invalid_at(at, "nil is compared with = and != only");
      expr.op = op == Op::kEq ? Op::kAbsent : Op::kExists;
      return expr;
    }
    if (op == Op::kRegex || op == Op::kNotRegex) {
      if (type != Literal::Type::kString || is_number_field(name.field)) {
        return invalid_at(at, "=~ and !~ compare a text with a regular expression in quotes");
      }
      const auto regex = store::Regex::compile(operand.literal.text);
      if (!regex.ok()) return Error{regex.error().code, invalid_at(at, regex.error().message).message};
    }
    if (type == Literal::Type::kBool && op != Op::kEq && op != Op::kNe) {
      return invalid_at(at, "true and false are compared with = and != only");
    }
    if (is_text_field(name.field) && type != Literal::Type::kString) {
      return invalid_at(at, "this field is a text: compare it with a text in quotes");
    }
    if (is_number_field(name.field) && type != Literal::Type::kInt && type != Literal::Type::kDouble) {
      return invalid_at(at, "this field is a duration: compare it with one, as in 100ms");
    }
    // The store keeps services apart: cheaper to ask, and the same for a text that is not empty.
    if (name.field == Field::kResource && name.key == "service.name" && op == Op::kEq &&
        type == Literal::Type::kString && !operand.literal.text.empty()) {
      expr.field = Field::kService;
      expr.key.clear();
    }
    return expr;
  }

  std::string_view word_ahead() const {
    size_t end = pos_;
    while (end < text_.size() && (std::isalpha(static_cast<unsigned char>(text_[end])) != 0)) ++end;
    if (end < text_.size() && is_attribute_char(text_[end])) return {};  // part of a longer name
    return text_.substr(pos_, end - pos_);
  }

  bool starts_literal() const {
    const char c = peek();
    if (c == '"' || c == '`' || is_digit(c)) return true;
    if (c == '-') return is_digit(peek(1)) || peek(1) == '.';
    const std::string_view word = word_ahead();
    return word == "true" || word == "false" || word == "nil" || kind_number(word) || status_number(word);
  }

  Result<Operand> literal() {
    Operand operand;
    const char c = peek();
    if (c == '"' || c == '`') {
      operand.literal.type = Literal::Type::kString;
      CLEW_ASSIGN(operand.literal.text, quoted());
      return operand;
    }
    if (c == '-' || is_digit(c)) return number();
    const std::string_view word = word_ahead();
    pos_ += word.size();
    if (word == "true" || word == "false") {
      operand.literal.type = Literal::Type::kBool;
      operand.literal.integer = word == "true";
    } else if (word != "nil") {
      operand.word = word;
    }
    return operand;
  }

  Result<Operand> number() {
    const size_t start = pos_;
    if (peek() == '-') ++pos_;
    while (is_attribute_char(peek()) && !at_end() && peek() != '+' && peek() != '*' && peek() != '/' && peek() != '%' &&
           (peek() != '-' || text_[pos_ - 1] == 'e' || text_[pos_ - 1] == 'E')) {
      ++pos_;
    }
    const std::string_view token = text_.substr(start, pos_ - start);
    const char* end = token.data() + token.size();
    Operand operand;
    operand.literal.type = Literal::Type::kInt;
    if (auto [at, error] = std::from_chars(token.data(), end, operand.literal.integer);
        error == std::errc() && at == end) {
      return operand;
    }
    if (const auto duration = parse_duration_ns(token)) {
      operand.literal.integer = *duration;
      return operand;
    }
    operand.literal.type = Literal::Type::kDouble;
    operand.literal.integer = 0;
    if (auto [at, error] = std::from_chars(token.data(), end, operand.literal.real);
        error == std::errc() && at == end) {
      return operand;
    }
    return invalid_at(start,
                      "'" + std::string(token.substr(0, 40)) + "' is neither a number nor a duration such as 100ms");
  }

  Result<std::string> quoted() {
    const size_t start = pos_;
    const char quote = text_[pos_++];
    std::string out;
    while (!at_end()) {
      const char c = text_[pos_++];
      if (c == quote) return out;
      if (quote == '`' || c != '\\') {
        out.push_back(c);
        continue;
      }
      if (at_end()) break;
      const char escaped = text_[pos_++];
      switch (escaped) {
        case 'n':
          out.push_back('\n');
          break;
        case 't':
          out.push_back('\t');
          break;
        case 'r':
          out.push_back('\r');
          break;
        case 'a':
          out.push_back('\a');
          break;
        case 'b':
          out.push_back('\b');
          break;
        case 'f':
          out.push_back('\f');
          break;
        case 'v':
          out.push_back('\v');
          break;
        case '\\':
        case '"':
        case '\'':
        case '`':
          out.push_back(escaped);
          break;
        case 'x':
        case 'u':
        case 'U': {
          const size_t digits = escaped == 'x' ? 2 : escaped == 'u' ? 4 : 8;
          uint32_t point = 0;
          const std::string_view hex = text_.substr(pos_, digits);
          const auto [at, error] = std::from_chars(hex.data(), hex.data() + hex.size(), point, 16);
          const bool whole = hex.size() == digits && error == std::errc() && at == hex.data() + hex.size();
          if (!whole || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
            return invalid_at(pos_ - 2, "a broken escape in the text");
          }
          pos_ += digits;
          if (escaped == 'x') {
            out.push_back(static_cast<char>(point));
          } else {
            append_utf8(point, out);
          }
          break;
        }
        default:
          // A regular expression's \d or \. in double quotes: Go would refuse it; people write it, and mean the
          // pattern.
          out.push_back('\\');
          out.push_back(escaped);
      }
    }
    return invalid_at(start, "the text that starts here has no closing quote");
  }

  // The rest of an attribute's name: runs of plain characters and quoted texts.
  Result<std::string> attribute_name() {
    std::string name;
    const size_t start = pos_;
    while (!at_end()) {
      if (peek() == '"' || peek() == '`') {
        std::string part;
        CLEW_ASSIGN(part, quoted());
        name += part;
      } else if (is_attribute_char(peek())) {
        name.push_back(text_[pos_++]);
      } else {
        break;
      }
    }
    if (name.empty()) return invalid_at(start, "expected the name of an attribute");
    return name;
  }

  Result<FieldName> field() {
    const size_t start = pos_;
    FieldName out;
    const auto attribute = [&](Field field) -> Result<FieldName> {
      out.field = field;
      CLEW_ASSIGN(out.key, attribute_name());
      return out;
    };
    if (take(".")) return attribute(Field::kAny);
    if (take("span.")) return attribute(Field::kAttribute);
    if (take("resource.")) return attribute(Field::kResource);
    size_t end = pos_;
    while (end < text_.size() && is_attribute_char(text_[end])) ++end;
    const std::string_view word = text_.substr(pos_, end - pos_);
    for (const Intrinsic& intrinsic : kIntrinsics) {
      if (intrinsic.name == word) {
        pos_ = end;
        out.field = intrinsic.field;
        return out;
      }
    }
    if (std::find(kUnsupportedFields.begin(), kUnsupportedFields.end(), word) != kUnsupportedFields.end()) {
      return unsupported("the field '" + std::string(word) + "'");
    }
    for (std::string_view scope : {"event.", "link.", "instrumentation.", "scope.", "parent."}) {
      if (word.starts_with(scope)) return unsupported("the scope '" + std::string(scope) + "'");
    }
    if (word.empty()) return invalid_at(start, "expected a field, such as span.http.method, .http.method or duration");
    return invalid_at(start, "'" + std::string(word.substr(0, 60)) +
                                 "' is no field; attributes are written with a scope, as in ." +
                                 std::string(word.substr(0, 60)));
  }

  std::string_view text_;
  size_t pos_ = 0;
};

}  // namespace

Result<Expr> parse_traceql(std::string_view text) {
  if (text.size() > kMaxQueryBytes) {
    return Error{Code::kInvalidArgument, "the query has " + std::to_string(text.size()) + " bytes; at most " +
                                             std::to_string(kMaxQueryBytes) + " are taken"};
  }
  return Parser(text).query();
}

Result<FieldName> parse_field_name(std::string_view text) {
  if (text.size() > kMaxQueryBytes) return Error{Code::kInvalidArgument, "the name of the field is too long"};
  auto parsed = Parser(text).field_name();
  if (parsed.ok() || parsed.error().code == Code::kUnimplemented) return parsed;
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), is_attribute_char);
  if (!plain || text.starts_with('.') || text.starts_with("span.") || text.starts_with("resource.")) return parsed;
  return FieldName{Field::kAny, std::string(text)};
}

std::optional<int64_t> parse_duration_ns(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ns;
  };
  static constexpr std::array kUnits = {Unit{"ns", 1},          Unit{"us", 1e3},   Unit{"\xc2\xb5s", 1e3},
                                        Unit{"\xce\xbcs", 1e3}, Unit{"ms", 1e6},   Unit{"s", 1e9},
                                        Unit{"m", 60e9},        Unit{"h", 3600e9}, Unit{"d", 86400e9}};
  bool negative = false;
  if (text.starts_with('-') || text.starts_with('+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  // Whole parts are added as integers, so that "9007199254740993ns" stays exact.
  int64_t total = 0;
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() && is_digit(text[digits])) ++digits;
    uint64_t whole = 0;
    if (digits > 0) {
      if (std::from_chars(text.data(), text.data() + digits, whole).ec != std::errc()) return std::nullopt;
    }
    size_t used = digits;
    double fraction = 0, scale = 0.1;
    if (used < text.size() && text[used] == '.') {
      ++used;
      for (; used < text.size() && is_digit(text[used]); ++used, scale /= 10) fraction += (text[used] - '0') * scale;
      if (used == digits + 1 && digits == 0) return std::nullopt;
    }
    if (used == 0) return std::nullopt;
    text.remove_prefix(used);
    size_t letters = 0;
    while (letters < text.size() && !is_digit(text[letters]) && text[letters] != '.') ++letters;
    const auto unit =
        std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == text.substr(0, letters); });
    if (unit == kUnits.end()) return std::nullopt;
    text.remove_prefix(letters);
    int64_t part = 0;
    if (whole > static_cast<uint64_t>(INT64_MAX) ||
        __builtin_mul_overflow(static_cast<int64_t>(whole), static_cast<int64_t>(unit->ns), &part) ||
        __builtin_add_overflow(part, std::llround(fraction * unit->ns), &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return std::nullopt;
    }
  }
  return negative ? -total : total;
}

std::optional<int64_t> kind_number(std::string_view word) {
  constexpr std::array<std::string_view, 6> kWords = {"unspecified", "internal", "server",
                                                      "client",      "producer", "consumer"};
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i] == word) return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

std::optional<int64_t> status_number(std::string_view word) {
  constexpr std::array<std::string_view, 3> kWords = {"unset", "ok", "error"};
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i] == word) return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

Expr all_of(std::vector<Expr> parts) {
  if (parts.empty()) return Expr{};
  if (parts.size() == 1) return std::move(parts.front());
  Expr expr;
  expr.kind = Expr::Kind::kAnd;
  expr.children = std::move(parts);
  return expr;
}

Expr any_of(std::vector<Expr> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Expr expr;
  expr.kind = Expr::Kind::kOr;
  expr.children = std::move(parts);
  return expr;
}

Expr text_condition(Field field, std::string_view key, Op op, std::string_view text) {
  Expr expr;
  expr.field = field;
  expr.key = key;
  expr.op = op;
  expr.literal.type = Literal::Type::kString;
  expr.literal.text = text;
  return expr;
}

Expr number_condition(Field field, Op op, int64_t number) {
  Expr expr;
  expr.field = field;
  expr.op = op;
  expr.literal.type = Literal::Type::kInt;
  expr.literal.integer = number;
  return expr;
}

Expr tag_condition(std::string_view key, std::string_view value) {
  Expr attribute = text_condition(Field::kAny, key, Op::kEq, value);
  attribute.literal.untyped = true;
  const auto also = [&](Expr other) {
    std::vector<Expr> either;
    either.push_back(std::move(attribute));
    either.push_back(std::move(other));
    return any_of(std::move(either));
  };
  if (key == "error") {
    const bool no = same_nocase(value, "false");
    if (!no && !same_nocase(value, "true")) return attribute;
    return also(
        number_condition(Field::kStatus, no ? Op::kNe : Op::kEq, static_cast<int64_t>(model::StatusCode::kError)));
  }
  if (key == "span.kind" || key == "kind") {
    if (const auto number = kind_number(value)) return also(number_condition(Field::kKind, Op::kEq, *number));
  }
  if (key == "otel.status_code" || key == "status" || key == "status.code") {
    std::string word(value);
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (const auto number = status_number(word)) return also(number_condition(Field::kStatus, Op::kEq, *number));
  }
  if (key == "otel.status_description" || key == "status.message") {
    return also(text_condition(Field::kStatusMessage, {}, Op::kEq, value));
  }
  if (key == "otel.library.name" || key == "otel.scope.name") {
    return also(text_condition(Field::kScopeName, {}, Op::kEq, value));
  }
  if (key == "service.name") return text_condition(Field::kService, {}, Op::kEq, value);
  return attribute;
}

}  // namespace clew::api
