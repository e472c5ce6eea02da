#include "api/tags.h"

#include <simdjson.h>

#include "api/conditions.h"

namespace clew::api {

using store::Expr;
using store::Field;
using store::Op;

namespace {

Error bad_logfmt(size_t position, std::string_view what) {
  return {Code::kInvalidArgument, "tags, position " + std::to_string(position + 1) + ": " + std::string(what) +
                                      "; tags are written as key=value \"key 2\"=\"a value\""};
}

// A quoted or plain piece of logfmt; plain ends at space, and at '=' for a key.
Result<std::string> logfmt_piece(std::string_view text, size_t& pos, bool key) {
  std::string out;
  if (pos < text.size() && text[pos] == '"') {
    const size_t start = pos++;
    while (pos < text.size() && text[pos] != '"') {
      if (text[pos] == '\\' && pos + 1 < text.size()) {
        const char escaped = text[++pos];
        out.push_back(escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped);
      } else {
        out.push_back(text[pos]);
      }
      ++pos;
    }
    if (pos == text.size()) return bad_logfmt(start, "the quote is not closed");
    ++pos;
    return out;
  }
  while (pos < text.size() && text[pos] != ' ' && text[pos] != '\t' && text[pos] != '\n' && text[pos] != '\r' &&
         !(key && text[pos] == '=')) {
    out.push_back(text[pos++]);
  }
  return out;
}

// A tag's key may be an intrinsic's name, as Tempo's search has it.
Expr logfmt_condition(std::string_view key, std::string_view value) {
  if (key == "name" || key == "span.name") return text_condition(Field::kName, {}, Op::kEq, value);
  if (key == "root.name" || key == "rootName") return text_condition(Field::kRootName, {}, Op::kEq, value);
  if (key == "root.service.name" || key == "rootServiceName")
    return text_condition(Field::kRootService, {}, Op::kEq, value);
  for (const auto& [prefix, field] :
       {std::pair{std::string_view("resource."), Field::kResource},
        std::pair{std::string_view("span."), Field::kAttribute}, std::pair{std::string_view("."), Field::kAny}}) {
    if (!key.starts_with(prefix) || key.size() == prefix.size() || key == "span.kind") continue;
    Expr expr = text_condition(field, key.substr(prefix.size()), Op::kEq, value);
    expr.literal.untyped = true;
    return expr;
  }
  return tag_condition(key, value);
}

}  // namespace

Result<Expr> parse_logfmt_tags(std::string_view text) {
  if (text.size() > kMaxTagsBytes) return Error{Code::kInvalidArgument, "tags are too long"};
  std::vector<Expr> parts;
  size_t pos = 0;
  while (true) {
    while (pos < text.size() && (text[pos] == ' ' || text[pos] == '\t' || text[pos] == '\n' || text[pos] == '\r'))
      ++pos;
    if (pos == text.size()) break;
    const size_t start = pos;
    std::string key, value = "true";  // a key alone is a flag
    CLEW_ASSIGN(key, logfmt_piece(text, pos, true));
    if (key.empty()) return bad_logfmt(start, "expected a key");
    if (pos < text.size() && text[pos] == '=') {
      ++pos;
      CLEW_ASSIGN(value, logfmt_piece(text, pos, false));
    }
    parts.push_back(logfmt_condition(key, value));
  }
  return all_of(std::move(parts));
}

Result<Expr> parse_json_tags(std::string_view json) {
  if (json.size() > kMaxTagsBytes) return Error{Code::kInvalidArgument, "tags are too long"};
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (const auto error = parser.parse(json.data(), json.size()).get_object().get(object)) {
    return Error{Code::kInvalidArgument, std::string("tags must be a JSON object such as {\"http.method\":\"GET\"}: ") +
                                             simdjson::error_message(error)};
  }
  std::vector<Expr> parts;
  for (const auto field : object) {
    switch (field.value.type()) {
      case simdjson::dom::element_type::STRING:
        parts.push_back(tag_condition(field.key, std::string_view(field.value.get_string().value_unsafe())));
        break;
      case simdjson::dom::element_type::BOOL:
      case simdjson::dom::element_type::INT64:
      case simdjson::dom::element_type::UINT64:
      case simdjson::dom::element_type::DOUBLE:
        parts.push_back(tag_condition(field.key, simdjson::minify(field.value)));
        break;
      default:
        return Error{Code::kInvalidArgument,
                     "tags: the value of \"" + std::string(field.key) + "\" must be a text, a number or a boolean"};
    }
  }
  return all_of(std::move(parts));
}

}  // namespace clew::api
