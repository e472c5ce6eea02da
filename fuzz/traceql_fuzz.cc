// Queries of strangers: any bytes are parsed or refused with a message; what parses also compiles, unless it is too
// large, and runs on a span. The first byte chooses the notation.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/tags.h"
#include "api/traceql.h"
#include "store/matcher.h"

namespace {
void require(bool condition) {
  if (!condition) std::abort();
}

// A filter alone is a search that selects nothing.
clew::Result<clew::store::Expr> search_condition(std::string_view text) {
  auto search = clew::api::parse_traceql_search(text);
  const auto filter = clew::api::parse_traceql(text);
  require(!filter.ok() || (search.ok() && search->select.empty()));
  if (!search.ok()) return search.error();
  require(search->select.size() <= clew::api::kMaxSelected);
  return std::move(search->where);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using clew::Code;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto parsed = data[0] == 'l'   ? clew::api::parse_logfmt_tags(text)
                      : data[0] == 'j' ? clew::api::parse_json_tags(text)
                                       : search_condition(text);
  (void)clew::api::parse_field_name(text);
  if (!parsed.ok()) {
    const Code code = parsed.error().code;
    require(code == Code::kInvalidArgument || code == Code::kUnimplemented || code == Code::kResourceExhausted);
    require(!parsed.error().message.empty());
    return 0;
  }
  const auto matcher = clew::store::Matcher::compile(*parsed);
  if (!matcher.ok()) {
    require(matcher.error().code == Code::kInvalidArgument);
    return 0;
  }
  clew::model::Resource resource;
  clew::model::Span span;
  span.name = "x";
  span.resource = &resource;
  span.attributes.push_back({"a", {clew::model::ValueType::kString, "b", 0, 0}});
  require((*matcher)->matches(span, {}) == clew::store::matches(*parsed, span, {}));
  return 0;
}
