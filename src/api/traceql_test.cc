#include "api/traceql.h"

#include <gtest/gtest.h>

#include "api/duration.h"
#include "api/tags.h"

namespace clew::api {
namespace {

using store::Expr;
using store::Field;
using store::Literal;

// A canonical text of an expression, for tables.
std::string show(const Expr& expr) {
  static const char* const kFields[] = {
      "span",     "resource",      "any",      "name",        "service",   "kind",      "status", "statusMessage",
      "duration", "traceDuration", "rootName", "rootService", "scopeName", "eventName", "isRoot", "true"};
  static const char* const kOps[] = {"=", "!=", "=~", "!~", "<", "<=", ">", ">=", "exists", "absent"};
  if (expr.kind != Expr::Kind::kLeaf) {
    std::string out = expr.kind == Expr::Kind::kAnd ? "(and" : expr.kind == Expr::Kind::kOr ? "(or" : "(not";
    for (const Expr& child : expr.children) out += " " + show(child);
    return out + ")";
  }
  std::string out = kFields[static_cast<int>(expr.field)];
  if (expr.field == Field::kTrue) return out;
  if (!expr.key.empty()) out += "[" + expr.key + "]";
  out += kOps[static_cast<int>(expr.op)];
  switch (expr.literal.type) {
    case Literal::Type::kString:
      out += (expr.literal.untyped ? "u'" : "'") + expr.literal.text + "'";
      break;
    case Literal::Type::kInt:
      out += std::to_string(expr.literal.integer);
      break;
    case Literal::Type::kDouble:
      out += "d" + std::to_string(expr.literal.real);
      break;
    case Literal::Type::kBool:
      out += expr.literal.integer ? "true" : "false";
      break;
    case Literal::Type::kNil:
      break;
  }
  return out;
}

std::string parsed(std::string_view text) {
  const auto result = parse_traceql(text);
  return result.ok() ? show(*result) : std::string(code_name(result.error().code)) + ": " + result.error().message;
}

TEST(TraceQl, AcceptedForms) {
  const std::pair<std::string_view, std::string_view> kTable[] = {
      {"", "true"},
      {"{}", "true"},
      {" { } ", "true"},
      {"{ true }", "true"},
      {"{ false }", "(not true)"},
      {R"({ .http.method = "GET" })", "any[http.method]='GET'"},
      {R"({span.http.status_code>=500})", "span[http.status_code]>=500"},
      {R"({ resource.service.name = "cart" })", "service='cart'"},
      {R"({ resource.service.name != "cart" })", "resource[service.name]!='cart'"},
      {R"({ resource.host.name =~ "web-.*" })", "resource[host.name]=~'web-.*'"},
      {R"({ name !~ `a\d+` })", R"(name!~'a\d+')"},
      {R"({ name =~ "a\d+\\." })", R"(name=~'a\d+\.')"},
      {R"({ duration > 1.5s })", "duration>1500000000"},
      {R"({ duration>100ms && duration<=2m3s })", "(and duration>100000000 duration<=123000000000)"},
      {R"({ 100us < duration })", "duration>100000"},
      {R"({ status = error })", "status=2"},
      {R"({ status != ok && kind = server })", "(and status!=1 kind=2)"},
      {R"({ span:kind = client && span:status = unset })", "(and kind=3 status=0)"},
      {R"({ trace:rootName = "x" || trace:rootService = "y" })", "(or rootName='x' rootService='y')"},
      {R"({ rootServiceName = "y" && traceDuration > 1h && trace:duration < 1d })",
       "(and rootService='y' traceDuration>3600000000000 traceDuration<86400000000000)"},
      {R"({ statusMessage = "boom" && span:name = "n" && span:duration > 5ns })",
       "(and statusMessage='boom' name='n' duration>5)"},
      {R"({ event:name = "exception" && instrumentation:name = "lib" })",
       "(and eventName='exception' scopeName='lib')"},
      {R"({ .a = 1 || .b = 2 && .c = 3 })", "(or any[a]=1 (and any[b]=2 any[c]=3))"},
      {R"({ (.a = 1 || .b = 2) && .c = 3 })", "(and (or any[a]=1 any[b]=2) any[c]=3)"},
      {R"({ !(.a = 1) && !.b })", "(and (not any[a]=1) (not any[b]=true))"},
      {R"({ .flag })", "any[flag]=true"},
      {R"({ .x = -1 && .y = 2.5 && .z = -1e3 })", "(and any[x]=-1 any[y]=d2.500000 any[z]=d-1000.000000)"},
      {R"({ .x = nil || .y != nil })", "(or any[x]absent any[y]exists)"},
      {R"({ .x = true && .y = false })", "(and any[x]=true any[y]=false)"},
      {R"({ span."a b{}" = "c" && .with-dash/and_more = "\"q\"\n\u00e9" })",
       "(and span[a b{}]='c' any[with-dash/and_more]='\"q\"\n\xc3\xa9')"},
      {R"({ .true = 1 })", "any[true]=1"},
      {"{ nestedSetParent < 0 && true && .a = 1 }", "(and isRoot=1 true any[a]=1)"},
      {"{ nestedSetParent = -1 || nestedSetParent <= -1 || 0 > nestedSetParent }", "(or isRoot=1 isRoot=1 isRoot=1)"},
      {"{ nestedSetParent >= 0 || nestedSetParent > -1 || nestedSetParent != -1 }", "(or isRoot=0 isRoot=0 isRoot=0)"},
  };
  for (const auto& [text, expected] : kTable) EXPECT_EQ(parsed(text), expected) << text;
}

std::string selected(std::string_view text) {
  const auto result = parse_traceql_search(text);
  if (!result.ok()) return std::string(code_name(result.error().code)) + ": " + result.error().message;
  std::string out = show(result->where) + " ->";
  for (const store::Selection& selection : result->select) {
    out += " " + std::to_string(static_cast<int>(selection.field)) + ":" + std::string(selection_name(selection));
  }
  return out;
}

TEST(TraceQl, SelectNamesWhatASearchShows) {
  const std::pair<std::string_view, std::string_view> kTable[] = {
      {"", "true ->"},
      {"{} | select(.a)", "true -> 2:a"},
      {"{ nestedSetParent < 0 && true } | select(status, resource.service.name, name, span.http.method)",
       "(and isRoot=1 true) -> 6:status 0:http.method"},
      {"{}|select( kind , .service.name,resource.\"a b\" )|select(span:statusMessage, scope.name)",
       "true -> 5:kind 2:service.name 1:a b 7:statusMessage 12:instrumentation:name"},
      {"{} | select(duration, rootName, rootServiceName, traceDuration)", "true ->"},
  };
  for (const auto& [text, expected] : kTable) EXPECT_EQ(selected(text), expected) << text;
  for (std::string_view text :
       {"{} | select", "{} | select()", "{} | select(.a", "{} | select(.a .b)", "{} | select(,)", "{} | select(.a) x",
        "{} | selected(.a)", "{} | select(.a) | count() > 1", "{} | select(nestedSetLeft)",
        "{} | select(nestedSetParent)", "{} || select(.a)"}) {
    EXPECT_FALSE(parse_traceql_search(text).ok()) << text;
  }
  std::string many = "{} | select(.a0";
  for (size_t i = 1; i < kMaxSelected; ++i) many += ",.a" + std::to_string(i);
  EXPECT_TRUE(parse_traceql_search(many + ")").ok());
  EXPECT_FALSE(parse_traceql_search(many + ", .b)").ok());
}

TEST(TraceQl, UnsupportedPartsAreNamed) {
  const std::pair<std::string_view, std::string_view> kTable[] = {
      {"{ .a = 1 } | select(.b)", "the pipeline stage 'select'"},
      {"{} | count() > 3", "the pipeline stage 'count'"},
      {"{ .a = 1 } && { .b = 2 }", "'&&' between spansets"},
      {"{ .a = 1 } >> { .b = 2 }", "'>>' between spansets"},
      {"{ .a = 1 } !~ { .b = 2 }", "'!~' between spansets"},
      {"({ .a = 1 })", "a spanset in parentheses"},
      {"{ parent.a = 1 }", "the scope 'parent.'"},
      {"{ event.x = 1 }", "the scope 'event.'"},
      {"{ trace:id = \"ab\" }", "the field 'trace:id'"},
      {"{ nestedSetParent > 3 }", "nestedSetParent but to tell root spans"},
      {"{ nestedSetParent = 0 }", "nestedSetParent but to tell root spans"},
      {"{ nestedSetLeft < 0 }", "the field 'nestedSetLeft'"},
      {"{ .a = .b }", "a comparison of two fields"},
      {"{ .a + 1 = 2 }", "arithmetic"},
  };
  for (const auto& [text, part] : kTable) {
    const std::string answer = parsed(text);
    EXPECT_TRUE(answer.starts_with("UNIMPLEMENTED: ")) << text << " -> " << answer;
    EXPECT_NE(answer.find(part), std::string::npos) << text << " -> " << answer;
  }
}

TEST(TraceQl, ErrorsHavePositions) {
  const std::pair<std::string_view, std::string_view> kTable[] = {
      {"x", "position 1: a query starts with '{'"},
      {"{ .a = 1", "position 9: expected '}', && or ||"},
      {"{ .a = }", "position 8: expected a literal"},
      {"{ .a = \"x }", "position 8: the text that starts here has no closing quote"},
      {"{ foo = 1 }", "position 3: 'foo' is no field; attributes are written with a scope, as in .foo"},
      {"{ (.a = 1 }", "position 11: expected ')' for the '(' at position 3"},
      {"{ .a = 1 && }", "position 13: expected a field"},
      {"{ duration > 5x }", "position 14: '5x' is neither a number nor a duration"},
      {"{ status = 3 }", "position 3: status is compared with ok, error or unset"},
      {"{ kind = error }", "position 3: kind is compared with server"},
      {"{ .a = error }", "position 3: 'error' is a word for status or kind"},
      {"{ .a =~ \"(\" }", "position 3: the regular expression \"(\" does not compile"},
      {"{ .a = \"\\ud800\" }", "a broken escape"},
      {"{ name = 5 }", "position 3: this field is a text"},
      {"{ duration = \"x\" }", "position 3: this field is a duration"},
      {"{ nestedSetParent = \"x\" }", "position 3: nestedSetParent is compared with a whole number"},
      {"{} trailing", "position 4: unexpected text after '}'"},
  };
  for (const auto& [text, part] : kTable) {
    const std::string answer = parsed(text);
    EXPECT_TRUE(answer.starts_with("INVALID_ARGUMENT: TraceQL, position ")) << text << " -> " << answer;
    EXPECT_NE(answer.find(part), std::string::npos) << text << " -> " << answer;
  }
}

TEST(TraceQl, DeepAndLongInputIsRefused) {
  const std::string deep = "{" + std::string(1000, '(') + ".a=1" + std::string(1000, ')') + "}";
  EXPECT_NE(parsed(deep).find("nested deeper than"), std::string::npos);
  EXPECT_NE(parsed("{" + std::string(1000, '!') + ".a}").find("nested deeper than"), std::string::npos);
  EXPECT_NE(parsed("{ .a = \"" + std::string(kMaxQueryBytes, 'x') + "\" }").find("at most"), std::string::npos);
}

TEST(Duration, GoForms) {
  EXPECT_EQ(parse_duration_ns("1h2m3.5s"), 3'723'500'000'000);
  EXPECT_EQ(parse_duration_ns("-1.5ms"), -1'500'000);
  EXPECT_EQ(parse_duration_ns("10us"), 10'000);
  EXPECT_EQ(parse_duration_ns("10\xc2\xb5s"), 10'000);
  EXPECT_EQ(parse_duration_ns(".5s"), 500'000'000);
  EXPECT_EQ(parse_duration_ns("9007199254740993ns"), 9007199254740993);
  EXPECT_EQ(parse_duration_ns("0"), 0);
  for (const char* bad : {"", "5", "s", "1.s.", "1x",
                          "300000h300000h300000h300000h300000h300000h300000h300000h300000h99999999999h", "--1s"}) {
    EXPECT_FALSE(parse_duration_ns(bad)) << bad;
  }
}

TEST(Tags, Logfmt) {
  const auto shown = [](std::string_view text) {
    const auto result = parse_logfmt_tags(text);
    return result.ok() ? show(*result) : result.error().message;
  };
  EXPECT_EQ(shown(""), "true");
  EXPECT_EQ(shown("service.name=cart http.status_code=200"), "(and service='cart' any[http.status_code]=u'200')");
  EXPECT_EQ(shown(R"("a key"="a \"value\"" flag)"), "(and any[a key]=u'a \"value\"' any[flag]=u'true')");
  EXPECT_EQ(shown("error=true"), "(or any[error]=u'true' status=2)");
  EXPECT_EQ(shown("span.kind=server name=GET status=error"),
            "(and (or any[span.kind]=u'server' kind=2) name='GET' (or any[status]=u'error' status=2))");
  EXPECT_EQ(shown("resource.x=1 span.y=2 .z=3"), "(and resource[x]=u'1' span[y]=u'2' any[z]=u'3')");
  EXPECT_NE(shown("a=\"b").find("position 3: the quote is not closed"), std::string::npos);
  EXPECT_NE(shown("=b").find("position 1: expected a key"), std::string::npos);
}

TEST(Tags, Json) {
  const auto shown = [](std::string_view text) {
    const auto result = parse_json_tags(text);
    return result.ok() ? show(*result) : result.error().message;
  };
  EXPECT_EQ(shown("{}"), "true");
  EXPECT_EQ(shown(R"({"http.method":"GET","n":5,"b":true})"),
            "(and any[http.method]=u'GET' any[n]=u'5' any[b]=u'true')");
  EXPECT_NE(shown("[1]").find("tags must be a JSON object"), std::string::npos);
  EXPECT_NE(shown(R"({"a":{}})").find("must be a text, a number or a boolean"), std::string::npos);
}

TEST(FieldNames, ScopedIntrinsicAndBare) {
  const auto shown = [](std::string_view text) {
    const auto result = parse_field_name(text);
    return result.ok() ? std::to_string(static_cast<int>(result->field)) + result->key : result.error().message;
  };
  EXPECT_EQ(shown("span.http.method"), "0http.method");
  EXPECT_EQ(shown("resource.service.name"), "1service.name");
  EXPECT_EQ(shown(".x"), "2x");
  EXPECT_EQ(shown("http.method"), "2http.method");
  EXPECT_EQ(shown("status"), "6");
  EXPECT_EQ(shown(R"(span."a b")"), "0a b");
  EXPECT_NE(shown("{}").find("expected a field"), std::string::npos);
}

}  // namespace
}  // namespace clew::api
